//! The first packets of a connection: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage.
//!
//! Source: PostgreSQL §55.2.1 "Start-up", §55.2.10 "SSL Session Encryption", §55.7. No type byte:
//! a length, a code, a body. All of it comes from strangers (DESIGN §7, invariant 7).

use super::body::{Body, BodyError};
use super::frame::LOGIN_MESSAGE_BYTES_MAX;
use crate::diagnostic::{Diagnostic, SqlState};

const CANCEL_REQUEST: i32 = 80_877_102;
const SSL_REQUEST: i32 = 80_877_103;
const GSSENC_REQUEST: i32 = 80_877_104;

/// The newest minor version of protocol 3 spoken here (3.2: longer cancel keys).
pub const MINOR_MAX: u16 = 2;

/// PostgreSQL's own bounds on a cancel key: 3.0 has 4 bytes, 3.2 up to 256.
const CANCEL_KEY_BYTES_MAX: usize = 256;

/// A first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartupPacket<'a> {
    /// Asks for TLS.
    SslRequest,
    /// Asks for GSSAPI encryption.
    GssencRequest,
    /// Asks to stop the statement of another connection.
    Cancel {
        /// What BackendKeyData said.
        backend_pid: i32,
        /// What BackendKeyData said.
        key: &'a [u8],
    },
    /// Begins a session.
    Startup(Startup<'a>),
}

/// StartupMessage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Startup<'a> {
    /// The minor version asked for; the major one is 3.
    pub minor: u16,
    parameters: &'a [u8],
}

/// A first packet that this server cannot take; the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// The length word is out of bounds.
    #[error("invalid length of startup packet")]
    Length,
    /// A protocol of another major version.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{MINOR_MAX}")]
    Version {
        /// Asked for.
        major: u16,
        /// Asked for.
        minor: u16,
    },
    /// Parameters that are not pairs of texts with a final zero byte.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// A parameter that is not UTF-8.
    #[error("{0}")]
    Text(BodyError),
    /// CancelRequest of a length no key has.
    #[error("invalid length of query cancel packet")]
    CancelKey,
    /// A TLS client hello where a start-up packet belongs.
    #[error("a TLS handshake is not expected here")]
    DirectTls,
    /// A TLS client hello without ALPN: it could be meant for another protocol (PostgreSQL 17).
    #[error("direct TLS needs the application protocol \"postgresql\" (ALPN)")]
    NoApplicationProtocol,
    /// Bytes behind SSLRequest that are not protected by what it asks for (CVE-2021-23222).
    #[error("received unencrypted data after SSL request")]
    PlainBehindSslRequest,
    /// More encryption requests than PostgreSQL's two.
    #[error("too many encryption requests")]
    EncryptionRequests,
}

impl StartupError {
    /// The code it is reported under.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            StartupError::Version { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            StartupError::Text(error) => error.sqlstate(),
            StartupError::Length
            | StartupError::Layout
            | StartupError::CancelKey
            | StartupError::DirectTls
            | StartupError::NoApplicationProtocol
            | StartupError::PlainBehindSslRequest
            | StartupError::EncryptionRequests => SqlState::PROTOCOL_VIOLATION,
        }
    }
}

impl From<StartupError> for Diagnostic {
    fn from(error: StartupError) -> Diagnostic {
        Diagnostic::fatal(error.sqlstate(), error.to_string())
    }
}

/// The packet at the front of the inbox with its length in bytes; None until it is all there.
///
/// # Errors
/// [`StartupError`]; the connection cannot go on.
pub fn parse(inbox: &[u8]) -> Result<Option<(StartupPacket<'_>, usize)>, StartupError> {
    // A handshake record of TLS 1.x; no start-up packet is so long that it could begin with 0x16.
    if inbox.first() == Some(&0x16) {
        return Err(StartupError::DirectTls);
    }
    let Some((length, _)) = inbox.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if !(8..=LOGIN_MESSAGE_BYTES_MAX).contains(&length) {
        return Err(StartupError::Length);
    }
    let Some(packet) = inbox.get(4..length) else {
        return Ok(None);
    };
    let mut body = Body::new(packet);
    let code = body.int32().map_err(|_| StartupError::Length)?;
    let packet = match code {
        SSL_REQUEST if length == 8 => StartupPacket::SslRequest,
        GSSENC_REQUEST if length == 8 => StartupPacket::GssencRequest,
        CANCEL_REQUEST => cancel(body)?,
        version => StartupPacket::Startup(startup(version, body)?),
    };
    Ok(Some((packet, length)))
}

