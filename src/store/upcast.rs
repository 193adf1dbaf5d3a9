//! Brings bodies of older kind versions to the version that this release reads.
//!
//! A step takes the encoded parts of one version and gives those of the next; it decodes with the struct that the old
//! version had, which stays in this file for ever. Stored bytes, hashes and commitments are never touched: only what is
//! read is lifted. This file does not know how bodies came to be read.

use serde::{Deserialize, Serialize};

use super::{Error, codec};
use crate::domain::event::{InputKind, OmissionRule, ToolFault};
use crate::domain::ids::{AgentNo, CallNo, ExecutorId};
use crate::domain::money::NanoUsd;
use crate::domain::text::Text;

/// The two encoded parts of a body; the private part without its salt, `None` once forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The public part.
    pub public: Vec<u8>,
    /// The private part.
    pub private: Option<Vec<u8>>,
}

/// Lifts the bodies of one kind from one version to the next.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The kind's number.
    pub kind: u16,
    /// The version that it takes; it gives the one after.
    pub from: u16,
    /// Does it.
    pub lift: fn(Parts) -> Result<Parts, String>,
}

/// The steps of this release.
pub const STEPS: &[Step] = &[
    Step { kind: 6, from: 1, lift: input_attached_1 },
    Step { kind: 20, from: 1, lift: attempt_started_1 },
    Step { kind: 23, from: 1, lift: call_replied_1 },
    Step { kind: 29, from: 1, lift: tool_ended_1 },
    Step { kind: 29, from: 2, lift: tool_ended_2 },
    Step { kind: 64, from: 1, lift: run_resumed_1 },
];

/// `RunResumed` in its first version: limits could not be changed.
#[derive(Deserialize)]
struct RunResumed1 {
    executor: ExecutorId,
    retry_failed: bool,
    meno_version: String,
}

/// `RunResumed` in its second version.
#[derive(Serialize)]
struct RunResumed2 {
    executor: ExecutorId,
    retry_failed: bool,
    meno_version: String,
    budget: Option<NanoUsd>,
    agent_budgets: Vec<(AgentNo, NanoUsd)>,
    allow_unpriced: bool,
}

fn run_resumed_1(parts: Parts) -> Result<Parts, String> {
    let RunResumed1 { executor, retry_failed, meno_version } = codec::read_part(&parts.public)?;
    let (budget, agent_budgets, allow_unpriced) = (None, Vec::new(), false);
    let lifted = RunResumed2 { executor, retry_failed, meno_version, budget, agent_budgets, allow_unpriced };
    Ok(Parts { public: codec::write_part(&lifted)?, ..parts })
}

/// The public part of `InputAttached` in its first version.
#[derive(Deserialize)]
struct InputAttached1 {
    input: String,
    kind: InputKind,
    files: u32,
    bytes: u64,
    left_out: u32,
}

/// The private part of `InputAttached` in its first version.
#[derive(Deserialize)]
struct InputAttached1Private {
    path: String,
    texts: Vec<(String, Text)>,
    omissions: Vec<(String, String)>,
}

/// The public part of `InputAttached` in its second version.
#[derive(Serialize)]
struct InputAttached2 {
    input: String,
    kind: InputKind,
    files: u32,
    bytes: u64,
    left_out: u32,
    omitted: Vec<(OmissionRule, u32)>,
}

/// The private part of `InputAttached` in its second version.
#[derive(Serialize)]
struct InputAttached2Private {
    path: String,
    texts: Vec<(String, Text)>,
    omissions: Vec<(String, String)>,
    rules: Vec<OmissionRule>,
}

/// `InputAttached` had no rules: they are read off the reasons.
fn input_attached_1(parts: Parts) -> Result<Parts, String> {
    let InputAttached1 { input, kind, files, bytes, left_out } = codec::read_part(&parts.public)?;
    let private: Option<InputAttached1Private> = parts.private.as_deref().map(codec::read_part).transpose()?;
    let rules: Vec<OmissionRule> = private.iter().flat_map(|private| &private.omissions).map(|(_, why)| rule_of(why)).collect();
    let counted = OmissionRule::ALL.iter().map(|rule| (*rule, rules.iter().filter(|other| *other == rule).count() as u32));
    let omitted = counted.filter(|(_, count)| *count > 0).collect();
    let public = codec::write_part(&InputAttached2 { input, kind, files, bytes, left_out, omitted })?;
    let lift = |old: InputAttached1Private| {
        let InputAttached1Private { path, texts, omissions } = old;
        codec::write_part(&InputAttached2Private { path, texts, omissions, rules })
    };
    Ok(Parts { public, private: private.map(lift).transpose()? })
}

/// The rule behind a reason in the words of the first version.
fn rule_of(why: &str) -> OmissionRule {
    let has = |words: &str| why.contains(words);
    if has("usually hold secrets") {
        OmissionRule::Secret
    } else if has("bytes are more than") {
        OmissionRule::TooLarge
    } else if has("would pass") || (why.starts_with("more than") && why.ends_with("files")) {
        OmissionRule::Limit
    } else if has("not a text in UTF-8") {
        OmissionRule::NotText
    } else {
        OmissionRule::Unreadable
    }
}

/// How an option is encoded that has no value.
const NONE: u8 = 0;

/// Version 1 of `AttemptStarted` had an empty private part: neither a task of its own nor an import's key.
fn attempt_started_1(mut parts: Parts) -> Result<Parts, String> {
    if let Some(private) = &mut parts.private {
        private.extend([NONE, NONE]);
    }
    Ok(parts)
}

