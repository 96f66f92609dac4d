//! The reply to `/v1/query/stream`: one row a line, sent as the rows come (REFERENCE §4).
//!
//! ```text
//!   Held ──PIECE_BYTES, or the end──▶ Sent ──end──▶ last chunk
//!    └──error: an ordinary answer      └──error: a line {"error":…}, and the connection closes
//!                                         without the last chunk (RFC 9112 §8: incomplete)
//! ```
//!
//! The head says 200 and cannot be taken back, so it waits for the first full piece: whatever is
//! short, or fails before, is answered with its status. To HTTP/1.0 the body ends with the
//! connection, and an error is told by its line alone.

use super::head::Version;
use super::refusal;
use super::reply::PIECE_BYTES;
use super::response::{Framing, Headers, KeepAlive, Response, Status};
use super::send;
use crate::diagnostic::{Diagnostic, SqlState};
use bytes::BytesMut;
use shards::Stream;
use std::time::{Duration, SystemTime};

/// How long a client may take to read half of what waits for it. Whoever works on each row is slow;
/// whoever reads nothing for so long keeps what the rows still read from being freed.
const STALL_DEADLINE: Duration = Duration::from_secs(600);

/// The rows of one statement, on their way to a client.
pub struct Lines<'s> {
    stream: &'s Stream,
    version: Version,
    keep_alive: KeepAlive,
    headers: Headers,
    outbox_bytes_max: usize,
    progress: Progress,
    piece: BytesMut,
    /// Where in the piece the last whole row ends.
    whole: usize,
}

/// Whether the client has been told 200.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Held,
    Sent,
}

impl<'s> Lines<'s> {
    /// Before the first row.
    pub fn new(
        stream: &'s Stream,
        version: Version,
        keep_alive: KeepAlive,
        headers: Headers,
        outbox_bytes_max: usize,
    ) -> Lines<'s> {
        Lines {
            stream,
            version,
            keep_alive: match version {
                Version::Http10 => KeepAlive::Close,
                Version::Http11 => keep_alive,
            },
            headers,
            outbox_bytes_max,
            progress: Progress::Held,
            piece: BytesMut::new(),
            whole: 0,
        }
    }

    /// Where the next row is to be written.
    pub fn next_row(&mut self) -> &mut BytesMut {
        &mut self.piece
    }

    /// The row is whole.
    pub fn end_row(&mut self) {
        self.piece.extend_from_slice(b"\n");
        self.whole = self.piece.len();
    }

    /// Whether as much has been written as one slice should.
    pub fn is_piece_full(&self) -> bool {
        self.piece.len() >= PIECE_BYTES
    }

    /// Has what has been written sent, and waits for a client that reads slowly.
    ///
    /// # Errors
    /// 08006 when nobody reads any more.
    pub async fn end_piece(&mut self) -> Result<(), Diagnostic> {
        self.write_piece();
        let room = send::room(self.stream, self.outbox_bytes_max, STALL_DEADLINE).await;
        room.map_err(|_| {
            Diagnostic::error(SqlState::CONNECTION_FAILURE, "connection to client lost")
        })
    }

    /// The end of the rows; says whether the connection goes on.
    pub fn finish(mut self) -> KeepAlive {
        self.write_piece();
        if self.version == Version::Http11 {
            self.stream.outbox().extend_from_slice(b"0\r\n\r\n");
        }
        self.stream.flush();
        self.keep_alive
    }

    /// The statement has failed: gives the answer to send, or tells the error where rows have been
    /// sent already; the connection then closes.
    pub fn fail(mut self, error: &Diagnostic) -> Option<Response> {
        if self.progress == Progress::Held {
            return Some(refusal::refusal(error));
        }
        self.piece.truncate(self.whole);
        self.piece
            .extend_from_slice(refusal::body(error).as_bytes());
        self.end_row();
        self.write_piece();
        self.stream.flush();
        None
    }

    fn write_piece(&mut self) {
        let mut outbox = self.stream.outbox();
        if self.progress == Progress::Held {
            let framing = match self.version {
                Version::Http10 => Framing::UntilClose,
                Version::Http11 => Framing::Chunked,
            };
            let head = Response::of_pieces(Status::OK, "application/x-ndjson", Vec::new())
                .with_headers(&self.headers);
            head.write_head(&mut outbox, framing, self.keep_alive, SystemTime::now());
            self.progress = Progress::Sent;
        }
        // An empty chunk would be the last one.
        if !self.piece.is_empty() {
            write_chunk(&self.piece, self.version, &mut outbox);
            self.piece.clear();
            self.whole = 0;
        }
    }
}

fn write_chunk(piece: &[u8], version: Version, outbox: &mut BytesMut) {
    match version {
        Version::Http10 => outbox.extend_from_slice(piece),
        Version::Http11 => {
            outbox.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            outbox.extend_from_slice(piece);
            outbox.extend_from_slice(b"\r\n");
        }
    }
}
