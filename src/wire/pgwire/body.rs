//! A cursor over the body of one message: every read is checked, nothing is copied.
//!
//! (The decoders of crate pgwire panic on a body that is shorter than its counts say, so what
//! comes from a stranger is read here; its message types encode replies.)

use crate::diagnostic::{Diagnostic, SqlState};

/// What is wrong with a body. All but `NotUtf8` are protocol violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It ends before what its counts promise.
    #[error("insufficient data left in message")]
    Insufficient,
    /// It goes on after its last field.
    #[error("invalid message format")]
    Trailing,
    /// A text without its terminating zero byte.
    #[error("invalid string in message")]
    UnterminatedText,
    /// A count that no message can have.
    #[error("invalid count in message")]
    Count,
    /// A code that the field does not know.
    #[error("invalid {field} in message: {value}")]
    Code {
        /// Which field.
        field: &'static str,
        /// What stood there.
        value: i32,
    },
    /// A text that is not UTF-8.
    #[error("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}")]
    NotUtf8 {
        /// The first byte of the first bad sequence.
        byte: u8,
    },
}

impl BodyError {
    /// The code it is reported under.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            BodyError::Insufficient
            | BodyError::Trailing
            | BodyError::UnterminatedText
            | BodyError::Count
            | BodyError::Code { .. } => SqlState::PROTOCOL_VIOLATION,
            BodyError::NotUtf8 { .. } => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        }
    }
}

impl From<BodyError> for Diagnostic {
    fn from(error: BodyError) -> Diagnostic {
        Diagnostic::error(error.sqlstate(), error.to_string())
    }
}

/// The cursor.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    /// Over everything after the length word.
    pub fn new(bytes: &'a [u8]) -> Body<'a> {
        Body(bytes)
    }

    /// The next so many bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], BodyError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(BodyError::Insufficient)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BodyError> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(BodyError::Insufficient)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// None is left.
    pub fn byte(&mut self) -> Result<u8, BodyError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A 16-bit number.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn int16(&mut self) -> Result<i16, BodyError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A 16-bit count, which PostgreSQL takes as unsigned for parameters.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn count(&mut self) -> Result<usize, BodyError> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn int32(&mut self) -> Result<i32, BodyError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A zero-terminated text as bytes, the zero byte left out.
    ///
    /// # Errors
    /// There is no zero byte.
    pub fn text_bytes(&mut self) -> Result<&'a [u8], BodyError> {
        let end = memchr::memchr(0, self.0).ok_or(BodyError::UnterminatedText)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Ok(text)
    }

    /// A zero-terminated text.
    ///
    /// # Errors
    /// There is no zero byte, or the text is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, BodyError> {
        let bytes = self.text_bytes()?;
        utf8(bytes)
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(self) -> Result<(), BodyError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(BodyError::Trailing)
        }
    }
}

/// The bytes as text.
///
/// # Errors
/// They are not UTF-8; names the first byte that is not.
pub fn utf8(bytes: &[u8]) -> Result<&str, BodyError> {
    std::str::from_utf8(bytes).map_err(|error| BodyError::NotUtf8 {
        byte: bytes[error.valid_up_to()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_is_an_error_and_takes_nothing() {
        let mut body = Body::new(&[1]);
        assert_eq!(body.int16(), Err(BodyError::Insufficient));
        assert_eq!(body.byte(), Ok(1));
        assert_eq!(body.byte(), Err(BodyError::Insufficient));
    }

    #[test]
    fn a_text_ends_at_its_zero_byte() {
        let mut body = Body::new(b"ab\0c");
        assert_eq!(body.text(), Ok("ab"));
        assert_eq!(body.text(), Err(BodyError::UnterminatedText));
    }

    #[test]
    fn a_text_that_is_not_utf8_is_22021_and_not_a_protocol_violation() {
        let mut body = Body::new(b"a\xff\0");
        let error = body.text().expect_err("0xff is never UTF-8");
        assert_eq!(error.sqlstate(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(
            error.to_string(),
            "invalid byte sequence for encoding \"UTF8\": 0xff"
        );
    }
}
