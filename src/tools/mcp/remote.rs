//! A server that is reached by its address: its messages are carried over HTTP, and read and written here as those of a process are.
//!
//! Each message is a POST; what it is answered, as JSON or as a stream of events, is what the server says. No stream is held open for
//! what nobody asked for. When the server cannot be reached, or has forgotten the conversation, the pipe ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::{self, Receiver, Sender};
use tokio::task::{AbortHandle, JoinSet};

use super::process::{Limited, MESSAGE_BYTES_MAX, Pipes, Watch};
use crate::providers::endpoint::{Endpoint, Refused};
use crate::providers::http::{Http, Post, Response};
use crate::providers::sse::{SseDecoder, TooLong};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an error's body that are looked at.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Characters of the name of a conversation, at most.
const SESSION_CHARS_MAX: usize = 512;
/// How the revision is named within a message of the newest one.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// Where a server is.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) url: String,
    /// What it is brought as `Authorization: Bearer …`.
    pub(super) token: Option<SecretString>,
    /// How long it may be silent.
    pub(super) patience: Duration,
}

/// A conversation over HTTP, which ends with this.
#[derive(Debug)]
pub(super) struct Remote(AbortHandle);

impl Drop for Remote {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What all messages of a conversation share.
struct Link {
    http: Http,
    endpoint: Endpoint,
    token: Option<SecretString>,
    patience: Duration,
    named: Mutex<Named>,
    writer: tokio::sync::Mutex<Sender>,
    watch: Arc<Watch>,
}

/// What the server and the greeting have settled.
#[derive(Clone, Default)]
struct Named {
    session: Option<String>,
    version: Option<String>,
}

/// Nothing more is said: why is kept by the watch.
struct Ended;

impl From<TooLong> for Ended {
    fn from(_: TooLong) -> Self {
        Self
    }
}

impl Remote {
    /// Makes a pipe to a server. Nothing is sent before something is written to it. Call it within a runtime.
    ///
    /// # Errors
    /// Why there can be none, in words.
    pub(super) fn open(address: &Address, watch: &Arc<Watch>) -> Result<(Self, Pipes), String> {
        let endpoint = Endpoint::parse(&address.url, false).map_err(|refused| match refused {
            // A provider may be allowed it; here a token goes with every message.
            Refused::PlainHttp(host) => format!("plain http to `{host}` is refused: use https"),
            other => other.about("its url"),
        })?;
        let http = Http::new(&endpoint, CONNECT).map_err(|fault| fault.message)?;
        let no_pipe = |error: std::io::Error| format!("there is no pipe to it: {error}");
        let (theirs_out, reader) = pipe::pipe().map_err(no_pipe)?;
        let (writer, theirs_in) = pipe::pipe().map_err(no_pipe)?;
        let link = Link {
            http,
            endpoint,
            token: address.token.clone(),
            patience: address.patience,
            named: Mutex::default(),
            writer: tokio::sync::Mutex::new(writer),
            watch: Arc::clone(watch),
        };
        let task = tokio::spawn(carry(Arc::new(link), reader));
        Ok((Self(task.abort_handle()), (Limited::new(theirs_in, watch), theirs_out)))
    }
}

/// Carries messages until the pipe or the conversation ends.
async fn carry(link: Arc<Link>, reader: Receiver) {
    let mut lines = BufReader::new(reader).lines();
    let mut asked: JoinSet<Result<(), Ended>> = JoinSet::new();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { break };
                let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
                let is_question = message["id"] != Value::Null && message["method"].is_string();
                // What the greeting settles holds for all that follows.
                if !is_question || message["method"] == "initialize" {
                    if link.send(&message).await.is_err() {
                        break;
                    }
                    continue;
                }
                let link = Arc::clone(&link);
                asked.spawn(async move { link.send(&message).await });
            }
            Some(ended) = asked.join_next() => {
                if matches!(ended, Ok(Err(Ended))) {
                    break;
                }
            }
        }
    }
    // With whoever still asks goes the pipe, and the protocol sees that it is closed.
}

