//! MessagePack, bounded: what is read of it and what is written.
//!
//! The markers are `rmp`'s business. Here stand the bounds: no length is believed before the bytes
//! are there, nothing recurses, and what is passed over is passed over in one loop.
//! Source: the MessagePack specification, "Formats".

use super::error::RequestError;
use crate::sql::parse;
use rmp::Marker;
use rmp::decode::{Bytes, RmpRead};

/// Reads one payload from its beginning.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: Bytes<'a>,
}

impl<'a> Reader<'a> {
    /// At the beginning.
    pub fn new(payload: &'a [u8]) -> Reader<'a> {
        Reader {
            rest: Bytes::new(payload),
        }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest.remaining_slice()
    }

    /// An array's length. Each element takes a byte at least, so that no length is believed that
    /// the payload cannot hold.
    ///
    /// # Errors
    /// [`RequestError::Malformed`]; so all readers here.
    pub fn array(&mut self) -> Result<usize, RequestError> {
        let elements = rmp::decode::read_array_len(&mut self.rest)
            .map_err(|_| RequestError::Malformed("an array was expected"))?;
        self.believed(elements, 1)
    }

    /// A map's length in pairs.
    pub fn map(&mut self) -> Result<usize, RequestError> {
        let pairs = rmp::decode::read_map_len(&mut self.rest)
            .map_err(|_| RequestError::Malformed("a map was expected"))?;
        self.believed(pairs, 2)
    }

    fn believed(&self, length: u32, bytes_each: usize) -> Result<usize, RequestError> {
        let length = length as usize;
        match length.saturating_mul(bytes_each) <= self.rest().len() {
            true => Ok(length),
            false => Err(RequestError::Malformed("the payload ends too early")),
        }
    }

    /// A whole number, however it was written.
    pub fn unsigned(&mut self) -> Result<u64, RequestError> {
        rmp::decode::read_int(&mut self.rest)
            .map_err(|_| RequestError::Malformed("a number from 0 to 2^64-1 was expected"))
    }

    /// A whole number with a sign, however it was written.
    pub fn integer(&mut self) -> Result<i64, RequestError> {
        rmp::decode::read_int(&mut self.rest)
            .map_err(|_| RequestError::Malformed("a number from -2^63 to 2^63-1 was expected"))
    }

    /// A boolean.
    pub fn boolean(&mut self) -> Result<bool, RequestError> {
        rmp::decode::read_bool(&mut self.rest)
            .map_err(|_| RequestError::Malformed("a boolean was expected"))
    }

    /// A floating-point number of either width.
    pub fn float(&mut self) -> Result<f64, RequestError> {
        let error = RequestError::Malformed("a floating-point number was expected");
        match self.marker() {
            Some(Marker::F32) => rmp::decode::read_f32(&mut self.rest)
                .map(f64::from)
                .map_err(|_| error),
            _ => rmp::decode::read_f64(&mut self.rest).map_err(|_| error),
        }
    }

    /// A text, in UTF-8 and without NUL bytes.
    pub fn text(&mut self) -> Result<&'a str, RequestError> {
        let length = rmp::decode::read_str_len(&mut self.rest)
            .map_err(|_| RequestError::Malformed("a text was expected"))?;
        parse::text(self.take(length)?).map_err(RequestError::Text)
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], RequestError> {
        let length = rmp::decode::read_bin_len(&mut self.rest)
            .map_err(|_| RequestError::Malformed("bytes were expected"))?;
        self.take(length)
    }

    /// Takes a nil if one is next.
    pub fn nil(&mut self) -> bool {
        let is_nil = self.marker() == Some(Marker::Null);
        if is_nil {
            self.advance(1);
        }
        is_nil
    }

    /// Passes over one value, whatever it is: in a loop, so that no nesting is too deep.
    pub fn skip(&mut self) -> Result<(), RequestError> {
        let early = RequestError::Malformed("the payload ends too early");
        let mut wanted = 1_u64;
        while wanted > 0 {
            wanted -= 1;
            let marker = rmp::decode::read_marker(&mut self.rest).map_err(|_| early.clone())?;
            let (bytes, values) = self.shape(marker).ok_or_else(|| early.clone())?;
            self.take(bytes)?;
            wanted += values;
        }
        Ok(())
    }

