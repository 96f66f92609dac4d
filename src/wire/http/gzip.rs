//! Replies in gzip for who asks for it (RFC 1952, RFC 9110 §12.5.3).

use super::reply::PIECE_BYTES;
use super::response::Response;
use crate::session::CoreServices;
use crate::session::message::TEXT_BYTES_ON_CORE_MAX;
use bytes::{BufMut, Bytes, BytesMut};
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

/// Shorter replies stay as they are: they fit into a packet.
pub const GZIP_BYTES_MIN: usize = 1024;

/// Fast, and most of what a better level would give for rows as JSON.
const LEVEL: i32 = 3;

/// Deflate itself, without zlib's frame around it.
const RAW: i32 = 0;

/// RFC 1952 §2.3.1: deflate, no name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// How a reply's body is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    #[default]
    Identity,
    /// gzip
    Gzip,
}

impl Coding {
    /// What an Accept-Encoding field allows.
    pub fn accepted(field: &[u8]) -> Coding {
        let mut named = None;
        let mut others = None;
        for member in field.split(|byte| *byte == b',') {
            let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let coding = parts.next().unwrap_or_default();
            let coding_allowed = match parts.any(is_weight_of_zero) {
                true => Coding::Identity,
                false => Coding::Gzip,
            };
            if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
                named = Some(coding_allowed);
            } else if coding == b"*" {
                others = Some(coding_allowed);
            }
        }
        named.or(others).unwrap_or_default()
    }

    /// What two fields allow together.
    #[must_use]
    pub fn or(self, other: Coding) -> Coding {
        match self {
            Coding::Gzip => Coding::Gzip,
            Coding::Identity => other,
        }
    }
}

/// `q=0`, `q=0.000`: not acceptable.
fn is_weight_of_zero(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => weight.iter().all(|byte| matches!(byte, b'0' | b'.')),
        _ => false,
    }
}

/// The response with its body in gzip, where it is long enough to gain by it. A long one is
/// compressed on the query pool; where that has no room it stays as it is.
pub async fn encoded(response: Response, services: &CoreServices) -> Response {
    let length = response.length();
    if length <= GZIP_BYTES_MIN {
        return response;
    }
    let pieces = response.body().to_vec();
    let compressed = if length <= TEXT_BYTES_ON_CORE_MAX {
        compress(pieces).await
    } else {
        let engine = services.parts.engine.clone();
        let compressed = engine.query().pool().run(compress(pieces)).await;
        match compressed {
            Ok(compressed) => compressed,
            Err(error) => {
                tracing::debug!(%error, "a reply is sent as it is");
                return response;
            }
        }
    };
    response
        .with_body(compressed)
        .with_header("content-encoding", "gzip")
}

/// The pieces in gzip; lets others have a turn after each.
async fn compress(pieces: Vec<Bytes>) -> Vec<Bytes> {
    let flags = create_comp_flags_from_zip_params(LEVEL, RAW, 0);
    let mut compressor = Box::new(CompressorOxide::new(flags));
    let mut checksum = crc32fast::Hasher::new();
    let mut length = 0_usize;
    let mut compressed = Compressed::default();
    compressed.put(&HEADER);
    for piece in &pieces {
        for part in piece.chunks(PIECE_BYTES) {
            checksum.update(part);
            length += part.len();
            compress_to_output(&mut compressor, part, TDEFLFlush::None, |bytes| {
                compressed.put(bytes)
            });
            tokio::task::yield_now().await;
        }
    }
    compress_to_output(&mut compressor, &[], TDEFLFlush::Finish, |bytes| {
        compressed.put(bytes)
    });
    // RFC 1952 §2.3.1: CRC32, and the length modulo 2^32.
    compressed.put(&checksum.finalize().to_le_bytes());
    compressed.put(&(length as u32).to_le_bytes());
    compressed.finish()
}

#[derive(Default)]
struct Compressed {
    pieces: Vec<Bytes>,
    piece: BytesMut,
}

impl Compressed {
    /// Appends; true, which is what the compressor wants to hear.
    fn put(&mut self, bytes: &[u8]) -> bool {
        self.piece.put_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.pieces.push(self.piece.split().freeze());
        }
        true
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.pieces.push(self.piece.freeze());
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use proptest::prelude::*;

    #[test]
    fn gzip_is_used_where_it_is_asked_for() {
        for (field, expected) in [
            ("gzip", Coding::Gzip),
            ("deflate, GZIP;q=0.5, br", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("*", Coding::Gzip),
            ("*;q=0", Coding::Identity),
            ("gzip;q=0, *", Coding::Identity),
            ("gzip; q=0.000", Coding::Identity),
            ("gzip;q=0.001", Coding::Gzip),
            ("br, identity", Coding::Identity),
            ("", Coding::Identity),
        ] {
            assert_eq!(Coding::accepted(field.as_bytes()), expected, "{field}");
        }
    }

    fn inflated(gzip: &[u8]) -> Vec<u8> {
        let (head, rest) = gzip.split_at(HEADER.len());
        assert_eq!(head, HEADER);
        let (deflated, tail) = rest.split_at(rest.len() - 8);
        let text = miniz_oxide::inflate::decompress_to_vec(deflated).expect("deflate");
        assert_eq!(tail[..4], crc32fast::hash(&text).to_le_bytes());
        assert_eq!(tail[4..], (text.len() as u32).to_le_bytes());
        text
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            pieces in prop::collection::vec("[a-c]{0,9}|[ -~]{0,40}", 0..20),
            repeated in 1..3_000_usize,
        ) {
            let pieces: Vec<Bytes> = pieces
                .into_iter()
                .map(|piece| Bytes::from(piece.repeat(repeated)))
                .collect();
            let expected = pieces.concat();
            let compressed = block_on(compress(pieces));
            prop_assert_eq!(inflated(&compressed.concat()), expected);
        }
    }
}
