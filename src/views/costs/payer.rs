//! Who pays for the calls of a run, and how each of them becomes a row of its own and a part of one sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::Rows;
use super::super::rows;
use super::super::status::CallStatus;
use super::calls::{CallKey, CallRow};
use super::rollup::Sums;
use super::tools::{ToolKey, ToolSum};
use super::{CostKey, CostRow, quarter_of};
use crate::domain::event::{CostIncurred, Event, Mode, Purpose, Recorded, ToolEnded, ToolFault};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, RunId, TimeNs};
use crate::domain::money::{CacheSavings, TokenUsage};
use crate::domain::tier::Tier;

/// Bytes of all labels of a run together that sums are told apart by.
const LABELS_BYTES_MAX: usize = 1000;

/// What the charges of a run have in common, and its calls that are not settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostFold {
    /// The template's id.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    /// The folder that it was started in; empty once forgotten.
    pub workspace: String,
    /// The user, hashed with the store's salt; empty once forgotten.
    pub user: String,
    /// Its labels as `key=value`, sorted, one per line.
    pub labels: String,
    /// Roles by agent.
    pub roles: BTreeMap<AgentNo, String>,
    /// Where each agent's attempts are.
    tiers: BTreeMap<AgentNo, Tier>,
    /// Calls that may still change.
    open: BTreeMap<CallNo, CallKey>,
    /// Attempts of another system that came without a cost so far: when, and under what they were counted.
    costless: BTreeMap<(AgentNo, AttemptNo), (TimeNs, CostKey)>,
    /// Under what calls were counted as lost.
    lost: BTreeMap<CallNo, CostKey>,
    /// Each agent's newest call: tools are asked for by nobody else.
    newest: BTreeMap<AgentNo, Asker>,
    /// Tools that run.
    tools: BTreeMap<(CallNo, u32), String>,
}

/// A call that may ask for tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Asker {
    call: CallNo,
    provider: String,
    model: String,
}

impl Default for CostFold {
    fn default() -> Self {
        Self {
            template: String::new(),
            mode: Mode::Real,
            workspace: String::new(),
            user: String::new(),
            labels: String::new(),
            roles: BTreeMap::new(),
            tiers: BTreeMap::new(),
            open: BTreeMap::new(),
            costless: BTreeMap::new(),
            lost: BTreeMap::new(),
            newest: BTreeMap::new(),
            tools: BTreeMap::new(),
        }
    }
}

/// Tells whether payers look at this kind of event.
pub(super) fn looks_at(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted(_)
            | Event::AgentPlanned(_)
            | Event::AttemptStarted(_)
            | Event::AttemptImported(_)
            | Event::CallStarted(_)
            | Event::RequestRetried(_)
            | Event::CallReplied(_)
            | Event::CallFailed(_)
            | Event::CallCancelled(_)
            | Event::CallLost(_)
            | Event::ToolStarted(_)
            | Event::ToolEnded(_)
            | Event::CostIncurred(_)
    )
}

/// Where calls and charges are kept.
pub(super) trait Ledger {
    /// Returns the row of a call.
    fn call(&self, key: &CallKey) -> Result<Option<CallRow>, String>;

    /// Keeps the row of a call.
    fn put(&mut self, key: &CallKey, row: CallRow) -> Result<(), String>;

    /// Changes the row of a call, where there is one.
    fn change(&mut self, key: &CallKey, change: &mut dyn FnMut(&mut CallRow)) -> Result<(), String>;

    /// Changes the sums that a charge belongs to, one of each kind.
    fn charge(&mut self, key: &CostKey, change: &dyn Fn(&mut CostRow)) -> Result<(), String>;

    /// Adds a use of a tool.
    fn tool(&mut self, key: &ToolKey, one: &ToolSum) -> Result<(), String>;
}

/// In the rows of the projection.
pub(super) struct InRows<'a>(pub(super) &'a mut dyn Rows);

impl Ledger for InRows<'_> {
    fn call(&self, key: &CallKey) -> Result<Option<CallRow>, String> {
        self.0.get(&key.to_bytes()).as_deref().map(rows::read).transpose()
    }

    fn put(&mut self, key: &CallKey, row: CallRow) -> Result<(), String> {
        self.0.put(&key.to_bytes(), rows::write(&row)?);
        Ok(())
    }

    fn change(&mut self, key: &CallKey, change: &mut dyn FnMut(&mut CallRow)) -> Result<(), String> {
        let Some(mut row) = self.call(key)? else { return Ok(()) };
        change(&mut row);
        self.put(key, row)
    }

    fn charge(&mut self, key: &CostKey, change: &dyn Fn(&mut CostRow)) -> Result<(), String> {
        Sums::ALL.into_iter().try_for_each(|sums| rows::change(self.0, &sums.key(key), change))
    }

    fn tool(&mut self, key: &ToolKey, one: &ToolSum) -> Result<(), String> {
        rows::change(self.0, &key.to_bytes(), |sum: &mut ToolSum| sum.merge(one))
    }
}

