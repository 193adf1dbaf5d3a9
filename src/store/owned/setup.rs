//! The folder of a store: closed to others, ignored by git, and with a name for its node.

use std::path::Path;

use crate::domain::event::Event;
use crate::domain::ids::NodeId;
use crate::store::codec::{self, Decoded};
use crate::store::files::{Files, make_dirs, write_whole};
use crate::store::ordered::Shelf;
use crate::store::{Error, journal};

use super::rows;

/// Names the store's own log among those brought in from elsewhere.
const NODE_FILE: &str = "node";

/// Makes the folders that are missing, and keeps the store out of everybody's repository.
pub(super) fn prepare(files: &dyn Files, store: &Path) -> Result<(), Error> {
    make_dirs(files, store).map_err(Error::io(store))?;
    let ignore = store.join(".gitignore");
    if !files.exists(&ignore) {
        write_whole(files, &ignore, b"*\n").map_err(Error::io(&ignore))?;
    }
    for folder in ["journal", "log"] {
        let folder = store.join(folder);
        make_dirs(files, &folder).map_err(Error::io(&folder))?;
    }
    Ok(())
}

/// Returns the store's node, if it has one: from its file, or from what else is there when that is gone.
pub(super) fn node(files: &dyn Files, shelf: &dyn Shelf, store: &Path) -> Result<Option<NodeId>, Error> {
    let folder = store.join("journal");
    let file = folder.join(NODE_FILE);
    if files.exists(&file) {
        let bytes = files.read(&file).map_err(Error::io(&file))?;
        if let Some(node) = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()) {
            return Ok(Some(node));
        }
    }
    let found = from_folders(files, &folder)?.or(from_index(shelf, store)?);
    if let Some(node) = found {
        tracing::warn!("{} was missing or damaged and is written again", file.display());
        remember(files, store, node)?;
    }
    Ok(found)
}

/// Writes down the store's node.
pub(super) fn remember(files: &dyn Files, store: &Path, node: NodeId) -> Result<(), Error> {
    let file = store.join("journal").join(NODE_FILE);
    write_whole(files, &file, format!("{node}\n").as_bytes()).map_err(Error::io(&file))
}

/// The only log there is must be the store's own.
fn from_folders(files: &dyn Files, folder: &Path) -> Result<Option<NodeId>, Error> {
    let names = files.list(folder).map_err(Error::io(folder))?;
    let mut nodes = Vec::new();
    for node in names.iter().filter_map(|name| name.parse::<NodeId>().ok()) {
        let path = folder.join(node.to_string());
        if !journal::segment::list(files, &path)?.is_empty() {
            nodes.push(node);
        }
    }
    match nodes[..] {
        [] => Ok(None),
        [node] => Ok(Some(node)),
        _ => Err(Error::Damaged(format!(
            "{} is gone, and there are {} logs; write the name of the store's own folder into it",
            folder.join(NODE_FILE).display(),
            nodes.len()
        ))),
    }
}

/// A store whose journal was deleted may still have its index.
fn from_index(shelf: &dyn Shelf, store: &Path) -> Result<Option<NodeId>, Error> {
    let path = store.join("log").join("events");
    if !shelf.exists(&path) {
        return Ok(None);
    }
    let Ok(index) = shelf.open(&path, 1024 * 1024) else { return Ok(None) };
    let Ok(Some(first)) = rows::first_event(&*index) else { return Ok(None) };
    match codec::decode(&first) {
        Ok(Decoded::Known(first)) => match first.event {
            Event::StoreCreated(created) => Ok(Some(created.node)),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}
