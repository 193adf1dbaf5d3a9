//! Makes every decision of a run again, from its recorded inputs and with the code that decides, and compares.
//!
//! An event is either an input (an answer, a reply, a wish of a person) or follows from one. For each input the command that it came
//! by is made again (`commands`), decided with what the run recorded when it started, and each event that follows is compared field
//! by field (`compare`). The first difference ends the comparison of a run: what comes after it follows from something else.
//! What depends on texts that are gone is counted, not judged.

mod commands;
mod compare;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::compare::{Comparison, Unlike};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::Hash;
use crate::domain::judge::clip;
use crate::domain::named::named_enums;
use crate::domain::run::{Basis, BasisError, Phase, Run, decide};
use crate::domain::text::Text;
use crate::views::run_detail::MASK;

/// Longer values are cut: the event has the whole.
const VALUE_BYTES_MAX: usize = 600;

/// Fields of a cost that follow from tokens and prices alone.
const AMOUNT: [&str; 3] = ["amount", "unit_prices", "band_above"];

named_enums! {
    /// What probably differs when a decision comes out differently.
    Cause {
        /// The template, or the rules that make a team of answers.
        Template = "template",
        /// The code that judges criteria, or the verdict itself.
        Criteria = "criteria",
        /// The price table, or the cost itself.
        Prices = "prices",
        /// The rules of this version of Meno.
        Version = "version",
        /// The record: the event does not follow from what is recorded before it.
        Record = "record",
    }
}

/// Where a run's record and what follows from it part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Position in the log of the first event that differs.
    pub seq: u64,
    /// Position in the run's stream.
    pub version: u64,
    /// The event's kind as recorded.
    pub kind: String,
    /// The field that differs; `kind` when another event was to follow.
    pub field: String,
    /// What is recorded.
    pub recorded: String,
    /// What follows from the recorded inputs.
    pub derived: String,
    /// What probably differs.
    pub cause: Cause,
    /// That in words, with the hashes and versions that tell.
    pub because: String,
}

/// How the comparison of a run went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// The run.
    pub run_id: String,
    /// How many events it has.
    pub events: u64,
    /// Events that are inputs: nothing decides them.
    pub inputs: u64,
    /// Events that follow from the inputs, and were derived again and found equal.
    pub verified: u64,
    /// Events that could not be derived again, because a text is forgotten or was never kept.
    pub not_verifiable: u64,
    /// The first event that differs.
    pub difference: Option<Difference>,
    /// The events end in the middle of what follows from one input: the record is incomplete, and as far as it goes nothing differs.
    pub incomplete: bool,
    /// The run goes on behind the last event, as far as these tell.
    #[serde(skip)]
    pub goes_on: bool,
}

/// Makes every decision of one run again. `events` are all of its events, in order, with their texts read in; `own_version` is the
/// version of Meno that asks.
pub fn verify(events: &[Recorded], own_version: &str) -> Verification {
    let run_id = events.first().and_then(|first| first.envelope.run).map_or_else(String::new, |run| run.to_string());
    let count = events.len() as u64;
    let outcome = Verification {
        run_id,
        events: count,
        inputs: 0,
        verified: 0,
        not_verifiable: 0,
        difference: None,
        incomplete: false,
        goes_on: false,
    };
    let mut replay = Replay {
        run: Run::default(),
        basis: None,
        ground: RecordedContext::default(),
        gone: false,
        events,
        at: 0,
        own_version,
        outcome,
    };
    while replay.outcome.difference.is_none() && replay.at < events.len() {
        replay.step();
    }
    replay.outcome.goes_on = replay.run.phase == Phase::Running;
    replay.outcome
}

/// What the run says of the ground that it decides on.
#[derive(Debug, Default)]
struct RecordedContext {
    meno_version: String,
    template_hash: Hash,
    template_is_that: bool,
    prices_as_of: String,
    prices_hash: Hash,
    is_imported: bool,
}

struct Replay<'a> {
    run: Run,
    basis: Option<Basis>,
    ground: RecordedContext,
    /// An input so far is gone, so decisions may come out differently without anybody's fault.
    gone: bool,
    events: &'a [Recorded],
    at: usize,
    own_version: &'a str,
    outcome: Verification,
}

impl<'a> Replay<'a> {
    fn step(&mut self) {
        let Some(head) = self.events.get(self.at) else { return };
        match &head.event {
            Event::RunStarted(body) => {
                self.start(body);
                self.input();
            }
            Event::RunResumed(body) => {
                self.ground.meno_version.clone_from(&body.meno_version);
                self.decision();
            }
            // Whether it is true of the parent is for an audit to say.
            Event::RunForked(_) => self.input(),
            event if self.ground.is_imported || commands::is_bystander(event) => self.input(),
            _ => self.decision(),
        }
    }

