//! Numbers as bytes whose order is theirs.
//!
//! ```text
//! bytes  = key scale
//! key    = class, and of numbers other than 0: weight, digits, 00 00
//! class  = 00 -Infinity, 01 negative, 02 zero, 03 positive, 04 Infinity, 05 NaN
//! weight = what the first digit counts as a power of 10,000, with 8000 added, two bytes big-endian
//! digits = of base 10,000, each with 1 added, two bytes big-endian; neither the first nor the last is 0
//! scale  = two bytes big-endian: the decimals that are printed
//! ```
//!
//! Of a negative number weight, digits and end are inverted. No key begins another one, so that
//! the key alone compares as the number does, and equal numbers have equal keys.

use super::magnitude::Magnitude;
use super::{Finite, Number};

const NEGATIVE_INFINITY: u8 = 0;
const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;
const INFINITY: u8 = 4;
const NAN: u8 = 5;

/// Bytes of the scale.
pub const SCALE_BYTES: usize = 2;

impl Number {
    /// Appends the bytes.
    pub fn write_ordered(&self, out: &mut Vec<u8>) {
        self.write_key(out);
        let scale = self.scale().unwrap_or(0) as u16;
        out.extend_from_slice(&scale.to_be_bytes());
    }

    /// The bytes.
    pub fn to_ordered(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        self.write_ordered(&mut out);
        out
    }

    /// Appends the key alone.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        let finite = match self {
            Number::NaN => return out.push(NAN),
            Number::Infinity(true) => return out.push(NEGATIVE_INFINITY),
            Number::Infinity(false) => return out.push(INFINITY),
            Number::Finite(finite) if finite.magnitude.is_zero() => return out.push(ZERO),
            Number::Finite(finite) => finite,
        };
        out.push(if finite.negative { NEGATIVE } else { POSITIVE });
        let start = out.len();
        let weight = finite.magnitude.weight() as i16 as u16 ^ 0x8000;
        out.extend_from_slice(&weight.to_be_bytes());
        for digit in finite.magnitude.digits() {
            out.extend_from_slice(&(digit + 1).to_be_bytes());
        }
        out.extend_from_slice(&[0, 0]);
        if finite.negative {
            out[start..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }

    /// The number of such bytes; None for others.
    pub fn of_ordered(bytes: &[u8]) -> Option<Number> {
        let (key, scale) = bytes.split_last_chunk::<SCALE_BYTES>()?;
        Number::of_key(key, i32::from(u16::from_be_bytes(*scale)))
    }

    /// The number of a key, to be printed with a scale; None for other bytes.
    pub fn of_key(key: &[u8], scale: i32) -> Option<Number> {
        let (class, rest) = key.split_first()?;
        let negative = match *class {
            NEGATIVE_INFINITY => return Some(Number::Infinity(true)),
            INFINITY => return Some(Number::Infinity(false)),
            NAN => return Some(Number::NaN),
            ZERO => {
                return Some(Number::Finite(Finite::new(
                    false,
                    Magnitude::default(),
                    scale,
                )));
            }
            NEGATIVE => true,
            POSITIVE => false,
            _ => return None,
        };
        let word = |bytes: &[u8]| {
            let word = u16::from_be_bytes([bytes[0], bytes[1]]);
            if negative { !word } else { word }
        };
        let (weight, rest) = rest.split_at_checked(2)?;
        let (digits, end) = rest.split_at_checked(rest.len().checked_sub(2)?)?;
        if word(end) != 0 || digits.len() % 2 != 0 {
            return None;
        }
        let digits = digits
            .chunks_exact(2)
            .map(|pair| word(pair).checked_sub(1).filter(|digit| *digit < 10_000))
            .collect::<Option<Vec<u16>>>()?;
        let weight = i32::from((word(weight) ^ 0x8000) as i16);
        let magnitude = Magnitude::new(weight, digits);
        Some(Number::Finite(Finite::new(negative, magnitude, scale)))
    }
}

/// The key of a number's bytes.
pub fn key_of(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().saturating_sub(SCALE_BYTES)]
}

/// How many bytes the key takes at the beginning of these, which were inverted where the column
/// descends; None where it is cut off.
pub fn key_length(bytes: &[u8], inverted: bool) -> Option<usize> {
    let class = *bytes.first()?;
    let class = if inverted { !class } else { class };
    if !matches!(class, NEGATIVE | POSITIVE) {
        return Some(1);
    }
    let end = if (class == NEGATIVE) != inverted {
        0xFF
    } else {
        0
    };
    let pairs = bytes.get(3..)?.chunks_exact(2);
    let digits = pairs.take_while(|pair| *pair != [end, end]).count();
    let length = 3 + digits * 2 + 2;
    (length <= bytes.len()).then_some(length)
}
