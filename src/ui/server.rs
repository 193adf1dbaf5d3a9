//! The page over HTTP: the only file that names axum. Requests are checked by the guard, then answered by a thread that may block.

use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event as ServerEvent, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use futures_core::Stream;
use maud::{DOCTYPE, html};
use tokio::sync::{broadcast, mpsc};

use super::changes::Untold;
use super::guard::{Claims, Entry, MCP_PATH};
use super::pages::{Handle, ROUTES, Route};
use super::{Answer, Params, Request, Ui, layout};
use crate::cli::error::{CliError, Exit, Result};
use crate::mcp::{HttpDoor, HttpService};

/// The most that a form may hold, in bytes.
const FORM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most that is read of a form that holds more.
const THROWN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a browser waits for a page before it is told that it is being made.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The style sheet of all pages and their drawings.
const STYLE: &str =
    concat!(include_str!("assets/style.css"), include_str!("../charts/style.css"), include_str!("assets/pages.css"));

/// Said with every answer: nothing comes from elsewhere, no script stands in a page, no other page shows this one or learns its address.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; img-src 'self'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Serves until `is_over`, which is asked a few times a second.
///
/// # Errors
/// When the server cannot be started or fails.
pub fn serve(ui: &Arc<Ui>, listener: TcpListener, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Result<()> {
    /// How often it is looked whether it is over.
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let failed = |error: std::io::Error| CliError::fault("the page cannot be served").source(&error);
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    let is_over = Arc::new(is_over);
    let watching = {
        let (ui, is_over) = (Arc::clone(ui), Arc::clone(&is_over));
        let watch = move || ui.changes.watch(&ui.workspace, &*is_over);
        std::thread::Builder::new().name("meno-changes".to_owned()).spawn(watch).map_err(failed)?
    };
    let (global, options) = ui.mcp.clone();
    let open = ui.workspace.session().is_some().then(|| Arc::clone(&ui.workspace));
    let programs = HttpDoor::new(&global, options, open, runtime.handle().clone());
    let served = runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let over = async {
            while !is_over() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // Open pages hold connections that would never end: they are dropped.
        tokio::select! {
            served = std::future::IntoFuture::into_future(axum::serve(listener, router(Arc::clone(ui), programs.service()))) => served,
            () = over => Ok(()),
        }
    });
    // What runs go through to be paused needs the runtime.
    ui.runner.pause_all();
    programs.end();
    runtime.shutdown_timeout(Duration::from_secs(1));
    // A panic in there has ended it as well.
    let _ = watching.join();
    served.map_err(failed)
}

