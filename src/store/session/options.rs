//! What a session is given and what it tells: how the log is opened, how long to wait, and the notices for people.
//!
//! Settings and flags are resolved elsewhere; who shows a notice, and how often, is for the receiver to decide.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::protocol::Activity;
use super::spool;
use crate::store::log::Log;
use crate::store::{Error, Unwritable};

/// Says in words what is done to the log, and how many percent of it are done; at 100 it is over.
pub type Tell = Arc<dyn Fn(&str, u8) + Send + Sync>;

/// Opens the log in the store's folder once this process owns it; called with a way to say what it does. The log may keep that and
/// tell of long work later too, when an index has to be made again. The opener keeps no [`Arc`] of the log for itself: when the
/// session drops its own, the files must be closed.
pub type Opener = Arc<dyn Fn(&Path, &Tell) -> Result<Arc<dyn Log>, Error> + Send + Sync>;

/// Opens the log in the store's folder for reading alone, where it cannot be written to for the reason given: nothing in the folder is
/// changed.
pub type Reader = Arc<dyn Fn(&Path, Unwritable) -> Result<Arc<dyn Log>, Error> + Send + Sync>;

/// How a session behaves.
#[derive(Clone)]
pub struct Options {
    /// How long a request may go without an answer (`--wait`), beyond what it asks for itself.
    pub wait: Duration,
    /// Owns the store whenever nobody else does (`meno serve`), instead of when there is something to ask.
    pub stay: bool,
    /// Whether this process may own the store at all.
    pub may_own: bool,
    /// Opens the log where nobody owns it and it cannot be written to; without it such a store is an error.
    pub reader: Option<Reader>,
    /// Meno's version, told to the other side.
    pub version: String,
    /// Told what people should know; called from any thread, must not block, and must not use the session.
    pub on_notice: Arc<dyn Fn(&Notice) + Send + Sync>,
}

/// What happens behind the requests, for people. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This process opens the store, and is at it.
    Opening(Activity),
    /// This process owns the store now.
    Owning,
    /// This process was asked for the store and gave it up.
    HandedOver,
    /// The owner does not answer, or nobody may own the store.
    Waiting {
        /// The owner's process id, when known.
        pid: Option<u32>,
    },
    /// The owner has to finish something first; told at every question that it puts off, many times a second.
    OwnerBusy {
        /// The owner's process id.
        pid: u32,
        /// What it does.
        doing: Activity,
    },
    /// The spool was taken in.
    SpoolTaken(spool::Taken),
    /// The spool could not be taken in; it stays.
    SpoolLeft(String),
    /// The store is free, but this process cannot open it.
    CannotOwn(String),
    /// Something in the store's files was not as it must be, and was put right or is lost.
    Repaired(String),
    /// The command that gives the key of encrypted texts takes long; its name.
    WaitingForKey(String),
    /// The store cannot be written to, and is read as it lies.
    Reading {
        /// Why it cannot be written to.
        why: Unwritable,
        /// The mode of a folder that is open to others and could not be closed.
        loose: Option<u32>,
    },
    /// The disk cannot take the indexes any more; they are made in memory.
    InMemory(Unwritable),
    /// Encrypted texts are left out, because their key is not available.
    Locked(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening(Activity { words, percent }) => write!(f, "{words}, {percent} %"),
            Self::Owning => write!(f, "this process owns the store now"),
            Self::HandedOver => write!(f, "the store was handed over to another process"),
            Self::Waiting { pid: Some(pid) } => write!(f, "waiting for process {pid}, which holds the store and does not answer"),
            Self::Waiting { pid: None } => write!(f, "waiting for the store"),
            Self::OwnerBusy { pid, doing: Activity { words, percent } } => {
                write!(f, "waiting for process {pid}, which holds the store and is {words}, {percent} %")
            }
            Self::SpoolTaken(taken) => {
                write!(f, "{} spooled batches taken in", taken.appended)?;
                taken.kept.iter().try_for_each(|(path, why)| write!(f, "; {} not: {why}", path.display()))
            }
            Self::SpoolLeft(why) => write!(f, "the spool stays for later: {why}"),
            Self::CannotOwn(why) => write!(f, "cannot open the store, trying again: {why}"),
            Self::Repaired(what) => write!(f, "{what}"),
            Self::WaitingForKey(program) => write!(f, "waiting for the key command `{program}`"),
            Self::Reading { why, loose } => {
                write!(f, "nothing can be written to the store: {why}; it is read as it lies")?;
                loose.map_or(Ok(()), |mode| write!(f, ", and its folder stays open to others ({mode:o})"))
            }
            Self::InMemory(why) => {
                write!(f, "{why}: what follows from the journal is kept in memory, and nothing new can be begun")
            }
            Self::Locked(why) => write!(f, "encrypted texts are left out, their key is not available: {why}"),
        }
    }
}
