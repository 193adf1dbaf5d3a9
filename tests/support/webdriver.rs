//! A browser over WebDriver, as far as the tests need it: JSON over HTTP to a driver on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{DEADLINE, cannot_check};

/// How a browser looks at the page.
#[derive(Clone, Copy)]
pub struct View {
    /// The width of the window, in pixels.
    pub width: u32,
    /// The user prefers dark colours.
    pub dark: bool,
}

/// A browser of its own, with a folder that nobody else uses.
pub struct Browser {
    driver: Child,
    profile: tempfile::TempDir,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts a browser; `None`, said in one line, where there is none or `MENO_BROWSER` does not ask for it: these tests take minutes.
    pub fn start(view: View) -> Option<Self> {
        if std::env::var_os("MENO_BROWSER").is_none() {
            cannot_check("browser", "MENO_BROWSER=1 looks at the page in Chromium");
            return None;
        }
        let is_there = |name: &str| {
            std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
        };
        if let Some(name) = ["chromium", "chromedriver"].into_iter().find(|name| !is_there(name)) {
            cannot_check("browser", &format!("{name} is not installed"));
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = command.process_group(0).spawn().expect("the driver starts");
        let profile = tempfile::tempdir().expect("a folder");
        let mut browser = Self { driver, profile, port, session: String::new() };
        let until = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "the driver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let options = options(view, browser.profile.path());
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let session = browser.ask("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}")).to_owned();
        Some(browser)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        let body = if method == "GET" || method == "DELETE" { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("sent");
        // The driver keeps the connection open, so its length says where an answer ends.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("answered");
            if line.trim().is_empty() {
                break;
            }
            if let Some((_, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("answered whole");
        let answer: Value =
            serde_json::from_slice(&body).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&body)));
        answer["value"].clone()
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let value = self.ask(method, &format!("/session/{}{path}", self.session), body);
        assert!(value.get("error").is_none(), "{path} {body}: {value}");
        value
    }

    /// Opens an address.
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Returns the name of the window that is looked at.
    pub fn window(&self) -> String {
        self.command("GET", "/window", &Value::Null).as_str().expect("a window").to_owned()
    }

    /// Opens a window beside the others and looks at it from now on; returns its name.
    pub fn new_window(&self) -> String {
        let opened = self.command("POST", "/window/new", &json!({"type": "window"}));
        let name = opened["handle"].as_str().expect("a window").to_owned();
        self.look_at(&name);
        name
    }

    /// Looks at another window.
    pub fn look_at(&self, window: &str) {
        self.command("POST", "/window", &json!({ "handle": window }));
    }

    /// Closes the window that is looked at; another one must be looked at next.
    pub fn close_window(&self) {
        self.command("DELETE", "/window", &Value::Null);
    }

    /// Runs a script in the page; an error of the driver, as while a page is left, is null.
    pub fn eval(&self, script: &str) -> Value {
        let path = format!("/session/{}/execute/sync", self.session);
        let value = self.ask("POST", &path, &json!({"script": script, "args": []}));
        if value.get("error").is_some() { Value::Null } else { value }
    }

    /// Waits until a script says yes.
    #[track_caller]
    pub fn until(&self, what: &str, script: &str) {
        let until = Instant::now() + DEADLINE;
        while self.eval(script) != Value::Bool(true) {
            if Instant::now() >= until {
                panic!(
                    "{what} does not come; the page says: {}",
                    self.eval("return location.href + '\\n' + document.body.innerText.slice(0, 3000)")
                );
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn element(&self, css: &str) -> String {
        let found = self.command("POST", "/element", &json!({"using": "css selector", "value": css}));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("{css}: {found}")).to_owned()
    }

    /// Clicks on what a selector finds, as a mouse does.
    pub fn click(&self, css: &str) {
        // A live page may draw the element anew between the two: then the new one is meant.
        for _ in 0..20 {
            let path = format!("/session/{}/element/{}/click", self.session, self.element(css));
            let value = self.ask("POST", &path, &json!({}));
            match value["error"].as_str() {
                None => return,
                Some("stale element reference") => {}
                Some(_) => panic!("{css}: {value}"),
            }
        }
        panic!("{css} is drawn anew all the time");
    }

    /// Types into a field, in place of what stands there.
    pub fn type_into(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.command("POST", &format!("/element/{element}/clear"), &json!({}));
        self.command("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses keys where the focus is.
    pub fn press(&self, keys: &str) {
        let presses =
            keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})));
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses.collect::<Vec<_>>()}]});
        self.command("POST", "/actions", &actions);
    }

    /// Returns what the page looks like as PNG, from its top to its end or to so many pixels.
    pub fn picture(&self, height: u32) -> Vec<u8> {
        let size = self.eval("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]");
        let height = size[1].as_u64().unwrap_or_default().min(u64::from(height));
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": height, "scale": 1});
        let params =
            json!({"cmd": "Page.captureScreenshot", "params": {"format": "png", "captureBeyondViewport": true, "clip": clip}});
        let taken = self.command("POST", "/goog/cdp/execute", &params);
        data_encoding::BASE64.decode(taken["data"].as_str().expect("a picture").as_bytes()).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        // The browser is of its group. It may have ended by itself.
        let _ =
            rustix::process::kill_process_group(rustix::process::Pid::from_child(&self.driver), rustix::process::Signal::KILL);
        let _ = self.driver.wait();
    }
}

fn options(view: View, profile: &Path) -> Value {
    let mut args: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]
    .map(str::to_owned)
    .into();
    args.push(format!("--user-data-dir={}", profile.display()));
    args.push(format!("--window-size={},1100", view.width));
    if view.dark {
        args.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    let mut options = json!({ "args": args });
    if view.width < 500 {
        options["mobileEmulation"] = json!({"deviceMetrics": {"width": view.width, "height": 800, "pixelRatio": 1.0}});
    }
    options
}
