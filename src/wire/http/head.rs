//! Reading a request's head (RFC 9112): request line, fields, and what they say of the body.
//!
//! httparse splits the head; what stands here decides. Everything that two servers in a row could
//! read in two ways (request smuggling, RFC 9112 §11.2) is refused rather than interpreted: both
//! Content-Length and Transfer-Encoding, either of them twice, obs-fold, a bare line feed, a
//! transfer coding in HTTP/1.0, a missing or second Host.

use super::error::HttpError;
use super::fields::Fields;
use super::gzip::Coding;
use super::response::KeepAlive;
use crate::auth::jwt::TOKEN_BYTES_MAX;
use std::fmt;
use std::mem::MaybeUninit;
use zeroize::Zeroizing;

/// The longest head, in bytes (request line and fields; 413 past it): a token of the longest that is taken,
/// and as much again for all else.
pub const HEAD_BYTES_MAX: usize = 2 * TOKEN_BYTES_MAX;

/// The most fields of a head (413 past it).
pub const HEADERS_MAX: usize = 64;

/// What the bytes so far hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head goes on.
    Incomplete,
    /// A head, and how many bytes it took.
    Complete(Head, usize),
}

/// A request, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What to do.
    pub method: Method,
    /// With what, without the query.
    pub path: String,
    /// The query, still encoded.
    pub query: Option<String>,
    /// What the Authorization field presents.
    pub authorization: Option<Authorization>,
    /// X-NodeDB-Database
    pub database: Option<String>,
    /// X-NodeDB-Tenant
    pub tenant: Option<String>,
    /// X-Forwarded-For, all of them one after another.
    pub forwarded_for: Option<String>,
    /// The page that asks, where a browser does.
    pub page: Page,
    /// How the reply's body may be coded.
    pub coding: Coding,
    /// Whether the client waits for 100 Continue before it sends its body.
    pub expects_continue: bool,
    /// Which HTTP/1 the client speaks.
    pub version: Version,
    /// Whether the client goes on afterwards.
    pub keep_alive: KeepAlive,
    /// What follows the head.
    pub body: Body,
}

/// The value of an Authorization field: a secret, zeroed when it is dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(Zeroizing<String>);

impl Authorization {
    /// The value itself. Named so that a reviewer sees each place that looks at it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(***)")
    }
}

/// The methods that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// OPTIONS
    Options,
    /// Any other.
    Other,
}

/// The page for which a browser asks, as the browser tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// A program asks, or somebody has typed the address.
    None,
    /// One of this origin (Fetch, `Origin`).
    Of(String),
    /// One of another origin, which is not told: an image of its, a link (Fetch Metadata,
    /// `Sec-Fetch-Site`).
    Elsewhere,
}

/// What follows the head (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Reads the head at the beginning of the bytes.
///
/// # Errors
///
/// [`HttpError`]; the connection cannot go on after one.
pub fn parse(bytes: &[u8]) -> Result<Parsed, HttpError> {
    let limited = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(limited, &mut headers) {
        Ok(httparse::Status::Complete(length)) => {
            refuse_bare_line_feeds(&limited[..length])?;
            Ok(Parsed::Complete(interpret(&request)?, length))
        }
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => {
            Err(HttpError::HeadTooLarge)
        }
        Ok(httparse::Status::Partial) => Ok(Parsed::Incomplete),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: httparse::Error) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::HeadTooLarge,
        httparse::Error::Version => HttpError::Version,
        httparse::Error::HeaderName => HttpError::Malformed("bad field name"),
        httparse::Error::HeaderValue => HttpError::Malformed("bad field value"),
        httparse::Error::NewLine => HttpError::Malformed("bad line end"),
        httparse::Error::Token | httparse::Error::Status => {
            HttpError::Malformed("bad request line")
        }
    }
}

fn refuse_bare_line_feeds(head: &[u8]) -> Result<(), HttpError> {
    let is_bare = |at: usize| at == 0 || head[at - 1] != b'\r';
    match memchr::memchr_iter(b'\n', head).any(is_bare) {
        true => Err(HttpError::Malformed("bad line end")),
        false => Ok(()),
    }
}

