//! Keeps a panic of code that we call but do not trust where it belongs: an error for the caller, a line in the trace, nothing on stderr.
//!
//! Panics of our own that nobody guards go to the hook that was there before.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::{Mutex, Once};

use super::lock;

thread_local! {
    static GUARDED: Cell<u32> = const { Cell::new(0) };
}

/// Parts of the paths of source files whose panics are guarded on whatever thread they happen.
static FOREIGN: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// Calls `run`; a panic becomes its message, and is told to nobody but the trace.
///
/// # Errors
/// What the panic said.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    install();
    GUARDED.set(GUARDED.get() + 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(GUARDED.get() - 1);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("it panicked").to_owned()
    })
}

/// Sends panics of source files whose path contains `foreign` to the trace from now on, whatever thread they are on: for what has threads
/// of its own.
pub fn quiet(foreign: &'static str) {
    install();
    let mut known = lock(&FOREIGN);
    if !known.contains(&foreign) {
        known.push(foreign);
    }
}

/// Puts the hook in front of the one that is there, once per process.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if is_guarded(info.location().map_or("", Location::file)) {
                tracing::error!("guarded: {info}");
            } else {
                previous(info);
            }
        }));
    });
}

/// Returns whether a panic on this thread, in this source file, is somebody's to turn into an error.
fn is_guarded(file: &str) -> bool {
    GUARDED.try_with(Cell::get).unwrap_or(0) > 0 || lock(&FOREIGN).iter().any(|foreign| file.contains(foreign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(guarded(|| 7), Ok(7));
        assert_eq!(guarded(|| panic!("odd {}", 1)), Err::<(), _>("odd 1".to_owned()));
        assert_eq!(guarded(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        assert_eq!(GUARDED.get(), 0);
    }

    #[test]
    fn a_panic_is_told_to_nobody_where_it_is_guarded_and_where_it_is_foreign() {
        let within = guarded(|| is_guarded("src/anything.rs"));
        assert_eq!((within, is_guarded("src/anything.rs")), (Ok(true), false));
        quiet("/foreign-of-this-test-");
        quiet("/another-of-this-test-");
        assert!(is_guarded("/home/registry/foreign-of-this-test-1.0/src/lib.rs"));
        assert!(is_guarded("/home/registry/another-of-this-test-1.0/src/lib.rs"));
    }
}