    /// What follows a marker: so many bytes, then so many values.
    fn shape(&mut self, marker: Marker) -> Option<(u32, u64)> {
        let bytes = |bytes| Some((bytes, 0));
        let values = |values| Some((0, values));
        match marker {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
                bytes(0)
            }
            Marker::U8 | Marker::I8 => bytes(1),
            Marker::U16 | Marker::I16 => bytes(2),
            Marker::U32 | Marker::I32 | Marker::F32 => bytes(4),
            Marker::U64 | Marker::I64 | Marker::F64 => bytes(8),
            Marker::FixStr(length) => bytes(u32::from(length)),
            Marker::Str8 | Marker::Bin8 => bytes(u32::from(self.rest.read_data_u8().ok()?)),
            Marker::Str16 | Marker::Bin16 => bytes(u32::from(self.rest.read_data_u16().ok()?)),
            Marker::Str32 | Marker::Bin32 => bytes(self.rest.read_data_u32().ok()?),
            Marker::FixArray(length) => values(u64::from(length)),
            Marker::Array16 => values(u64::from(self.rest.read_data_u16().ok()?)),
            Marker::Array32 => values(u64::from(self.rest.read_data_u32().ok()?)),
            Marker::FixMap(length) => values(2 * u64::from(length)),
            Marker::Map16 => values(2 * u64::from(self.rest.read_data_u16().ok()?)),
            Marker::Map32 => values(2 * u64::from(self.rest.read_data_u32().ok()?)),
            // An extension's type takes one byte more.
            Marker::FixExt1 => bytes(2),
            Marker::FixExt2 => bytes(3),
            Marker::FixExt4 => bytes(5),
            Marker::FixExt8 => bytes(9),
            Marker::FixExt16 => bytes(17),
            Marker::Ext8 => bytes(u32::from(self.rest.read_data_u8().ok()?) + 1),
            Marker::Ext16 => bytes(u32::from(self.rest.read_data_u16().ok()?) + 1),
            Marker::Ext32 => bytes(self.rest.read_data_u32().ok()?.checked_add(1)?),
            Marker::Reserved => None,
        }
    }

    fn marker(&self) -> Option<Marker> {
        self.rest().first().copied().map(Marker::from_u8)
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], RequestError> {
        let length = length as usize;
        let taken = self
            .rest()
            .get(..length)
            .ok_or(RequestError::Malformed("the payload ends too early"))?;
        self.advance(length);
        Ok(taken)
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = Bytes::new(&self.rest()[bytes..]);
    }
}

/// Appends an integer with a sign in the shortest form that has one: published clients take no
/// unsigned form where they expect a value.
pub fn write_integer(value: i64, out: &mut Vec<u8>) {
    let written = if (0..=0x7f).contains(&value) {
        rmp::encode::write_pfix(out, value as u8).map_err(drop)
    } else if (-32..0).contains(&value) {
        rmp::encode::write_nfix(out, value as i8).map_err(drop)
    } else if let Ok(value) = i8::try_from(value) {
        rmp::encode::write_i8(out, value).map_err(drop)
    } else if let Ok(value) = i16::try_from(value) {
        rmp::encode::write_i16(out, value).map_err(drop)
    } else if let Ok(value) = i32::try_from(value) {
        rmp::encode::write_i32(out, value).map_err(drop)
    } else {
        rmp::encode::write_i64(out, value).map_err(drop)
    };
    written.expect(MEMORY);
}

/// Appends a whole number.
pub fn write_unsigned(value: u64, out: &mut Vec<u8>) {
    rmp::encode::write_uint(out, value)
        .map_err(drop)
        .expect(MEMORY);
}

/// Appends a text; the bytes are UTF-8.
pub fn write_text(text: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(text.len()).expect("a value is at most 256 MiB");
    rmp::encode::write_str_len(out, length)
        .map_err(drop)
        .expect(MEMORY);
    out.extend_from_slice(text);
}

/// Appends bytes.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("a value is at most 256 MiB");
    rmp::encode::write_bin_len(out, length)
        .map_err(drop)
        .expect(MEMORY);
    out.extend_from_slice(bytes);
}

/// Appends a floating-point number, always of eight bytes.
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    rmp::encode::write_f64(out, value)
        .map_err(drop)
        .expect(MEMORY);
}

