//! Printing a response (RFC 9110, RFC 9112).

use super::json::number;
use bytes::{BufMut, Bytes, BytesMut};
use httpdate::HttpDate;
use std::borrow::Cow;
use std::fmt::Write;
use std::time::SystemTime;

/// A status: its code and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u16, &'static str);

macro_rules! statuses {
    ($($name:ident = $code:literal $reason:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!(stringify!($code), " ", $reason)]
                pub const $name: Status = Status($code, concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n"));
            )*
        }
    };
}

statuses! {
    OK = 200 "OK";
    NO_CONTENT = 204 "No Content";
    BAD_REQUEST = 400 "Bad Request";
    UNAUTHORIZED = 401 "Unauthorized";
    FORBIDDEN = 403 "Forbidden";
    NOT_FOUND = 404 "Not Found";
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed";
    REQUEST_TIMEOUT = 408 "Request Timeout";
    CONFLICT = 409 "Conflict";
    CONTENT_TOO_LARGE = 413 "Content Too Large";
    EXPECTATION_FAILED = 417 "Expectation Failed";
    TOO_MANY_REQUESTS = 429 "Too Many Requests";
    INTERNAL_SERVER_ERROR = 500 "Internal Server Error";
    NOT_IMPLEMENTED = 501 "Not Implemented";
    SERVICE_UNAVAILABLE = 503 "Service Unavailable";
    GATEWAY_TIMEOUT = 504 "Gateway Timeout";
    VERSION_NOT_SUPPORTED = 505 "HTTP Version Not Supported";
}

impl Status {
    /// The three digits.
    pub fn code(self) -> u16 {
        self.0
    }
}

/// Whether the connection goes on after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// It does.
    Yes,
    /// It is closed, and the response says so.
    Close,
}

/// How a client learns where the body ends (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It is so long.
    Length(usize),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection: for HTTP/1.0, which knows no chunks.
    UntilClose,
    /// There is none, and none is spoken of (RFC 9110 §8.6).
    NoBody,
}

/// Header fields, by their names in lower case.
pub type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// A response before it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: Status,
    content_type: &'static str,
    headers: Headers,
    body: Vec<Bytes>,
}

impl Response {
    /// A JSON body.
    pub fn json(status: Status, body: String) -> Response {
        Response::new(status, "application/json", body)
    }

    /// A body of another type.
    pub fn new(status: Status, content_type: &'static str, body: String) -> Response {
        Response::of_pieces(status, content_type, vec![Bytes::from(body)])
    }

    /// A body of so many pieces, each short enough to be sent in one slice.
    pub fn of_pieces(status: Status, content_type: &'static str, body: Vec<Bytes>) -> Response {
        Response {
            status,
            content_type,
            headers: Vec::new(),
            body,
        }
    }

    /// 204, which has no body and says nothing of one.
    pub fn no_content() -> Response {
        Response::of_pieces(Status::NO_CONTENT, "", Vec::new())
    }

    /// With another body.
    #[must_use]
    pub fn with_body(mut self, body: Vec<Bytes>) -> Response {
        self.body = body;
        self
    }

    /// With these header fields more.
    #[must_use]
    pub fn with_headers(mut self, headers: &Headers) -> Response {
        self.headers.extend_from_slice(headers);
        self
    }

    /// With one header field more.
    #[must_use]
    pub fn with_header(
        mut self,
        name: &'static str,
        value: impl Into<Cow<'static, str>>,
    ) -> Response {
        self.headers.push((name, value.into()));
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The pieces of the body.
    pub fn body(&self) -> &[Bytes] {
        &self.body
    }

    /// How its end is told where it is sent as a whole.
    pub fn framing(&self) -> Framing {
        match self.status {
            Status::NO_CONTENT => Framing::NoBody,
            _ => Framing::Length(self.length()),
        }
    }

    /// The body's length in bytes.
    pub fn length(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    /// Appends everything but the body.
    pub fn write_head(
        &self,
        out: &mut BytesMut,
        framing: Framing,
        keep_alive: KeepAlive,
        now: SystemTime,
    ) {
        let Status(_, line) = self.status;
        out.put_slice(line.as_bytes());
        write!(out, "date: {}\r\n", HttpDate::from(now)).expect("memory takes what is written");
        if !self.content_type.is_empty() {
            field(out, "content-type", self.content_type);
        }
        match framing {
            Framing::Length(bytes) => {
                out.put_slice(b"content-length: ");
                number(bytes as u64, out);
                out.put_slice(b"\r\n");
            }
            Framing::Chunked => field(out, "transfer-encoding", "chunked"),
            Framing::UntilClose | Framing::NoBody => {}
        }
        field(out, "cache-control", "no-store");
        for (name, value) in &self.headers {
            field(out, name, value);
        }
        if keep_alive == KeepAlive::Close {
            field(out, "connection", "close");
        }
        out.put_slice(b"\r\n");
    }
}

fn field(out: &mut BytesMut, name: &str, value: &str) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn print(response: &Response, framing: Framing, keep_alive: KeepAlive) -> String {
        let mut out = BytesMut::new();
        // RFC 9110 §5.6.7's example of an IMF-fixdate.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        response.write_head(&mut out, framing, keep_alive, now);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_response_has_its_length_and_date() {
        let response = Response::json(Status::OK, "{}\n".to_owned());
        assert_eq!(
            print(
                &response,
                Framing::Length(response.length()),
                KeepAlive::Yes
            ),
            "HTTP/1.1 200 OK\r\n\
             date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             content-type: application/json\r\n\
             content-length: 3\r\n\
             cache-control: no-store\r\n\
             \r\n"
        );
    }

    #[test]
    fn closing_is_announced_and_a_stream_has_no_length() {
        let response =
            Response::json(Status::NOT_FOUND, "{}\n".to_owned()).with_header("retry-after", "1");
        assert_eq!(
            print(&response, Framing::Chunked, KeepAlive::Close),
            "HTTP/1.1 404 Not Found\r\n\
             date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             content-type: application/json\r\n\
             transfer-encoding: chunked\r\n\
             cache-control: no-store\r\n\
             retry-after: 1\r\n\
             connection: close\r\n\
             \r\n"
        );
    }

    #[test]
    fn no_content_says_nothing_of_a_body() {
        let response = Response::no_content();
        let text = print(&response, response.framing(), KeepAlive::Yes);
        assert!(text.starts_with("HTTP/1.1 204 No Content\r\n"), "{text}");
        assert!(!text.contains("content-"), "{text}");
    }
}
