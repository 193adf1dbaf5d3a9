//! The process of a server: its pipes, its group, and what it says beside the protocol.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::text;
use crate::domain::redact::Redactor;
use crate::tools::child::Environment;
use crate::tools::programs::{Note, Programs};
use crate::tools::sandbox::spawn_without_insight;

/// Bytes of one message, at most.
pub(super) const MESSAGE_BYTES_MAX: u64 = 8 << 20;
/// Bytes between two of our questions, at most: a server that floods is ended.
const UNASKED_BYTES_MAX: u64 = 32 << 20;
/// Bytes of a message that are looked at for what the SDK does not hand on, but for lists of tools.
const NOTICE_BYTES_MAX: usize = 64 << 10;
/// Bytes of its last words that are kept.
const LAST_WORDS_BYTES: usize = 2048;
/// How long it may take to end after it was asked to.
const GRACE: Duration = Duration::from_millis(500);

/// By what a server says that its list of tools has changed.
const LIST_CHANGED: &str = "notifications/tools/list_changed";

/// What is known of a server beside what it answers.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Why nothing more is read from it.
    fault: Mutex<Option<&'static str>>,
    /// Why a server that is reached by its address says nothing more.
    ended: Mutex<Option<String>>,
    /// Bytes since the last question.
    unasked: AtomicU64,
    /// The end of what it wrote on stderr.
    last_words: Mutex<VecDeque<u8>>,
    /// Nothing more comes on stderr.
    is_heard: AtomicBool,
    /// It said that its list of tools has changed.
    is_list_changed: AtomicBool,
    /// It is being asked for its tools.
    is_listing: AtomicBool,
    /// The tools that it offers as tasks only, of all lists so far.
    tasks_only: Mutex<BTreeSet<String>>,
}

impl Watch {
    /// Counts from here.
    pub(super) fn asked(&self) {
        self.unasked.store(0, Ordering::Relaxed);
    }

    /// Returns whether it said since the last time that its list of tools has changed.
    pub(super) fn takes_list_change(&self) -> bool {
        self.is_list_changed.swap(false, Ordering::AcqRel)
    }

    /// Notes that its list of tools has to be asked for again.
    pub(super) fn list_changed(&self) {
        self.is_list_changed.store(true, Ordering::Release);
    }

