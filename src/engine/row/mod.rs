//! Rows and keys as storage keeps them.
//!
//! A table's row is stored under its key (the primary key's columns, order-preserving, or an
//! 8-byte row number) with all its columns as value. The two codecs know nothing of storage: bytes
//! in, Arrow out.

pub mod decoder;
pub mod encoder;
pub mod error;
pub mod index;
pub mod key;
pub mod layout;
#[cfg(test)]
mod tests;
mod value;
mod varint;

pub use decoder::RowDecoder;
pub use encoder::RowEncoder;
pub use error::RowError;
pub use index::IndexEntry;
pub use key::{KeyLayout, KeyRange, decode_row_number, encode_row_number, in_order, prefix_end};
pub use layout::{ROW_BYTES_MAX, RowLayout, encode_missing};
