//! A conversation with one server: the only file of this room that knows the SDK.
//!
//! Servers of the older revisions greet with `initialize`, which nearly all do; one that refuses it is asked anew in the newest way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, CancelledNotificationParam, ClientCapabilities, ClientConfig,
    ClientRequest, ContentBlock, CustomResult, Implementation, ListToolsRequest, PaginatedRequestParams,
    ProgressNotificationParam, ProgressToken, ProtocolVersion, RequestId, ResourceContents, ServerResult, Tool,
};
use rmcp::service::{
    ClientInitializeError, NotificationContext, Peer as Sdk, PeerRequestOptions, RoleClient, RunningService, ServiceError,
};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ClientHandler, ClientLifecycleMode, serve_client_with_lifecycle};
use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedSender;

use super::process::{Pipes, Process, Watch};
use super::remote::{Address, Remote};
use super::text::{Part, Said, capped, visible};
use crate::tools::child::Environment;
use crate::tools::programs::Programs;

/// Pages of a list of tools, and tools, at most.
const PAGES_MAX: usize = 50;
const TOOLS_MAX: usize = 500;

/// Bytes of what a server says of a call's progress that are told, at most.
const PROGRESS_BYTES_MAX: usize = 200;

/// Who is told of the progress of which call.
type Listeners = Arc<Listening>;

/// See [`Listeners`].
#[derive(Default)]
struct Listening {
    calls: Mutex<HashMap<ProgressToken, UnboundedSender<String>>>,
    /// Held from when a call is sent until its listener is known: its progress may come before that.
    sending: tokio::sync::Mutex<()>,
}

impl Listening {
    fn calls(&self) -> MutexGuard<'_, HashMap<ProgressToken, UnboundedSender<String>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked of a client is declined: nothing is sampled, nobody is asked, no folders are named. Progress is handed on.
struct Quiet(Listeners);

impl ClientHandler for Quiet {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("meno", env!("CARGO_PKG_VERSION")))
    }

    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _sent = self.0.sending.lock().await;
        if let Some(listener) = self.0.calls().get(&progress.progress_token) {
            let _ = listener.send(words_of(&progress));
        }
    }
}

/// Says how far a call is.
fn words_of(progress: &ProgressNotificationParam) -> String {
    let of = progress.total.map_or_else(String::new, |total| format!(" of {total}"));
    let message = progress.message.as_deref().unwrap_or_default();
    let message = visible(&capped(message, PROGRESS_BYTES_MAX)).replace(['\n', '\t'], " ");
    let colon = if message.is_empty() { "" } else { ": " };
    format!("{}{of}{colon}{message}", progress.progress)
}

/// A call that is made: whoever lets go of it before it is answered cancels it.
struct Open {
    sdk: Sdk<RoleClient>,
    id: Option<RequestId>,
    token: ProgressToken,
    listeners: Listeners,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.listeners.calls().remove(&self.token);
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let sdk = self.sdk.clone();
            let why = CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
            runtime.spawn(async move { sdk.notify_cancelled(why).await });
        }
    }
}

/// How a server is come by.
#[derive(Clone, Debug)]
pub(super) enum Launch {
    /// It is started.
    Start(Start),
    /// It is there.
    Reach(Address),
}

/// What starts a server.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) environment: Environment,
    pub(super) programs: Option<Programs>,
}

/// What stands behind the pipes of a server; it ends with this.
enum Peer {
    Process(Process),
    Remote(#[expect(dead_code, reason = "what it carries ends with it")] Remote),
}

impl Launch {
    fn open(&self, watch: &Arc<Watch>) -> Result<(Peer, Pipes), String> {
        match self {
            Self::Start(start) => {
                let program = (start.program.as_path(), start.arguments.as_slice());
                let started = Process::start(program, &start.folder, &start.environment, (watch, start.programs.as_ref()));
                started
                    .map(|(process, pipes)| (Peer::Process(process), pipes))
                    .map_err(|error| format!("it cannot be started: {error}"))
            }
            Self::Reach(address) => {
                let (remote, pipes) = Remote::open(address, watch)?;
                Ok((Peer::Remote(remote), pipes))
            }
        }
    }
}

/// A server that has been greeted.
pub(super) struct Session {
    running: RunningService<RoleClient, Quiet>,
    peer: Peer,
    watch: Arc<Watch>,
    listeners: Listeners,
}

/// What a server has.
#[derive(Debug, Default)]
pub(super) struct ToolList {
    pub(super) said: Vec<Said>,
    /// Why tools are left out that cannot even be read.
    pub(super) left_out: Vec<String>,
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallFault {
    /// The server says so.
    Refused(String),
    /// It was made, and what the server answered cannot be read.
    Unreadable(String),
    /// It does not answer any more.
    Gone(String),
}

impl Session {
    /// Starts a server and greets it.
    ///
    /// # Errors
    /// Why it cannot be spoken to, in words.
    pub(super) async fn open(launch: Launch) -> Result<Self, String> {
        match Self::greet(launch.clone(), ClientLifecycleMode::Initialize).await {
            Err((ClientInitializeError::JsonRpcError(_), first)) => {
                let newest = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] };
                Self::greet(launch, newest).await.map_err(|_| first)
            }
            other => other.map_err(|(_, words)| words),
        }
    }

