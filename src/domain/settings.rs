//! The settings after resolution: every value is valid, every tier that can run names its provider.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Escalate;
use super::judge::Edition;
use super::money::NanoUsd;
use super::template::Capture;
use super::tier::{Strategy, Tier};
use super::tool::{ToolEffect, ToolSpec};

/// The resolved settings, free of secrets: what a run records and a replay reads again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The preset that filled the tiers, if one did.
    pub preset: Option<String>,
    /// Which model serves which tier.
    pub tiers: Tiers,
    /// The providers by name.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// How runs go.
    pub run: RunSettings,
    /// The budget of a UTC day over all runs.
    pub per_day_budget: Option<NanoUsd>,
    /// What tools may do.
    pub tools: ToolSettings,
    /// Servers of the Model Context Protocol by name. They are this machine's affair and are recorded with no run; the tools that agents were
    /// offered stand in the catalogue.
    #[serde(skip)]
    pub mcp: BTreeMap<String, McpSettings>,
    /// What is kept.
    pub capture: CaptureSettings,
    /// Where the keys of encrypted payloads are. That is this machine's affair and is recorded with no run.
    #[serde(skip)]
    pub encryption: EncryptionSettings,
    /// What the capture level `redacted` removes besides keys and tokens. It has names in it, and is recorded with no run.
    #[serde(skip)]
    pub redaction: RedactionSettings,
    /// Search and recommendations.
    pub memory: MemorySettings,
    /// Days after which runs may be purged; 0 keeps everything.
    pub retention_days: u32,
    /// The simulated provider.
    pub simulated: SimulatedSettings,
    /// The rules by which code judges: no setting of a user's, but recorded with them, so that a run keeps those that it started under.
    #[serde(default = "Edition::before_any")]
    pub judging: Edition,
}

/// The models of the tiers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tiers {
    /// The cheap tier.
    pub cheap: Option<TierSettings>,
    /// The capable tier.
    pub capable: Option<TierSettings>,
    /// The premium tier.
    pub premium: Option<TierSettings>,
    /// The model that judges, instead of the next higher tier's.
    pub judge: Option<TierSettings>,
}

impl Tiers {
    /// Returns the model of `tier`.
    pub fn get(&self, tier: Tier) -> Option<&TierSettings> {
        match tier {
            Tier::Cheap => self.cheap.as_ref(),
            Tier::Capable => self.capable.as_ref(),
            Tier::Premium => self.premium.as_ref(),
        }
    }
}

/// The model of one tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierSettings {
    /// The provider's name.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Output tokens of one call, at most. Default 8192.
    pub max_output_tokens: u64,
    /// The context window in tokens; from the price table unless set.
    pub context_tokens: Option<u64>,
    /// Reasoning effort, sent only when set.
    pub effort: Option<String>,
    /// Models that take over when this one cannot be reached or is out of quota.
    pub fallbacks: Vec<ModelRef>,
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelRef {
    /// The provider's name.
    pub provider: String,
    /// The model.
    pub model: String,
}

/// The wire format that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions, and whatever is compatible.
    OpenaiChat,
    /// OpenAI Responses.
    OpenaiResponses,
    /// Ollama `/api/chat`.
    Ollama,
    /// The embedded simulation.
    Simulated,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthScheme {
    /// `x-api-key: KEY`.
    XApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `api-key: KEY`, as Azure wants it.
    ApiKey,
    /// No key.
    None,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderSettings {
    /// The wire format.
    pub kind: ProviderKind,
    /// Where it is: scheme, host, port and path prefix.
    pub base_url: String,
    /// The environment variable that holds the key; never the key.
    pub api_key_env: Option<String>,
    /// How the key is sent.
    pub auth: AuthScheme,
    /// The value of `anthropic-version`.
    pub api_version: Option<String>,
    /// Extra headers, never secret.
    pub headers: BTreeMap<String, String>,
    /// Requests at once, at most.
    pub max_concurrent: u32,
    /// Seconds to connect.
    pub connect_s: f64,
    /// Seconds until the first byte.
    pub first_byte_s: f64,
    /// Seconds between pieces of a stream.
    pub idle_s: f64,
    /// Tries after the first one.
    pub retries: u32,
    /// Plain http beyond loopback is allowed.
    pub allow_http: bool,
    /// The key may be sent to `base_url`'s origin: both stand in the same trusted source.
    pub key_bound: bool,
}

/// How runs go unless flags or rules say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// The strategy where neither rule nor template says one.
    pub strategy: Strategy,
    /// Agents at work at once, at most.
    pub jobs: u16,
    /// Attempts at one tier, at most.
    pub max_attempts_per_tier: u32,
    /// What to do when an agent is to escalate.
    pub escalate: Escalate,
    /// The budget of one run.
    pub budget: Option<NanoUsd>,
    /// Under a budget, models without a price may be called.
    pub allow_unpriced: bool,
}

/// What keeps the programs that agents run to the workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// Nothing.
    Off,
    /// What this system can.
    #[default]
    Auto,
    /// All of it, or no program runs.
    Require,
}