fn interpret(request: &httparse::Request<'_, '_>) -> Result<Head, HttpError> {
    let fields = Fields::read(request.headers)?;
    let version = match request.version {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    };
    if version == Version::Http11 && fields.hosts == 0 {
        return Err(HttpError::Malformed("the Host field is missing"));
    }
    Ok(Head {
        method: match request.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            Some("POST") => Method::Post,
            Some("OPTIONS") => Method::Options,
            _ => Method::Other,
        },
        path: path_of(request.path.unwrap_or_default()).to_owned(),
        query: query_of(request.path.unwrap_or_default()).map(str::to_owned),
        authorization: match fields.authorization {
            None => None,
            Some(value) => Some(Authorization(Zeroizing::new(text(value)?))),
        },
        database: fields.database.map(text).transpose()?,
        tenant: fields.tenant.map(text).transpose()?,
        forwarded_for: forwarded_for(&fields)?,
        page: page(&fields)?,
        coding: fields.coding,
        expects_continue: fields.expects_continue && version == Version::Http11,
        keep_alive: fields.keep_alive(version),
        body: fields.body(version)?,
        version,
    })
}

fn forwarded_for(fields: &Fields<'_>) -> Result<Option<String>, HttpError> {
    let each: Result<Vec<_>, _> = fields.forwarded_for.iter().map(|it| text(it)).collect();
    let each = each?;
    Ok((!each.is_empty()).then(|| each.join(",")))
}

fn page(fields: &Fields<'_>) -> Result<Page, HttpError> {
    if let Some(origin) = fields.origin {
        return Ok(Page::Of(text(origin)?));
    }
    Ok(match fields.site {
        Some(b"cross-site" | b"same-site") => Page::Elsewhere,
        _ => Page::None,
    })
}

/// The path of a target in origin or absolute form (RFC 9112 §3.2).
fn path_of(target: &str) -> &str {
    let absolute = target
        .strip_prefix("http://")
        .map(|rest| rest.find('/').map_or("/", |slash| &rest[slash..]));
    let path = absolute.unwrap_or(target);
    path.split(['?', '#']).next().unwrap_or(path)
}

/// What stands behind the question mark of a target.
fn query_of(target: &str) -> Option<&str> {
    let target = target.split('#').next().unwrap_or(target);
    target.split_once('?').map(|(_, query)| query)
}

fn text(value: &[u8]) -> Result<String, HttpError> {
    let text = std::str::from_utf8(value);
    let text = text.map_err(|_| HttpError::Malformed("a field that is not UTF-8"))?;
    Ok(text.trim_matches([' ', '\t']).to_owned())
}

