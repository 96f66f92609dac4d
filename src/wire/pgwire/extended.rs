//! The extended query protocol: Parse, Bind, Describe, Execute, Close.
//!
//! Source: PostgreSQL §55.2.3 "Extended Query", §55.7. A decoded message has been checked as a
//! whole, so that its iterators cannot fail.

use super::body::{Body, BodyError};
use crate::session::format::Format;

fn format_of_code(code: i16) -> Result<Format, BodyError> {
    match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(BodyError::Code {
            field: "format code",
            value: i32::from(other),
        }),
    }
}

/// The number on the wire.
pub fn format_code(format: Format) -> i16 {
    match format {
        Format::Text => 0,
        Format::Binary => 1,
    }
}

/// Zero format codes (all text), one (for all), or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats<'a>(&'a [u8]);

impl<'a> Formats<'a> {
    fn decode(body: &mut Body<'a>) -> Result<Formats<'a>, BodyError> {
        let count = body.count()?;
        let codes = body.bytes(count * 2)?;
        for code in codes.chunks_exact(2) {
            format_of_code(i16::from_be_bytes([code[0], code[1]]))?;
        }
        Ok(Formats(codes))
    }

    /// How many codes were given.
    pub fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Whether none was given: all text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The format of value number `index`; text where the codes say nothing of it.
    pub fn of(&self, index: usize) -> Format {
        let index = if self.len() == 1 { 0 } else { index };
        // Checked when decoded: every code is 0 or 1.
        match self.0.get(index * 2 + 1) {
            Some(1) => Format::Binary,
            _ => Format::Text,
        }
    }
}

/// Makes a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Its name; empty is the unnamed one.
    pub statement: &'a str,
    /// One statement.
    pub text: &'a str,
    types: &'a [u8],
}

impl<'a> Parse<'a> {
    pub(super) fn decode(body: &mut Body<'a>) -> Result<Parse<'a>, BodyError> {
        let statement = body.text()?;
        let text = body.text()?;
        let count = body.count()?;
        let types = body.bytes(count * 4)?;
        Ok(Parse {
            statement,
            text,
            types,
        })
    }

    /// OIDs of the parameters' types; 0 leaves one to the server.
    pub fn parameter_types(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.types
            .chunks_exact(4)
            .map(|oid| u32::from_be_bytes([oid[0], oid[1], oid[2], oid[3]]))
    }
}

/// Makes a portal of a prepared statement and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Its name; empty is the unnamed one.
    pub portal: &'a str,
    /// The prepared statement's.
    pub statement: &'a str,
    /// Of the parameters.
    pub parameter_formats: Formats<'a>,
    parameter_count: usize,
    values: &'a [u8],
    /// Of the result's columns.
    pub result_formats: Formats<'a>,
}

impl<'a> Bind<'a> {
    pub(super) fn decode(body: &mut Body<'a>) -> Result<Bind<'a>, BodyError> {
        let portal = body.text()?;
        let statement = body.text()?;
        let parameter_formats = Formats::decode(body)?;
        let parameter_count = body.count()?;
        if parameter_formats.len() > 1 && parameter_formats.len() != parameter_count {
            return Err(BodyError::Count);
        }
        let mut ahead = *body;
        let before = ahead.rest().len();
        let mut left = *body;
        for _ in 0..parameter_count {
            value(&mut left)?;
        }
        let values_bytes = before - { left }.rest().len();
        let values = body.bytes(values_bytes)?;
        let result_formats = Formats::decode(body)?;
        Ok(Bind {
            portal,
            statement,
            parameter_formats,
            parameter_count,
            values,
            result_formats,
        })
    }

    /// How many values were sent.
    pub fn parameter_count(&self) -> usize {
        self.parameter_count
    }

    /// Format and bytes of each value; None is NULL.
    pub fn parameters(&self) -> impl Iterator<Item = (Format, Option<&'a [u8]>)> + use<'a> {
        let formats = self.parameter_formats;
        let mut body = Body::new(self.values);
        (0..self.parameter_count)
            .map_while(move |index| Some((formats.of(index), value(&mut body).ok()?)))
    }
}

fn value<'a>(body: &mut Body<'a>) -> Result<Option<&'a [u8]>, BodyError> {
    match body.int32()? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| BodyError::Count)?;
            body.bytes(length).map(Some)
        }
    }
}

/// A statement or a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A prepared statement of this name.
    Statement(&'a str),
    /// A portal of this name.
    Portal(&'a str),
}

impl<'a> Target<'a> {
    fn decode(body: &mut Body<'a>, field: &'static str) -> Result<Target<'a>, BodyError> {
        let kind = body.byte()?;
        let name = body.text()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            other => Err(BodyError::Code {
                field,
                value: i32::from(other),
            }),
        }
    }
}

/// Asks what a statement or portal takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Describe<'a>(pub Target<'a>);

impl<'a> Describe<'a> {
    pub(super) fn decode(body: &mut Body<'a>) -> Result<Describe<'a>, BodyError> {
        Target::decode(body, "DESCRIBE message subtype").map(Describe)
    }
}

/// Drops a statement or portal; one that is not there is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a>(pub Target<'a>);

impl<'a> Close<'a> {
    pub(super) fn decode(body: &mut Body<'a>) -> Result<Close<'a>, BodyError> {
        Target::decode(body, "CLOSE message subtype").map(Close)
    }
}

/// Runs a portal, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Its name; empty is the unnamed one.
    pub portal: &'a str,
    /// How many rows to send at most; None is all.
    pub rows_max: Option<u64>,
}

impl<'a> Execute<'a> {
    pub(super) fn decode(body: &mut Body<'a>) -> Result<Execute<'a>, BodyError> {
        let portal = body.text()?;
        // PostgreSQL takes zero and everything below it as no limit.
        let rows_max = u64::try_from(body.int32()?).ok().filter(|max| *max > 0);
        Ok(Execute { portal, rows_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_codes_none_one_and_one_for_each() {
        let none = Formats(&[]);
        assert_eq!(none.of(3), Format::Text);
        let one = Formats(&[0, 1]);
        assert_eq!((one.of(0), one.of(9)), (Format::Binary, Format::Binary));
        let each = Formats(&[0, 1, 0, 0]);
        assert_eq!((each.of(0), each.of(1)), (Format::Binary, Format::Text));
    }

    #[test]
    fn a_value_longer_than_its_message_is_refused() {
        let mut bind = b"\0s\0".to_vec();
        bind.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 9, b'x']);
        assert_eq!(
            Bind::decode(&mut Body::new(&bind)),
            Err(BodyError::Insufficient)
        );
    }

    #[test]
    fn a_count_of_formats_that_fits_no_parameters_is_refused() {
        let mut bind = b"\0s\0".to_vec();
        bind.extend_from_slice(&[0, 2, 0, 0, 0, 1, 0, 1]);
        assert_eq!(Bind::decode(&mut Body::new(&bind)), Err(BodyError::Count));
    }

    #[test]
    fn a_row_limit_of_zero_or_less_is_none() {
        for limit in [0_i32, -1] {
            let mut execute = b"p\0".to_vec();
            execute.extend_from_slice(&limit.to_be_bytes());
            assert_eq!(
                Execute::decode(&mut Body::new(&execute)),
                Ok(Execute {
                    portal: "p",
                    rows_max: None
                })
            );
        }
    }
}
