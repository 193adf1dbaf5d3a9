//! `import …`: what comes in from elsewhere.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::tool_results;
use crate::lake::transcripts::ToolResults;

/// `import …`.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Import run histories, one JSON object per line
    Runs(ImportRunsArgs),
    /// Import the sessions of coding agents on this machine
    Transcripts(ImportTranscriptsArgs),
    /// Import another store's log, verified, bit for bit
    Events(ImportEventsArgs),
    /// Import runs and telemetry of the Python framework
    Peer(ImportPeerArgs),
    /// Import OpenTelemetry traces of model calls
    Otel(ImportOtelArgs),
}

/// `import peer`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads folders of runs (result.json and its neighbours) and telemetry (usage*.jsonl) of empathy-framework and attune-ai. A \
        mock run counts as simulated, and has the label simulated=true. Models, tokens and the tiers tried before the last one are not in those files and stay \
        unknown. A line of telemetry is a run of its own, because it does not name its run: of workflow `meta-workflow` it may be money \
        that a run's folder has too. Importing again takes in only what is new.\n\n\
        Examples:\n  meno import peer ~/.empathy\n  meno import peer ~/.attune/meta_workflows/executions\n  \
        meno costs --by template,label.simulated"
)]
pub struct ImportPeerArgs {
    /// The folder, or one file of telemetry
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

/// `import otel`.
#[derive(Debug, Args)]
#[command(
    after_help = "Files are OTLP JSON: one document or many, .json, .jsonl or .ndjson, also compressed as .gz. A trace becomes a run, agent \
        spans agents, model spans calls, tool spans tools; traces without model calls are left out. Costs are those of `meno telemetry export \
        --format otlp-json`, else estimates at the prices of the table. A trace of a run that is here already is not taken in again, and \
        a simulated one stays simulated. Prompts and answers are not taken in. Importing again takes in \
        only what is new.\n\n\
        Examples:\n  meno import otel traces.jsonl\n  meno import otel /var/lib/otel/traces"
)]
pub struct ImportOtelArgs {
    /// The file, or a folder of such files
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

/// `import runs`.
#[derive(Debug, Args)]
#[command(after_help = "A line looks like this (the whole form: schemas/import/run.schema.json):\n  \
        {\"run_id\": \"build-17\", \"template_id\": \"code_review\", \"started_at\": \"2026-10-01T09:30:00Z\",\n   \
        \"agents\": [{\"role\": \"reviewer\", \"task\": \"review the parser\",\n     \
        \"attempts\": [{\"tier\": \"cheap\", \"passed\": true, \"cost_usd\": 0.0042, \"output\": \"two findings\"}]}]}\n\n\
        Runs that are here already are not imported again, so a file may be imported as often as it grows.\n\n\
        Examples:\n  meno import runs histories.jsonl\n  zcat old.jsonl.gz | meno import runs - --source ci\n  \
        meno list-runs --mode imported")]
pub struct ImportRunsArgs {
    /// The file; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Name the system that the runs come from
    #[arg(long, value_name = "NAME", default_value = "file")]
    pub source: String,
    /// Import nothing unless every line is valid
    #[arg(long)]
    pub strict: bool,
}

/// `import transcripts`.
#[derive(Debug, Args)]
#[command(
    after_help = "Sources: claude-code (~/.claude, ~/.config/claude, $CLAUDE_CONFIG_DIR), codex (~/.codex, $CODEX_HOME), gemini \
        (~/.gemini), llm (its logs.db).\n\n\
        A session becomes a run, its main thread and each subagent an agent, each exchange an attempt. Prompts, answers, tools and \
        tokens are taken in; thinking is left out, keys are redacted. Costs are estimates at the prices of the table. Importing again takes \
        in only what is new.\n\n\
        Examples:\n  meno import transcripts\n  meno import transcripts claude-code --yes --watch\n  \
        meno import transcripts claude-code /backup/dot-claude --tool-results none\n  meno costs --by month,model,label.project"
)]
pub struct ImportTranscriptsArgs {
    /// The agent; without it, every one that is known
    #[arg(value_name = "SOURCE")]
    pub source: Option<String>,
    /// A folder or file instead of where the agent keeps its sessions
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Import what is found without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Import tool results: none, short (8 KiB each), all
    #[arg(long, value_name = "HOW MUCH", default_value = "short", value_parser = tool_results())]
    pub tool_results: ToolResults,
    /// Continue with what is written later, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// `import events`.
#[derive(Debug, Args)]
#[command(
    after_help = "Files come from `meno export DIR`; a folder of them is read in order. Every byte is checked: the chain, each \
        private part against its commitment, each text against its name. A store in which nothing has happened becomes the store that \
        the events come from; else they are kept beside its own log, as a chain of their own. Importing twice changes nothing, and what \
        was forgotten here does not come back.\n\nExamples:\n  meno import events handover --store ~/theirs\n  \
        meno import events handover/events-01J….jsonl"
)]
pub struct ImportEventsArgs {
    /// The file, or a folder of such files
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
}