/// The versions of HTTP that are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0, which knows no chunks.
    Http10,
    /// HTTP/1.1
    Http11,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "GET /health/live?verbose=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

    fn head(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Ok(Parsed::Complete(head, length)) if length == text.len() => head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn error(text: &str) -> HttpError {
        parse(text.as_bytes()).unwrap_err()
    }

    fn with_fields(fields: &str) -> String {
        format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n")
    }

    #[test]
    fn a_request_is_read_the_same_wherever_it_is_split() {
        let whole = head(LIVE);
        assert_eq!(
            whole,
            Head {
                method: Method::Get,
                path: "/health/live".to_owned(),
                query: Some("verbose=1".to_owned()),
                authorization: None,
                database: None,
                tenant: None,
                forwarded_for: None,
                page: Page::None,
                coding: Coding::Identity,
                expects_continue: false,
                version: Version::Http11,
                keep_alive: KeepAlive::Yes,
                body: Body::Empty,
            }
        );
        for end in 0..LIVE.len() {
            let so_far = parse(&LIVE.as_bytes()[..end]);
            assert_eq!(so_far, Ok(Parsed::Incomplete), "{end} bytes");
        }
    }

    #[test]
    fn what_follows_a_head_is_left_for_the_next() {
        let pipelined = format!("{LIVE}{LIVE}");
        let parsed = parse(pipelined.as_bytes());
        assert_eq!(parsed, Ok(Parsed::Complete(head(LIVE), LIVE.len())));
    }

    #[test]
    fn the_connection_field_and_the_version_decide_what_comes_after() {
        for (version, fields, expected) in [
            ("1.1", "", KeepAlive::Yes),
            ("1.1", "Connection: close\r\n", KeepAlive::Close),
            ("1.1", "connection: TE , Close\r\n", KeepAlive::Close),
            ("1.0", "", KeepAlive::Close),
            ("1.0", "Connection: keep-alive\r\n", KeepAlive::Yes),
            ("1.0", "Connection: keep-alive, close\r\n", KeepAlive::Close),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n");
            assert_eq!(head(&text).keep_alive, expected, "{text}");
        }
    }

    #[test]
    fn the_target_may_be_absolute() {
        for (target, path) in [
            ("/", "/"),
            ("/metrics?x=/y", "/metrics"),
            ("http://localhost:6480/metrics", "/metrics"),
            ("http://localhost", "/"),
            ("*", "*"),
        ] {
            let text = format!("OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(head(&text).path, path);
            assert_eq!(head(&text).method, Method::Options);
        }
    }

    #[test]
    fn a_browser_tells_for_which_page_it_asks() {
        let listed = Page::Of("https://a.example".to_owned());
        for (fields, expected) in [
            ("X: y", Page::None),
            ("Sec-Fetch-Site: none", Page::None),
            ("Sec-Fetch-Site: same-origin", Page::None),
            ("Sec-Fetch-Site: same-site", Page::Elsewhere),
            ("sec-fetch-site: cross-site", Page::Elsewhere),
            ("Origin: https://a.example", listed.clone()),
            (
                "Sec-Fetch-Site: cross-site\r\nOrigin: https://a.example",
                listed,
            ),
            ("Origin: null", Page::Of("null".to_owned())),
        ] {
            assert_eq!(head(&with_fields(fields)).page, expected, "{fields}");
        }
    }

    #[test]
    fn bodies_are_announced_by_length_or_chunks() {
        assert_eq!(head(&with_fields("Content-Length: 0")).body, Body::Empty);
        assert_eq!(
            head(&with_fields("content-length: 12")).body,
            Body::Length(12)
        );
        assert_eq!(
            head(&with_fields("Transfer-Encoding: Chunked")).body,
            Body::Chunked
        );
    }

    /// RFC 9112 §11.2 and REFERENCE §4: shapes that a proxy in front could read otherwise.
    #[test]
    fn smuggling_shapes_are_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: -1",
            "Content-Length: 0x5",
            "Content-Length: 5 5",
            "Content-Length: 99999999999999999999",
            "Content-Length: ",
            "Content-Length : 5",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            " Content-Length: 5",
            "X: a\r\n Content-Length: 5",
            "X: a\r\n\tfolded",
            "X: a\nContent-Length: 5",
            "X: a\rContent-Length: 5",
            "X: a\0b",
            "Host: y",
        ] {
            let error = error(&with_fields(fields));
            assert!(
                matches!(error, HttpError::Malformed(_)),
                "{fields:?}: {error:?}"
            );
        }
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            let error = error(text);
            assert!(
                matches!(error, HttpError::Malformed(_)),
                "{text:?}: {error:?}"
            );
        }
    }

    #[test]
    fn what_is_not_supported_says_so() {
        assert_eq!(
            error(&with_fields("Transfer-Encoding: gzip, chunked")),
            HttpError::TransferCoding
        );
        assert_eq!(
            error("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            HttpError::Version
        );
        assert_eq!(
            error("\x16\x03\x01\x02\x00\x01"),
            HttpError::Malformed("bad request line")
        );
        assert_eq!(
            error(&with_fields("Expect: 200-ok")),
            HttpError::Expectation
        );
        assert!(head(&with_fields("Expect: 100-Continue")).expects_continue);
    }

    #[test]
    fn a_head_at_the_limit_is_taken_and_one_byte_more_is_not() {
        let padded = |bytes: usize| {
            let fixed = with_fields("X: ").len();
            with_fields(&format!("X: {}", "y".repeat(bytes - fixed)))
        };
        let at_limit = padded(HEAD_BYTES_MAX);
        assert_eq!(at_limit.len(), HEAD_BYTES_MAX);
        assert_eq!(head(&at_limit).path, "/");
        assert_eq!(error(&padded(HEAD_BYTES_MAX + 1)), HttpError::HeadTooLarge);
        let endless = "GET /".to_owned() + &"y".repeat(HEAD_BYTES_MAX);
        assert_eq!(error(&endless), HttpError::HeadTooLarge);
    }

    #[test]
    fn as_many_fields_as_the_limit_are_taken_and_one_more_is_not() {
        let fields = |count: usize| vec!["X: y"; count].join("\r\n");
        assert_eq!(head(&with_fields(&fields(HEADERS_MAX - 1))).path, "/");
        assert_eq!(
            error(&with_fields(&fields(HEADERS_MAX))),
            HttpError::HeadTooLarge
        );
    }
}