/// The calls of one run, as they stand after the events that were taken in.
#[derive(Clone, Debug, Default)]
pub struct RunCalls {
    fold: CostFold,
    rows: BTreeMap<CallKey, CallRow>,
}

impl RunCalls {
    /// Takes in the run's next event.
    ///
    /// # Errors
    /// None: rows that are held cannot be malformed.
    pub fn apply(&mut self, run: RunId, recorded: &Recorded) -> Result<(), String> {
        if !looks_at(&recorded.event) {
            return Ok(());
        }
        self.fold.apply(&mut CallsAlone(&mut self.rows), run, recorded)
    }

    /// Returns its calls in the order of time.
    pub fn rows(&self) -> impl Iterator<Item = (&CallKey, &CallRow)> {
        self.rows.iter()
    }
}

/// In memory, without the sums.
struct CallsAlone<'a>(&'a mut BTreeMap<CallKey, CallRow>);

impl Ledger for CallsAlone<'_> {
    fn call(&self, key: &CallKey) -> Result<Option<CallRow>, String> {
        Ok(self.0.get(key).cloned())
    }

    fn put(&mut self, key: &CallKey, row: CallRow) -> Result<(), String> {
        self.0.insert(*key, row);
        Ok(())
    }

    fn change(&mut self, key: &CallKey, change: &mut dyn FnMut(&mut CallRow)) -> Result<(), String> {
        self.0.get_mut(key).into_iter().for_each(change);
        Ok(())
    }

    fn charge(&mut self, _: &CostKey, _: &dyn Fn(&mut CostRow)) -> Result<(), String> {
        Ok(())
    }

    fn tool(&mut self, _: &ToolKey, _: &ToolSum) -> Result<(), String> {
        Ok(())
    }
}

