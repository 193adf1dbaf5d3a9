//! Keeps a panic of code that we call but do not trust where it belongs: an error for the caller, a line in the trace, nothing on stderr.
//!
//! Panics of our own that nobody guards go to the hook that was there before.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<u32> = const { Cell::new(0) };
}

/// Calls `run`; a panic becomes its message.
///
/// # Errors
/// What the panic said.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    GUARDED.set(GUARDED.get() + 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(GUARDED.get() - 1);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("it panicked").to_owned()
    })
}

/// Sends guarded panics, and those of source files whose path contains `foreign`, to the trace from now on. Done once per process.
pub fn quiet(foreign: &'static str) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = GUARDED.try_with(Cell::get).unwrap_or(0) > 0;
            if ours || info.location().is_some_and(|place| place.file().contains(foreign)) {
                tracing::error!("guarded: {info}");
            } else {
                previous(info);
            }
        }));
    });
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
}