fn cancel(mut body: Body<'_>) -> Result<StartupPacket<'_>, StartupError> {
    let backend_pid = body.int32().map_err(|_| StartupError::CancelKey)?;
    let key = body.rest();
    if !(4..=CANCEL_KEY_BYTES_MAX).contains(&key.len()) {
        return Err(StartupError::CancelKey);
    }
    Ok(StartupPacket::Cancel { backend_pid, key })
}

fn startup(version: i32, mut body: Body<'_>) -> Result<Startup<'_>, StartupError> {
    let major = (version >> 16) as u16;
    let minor = (version & 0xffff) as u16;
    if major != 3 {
        return Err(StartupError::Version { major, minor });
    }
    let parameters = body.rest();
    let mut check = Body::new(parameters);
    loop {
        let name = text(&mut check)?;
        if name.is_empty() {
            break;
        }
        text(&mut check)?;
    }
    check.end().map_err(|_| StartupError::Layout)?;
    Ok(Startup { minor, parameters })
}

fn text<'a>(body: &mut Body<'a>) -> Result<&'a str, StartupError> {
    body.text().map_err(|error| match error {
        BodyError::NotUtf8 { .. } => StartupError::Text(error),
        _ => StartupError::Layout,
    })
}

impl<'a> Startup<'a> {
    /// Name and value of each parameter, as sent.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut body = Body::new(self.parameters);
        std::iter::from_fn(move || {
            let name = body.text().ok().filter(|name| !name.is_empty())?;
            Some((name, body.text().ok()?))
        })
    }

    /// The value of one parameter; the last one wins, as in PostgreSQL.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters()
            .filter(|(given, _)| *given == name)
            .last()
            .map(|(_, value)| value)
    }

    /// The protocol extensions asked for, none of which exists here.
    pub fn extensions(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.parameters()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("_pq_."))
    }

    /// The minor version both sides will speak.
    pub fn minor_agreed(&self) -> u16 {
        self.minor.min(MINOR_MAX)
    }

    /// Whether NegotiateProtocolVersion must be sent.
    pub fn needs_negotiation(&self) -> bool {
        self.minor > MINOR_MAX || self.extensions().next().is_some()
    }
}

