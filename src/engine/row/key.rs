//! The order-preserving key codec: comparing encoded keys as bytes is comparing the values as
//! PostgreSQL's btree does (collation C).
//!
//! ```text
//! key     = its columns one after the other; in a DESC column every byte is inverted
//! column  = 01 value, or FF for NULL (so NULLs sort last, and first where DESC);
//!           in a primary key, which has no NULL, the value alone
//! value   = bool, uuid         their bytes
//!           integers, date,    big-endian with the sign bit turned
//!           time, timestamps
//!           numeric            the unscaled i128 in the same way: the scale is the column's
//!           numeric of no       the key of `types::number::order`: without the scale
//!           precision
//!           floats             IEEE bits turned to order; -0 is 0, every NaN the largest
//!           interval           its order value (months of 30 days) as an i128
//!           text, enum         its bytes (never 00), 00
//!           bytea              its bytes with 00 as 00 FF, then 00 00
//! ```

use super::error::RowError;
use super::value::Physical;
use crate::catalog::definition::{Index, Table};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::number::{Number, order};
use crate::engine::types::{float, interval};
use datafusion::arrow::array::{Array, ArrayRef, Int32Array, Int64Array, StringArray};
use datafusion::common::ScalarValue;
use std::ops::Bound;

/// Before a value that is not NULL.
const PRESENT: u8 = 0x01;
/// In place of a NULL.
const ABSENT: u8 = 0xFF;

/// The columns of a key.
#[derive(Clone, Debug)]
pub struct KeyLayout {
    columns: Vec<KeyColumn>,
    positions: Vec<u16>,
}

/// One column of a key.
#[derive(Clone, Debug)]
struct KeyColumn {
    physical: Physical,
    descending: bool,
    nullable: bool,
}

