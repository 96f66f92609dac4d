//! A reply's frame: a map of seq, status, columns, rows, rows_affected, command, watermark_lsn,
//! error, auth and warnings (REFERENCE §5), in the encoding of its request.
//!
//! ```text
//! Frame::begin ──▶ columns? ──▶ (row)* ──▶ finish
//! ```
//!
//! What is known only at the end (the length, the status, how many rows) is left room for and
//! written then, so that rows are encoded once, straight into their frame. In JSON a row's values
//! are plain: bytes in base64, numbers that a double does not hold as strings.

use super::error::client_number;
use super::frame::HEADER_BYTES;
use super::messagepack as pack;
use super::request::Encoding;
use super::row;
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::ResultField;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Some of the rows; more of the same seq follow.
    Partial,
    /// It failed.
    Error,
}

impl Status {
    fn code(self) -> u8 {
        match self {
            Status::Ok => 0,
            Status::Partial => 1,
            Status::Error => 2,
        }
    }
}

/// What a reply tells besides its rows.
#[derive(Default)]
pub struct Outcome<'a> {
    /// The command, such as INSERT.
    pub command: Option<&'a str>,
    /// What it wrote.
    pub rows_affected: Option<u64>,
    /// Why it failed.
    pub error: Option<&'a Diagnostic>,
    /// Who has logged in: name and tenant.
    pub auth: Option<(&'a str, u64)>,
    /// Notices, and what an error says besides.
    pub warnings: Vec<String>,
}

/// What is told of an error's message: some repeat what a client sent, which may be long.
const MESSAGE_BYTES_MAX: usize = 32 << 10;

/// Keys of every reply; command and warnings come only where there are some.
const KEYS: u8 = 8;

/// The marker of a map of at most fifteen pairs.
const MAP: u8 = 0x80;

/// A reply while it is written.
pub struct Frame {
    pub(super) encoding: Encoding,
    pub(super) out: Vec<u8>,
    status_at: usize,
    rows: Rows,
}

/// The rows of a frame.
enum Rows {
    /// It has said nothing of any.
    None,
    /// So many, and where their number stands.
    Some { count: u32, count_at: usize },
}

impl Frame {
    /// A reply to the request of this number.
    pub fn begin(encoding: Encoding, seq: u64) -> Frame {
        let mut frame = Frame {
            encoding,
            out: Vec::with_capacity(256),
            status_at: 0,
            rows: Rows::None,
        };
        frame.out.extend([0; HEADER_BYTES]);
        match encoding {
            Encoding::MessagePack => {
                frame.out.push(MAP);
                frame.key("seq");
                pack::write_unsigned(seq, &mut frame.out);
            }
            Encoding::Json => frame.out.extend(format!("{{\"seq\":{seq}").bytes()),
        }
        frame.key("status");
        frame.status_at = frame.out.len();
        frame.out.push(0);
        frame
    }

    /// Its bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Rows follow; their columns are named in the first frame of a result.
    pub fn columns(&mut self, fields: Option<&[ResultField]>) {
        self.key("columns");
        match fields {
            None => self.null(),
            Some(fields) => {
                self.begin_list(fields.len());
                for (index, field) in fields.iter().enumerate() {
                    self.separate(index);
                    self.text(&field.name);
                }
                self.end_list();
            }
        }
        self.key("rows");
        let count_at = self.out.len() + 1;
        match self.encoding {
            // An array whose length takes four bytes, whatever it will be.
            Encoding::MessagePack => self.out.extend([0xdd, 0, 0, 0, 0]),
            Encoding::Json => self.out.push(b'['),
        }
        self.rows = Rows::Some { count: 0, count_at };
    }

    /// Adds a row.
    ///
    /// # Errors
    /// As [`row::Columns::write`].
    pub fn row(&mut self, columns: &mut row::Columns<'_>, row: usize) -> Result<(), Diagnostic> {
        let Rows::Some { count, .. } = &mut self.rows else {
            unreachable!("columns come before rows");
        };
        *count += 1;
        let first = *count == 1;
        if !first && self.encoding == Encoding::Json {
            self.out.push(b',');
        }
        columns.write(row, self)
    }