    fn start(&mut self, body: &crate::domain::event::RunStarted) {
        self.ground = RecordedContext {
            meno_version: body.meno_version.clone(),
            template_hash: body.template_hash,
            template_is_that: true,
            prices_as_of: body.prices_as_of.clone(),
            prices_hash: body.prices_hash,
            is_imported: body.is_imported(),
        };
        let Some(private) = &body.private else { return };
        if let Text::Inline(template) = &private.template {
            self.ground.template_is_that = Hash::of(template.as_bytes()) == body.template_hash;
        }
        match Basis::recorded(private) {
            Ok(basis) => self.basis = Some(basis),
            Err(BasisError::Gone(_)) => {}
            Err(why) if self.ground.is_imported => drop(why),
            Err(why @ BasisError::Unreadable { .. }) => {
                let unlike =
                    Unlike { field: "private".to_owned(), recorded: why.to_string(), derived: "a readable text".to_owned() };
                self.differ(self.at, unlike);
            }
        }
    }

    /// Takes the event as it is: nothing decides it.
    fn input(&mut self) {
        self.outcome.inputs += 1;
        self.take(1);
    }

    /// Makes the command again that the event came by, and compares what follows from it.
    fn decision(&mut self) {
        let Some(basis) = &self.basis else {
            self.outcome.not_verifiable += 1;
            return self.take(1);
        };
        let head = &self.events[self.at];
        // What was seen for a reply stands behind it, and is as much an input.
        let behind = self.events[self.at + 1..].iter().take_while(|recorded| {
            let is_reply = matches!(head.event, Event::CallReplied(_) | Event::FactObserved(_));
            is_reply && matches!(recorded.event, Event::CostIncurred(_) | Event::FactObserved(_))
        });
        self.gone |= std::iter::once(head).chain(behind).any(|recorded| commands::lacks_input(&recorded.event));
        let mut nearest: Option<(usize, Unlike)> = None;
        // What follows from one command may begin like what follows from another: the one that accounts for most is meant.
        let mut agreed: Option<(usize, Comparison)> = None;
        let candidates = commands::candidates(&self.run, basis, &self.events[self.at..]);
        for candidate in candidates.list {
            let run = candidate.run.unwrap_or_else(|| self.run.clone());
            let derived = match decide(run, basis, candidate.command, head.envelope.at) {
                Ok((derived, _)) => derived,
                Err(refusal) => {
                    let unlike = Unlike {
                        field: "kind".to_owned(),
                        recorded: head.event.name().to_owned(),
                        derived: format!("nothing, because it is refused: {refusal}"),
                    };
                    nearest.get_or_insert((0, unlike));
                    continue;
                }
            };
            match self.compare(&derived) {
                Ok(comparison) if agreed.is_none_or(|(most, _)| derived.len() > most) => {
                    agreed = Some((derived.len(), comparison));
                }
                Ok(_) => {}
                Err((matched, unlike)) if nearest.as_ref().is_none_or(|(most, _)| matched > *most) => {
                    nearest = Some((matched, unlike));
                }
                Err(_) => {}
            }
        }
        if let Some((events, comparison)) = agreed {
            return self.agree(events, comparison);
        }
        let (matched, unlike) = nearest.unwrap_or_else(|| {
            let derived = "nothing: no recorded input leads to it".to_owned();
            (0, Unlike { field: "kind".to_owned(), recorded: head.event.name().to_owned(), derived })
        });
        let at = self.at + matched;
        if at == self.events.len() {
            let before = self.run.phase;
            self.agree(matched, Comparison::default());
            // What ended a run ends it: nothing more is missing.
            self.outcome.incomplete = self.run.phase == Phase::Running || self.run.phase == before;
            if self.outcome.incomplete {
                return;
            }
            return self.differ(at, unlike);
        }
        // What tokens cost depends on numbers only, which are never gone.
        let is_of_cost = matches!(self.events.get(at).map(|recorded| &recorded.event), Some(Event::CostIncurred(_)));
        let is_amount = is_of_cost && AMOUNT.contains(&unlike.field.as_str());
        if (self.gone && !is_amount) || !candidates.exhaustive {
            self.outcome.not_verifiable += 1;
            self.take(1);
        } else {
            self.differ(at, unlike);
        }
    }

    /// Compares derived events with those recorded from here on; gives how many were equal before the first that is not.
    fn compare(&self, derived: &[Event]) -> Result<Comparison, (usize, Unlike)> {
        let recorded = &self.events[self.at..];
        if derived.is_empty() {
            let name = recorded.first().map_or("nothing", |recorded| recorded.event.name()).to_owned();
            return Err((0, Unlike { field: "kind".to_owned(), recorded: name, derived: "nothing".to_owned() }));
        }
        let mut total = Comparison::default();
        for (index, event) in derived.iter().enumerate() {
            let Some(there) = recorded.get(index) else {
                let derived = event.name().to_owned();
                return Err((index, Unlike { field: "kind".to_owned(), recorded: "nothing more".to_owned(), derived }));
            };
            total.gone += compare::compare(&there.event, event).map_err(|unlike| (index, unlike))?.gone;
        }
        Ok(total)
    }