/// A range of encoded keys.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl KeyLayout {
    /// The key of the table's rows; None where that is a row number.
    ///
    /// # Errors
    /// 0A000 for a type without an order.
    pub fn of_table(table: &Table) -> Result<Option<KeyLayout>, RowError> {
        if table.primary_key.is_empty() {
            return Ok(None);
        }
        let columns = table
            .primary_key
            .iter()
            .map(|position| KeyColumn::new(sql_type_at(table, *position), false, false))
            .collect::<Result<_, _>>()?;
        Ok(Some(KeyLayout {
            columns,
            positions: table.primary_key.clone(),
        }))
    }

    /// The indexed columns of an index on the table.
    ///
    /// # Errors
    /// 0A000 for a type without an order.
    pub fn of_index(table: &Table, index: &Index) -> Result<KeyLayout, RowError> {
        let columns = index
            .columns
            .iter()
            .zip(&index.descending)
            .map(|(position, descending)| {
                let sql_type = match index.expression(*position) {
                    Some(expression) => expression.sql_type,
                    None => sql_type_at(table, *position),
                };
                KeyColumn::new(sql_type, *descending, true)
            })
            .collect::<Result<_, _>>()?;
        Ok(KeyLayout {
            columns,
            positions: index.columns.clone(),
        })
    }

    /// Positions of the key's columns among the table's.
    pub fn columns(&self) -> &[u16] {
        &self.positions
    }

    /// Appends the key of these values, one for each key column in key order; fewer values make a
    /// prefix. NULL sorts last (first in a DESC column).
    ///
    /// # Errors
    /// XX000 for a value of another type than the column's, or NULL in a primary key.
    pub fn encode(&self, values: &[ScalarValue], out: &mut Vec<u8>) -> Result<(), RowError> {
        assert!(
            values.len() <= self.columns.len(),
            "no more values than columns"
        );
        for (column, value) in self.columns.iter().zip(values) {
            column.put(value, out)?;
        }
        Ok(())
    }

    /// Appends the key of one row of a batch; `columns` holds the key's columns in key order.
    ///
    /// # Errors
    /// As [`KeyLayout::encode`].
    pub fn encode_arrays(
        &self,
        columns: &[ArrayRef],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), RowError> {
        for (column, array) in self.columns.iter().zip(columns) {
            if !array.is_null(row) {
                let start = column.begin(out);
                if column.put_commonest(array, row, out) {
                    column.end(start, out);
                    continue;
                }
                out.truncate(start);
            }
            let value =
                ScalarValue::try_from_array(array, row).map_err(|_| RowError::Mismatch {
                    expected: column.physical.data_type().to_string(),
                    found: array.data_type().to_string(),
                })?;
            column.put(&value, out)?;
        }
        Ok(())
    }

    /// The values of a key, and how many bytes it took. A float's -0 comes back as 0, a numeric
    /// without the zeros at its end.
    ///
    /// # Errors
    /// XX001 for bytes that are no such key; 0A000 for intervals, whose order does not tell them
    /// apart.
    pub fn decode(&self, key: &[u8]) -> Result<(Vec<ScalarValue>, usize), RowError> {
        let mut rest = key;
        let mut values = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let length = column.length(rest)?;
            let (bytes, after) = rest.split_at(length);
            values.push(column.get(bytes)?);
            rest = after;
        }
        Ok((values, key.len() - rest.len()))
    }

    /// How many bytes the key's columns take at the beginning of these.
    ///
    /// # Errors
    /// XX001 where they are cut off.
    pub fn length(&self, key: &[u8]) -> Result<usize, RowError> {
        let mut taken = 0;
        for column in &self.columns {
            taken += column.length(&key[taken..])?;
        }
        Ok(taken)
    }

    /// Whether the column at this place of the key is in descending order.
    pub fn is_descending(&self, place: usize) -> bool {
        self.columns[place].descending
    }

    /// The keys whose first column is not NULL.
    pub fn not_null(&self) -> KeyRange {
        let present = self.columns.first().map(|column| column.present(&[]));
        let present = present.unwrap_or_default();
        let end = prefix_end(&present);
        (Bound::Included(present), end)
    }

    /// The keys whose first columns equal `equal` and whose next column lies between the bounds.
    /// NULLs of that next column are outside unless both bounds are unbounded.
    ///
    /// # Errors
    /// As [`KeyLayout::encode`].
    pub fn range(
        &self,
        equal: &[ScalarValue],
        lower: Bound<&ScalarValue>,
        upper: Bound<&ScalarValue>,
    ) -> Result<KeyRange, RowError> {
        let mut prefix = Vec::new();
        self.encode(equal, &mut prefix)?;
        let unbounded = matches!((lower, upper), (Bound::Unbounded, Bound::Unbounded));
        let Some(column) = self.columns.get(equal.len()).filter(|_| !unbounded) else {
            let end = prefix_end(&prefix);
            return Ok((Bound::Included(prefix), end));
        };
        let (low, high) = if column.descending {
            (upper, lower)
        } else {
            (lower, upper)
        };
        let edge = |bound: &ScalarValue| {
            let mut key = prefix.clone();
            column.put(bound, &mut key).map(|()| key)
        };
        // Where a side is open, the column's values that are not NULL end it.
        let present = || column.present(&prefix);
        let start = match low {
            Bound::Included(value) => Bound::Included(edge(value)?),
            // Past every key that begins with this value.
            Bound::Excluded(value) => match prefix_end(&edge(value)?) {
                Bound::Excluded(after) => Bound::Included(after),
                other => other,
            },
            Bound::Unbounded => Bound::Included(present()),
        };
        let end = match high {
            Bound::Included(value) => prefix_end(&edge(value)?),
            Bound::Excluded(value) => Bound::Excluded(edge(value)?),
            Bound::Unbounded => prefix_end(&present()),
        };
        Ok((start, end))
    }
}

fn sql_type_at(table: &Table, position: u16) -> SqlType {
    table.columns[usize::from(position)].sql_type
}

impl KeyColumn {
    /// How keys go on behind a prefix where this column is not NULL.
    fn present(&self, prefix: &[u8]) -> Vec<u8> {
        let mut key = prefix.to_vec();
        if self.nullable {
            let start = key.len();
            key.push(PRESENT);
            self.end(start, &mut key);
        }
        key
    }

    fn new(sql_type: SqlType, descending: bool, nullable: bool) -> Result<KeyColumn, RowError> {
        if sql_type.array || matches!(sql_type.kind, TypeKind::Json | TypeKind::Jsonb) {
            return Err(RowError::KeyType { sql_type });
        }
        Ok(KeyColumn {
            physical: Physical::of(sql_type),
            descending,
            nullable,
        })
    }