    /// The whole frame, its header included.
    pub fn finish(mut self, status: Status, outcome: &Outcome<'_>) -> Vec<u8> {
        self.end_rows();
        self.key("rows_affected");
        self.unsigned_or_null(outcome.rows_affected);
        if let Some(command) = outcome.command {
            self.key("command");
            self.text(command);
        }
        // There is no log whose positions a client could wait for: what a reply acknowledges is
        // durable.
        self.key("watermark_lsn");
        self.unsigned(0);
        self.key("error");
        match outcome.error {
            None => self.null(),
            Some(error) => self.error(error),
        }
        self.key("auth");
        match outcome.auth {
            None => self.null(),
            Some((user, tenant)) => self.auth(user, tenant),
        }
        if !outcome.warnings.is_empty() {
            self.key("warnings");
            self.begin_list(outcome.warnings.len());
            for (index, warning) in outcome.warnings.iter().enumerate() {
                self.separate(index);
                self.text(warning);
            }
            self.end_list();
        }
        self.close(status, outcome)
    }

    fn end_rows(&mut self) {
        match self.rows {
            Rows::None => {
                self.key("columns");
                self.null();
                self.key("rows");
                self.null();
            }
            Rows::Some { count, count_at } => match self.encoding {
                Encoding::MessagePack => {
                    self.out[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
                }
                Encoding::Json => self.out.push(b']'),
            },
        }
    }

    fn close(mut self, status: Status, outcome: &Outcome<'_>) -> Vec<u8> {
        let code = status.code();
        match self.encoding {
            Encoding::MessagePack => {
                let more =
                    u8::from(outcome.command.is_some()) + u8::from(!outcome.warnings.is_empty());
                self.out[HEADER_BYTES] = MAP | (KEYS + more);
                self.out[self.status_at] = code;
            }
            Encoding::Json => {
                self.out[self.status_at] = b'0' + code;
                self.out.push(b'}');
            }
        }
        let length = u32::try_from(self.out.len() - HEADER_BYTES).expect("bounded by its rows");
        self.out[..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
        self.out
    }

    fn error(&mut self, error: &Diagnostic) {
        let number = client_number(error.sqlstate());
        self.begin_map(2 + u32::from(number.is_some()));
        self.first_key("code");
        self.text(error.sqlstate().as_str());
        self.key("message");
        let message = error.message();
        self.text(&message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]);
        if let Some(number) = number {
            self.key("ndb_code");
            self.unsigned(u64::from(number));
        }
        self.end_map();
    }

    /// A structure: its fields in order in MessagePack, by name in JSON.
    fn auth(&mut self, user: &str, tenant: u64) {
        match self.encoding {
            Encoding::MessagePack => {
                pack::write_array(2, &mut self.out);
                self.text(user);
                self.unsigned(tenant);
            }
            Encoding::Json => {
                self.begin_map(2);
                self.first_key("username");
                self.text(user);
                self.key("tenant_id");
                self.unsigned(tenant);
                self.end_map();
            }
        }
    }

    fn first_key(&mut self, name: &str) {
        match self.encoding {
            Encoding::MessagePack => pack::write_text(name.as_bytes(), &mut self.out),
            Encoding::Json => self.out.extend(format!("\"{name}\":").bytes()),
        }
    }

    fn key(&mut self, name: &str) {
        if self.encoding == Encoding::Json {
            self.out.push(b',');
        }
        self.first_key(name);
    }

    fn begin_map(&mut self, pairs: u32) {
        match self.encoding {
            Encoding::MessagePack => pack::write_map(pairs, &mut self.out),
            Encoding::Json => self.out.push(b'{'),
        }
    }

    fn end_map(&mut self) {
        if self.encoding == Encoding::Json {
            self.out.push(b'}');
        }
    }

    pub(super) fn begin_list(&mut self, elements: usize) {
        match self.encoding {
            Encoding::MessagePack => {
                let elements = u32::try_from(elements).expect("an array fits into memory");
                pack::write_array(elements, &mut self.out);
            }
            Encoding::Json => self.out.push(b'['),
        }
    }

    pub(super) fn end_list(&mut self) {
        if self.encoding == Encoding::Json {
            self.out.push(b']');
        }
    }

    /// Between the elements of a list.
    pub(super) fn separate(&mut self, index: usize) {
        if index > 0 && self.encoding == Encoding::Json {
            self.out.push(b',');
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        match self.encoding {
            Encoding::MessagePack => pack::write_text(text.as_bytes(), &mut self.out),
            Encoding::Json => {
                serde_json::to_writer(&mut self.out, text).expect("memory takes every byte");
            }
        }
    }

    fn null(&mut self) {
        match self.encoding {
            Encoding::MessagePack => pack::write_nil(&mut self.out),
            Encoding::Json => self.out.extend(b"null"),
        }
    }

    fn unsigned(&mut self, value: u64) {
        match self.encoding {
            Encoding::MessagePack => pack::write_unsigned(value, &mut self.out),
            Encoding::Json => self.out.extend(itoa::Buffer::new().format(value).bytes()),
        }
    }

    fn unsigned_or_null(&mut self, value: Option<u64>) {
        match value {
            None => self.null(),
            Some(value) => self.unsigned(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SqlState;

    #[test]
    fn an_empty_reply_has_every_key_but_two() {
        let frame = Frame::begin(Encoding::MessagePack, 7);
        let bytes = frame.finish(Status::Ok, &Outcome::default());
        let mut expected =
            b"\0\0\0\x4b\x88\xa3seq\x07\xa6status\0\xa7columns\xc0\xa4rows\xc0".to_vec();
        expected.extend(b"\xadrows_affected\xc0\xadwatermark_lsn\0\xa5error\xc0\xa4auth\xc0");
        expected[3] = u8::try_from(expected.len() - HEADER_BYTES).expect("short");
        assert_eq!(bytes, expected);
        let frame = Frame::begin(Encoding::Json, u64::MAX);
        let bytes = frame.finish(Status::Ok, &Outcome::default());
        assert_eq!(
            String::from_utf8_lossy(&bytes[HEADER_BYTES..]),
            "{\"seq\":18446744073709551615,\"status\":0,\"columns\":null,\"rows\":null,\
             \"rows_affected\":null,\"watermark_lsn\":0,\"error\":null,\"auth\":null}"
        );
    }

    #[test]
    fn an_error_carries_its_code_and_the_clients_number() {
        let error = Diagnostic::error(SqlState::UNIQUE_VIOLATION, "a \"b\"");
        let outcome = Outcome {
            error: Some(&error),
            command: Some("INSERT"),
            rows_affected: Some(3),
            auth: Some(("al", 42)),
            warnings: vec!["HINT: x".to_owned(), "y".to_owned()],
        };
        let bytes = Frame::begin(Encoding::Json, 1).finish(Status::Error, &outcome);
        let reply: serde_json::Value =
            serde_json::from_slice(&bytes[HEADER_BYTES..]).expect("JSON");
        assert_eq!(
            reply,
            serde_json::json!({
                "seq": 1, "status": 2, "columns": null, "rows": null, "rows_affected": 3,
                "command": "INSERT", "watermark_lsn": 0, "warnings": ["HINT: x", "y"],
                "error": {"code": "23505", "message": "a \"b\"", "ndb_code": 1000},
                "auth": {"username": "al", "tenant_id": 42},
            })
        );
        let bytes = Frame::begin(Encoding::MessagePack, 1).finish(Status::Error, &outcome);
        assert_eq!(bytes[HEADER_BYTES], 0x8a, "ten keys");
        let part = b"\x83\xa4code\xa523505\xa7message\xa5a \"b\"\xa8ndb_code\xcd\x03\xe8";
        assert!(bytes.windows(part.len()).any(|window| window == part));
        let part = b"\xa4auth\x92\xa2al\x2a";
        assert!(bytes.windows(part.len()).any(|window| window == part));
    }
}
