//! The handshake: Hello in, Ack or Refusal out (REFERENCE §5); big-endian, unframed.
//!
//! ```text
//! Hello    NDBH  u16 version_min  u16 version_max  u64 capabilities                       16 bytes
//! Ack      NDBA  u16 version  u64 capabilities  u8 length + server version  01  7 × (u8 present + u32)
//! Refusal  NDBE  u8 code  u8 length + text
//! ```

use bytes::{BufMut, BytesMut};

/// The length of a Hello.
pub const HELLO_BYTES: usize = 16;

/// The one version of the protocol that is spoken.
pub const VERSION: u16 = 1;

/// What an Ack names as the server's version.
pub const SERVER_VERSION: &str = concat!("NodeDB/", env!("CARGO_PKG_VERSION"));

const HELLO: [u8; 4] = *b"NDBH";
const ACK: [u8; 4] = *b"NDBA";
const REFUSAL: [u8; 4] = *b"NDBE";

/// What a client or the server can do, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// A result may come in several frames of one seq, all but the last of status 1.
    pub const STREAMING: Capabilities = Capabilities(1);
    /// MessagePack frames.
    pub const MESSAGE_PACK: Capabilities = Capabilities(1 << 7);
    /// A reply may come that nobody has asked for, of seq 0, with nothing but warnings: only clients
    /// that say so get one, since others would take it for the answer to their next request.
    pub const NOTICES: Capabilities = Capabilities(1 << 40);
    /// What this server can do. The other bits stand for kinds of data that it does not keep.
    pub const SERVER: Capabilities = Capabilities(
        Capabilities::STREAMING.0 | Capabilities::MESSAGE_PACK.0 | Capabilities::NOTICES.0,
    );

    /// Those that both sides have.
    #[must_use]
    pub fn shared(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }

    /// Whether all of `wanted` are there.
    pub fn has(self, wanted: Capabilities) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// What a client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The oldest version it speaks.
    pub version_min: u16,
    /// The newest version it speaks.
    pub version_max: u16,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// Why a connection is turned away before its first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something else than this protocol.
    #[error("this port speaks NodeDB's native protocol, which begins with NDBH")]
    Magic,
    /// No version in common.
    #[error("no protocol version in common: this server speaks version 1")]
    Version,
    /// A range of versions that holds none.
    #[error("malformed hello: its oldest version is above its newest")]
    Malformed,
    /// Plain where `require_tls` is set.
    #[error("this server requires TLS")]
    TlsRequired,
    /// It did not come in time.
    #[error("the hello took too long to arrive")]
    TooLate,
}

impl Refusal {
    /// The byte that says which.
    pub fn code(self) -> u8 {
        match self {
            Refusal::Magic => 0,
            Refusal::Version => 1,
            Refusal::Malformed | Refusal::TlsRequired | Refusal::TooLate => 2,
        }
    }

    /// Appends it.
    pub fn write(self, outbox: &mut BytesMut) {
        outbox.extend_from_slice(&REFUSAL);
        outbox.put_u8(self.code());
        short_text(&self.to_string(), outbox);
    }
}

/// Looks at the front of the inbox for a Hello; None: more bytes are needed.
///
/// # Errors
/// [`Refusal`]; a wrong beginning is told as soon as it is there, since whoever speaks another
/// protocol may send less than a Hello and wait.
pub fn parse(inbox: &[u8]) -> Result<Option<Hello>, Refusal> {
    let beginning = inbox.len().min(HELLO.len());
    if inbox[..beginning] != HELLO[..beginning] {
        return Err(Refusal::Magic);
    }
    let Some((hello, _)) = inbox.split_first_chunk::<HELLO_BYTES>() else {
        return Ok(None);
    };
    let [_, _, _, _, a, b, c, d, capabilities @ ..] = *hello;
    Ok(Some(Hello {
        version_min: u16::from_be_bytes([a, b]),
        version_max: u16::from_be_bytes([c, d]),
        capabilities: Capabilities(u64::from_be_bytes(capabilities)),
    }))
}

impl Hello {
    /// What both sides can do, in the version that both speak.
    ///
    /// # Errors
    /// [`Refusal::Version`], [`Refusal::Malformed`].
    pub fn agree(&self) -> Result<Capabilities, Refusal> {
        if self.version_min > self.version_max {
            return Err(Refusal::Malformed);
        }
        if !(self.version_min..=self.version_max).contains(&VERSION) {
            return Err(Refusal::Version);
        }
        Ok(self.capabilities.shared(Capabilities::SERVER))
    }
}

