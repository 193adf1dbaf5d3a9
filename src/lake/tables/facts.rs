//! Rows of single events: facts that never change. What an event leaves out because an earlier one said it is in [`Context`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Cell, Row, Table, day_of, states};
use crate::domain::event::{BodyWriter, CostIncurred, CriterionJudged, Event, JudgedBy, Mode, Recorded, ToolEnded};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, Hash, RunId, TimeNs};
use crate::domain::tier::Tier;

/// What earlier events of a run said that later ones do not repeat.
#[derive(Clone, Debug)]
pub struct Context {
    /// The run's id.
    pub run: String,
    /// The template's id.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    roles: BTreeMap<AgentNo, String>,
    tiers: BTreeMap<(AgentNo, AttemptNo), Tier>,
    calls: BTreeMap<CallNo, (AgentNo, AttemptNo)>,
    tools: BTreeMap<(CallNo, u32), (String, bool, TimeNs)>,
}

impl Context {
    /// Returns what is known of a run without events.
    pub fn new(run: RunId) -> Self {
        Self {
            run: run.to_string(),
            template: String::new(),
            mode: Mode::Real,
            roles: BTreeMap::new(),
            tiers: BTreeMap::new(),
            calls: BTreeMap::new(),
            tools: BTreeMap::new(),
        }
    }

    /// Takes in the run's next event.
    pub fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::RunStarted(body) => {
                self.template.clone_from(&body.template_id);
                self.mode = body.counts_as();
            }
            Event::AgentPlanned(body) => {
                self.roles.insert(body.agent, body.role.clone());
            }
            Event::AttemptStarted(body) => {
                self.tiers.insert((body.agent, body.attempt), body.tier);
            }
            Event::AttemptImported(body) => {
                self.tiers.insert((body.agent, body.attempt), body.tier);
            }
            Event::CallStarted(body) => {
                self.calls.insert(body.call, (body.agent, body.attempt));
            }
            Event::ToolStarted(body) => {
                let known = (body.tool.clone(), body.writes, happened(recorded));
                self.tools.insert((body.call, body.tool_call), known);
            }
            _ => {}
        }
    }

    /// Returns the role of an agent.
    pub fn role(&self, agent: AgentNo) -> Option<&str> {
        self.roles.get(&agent).map(String::as_str)
    }
}

/// Returns when an event happened, in ns since the epoch.
pub(super) fn happened(recorded: &Recorded) -> TimeNs {
    recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at)
}

/// A store's events on their way into rows.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The store's node.
    pub node: &'a str,
    /// What the run's events up to this one said; nothing for events without a run.
    pub context: &'a Context,
}

impl<'a> Facts<'a> {
    /// Returns the row that one event makes by itself, where its table is one that `wanted` lets through.
    pub fn row(self, recorded: &'a Recorded, wanted: &dyn Fn(Table) -> bool) -> Option<Row<'a>> {
        Some(match &recorded.event {
            Event::CriterionJudged(body) if wanted(Table::Verdicts) => self.verdict(recorded, body),
            Event::CostIncurred(body) if wanted(Table::Costs) => self.cost(recorded, body),
            Event::ToolEnded(body) if wanted(Table::Tools) => self.tool(recorded, body),
            Event::AnswerGiven(body) if wanted(Table::Answers) => {
                let said = [body.secret, false, false];
                self.answer(recorded, &body.question, body.source.name(), said)
            }
            Event::AnswerChanged(body) if wanted(Table::Answers) => {
                let said = [body.secret, true, body.removed];
                self.answer(recorded, &body.question, body.source.name(), said)
            }
            _ => return None,
        })
    }

    /// Returns the first cells of a row about an event of a run.
    fn begin(self, table: Table, recorded: &Recorded, at: TimeNs) -> Vec<Cell<'a>> {
        let mut cells = states::row_of(table);
        cells.extend([
            Cell::text(self.node),
            Cell::number(recorded.envelope.seq),
            Cell::text(&self.context.run),
            Cell::time(at),
            Cell::text(&self.context.template),
            Cell::text(self.context.mode.name()),
        ]);
        cells
    }

