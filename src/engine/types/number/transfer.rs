//! numeric_send and numeric_recv.

use super::magnitude::Magnitude;
use super::round::Way;
use super::{Finite, Number, SCALE_MAX};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use bytes::{BufMut, BytesMut};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

impl Number {
    /// Appends the binary form: count, weight, sign, scale, digits of base 10,000.
    pub fn write_binary(&self, out: &mut BytesMut) {
        let special = |sign: u16, scale: u16, out: &mut BytesMut| {
            out.put_u32(0);
            out.put_u16(sign);
            out.put_u16(scale);
        };
        let finite = match self {
            Number::NaN => return special(NAN, 0, out),
            Number::Infinity(false) => return special(INFINITY, 0x20, out),
            Number::Infinity(true) => return special(NEGATIVE_INFINITY, 0x20, out),
            Number::Finite(finite) => finite,
        };
        out.put_u16(finite.magnitude.len() as u16);
        out.put_i16(finite.magnitude.weight() as i16);
        out.put_u16(if finite.negative { NEGATIVE } else { POSITIVE });
        out.put_u16(finite.scale as u16);
        for digit in finite.magnitude.digits() {
            out.put_u16(*digit);
        }
    }
}

/// numeric_recv; None for bytes that are no numeric.
pub fn parse_binary(bytes: &[u8], sql_type: SqlType) -> Option<Result<Number, Diagnostic>> {
    let (head, digits) = bytes.split_first_chunk::<8>()?;
    let word = |index: usize| u16::from_be_bytes([head[index * 2], head[index * 2 + 1]]);
    let (count, weight, sign) = (usize::from(word(0)), word(1) as i16, word(2));
    let scale = i32::from(word(3));
    if digits.len() != 2 * count {
        return None;
    }
    let negative = match sign {
        NAN => return Some(Number::NaN.fit(sql_type)),
        INFINITY => return Some(Number::Infinity(false).fit(sql_type)),
        NEGATIVE_INFINITY => return Some(Number::Infinity(true).fit(sql_type)),
        POSITIVE => false,
        NEGATIVE => true,
        _ => return None,
    };
    if scale > SCALE_MAX {
        return None;
    }
    let digits = digits
        .chunks_exact(2)
        .map(|pair| Some(u16::from_be_bytes([pair[0], pair[1]])).filter(|digit| *digit < 10_000))
        .collect::<Option<Vec<u16>>>()?;
    let magnitude = Magnitude::new(i32::from(weight), digits);
    // Digits behind the scale that is told are hidden, as PostgreSQL cuts them.
    let told = Finite::new(negative, magnitude, SCALE_MAX + 1).rescaled(scale, Way::TowardsZero);
    Some(told.checked().and_then(|number| number.fit(sql_type)))
}