fn router(ui: Arc<Ui>, programs: HttpService) -> Router {
    let mut router = Router::new().route("/live", get(live)).route_service(MCP_PATH, programs);
    for Route { path, handle } in ROUTES {
        router = match *handle {
            Handle::Get(answer) => {
                router.route(path, get(move |state, parts, uri, headers| shown(state, parts, uri, headers, answer)))
            }
            Handle::Post(answer) => {
                router.route(path, post(move |state, parts, uri, body| changed(state, parts, uri, body, answer)))
            }
        };
    }
    let inside = router.fallback(unknown).method_not_allowed_fallback(wrong_method);
    let inside = inside.layer(from_fn_with_state(Arc::clone(&ui), admit));
    let outside = Router::new()
        .route("/style.css", get(|| asset("text/css; charset=utf-8", STYLE)))
        .route("/script.js", get(|| asset("text/javascript; charset=utf-8", include_str!("assets/script.js"))))
        .route("/favicon.ico", get(|| asset("image/svg+xml", include_str!("assets/icon.svg"))))
        .route("/icon.svg", get(|| asset("image/svg+xml", include_str!("assets/icon.svg"))))
        .method_not_allowed_fallback(only_read);
    outside.merge(inside).layer(from_fn_with_state(Arc::clone(&ui), check)).with_state(ui)
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

type Handler = fn(&Ui, &Request) -> Result<Answer>;

/// Shows a page. A browser does not wait in silence for one that takes long.
async fn shown(State(ui): State<Arc<Ui>>, parts: RawPathParams, uri: Uri, headers: HeaderMap, handler: Handler) -> Response {
    let request = Request { parts: parts_of(&parts), query: query_of(&uri), form: Params::default() };
    // Scripts and programs wait: what they could be shown meanwhile is nothing to them.
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    if is_document(&uri) || !accepted.contains("text/html") {
        return answer(ui, request, handler, is_document(&uri)).await;
    }
    let asked = Arc::clone(&ui);
    match ui.pending.get(&uri.to_string(), PATIENCE, move || handler(&asked, &request)).await {
        Some(made) => respond(&ui, made.unwrap_or_else(|_| panicked()), false),
        None => {
            let again = [(header::RETRY_AFTER, HeaderValue::from(layout::AGAIN_SECONDS))];
            let page = layout::waiting(&ui, ui.workspace.making().as_ref());
            (StatusCode::SERVICE_UNAVAILABLE, again, Html(page.into_string())).into_response()
        }
    }
}

async fn changed(State(ui): State<Arc<Ui>>, parts: RawPathParams, uri: Uri, body: Body, handler: Handler) -> Response {
    let form = match form_of(body).await {
        Ok(form) => form,
        Err(report) => return respond(&ui, Err(report), is_document(&uri)),
    };
    let request = Request { parts: parts_of(&parts), query: query_of(&uri), form: Params::parse(&form) };
    if !ui.guard.is_own_form(request.form.get("word")) {
        return refused("the form is not one of this server's");
    }
    answer(ui, request, handler, is_document(&uri)).await
}

/// Reads what a form sends. What is too large is read on and thrown away, as far as that goes: a browser reads no answer before it has sent
/// all.
async fn form_of(body: Body) -> Result<Vec<u8>> {
    let mut parts = std::pin::pin!(body.into_data_stream());
    let (mut form, mut bytes) = (Vec::new(), 0);
    while let Some(part) = std::future::poll_fn(|context| parts.as_mut().poll_next(context)).await {
        let part = part.map_err(|why| CliError::invalid("the form did not arrive whole").source(&why).hint("send it again"))?;
        bytes += part.len();
        if bytes > THROWN_BYTES_MAX {
            break;
        } else if bytes > FORM_BYTES_MAX {
            form.clear();
        } else {
            form.extend_from_slice(&part);
        }
    }
    if bytes > FORM_BYTES_MAX {
        let message = format!("the form is larger than {} MiB, the most that is taken", FORM_BYTES_MAX >> 20);
        return Err(CliError::new("too_large", Exit::Mendable, message)
            .hint("send less at once, or give long texts as files: `meno run TEMPLATE --input ID=PATH`"));
    }
    Ok(form)
}

/// Answers who asks in a way that the address does not know, such as a reload of what a form was sent to.
async fn wrong_method(State(ui): State<Arc<Ui>>, method: Method, uri: Uri) -> Response {
    let report = CliError::new("wrong_method", Exit::Mendable, format!("`{}` does not answer {method}", uri.path()));
    let hint = match method {
        Method::GET | Method::HEAD => "it takes what a form sends: go to the page with the form, and send that",
        _ => "it only shows something: open it in the browser",
    };
    respond(&ui, Err(report.hint(hint)), is_document(&uri))
}

/// The same of what anybody may read.
async fn only_read() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "This address can only be read: ask with GET.\n")
}

/// Tells whether programs ask: they are answered with a document, errors too.
fn is_document(uri: &Uri) -> bool {
    uri.path().starts_with("/api/")
}

fn document(report: &CliError) -> String {
    serde_json::to_string(&report.to_json()).unwrap_or_default()
}

fn parts_of(parts: &RawPathParams) -> Params {
    parts.iter().fold(Params::default(), |parts, (name, value)| parts.with(name, Some(value)))
}

fn query_of(uri: &Uri) -> Params {
    Params::parse(uri.query().unwrap_or_default().as_bytes())
}

/// Lets a thread that may block answer.
async fn answer(ui: Arc<Ui>, request: Request, handler: Handler, is_document: bool) -> Response {
    let asked = Arc::clone(&ui);
    let answered = tokio::task::spawn_blocking(move || handler(&asked, &request)).await;
    respond(&ui, answered.unwrap_or_else(|_| panicked()), is_document)
}

/// What panicked has said so on stderr.
fn panicked() -> Result<Answer> {
    Err(CliError::fault("this page could not be made"))
}

