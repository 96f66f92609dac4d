//! Printing a response (RFC 9110, RFC 9112).

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Utc};

/// A status line's code and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u16, &'static str);

macro_rules! statuses {
    ($($name:ident = $code:literal $reason:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!(stringify!($code), " ", $reason)]
                pub const $name: Status = Status($code, $reason);
            )*
        }
    };
}

statuses! {
    OK = 200 "OK";
    BAD_REQUEST = 400 "Bad Request";
    UNAUTHORIZED = 401 "Unauthorized";
    FORBIDDEN = 403 "Forbidden";
    NOT_FOUND = 404 "Not Found";
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed";
    REQUEST_TIMEOUT = 408 "Request Timeout";
    CONFLICT = 409 "Conflict";
    CONTENT_TOO_LARGE = 413 "Content Too Large";
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

/// A response before it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: Status,
    content_type: &'static str,
    header: Option<(&'static str, &'static str)>,
    body: String,
}

impl Response {
    /// A JSON body.
    pub fn json(status: Status, body: String) -> Response {
        Response::new(status, "application/json", body)
    }

    /// A body of another type.
    pub fn new(status: Status, content_type: &'static str, body: String) -> Response {
        Response {
            status,
            content_type,
            header: None,
            body,
        }
    }

    /// With one header field of its own.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Response {
        self.header = Some((name, value));
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Appends the response; a HEAD request gets everything but the body.
    pub fn write(
        &self,
        out: &mut BytesMut,
        keep_alive: KeepAlive,
        with_body: bool,
        now: DateTime<Utc>,
    ) {
        let Status(code, reason) = self.status;
        let head = format!(
            "HTTP/1.1 {code} {reason}\r\n\
             date: {}\r\n\
             content-type: {}\r\n\
             content-length: {}\r\n\
             cache-control: no-store\r\n",
            now.format("%a, %d %b %Y %H:%M:%S GMT"),
            self.content_type,
            self.body.len(),
        );
        out.put_slice(head.as_bytes());
        if let Some((name, value)) = self.header {
            out.put_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if keep_alive == KeepAlive::Close {
            out.put_slice(b"connection: close\r\n");
        }
        out.put_slice(b"\r\n");
        if with_body {
            out.put_slice(self.body.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(response: &Response, keep_alive: KeepAlive, with_body: bool) -> String {
        let mut out = BytesMut::new();
        // RFC 9110 §5.6.7's example of an IMF-fixdate.
        let now = DateTime::from_timestamp(784_111_777, 0).unwrap();
        response.write(&mut out, keep_alive, with_body, now);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_response_has_its_length_and_date() {
        let response = Response::json(Status::OK, "{}\n".to_owned());
        assert_eq!(
            print(&response, KeepAlive::Yes, true),
            "HTTP/1.1 200 OK\r\n\
             date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             content-type: application/json\r\n\
             content-length: 3\r\n\
             cache-control: no-store\r\n\
             \r\n\
             {}\n"
        );
    }

    #[test]
    fn head_gets_the_length_without_the_body_and_closing_is_announced() {
        let response =
            Response::json(Status::NOT_FOUND, "{}\n".to_owned()).with_header("retry-after", "1");
        assert_eq!(
            print(&response, KeepAlive::Close, false),
            "HTTP/1.1 404 Not Found\r\n\
             date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             content-type: application/json\r\n\
             content-length: 3\r\n\
             cache-control: no-store\r\n\
             retry-after: 1\r\n\
             connection: close\r\n\
             \r\n"
        );
    }
}
