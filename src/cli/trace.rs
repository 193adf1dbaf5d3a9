//! Where the trace goes: nowhere unless it is asked for with `MENO_LOG` or `--log-file`.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use super::error::{CliError, Result};

/// Starts the trace. `filter` is what `MENO_LOG` says: `info`, `meno=debug,meno::store=trace`.
///
/// # Errors
/// When the filter cannot be read or the file cannot be opened.
pub fn start(filter: Option<&str>, file: Option<&Path>) -> Result<()> {
    if filter.is_none() && file.is_none() {
        return Ok(());
    }
    let words = filter.unwrap_or("info");
    let filter = EnvFilter::try_new(words).map_err(|error| {
        CliError::invalid(format!("MENO_LOG=`{words}` is not a filter")).source(&error).hint("try MENO_LOG=debug")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    // A second start, as in tests, keeps the first trace.
    let _ = match file {
        None => builder.with_writer(std::io::stderr).try_init(),
        Some(path) => {
            let open = OpenOptions::new().create(true).append(true).open(path);
            let file = open.map_err(|error| CliError::cannot_write(path, &error))?;
            builder.with_ansi(false).with_writer(Mutex::new(file)).try_init()
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_or_a_file_that_makes_no_sense_is_an_error() {
        assert!(start(None, None).is_ok());
        assert!(start(Some("meno=loud"), None).unwrap_err().message.contains("meno=loud"));
        let folder = tempfile::tempdir().unwrap();
        assert!(start(None, Some(folder.path())).is_err());
    }
}