/// Appends a boolean.
pub fn write_boolean(value: bool, out: &mut Vec<u8>) {
    rmp::encode::write_bool(out, value)
        .map_err(drop)
        .expect(MEMORY);
}

/// Appends a nil.
pub fn write_nil(out: &mut Vec<u8>) {
    rmp::encode::write_nil(out).map_err(drop).expect(MEMORY);
}

/// Appends the head of an array.
pub fn write_array(elements: u32, out: &mut Vec<u8>) {
    rmp::encode::write_array_len(out, elements)
        .map_err(drop)
        .expect(MEMORY);
}

/// Appends the head of a map.
pub fn write_map(pairs: u32, out: &mut Vec<u8>) {
    rmp::encode::write_map_len(out, pairs)
        .map_err(drop)
        .expect(MEMORY);
}

const MEMORY: &str = "memory takes every byte";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_passed_over_whatever_they_are() {
        let values: [&[u8]; 14] = [
            b"\xc0",
            b"\xc3",
            b"\x7f",
            b"\xe0",
            b"\xcd\x01\x00",
            b"\xcb\0\0\0\0\0\0\0\0",
            b"\xa3abc",
            b"\xd9\x02hi",
            b"\xc4\x01\0",
            b"\x93\x01\x92\xa1a\xc0\x80",
            b"\x82\x01\x91\x02\xa1k\x81\x01\x02",
            b"\xd4\x05\0",
            b"\xc7\x02\x05ab",
            b"\xdd\0\0\0\x01\xdf\0\0\0\0",
        ];
        for value in values {
            let mut bytes = value.to_vec();
            bytes.push(0x2a);
            let mut reader = Reader::new(&bytes);
            reader.skip().expect("well formed");
            assert_eq!(reader.rest(), b"\x2a", "{value:02x?}");
            for end in 0..value.len() {
                assert!(
                    Reader::new(&value[..end]).skip().is_err(),
                    "{value:02x?} to {end}"
                );
            }
        }
        assert!(Reader::new(b"\xc1").skip().is_err(), "reserved");
    }

    #[test]
    fn nesting_a_million_deep_takes_no_stack() {
        let mut deep = vec![0x91; 1_000_000];
        assert!(Reader::new(&deep).skip().is_err());
        deep.push(0xc0);
        assert!(Reader::new(&deep).skip().is_ok());
    }

    #[test]
    fn lengths_that_the_payload_cannot_hold_are_not_believed() {
        assert!(Reader::new(b"\xdd\xff\xff\xff\xff\x01").array().is_err());
        assert!(Reader::new(b"\xdf\x7f\xff\xff\xff\x01").map().is_err());
        assert!(Reader::new(b"\xdb\x7f\xff\xff\xffa").text().is_err());
        assert!(Reader::new(b"\xc6\x7f\xff\xff\xffa").bytes().is_err());
        assert_eq!(Reader::new(b"\xdc\0\x01\x01").array().expect("there"), 1);
    }

    #[test]
    fn integers_keep_a_sign_in_their_form() {
        for (value, bytes) in [
            (0, &b"\0"[..]),
            (127, b"\x7f"),
            (128, b"\xd1\0\x80"),
            (-1, b"\xff"),
            (-32, b"\xe0"),
            (-33, b"\xd0\xdf"),
            (40_000, b"\xd2\0\0\x9c\x40"),
            (i64::MIN, b"\xd3\x80\0\0\0\0\0\0\0"),
        ] {
            let mut out = Vec::new();
            write_integer(value, &mut out);
            assert_eq!(out, bytes, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(number: i64, float: f64, text: String, bytes: Vec<u8>) {
            let text = text.replace('\0', "");
            let mut out = Vec::new();
            write_integer(number, &mut out);
            write_float(float, &mut out);
            write_text(text.as_bytes(), &mut out);
            write_bytes(&bytes, &mut out);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.integer().unwrap(), number);
            prop_assert_eq!(reader.float().unwrap().to_bits(), float.to_bits());
            prop_assert_eq!(reader.text().unwrap(), text);
            prop_assert_eq!(reader.bytes().unwrap(), bytes);
            prop_assert!(reader.rest().is_empty());
        }
    }
}
