//! Lengths in seven bits a byte, lowest first, as LEB128.

/// Appends the number.
#[inline]
pub fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number at the beginning, and the bytes after it; None where it is cut off or too long.
#[inline]
pub fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // Nearly every length is under 128.
    match bytes {
        [low, rest @ ..] if *low < 0x80 => Some((u64::from(*low), rest)),
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn numbers_read_back_the_same(value in 0u64..1 << 63) {
            let mut out = Vec::new();
            put(value, &mut out);
            out.push(7);
            proptest::prop_assert_eq!(take(&out), Some((value, &[7u8][..])));
            proptest::prop_assert_eq!(take(&out[..out.len() - 2]), None);
        }
    }
}
