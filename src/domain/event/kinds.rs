//! Every kind of event, in its current version. See the rules in [`super`] before you change a line.

use serde::{Deserialize, Serialize};

use super::enums::*;
use super::{BodyReader, BodyWriter};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, ExecutorId, Hash, NodeId, RunId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage, UnitPrices, UsageSource};
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};

/// Declares the kinds: number on disk, current version, public fields, private fields.
macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $kind:ident = $number:literal v $version:literal {
            $( $(#[$fdoc:meta])* $field:ident : $type:ty, )*
        } private $private:ident {
            $( $(#[$pdoc:meta])* $pfield:ident : $ptype:ty, )*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct $kind {
                $( $(#[$fdoc])* pub $field: $type, )*
                /// The private part; `None` once forgotten.
                #[serde(skip)]
                pub private: Option<$private>,
            }

            #[doc = concat!("The private part of [`", stringify!($kind), "`].")]
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct $private {
                $( $(#[$pdoc])* pub $pfield: $ptype, )*
            }

            impl From<$kind> for Event {
                fn from(body: $kind) -> Self {
                    Self::$kind(body)
                }
            }
        )*

        /// An event's body, of any kind.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "events are few at a time; a box would cost every fold a look-up")]
        pub enum Event {
            $( #[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind), )*
        }

        /// The kinds this version knows: (number on disk, current version, name).
        pub const KINDS: &[(u16, u16, &str)] = &[$( ($number, $version, stringify!($kind)), )*];

        impl Event {
            /// Returns the kind's number on disk and its current version.
            pub fn kind(&self) -> (u16, u16) {
                match self { $( Self::$kind(_) => ($number, $version), )* }
            }

            /// Returns the kind's name, as users see it.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$kind(_) => stringify!($kind), )* }
            }

            /// Encodes the public part with `write`.
            pub(crate) fn write_public<W: BodyWriter>(&self, write: &mut W) -> Result<(), W::Error> {
                match self { $( Self::$kind(body) => write.write(body), )* }
            }

            /// Encodes the private part with `write`; returns false and writes nothing when it is gone.
            pub(crate) fn write_private<W: BodyWriter>(&self, write: &mut W) -> Result<bool, W::Error> {
                match self { $( Self::$kind(body) => match &body.private {
                    Some(private) => write.write(private).map(|()| true),
                    None => Ok(false),
                }, )* }
            }

            /// Reads a body of kind `number` in its current version; `None` when the kind is not known.
            /// `private` is absent when it was forgotten.
            pub(crate) fn read<R: BodyReader>(number: u16, public: R, private: Option<R>) -> Option<Result<Self, R::Error>> {
                match number {
                    $( $number => Some((|| {
                        let mut body: $kind = public.read()?;
                        body.private = match private { Some(reader) => Some(reader.read()?), None => None };
                        Ok(Self::$kind(body))
                    })()), )*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    // ---- form ----------------------------------------------------------------------------------------------------

    /// A run began: everything that later decisions need, recorded so that no file of today is read again.
    RunStarted = 1 v 1 {
        /// The template's id.
        template_id: String,
        /// The template's version.
        template_version: String,
        /// BLAKE3 of the template's text.
        template_hash: Hash,
        /// Who produced the run: `None` for Meno itself, else the foreign system's name.
        source: Option<String>,
        /// Whether models were real, simulated or unknown to Meno.
        mode: Mode,
        /// A strategy given for the whole run, over what the rules say.
        strategy: Option<Strategy>,
        /// The run's budget for work and judging together.
        budget: Option<NanoUsd>,
        /// Calls of models without a price are allowed under a budget.
        allow_unpriced: bool,
        /// What to do when an agent is to escalate.
        escalate: Escalate,
        /// Agents at work at once, at most.
        jobs: u16,
        /// The seed of everything random in this run.
        seed: u64,
        /// The price table's date, `2026-11-22`.
        prices_as_of: String,
        /// BLAKE3 of the price table in force.
        prices_hash: Hash,
        /// Meno's version.
        meno_version: String,
        /// The process that executes.
        executor: ExecutorId,
    } private RunStartedPrivate {
        /// The run's id in the system that it was imported from.
        foreign_run_id: Option<String>,
        /// The template, as JSON.
        template: Text,
        /// The base agents used, as a JSON object by id.
        base_agents: Text,
        /// The resolved settings, without secrets, as JSON.
        settings: Text,
        /// The price rows of the models that may be used, as JSON.
        prices: Text,
        /// The folder that the run was started in.
        workspace: String,
        /// The user, hashed with the store's salt.
        user: String,
        /// Labels given with `--label`, in order.
        labels: Vec<(String, String)>,
    }

    /// Questions were put to a person.
    QuestionsShown = 2 v 1 {
        /// Ids of the questions, in order.
        questions: Vec<String>,
    } private QuestionsShownPrivate {}

    /// A question was answered.
    AnswerGiven = 3 v 1 {
        /// The question's id.
        question: String,
        /// Where the answer came from.
        source: AnswerSource,
        /// The answer is a secret: only that it was given is known here.
        secret: bool,
    } private AnswerGivenPrivate {
        /// The value as JSON; `null` for a secret.
        value: String,
    }

    /// An answer given earlier was replaced or taken back.
    AnswerChanged = 4 v 1 {
        /// The question's id.
        question: String,
        /// Where the answer came from.
        source: AnswerSource,
        /// The answer is a secret.
        secret: bool,
        /// The answer was taken back, because its question is hidden now.
        removed: bool,
    } private AnswerChangedPrivate {
        /// The value as JSON; `null` for a secret or a removed answer.
        value: String,
    }

    /// The form is complete and valid.
    FormCompleted = 5 v 1 {
        /// How many questions have an answer.
        answered: u32,
        /// Questions that their `when` hides.
        hidden: Vec<String>,
    } private FormCompletedPrivate {}

    /// Material was given to the run.
    InputAttached = 6 v 2 {
        /// The input's id.
        input: String,
        /// File, folder or text.
        kind: InputKind,
        /// How many files were taken.
        files: u32,
        /// How many bytes were taken.
        bytes: u64,
        /// How many files and folders were left out.
        left_out: u32,
        /// How many of them by which rule.
        omitted: Vec<(OmissionRule, u32)>,
    } private InputAttachedPrivate {
        /// Where it was read from.
        path: String,
        /// The files taken: name relative to `path`, and text.
        texts: Vec<(String, Text)>,
        /// What was left out, the first few hundred: name relative to `path`, with `/` after a folder's, and why.
        omissions: Vec<(String, String)>,
        /// The rule of each of `omissions`.
        rules: Vec<OmissionRule>,
    }

    // ---- team ----------------------------------------------------------------------------------------------------

    /// A rule made an agent.
    AgentPlanned = 10 v 1 {
        /// The agent's number.
        agent: AgentNo,
        /// The rule's number in the template, from 0.
        rule: u32,
        /// The rule's role.
        role: String,
        /// The base agent's id.
        base: String,
        /// Which tiers it may use.
        strategy: Strategy,
        /// Names of the tools asked for.
        tools: Vec<String>,
        /// Agents that must have ended before.
        depends_on: Vec<AgentNo>,
        /// Attempts at one tier, at most.
        max_attempts_per_tier: u32,
        /// The agent's own budget.
        budget: Option<NanoUsd>,
        /// What its failure means for the run.
        on_failure: OnFailure,
        /// An unknown verdict fails the attempt.
        strict: bool,
        /// With weights: the share of known weight that must pass, 0 to 1.
        threshold: Option<f64>,
    } private AgentPlannedPrivate {
        /// The answer's item that `foreach` made this agent for.
        item: Option<String>,
        /// The resolved configuration, as a JSON object.
        config: String,
        /// The criteria with placeholders filled, as a JSON array.
        criteria: String,
        /// The rule's prompt with placeholders filled, but for inputs and other agents' outputs; to be read and searched. What a
        /// model is told is composed anew from the template, so that nothing inside an answer is taken for a placeholder.
        task: String,
        /// Why the rule made it, in words.
        because: String,
    }

    /// A rule made no agent.
    RuleSkipped = 11 v 1 {
        /// The rule's number in the template, from 0.
        rule: u32,
        /// The rule's role.
        role: String,
        /// The question of the first condition that failed.
        question: Option<String>,
    } private RuleSkippedPrivate {
        /// The condition in words, with the answer that it met.
        because: String,
    }

    /// The tier to start at was chosen.
    StartTierChosen = 12 v 1 {
        /// The agent.
        agent: AgentNo,
        /// Where it starts.
        tier: Tier,
        /// The strategy's first tier, or the agent's history.
        by: ChosenBy,
        /// Past runs that speak for it.
        evidence: Vec<RunId>,
    } private StartTierChosenPrivate {
        /// Why, in words.
        because: String,
    }

    // ---- attempt -------------------------------------------------------------------------------------------------

    /// An agent began to try.
    AttemptStarted = 20 v 2 {
        /// The agent.
        agent: AgentNo,
        /// The attempt's number within the agent.
        attempt: AttemptNo,
        /// The tier.
        tier: Tier,
    } private AttemptStartedPrivate {
        /// What it was asked, where each attempt of an agent is asked something else: a person's prompt in an imported session.
        task: Option<Text>,
        /// By which an import knows what it has taken in already.
        import_key: Option<String>,
    }

    /// A model is about to be called; durable before the request leaves.
    CallStarted = 21 v 1 {
        /// The call's number within the run.
        call: CallNo,
        /// The agent.
        agent: AgentNo,
        /// The attempt.
        attempt: AttemptNo,
        /// Work or judging.
        purpose: Purpose,
        /// The provider's name in the settings.
        provider: String,
        /// The model asked for.
        model: String,
        /// Input tokens estimated.
        estimated_input: u64,
        /// Output tokens allowed.
        max_output: u64,
        /// The worst case at this model's price; `None` when the model has no price.
        reserved: Option<NanoUsd>,
        /// The UTC day, in days since the epoch, whose budget the worst case counts against.
        day: u32,
    } private CallStartedPrivate {
        /// The system message.
        system: Text,
        /// The user message.
        prompt: Text,
        /// Further messages of a tool conversation, as JSON.
        transcript: Option<Text>,
        /// Other parameters sent, as a JSON object.
        parameters: String,
    }

    /// A request failed in a way that is worth another try, and one follows.
    RequestRetried = 22 v 1 {
        /// The call.
        call: CallNo,
        /// Which try failed, from 1.
        failed_try: u32,
        /// What failed.
        class: ErrorClass,
        /// The HTTP status, when there was one.
        status: Option<u16>,
        /// How long Meno waits before the next try, in milliseconds.
        waited_ms: u64,
        /// Tokens that the failed try is known to have used.
        usage: Option<TokenUsage>,
    } private RequestRetriedPrivate {
        /// What the provider or the connection said, redacted.
        message: String,
    }

    /// A model replied.
    CallReplied = 23 v 2 {
        /// The call.
        call: CallNo,
        /// Why the model stopped.
        stop: StopReason,
        /// Tokens used.
        usage: TokenUsage,
        /// Who counted them.
        usage_source: UsageSource,
        /// From the request's start to the reply's end, retries included, in milliseconds.
        latency_ms: u64,
        /// From the last try's start to its first piece of output, in milliseconds.
        first_token_ms: Option<u64>,
    } private CallRepliedPrivate {
        /// The text.
        output: Text,
        /// Reasoning that the provider showed.
        reasoning: Option<Text>,
        /// Tool calls asked for, as a JSON array; an empty text when there are none.
        tool_calls: Text,
        /// The model that the provider says it used.
        model: Option<String>,
        /// The provider's id of the request.
        request_id: Option<String>,
        /// What a refusal or a filter said.
        stop_details: Option<String>,
    }

    /// A call ended without a usable reply.
    CallFailed = 24 v 1 {
        /// The call.
        call: CallNo,
        /// What failed.
        class: ErrorClass,
        /// The HTTP status, when there was one.
        status: Option<u16>,
        /// Another try might succeed.
        retryable: bool,
        /// Tokens that it is known to have used.
        usage: Option<TokenUsage>,
        /// From the request's start to the failure, in milliseconds.
        latency_ms: u64,
    } private CallFailedPrivate {
        /// The provider's code.
        code: Option<String>,
        /// What the provider or the connection said, redacted.
        message: String,
        /// The provider's id of the request.
        request_id: Option<String>,
    }

    /// A call was dropped by Meno before it ended.
    CallCancelled = 25 v 1 {
        /// The call.
        call: CallNo,
        /// Tokens that it is known to have used.
        usage: Option<TokenUsage>,
    } private CallCancelledPrivate {}

    /// A call's end was never recorded: its process died. What it cost is not known.
    CallLost = 26 v 1 {
        /// The call.
        call: CallNo,
        /// What the budget keeps set aside for it.
        reserved: Option<NanoUsd>,
    } private CallLostPrivate {}

    /// A tier's next fallback took over within an attempt.
    ProviderSwitched = 27 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The attempt.
        attempt: AttemptNo,
        /// Work or judging.
        purpose: Purpose,
        /// What failed.
        class: ErrorClass,
        /// The provider that failed.
        from_provider: String,
        /// Its model.
        from_model: String,
        /// The provider that takes over.
        to_provider: String,
        /// Its model.
        to_model: String,
    } private ProviderSwitchedPrivate {}

    /// A tool is about to run; durable before any side effect.
    ToolStarted = 28 v 1 {
        /// The model call that asked for it.
        call: CallNo,
        /// Its number within the call, from 0.
        tool_call: u32,
        /// The tool.
        tool: String,
        /// It may change something.
        writes: bool,
    } private ToolStartedPrivate {
        /// The arguments, as JSON.
        arguments: Text,
    }

    /// A tool ended.
    ToolEnded = 29 v 3 {
        /// The model call that asked for it.
        call: CallNo,
        /// Its number within the call, from 0.
        tool_call: u32,
        /// It did what it was asked.
        ok: bool,
        /// How long it took, in milliseconds.
        latency_ms: u64,
        /// Why it did not; `None` also where that is not known.
        fault: Option<ToolFault>,
        /// Bytes of the whole result; `None` in records that did not count them.
        bytes: Option<u64>,
        /// Of these, how many the model is told.
        told_bytes: Option<u64>,
        /// The call and number of the tool call of the same attempt whose recorded result this one repeats: nothing ran.
        repeats: Option<(CallNo, u32)>,
        /// The run, call and number of the tool call whose recorded result this one is given: nothing ran.
        reused: Option<(RunId, CallNo, u32)>,
    } private ToolEndedPrivate {
        /// What the model is told.
        result: Text,
        /// The whole result, where the model is told less.
        whole: Option<Text>,
        /// What changed, as a unified diff.
        diff: Option<Text>,
        /// Files changed: path, and content before (`None`: the file was new).
        originals: Vec<(String, Option<Text>)>,
    }

    /// An attempt ended.
    AttemptEnded = 30 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The attempt.
        attempt: AttemptNo,
        /// How.
        outcome: AttemptOutcome,
        /// It passed and every criterion is known.
        verified: bool,
        /// Its signals: malformed, refusal and so on.
        signals: Vec<Signal>,
        /// From its start to its end, in milliseconds.
        duration_ms: u64,
    } private AttemptEndedPrivate {}

    /// An attempt that another system made.
    AttemptImported = 31 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The attempt.
        attempt: AttemptNo,
        /// The tier.
        tier: Tier,
        /// The provider, when known.
        provider: Option<String>,
        /// The model, when known.
        model: Option<String>,
        /// It passed.
        passed: bool,
        /// Tokens, when known.
        usage: Option<TokenUsage>,
        /// How long it took, when known, in milliseconds.
        duration_ms: Option<u64>,
    } private AttemptImportedPrivate {
        /// The text, when known.
        output: Option<Text>,
        /// Criteria that failed.
        failed_criteria: Vec<String>,
    }

    /// An attempt of the run that this one was forked from counts here too. It was made and paid for there.
    AttemptInherited = 32 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The attempt: its number there and here.
        attempt: AttemptNo,
        /// The tier.
        tier: Tier,
        /// The run that made it.
        run: RunId,
        /// Where that run's stream has its end.
        version: u64,
        /// The provider that worked last; empty when none did.
        provider: String,
        /// The model that worked last; empty when none did.
        model: String,
        /// Output tokens allowed, at most; 0 when no model was called.
        max_output: u64,
        /// Why the model stopped.
        stop: Option<StopReason>,
        /// How it ended.
        outcome: AttemptOutcome,
        /// It passed and every criterion is known.
        verified: bool,
        /// Its signals: malformed, refusal and so on.
        signals: Vec<Signal>,
        /// The verdicts on its criteria, in their order.
        verdicts: Vec<InheritedVerdict>,
    } private AttemptInheritedPrivate {
        /// BLAKE3 of what the agent was first told, by which a later fork sees whether that changed.
        prompt: Hash,
        /// The answer.
        output: Option<Text>,
        /// Name and evidence of each verdict.
        criteria: Vec<(String, String)>,
    }

    /// A decision saw something outside the log; recorded before what it decides.
    FactObserved = 33 v 1 {
        /// The agent.
        agent: AgentNo,
        /// What was seen.
        fact: Fact,
        /// The attempt; `None` before one began.
        attempt: Option<AttemptNo>,
    } private FactObservedPrivate {
        /// What it is about: the file's path as the criterion spells it, the program with its arguments as a JSON array; else empty.
        subject: String,
        /// What a program wrote.
        output: Option<Text>,
        /// BLAKE3 of a file's content before the attempt.
        before: Option<Hash>,
        /// BLAKE3 of its content afterwards.
        after: Option<Hash>,
    }

    // ---- money ---------------------------------------------------------------------------------------------------

    /// A call cost something, or its cost is not known.
    CostIncurred = 40 v 1 {
        /// The call; `None` for imports.
        call: Option<CallNo>,
        /// The agent.
        agent: AgentNo,
        /// The attempt.
        attempt: AttemptNo,
        /// The tier.
        tier: Tier,
        /// Work or judging.
        purpose: Purpose,
        /// The provider, when known.
        provider: Option<String>,
        /// The model, when known.
        model: Option<String>,
        /// The amount; `None` when the model has no price.
        amount: Option<NanoUsd>,
        /// Tokens, when known.
        usage: Option<TokenUsage>,
        /// The prices used, of the band that applied.
        unit_prices: Option<UnitPrices>,
        /// The band: total input tokens above which it applies; 0 for the base prices.
        band_above: u64,
        /// How the amount came about.
        source: CostSource,
        /// What the provider itself said that it cost.
        reported: Option<NanoUsd>,
    } private CostIncurredPrivate {}

    // ---- judgement -----------------------------------------------------------------------------------------------

    /// A criterion was judged.
    CriterionJudged = 50 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The attempt.
        attempt: AttemptNo,
        /// The criterion's number within the agent, from 0.
        criterion: u32,
        /// The verdict.
        verdict: Verdict,
        /// A judge's score, 0 to 1.
        score: Option<f64>,
        /// Who judged.
        by: JudgedBy,
    } private CriterionJudgedPrivate {
        /// The criterion's name or its words.
        name: String,
        /// What speaks for the verdict.
        evidence: String,
    }

    /// An agent moved up a tier.
    TierEscalated = 51 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The failed attempt.
        attempt: AttemptNo,
        /// The tier left.
        from: Tier,
        /// The tier entered.
        to: Tier,
        /// Why.
        reason: EscalationReason,
        /// Numbers of the criteria that failed.
        failed: Vec<u32>,
    } private TierEscalatedPrivate {}

    /// An agent is to escalate and a person must say whether it may.
    ApprovalAsked = 52 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The failed attempt.
        attempt: AttemptNo,
        /// The tier it is at.
        from: Tier,
        /// The tier it wants.
        to: Tier,
        /// Why.
        reason: EscalationReason,
        /// What the agent may cost at that tier, when its models have prices; before the eighth edition of the rules, one call of its work.
        worst_case: Option<NanoUsd>,
    } private ApprovalAskedPrivate {}

    /// A person allowed or denied an escalation.
    ApprovalGiven = 53 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The escalation may happen.
        granted: bool,
    } private ApprovalGivenPrivate {}

    /// An agent is done.
    AgentSucceeded = 54 v 1 {
        /// The agent.
        agent: AgentNo,
        /// The attempt that passed.
        attempt: AttemptNo,
        /// Every criterion of it is known to pass.
        verified: bool,
    } private AgentSucceededPrivate {}

    /// An agent gave up.
    AgentFailed = 55 v 1 {
        /// The agent.
        agent: AgentNo,
        /// Why.
        reason: FailureReason,
    } private AgentFailedPrivate {
        /// Why, in words and numbers.
        message: String,
    }

    /// An agent never got its turn.
    AgentSkipped = 56 v 1 {
        /// The agent.
        agent: AgentNo,
        /// Why.
        because: SkipReason,
        /// The agent that caused it.
        cause: Option<AgentNo>,
    } private AgentSkippedPrivate {}

    // ---- end -----------------------------------------------------------------------------------------------------

    /// The run's report is ready.
    ReportComposed = 60 v 1 {
        /// Who wrote it.
        by: ReportBy,
    } private ReportComposedPrivate {
        /// The report, Markdown.
        report: Text,
    }

    /// The run ended well.
    RunSucceeded = 61 v 1 {
        /// Every agent that counts is verified.
        verified: bool,
    } private RunSucceededPrivate {}

    /// The run ended, and not well.
    RunFailed = 62 v 1 {
        /// Why.
        reason: RunFailure,
    } private RunFailedPrivate {
        /// Why, in words.
        message: String,
    }

    /// The run stopped and can go on.
    RunSuspended = 63 v 1 {
        /// Why.
        why: SuspendReason,
    } private RunSuspendedPrivate {}

    /// The run goes on, in another process or after a pause.
    RunResumed = 64 v 2 {
        /// The process that executes now.
        executor: ExecutorId,
        /// Failed agents start again.
        retry_failed: bool,
        /// Meno's version.
        meno_version: String,
        /// The run's budget from now on; `None` leaves it as it was.
        budget: Option<NanoUsd>,
        /// Budgets of single agents from now on.
        agent_budgets: Vec<(AgentNo, NanoUsd)>,
        /// From now on models without a price may be called under a budget.
        allow_unpriced: bool,
    } private RunResumedPrivate {}

    /// Somebody wants the run to end.
    CancelAsked = 65 v 1 {} private CancelAskedPrivate {}

    /// The run was ended for good.
    RunCancelled = 66 v 1 {} private RunCancelledPrivate {}

    /// The run begins as another one was at some moment.
    RunForked = 67 v 1 {
        /// The run it comes from.
        parent: RunId,
        /// The parent's version up to which it is shared.
        version: u64,
        /// The hash of that event.
        head: Hash,
    } private RunForkedPrivate {}

    /// What a run wrote was taken back.
    WriteUndone = 68 v 1 {
        /// The model call whose tool wrote.
        call: CallNo,
        /// The tool call's number within it.
        tool_call: u32,
    } private WriteUndonePrivate {
        /// The files put back.
        paths: Vec<String>,
    }

    // ---- memory --------------------------------------------------------------------------------------------------

    /// A person said something about a run.
    NoteAdded = 70 v 1 {
        /// From 1 (bad) to 5 (good).
        rating: Option<u8>,
    } private NoteAddedPrivate {
        /// The note.
        text: Text,
        /// Tags.
        tags: Vec<String>,
    }

    /// Advice was given.
    RecommendationShown = 71 v 1 {
        /// The template that it is about.
        template_id: String,
        /// Past runs that speak for it.
        evidence: Vec<RunId>,
    } private RecommendationShownPrivate {
        /// The advice, as JSON.
        advice: Text,
    }

    /// Advice was followed.
    RecommendationTaken = 72 v 1 {
        /// Position of the [`RecommendationShown`] event.
        shown: u64,
        /// Which part of it, by index.
        item: u32,
    } private RecommendationTakenPrivate {}

    // ---- store ---------------------------------------------------------------------------------------------------

    /// The store was made: always the first event.
    StoreCreated = 80 v 1 {
        /// The store's identity.
        node: NodeId,
        /// Meno's version.
        meno_version: String,
    } private StoreCreatedPrivate {
        /// The salt of hashed user ids.
        user_salt: [u8; 16],
    }

    /// The log up to here was sealed by a checkpoint that can be kept elsewhere.
    CheckpointSealed = 81 v 1 {
        /// The last position that it covers.
        position: u64,
        /// The hash there.
        head: Hash,
    } private CheckpointSealedPrivate {}

    /// Private parts are being removed.
    PrivatePartsForgotten = 82 v 1 {
        /// The run.
        run: RunId,
        /// Which parts.
        which: ForgottenParts,
    } private PrivatePartsForgottenPrivate {
        /// Why.
        why: String,
    }

    /// Another store's log was taken in beside this one.
    SegmentImported = 83 v 1 {
        /// The other store.
        node: NodeId,
        /// First position.
        from: u64,
        /// Last position.
        to: u64,
        /// The hash there.
        head: Hash,
    } private SegmentImportedPrivate {}

    /// The clock went back since the last event.
    ClockMovedBack = 84 v 1 {
        /// By how many nanoseconds.
        by_ns: u64,
        /// What the last event's clock said.
        last: TimeNs,
    } private ClockMovedBackPrivate {}

    /// Keys of what a run took from transcripts, kept before its private parts are removed: other sessions repeat it.
    ImportKeysRetained = 86 v 1 {
        /// The run.
        run: RunId,
        /// The keys, hashed with the store's salt, so that nobody without it can guess what they name.
        keys: Vec<[u8; 24]>,
    } private ImportKeysRetainedPrivate {}
    // ---- tools that change something ----------------------------------------------------------------------------

    /// Meno stopped while a tool ran that must not run twice, and it is known now, or known to stay unknown, whether it had finished.
    ToolResolved = 34 v 1 {
        /// The model call that asked for it.
        call: CallNo,
        /// Its number within the call, from 0.
        tool_call: u32,
        /// Whether it had finished.
        resolution: Resolution,
        /// How that is known.
        by: ResolvedBy,
    } private ToolResolvedPrivate {}

    /// A tool is about to change files; durable before the first change, with all that is needed to tell later whether it happened, and to
    /// take it back.
    WritePrepared = 35 v 1 {
        /// The model call that asked for it.
        call: CallNo,
        /// Its number within the call, from 0.
        tool_call: u32,
    } private WritePreparedPrivate {
        /// The files, in the order in which they are changed.
        files: Vec<FileChange>,
    }
}