    async fn greet(launch: Launch, mode: ClientLifecycleMode) -> Result<Self, (ClientInitializeError, String)> {
        let watch = Arc::new(Watch::default());
        let opened = launch.open(&watch);
        let (peer, pipes) = opened.map_err(|words| (ClientInitializeError::ConnectionClosed(words.clone()), words))?;
        let listeners = Listeners::default();
        match serve_client_with_lifecycle(Quiet(Arc::clone(&listeners)), AsyncRwTransport::new(pipes.0, pipes.1), mode).await {
            Ok(running) => {
                let spoken = running.peer_info().map(|info| info.protocol_version.clone());
                match spoken.filter(|version| !ProtocolVersion::KNOWN_VERSIONS.contains(version)) {
                    None => Ok(Self { running, peer, watch, listeners }),
                    Some(version) => {
                        let version = visible(&capped(version.as_str(), 40));
                        let words = format!("it speaks revision {version} of the protocol, which meno does not know");
                        Err((ClientInitializeError::ConnectionClosed(words.clone()), words))
                    }
                }
            }
            Err(error) => {
                let words = match &error {
                    ClientInitializeError::JsonRpcError(error) => format!("it refuses the greeting: {}", error.message),
                    ClientInitializeError::NoCompatibleProtocolVersion { .. } => {
                        "it speaks no revision that meno knows".to_owned()
                    }
                    ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::TransportError { .. } => {
                        silence(&peer, &watch).await
                    }
                    other => format!("it does not speak the Model Context Protocol: {other}"),
                };
                let words = visible(&capped(&words, 600));
                Err((error, words))
            }
        }
    }

    /// Returns whether the server said since the last time that its list of tools has changed.
    pub(super) fn takes_list_change(&self) -> bool {
        self.watch.takes_list_change()
    }

    /// Has the next call ask for the list of tools again.
    pub(super) fn list_changed(&self) {
        self.watch.list_changed();
    }

    /// Returns the tools that the server has.
    ///
    /// # Errors
    /// Why it does not say, in words.
    pub(super) async fn tools(&self) -> Result<ToolList, String> {
        self.watch.listing(true);
        let listed = self.pages().await;
        self.watch.listing(false);
        let mut list = listed?;
        let (kept, tasks): (Vec<Said>, Vec<Said>) = list.said.into_iter().partition(|said| !self.watch.is_task_only(&said.name));
        list.said = kept;
        list.left_out.extend(tasks.iter().map(|said| {
            let name = visible(&capped(&said.name, 60));
            format!("`{name}` works only as a task, and meno asks for no tasks")
        }));
        Ok(list)
    }

    async fn pages(&self) -> Result<ToolList, String> {
        let (mut list, mut cursor) = (ToolList::default(), None);
        for _ in 0..PAGES_MAX {
            self.watch.asked();
            let asked = PaginatedRequestParams::default().with_cursor(cursor);
            let request = ListToolsRequest { method: Default::default(), params: Some(asked), extensions: Default::default() };
            // Not by the SDK's own list, which it may have kept from an earlier time.
            let page = match self.running.send_request(ClientRequest::ListToolsRequest(request)).await {
                Ok(ServerResult::ListToolsResult(page)) => (page.tools, page.next_cursor),
                // One tool that is described wrongly makes the whole page none: the others are taken one by one.
                Ok(ServerResult::CustomResult(CustomResult(page))) => each_tool(&page, &mut list)?,
                Ok(_) => return Err("its list of tools is none".to_owned()),
                Err(error) => return Err(self.words(error).await.into_words()),
            };
            list.said.extend(page.0.into_iter().map(|tool| Said {
                name: tool.name.into_owned(),
                description: tool.description.or_else(|| tool.title.map(Into::into)).unwrap_or_default().into_owned(),
                schema: Arc::unwrap_or_clone(tool.input_schema),
                reads: tool.annotations.as_ref().and_then(|hints| hints.read_only_hint).unwrap_or(false),
                is_idempotent: tool.annotations.as_ref().and_then(|hints| hints.idempotent_hint).unwrap_or(false),
            }));
            // One page may have them all.
            if list.said.len() > TOOLS_MAX {
                break;
            }
            cursor = page.1;
            if cursor.is_none() {
                return Ok(list);
            }
        }
        Err(format!("it has more than {TOOLS_MAX} tools, or never ends its list of them"))
    }