impl CostFold {
    /// Takes in the run's next event.
    pub(super) fn apply(&mut self, book: &mut dyn Ledger, run: RunId, recorded: &Recorded) -> Result<(), String> {
        let at = recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at);
        match &recorded.event {
            Event::RunStarted(body) => {
                self.template.clone_from(&body.template_id);
                self.mode = body.counts_as();
                if let Some(private) = &body.private {
                    self.workspace.clone_from(&private.workspace);
                    self.user.clone_from(&private.user);
                    self.labels = labels(&private.labels);
                }
                Ok(())
            }
            Event::AgentPlanned(body) => {
                self.roles.insert(body.agent, body.role.clone());
                Ok(())
            }
            Event::AttemptStarted(body) => {
                self.tiers.insert(body.agent, body.tier);
                Ok(())
            }
            Event::CallStarted(body) => {
                let key = CallKey { at, run, agent: body.agent, attempt: body.attempt, call: body.call };
                self.open.insert(body.call, key);
                let asker = Asker { call: body.call, provider: body.provider.clone(), model: body.model.clone() };
                self.newest.insert(body.agent, asker);
                let tier = self.tiers.get(&body.agent).copied().unwrap_or(Tier::Cheap);
                let row = call(body.purpose, tier, &body.provider, &body.model, CallStatus::Running);
                book.put(&key, row)
            }
            Event::RequestRetried(body) => self.with_call(book, body.call, |row| row.retries = row.retries.saturating_add(1)),
            Event::CallReplied(body) => {
                self.found(book, body.call)?;
                self.with_call(book, body.call, |row| {
                    row.status = CallStatus::Replied;
                    row.latency_ms = Some(body.latency_ms);
                    row.first_token_ms = body.first_token_ms;
                })
            }
            Event::CallFailed(body) => {
                self.with_call(book, body.call, |row| {
                    row.status = CallStatus::Failed;
                    row.latency_ms = Some(body.latency_ms);
                })?;
                // What follows is the cost of what it used, or one of which nobody said that.
                if body.usage.is_none() && !body.class.may_be_charged(body.status) {
                    self.open.remove(&body.call);
                }
                Ok(())
            }
            Event::CallCancelled(body) => {
                self.with_call(book, body.call, |row| row.status = CallStatus::Cancelled)?;
                if body.usage.is_none() { self.lose(book, body.call, at) } else { Ok(()) }
            }
            Event::CallLost(body) => {
                self.with_call(book, body.call, |row| row.status = CallStatus::Lost)?;
                self.lose(book, body.call, at)
            }
            Event::AttemptImported(body) => {
                let provider = body.provider.as_deref().unwrap_or_default();
                let model = body.model.as_deref().unwrap_or_default();
                let mut row = call(Purpose::Work, body.tier, provider, model, CallStatus::Replied);
                (row.usage, row.told) = (body.usage.unwrap_or_default(), body.usage.is_some());
                row.latency_ms = body.duration_ms;
                // Until a cost is told it is not known, and the call counts as one of unknown cost.
                row.unknown = 1;
                let key = CallKey { at, run, agent: body.agent, attempt: body.attempt, call: 0 };
                let counted = self.key_of(&row, body.agent, at);
                let cache = CacheSavings::of(Some(&row.usage), None);
                let sum = CostRow { calls: 1, unknown: 1, amount: 0, usage: row.usage, cache };
                book.put(&key, row)?;
                book.charge(&counted, &|held| held.merge(&sum))?;
                self.costless.insert((body.agent, body.attempt), (at, counted));
                Ok(())
            }
            Event::ToolStarted(body) => {
                self.tools.insert((body.call, body.tool_call), body.tool.clone());
                Ok(())
            }
            Event::ToolEnded(body) => match self.tools.remove(&(body.call, body.tool_call)) {
                Some(tool) => self.count_tool(book, tool, body, at),
                None => Ok(()),
            },
            Event::CostIncurred(body) => self.incur(book, run, body, at),
            _ => Ok(()),
        }
    }

    fn count_tool(&self, book: &mut dyn Ledger, tool: String, body: &ToolEnded, at: TimeNs) -> Result<(), String> {
        // What a model makes up is no tool: its names are without number.
        let tool = if body.fault == Some(ToolFault::UnknownTool) { "(unknown)".to_owned() } else { tool };
        let (agent, asker) = self.newest.iter().find(|(_, asker)| asker.call == body.call).unzip();
        let known = |text: fn(&Asker) -> &String| asker.map(text).cloned().unwrap_or_default();
        let key = ToolKey {
            quarter: quarter_of(at),
            mode: self.mode,
            tool,
            provider: known(|asker| &asker.provider),
            model: known(|asker| &asker.model),
            tier: agent.and_then(|agent| self.tiers.get(agent)).copied().unwrap_or(Tier::Cheap),
            template: self.template.clone(),
            role: agent.and_then(|agent| self.roles.get(agent)).cloned().unwrap_or_default(),
            workspace: self.workspace.clone(),
            labels: self.labels.clone(),
        };
        let one = ToolSum { calls: 1, failed: u64::from(!body.ok), duration_ms: body.latency_ms };
        book.tool(&key, &one)
    }

    fn incur(&mut self, book: &mut dyn Ledger, run: RunId, body: &CostIncurred, at: TimeNs) -> Result<(), String> {
        let imported = match body.call {
            Some(_) => None,
            None => self.costless.remove(&(body.agent, body.attempt)),
        };
        let known = body.call.and_then(|call| self.open.get(&call).copied());
        let key = known.unwrap_or(CallKey {
            at: imported.as_ref().map_or(at, |(at, _)| *at),
            run,
            agent: body.agent,
            attempt: body.attempt,
            call: body.call.unwrap_or(0),
        });
        let held = book.call(&key)?;
        let is_first = held.as_ref().is_none_or(|row| row.charges == 0);
        let provider = body.provider.as_deref().unwrap_or_default();
        let model = body.model.as_deref().unwrap_or_default();
        let mut row = held.unwrap_or_else(|| call(body.purpose, body.tier, provider, model, CallStatus::Replied));
        if let Some((_, counted)) = &imported {
            // What was counted when the attempt came without a cost is taken back and counted anew, with it.
            let usage = row.usage;
            row.unknown = 0;
            book.charge(counted, &|sum| {
                sum.calls = sum.calls.saturating_sub(1);
                sum.unknown = sum.unknown.saturating_sub(1);
                sum.usage = minus(sum.usage, usage);
                sum.cache.take_out(CacheSavings::of(Some(&usage), None));
            })?;
        }
        // An attempt of another system has told its tokens itself; those of the charge are the same ones.
        let told = body.call.is_none() && row.usage != TokenUsage::default();
        let usage = if told { TokenUsage::default() } else { body.usage.unwrap_or_default() };
        let counted = if imported.is_some() { row.usage.plus(usage) } else { usage };
        row.tier = body.tier;
        row.purpose = body.purpose;
        if !provider.is_empty() {
            row.provider = provider.to_owned();
        }
        if !model.is_empty() {
            row.model = model.to_owned();
        }
        if let Some(asker) = self.newest.get_mut(&body.agent).filter(|asker| Some(asker.call) == body.call) {
            // Charges and tools of a call are found under one name.
            (asker.provider, asker.model) = (row.provider.clone(), row.model.clone());
        }
        row.usage = row.usage.plus(usage);
        row.told |= body.known_usage().is_some();
        row.charges = row.charges.saturating_add(1);
        row.unknown = row.unknown.saturating_add(u32::from(body.amount.is_none()));
        row.amount = row.amount.saturating_add(body.amount.unwrap_or_default().0);
        let status = row.status;
        book.put(&key, row)?;
        // A charge counts in its own quarter hour, under what it says of itself.
        let sum = CostRow {
            calls: u64::from(is_first),
            unknown: u64::from(body.amount.is_none()),
            amount: u128::from(body.amount.unwrap_or_default().0),
            usage: counted,
            cache: CacheSavings::of(Some(&counted), body.unit_prices.as_ref()),
        };
        let own = call(body.purpose, body.tier, provider, model, status);
        book.charge(&self.key_of(&own, body.agent, at), &|held| held.merge(&sum))?;
        if let Some(call) = body.call
            && status != CallStatus::Running
        {
            self.open.remove(&call);
        }
        Ok(())
    }

    /// A call's cost will never be known, as far as anybody can tell now.
    fn lose(&mut self, book: &mut dyn Ledger, number: CallNo, at: TimeNs) -> Result<(), String> {
        let Some((agent, row)) = self.call_of(book, number)? else { return Ok(()) };
        if self.lost.contains_key(&number) {
            return Ok(());
        }
        let counted = self.key_of(&row, agent, at);
        book.charge(&counted, &|sum| {
            sum.calls += 1;
            sum.unknown += 1;
        })?;
        self.lost.insert(number, counted);
        Ok(())
    }

    /// A call that was lost has come back.
    fn found(&mut self, book: &mut dyn Ledger, number: CallNo) -> Result<(), String> {
        let Some(counted) = self.lost.remove(&number) else { return Ok(()) };
        book.charge(&counted, &|sum| {
            sum.calls = sum.calls.saturating_sub(1);
            sum.unknown = sum.unknown.saturating_sub(1);
        })
    }

    fn call_of(&self, book: &dyn Ledger, number: CallNo) -> Result<Option<(AgentNo, CallRow)>, String> {
        let Some(key) = self.open.get(&number) else { return Ok(None) };
        Ok(book.call(key)?.map(|row| (key.agent, row)))
    }

    fn with_call(&self, book: &mut dyn Ledger, number: CallNo, mut change: impl FnMut(&mut CallRow)) -> Result<(), String> {
        self.open.get(&number).map_or(Ok(()), |key| book.change(key, &mut change))
    }

    /// Returns what a charge of a call at `at` counts under.
    fn key_of(&self, row: &CallRow, agent: AgentNo, at: TimeNs) -> CostKey {
        CostKey {
            quarter: quarter_of(at),
            mode: self.mode,
            provider: row.provider.clone(),
            model: row.model.clone(),
            tier: row.tier,
            template: self.template.clone(),
            role: self.roles.get(&agent).cloned().unwrap_or_default(),
            purpose: row.purpose,
            workspace: self.workspace.clone(),
            labels: self.labels.clone(),
        }
    }
}

