//! hashtext() and its like, which applications make keys of advisory locks with.
//!
//! The values are PostgreSQL 15's (`hash_bytes` and `hash_bytes_extended` of `hashfn.c`, which are Bob
//! Jenkins' lookup3): a key means the same lock whoever works it out.

use super::definition::{Function, INT8, TEXT};
use crate::catalog::sql_type::{SqlType, TypeKind};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Function::immutable(
            "hashtext",
            &[&[TEXT]],
            SqlType::scalar(TypeKind::Int4),
            |call| {
                call.values::<Int32Type>(|row| {
                    let text = call.text(0, row);
                    Ok(text.map(|text| hash(text.as_bytes(), 0) as u32 as i32))
                })
            },
        ),
        Function::immutable(
            "hashtextextended",
            &[&[TEXT, INT8]],
            SqlType::scalar(TypeKind::Int8),
            |call| {
                call.values::<Int64Type>(|row| {
                    let given = call.text(0, row).zip(call.int8(1, row));
                    Ok(given.map(|(text, seed)| hash(text.as_bytes(), seed as u64) as i64))
                })
            },
        ),
    ]
}

/// The hash in 64 bits, of which the lower ones are that in 32 where the seed is 0.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    let start = 0x9e37_79b9_u32
        .wrapping_add(bytes.len() as u32)
        .wrapping_add(3_923_095);
    let mut state = [start; 3];
    if seed != 0 {
        state[0] = state[0].wrapping_add((seed >> 32) as u32);
        state[1] = state[1].wrapping_add(seed as u32);
        mix(&mut state);
    }
    let mut blocks = bytes.chunks_exact(12);
    for block in &mut blocks {
        add(&mut state, block, 0);
        mix(&mut state);
    }
    let rest = blocks.remainder();
    add(&mut state, &rest[..rest.len().min(8)], 0);
    // The lowest byte of the last word stands for the length.
    add(&mut state, rest.get(8..).unwrap_or(&[]), 9);
    finish(&mut state);
    u64::from(state[1]) << 32 | u64::from(state[2])
}

/// Adds bytes to the words, from this byte of all three on.
fn add(state: &mut [u32; 3], bytes: &[u8], first: usize) {
    for (place, byte) in (first..).zip(bytes) {
        let word = &mut state[place / 4];
        *word = word.wrapping_add(u32::from(*byte) << (place % 4 * 8));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    let turn = |x: &mut u32, y: &mut u32, z: &mut u32, by: u32| {
        *x = x.wrapping_sub(*z) ^ z.rotate_left(by);
        *z = z.wrapping_add(*y);
    };
    turn(a, b, c, 4);
    turn(b, c, a, 6);
    turn(c, a, b, 8);
    turn(a, b, c, 16);
    turn(b, c, a, 19);
    turn(c, a, b, 4);
}

fn finish([a, b, c]: &mut [u32; 3]) {
    let turn = |x: &mut u32, y: u32, by: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
    turn(c, *b, 14);
    turn(a, *c, 11);
    turn(b, *a, 25);
    turn(c, *b, 16);
    turn(a, *c, 4);
    turn(b, *a, 14);
    turn(c, *b, 24);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_hashes_that_postgresql_gives_them() {
        let of = |text: &str| hash(text.as_bytes(), 0) as u32 as i32;
        assert_eq!(of("abc"), -785_388_649);
        assert_eq!(of(""), -1_477_818_771);
        assert_eq!(of("123456789"), 1_014_187_944);
        assert_eq!(of("twelve bytes"), 652_846_557);
        assert_eq!(of("abcdefghijklmnop"), -2_079_749_669);
        assert_eq!(
            hash(b"abcdefghijklmnopq", 0) as i64,
            981_995_727_863_167_554
        );
        assert_eq!(hash(b"abc", 5) as i64, -8_227_931_761_584_822_072);
    }
}
