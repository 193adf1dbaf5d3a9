//! What can be typed after `run`, `resume`, `fork` and `rerun`.

use std::path::PathBuf;

use clap::Args;

use super::values::{Budget, KeyValue, RunRef, dollars, escalate, resolution, strategy, whole};
use crate::domain::event::{Escalate, Resolution};
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
    /// Read answers from JSON or TOML; - for stdin
    #[arg(long, value_name = "FILE", help_heading = "Answers")]
    pub answers: Option<PathBuf>,
    /// Give an answer, overriding the file's; repeatable
    #[arg(long = "set", value_name = "ID=VALUE", help_heading = "Answers")]
    pub set: Vec<KeyValue>,
    /// Give agents a file or folder as material; repeatable
    #[arg(long = "input", value_name = "ID=PATH", help_heading = "Answers")]
    pub inputs: Vec<KeyValue>,
    /// Run without material that the template needs
    #[arg(long, help_heading = "Answers")]
    pub no_material: bool,
    /// Set which tiers all agents may use
    #[arg(long, value_name = "STRATEGY", value_parser = strategy(), help_heading = "Models")]
    pub strategy: Option<Strategy>,
    /// Choose models: anthropic, openai, ollama, mixed, simulated
    #[arg(long, value_name = "PRESET", help_heading = "Models")]
    pub preset: Option<String>,
    /// Escalate to higher tiers: auto, ask, never
    #[arg(long, value_name = "HOW", value_parser = escalate(), help_heading = "Models", hide_possible_values = true)]
    pub escalate: Option<Escalate>,
    /// Limit the run's cost in US dollars
    #[arg(long, value_name = "USD", value_parser = dollars, allow_negative_numbers = true, help_heading = "Limits")]
    pub budget: Option<NanoUsd>,
    /// Run at most N agents at once
    #[arg(short, long, value_name = "N", value_parser = whole::<u16>(1..), help_heading = "Limits")]
    pub jobs: Option<u16>,
    /// Allow models without a price under a budget
    #[arg(long, help_heading = "Limits")]
    pub allow_unpriced: bool,
    /// Let agents write in the workspace
    #[arg(long, help_heading = "Limits")]
    pub allow_write: bool,
    /// Show team, reasons and expected cost; call no model
    #[arg(long, help_heading = "How to run")]
    pub dry_run: bool,
    /// Set the seed for everything random
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0..), help_heading = "How to run")]
    pub seed: Option<u64>,
    /// Fix time and ids by MENO_CLOCK and MENO_SEED
    #[arg(long, help_heading = "How to run")]
    pub deterministic: bool,
    /// Add a label to find the run by; repeatable
    #[arg(long = "label", value_name = "K=V", help_heading = "How to run")]
    pub labels: Vec<KeyValue>,
}

/// `resume`.
#[derive(Debug, Args)]
#[command(
    after_help = "A run that a budget stopped continues with `--retry-failed --budget USD`; ROLE=USD raises the budget of one agent.\n\n\
        Examples:\n  meno resume last\n  meno resume last --approve\n  meno resume 7QW2 --retry-failed\n  \
        meno resume 7QW2 --retry-failed --budget 2.50"
)]
pub struct ResumeArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Allow the escalation that the run waits for
    #[arg(long, conflicts_with = "deny")]
    pub approve: bool,
    /// Forbid the escalation that the run waits for
    #[arg(long)]
    pub deny: bool,
    /// Retry failed agents
    #[arg(long)]
    pub retry_failed: bool,
    /// Limit the cost in US dollars, or an agent's: ROLE=USD
    #[arg(long = "budget", value_name = "[ROLE=]USD", allow_negative_numbers = true)]
    pub budgets: Vec<Budget>,
    /// Allow models without a price under a budget
    #[arg(long)]
    pub allow_unpriced: bool,
    /// Let agents write in the workspace
    #[arg(long)]
    pub allow_write: bool,
    /// Give a missing answer; repeatable
    #[arg(long = "set", value_name = "ID=VALUE")]
    pub set: Vec<KeyValue>,
}