fn call(purpose: Purpose, tier: Tier, provider: &str, model: &str, status: CallStatus) -> CallRow {
    CallRow {
        purpose,
        tier,
        provider: provider.to_owned(),
        model: model.to_owned(),
        status,
        amount: 0,
        charges: 0,
        unknown: 0,
        usage: TokenUsage::default(),
        told: false,
        latency_ms: None,
        first_token_ms: None,
        retries: 0,
    }
}

pub(super) fn minus(from: TokenUsage, usage: TokenUsage) -> TokenUsage {
    TokenUsage {
        input: from.input.saturating_sub(usage.input),
        cache_read: from.cache_read.saturating_sub(usage.cache_read),
        cache_write_5m: from.cache_write_5m.saturating_sub(usage.cache_write_5m),
        cache_write_1h: from.cache_write_1h.saturating_sub(usage.cache_write_1h),
        output: from.output.saturating_sub(usage.output),
        reasoning: from.reasoning.saturating_sub(usage.reasoning),
    }
}

/// Writes labels in one way, whatever order they were given in.
fn labels(labels: &[(String, String)]) -> String {
    let mut lines: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={}", value.replace('\n', " "))).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut bytes = 0;
    lines.retain(|line| {
        bytes += line.len() + 1;
        bytes <= LABELS_BYTES_MAX
    });
    lines.join("\n")
}
