//! Runs that an audit looks up because others took over work of theirs.

use crate::domain::ids::{Hash, RunId};
use crate::domain::run::Run;
use crate::executor::read_texts;
use crate::store::Error;
use crate::store::codec::{self, Decoded};
use crate::workspace::proof::audit::Material;

/// Events read at once.
const PAGE: u32 = 2000;

/// Finds other runs; the last one is kept, because a fork takes over many attempts of the same.
#[derive(Default)]
pub(in crate::workspace) struct Origins {
    last: Option<(RunId, Option<Run>)>,
}

impl Origins {
    /// Returns the chain's hash at a version of a run; `None` when it is not in this log, or cannot be read, which is told elsewhere.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn head(material: &Material<'_>, run: RunId, version: u64) -> Result<Option<Hash>, Error> {
        match material.log.read_run(run, version, 1) {
            Ok(page) => Ok(page.first().filter(|event| event.envelope.version == version).map(|event| event.hash)),
            Err(Error::Damaged(_) | Error::Index(_) | Error::Views(_)) => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Returns a run as it was at a version; `None` as for [`Origins::head`].
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn run_at(material: &Material<'_>, id: RunId, version: u64) -> Result<Option<Run>, Error> {
        match fold(material, id, version) {
            Err(Error::Damaged(_) | Error::Index(_) | Error::Views(_)) => Ok(None),
            run => run,
        }
    }

    /// Returns a run, folded to its end; `None` as for [`Origins::head`].
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn run(&mut self, material: &Material<'_>, id: RunId) -> Result<Option<&Run>, Error> {
        if self.last.as_ref().is_none_or(|(known, _)| *known != id) {
            let run = match fold(material, id, u64::MAX) {
                Ok(run) => run,
                Err(Error::Damaged(_) | Error::Index(_) | Error::Views(_)) => None,
                Err(why) => return Err(why),
            };
            self.last = Some((id, run));
        }
        Ok(self.last.as_ref().and_then(|(_, run)| run.as_ref()))
    }
}

/// Folds a run up to a version.
fn fold(material: &Material<'_>, id: RunId, until: u64) -> Result<Option<Run>, Error> {
    let (mut run, mut next) = (None::<Run>, 1);
    loop {
        let page = material.log.read_run(id, next, PAGE)?;
        let Some(last) = page.last() else { return Ok(run) };
        next = last.envelope.version.max(next).saturating_add(1);
        for stored in &page {
            if stored.envelope.version > until {
                return Ok(run);
            }
            if let Decoded::Known(recorded) = codec::decode(stored)? {
                run.get_or_insert_default().apply(&read_texts(material.payloads, recorded)?);
            }
        }
    }
}
