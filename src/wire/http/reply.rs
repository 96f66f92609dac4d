//! The reply to `/v1/query` while its rows are written: held in pieces until it is whole, because
//! its status and its count of rows come first.

use super::json;
use super::response::{Response, Status};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, ResultField};
use bytes::{Bytes, BytesMut};

/// The longest reply; what is longer is for a stream of rows.
pub const REPLY_BYTES_MAX: usize = 64 << 20;

/// Rows written before the core's other sessions have their turn, and what is sent at once.
pub const PIECE_BYTES: usize = 32 * 1024;

/// The rows of one statement.
#[derive(Default)]
pub struct Reply {
    columns: String,
    pieces: Vec<Bytes>,
    bytes: usize,
    piece: BytesMut,
    row_count: u64,
}

impl Reply {
    /// Rows of these columns follow.
    pub fn begin(&mut self, fields: &[ResultField]) {
        self.columns = json::columns(fields);
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
        let (command, count) = match tag {
            None => ("EMPTY".to_owned(), None),
            Some(tag) => command_and_count(tag),
        };
        let columns = match self.columns.as_str() {
            "" => "[]",
            columns => columns,
        };
        let before = format!(
            "{{\"status\":\"ok\",\"command\":{},\"row_count\":{},\"columns\":{columns},\"rows\":[",
            json::string(&command),
            count.unwrap_or(self.row_count),
        );
        self.piece.extend_from_slice(b"]}\n");
        let rows = self.pieces.into_iter();
        let pieces = std::iter::once(Bytes::from(before)).chain(rows);
        let pieces = pieces.chain(std::iter::once(self.piece.freeze()));
        Response::of_pieces(Status::OK, "application/json", pieces.collect())
    }
}

/// `INSERT 0 3` is INSERT and 3; `CREATE TABLE` has no count.
fn command_and_count(tag: CommandTag) -> (String, Option<u64>) {
    let tag = tag.to_string();
    let mut words: Vec<&str> = tag.split(' ').collect();
    let count = match words.last() {
        Some(last) if words.len() > 1 => last.parse().ok(),
        _ => None,
    };
    if count.is_some() {
        words.retain(|word| word.parse::<u64>().is_err());
    }
    (words.join(" "), count)
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
