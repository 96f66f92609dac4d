//! The HTTP port as its clients see it: curl for what a user does, a socket for what curl would not.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// One connection to the HTTP port.
pub struct Client(pub TcpStream);

impl Client {
    /// A new one.
    pub fn of(server: &TestServer) -> Client {
        let stream = TcpStream::connect(server.http()).expect("the HTTP port listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout can be set");
        Client(stream)
    }

    /// Sends as it is.
    pub fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).expect("it is sent");
    }

    /// Everything until the server closes.
    pub fn read_to_end(mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).expect("it is closed");
        text
    }

    /// A buffered reader of the same connection, for what is read in parts.
    pub fn reader(&self) -> BufReader<TcpStream> {
        BufReader::new(self.0.try_clone().expect("a second handle"))
    }
}

/// One head: everything up to the empty line.
pub fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = reader.read_line(&mut head).expect("a head");
        assert!(read > 0, "the connection is closed in a head: {head}");
    }
    head
}

/// One chunk; None for the last one, an error where the connection ends first.
pub fn read_chunk(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut size = String::new();
    if reader.read_line(&mut size)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let size = usize::from_str_radix(size.trim_end(), 16).expect("a chunk's size");
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk)?;
    assert!(chunk.ends_with(b"\r\n"));
    chunk.truncate(size);
    Ok((size > 0).then(|| String::from_utf8(chunk).expect("text")))
}

/// The first line.
pub fn status(response: &str) -> &str {
    response.lines().next().unwrap_or_default()
}

/// The Authorization field, with its line end.
pub fn basic(user: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(user))
}

/// The superuser's name and password, as curl's -u takes them.
pub fn as_superuser() -> String {
    format!("nodedb:{SUPERUSER_PASSWORD}")
}

/// A POST request of the superuser's.
pub fn request(path: &str, version: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/{version}\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{body}",
        basic(&as_superuser()),
        body.len(),
    )
}

/// The status and the body of a request made with curl; 0 where there is no whole reply.
pub fn curl(server: &TestServer, path: &str, arguments: &[&str]) -> (u16, String) {
    let done = Command::new("curl")
        .args(["-s", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("http://{}{path}", server.http()))
        .output()
        .expect("curl runs");
    let text = String::from_utf8(done.stdout).expect("curl prints text");
    let (body, status) = text.rsplit_once('\n').expect("the status is the last line");
    (status.parse().expect("a status"), body.to_owned())
}

/// POST /v1/query as the superuser.
pub fn post(server: &TestServer, body: &Value) -> (u16, Value) {
    // Longer than an argument of a command may be, some of them.
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), body.to_string()).expect("it can be written");
    let (user, data) = (as_superuser(), format!("@{}", file.path().display()));
    let (status, reply) = curl(server, "/v1/query", &["-u", &user, "--data-binary", &data]);
    let reply = serde_json::from_str(&reply).unwrap_or_else(|_| panic!("{status}: {reply}"));
    (status, reply)
}

/// Statements of the superuser's.
pub fn sql(server: &TestServer, text: &str) -> (u16, Value) {
    post(server, &json!({ "sql": text }))
}