    /// The head is the input, the rest follows from it and is as recorded.
    fn agree(&mut self, events: usize, comparison: Comparison) {
        let decided = &self.events[self.at..self.at + events];
        let of = |is: &dyn Fn(&Event) -> bool| decided.iter().filter(|recorded| is(&recorded.event)).count() as u64;
        // What a command brings along: attempts of another run, and what was seen outside.
        let brought = of(&|event| matches!(event, Event::AttemptInherited(_) | Event::FactObserved(_)));
        let is_head =
            |event: &Event| commands::is_input(event) && !matches!(event, Event::AttemptInherited(_) | Event::FactObserved(_));
        let inputs = brought + u64::from(is_head(&decided[0].event));
        self.outcome.inputs += inputs;
        let follow = events as u64 - inputs;
        // A verdict that follows from one of several states of a file, none of which is recorded, follows from nothing.
        let unproven =
            self.basis.as_ref().map_or(0, |basis| of(&|event| commands::rests_on_unrecorded_files(&self.run, basis, event)));
        let gone = (comparison.gone + unproven).min(follow);
        self.outcome.verified += follow - gone;
        self.outcome.not_verifiable += gone;
        self.take(events);
    }

    /// Goes on behind the next `count` events, with what is recorded.
    fn take(&mut self, count: usize) {
        for recorded in &self.events[self.at..self.at + count] {
            self.gone |= commands::lacks_input(&recorded.event);
            self.run.apply(recorded);
        }
        self.at += count;
    }

    fn differ(&mut self, at: usize, unlike: Unlike) {
        // A stream that ends too early differs at its last event.
        let Some(recorded) = self.events.get(at).or(self.events.last()) else { return };
        let (cause, because) = self.cause(&recorded.event, &unlike);
        let shown = |text: String| clip(&self.masked(text), VALUE_BYTES_MAX);
        self.outcome.difference = Some(Difference {
            seq: recorded.envelope.seq,
            version: recorded.envelope.version,
            kind: recorded.event.name().to_owned(),
            recorded: shown(unlike.recorded),
            derived: shown(unlike.derived),
            field: unlike.field,
            cause,
            because,
        });
    }

    /// Says what probably differs; the hashes and versions of the run tell.
    fn cause(&self, event: &Event, unlike: &Unlike) -> (Cause, String) {
        let ground = &self.ground;
        let is_of_another_version = ground.meno_version != self.own_version;
        let versions = || format!("decided by meno {}, derived by meno {}", ground.meno_version, self.own_version);
        let cause = match event {
            Event::CostIncurred(_) if AMOUNT.contains(&unlike.field.as_str()) => Cause::Prices,
            Event::CallStarted(_) if unlike.field == "reserved" => Cause::Prices,
            Event::CriterionJudged(_) => Cause::Criteria,
            Event::FormCompleted(_) | Event::RuleSkipped(_) | Event::AgentPlanned(_) | Event::StartTierChosen(_) => {
                Cause::Template
            }
            _ if is_of_another_version => Cause::Version,
            _ => Cause::Record,
        };
        let mut because = match cause {
            Cause::Prices => format!(
                "the rows of the price table that the run recorded (of {}, table {}) give another amount",
                ground.prices_as_of, ground.prices_hash
            ),
            Cause::Criteria => "the recorded answer, judged again, has another verdict".to_owned(),
            Cause::Template if !ground.template_is_that => {
                format!("the recorded template is not the one with the recorded hash {}", ground.template_hash)
            }
            Cause::Template => format!("the recorded template {} and answers give another team", ground.template_hash),
            Cause::Version => "another version of meno decided by other rules".to_owned(),
            Cause::Record => "it does not follow from what is recorded before it".to_owned(),
        };
        if is_of_another_version {
            because = format!("{because}; {}", versions());
        }
        (cause, because)
    }

    /// Hides answers that are sensitive.
    fn masked(&self, mut text: String) -> String {
        let questions = self.basis.iter().flat_map(|basis| &basis.template.form_schema.questions);
        for question in questions.filter(|question| question.sensitive) {
            let answer = self.run.answers.get(&question.id).map(|answer| &answer.value);
            let items: Vec<&str> = match answer {
                Some(serde_json::Value::Array(items)) => items.iter().filter_map(serde_json::Value::as_str).collect(),
                Some(value) => value.as_str().into_iter().collect(),
                None => Vec::new(),
            };
            for item in items.into_iter().filter(|item| !item.is_empty()) {
                text = text.replace(item, MASK);
            }
        }
        text
    }
}