/// The settings in the `options` parameter: `-c name=value`, `-cname=value` and `--name=value`,
/// with backslash escapes (PostgreSQL's `pg_split_opts`).
///
/// # Errors
/// 42601 for any other switch, as the server has none; FATAL, since nobody is logged in yet.
pub fn options(text: &str) -> Result<Vec<(String, String)>, Diagnostic> {
    let words = option_words(text);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(Diagnostic::fatal(
                SqlState::SYNTAX_ERROR,
                format!("invalid command-line argument for server process: {word}"),
            ));
        };
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(Diagnostic::fatal(
                SqlState::SYNTAX_ERROR,
                format!("-c {assignment} requires a value"),
            ));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn option_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut begun = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                word.extend(characters.next());
                begun = true;
            }
            space if space.is_ascii_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                    begun = false;
                }
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use pgwire::messages::Message;
    use proptest::prelude::*;

    fn packet(minor: u16, parameters: &[(&str, &str)]) -> BytesMut {
        let mut startup = pgwire::messages::startup::Startup::new();
        startup.protocol_number_minor = minor;
        for (name, value) in parameters {
            startup
                .parameters
                .insert((*name).to_owned(), (*value).to_owned());
        }
        let mut bytes = BytesMut::new();
        startup.encode(&mut bytes).expect("a small packet encodes");
        bytes
    }

    #[test]
    fn a_startup_packet_split_anywhere_is_the_same_packet() {
        let bytes = packet(0, &[("user", "alice"), ("database", "app")]);
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end}");
        }
        let (parsed, length) = parse(&bytes).expect("well formed").expect("whole");
        assert_eq!(length, bytes.len());
        let StartupPacket::Startup(startup) = parsed else {
            panic!("{parsed:?}");
        };
        assert_eq!(startup.parameter("user"), Some("alice"));
        assert_eq!(startup.parameter("database"), Some("app"));
        assert_eq!(startup.parameter("options"), None);
        assert!(!startup.needs_negotiation());
    }

    #[test]
    fn a_newer_minor_version_and_unknown_extensions_are_negotiated() {
        let bytes = packet(9999, &[("user", "a")]);
        let Ok(Some((StartupPacket::Startup(startup), _))) = parse(&bytes) else {
            panic!("3.9999 is a version to negotiate down");
        };
        assert!(startup.needs_negotiation());
        assert_eq!(startup.minor_agreed(), MINOR_MAX);
        let bytes = packet(0, &[("_pq_.compression", "on"), ("user", "a")]);
        let Ok(Some((StartupPacket::Startup(startup), _))) = parse(&bytes) else {
            panic!("extensions are parameters");
        };
        assert_eq!(
            startup.extensions().collect::<Vec<_>>(),
            ["_pq_.compression"]
        );
        assert!(startup.needs_negotiation());
    }

    #[test]
    fn encryption_and_cancel_requests_are_told_by_their_code() {
        let ssl = [0, 0, 0, 8, 4, 210, 22, 47];
        assert_eq!(parse(&ssl), Ok(Some((StartupPacket::SslRequest, 8))));
        let gss = [0, 0, 0, 8, 4, 210, 22, 48];
        assert_eq!(parse(&gss), Ok(Some((StartupPacket::GssencRequest, 8))));
        let cancel = [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 1, 2, 3, 4];
        assert_eq!(
            parse(&cancel),
            Ok(Some((
                StartupPacket::Cancel {
                    backend_pid: 7,
                    key: &[1, 2, 3, 4]
                },
                16
            )))
        );
    }

    #[test]
    fn packets_no_client_sends_are_refused() {
        assert_eq!(parse(b"GET / HT"), Err(StartupError::Length));
        assert_eq!(parse(&[0, 0, 0, 7]), Err(StartupError::Length));
        assert_eq!(parse(&[0x16, 3, 1]), Err(StartupError::DirectTls));
        assert_eq!(
            parse(&[0, 0, 0, 9, 0, 2, 0, 0, 0]),
            Err(StartupError::Version { major: 2, minor: 0 })
        );
        assert_eq!(
            parse(&[0, 0, 0, 10, 0, 3, 0, 0, b'u', b's']),
            Err(StartupError::Layout)
        );
        let past = (LOGIN_MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes();
        assert_eq!(parse(&past), Err(StartupError::Length));
        let at = (LOGIN_MESSAGE_BYTES_MAX as u32).to_be_bytes();
        assert_eq!(parse(&at), Ok(None));
    }

    #[test]
    fn options_are_split_as_postgres_splits_them() {
        assert_eq!(
            options(r"-c tenant=42 -cgeqo=off --lock-timeout=1s -c a=b\ c").expect("well formed"),
            [
                ("tenant".to_owned(), "42".to_owned()),
                ("geqo".to_owned(), "off".to_owned()),
                ("lock_timeout".to_owned(), "1s".to_owned()),
                ("a".to_owned(), "b c".to_owned()),
            ]
        );
        assert!(options("-d 5").is_err());
        assert!(options("-c nothing").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_parse_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some((packet, length))) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
                if let StartupPacket::Startup(startup) = packet {
                    startup.parameters().count();
                }
            }
        }
    }
}