    /// Notes that it is being asked for its tools, or not any more.
    pub(super) fn listing(&self, is_listing: bool) {
        if is_listing {
            self.tasks_only.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.is_listing.store(is_listing, Ordering::Release);
    }

    /// Returns whether it offers a tool as a task only.
    pub(super) fn is_task_only(&self, tool: &str) -> bool {
        self.tasks_only.lock().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }

    /// Looks at a message for what the SDK does not hand on.
    fn look_at(&self, message: &[u8]) {
        let has = |words: &[u8]| message.windows(words.len()).any(|part| part == words);
        let is_listing = self.is_listing.load(Ordering::Acquire);
        if !(has(LIST_CHANGED.as_bytes()) || is_listing && has(b"taskSupport")) {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Value>(message) else { return };
        if message["method"] == LIST_CHANGED {
            self.list_changed();
        }
        let tools = message["result"]["tools"].as_array();
        let tasks = tools.into_iter().flatten().filter(|tool| tool["execution"]["taskSupport"] == "required");
        let names = tasks.filter_map(|tool| tool["name"].as_str().map(str::to_owned));
        self.tasks_only.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    pub(super) fn fault(&self) -> Option<&'static str> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why a server that is reached by its address says nothing more.
    pub(super) fn ended(&self) -> Option<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps why it says nothing more.
    pub(super) fn end(&self, why: String) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    fn fail(&self, fault: &'static str) -> io::Error {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }

    /// Returns whether everything that it wrote on stderr was read.
    pub(super) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Acquire)
    }

    /// Returns the last lines that it wrote on stderr, fit to be shown.
    pub(super) fn last_words(&self) -> String {
        let bytes: Vec<u8> = self.last_words.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = text::visible(&String::from_utf8_lossy(&bytes));
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        // A server may say before it dies what it was given: what is cut is no key any more that could be told.
        text::capped(&Redactor::default().redact(&lines[lines.len().saturating_sub(3)..].join("; ")), 400)
    }
}

/// A process in a group of its own, which is ended whole with this.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Pid,
    /// It goes when the process has gone.
    _note: Option<Note>,
}

/// The pipes of a server, for the protocol.
pub(super) type Pipes = (Limited, Sender);

impl Process {
    /// Starts `program` with `arguments` in `folder`. What it writes on stderr goes to `watch`; it is noted among `programs`. Call it within a runtime.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        (program, arguments): (&Path, &[String]),
        folder: &Path,
        environment: &Environment,
        (watch, programs): (&Arc<Watch>, Option<&Programs>),
    ) -> io::Result<(Self, Pipes)> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env_clear().envs(environment.variables());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // Nothing confines it, but the keys of this process are none of its business.
        let mut child = spawn_without_insight(&mut command)?;
        let group = Pid::from_child(&child);
        let note = programs.and_then(|programs| programs.note(group, program));
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        let stdin = OwnedFd::from(child.stdin.take().ok_or_else(pipe)?);
        let stdout = OwnedFd::from(child.stdout.take().ok_or_else(pipe)?);
        let stderr = OwnedFd::from(child.stderr.take().ok_or_else(pipe)?);
        // From here on the group is ended with it, whatever fails.
        let process = Self { child, group, _note: note };
        let limited = Limited::new(Receiver::from_owned_fd(stdout)?, watch);
        tokio::spawn(listen(Receiver::from_owned_fd(stderr)?, Arc::clone(watch)));
        Ok((process, (limited, Sender::from_owned_fd(stdin)?)))
    }

    /// Returns how it ended, once it has.
    pub(super) fn ended(&self) -> Option<String> {
        // It stays a zombie, so that its number stays its own while its group is ended.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(self.group), options).ok()??;
        Some(match (ended.exit_status(), ended.terminating_signal()) {
            (Some(code), _) => format!("it ended with exit code {code}"),
            (None, Some(signal)) => format!("it was ended by signal {signal}"),
            (None, None) => "it ended".to_owned(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A group that has nobody left is no mistake.
        let signal = |signal| {
            if let Err(error) = kill_process_group(self.group, signal) {
                tracing::debug!("the group of an MCP server cannot be signalled: {error}");
            }
        };
        if self.ended().is_none() {
            signal(Signal::TERM);
            let until = Instant::now() + GRACE;
            while self.ended().is_none() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        signal(Signal::KILL);
        drop(self.child.wait());
    }
}

/// Keeps the end of what a server writes on stderr.
async fn listen(mut stderr: Receiver, watch: Arc<Watch>) {
    let mut buffer = [0; 4096];
    while let Ok(count) = stderr.read(&mut buffer).await
        && count > 0
    {
        let mut kept = watch.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&buffer[..count]);
        let over = kept.len().saturating_sub(LAST_WORDS_BYTES);
        kept.drain(..over);
    }
    watch.is_heard.store(true, Ordering::Release);
}

/// Reads what a server says, as long as it is not too much.
#[derive(Debug)]
pub(super) struct Limited {
    inner: Receiver,
    /// Bytes of the message that is being read.
    message: u64,
    /// Its beginning, as far as it is looked at.
    begun: Vec<u8>,
    watch: Arc<Watch>,
}

impl Limited {
    pub(super) fn new(inner: Receiver, watch: &Arc<Watch>) -> Self {
        Self { inner, message: 0, begun: Vec::new(), watch: Arc::clone(watch) }
    }

    /// Looks at every message that ends in `read`.
    fn look_at(&mut self, read: &[u8]) {
        let is_listing = self.watch.is_listing.load(Ordering::Acquire);
        let most = if is_listing { MESSAGE_BYTES_MAX as usize } else { NOTICE_BYTES_MAX };
        for part in read.split_inclusive(|byte| *byte == b'\n') {
            // Of one that is too long nothing is looked at: its beginning is no message.
            self.begun.extend(part.iter().take((most + 1).saturating_sub(self.begun.len())));
            if part.ends_with(b"\n") {
                if self.begun.len() <= most {
                    self.watch.look_at(&self.begun);
                }
                self.begun.clear();
            }
        }
    }
}

impl AsyncRead for Limited {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.look_at(&buffer.filled()[before..]);
        let read = &buffer.filled()[before..];
        let count = read.len() as u64;
        let message = match read.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => count - end as u64 - 1,
            None => self.message + count,
        };
        self.message = message;
        if message > MESSAGE_BYTES_MAX {
            return Poll::Ready(Err(self.watch.fail("it sent a message of more than 8 MiB")));
        }
        if self.watch.unasked.fetch_add(count, Ordering::Relaxed) + count > UNASKED_BYTES_MAX {
            return Poll::Ready(Err(self.watch.fail("it sent more than 32 MiB that nobody had asked for")));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_the_sdk_does_not_hand_on_is_seen_wherever_messages_are_cut() {
        let said = concat!(
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"now"},{"name":"later","execution":{"taskSupport":"required"}},"#,
            r#"{"name":"either","execution":{"taskSupport":"optional"}}]}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            "\n",
        );
        for size in [1, 7, 4096] {
            let watch = Arc::new(Watch::default());
            let (mut writer, reader) = tokio::net::unix::pipe::pipe().unwrap();
            let mut limited = Limited::new(reader, &watch);
            watch.listing(true);
            for piece in said.as_bytes().chunks(size) {
                writer.write_all(piece).await.unwrap();
                let mut read = vec![0; 4096];
                assert_eq!(limited.read(&mut read).await.unwrap(), piece.len());
            }
            assert_eq!(["now", "later", "either"].map(|tool| watch.is_task_only(tool)), [false, true, false]);
            assert!(watch.takes_list_change() && !watch.takes_list_change());
        }
        // A text that names the notification is none.
        let watch = Watch::default();
        watch.look_at(br#"{"jsonrpc":"2.0","id":1,"result":{"text":"notifications/tools/list_changed"}}"#);
        assert!(!watch.takes_list_change());
    }
}