    /// Calls a tool; returns what it gave, and whether it says that it failed. How far it is goes to `progress`, in words. Whoever drops
    /// the future cancels the call.
    ///
    /// # Errors
    /// Why there is no result.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        progress: UnboundedSender<String>,
    ) -> Result<(Vec<Part>, bool), CallFault> {
        self.watch.asked();
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = CallToolRequest::new(params);
        let asked =
            self.running.send_request_with_option(ClientRequest::CallToolRequest(request), PeerRequestOptions::no_options());
        let sending = self.listeners.sending.lock().await;
        let handle = match asked.await {
            Ok(handle) => handle,
            Err(error) => return Err(self.words(error).await),
        };
        let token = handle.progress_token.clone();
        self.listeners.calls().insert(token.clone(), progress);
        drop(sending);
        let (sdk, listeners) = (self.running.peer().clone(), Arc::clone(&self.listeners));
        let mut open = Open { sdk, id: Some(handle.id.clone()), token, listeners };
        let answered = handle.await_response().await;
        open.id = None;
        let result = match answered.and_then(result_of) {
            Ok(result) => result,
            Err(error) => return Err(self.words(error).await),
        };
        let mut parts: Vec<Part> = result.content.into_iter().map(part).collect();
        if let (true, Some(structured)) = (parts.is_empty(), result.structured_content) {
            parts.push(Part::Text(structured.to_string()));
        }
        Ok((parts, result.is_error.unwrap_or(false)))
    }

    async fn words(&self, error: ServiceError) -> CallFault {
        match error {
            ServiceError::McpError(error) => CallFault::Refused(visible(&capped(&error.message, 1000))),
            ServiceError::TransportClosed | ServiceError::TransportSend(_) | ServiceError::Cancelled { .. } => {
                CallFault::Gone(silence(&self.peer, &self.watch).await)
            }
            ServiceError::UnexpectedResponse => CallFault::Unreadable(
                "it is not what the protocol wants, or holds a kind of content that meno does not know".to_owned(),
            ),
            other => CallFault::Unreadable(visible(&capped(&other.to_string(), 1000))),
        }
    }
}

impl CallFault {
    fn into_words(self) -> String {
        match self {
            Self::Refused(words) | Self::Unreadable(words) | Self::Gone(words) => words,
        }
    }
}

/// Reads the tools of a page that cannot be read as a whole one by one.
fn each_tool(page: &Value, list: &mut ToolList) -> Result<(Vec<Tool>, Option<String>), String> {
    let Some(tools) = page["tools"].as_array() else { return Err("its list of tools is none".to_owned()) };
    let mut read = Vec::new();
    for tool in tools.iter().take(TOOLS_MAX + 1) {
        match serde_json::from_value::<Tool>(tool.clone()) {
            Ok(tool) => read.push(tool),
            Err(error) => {
                let name = visible(&capped(tool["name"].as_str().unwrap_or("?"), 60));
                list.left_out.push(format!(
                    "`{name}` is not described as the protocol wants it: {}",
                    visible(&capped(&error.to_string(), 200))
                ));
            }
        }
    }
    Ok((read, page["nextCursor"].as_str().map(str::to_owned)))
}

/// Returns the result of a call. One that holds nothing is read as another kind of answer.
fn result_of(answer: ServerResult) -> Result<CallToolResult, ServiceError> {
    match answer {
        ServerResult::CallToolResult(result) => Ok(result),
        ServerResult::EmptyResult(_) | ServerResult::TaskAckResult(_) => Ok(CallToolResult::default()),
        ServerResult::CustomResult(CustomResult(Value::Object(fields))) if fields.keys().all(|key| key == "_meta") => {
            Ok(CallToolResult::default())
        }
        _ => Err(ServiceError::UnexpectedResponse),
    }
}

/// Says why a server says nothing more.
async fn silence(peer: &Peer, watch: &Watch) -> String {
    let process = match peer {
        Peer::Process(process) => process,
        Peer::Remote(_) => {
            let fault = watch.fault().map(|fault| format!("{fault}, so the conversation was ended"));
            return fault.or_else(|| watch.ended()).unwrap_or_else(|| "it ended the conversation".to_owned());
        }
    };
    // A process that closes its pipes is about to end: how, and what it said last, are worth a moment.
    for _ in 0..100 {
        if watch.fault().is_some() || (process.ended().is_some() && watch.is_heard()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let mut words = match (watch.fault(), process.ended()) {
        (Some(fault), _) => format!("{fault}, so it was ended"),
        (None, Some(ended)) => ended,
        (None, None) => "it closed the connection".to_owned(),
    };
    let last = watch.last_words();
    if !last.is_empty() {
        words += &format!("; its last words: {last}");
    }
    words
}

fn part(block: ContentBlock) -> Part {
    match block {
        ContentBlock::Text(text) => Part::Text(text.text),
        ContentBlock::Image(image) => Part::Data("image", image.mime_type, image.data),
        ContentBlock::Audio(audio) => Part::Data("audio", audio.mime_type, audio.data),
        ContentBlock::ResourceLink(link) => Part::Link(link.uri),
        ContentBlock::Resource(resource) => match resource.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => Part::Resource(uri, text),
            ResourceContents::BlobResourceContents { mime_type, blob, .. } => {
                Part::Data("resource", mime_type.unwrap_or_default(), blob)
            }
            _ => Part::Text("[a resource of a kind that meno does not know]".to_owned()),
        },
        _ => Part::Text("[content of a kind that meno does not know]".to_owned()),
    }
}