/// The private part of `CallReplied` in its first version.
#[derive(Deserialize)]
struct CallReplied1Private {
    output: Text,
    reasoning: Option<Text>,
    tool_calls: String,
    model: Option<String>,
    request_id: Option<String>,
    stop_details: Option<String>,
}

/// The private part of `CallReplied` in its second version.
#[derive(Serialize)]
struct CallReplied2Private {
    output: Text,
    reasoning: Option<Text>,
    tool_calls: Text,
    model: Option<String>,
    request_id: Option<String>,
    stop_details: Option<String>,
}

/// The first version kept the tool calls in the log, however long they were.
fn call_replied_1(parts: Parts) -> Result<Parts, String> {
    let lift = |private: Vec<u8>| {
        let CallReplied1Private { output, reasoning, tool_calls, model, request_id, stop_details } = codec::read_part(&private)?;
        let tool_calls = Text::Inline(tool_calls);
        codec::write_part(&CallReplied2Private { output, reasoning, tool_calls, model, request_id, stop_details })
    };
    Ok(Parts { private: parts.private.map(lift).transpose()?, ..parts })
}

/// The public part of `ToolEnded` in its first version.
#[derive(Deserialize)]
struct ToolEnded1 {
    call: CallNo,
    tool_call: u32,
    ok: bool,
    latency_ms: u64,
}

/// The private part of `ToolEnded` in its first version.
#[derive(Deserialize)]
struct ToolEnded1Private {
    result: Text,
    diff: Option<Text>,
    originals: Vec<(String, Option<Text>)>,
}

/// The public part of `ToolEnded` in its second version.
#[derive(Serialize)]
struct ToolEnded2 {
    call: CallNo,
    tool_call: u32,
    ok: bool,
    latency_ms: u64,
    fault: Option<ToolFault>,
    bytes: Option<u64>,
    told_bytes: Option<u64>,
    repeats: Option<(CallNo, u32)>,
}

/// The private part of `ToolEnded` in its second version.
#[derive(Serialize)]
struct ToolEnded2Private {
    result: Text,
    whole: Option<Text>,
    diff: Option<Text>,
    originals: Vec<(String, Option<Text>)>,
}

/// The first version said neither why a tool failed nor how much of its result the model was told.
fn tool_ended_1(parts: Parts) -> Result<Parts, String> {
    let ToolEnded1 { call, tool_call, ok, latency_ms } = codec::read_part(&parts.public)?;
    let (fault, bytes, told_bytes, repeats) = (None, None, None, None);
    let public = codec::write_part(&ToolEnded2 { call, tool_call, ok, latency_ms, fault, bytes, told_bytes, repeats })?;
    let lift = |private: Vec<u8>| {
        let ToolEnded1Private { result, diff, originals } = codec::read_part(&private)?;
        codec::write_part(&ToolEnded2Private { result, whole: None, diff, originals })
    };
    Ok(Parts { public, private: parts.private.map(lift).transpose()? })
}

/// The second version knew no results that were recorded by another run: there is none.
fn tool_ended_2(mut parts: Parts) -> Result<Parts, String> {
    parts.public.push(NONE);
    Ok(parts)
}

/// Lifts `parts` of `kind` from version `from` to version `to` by `steps`, one after the other.
///
/// # Errors
/// [`Error::Damaged`] when a step is missing or cannot read the body.
pub fn upcast(steps: &[Step], kind: u16, from: u16, to: u16, mut parts: Parts) -> Result<Parts, Error> {
    for version in from..to {
        let step = steps.iter().find(|step| step.kind == kind && step.from == version);
        let step = step.ok_or_else(|| Error::Damaged(format!("version {version} of event kind {kind} was never released")))?;
        parts = (step.lift)(parts)
            .map_err(|why| Error::Damaged(format!("version {version} of event kind {kind} cannot be read: {why}")))?;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(mut parts: Parts, byte: u8) -> Result<Parts, String> {
        parts.public.push(byte);
        Ok(parts)
    }

    const KIND: u16 = 60_000;
    const STEPS: &[Step] = &[
        Step { kind: KIND, from: 2, lift: |parts| append(parts, b'c') },
        Step { kind: KIND, from: 1, lift: |parts| append(parts, b'b') },
        Step { kind: KIND + 1, from: 1, lift: |_| Err("odd".to_owned()) },
    ];

    fn body() -> Parts {
        Parts { public: b"a".to_vec(), private: None }
    }

    #[test]
    fn steps_are_taken_one_after_the_other() {
        assert_eq!(upcast(STEPS, KIND, 1, 3, body()).unwrap().public, b"abc");
        assert_eq!(upcast(STEPS, KIND, 2, 3, body()).unwrap().public, b"ac");
        assert_eq!(upcast(STEPS, KIND, 3, 3, body()).unwrap(), body());
    }

    #[test]
    fn a_missing_or_failing_step_is_an_error() {
        let missing = upcast(STEPS, KIND, 0, 3, body()).unwrap_err().to_string();
        assert_eq!(missing, "the log is damaged: version 0 of event kind 60000 was never released");
        assert!(upcast(STEPS, KIND + 1, 1, 2, body()).unwrap_err().to_string().ends_with("cannot be read: odd"));
    }

    #[test]
    fn every_kind_of_this_release_can_be_lifted_from_its_first_version() {
        for (kind, current, name) in crate::domain::event::KINDS {
            for version in 1..*current {
                assert!(
                    super::STEPS.iter().any(|step| step.kind == *kind && step.from == version),
                    "{name} v{version} has no step"
                );
            }
        }
    }
}
