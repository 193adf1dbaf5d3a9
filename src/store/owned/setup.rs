//! The folder of a store: closed to others, ignored by git, and of a log that is known.

use std::io::ErrorKind;
use std::path::Path;

use crate::domain::ids::NodeId;
use crate::store::Error;
use crate::store::files::{Files, make_dirs, write_whole};
use crate::store::identity::{self, Verdict};
use crate::store::ordered::{IndexFactory, aside};

use super::rows::{self, EventIndex};

/// Memory for a look into the index, in bytes.
const LOOK_BYTES: u64 = 1024 * 1024;

/// Makes the folders that are missing, and keeps the store out of everybody's repository. Returns what was set aside for that, in words
/// for people.
pub(super) fn prepare(files: &dyn Files, store: &Path) -> Result<Vec<String>, Error> {
    make_dirs(files, store).map_err(Error::io(store))?;
    let ignore = store.join(".gitignore");
    if !files.exists(&ignore) {
        write_whole(files, &ignore, b"*\n").map_err(Error::io(&ignore))?;
    }
    let mut notices = Vec::new();
    // Everything in these can be made again: what is no folder is in their way.
    for folder in ["log", "index"].map(|folder| store.join(folder)) {
        if files.list(&folder).is_err_and(|why| why.kind() == ErrorKind::NotADirectory) {
            let to = aside(&folder, |path| files.exists(path));
            files.rename(&folder, &to).map_err(Error::io(&folder))?;
            let (folder, to) = (folder.display(), to.display());
            notices.push(format!(
                "a file lies where the folder {folder} should be; it is set aside as {to}, and the folder is made again"
            ));
        }
    }
    // The journal makes its own folder durable before it acknowledges anything; `log` can be made again.
    for folder in ["journal", "log"].map(|folder| store.join(folder)) {
        if !files.exists(&folder) {
            files.make_dir(&folder).map_err(Error::io(&folder))?;
        }
    }
    Ok(notices)
}

/// Says who the store in `store` is, looking as closely as it takes. Changes nothing.
pub(super) fn who(files: &dyn Files, shelf: &dyn IndexFactory, store: &Path) -> Result<Verdict, Error> {
    let facts = identity::look(files, store)?;
    match identity::judge(&facts, None) {
        Verdict::Undecided => {
            let more = identity::look_closer(files, store, &facts, of_index(shelf, store)?)?;
            Ok(identity::judge(&facts, Some(&more)))
        }
        verdict => Ok(verdict),
    }
}

/// Returns whose log the index is of, as far as it can be read.
fn of_index(shelf: &dyn IndexFactory, store: &Path) -> Result<Option<NodeId>, Error> {
    let path = store.join("log").join("events");
    if !shelf.exists(&path) {
        return Ok(None);
    }
    let Ok(index) = shelf.open(&path, LOOK_BYTES) else { return Ok(None) };
    Ok(rows::owner(&EventIndex::new(index)).unwrap_or_default())
}