    /// Appends the mark of a value; gives where the column begins.
    #[inline]
    fn begin(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        if self.nullable {
            out.push(PRESENT);
        }
        start
    }

    /// Inverts what was appended if the column is DESC.
    #[inline]
    fn end(&self, start: usize, out: &mut [u8]) {
        if self.descending {
            for byte in &mut out[start..] {
                *byte = !*byte;
            }
        }
    }

    fn mismatch(&self, found: &ScalarValue) -> RowError {
        RowError::Mismatch {
            expected: format!("{} in a key", self.physical.data_type()),
            found: match found.is_null() {
                true => "NULL".to_owned(),
                false => found.data_type().to_string(),
            },
        }
    }

    fn put(&self, value: &ScalarValue, out: &mut Vec<u8>) -> Result<(), RowError> {
        if value.is_null() {
            if !self.nullable {
                return Err(self.mismatch(value));
            }
            out.push(if self.descending { !ABSENT } else { ABSENT });
            return Ok(());
        }
        let start = self.begin(out);
        self.put_value(value, out)?;
        self.end(start, out);
        Ok(())
    }

    /// Appends a value of a type that most keys have, without making it a scalar first; false for any
    /// other.
    #[inline]
    fn put_commonest(&self, array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> bool {
        let array = array.as_any();
        match &self.physical {
            Physical::Int32 => match array.downcast_ref::<Int32Array>() {
                Some(array) => out.extend_from_slice(&ordered_i32(array.value(row))),
                None => return false,
            },
            Physical::Int64 => match array.downcast_ref::<Int64Array>() {
                Some(array) => out.extend_from_slice(&ordered_i64(array.value(row))),
                None => return false,
            },
            Physical::Text => match array.downcast_ref::<StringArray>() {
                Some(array) => put_text(array.value(row), out),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    fn put_value(&self, value: &ScalarValue, out: &mut Vec<u8>) -> Result<(), RowError> {
        match (&self.physical, value) {
            (Physical::Bool, ScalarValue::Boolean(Some(value))) => out.push(u8::from(*value)),
            (Physical::Int16, ScalarValue::Int16(Some(value))) => {
                out.extend((*value as u16 ^ 1 << 15).to_be_bytes());
            }
            (Physical::Int32, ScalarValue::Int32(Some(value)))
            | (Physical::Date, ScalarValue::Date32(Some(value))) => out.extend(ordered_i32(*value)),
            (Physical::Int64, ScalarValue::Int64(Some(value)))
            | (Physical::Time, ScalarValue::Time64Microsecond(Some(value)))
            | (Physical::Timestamp(_), ScalarValue::TimestampMicrosecond(Some(value), _)) => {
                out.extend(ordered_i64(*value));
            }
            (Physical::UInt32, ScalarValue::UInt32(Some(value))) => out.extend(value.to_be_bytes()),
            (Physical::Float32, ScalarValue::Float32(Some(value))) => {
                out.extend(ordered_f32(*value));
            }
            (Physical::Float64, ScalarValue::Float64(Some(value))) => {
                out.extend(ordered_f64(*value));
            }
            (
                Physical::Decimal64(_, scale) | Physical::Decimal128(_, scale),
                ScalarValue::Decimal128(Some(value), _, found),
            ) if scale == found => out.extend(ordered_i128(*value)),
            (Physical::Numeric, ScalarValue::LargeBinary(Some(bytes))) => {
                out.extend_from_slice(order::key_of(bytes));
            }
            // A comparison has it as a key already.
            (Physical::Numeric, ScalarValue::Binary(Some(key))) => out.extend_from_slice(key),
            (Physical::Numeric, other) => match Number::of_scalar(other) {
                Some(number) => number.write_key(out),
                None => return Err(self.mismatch(other)),
            },
            (Physical::Interval, ScalarValue::IntervalMonthDayNano(Some(value))) => {
                out.extend(ordered_i128(interval::order_value(*value)));
            }
            (Physical::Uuid, ScalarValue::FixedSizeBinary(16, Some(bytes)))
                if bytes.len() == 16 =>
            {
                out.extend_from_slice(bytes);
            }
            (
                Physical::Text,
                ScalarValue::Utf8(Some(text))
                | ScalarValue::Utf8View(Some(text))
                | ScalarValue::LargeUtf8(Some(text)),
            ) => put_text(text, out),
            (
                Physical::Binary,
                ScalarValue::Binary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)),
            ) => put_escaped(bytes, out),
            (Physical::Enum, ScalarValue::BinaryView(Some(value))) => {
                out.extend_from_slice(value);
                out.push(0);
            }
            (_, other) => return Err(self.mismatch(other)),
        }
        Ok(())
    }

    /// How many bytes this column takes at the beginning of these.
    fn length(&self, bytes: &[u8]) -> Result<usize, RowError> {
        const DAMAGED: RowError = RowError::Damaged { what: "key" };
        let turned = |byte: u8| if self.descending { !byte } else { byte };
        let mark = usize::from(self.nullable);
        if self.nullable {
            match bytes.first().map(|byte| turned(*byte)) {
                Some(ABSENT) => return Ok(1),
                Some(PRESENT) => {}
                _ => return Err(DAMAGED),
            }
        }
        let value = bytes.get(mark..).ok_or(DAMAGED)?;
        let length = match &self.physical {
            Physical::Decimal64(..) => 16,
            Physical::Numeric => order::key_length(value, self.descending).ok_or(DAMAGED)?,
            Physical::Text | Physical::Enum => {
                let end = turned(0);
                value.iter().position(|byte| *byte == end).ok_or(DAMAGED)? + 1
            }
            Physical::Binary => {
                let end = [turned(0), turned(0)];
                escaped_length(value, end).ok_or(DAMAGED)?
            }
            other => other.width().ok_or(DAMAGED)?,
        };
        if value.len() < length {
            return Err(DAMAGED);
        }
        Ok(mark + length)
    }

    /// The value of exactly this column's bytes.
    fn get(&self, bytes: &[u8]) -> Result<ScalarValue, RowError> {
        let mut turned;
        let bytes = if self.descending {
            turned = bytes.to_vec();
            for byte in &mut turned {
                *byte = !*byte;
            }
            &turned[..]
        } else {
            bytes
        };
        let value = match (self.nullable, bytes) {
            (false, value) => value,
            (true, [ABSENT]) => return Ok(self.physical.null()),
            (true, value) => &value[1..],
        };
        self.get_value(value)
    }

    fn get_value(&self, value: &[u8]) -> Result<ScalarValue, RowError> {
        use super::value::exact;
        Ok(match &self.physical {
            Physical::Bool => ScalarValue::Boolean(Some(exact::<1>(value)? != [0])),
            Physical::Int16 => {
                ScalarValue::Int16(Some((u16::from_be_bytes(exact(value)?) ^ 1 << 15) as i16))
            }
            Physical::Int32 => ScalarValue::Int32(Some(from_ordered_i32(exact(value)?))),
            Physical::Date => ScalarValue::Date32(Some(from_ordered_i32(exact(value)?))),
            Physical::Int64 => ScalarValue::Int64(Some(from_ordered_i64(exact(value)?))),
            Physical::Time => ScalarValue::Time64Microsecond(Some(from_ordered_i64(exact(value)?))),
            Physical::Timestamp(zoned) => ScalarValue::TimestampMicrosecond(
                Some(from_ordered_i64(exact(value)?)),
                zoned.then(|| "UTC".into()),
            ),
            Physical::UInt32 => ScalarValue::UInt32(Some(u32::from_be_bytes(exact(value)?))),
            Physical::Float32 => ScalarValue::Float32(Some(from_ordered_f32(exact(value)?))),
            Physical::Float64 => ScalarValue::Float64(Some(from_ordered_f64(exact(value)?))),
            Physical::Decimal64(precision, scale) | Physical::Decimal128(precision, scale) => {
                let bits = u128::from_be_bytes(exact(value)?) ^ 1 << 127;
                ScalarValue::Decimal128(Some(bits as i128), *precision, *scale)
            }
            Physical::Numeric => {
                let number = Number::of_key(value, 0).map(Number::trimmed);
                let number = number.ok_or(RowError::Damaged { what: "key" })?;
                number.to_scalar()
            }
            Physical::Uuid => ScalarValue::FixedSizeBinary(16, Some(value.to_vec())),
            Physical::Text => {
                let text = super::value::text_of(&value[..value.len() - 1])?;
                ScalarValue::Utf8(Some(text.to_owned()))
            }
            Physical::Binary => ScalarValue::Binary(Some(unescaped(value))),
            Physical::Enum => ScalarValue::BinaryView(Some(value[..value.len() - 1].to_vec())),
            Physical::Interval => {
                return Err(RowError::KeyType {
                    sql_type: SqlType::scalar(TypeKind::Interval),
                });
            }
            Physical::List(_, element) => {
                return Err(RowError::KeyType {
                    sql_type: SqlType {
                        array: true,
                        ..*element
                    },
                });
            }
        })
    }
}

#[inline]
fn ordered_i32(value: i32) -> [u8; 4] {
    (value as u32 ^ 1 << 31).to_be_bytes()
}

fn from_ordered_i32(bytes: [u8; 4]) -> i32 {
    (u32::from_be_bytes(bytes) ^ 1 << 31) as i32
}

#[inline]
fn ordered_i64(value: i64) -> [u8; 8] {
    (value as u64 ^ 1 << 63).to_be_bytes()
}

fn from_ordered_i64(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ 1 << 63) as i64
}

/// A text and the byte that ends it, which no text has.
#[inline]
fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn ordered_i128(value: i128) -> [u8; 16] {
    (value as u128 ^ 1 << 127).to_be_bytes()
}

fn ordered_f64(value: f64) -> [u8; 8] {
    let bits = float::key_f64(value).to_bits();
    let negative = bits >> 63 == 1;
    (if negative { !bits } else { bits ^ 1 << 63 }).to_be_bytes()
}

fn from_ordered_f64(bytes: [u8; 8]) -> f64 {
    let bits = u64::from_be_bytes(bytes);
    let negative = bits >> 63 == 0;
    f64::from_bits(if negative { !bits } else { bits ^ 1 << 63 })
}

fn ordered_f32(value: f32) -> [u8; 4] {
    let bits = float::key_f32(value).to_bits();
    let negative = bits >> 31 == 1;
    (if negative { !bits } else { bits ^ 1 << 31 }).to_be_bytes()
}

fn from_ordered_f32(bytes: [u8; 4]) -> f32 {
    let bits = u32::from_be_bytes(bytes);
    let negative = bits >> 31 == 0;
    f32::from_bits(if negative { !bits } else { bits ^ 1 << 31 })
}

fn put_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend([0, 0]);
}