fn respond(ui: &Ui, answered: Result<Answer>, is_document: bool) -> Response {
    match answered {
        Ok(Answer::Page(page)) => Html(layout::page(ui, &page).into_string()).into_response(),
        Ok(Answer::See(place)) => (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response(),
        Ok(Answer::Json(document)) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        Ok(Answer::Text(text)) => text.into_response(),
        Err(report) if is_document => {
            (status(&report), [(header::CONTENT_TYPE, "application/json")], document(&report)).into_response()
        }
        Err(report) => fault(ui, &report),
    }
}

fn status(report: &CliError) -> StatusCode {
    match (report.kind, report.exit) {
        ("not_found" | "run_not_found" | "run_reference" | "unknown_template", _) => StatusCode::NOT_FOUND,
        ("refused" | "run_held" | "conflict", _) => StatusCode::CONFLICT,
        ("too_large", _) => StatusCode::PAYLOAD_TOO_LARGE,
        ("wrong_method", _) => StatusCode::METHOD_NOT_ALLOWED,
        (_, Exit::Fault) => StatusCode::INTERNAL_SERVER_ERROR,
        (_, Exit::Unreachable | Exit::Violation) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn fault(ui: &Ui, report: &CliError) -> Response {
    (status(report), Html(layout::page(ui, &layout::fault(report)).into_string())).into_response()
}

async fn unknown(State(ui): State<Arc<Ui>>, uri: Uri) -> Response {
    let report = CliError::not_found(format!("there is no page `{}`", uri.path()));
    match is_document(&uri) {
        true => (status(&report), [(header::CONTENT_TYPE, "application/json")], document(&report)).into_response(),
        false => fault(&ui, &report.hint("the navigation above shows all pages")),
    }
}

/// Refuses requests of others, and says with every answer what a browser may do with it.
async fn check(State(ui): State<Arc<Ui>>, request: HttpRequest, next: Next) -> Response {
    let mut response = match ui.guard.check_source(claims(&request)) {
        Ok(()) => next.run(request).await,
        Err(why) => refused(why),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Lets in who has the cookie, and gives it to who has the token.
async fn admit(State(ui): State<Arc<Ui>>, request: HttpRequest, next: Next) -> Response {
    if request.uri().path() == MCP_PATH {
        let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        return match ui.guard.admit(Claims { authorization, ..claims(&request) }) {
            Entry::Admitted => next.run(request).await,
            Entry::Welcome | Entry::Refused(_) => unauthorized(),
        };
    }
    let query = query_of(request.uri());
    let token = query.get("token").filter(|_| request.method() == Method::GET);
    match ui.guard.admit(Claims { token, ..claims(&request) }) {
        Entry::Admitted => next.run(request).await,
        Entry::Refused(why) => refused(why),
        Entry::Welcome => {
            // A browser that was sent here by another site brings a strict cookie only with a request that this page itself makes.
            let page = html! {
                (DOCTYPE)
                meta charset="utf-8";
                meta http-equiv="refresh" content="0;url=/";
                title { "Meno" }
                a href="/" { "Continue" }
            };
            ([(header::SET_COOKIE, ui.guard.cookie())], Html(page.into_string())).into_response()
        }
    }
}

fn claims(request: &HttpRequest) -> Claims<'_> {
    let header = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    Claims { host: header(header::HOST), origin: header(header::ORIGIN), cookie: header(header::COOKIE), ..Claims::default() }
}

/// Says to a program what it has to bring.
fn unauthorized() -> Response {
    let words = "the header `Authorization: Bearer TOKEN` is missing or wrong: `meno ui` prints the token, or takes it from MENO_MCP_TOKEN\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer"), (header::CONTENT_TYPE, "text/plain; charset=utf-8")], words)
        .into_response()
}

fn refused(why: &str) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Refused · Meno" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                main {
                    h1 { "Refused" }
                    p class="fault" { (why) "." }
                    p { "The address that " code { "meno ui" } " prints lets one browser in, once. End it and start it again for another." }
                }
            }
        }
    };
    (StatusCode::FORBIDDEN, Html(page.into_string())).into_response()
}

/// Tells a browser of which runs events were appended, as server-sent events. Its pages share one such stream: each knows what it shows.
async fn live(State(ui): State<Arc<Ui>>) -> Response {
    let mut news = ui.changes.listen();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut untold = Untold::default();
        loop {
            tokio::select! {
                heard = news.recv() => match heard {
                    Ok(runs) => untold.add(&runs),
                    Err(broadcast::error::RecvError::Lagged(_)) => untold.miss(),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                room = sender.reserve(), if !untold.is_empty() => match room {
                    Ok(room) => room.send(ServerEvent::default().data(untold.take())),
                    Err(_) => return,
                },
                () = sender.closed() => return,
            }
        }
    });
    let stream = Sse::new(Received(receiver)).keep_alive(KeepAlive::default());
    let (parts, body) = stream.into_response().into_parts();
    Response::from_parts(parts, Body::new(body))
}

/// What arrives over a channel, as a stream.
struct Received(mpsc::Receiver<ServerEvent>);

impl Stream for Received {
    type Item = std::result::Result<ServerEvent, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}
