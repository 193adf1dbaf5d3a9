//! Every run of a log, one after the other, without holding them all.

use crate::domain::ids::RunId;
use crate::store::Error;
use crate::store::log::Log;
use crate::views::runs;

/// Runs read at once.
const PAGE: u32 = 2000;

/// Calls `each` with every run that the list of runs has, in the order of their ids.
///
/// # Errors
/// When the list cannot be read, or what `each` says.
pub(in crate::workspace) fn each_run<E: From<Error>>(
    log: &dyn Log,
    mut each: impl FnMut(RunId) -> Result<(), E>,
) -> Result<(), E> {
    let mut from = runs::key(RunId::from_bytes([0; 16])).to_vec();
    let to = runs::after(&runs::key(RunId::from_bytes([0xff; 16])));
    loop {
        let page = log.view(runs::NAME, &from, Some(&to), false, PAGE)?;
        let Some((last, _)) = page.rows.last() else { return Ok(()) };
        from = runs::after(last);
        for (key, _) in &page.rows {
            let id = key.last_chunk::<16>().copied();
            id.map_or_else(
                || Err(Error::Views("a key of the list of runs is malformed".to_owned()).into()),
                |id| each(RunId::from_bytes(id)),
            )?;
        }
    }
}