impl Link {
    async fn send(&self, message: &Value) -> Result<(), Ended> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let method = message["method"].as_str();
        let version = message["params"]["_meta"][VERSION_KEY].as_str().map(str::to_owned).or_else(|| named.version.clone());
        let name = message["params"]["name"].as_str().filter(|name| method == Some("tools/call") && name.is_ascii());
        let mut headers = vec![("accept", "application/json, text/event-stream")];
        headers.extend(named.session.as_deref().map(|session| ("mcp-session-id", session)));
        headers.extend(version.as_deref().map(|version| ("mcp-protocol-version", version)));
        headers.extend(method.map(|method| ("mcp-method", method)));
        headers.extend(name.map(|name| ("mcp-name", name)));
        let post = Post {
            url: self.endpoint.url.clone(),
            headers,
            key: self.token.as_ref().map(|token| ("authorization", "Bearer ", token)),
            body: message.to_string().into_bytes(),
            first_byte: self.patience,
            idle: self.patience,
        };
        let response = match self.http.post(post).await {
            Ok(response) => response,
            Err(fault) => return Err(self.end(format!("it cannot be reached at {}: {}", self.endpoint.origin(), fault.message))),
        };
        self.take(message, response, named.session.is_some()).await
    }

    async fn take(&self, message: &Value, response: Response, has_session: bool) -> Result<(), Ended> {
        let status = response.status();
        let session = response.header("mcp-session-id").filter(|session| session.len() <= SESSION_CHARS_MAX);
        if let (true, Some(session)) = (message["method"] == "initialize", session) {
            self.named.lock().unwrap_or_else(PoisonError::into_inner).session = Some(session.to_owned());
        }
        let is_stream = response.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
        match status {
            202 | 204 => Ok(()),
            200..=299 if is_stream => self.stream(message, response).await,
            200..=299 => {
                let limit = MESSAGE_BYTES_MAX as usize + 1;
                let text = response.text(limit).await;
                match serde_json::from_str(&text) {
                    Ok(said) => self.deliver(message, said).await,
                    Err(_) if message["id"].is_null() => Ok(()),
                    Err(_) if text.len() >= limit => Err(self.end("it sent a message of more than 8 MiB".to_owned())),
                    Err(_) => Err(self.end("it answered what is no message of the protocol".to_owned())),
                }
            }
            404 if has_session => Err(self.end("it has forgotten the conversation".to_owned())),
            _ => self.refused(message, status, &response.text(ERROR_BYTES_MAX).await).await,
        }
    }

    /// Tells whoever asked that the server refuses.
    async fn refused(&self, message: &Value, status: u16, body: &str) -> Result<(), Ended> {
        if message["id"].is_null() || message["method"].is_null() {
            return Ok(());
        }
        if let Ok(said) = serde_json::from_str::<Value>(body)
            && said["error"].is_object()
            && said["id"] == message["id"]
        {
            return self.deliver(message, said).await;
        }
        let meaning = match status {
            401 | 403 => ": it wants another token (`token_env` names the variable that has it)",
            404 | 405 => ": its `url` is not where it speaks the protocol",
            300..=399 => ": it is elsewhere, and redirections are not followed",
            _ => "",
        };
        let first: String =
            body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(200).collect();
        let said = if first.is_empty() || first.starts_with('<') { String::new() } else { format!("; it says: {first}") };
        let words = format!("HTTP status {status}{meaning}{said}");
        self.deliver(message, json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32000, "message": words}})).await
    }

    /// Reads a stream of events until its end; the answer is the last of them.
    async fn stream(&self, message: &Value, mut response: Response) -> Result<(), Ended> {
        let mut decoder = SseDecoder::new(MESSAGE_BYTES_MAX as usize);
        let mut is_answered = message["id"].is_null();
        loop {
            let chunk = response.chunk().await.map_err(|fault| self.end(format!("its answer broke off: {}", fault.message)))?;
            let Some(chunk) = chunk else { break };
            let mut events: Vec<Value> = Vec::new();
            let pushed = decoder.push(&chunk, |data| {
                events.extend(serde_json::from_slice::<Value>(data).ok());
                Ok::<(), Ended>(())
            });
            if pushed.is_err() {
                return Err(self.end("it sent a message of more than 8 MiB".to_owned()));
            }
            for said in events {
                is_answered |= said["id"] == message["id"] && said["method"].is_null();
                self.deliver(message, said).await?;
            }
            if is_answered {
                return Ok(());
            }
        }
        if is_answered { Ok(()) } else { Err(self.end("it ended its answer before it gave one".to_owned())) }
    }

    /// Hands on what the server says.
    async fn deliver(&self, asked: &Value, said: Value) -> Result<(), Ended> {
        if let (true, Some(version)) = (asked["method"] == "initialize", said["result"]["protocolVersion"].as_str()) {
            self.named.lock().unwrap_or_else(PoisonError::into_inner).version = Some(version.to_owned());
        }
        let mut line = said.to_string();
        line.push('\n');
        self.writer.lock().await.write_all(line.as_bytes()).await.map_err(|_| Ended)
    }

    fn end(&self, why: String) -> Ended {
        self.watch.end(why);
        Ended
    }
}