/// Appends an Ack. Of the seven limits only the longest text of a query concerns this server; the
/// others are of operations that it does not have.
pub fn write_ack(capabilities: Capabilities, query_text_bytes_max: u32, outbox: &mut BytesMut) {
    outbox.extend_from_slice(&ACK);
    outbox.put_u16(VERSION);
    outbox.put_u64(capabilities.0);
    short_text(SERVER_VERSION, outbox);
    outbox.put_u8(1);
    let [vector_dim, top_k, scan_limit, batch_size, crdt_delta_bytes] = [None; 5];
    let graph_depth = None;
    for limit in [
        vector_dim,
        top_k,
        scan_limit,
        batch_size,
        crdt_delta_bytes,
        Some(query_text_bytes_max),
        graph_depth,
    ] {
        outbox.put_u8(u8::from(limit.is_some()));
        outbox.put_u32(limit.unwrap_or(0));
    }
}

/// A text of ours behind its length in one byte.
fn short_text(text: &str, outbox: &mut BytesMut) {
    outbox.put_u8(u8::try_from(text.len()).expect("our texts are short"));
    outbox.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(version_min: u16, version_max: u16, capabilities: u64) -> Vec<u8> {
        let mut bytes = b"NDBH".to_vec();
        bytes.extend(version_min.to_be_bytes());
        bytes.extend(version_max.to_be_bytes());
        bytes.extend(capabilities.to_be_bytes());
        bytes
    }

    #[test]
    fn a_hello_is_known_once_it_is_whole_and_what_follows_is_not_its_own() {
        let mut bytes = hello(1, 3, 0x7f);
        for end in 0..HELLO_BYTES {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end}");
        }
        bytes.extend(b"more");
        let parsed = parse(&bytes).expect("well formed").expect("whole");
        assert_eq!((parsed.version_min, parsed.version_max), (1, 3));
        assert_eq!(parsed.agree(), Ok(Capabilities::STREAMING));
    }

    #[test]
    fn another_protocol_is_told_by_its_first_byte() {
        for beginning in [
            "G",
            "NX",
            "GET / HTTP/1.1\r\n",
            "\0\0\0\u{8}",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(
                parse(beginning.as_bytes()),
                Err(Refusal::Magic),
                "{beginning:?}"
            );
        }
    }

    #[test]
    fn versions_must_overlap_and_be_a_range() {
        for (min, max, expected) in [
            (1, 1, Ok(Capabilities::SERVER)),
            (0, u16::MAX, Ok(Capabilities::SERVER)),
            (2, 9, Err(Refusal::Version)),
            (0, 0, Err(Refusal::Version)),
            (2, 1, Err(Refusal::Malformed)),
        ] {
            let parsed = parse(&hello(min, max, u64::MAX)).expect("well formed");
            assert_eq!(parsed.expect("whole").agree(), expected, "{min} to {max}");
        }
    }

    #[test]
    fn an_ack_is_as_long_as_its_fields() {
        let mut ack = BytesMut::new();
        write_ack(Capabilities(0x81), 1000, &mut ack);
        let version = SERVER_VERSION.len();
        assert_eq!(ack.len(), 15 + version + 1 + 35);
        assert_eq!(&ack[..14], b"NDBA\0\x01\0\0\0\0\0\0\0\x81");
        assert_eq!(usize::from(ack[14]), version);
        assert_eq!(&ack[15..15 + version], SERVER_VERSION.as_bytes());
        let limits = &ack[15 + version..];
        assert_eq!(limits[0], 1);
        assert_eq!(limits[26..31], [1, 0, 0, 0x03, 0xe8]);
        assert_eq!(
            limits.iter().map(|byte| u32::from(*byte)).sum::<u32>(),
            2 + 3 + 0xe8
        );
    }

    #[test]
    fn every_refusal_has_its_code_and_fits_its_length_byte() {
        for (refusal, code) in [
            (Refusal::Magic, 0),
            (Refusal::Version, 1),
            (Refusal::Malformed, 2),
            (Refusal::TooLate, 2),
        ] {
            let mut bytes = BytesMut::new();
            refusal.write(&mut bytes);
            assert_eq!(&bytes[..4], b"NDBE");
            assert_eq!(bytes[4], code);
            assert_eq!(&bytes[6..], refusal.to_string().as_bytes());
            assert_eq!(usize::from(bytes[5]), bytes.len() - 6);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_a_refusal(bytes: Vec<u8>) {
            if let Ok(Some(hello)) = parse(&bytes) {
                prop_assert!(bytes.len() >= HELLO_BYTES);
                let _ = hello.agree();
            }
        }
    }
}
