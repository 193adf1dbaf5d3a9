//! What an audit is asked for, and what it tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::finding::{Tally, Violation};
use crate::audit::seal::{Seal, Signed};
use crate::domain::ids::RunId;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "What an audit found, as `meno audit --json` prints it")]
pub struct AuditDocument {
    /// Nothing is violated.
    pub sound: bool,
    /// The store's identity.
    pub node: String,
    /// The only run that was looked at closely; null for all of them. The chain is followed through the whole log in any case.
    pub run_id: Option<String>,
    /// The last position looked at.
    pub position: u64,
    /// The chain's hash there.
    pub head: String,
    /// Events read.
    pub events: u64,
    /// How many of them begin the log, and say nothing but whose it is: the genesis.
    #[serde(default)]
    pub genesis_events: u64,
    /// Runs looked at closely.
    pub runs: u64,
    /// Events whose texts are forgotten.
    pub forgotten_events: u64,
    /// Events of kinds that this version does not know.
    pub unknown_events: u64,
    /// What was looked at, how often it held, and how often it could not be told.
    pub checks: Vec<Tally>,
    /// How many violations there are.
    pub violations_total: u64,
    /// The violations, in the order in which they were found; at most the first 10,000.
    pub violations: Vec<Violation>,
    /// What is worth knowing and violates nothing.
    pub notes: Vec<String>,
    /// The seal that the log was held against.
    pub against: Option<Seal>,
    /// The fingerprint of the key that signed the seal; null for one without a signature that counts.
    pub signed_by: Option<String>,
}

/// What to audit, and against what.
#[derive(Clone, Debug, Default)]
pub struct AuditRequest {
    /// Only this run; the whole store without it.
    pub run: Option<RunId>,
    /// A seal that was kept elsewhere.
    pub against: Option<Seal>,
    /// What its signature says, when it has one.
    pub signed: Option<Signed>,
}