/// `resolve`.
#[derive(Debug, Args)]
#[command(
    after_help = "When meno is stopped by force while a tool runs that must not run twice, only you can find out whether it had finished. \
        Look, then answer: `done` continues as if it had ended well, `not-done` runs it again, with `unknown` the agent reads that it is not known.\n\n\
        Examples:\n  meno resolve last done\n  meno resolve 7QW2 --tool 3 not-done"
)]
pub struct ResolveArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Whether the tool had finished: done, not-done, unknown
    #[arg(value_name = "ANSWER", value_parser = resolution())]
    pub answer: Resolution,
    /// Name the tool, where the run waits for several
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..))]
    pub tool: Option<u32>,
    /// Let agents write in the workspace
    #[arg(long)]
    pub allow_write: bool,
}

/// `undo`.
#[derive(Debug, Args)]
#[command(
    after_help = "Newest first, and only where a file still is what the run left; any other is named and stays as it is. What programs \
        changed that an agent ran is not known, and not taken back.\n\n\
        Examples:\n  meno undo last --dry-run\n  meno undo 7QW2"
)]
pub struct UndoArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Take back only what this role wrote
    #[arg(long, value_name = "ROLE")]
    pub agent: Option<String>,
    /// Show what would be taken back; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `fork`.
#[derive(Debug, Args)]
#[command(
    after_help = "A new run begins where the other one was: with its template, settings, prices, answers and material as they were recorded, \
        and with the work of it that still counts, which is marked and paid for there.\n\n\
        With --at the fork continues from that position in the log; a number below the run's first position counts the run's own events. With --agent that role works again, and the agents that wait for it; other agents that failed there count as failed, unless \
        --retry-failed lets them work again too. With neither, \
        the answers of agents that succeeded are used where their prompts would be the same, and all others work again: --set changes answers, --strategy \
        how the others escalate.\n\n\
        Examples:\n  meno fork last --agent publisher --strategy premium_only\n  meno fork 7QW2 --set checks=Security\n  \
        meno fork last --at 42"
)]
pub struct ForkArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Continue from this position, or the run's event number
    #[arg(long, value_name = "SEQ", value_parser = whole::<u64>(1..), conflicts_with = "agent")]
    pub at: Option<u64>,
    /// Repeat this role and the agents that depend on it
    #[arg(long, value_name = "ROLE")]
    pub agent: Option<String>,
    /// Retry other failed agents too, with --agent
    #[arg(long, requires = "agent")]
    pub retry_failed: bool,
    /// Change an answer; repeatable
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
        --agent only that role and the agents that depend on it are repeated. Where a conversation goes as it went, an agent that can only \
        look is given what its tools found then; --fresh-tools looks again.\n\n\
        Examples:\n  meno rerun last --seed 8\n  meno rerun last --agent publisher"
)]
pub struct RerunArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Repeat only this role and agents that depend on it
    #[arg(long, value_name = "ROLE")]
    pub agent: Option<String>,
    /// How it differs otherwise.
    #[command(flatten)]
    pub terms: NewTerms,
}

/// What a run that begins with another one's record may have of its own.
#[derive(Clone, Debug, Args)]
pub struct NewTerms {
    /// Set which tiers all agents may use
    #[arg(long, value_name = "STRATEGY", value_parser = strategy())]
    pub strategy: Option<Strategy>,
    /// Limit the cost in US dollars
    #[arg(long, value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    pub budget: Option<NanoUsd>,
    /// Escalate to higher tiers: auto, ask, never
    #[arg(long, value_name = "HOW", value_parser = escalate(), hide_possible_values = true)]
    pub escalate: Option<Escalate>,
    /// Set another seed for everything random
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0..))]
    pub seed: Option<u64>,
    /// Add a label to those of the run; repeatable
    #[arg(long = "label", value_name = "K=V")]
    pub labels: Vec<KeyValue>,
    /// Run reading tools again instead of reusing recorded results
    #[arg(long)]
    pub fresh_tools: bool,
    /// Let agents write in the workspace
    #[arg(long)]
    pub allow_write: bool,
}
