//! The parameters of a statement as a client gives them: `[0]` null, `[1,bool]`, `[2,int]`,
//! `[3,float]`, `[4,text]`, `[5,bytes]`, `[6,array]` (REFERENCE §5), and of the further kinds that
//! published clients have those that SQL has a type for: `[7,map]`, `[8,uuid]`, `[9,ulid]`,
//! `[10,[microseconds]]` (an instant), `[11,[microseconds]]` (a duration), `[12,decimal]` and
//! `[19,[microseconds]]` (a timestamp without a zone).
//!
//! Their depth and their number are bounded: two bytes of a payload make one value, which takes
//! thirty-two in memory.

use super::error::RequestError;
use super::messagepack::Reader;
use chrono::DateTime;
use std::cell::Cell;

/// How deep arrays and maps may be nested.
pub const DEPTH_MAX: usize = 32;

/// Values in the parameters of one request, those inside arrays and maps counted.
pub const VALUES_MAX: usize = 1 << 20;

/// Parameters of one statement: PostgreSQL's bound too.
pub const PARAMETERS_MAX: usize = u16::MAX as usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL
    Null,
    /// A truth value.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// A text, and whatever is given as one: dates, decimals, uuids.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// A map: a value for json.
    Map(Vec<(String, Value)>),
}

/// How many more values a request may hold, and how deep it is.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    left: &'a Cell<usize>,
    depth: usize,
}

impl<'a> Bounds<'a> {
    /// For one request; `left` holds [`VALUES_MAX`].
    pub fn new(left: &'a Cell<usize>) -> Bounds<'a> {
        Bounds { left, depth: 0 }
    }

    /// Counts one value.
    ///
    /// # Errors
    /// [`RequestError::TooMany`]
    pub fn count(self) -> Result<(), RequestError> {
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or(RequestError::TooMany(VALUES_MAX))?);
        Ok(())
    }

    /// One deeper.
    ///
    /// # Errors
    /// [`RequestError::TooDeep`]
    pub fn deeper(self) -> Result<Bounds<'a>, RequestError> {
        let depth = self.depth + 1;
        match depth > DEPTH_MAX {
            true => Err(RequestError::TooDeep(DEPTH_MAX)),
            false => Ok(Bounds { depth, ..self }),
        }
    }
}

/// The parameters of a request in MessagePack.
///
/// # Errors
/// [`RequestError`]
pub fn read_parameters(reader: &mut Reader<'_>) -> Result<Vec<Value>, RequestError> {
    let left = Cell::new(VALUES_MAX);
    let count = reader.array()?;
    if count > PARAMETERS_MAX {
        return Err(RequestError::TooMany(PARAMETERS_MAX));
    }
    let bounds = Bounds::new(&left);
    (0..count).map(|_| read(reader, bounds)).collect()
}