/// Length with the end mark; an escaped zero is two bytes.
fn escaped_length(value: &[u8], end: [u8; 2]) -> Option<usize> {
    let mut at = 0;
    loop {
        let byte = *value.get(at)?;
        if byte != end[0] {
            at += 1;
        } else if *value.get(at + 1)? == end[1] {
            return Some(at + 2);
        } else {
            at += 2;
        }
    }
}

fn unescaped(value: &[u8]) -> Vec<u8> {
    let value = &value[..value.len() - 2];
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(byte) = rest.next() {
        bytes.push(*byte);
        if *byte == 0 {
            rest.next();
        }
    }
    bytes
}

/// The key of a table without a primary key.
pub fn encode_row_number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The row number of such a key.
///
/// # Errors
/// XX001 for a key of another length.
pub fn decode_row_number(key: &[u8]) -> Result<u64, RowError> {
    let bytes = key
        .try_into()
        .map_err(|_| RowError::Damaged { what: "row number" })?;
    Ok(u64::from_be_bytes(bytes))
}

/// Ranges of keys of which one begins with none of the others' beginnings, in order, each once.
pub fn in_order(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    fn start(range: &KeyRange) -> &[u8] {
        match &range.0 {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        }
    }
    ranges.sort_by(|one, other| start(one).cmp(start(other)));
    ranges.dedup();
    ranges
}

/// The least key above all that begin with the prefix: the end of a scan of it.
pub fn prefix_end(prefix: &[u8]) -> Bound<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xFF);
    match kept {
        None => Bound::Unbounded,
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bound::Excluded(end)
        }
    }
}
