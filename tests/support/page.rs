//! The page as a browser meets it: `meno ui` at work, and requests that say of themselves what a test wants.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::{DEADLINE, House, Running};

/// `meno ui` at work.
pub struct Served {
    pub running: Running,
    /// `127.0.0.1:PORT`.
    pub host: String,
    pub token: String,
    /// What a browser that was let in sends.
    pub cookie: String,
}

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Served {
    /// Serves a home's store; nobody was let in yet.
    pub fn start(house: &House, args: &[&str]) -> Self {
        Self::of(house.start(["ui", "--json", "--no-open", "--port", "0"].iter().chain(args)))
    }

    /// Takes over `meno ui --json` that was started.
    pub fn of(mut running: Running) -> Self {
        let line: Value = serde_json::from_str(running.line().expect("where the page is")).expect("JSON");
        let url = line["url"].as_str().expect("an address").strip_prefix("http://").expect("an address").to_owned();
        let (host, token) = url.split_once("/?token=").expect("a token");
        Self { host: host.to_owned(), token: token.to_owned(), cookie: String::new(), running }
    }

    /// Serves a home's store to somebody who was let in.
    pub fn admitted(house: &House, args: &[&str]) -> Self {
        let mut served = Self::start(house, args);
        let answer = served.get(&format!("/?token={}", served.token));
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").expect("a cookie").split(';').next().expect("its value").to_owned();
        served.cookie = cookie;
        served
    }

    /// Returns the address that lets a browser in.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.host, self.token)
    }

    /// Asks for a page, with the cookie if there is one.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[("Host", &self.host), ("Cookie", &self.cookie)], "")
    }

    /// Asks for a page that has to be there.
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Returns the word that every form carries.
    pub fn word(&self) -> String {
        let page = self.page("/new/release_prep");
        let at = page.find("name=\"word\" value=\"").expect("a form") + "name=\"word\" value=\"".len();
        page[at..].split('"').next().expect("its end").to_owned()
    }

    /// Sends a form of this server.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let word = self.word();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("word", &word).extend_pairs(fields);
        let origin = format!("http://{}", self.host);
        let headers = [
            ("Host", self.host.as_str()),
            ("Cookie", &self.cookie),
            ("Origin", &origin),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.ask("POST", path, &headers, &form.finish())
    }

    /// Asks with exactly these headers; empty ones are left out.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).expect("sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("answered");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.replace("\r\n", "\n"), body: body.to_owned() }
    }

    /// Opens the stream of news and returns its connection.
    pub fn listen(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", self.host, self.cookie);
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    }
}
