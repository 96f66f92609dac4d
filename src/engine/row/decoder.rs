//! Rows into Arrow arrays.

use super::error::RowError;
use super::layout::{RowLayout, check_size};
use super::value::{self, Physical, exact, interval_of, text_of};
use crate::engine::types::number::Number;
use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BinaryViewBuilder, BooleanBuilder,
    FixedSizeBinaryBuilder, LargeBinaryBuilder, PrimitiveBuilder, StringBuilder,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
    UInt32Type,
};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// Text of a new builder, a value: a first guess that grows.
const BYTES_A_VALUE: usize = 16;

/// Builds arrays of the wanted columns, row by row.
pub struct RowDecoder {
    layout: Arc<RowLayout>,
    /// For each column of the table up to the last wanted: its builder, if it is wanted.
    slots: Vec<Option<usize>>,
    builders: Vec<Builder>,
    /// For each array wanted, its builder; two where a column is wanted twice.
    wanted: Vec<usize>,
    rows: usize,
    bytes: usize,
}

impl RowDecoder {
    pub(super) fn new(layout: &Arc<RowLayout>, wanted: &[u16], capacity: usize) -> RowDecoder {
        let columns = layout.columns();
        let slots_needed = wanted.iter().map(|at| usize::from(*at) + 1).max();
        let mut slots: Vec<Option<usize>> = vec![None; slots_needed.unwrap_or(0)];
        let mut builders = Vec::with_capacity(wanted.len());
        let wanted = wanted
            .iter()
            .map(|position| {
                let position = usize::from(*position);
                *slots[position].get_or_insert_with(|| {
                    builders.push(Builder::new(&columns[position].physical, capacity));
                    builders.len() - 1
                })
            })
            .collect();
        RowDecoder {
            layout: layout.clone(),
            slots,
            builders,
            wanted,
            rows: 0,
            bytes: 0,
        }
    }

