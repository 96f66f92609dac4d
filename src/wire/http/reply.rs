//! The reply to `/v1/query` while its rows are written: held in pieces until it is whole, because
//! its status and its count of rows come first.

use super::json;
use super::response::{Response, Status};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, ResultField};
use bytes::{BufMut, Bytes, BytesMut};

/// The longest reply; what is longer is for a stream of rows.
pub const REPLY_BYTES_MAX: usize = 64 << 20;

/// Rows written before the core's other sessions have their turn, and what is sent at once.
pub const PIECE_BYTES: usize = 32 * 1024;

/// What stands before the rows, without the columns: mostly less.
const BEFORE_ROWS_BYTES: usize = 96;

/// What the rows may take before there is memory for more: many replies are short.
const FIRST_PIECE_BYTES: usize = 512;

/// The rows of one statement.
#[derive(Default)]
pub struct Reply {
    columns: BytesMut,
    pieces: Vec<Bytes>,
    bytes: usize,
    piece: BytesMut,
    row_count: u64,
}

impl Reply {
    /// Rows of these columns follow.
    pub fn begin(&mut self, fields: &[ResultField]) {
        json::columns(fields, &mut self.columns);
        self.piece.reserve(FIRST_PIECE_BYTES);
    }

    /// Where the next row is to be written.
    pub fn next_row(&mut self) -> &mut BytesMut {
        if self.row_count > 0 {
            self.piece.extend_from_slice(b",");
        }
        self.row_count += 1;
        &mut self.piece
    }

    /// Whether as much has been written as one slice should.
    pub fn is_piece_full(&self) -> bool {
        self.piece.len() >= PIECE_BYTES
    }

    /// Puts what has been written to the rest.
    ///
    /// # Errors
    /// 54000 past [`REPLY_BYTES_MAX`].
    pub fn end_piece(&mut self) -> Result<(), Diagnostic> {
        self.bytes += self.piece.len();
        if self.bytes > REPLY_BYTES_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("the reply exceeds {REPLY_BYTES_MAX} bytes"),
            )
            .with_hint("Ask for fewer rows, with LIMIT, or for a stream: POST /v1/query/stream."));
        }
        self.pieces.push(self.piece.split().freeze());
        Ok(())
    }

    /// The whole; the tag's count is `row_count`. None: there was no statement.
    pub fn finish(mut self, tag: Option<CommandTag>) -> Response {
        let command = tag.map_or("EMPTY", CommandTag::command);
        let count = tag.and_then(CommandTag::count);
        if self.columns.is_empty() {
            self.columns.put_slice(b"[]");
        }
        let mut before = BytesMut::with_capacity(BEFORE_ROWS_BYTES + self.columns.len());
        before.put_slice(b"{\"status\":\"ok\",\"command\":");
        json::quote(command, &mut before);
        before.put_slice(b",\"row_count\":");
        json::number(count.unwrap_or(self.row_count), &mut before);
        before.put_slice(b",\"columns\":");
        before.put_slice(&self.columns);
        before.put_slice(b",\"rows\":[");
        self.piece.put_slice(b"]}\n");
        let rows = self.pieces.into_iter();
        let pieces = std::iter::once(before.freeze()).chain(rows);
        let pieces = pieces.chain(std::iter::once(self.piece.freeze()));
        Response::of_pieces(Status::OK, "application/json", pieces.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(response: &Response) -> serde_json::Value {
        serde_json::from_slice(&response.body().concat()).expect("JSON")
    }

    #[test]
    fn a_tag_is_a_command_and_a_count() {
        for (tag, command, count) in [
            (Some(CommandTag::Insert(3)), "INSERT", 3),
            (Some(CommandTag::Select(2)), "SELECT", 2),
            (Some(CommandTag::Plain("CREATE TABLE")), "CREATE TABLE", 0),
            (Some(CommandTag::Plain("BEGIN")), "BEGIN", 0),
            (None, "EMPTY", 0),
        ] {
            let body = read(&Reply::default().finish(tag));
            assert_eq!(body["command"], command);
            assert_eq!(body["row_count"], count);
            assert_eq!(body["columns"], serde_json::json!([]));
        }
    }

    #[test]
    fn rows_in_pieces_are_one_array_up_to_the_limit() {
        let mut reply = Reply::default();
        for number in 0..5 {
            let row = reply.next_row();
            row.extend_from_slice(number.to_string().as_bytes());
            if number % 2 == 1 {
                reply.end_piece().expect("short");
            }
        }
        let body = read(&reply.finish(Some(CommandTag::Select(5))));
        assert_eq!(body["rows"], serde_json::json!([0, 1, 2, 3, 4]));

        let mut long = Reply::default();
        long.next_row().resize(REPLY_BYTES_MAX, b'1');
        long.end_piece().expect("at the limit");
        long.next_row();
        let error = long.end_piece().expect_err("one byte more");
        assert_eq!(error.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    }
}