/// What tools may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolSettings {
    /// Programs that agents may run.
    pub commands: Vec<String>,
    /// Agents may write in the workspace.
    pub allow_write: bool,
    /// Paths of the workspace that no tool may read, in the syntax of `.gitignore`.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Variables of the environment that programs have besides the usual ones.
    #[serde(default)]
    pub env: Vec<String>,
    /// What running these programs does; of others it is not known.
    #[serde(default)]
    pub effects: BTreeMap<String, ToolEffect>,
    /// What keeps programs to the workspace.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Folders that programs may read besides.
    #[serde(default)]
    pub readable: Vec<String>,
    /// Programs may open TCP connections.
    #[serde(default)]
    pub network: bool,
    /// What of this the system did not enforce when the run began, in words: no setting of a user's, but recorded with them. Empty also
    /// where no program runs.
    #[serde(default)]
    pub unenforced: Vec<String>,
    /// Origins that may be fetched from.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Turns with tools in one attempt, at most.
    #[serde(default)]
    pub max_turns: u32,
    /// A conversation with tools is held against its model's window before each call: no setting of a user's, but recorded with them, since
    /// runs of before sent whatever they had.
    #[serde(default)]
    pub checks_windows: bool,
    /// Agents that only look are given what the run that this one was forked from recorded: no setting of a user's, but recorded with
    /// them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reuses_results: bool,
    /// The tools that the run's agents may be offered: no setting of a user's, but recorded with them, so that a run keeps what it
    /// started with. Runs that recorded none offer none.
    #[serde(default)]
    pub catalogue: Vec<ToolSpec>,
    /// Of tools of MCP servers in the catalogue: their name there, by the name under which agents list them, `mcp:SERVER/TOOL`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mcp_tools: BTreeMap<String, String>,
}

impl ToolSettings {
    /// Returns the tools of the catalogue that an agent has by listing `listed`: a tool's name, `mcp:SERVER/TOOL` or `mcp:SERVER/*`.
    pub fn by_listing(&self, listed: &str) -> Vec<&ToolSpec> {
        let of_catalogue = |name: &str| self.catalogue.iter().find(|spec| spec.name == name);
        if let Some(prefix) = listed.strip_suffix('*').filter(|prefix| prefix.starts_with("mcp:") && prefix.ends_with('/')) {
            let meant = self.mcp_tools.iter().filter(|(name, _)| name.starts_with(prefix));
            return meant.filter_map(|(_, name)| of_catalogue(name)).collect();
        }
        match self.mcp_tools.get(listed) {
            Some(name) => of_catalogue(name).into_iter().collect(),
            // A server's tool is had by its own name only.
            None if self.mcp_tools.values().any(|name| name == listed) => Vec::new(),
            None => of_catalogue(listed).into_iter().collect(),
        }
    }
}

/// A server of the Model Context Protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct McpSettings {
    /// The program that is started, with its arguments; empty for one that is reached by its address.
    pub command: Vec<String>,
    /// The address of a server that is there.
    pub url: Option<String>,
    /// The variable with the token that it is brought.
    pub token_env: Option<String>,
    /// Variables of the environment that it has besides the usual ones.
    pub env: Vec<String>,
    /// What it says its tools do to the world is believed.
    pub trust_annotations: bool,
    /// Seconds until it must have started.
    pub start_s: f64,
    /// Seconds that a call of a tool may take without a word of its progress.
    pub timeout_s: f64,
}

impl McpSettings {
    /// Returns what the server is known by: another command or address is another server.
    pub fn identity(&self) -> Vec<String> {
        self.url.iter().chain(&self.command).cloned().collect()
    }
}

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureSettings {
    /// Prompts.
    pub prompts: Capture,
    /// Outputs.
    pub outputs: Capture,
    /// Answers.
    pub answers: Capture,
}

/// What the capture level `redacted` removes besides keys and tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedactionSettings {
    /// E-mail addresses.
    pub emails: bool,
    /// Telephone numbers.
    pub phones: bool,
    /// These names.
    pub names: Vec<String>,
    /// Whatever looks random.
    pub entropy: bool,
}

/// Where the keys of encrypted payloads are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptionSettings {
    /// The key for new payloads; without it they are not encrypted.
    pub key: Option<KeySource>,
    /// The key before, while payloads are being brought under the new one.
    pub old_key: Option<KeySource>,
}

/// Where a key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// In whatever this program with its arguments asks; it prints the key.
    Command(Vec<String>),
    /// A file and a command at once: nobody can say which is meant.
    Both,
    /// Where a store says that is not trusted: nobody looks there, and nothing is written in clear instead.
    Untrusted,
}

impl CaptureSettings {
    /// Returns whether everything is kept as it is.
    pub fn is_full(self) -> bool {
        self == Self::default()
    }

    /// Returns the stricter level of both for each kind of text.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            prompts: self.prompts.max(other.prompts),
            outputs: self.outputs.max(other.outputs),
            answers: self.answers.max(other.answers),
        }
    }
}

/// Search and recommendations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemorySettings {
    /// The embedding model.
    pub model: String,
    /// Days after which an observation counts half.
    pub half_life_days: f64,
    /// Observations below which nothing is claimed.
    pub min_sample: u32,
    /// How long a run lasts before what has no vector yet is embedded beside it, in milliseconds; 0: never.
    #[serde(default)]
    pub embed_ms: u64,
}

/// The simulated provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SimulatedSettings {
    /// Milliseconds per call.
    pub delay_ms: u64,
    /// A file of scripted replies; empty for none.
    pub script: String,
}
