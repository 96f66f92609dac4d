//! Output: the values of one array, looked at through its type once and then printed row by row.

use super::calendar::{POSTGRESQL_EPOCH, POSTGRESQL_EPOCH_DAYS};
use super::datetime::{INFINITY, NEGATIVE_INFINITY};
use super::number::Number;
use super::{
    array, boolean, bytea, datetime, enumeration, float, integer, interval, numeric, record, text,
    uuid,
};
use crate::catalog::Oid;
use crate::catalog::enumeration::noted_name_of;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::settings::Settings;
use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array,
    Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, IntervalMonthDayNanoArray, LargeBinaryArray, ListArray, StringArray,
    StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, UInt32Type,
};

/// One column of a batch, ready to print. Making one costs a downcast; do it once a batch.
pub struct Column<'a> {
    array: &'a dyn Array,
    values: Values<'a>,
    sql_type: SqlType,
}

/// The array by its type; what it holds is what the type prints.
enum Values<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a Int16Array),
    Int4(&'a Int32Array),
    Int8(&'a Int64Array),
    Oid(&'a UInt32Array),
    Float4(&'a Float32Array),
    Float8(&'a Float64Array),
    Numeric(&'a Decimal128Array, i8),
    AnyNumeric(&'a LargeBinaryArray),
    Text(&'a StringArray),
    TextView(&'a StringViewArray),
    Bytea(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Interval(&'a IntervalMonthDayNanoArray),
    Uuid(&'a FixedSizeBinaryArray),
    Enum(&'a BinaryViewArray),
    Record(&'a BinaryArray),
    /// With the type of the elements.
    List(&'a ListArray, SqlType),
    /// void prints as nothing; every other value of a Null array is NULL.
    Void,
    /// Of another Arrow type than the mapping has; converted once, looked at for each value.
    Converted(ArrayRef),
}

impl<'a> Column<'a> {
    /// The array as values of this type. Arrays of Arrow types outside the mapping (views, other
    /// units) are converted first.
    ///
    /// # Errors
    /// 0A000 for an Arrow type that cannot hold this SQL type.
    pub fn new(array: &'a ArrayRef, sql_type: SqlType) -> Result<Column<'a>, Diagnostic> {
        let array: &'a dyn Array = array.as_ref();
        let values = match Self::view(array, sql_type) {
            Some(values) => values,
            None => Values::Converted(convert(array, sql_type)?),
        };
        Ok(Column {
            array,
            values,
            sql_type,
        })
    }

    fn view(array: &'a dyn Array, sql_type: SqlType) -> Option<Values<'a>> {
        if sql_type.array {
            let element = SqlType {
                array: false,
                ..sql_type
            };
            return array
                .as_list_opt::<i32>()
                .map(|list| Values::List(list, element));
        }
        if *array.data_type() == DataType::Null {
            return Some(Values::Void);
        }
        Some(match sql_type.kind {
            TypeKind::Bool => Values::Bool(array.as_boolean_opt()?),
            TypeKind::Int2 => Values::Int2(array.as_primitive_opt::<Int16Type>()?),
            TypeKind::Int4 => Values::Int4(array.as_primitive_opt::<Int32Type>()?),
            TypeKind::Int8 => Values::Int8(array.as_primitive_opt::<Int64Type>()?),
            TypeKind::Numeric => match array.as_primitive_opt::<Decimal128Type>() {
                Some(numbers) => Values::Numeric(numbers, numbers.scale()),
                None => Values::AnyNumeric(array.as_binary_opt::<i64>()?),
            },
            TypeKind::Float4 => Values::Float4(array.as_primitive_opt::<Float32Type>()?),
            TypeKind::Float8 => Values::Float8(array.as_primitive_opt::<Float64Type>()?),
            TypeKind::Text
            | TypeKind::Varchar
            | TypeKind::Bpchar
            | TypeKind::Name
            | TypeKind::Char
            | TypeKind::Json
            | TypeKind::Jsonb
            | TypeKind::Unknown => match array.as_string_opt::<i32>() {
                Some(strings) => Values::Text(strings),
                None => Values::TextView(array.as_string_view_opt()?),
            },
            TypeKind::Bytea => Values::Bytea(array.as_binary_opt::<i32>()?),
            TypeKind::Date => Values::Date(array.as_primitive_opt::<Date32Type>()?),
            TypeKind::Time => Values::Time(array.as_primitive_opt::<Time64MicrosecondType>()?),
            TypeKind::Timestamp | TypeKind::Timestamptz => {
                Values::Timestamp(array.as_primitive_opt::<TimestampMicrosecondType>()?)
            }
            TypeKind::Interval => {
                Values::Interval(array.as_primitive_opt::<IntervalMonthDayNanoType>()?)
            }
            TypeKind::Uuid => Values::Uuid(
                array
                    .as_fixed_size_binary_opt()
                    .filter(|uuids| uuids.value_length() == 16)?,
            ),
            TypeKind::Oid | TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc => {
                Values::Oid(array.as_primitive_opt::<UInt32Type>()?)
            }
            TypeKind::Record => Values::Record(array.as_binary_opt::<i32>()?),
            TypeKind::Void => Values::Void,
            TypeKind::Enum(_) => Values::Enum(array.as_binary_view_opt()?),
        })
    }

    /// Whether the value is NULL, which has no text and no bytes.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        match self.values {
            Values::Void => self.sql_type.kind != TypeKind::Void,
            _ => self.array.is_null(row),
        }
    }

    /// Appends the text of the value, which is not NULL, as the type's output function prints it.
    ///
    /// regclass and regproc print as numbers: names need the catalog, and whoever makes such a
    /// result gives text.
    #[inline]
    pub fn text(&self, row: usize, settings: &Settings, out: &mut BytesMut) {
        match &self.values {
            Values::Bool(values) => out.extend_from_slice(boolean::text(values.value(row))),
            Values::Int2(values) => integer::write(values.value(row), out),
            Values::Int4(values) => integer::write(values.value(row), out),
            Values::Int8(values) => integer::write(values.value(row), out),
            Values::Oid(values) => self.write_oid(values.value(row), out),
            Values::Float4(values) => {
                float::write_f32(values.value(row), settings.extra_float_digits, out);
            }
            Values::Float8(values) => {
                float::write_f64(values.value(row), settings.extra_float_digits, out);
            }
            Values::Numeric(values, scale) => numeric::write(values.value(row), *scale, out),
            Values::AnyNumeric(values) => number(values.value(row)).write(out),
            Values::Text(values) => self.write_text(values.value(row), out),
            Values::TextView(values) => self.write_text(values.value(row), out),
            Values::Bytea(values) => bytea::write(values.value(row), settings.bytea_escape, out),
            Values::Date(values) => datetime::write_date(values.value(row), out),
            Values::Time(values) => datetime::write_time(values.value(row), out),
            Values::Timestamp(values) if self.sql_type.kind == TypeKind::Timestamptz => {
                datetime::write_timestamptz(values.value(row), settings.time_zone, out);
            }
            Values::Timestamp(values) => datetime::write_timestamp(values.value(row), out),
            Values::Interval(values) => interval::write(values.value(row), out),
            Values::Uuid(values) => uuid::write(values.value(row), out),
            Values::Enum(values) => write_label(values.value(row), out),
            Values::Record(values) => record::write_text(values.value(row), settings, out),
            Values::List(values, element) => {
                write_array(&values.value(row), *element, settings, out);
            }
            Values::Void => {}
            Values::Converted(array) => self.of_converted(array).text(row, settings, out),
        }
    }

    /// Appends the binary form of the value, which is not NULL, as the type's send function.
    pub fn binary(&self, row: usize, out: &mut BytesMut) {
        match &self.values {
            Values::Bool(values) => out.put_u8(u8::from(values.value(row))),
            Values::Int2(values) => out.put_i16(values.value(row)),
            Values::Int4(values) => out.put_i32(values.value(row)),
            Values::Int8(values) => out.put_i64(values.value(row)),
            Values::Oid(values) => out.put_u32(values.value(row)),
            Values::Float4(values) => out.put_f32(values.value(row)),
            Values::Float8(values) => out.put_f64(values.value(row)),
            Values::Numeric(values, scale) => {
                numeric::write_binary(values.value(row), *scale, out);
            }
            Values::AnyNumeric(values) => number(values.value(row)).write_binary(out),
            Values::Text(values) => self.write_text_binary(values.value(row), out),
            Values::TextView(values) => self.write_text_binary(values.value(row), out),
            Values::Bytea(values) => out.extend_from_slice(values.value(row)),
            Values::Date(values) => out.put_i32(match values.value(row) {
                infinite @ (i32::MAX | i32::MIN) => infinite,
                days => days.saturating_sub(POSTGRESQL_EPOCH_DAYS),
            }),
            Values::Time(values) => out.put_i64(values.value(row)),
            Values::Timestamp(values) => out.put_i64(match values.value(row) {
                infinite @ (INFINITY | NEGATIVE_INFINITY) => infinite,
                microseconds => microseconds.saturating_sub(POSTGRESQL_EPOCH),
            }),
            Values::Interval(values) => {
                let value = values.value(row);
                out.put_i64(interval::microseconds(value));
                out.put_i32(value.days);
                out.put_i32(value.months);
            }
            Values::Uuid(values) => out.extend_from_slice(values.value(row)),
            Values::Enum(values) => write_label(values.value(row), out),
            Values::Record(values) => out.extend_from_slice(values.value(row)),
            Values::List(values, element) => write_array_binary(&values.value(row), *element, out),
            Values::Void => {}
            Values::Converted(array) => self.of_converted(array).binary(row, out),
        }
    }

    /// The elements of an array that is not NULL, and their type; None where the value is no array.
    pub fn elements(&self, row: usize) -> Option<(ArrayRef, SqlType)> {
        match &self.values {
            Values::List(values, element) => Some((values.value(row), *element)),
            Values::Converted(array) => self.of_converted(array).elements(row),
            _ => None,
        }
    }

    /// The bytes of a record that is not NULL; None where the value is none.
    pub fn record(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Record(values) => Some(values.value(row)),
            _ => None,
        }
    }

    fn of_converted<'b>(&self, array: &'b ArrayRef) -> Column<'b> {
        Column::new(array, self.sql_type).expect("it was converted to the type's own Arrow type")
    }

    fn write_text(&self, value: &str, out: &mut BytesMut) {
        out.extend_from_slice(value.as_bytes());
        out.put_bytes(b' ', text::padding(value, self.sql_type));
    }

    fn write_text_binary(&self, value: &str, out: &mut BytesMut) {
        if self.sql_type.kind == TypeKind::Jsonb {
            out.put_u8(JSONB_VERSION);
        }
        self.write_text(value, out);
    }

    fn write_oid(&self, value: u32, out: &mut BytesMut) {
        let named = match self.sql_type.kind {
            TypeKind::Regtype => match super::pseudo_type::printed(Oid(value)) {
                Some(named) => Some(named.into()),
                None => noted_name_of(Oid(value)),
            },
            _ => None,
        };
        match named {
            Some(named) => out.extend_from_slice(named.as_bytes()),
            None if value == 0 && self.sql_type.kind != TypeKind::Oid => out.put_u8(b'-'),
            None => integer::write(value, out),
        }
    }
}

/// The label of an enumeration's value; nothing else gets into such an array.
fn write_label(value: &[u8], out: &mut BytesMut) {
    let label = enumeration::label_of(value).unwrap_or_default();
    out.extend_from_slice(label.as_bytes());
}

/// The number of our own bytes; others do not get into such an array.
fn number(bytes: &[u8]) -> Number {
    Number::of_ordered(bytes).unwrap_or(Number::NaN)
}

/// The first byte of jsonb's binary form.
pub const JSONB_VERSION: u8 = 1;

/// An array of a type outside the mapping as the type's own Arrow type.
fn convert(array: &dyn Array, sql_type: SqlType) -> Result<ArrayRef, Diagnostic> {
    let target = match (sql_type.array, sql_type.kind, array.data_type()) {
        // Keep the scale it came with.
        (false, TypeKind::Numeric, DataType::Decimal256(_, scale))
        | (false, TypeKind::Numeric, DataType::Decimal32(_, scale))
        | (false, TypeKind::Numeric, DataType::Decimal64(_, scale)) => {
            DataType::Decimal128(super::name::NUMERIC_DIGITS_MAX, *scale)
        }
        (false, TypeKind::Interval, DataType::Duration(_)) => {
            DataType::Interval(IntervalUnit::MonthDayNano)
        }
        (false, TypeKind::Timestamp | TypeKind::Timestamptz, DataType::Timestamp(_, zone)) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        _ => super::data_type(sql_type),
    };
    datafusion::arrow::compute::cast(array, &target)
        .ok()
        .filter(|converted| converted.null_count() == array.logical_null_count())
        .ok_or_else(|| {
            Diagnostic::unsupported(format!(
                "printing {} as {}",
                array.data_type(),
                super::format_type(sql_type)
            ))
        })
}

fn write_array(elements: &ArrayRef, element: SqlType, settings: &Settings, out: &mut BytesMut) {
    out.put_u8(b'{');
    // An element type that cannot be printed was refused when the list's type was made.
    if let Ok(column) = Column::new(elements, element) {
        for row in 0..elements.len() {
            if row > 0 {
                out.put_u8(b',');
            }
            if column.is_null(row) {
                out.extend_from_slice(b"NULL");
            } else {
                let start = out.len();
                column.text(row, settings, out);
                array::quote_element(start, out);
            }
        }
    }
    out.put_u8(b'}');
}

fn write_array_binary(elements: &ArrayRef, element: SqlType, out: &mut BytesMut) {
    let dimensions = i32::from(!elements.is_empty());
    out.put_i32(dimensions);
    out.put_i32(i32::from(elements.logical_null_count() > 0));
    out.put_u32(super::oid(element).0);
    if elements.is_empty() {
        return;
    }
    out.put_i32(elements.len() as i32);
    out.put_i32(1);
    if let Ok(column) = Column::new(elements, element) {
        for row in 0..elements.len() {
            if column.is_null(row) {
                out.put_i32(-1);
                continue;
            }
            let start = out.len();
            out.put_i32(0);
            column.binary(row, out);
            let length = (out.len() - start - 4) as i32;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// Appends the text of one value that is not NULL. For many rows use a [`Column`].
///
/// # Errors
/// As [`Column::new`].
pub fn encode_text(
    array: &ArrayRef,
    row: usize,
    sql_type: SqlType,
    settings: &Settings,
    out: &mut BytesMut,
) -> Result<(), Diagnostic> {
    Column::new(array, sql_type)?.text(row, settings, out);
    Ok(())
}

/// Appends the binary form of one value that is not NULL. For many rows use a [`Column`].
///
/// # Errors
/// As [`Column::new`].
pub fn encode_binary(
    array: &ArrayRef,
    row: usize,
    sql_type: SqlType,
    out: &mut BytesMut,
) -> Result<(), Diagnostic> {
    Column::new(array, sql_type)?.binary(row, out);
    Ok(())
}
