//! Why a run has no money left, and what would let it go on.

use super::Runs;
use crate::domain::event::{Event, Fact};
use crate::domain::ids::RunId;
use crate::domain::money::NanoUsd;
use crate::domain::run::{Run, Shortage, shortage};
use crate::workspace::runs::start::ResumeError;

/// What stopped a run for want of money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoneyStop {
    /// The limits of the run that are too low.
    pub own: Shortage,
    /// A day's budget that would do, when that is what was used up.
    pub per_day: Option<NanoUsd>,
}

impl Runs<'_> {
    /// Returns what stopped a run for want of money; nothing when its last life met no budget.
    ///
    /// # Errors
    /// When what it decides by is forgotten or cannot be read.
    pub(crate) fn money_stop(&self, id: RunId) -> Result<MoneyStop, ResumeError> {
        let basis = self.recorded_basis(id)?;
        let (mut run, mut day) = (Run::default(), None);
        for recorded in self.events_of(id, 1, u32::MAX)? {
            match &recorded.event {
                Event::RunResumed(_) => day = None,
                Event::FactObserved(body) => {
                    if let Fact::DayBudget { used, .. } = body.fact {
                        day = Some(used);
                    }
                }
                _ => {}
            }
            run.apply(&recorded);
        }
        let own = shortage(&run, &basis);
        Ok(MoneyStop { per_day: day.map(|used| used.plus(own.wanted)), own })
    }
}