fn read(reader: &mut Reader<'_>, bounds: Bounds<'_>) -> Result<Value, RequestError> {
    bounds.count()?;
    let length = reader.array()?;
    if length == 0 {
        return Err(RequestError::Malformed("a value without a kind"));
    }
    let kind = reader.unsigned()?;
    let expected = if kind == 0 { 1 } else { 2 };
    if kind < KINDS && length != expected {
        return Err(RequestError::Malformed(
            "a value of another length than its kind has",
        ));
    }
    Ok(match kind {
        0 => Value::Null,
        1 => Value::Boolean(reader.boolean()?),
        2 => Value::Integer(reader.integer()?),
        3 => Value::Float(reader.float()?),
        4 | 8 | 9 => Value::Text(reader.text()?.to_owned()),
        5 => Value::Bytes(reader.bytes()?.to_vec()),
        6 => {
            let inner = bounds.deeper()?;
            let elements = reader.array()?;
            let elements = (0..elements).map(|_| read(reader, inner));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        7 => {
            let inner = bounds.deeper()?;
            let pairs = reader.map()?;
            let pairs = (0..pairs).map(|_| Ok((reader.text()?.to_owned(), read(reader, inner)?)));
            Value::Map(pairs.collect::<Result<_, RequestError>>()?)
        }
        10 => Value::Text(instant(microseconds(reader)?, "+00")?),
        11 => Value::Text(format!("{} microseconds", microseconds(reader)?)),
        12 => Value::Text(decimal(reader.bytes()?)?),
        19 => Value::Text(instant(microseconds(reader)?, "")?),
        other => return Err(RequestError::ValueKind(other)),
    })
}

/// Kinds below this that are taken have one field, but for null.
const KINDS: u64 = 13;

/// `[microseconds]`: a structure of one field.
fn microseconds(reader: &mut Reader<'_>) -> Result<i64, RequestError> {
    match reader.array()? {
        1 => reader.integer(),
        _ => Err(RequestError::Malformed(
            "a time is one number of microseconds",
        )),
    }
}

fn instant(microseconds: i64, zone: &str) -> Result<String, RequestError> {
    DateTime::from_timestamp_micros(microseconds)
        .map(|at| format!("{}{zone}", at.format("%Y-%m-%d %H:%M:%S%.6f")))
        .ok_or(RequestError::Malformed("a time out of range"))
}

/// Sixteen bytes, little-endian: the sign in the topmost and the scale in the third of the first
/// four, then a coefficient of 96 bits.
fn decimal(bytes: &[u8]) -> Result<String, RequestError> {
    const SCALE_MAX: u8 = 28;
    let Ok([_, _, scale, sign, coefficient @ ..]) = <[u8; 16]>::try_from(bytes) else {
        return Err(RequestError::Malformed("a decimal takes sixteen bytes"));
    };
    if scale > SCALE_MAX {
        return Err(RequestError::Malformed(
            "a decimal has at most 28 decimal places",
        ));
    }
    let mut wide = [0; 16];
    wide[..12].copy_from_slice(&coefficient);
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", u128::from_le_bytes(wide), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if sign & 0x80 == 0 { "" } else { "-" };
    Ok(match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(bytes: &[u8]) -> Result<Vec<Value>, RequestError> {
        let mut reader = Reader::new(bytes);
        let values = read_parameters(&mut reader)?;
        assert!(reader.rest().is_empty());
        Ok(values)
    }

    fn one(bytes: &[u8]) -> Value {
        let mut all = parameters(&[b"\x91", bytes].concat()).expect("well formed");
        all.pop().expect("one")
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn each_kind_is_read() {
        assert_eq!(one(b"\x91\0"), Value::Null);
        assert_eq!(one(b"\x92\x01\xc3"), Value::Boolean(true));
        assert_eq!(one(b"\x92\x02\xcc\xff"), Value::Integer(255));
        assert_eq!(one(b"\x92\x03\xca\x3f\xc0\0\0"), Value::Float(1.5));
        assert_eq!(one(b"\x92\x04\xa2hi"), text("hi"));
        assert_eq!(one(b"\x92\x05\xc4\x01\0"), Value::Bytes(vec![0]));
        let array = Value::Array(vec![Value::Null, Value::Integer(1)]);
        assert_eq!(one(b"\x92\x06\x92\x91\0\x92\x02\x01"), array);
        let map = Value::Map(vec![("k".to_owned(), Value::Null)]);
        assert_eq!(one(b"\x92\x07\x81\xa1k\x91\0"), map);
        assert_eq!(
            one(b"\x92\x0a\x91\0"),
            text("1970-01-01 00:00:00.000000+00")
        );
        assert_eq!(one(b"\x92\x13\x91\xff"), text("1969-12-31 23:59:59.999999"));
        assert_eq!(one(b"\x92\x0b\x91\x05"), text("5 microseconds"));
    }

    #[test]
    fn decimals_are_exact() {
        for (scale, sign, coefficient, expected) in [
            (0, 0, 42_u128, "42"),
            (2, 0x80, 1250, "-12.50"),
            (3, 0, 7, "0.007"),
            (28, 0, (1 << 96) - 1, "7.9228162514264337593543950335"),
        ] {
            let mut bytes = vec![0x92, 0x0c, 0xc4, 16, 0, 0, scale, sign];
            bytes.extend(&coefficient.to_le_bytes()[..12]);
            assert_eq!(one(&bytes), text(expected));
        }
    }

    #[test]
    fn values_of_another_shape_are_refused() {
        for wrong in [
            &b"\x90"[..],
            b"\x92\0\xc0",
            b"\x91\x01",
            b"\x93\x02\x01\x01",
            b"\x92\x02\xa1x",
            b"\x92\x02\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x92\x0a\x90",
            b"\x92\x0c\xc4\0",
            b"\x02",
        ] {
            let error = parameters(&[b"\x91", wrong].concat()).expect_err("refused");
            assert!(
                matches!(error, RequestError::Malformed(_)),
                "{wrong:02x?}: {error}"
            );
        }
        let vector = parameters(b"\x91\x92\x14\xc4\0");
        assert_eq!(vector, Err(RequestError::ValueKind(20)));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |depth: usize| {
            let mut bytes = vec![0x91];
            bytes.extend(b"\x92\x06\x91".repeat(depth));
            bytes.extend(b"\x91\0");
            parameters(&bytes)
        };
        assert!(nested(DEPTH_MAX).is_ok());
        assert_eq!(nested(DEPTH_MAX + 1), Err(RequestError::TooDeep(DEPTH_MAX)));

        let wide = |count: usize| {
            let mut bytes = b"\x91\x92\x06\xdd".to_vec();
            bytes.extend((count as u32).to_be_bytes());
            bytes.extend(b"\x91\0".repeat(count));
            parameters(&bytes).map(|_| ())
        };
        assert_eq!(wide(VALUES_MAX - 1), Ok(()));
        assert_eq!(wide(VALUES_MAX), Err(RequestError::TooMany(VALUES_MAX)));

        let many = |count: usize| {
            let mut bytes = vec![0xdd];
            bytes.extend((count as u32).to_be_bytes());
            bytes.extend(b"\x91\0".repeat(count));
            parameters(&bytes).map(|_| ())
        };
        assert_eq!(many(PARAMETERS_MAX), Ok(()));
        assert_eq!(
            many(PARAMETERS_MAX + 1),
            Err(RequestError::TooMany(PARAMETERS_MAX))
        );
    }
}