    /// Appends one stored row.
    ///
    /// # Errors
    /// XX001 for bytes that are no such row; the decoder is then not to be used any more.
    pub fn append(&mut self, row: &[u8]) -> Result<(), RowError> {
        let parts = self.layout.parts(row)?;
        check_size(row.len())?;
        let columns = self.layout.columns();
        let mut rest = parts.values;
        for (index, slot) in self.slots.iter().enumerate() {
            let column = &columns[index];
            let bytes = if index >= parts.columns {
                column.missing.as_deref()
            } else if parts.is_null(index) {
                None
            } else {
                let (bytes, after) = value::split_value(column.physical.width(), rest)
                    .ok_or(RowError::Damaged { what: "value" })?;
                rest = after;
                Some(bytes)
            };
            if let Some(slot) = slot {
                match bytes {
                    Some(bytes) => {
                        self.bytes += bytes.len();
                        self.builders[*slot].append(&column.physical, bytes)?;
                    }
                    None => self.builders[*slot].append_null(),
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// How many rows were appended since the last [`RowDecoder::finish`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes of the values appended so far, to bound a batch.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The arrays, in the order wanted; the decoder starts again.
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        self.bytes = 0;
        let arrays: Vec<ArrayRef> = self.builders.iter_mut().map(Builder::finish).collect();
        self.wanted
            .iter()
            .map(|slot| arrays[*slot].clone())
            .collect()
    }
}

/// One array under construction.
enum Builder {
    Bool(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal64(PrimitiveBuilder<Decimal128Type>),
    Decimal128(PrimitiveBuilder<Decimal128Type>),
    Numeric(LargeBinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Interval(PrimitiveBuilder<IntervalMonthDayNanoType>),
    Uuid(FixedSizeBinaryBuilder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Enum(BinaryViewBuilder),
    /// Arrays are rare: kept as scalars until the end, with a NULL of their type.
    List(Vec<ScalarValue>, ScalarValue),
}

fn primitive<T: ArrowPrimitiveType>(physical: &Physical, capacity: usize) -> PrimitiveBuilder<T> {
    PrimitiveBuilder::with_capacity(capacity).with_data_type(physical.data_type())
}

impl Builder {
    fn new(physical: &Physical, capacity: usize) -> Builder {
        match physical {
            Physical::Bool => Builder::Bool(BooleanBuilder::with_capacity(capacity)),
            Physical::Int16 => Builder::Int16(primitive(physical, capacity)),
            Physical::Int32 => Builder::Int32(primitive(physical, capacity)),
            Physical::Int64 => Builder::Int64(primitive(physical, capacity)),
            Physical::UInt32 => Builder::UInt32(primitive(physical, capacity)),
            Physical::Float32 => Builder::Float32(primitive(physical, capacity)),
            Physical::Float64 => Builder::Float64(primitive(physical, capacity)),
            Physical::Decimal64(..) => Builder::Decimal64(primitive(physical, capacity)),
            Physical::Decimal128(..) => Builder::Decimal128(primitive(physical, capacity)),
            Physical::Numeric => Builder::Numeric(LargeBinaryBuilder::with_capacity(
                capacity,
                capacity * BYTES_A_VALUE,
            )),
            Physical::Date => Builder::Date(primitive(physical, capacity)),
            Physical::Time => Builder::Time(primitive(physical, capacity)),
            Physical::Timestamp(_) => Builder::Timestamp(primitive(physical, capacity)),
            Physical::Interval => Builder::Interval(primitive(physical, capacity)),
            Physical::Uuid => Builder::Uuid(FixedSizeBinaryBuilder::with_capacity(capacity, 16)),
            Physical::Text => Builder::Text(StringBuilder::with_capacity(
                capacity,
                capacity * BYTES_A_VALUE,
            )),
            Physical::Binary => Builder::Binary(BinaryBuilder::with_capacity(
                capacity,
                capacity * BYTES_A_VALUE,
            )),
            Physical::Enum => Builder::Enum(BinaryViewBuilder::with_capacity(capacity)),
            Physical::List(..) => Builder::List(Vec::with_capacity(capacity), physical.null()),
        }
    }

    #[inline]
    fn append(&mut self, physical: &Physical, bytes: &[u8]) -> Result<(), RowError> {
        match self {
            Builder::Bool(builder) => builder.append_value(exact::<1>(bytes)? != [0]),
            Builder::Int16(builder) => builder.append_value(i16::from_le_bytes(exact(bytes)?)),
            Builder::Int32(builder) => builder.append_value(i32::from_le_bytes(exact(bytes)?)),
            Builder::Int64(builder) => builder.append_value(i64::from_le_bytes(exact(bytes)?)),
            Builder::UInt32(builder) => builder.append_value(u32::from_le_bytes(exact(bytes)?)),
            Builder::Float32(builder) => builder.append_value(f32::from_le_bytes(exact(bytes)?)),
            Builder::Float64(builder) => builder.append_value(f64::from_le_bytes(exact(bytes)?)),
            Builder::Decimal64(builder) => {
                builder.append_value(i128::from(i64::from_le_bytes(exact(bytes)?)));
            }
            Builder::Decimal128(builder) => {
                builder.append_value(i128::from_le_bytes(exact(bytes)?));
            }
            Builder::Numeric(builder) => {
                Number::of_ordered(bytes).ok_or(RowError::Damaged { what: "numeric" })?;
                builder.append_value(bytes);
            }
            Builder::Date(builder) => builder.append_value(i32::from_le_bytes(exact(bytes)?)),
            Builder::Time(builder) => builder.append_value(i64::from_le_bytes(exact(bytes)?)),
            Builder::Timestamp(builder) => builder.append_value(i64::from_le_bytes(exact(bytes)?)),
            Builder::Interval(builder) => builder.append_value(interval_of(&exact(bytes)?)),
            Builder::Uuid(builder) => builder
                .append_value(exact::<16>(bytes)?)
                .expect("sixteen bytes were just checked"),
            Builder::Text(builder) => builder.append_value(text_of(bytes)?),
            Builder::Binary(builder) => builder.append_value(bytes),
            Builder::Enum(builder) => builder.append_value(bytes),
            Builder::List(values, _) => values.push(physical.get(bytes)?),
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Builder::Bool(builder) => builder.append_null(),
            Builder::Int16(builder) => builder.append_null(),
            Builder::Int32(builder) => builder.append_null(),
            Builder::Int64(builder) => builder.append_null(),
            Builder::UInt32(builder) => builder.append_null(),
            Builder::Float32(builder) => builder.append_null(),
            Builder::Float64(builder) => builder.append_null(),
            Builder::Decimal64(builder) => builder.append_null(),
            Builder::Decimal128(builder) => builder.append_null(),
            Builder::Numeric(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
            Builder::Time(builder) => builder.append_null(),
            Builder::Timestamp(builder) => builder.append_null(),
            Builder::Interval(builder) => builder.append_null(),
            Builder::Uuid(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
            Builder::Binary(builder) => builder.append_null(),
            Builder::Enum(builder) => builder.append_null(),
            Builder::List(values, null) => values.push(null.clone()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Bool(builder) => ArrayBuilder::finish(builder),
            Builder::Int16(builder) => ArrayBuilder::finish(builder),
            Builder::Int32(builder) => ArrayBuilder::finish(builder),
            Builder::Int64(builder) => ArrayBuilder::finish(builder),
            Builder::UInt32(builder) => ArrayBuilder::finish(builder),
            Builder::Float32(builder) => ArrayBuilder::finish(builder),
            Builder::Float64(builder) => ArrayBuilder::finish(builder),
            Builder::Decimal64(builder) => ArrayBuilder::finish(builder),
            Builder::Decimal128(builder) => ArrayBuilder::finish(builder),
            Builder::Numeric(builder) => ArrayBuilder::finish(builder),
            Builder::Date(builder) => ArrayBuilder::finish(builder),
            Builder::Time(builder) => ArrayBuilder::finish(builder),
            Builder::Timestamp(builder) => ArrayBuilder::finish(builder),
            Builder::Interval(builder) => ArrayBuilder::finish(builder),
            Builder::Uuid(builder) => ArrayBuilder::finish(builder),
            Builder::Text(builder) => ArrayBuilder::finish(builder),
            Builder::Binary(builder) => ArrayBuilder::finish(builder),
            Builder::Enum(builder) => ArrayBuilder::finish(builder),
            Builder::List(values, null) => {
                let values = std::mem::take(values);
                if values.is_empty() {
                    return datafusion::arrow::array::new_empty_array(&null.data_type());
                }
                ScalarValue::iter_to_array(values).expect("all lists of one column have one type")
            }
        }
    }
}
