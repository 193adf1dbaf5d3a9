//! Fetching a file because a user asked for it: with a deadline, with progress, whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::endpoint::{Endpoint, Refused};
use super::fault::Fault;
use super::http;

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The address is refused.
    #[error("{address}: {source}")]
    Address {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: Refused,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("{address}: {why}")]
    Connection {
        /// The address.
        address: String,
        /// Why.
        why: String,
    },
    /// The server said no.
    #[error("{address}: the server answered {status}")]
    Status {
        /// The address.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// The deadline passed.
    #[error("{address}: not done within {} s", deadline.as_secs())]
    Deadline {
        /// The address.
        address: String,
        /// How long it might have taken.
        deadline: Duration,
    },
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Fetches `address` into the file `path` within `deadline`; `progress` is told bytes that came, of how many (0: not said).
///
/// # Errors
/// A [`DownloadError`]; the file may then hold a part.
pub fn to_file(address: &str, path: &Path, deadline: Duration, progress: &mut dyn FnMut(u64, u64)) -> Result<(), DownloadError> {
    let endpoint =
        Endpoint::parse(address, false).map_err(|source| DownloadError::Address { address: address.to_owned(), source })?;
    let io = |source| DownloadError::Io { path: path.to_owned(), source };
    let connection = |fault: Fault| DownloadError::Connection { address: address.to_owned(), why: fault.message };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    let fetch = async {
        let mut response = http::get(&endpoint, SILENCE.min(deadline)).await.map_err(connection)?;
        if response.status() != 200 {
            return Err(DownloadError::Status { address: address.to_owned(), status: response.status() });
        }
        let total = response.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut file = std::fs::File::create(path).map_err(io)?;
        let mut done = 0;
        while let Some(chunk) = response.chunk().await.map_err(connection)? {
            file.write_all(&chunk).map_err(io)?;
            done += chunk.len() as u64;
            progress(done, total);
        }
        if total > 0 && done != total {
            let why = format!("the connection ended after {done} of {total} bytes");
            return Err(DownloadError::Connection { address: address.to_owned(), why });
        }
        file.sync_all().map_err(io)
    };
    let late = || DownloadError::Deadline { address: address.to_owned(), deadline };
    runtime.block_on(async { tokio::time::timeout(deadline, fetch).await }).unwrap_or_else(|_| Err(late()))
}
