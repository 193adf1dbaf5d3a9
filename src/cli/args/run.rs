//! What can be typed after `run`, `resume`, `fork` and `rerun`.

use std::path::PathBuf;

use clap::Args;

use super::values::{Budget, KeyValue, RunRef, dollars, escalate, strategy};
use crate::domain::event::Escalate;
use crate::domain::money::NanoUsd;
use crate::domain::tier::Strategy;

/// `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meno run security_audit --no-input --preset simulated --input source=.\n  meno run release_prep\n  meno run security_audit --input source=./src --budget 2\n  \
    meno run release_prep --no-input --set checks=Security --dry-run\n  \
    meno run ./mine.json --preset simulated\n  \
    meno run code_refactoring --answers answers.toml --preset simulated --json"
)]
pub struct RunArgs {
    /// The template's id, or a path to its file: ./mine.json
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// Answers from a JSON or TOML file; - for stdin
    #[arg(long, value_name = "FILE", help_heading = "Answers")]
    pub answers: Option<PathBuf>,
    /// An answer, over those of a file; may be given several times
    #[arg(long = "set", value_name = "ID=VALUE", help_heading = "Answers")]
    pub set: Vec<KeyValue>,
    /// Material for the agents: a file or a folder; may be given several times
    #[arg(long = "input", value_name = "ID=PATH", help_heading = "Answers")]
    pub inputs: Vec<KeyValue>,
    /// Run without material that the template needs
    #[arg(long, help_heading = "Answers")]
    pub no_material: bool,
    /// Which tiers all agents may use, over what the template says
    #[arg(long, value_name = "STRATEGY", value_parser = strategy(), help_heading = "Models")]
    pub strategy: Option<Strategy>,
    /// Fill the tiers: anthropic, openai, ollama, mixed, simulated
    #[arg(long, value_name = "PRESET", help_heading = "Models")]
    pub preset: Option<String>,
    /// When an agent wants to climb a tier: auto, ask, never
    #[arg(long, value_name = "HOW", value_parser = escalate(), help_heading = "Models", hide_possible_values = true)]
    pub escalate: Option<Escalate>,
    /// US dollars that the run may cost at most
    #[arg(long, value_name = "USD", value_parser = dollars, allow_negative_numbers = true, help_heading = "Limits")]
    pub budget: Option<NanoUsd>,
    /// Agents at work at once, at most
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Limits")]
    pub jobs: Option<u16>,
    /// Under a budget, allow models without a price
    #[arg(long, help_heading = "Limits")]
    pub allow_unpriced: bool,
    /// Let agents write in the workspace
    #[arg(long, help_heading = "Limits")]
    pub allow_write: bool,
    /// Show the team, why, and the expected cost; call nothing
    #[arg(long, help_heading = "How to run")]
    pub dry_run: bool,
    /// The seed of everything random
    #[arg(long, value_name = "N", help_heading = "How to run")]
    pub seed: Option<u64>,
    /// Fix time and ids by MENO_CLOCK and MENO_SEED, for tests
    #[arg(long, help_heading = "How to run")]
    pub deterministic: bool,
    /// A label to find the run by; may be given several times
    #[arg(long = "label", value_name = "K=V", help_heading = "How to run")]
    pub labels: Vec<KeyValue>,
}

/// `resume`.
#[derive(Debug, Args)]
#[command(
    after_help = "A run that a budget stopped goes on with `--retry-failed --budget USD`; ROLE=USD raises the budget of one agent.\n\n\
        Examples:\n  meno resume last\n  meno resume last --approve\n  meno resume 7QW2 --retry-failed\n  \
        meno resume 7QW2 --retry-failed --budget 2.50"
)]
pub struct ResumeArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Allow the climb that the run waits for
    #[arg(long, conflicts_with = "deny")]
    pub approve: bool,
    /// Forbid the climb that the run waits for
    #[arg(long)]
    pub deny: bool,
    /// Let failed agents start again
    #[arg(long)]
    pub retry_failed: bool,
    /// US dollars that the run, or with ROLE=USD an agent, may cost at most, from now on
    #[arg(long = "budget", value_name = "[ROLE=]USD", allow_negative_numbers = true)]
    pub budgets: Vec<Budget>,
    /// Under a budget, allow models without a price
    #[arg(long)]
    pub allow_unpriced: bool,
    /// An answer that is missing; may be given several times
    #[arg(long = "set", value_name = "ID=VALUE")]
    pub set: Vec<KeyValue>,
}

/// `fork`.
#[derive(Debug, Args)]
#[command(
    after_help = "A new run begins where the other one was: with its template, settings, prices, answers and material as they were recorded, \
        and with the work of it that still counts, which is marked and paid for there.\n\n\
        With --at it goes on from that position in the log; a number below the run's first position counts the run's own events. With --agent that role works anew, and the agents that wait for it; other agents that failed there count as failed, unless \
        --retry-failed lets them work anew too. With neither, \
        agents that succeeded are kept where they would be told the same, and all others work anew: --set changes answers, --strategy \
        how the others climb.\n\n\
        Examples:\n  meno fork last --agent publisher --strategy premium_only\n  meno fork 7QW2 --set checks=Security\n  \
        meno fork last --at 42"
)]
pub struct ForkArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Go on from this position of the log, or from the run's own event of this number
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "agent")]
    pub at: Option<u64>,
    /// Let this role work anew, and the agents that wait for it
    #[arg(long, value_name = "ROLE")]
    pub agent: Option<String>,
    /// With --agent: let other agents that failed work anew too
    #[arg(long, requires = "agent")]
    pub retry_failed: bool,
    /// Another answer; may be given several times
    #[arg(long = "set", value_name = "ID=VALUE")]
    pub set: Vec<KeyValue>,
    /// How it differs otherwise.
    #[command(flatten)]
    pub terms: NewTerms,
}

/// `rerun`.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything is as the run recorded it: template, settings, prices, answers, material. Nothing of its work is kept; with \
        --agent only what that role and those who wait for it did is done again.\n\n\
        Examples:\n  meno rerun last --seed 8\n  meno rerun last --agent publisher"
)]
pub struct RerunArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Only this role, and the agents that wait for it
    #[arg(long, value_name = "ROLE")]
    pub agent: Option<String>,
    /// How it differs otherwise.
    #[command(flatten)]
    pub terms: NewTerms,
}

/// What a run that begins with another one's record may have of its own.
#[derive(Clone, Debug, Args)]
pub struct NewTerms {
    /// Which tiers all agents may use, instead of what held there
    #[arg(long, value_name = "STRATEGY", value_parser = strategy())]
    pub strategy: Option<Strategy>,
    /// US dollars that it may cost at most, instead of what held there
    #[arg(long, value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    pub budget: Option<NanoUsd>,
    /// When an agent wants to climb a tier: auto, ask, never
    #[arg(long, value_name = "HOW", value_parser = escalate(), hide_possible_values = true)]
    pub escalate: Option<Escalate>,
    /// Another seed of everything random
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// A label, beside those of the other run; may be given several times
    #[arg(long = "label", value_name = "K=V")]
    pub labels: Vec<KeyValue>,
}