    fn verdict(self, recorded: &Recorded, body: &CriterionJudged) -> Row<'a> {
        let at = happened(recorded);
        let (by, call) = match body.by {
            JudgedBy::Code => ("code", None),
            JudgedBy::Model(call) => ("model", Some(call)),
            JudgedBy::Nobody => ("nobody", None),
        };
        let mut cells = self.begin(Table::Verdicts, recorded, at);
        cells.extend([
            Cell::known_text(self.context.role(body.agent)),
            Cell::number(body.agent),
            Cell::number(body.attempt),
            Cell::known_text(self.context.tiers.get(&(body.agent, body.attempt)).map(|tier| tier.name())),
            Cell::number(body.criterion),
            Cell::text(body.verdict.name()),
            body.score.map_or(Cell::Null, |score| Cell::Float(score.to_bits())),
            Cell::text(by),
            Cell::known(call),
        ]);
        Row { table: Table::Verdicts, day: day_of(at), cells }
    }

    fn cost(self, recorded: &Recorded, body: &'a CostIncurred) -> Row<'a> {
        let at = happened(recorded);
        let prices = body.unit_prices;
        let mut cells = self.begin(Table::Costs, recorded, at);
        cells.extend([
            Cell::known_text(self.context.role(body.agent)),
            Cell::number(body.agent),
            Cell::number(body.attempt),
            Cell::known(body.call),
            Cell::text(body.purpose.name()),
            Cell::text(body.tier.name()),
            Cell::known_text(body.provider.as_deref()),
            Cell::known_text(body.model.as_deref()),
        ]);
        cells.extend(Cell::money(body.amount.map(|amount| amount.0)));
        cells.extend([Cell::text(body.source.name()), Cell::known(body.reported.map(|amount| amount.0))]);
        cells.extend(states::usage(body.known_usage()));
        cells.extend([
            Cell::known(prices.map(|prices| prices.input)),
            Cell::known(prices.map(|prices| prices.output)),
            Cell::known(prices.map(|prices| prices.cache_read)),
            Cell::known(prices.map(|prices| prices.cache_write_5m)),
            Cell::known(prices.map(|prices| prices.cache_write_1h)),
            Cell::number(body.band_above),
        ]);
        Row { table: Table::Costs, day: day_of(at), cells }
    }

    fn answer(self, recorded: &Recorded, question: &'a str, source: &'static str, said: [bool; 3]) -> Row<'a> {
        let at = happened(recorded);
        let mut cells = self.begin(Table::Answers, recorded, at);
        cells.extend([Cell::Text(question.into()), Cell::text(source)]);
        cells.extend(said.map(Cell::Bool));
        Row { table: Table::Answers, day: day_of(at), cells }
    }

    fn tool(self, recorded: &Recorded, body: &'a ToolEnded) -> Row<'a> {
        let begun = self.context.tools.get(&(body.call, body.tool_call));
        let at = begun.map_or_else(|| happened(recorded), |(.., at)| *at);
        let place = self.context.calls.get(&body.call);
        let mut cells = self.begin(Table::Tools, recorded, at);
        cells.extend([
            Cell::known_text(place.and_then(|(agent, _)| self.context.role(*agent))),
            Cell::known(place.map(|(agent, _)| *agent)),
            Cell::known(place.map(|(_, attempt)| *attempt)),
            Cell::number(body.call),
            Cell::number(body.tool_call),
            Cell::known_text(begun.map(|(tool, ..)| tool.as_str())),
            begun.map_or(Cell::Null, |(_, writes, _)| Cell::Bool(*writes)),
            Cell::Bool(body.ok),
            Cell::known_text(body.fault.map(|fault| fault.name())),
            Cell::number(body.latency_ms),
            Cell::known(body.bytes),
            Cell::known(body.told_bytes),
            Cell::Bool(body.repeats.is_some() || body.reused.is_some()),
        ]);
        Row { table: Table::Tools, day: day_of(at), cells }
    }
}

/// An event of any kind, known or not, as the table of events has it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Where and when.
    pub envelope: &'a crate::domain::event::Envelope,
    /// The kind's number and version as they are recorded.
    pub kind: (u16, u16),
    /// The chain's hash there.
    pub hash: &'a Hash,
    /// What happened; `None` for a kind that this version does not know.
    pub event: Option<&'a Event>,
}

impl Line<'_> {
    /// Returns its row.
    pub fn row<'a>(&self, node: &'a str) -> Row<'a> {
        let envelope = self.envelope;
        let cells = vec![
            Cell::text(node),
            Cell::number(envelope.seq),
            Cell::known_text(envelope.run.map(|run| run.to_string())),
            Cell::number(envelope.version),
            Cell::time(envelope.at),
            Cell::known_time(envelope.occurred_at),
            Cell::known(envelope.cause),
            Cell::known_text(self.event.map(Event::name)),
            Cell::number(self.kind.0),
            Cell::number(self.kind.1),
            Cell::known_text(self.event.and_then(public)),
            Cell::Text(self.hash.to_string().into()),
        ];
        Row { table: Table::Events, day: day_of(envelope.occurred_at.unwrap_or(envelope.at)), cells }
    }
}

/// Writes the public part as JSON.
#[derive(Default)]
struct Public(String);

impl BodyWriter for Public {
    type Error = serde_json::Error;

    fn write<T: Serialize>(&mut self, part: &T) -> Result<(), Self::Error> {
        self.0 = serde_json::to_string(part)?;
        Ok(())
    }
}

fn public(event: &Event) -> Option<String> {
    let mut public = Public::default();
    event.write_public(&mut public).ok().map(|()| public.0)
}

/// Gives the rows of the texts in an event's private part to `each`. Texts that are not kept make none.
pub fn texts(node: &str, recorded: &Recorded, calls: &Context, each: &mut dyn FnMut(Row<'_>)) {
    let (at, mut item) = (happened(recorded), 0_usize);
    super::private::each_text(&recorded.event, &mut |place, kind, name, text| {
        let about = place.call.and_then(|call| calls.calls.get(&call)).copied();
        let cells = vec![
            Cell::text(node),
            Cell::number(recorded.envelope.seq),
            Cell::number(item),
            Cell::known_text(recorded.envelope.run.map(|run| run.to_string())),
            Cell::time(at),
            Cell::known(place.agent.or(about.map(|(agent, _)| agent))),
            Cell::known(place.attempt.or(about.map(|(_, attempt)| attempt))),
            Cell::known(place.call),
            Cell::text(kind),
            Cell::text(name),
            Cell::Text(text.into()),
        ];
        item += 1;
        each(Row { table: Table::Texts, day: day_of(at), cells });
    });
}
