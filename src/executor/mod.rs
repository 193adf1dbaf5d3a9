//! Performs what a run owes: starts the model calls that the pure core asks for, and feeds their outcome back as commands.
//!
//! The executor decides nothing: which call comes next, what an answer is worth and when a run ends is
//! [`crate::domain::run`]'s. One thread holds the run and appends its events; calls run as tasks beside it and report
//! over a channel. Start with [`Executor::execute`].

mod ask;
mod starts;
mod stream;
mod work;
mod world;

pub use ask::{Approval, Ask, OpenTool, Question, Reply};
pub use stream::{Stream, StreamError, read_texts};
pub use work::{Control, Executor, Stop};
pub use world::World;
