//! Two runs side by side.

use super::Runs;
use crate::audit::diff::RunDiff;
use crate::domain::ids::RunId;
use crate::store;

impl Runs<'_> {
    /// Compares two runs; sensitive answers are masked before, so that they do not show in what differs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn diff(&self, a: RunId, b: RunId) -> Result<RunDiff, store::Error> {
        Ok(RunDiff::of(&self.detail(a)?.masked(), &self.detail(b)?.masked()))
    }
}
