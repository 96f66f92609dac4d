//! Which types become which, and how: PostgreSQL's pg_cast for the types we have.
//!
//! Every value of a cast goes through one function for scalars, so that arrays, parameters and
//! literals agree; arrays have short ways for what is common.

use super::decode::{
    Input, decimal_scalar, decode_text, list_scalar, numeric_scalar, round_interval,
};
use super::input_error::number_out_of_range;
use super::json_value::{Json, Kind};
use super::name::{fixed_numeric, seconds_precision};
use super::number::array::{Numbers, is_exact};
use super::numeric::Decimal;
use super::text::TooLong;
use super::{cast_datetime, column, float, number, numeric, text};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use bytes::BytesMut;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::common::ScalarValue;

/// Who asks for a cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// An operator's or function's argument.
    Implicit,
    /// INSERT and UPDATE into a column.
    Assignment,
    /// CAST and `::`.
    Explicit,
}

/// Types by how they convert among each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Bool,
    /// With its width as its place among the numbers.
    Number(u8),
    Oid,
    Text,
    Bytea,
    DateTime,
    Interval,
    Uuid,
    Json,
    Record,
    Void,
    Enum,
}

fn family(kind: TypeKind) -> Family {
    match kind {
        TypeKind::Bool => Family::Bool,
        TypeKind::Int2 => Family::Number(0),
        TypeKind::Int4 => Family::Number(1),
        TypeKind::Int8 => Family::Number(2),
        TypeKind::Numeric => Family::Number(3),
        TypeKind::Float4 => Family::Number(4),
        TypeKind::Float8 => Family::Number(5),
        TypeKind::Oid | TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc => Family::Oid,
        TypeKind::Text
        | TypeKind::Varchar
        | TypeKind::Bpchar
        | TypeKind::Name
        | TypeKind::Char
        | TypeKind::Unknown => Family::Text,
        TypeKind::Bytea => Family::Bytea,
        TypeKind::Date | TypeKind::Time | TypeKind::Timestamp | TypeKind::Timestamptz => {
            Family::DateTime
        }
        TypeKind::Interval => Family::Interval,
        TypeKind::Uuid => Family::Uuid,
        TypeKind::Json | TypeKind::Jsonb => Family::Json,
        TypeKind::Record => Family::Record,
        TypeKind::Void => Family::Void,
        TypeKind::Enum(_) => Family::Enum,
    }
}

/// Whether there is such a cast (modifiers do not matter).
pub fn can_cast(from: SqlType, to: SqlType, context: CastContext) -> bool {
    needed_context(from, to).is_some_and(|needed| context >= needed)
}

/// The least context in which the cast is made; None where there is none.
fn needed_context(from: SqlType, to: SqlType) -> Option<CastContext> {
    use CastContext::{Assignment, Explicit, Implicit};
    if from.kind == TypeKind::Unknown && !from.array {
        return Some(Implicit);
    }
    match (from.array, to.array) {
        (true, true) => {
            let element = |of: SqlType| SqlType { array: false, ..of };
            return needed_context(element(from), element(to));
        }
        // By way of text: out freely, in when asked.
        (true, false) => return (family(to.kind) == Family::Text).then_some(Assignment),
        (false, true) => return (family(from.kind) == Family::Text).then_some(Explicit),
        (false, false) => {}
    }
    if from.kind == to.kind {
        return Some(Implicit);
    }
    match (family(from.kind), family(to.kind)) {
        (Family::Void, _) | (_, Family::Void) => None,
        (Family::Number(narrow), Family::Number(wide)) if narrow < wide => Some(Implicit),
        (Family::Number(_), Family::Number(_)) => Some(Assignment),
        (Family::Text, Family::Text) => Some(match (from.kind, to.kind) {
            (TypeKind::Char | TypeKind::Name, TypeKind::Varchar | TypeKind::Bpchar)
            | (_, TypeKind::Char) => Assignment,
            _ => Implicit,
        }),
        (Family::Text, Family::Oid) if to.kind == TypeKind::Regclass => Some(Implicit),
        (_, Family::Text) => Some(Assignment),
        (Family::Text, _) => Some(Explicit),
        (Family::Number(0..=2), Family::Oid) | (Family::Oid, Family::Oid) => Some(Implicit),
        (Family::Oid, Family::Number(1 | 2)) => Some(Assignment),
        (Family::Bool, Family::Number(1)) | (Family::Number(1), Family::Bool) => Some(Explicit),
        (Family::Json, Family::Json) => Some(Assignment),
        (Family::Json, Family::Number(_) | Family::Bool) if from.kind == TypeKind::Jsonb => {
            Some(Explicit)
        }
        (Family::DateTime | Family::Interval, Family::DateTime | Family::Interval) => {
            cast_datetime::needed_context(from.kind, to.kind)
        }
        _ => None,
    }
}

/// 42846.
pub fn cannot_cast(from: SqlType, to: SqlType) -> Diagnostic {
    let name = |of: SqlType| super::format_type(SqlType { typmod: -1, ..of });
    Diagnostic::error(
        SqlState::CANNOT_COERCE,
        format!("cannot cast type {} to {}", name(from), name(to)),
    )
}

/// The value cast, as `CAST(value AS to)`: modifiers cut rather than check in an explicit cast.
///
/// # Errors
/// 42846 where there is no such cast, 22003 and the like where the value does not fit.
pub fn cast(
    value: ScalarValue,
    from: SqlType,
    to: SqlType,
    context: CastContext,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    if !can_cast(from, to, context) {
        return Err(cannot_cast(from, to));
    }
    if value.is_null() {
        return Ok(super::null_scalar(to));
    }
    if from == to && !(to.kind == TypeKind::Numeric && to.typmod < 4) {
        return Ok(value);
    }
    if from.array && to.array {
        return cast_list(&value, from, to, context, input);
    }
    let too_long = match context {
        CastContext::Explicit => TooLong::Cut,
        CastContext::Implicit | CastContext::Assignment => TooLong::Refuse,
    };
    if family(to.kind) == Family::Text && !to.array {
        let printed = print(&value, from, input)?;
        let fitted = text::fit(&printed, to, too_long)?.into_owned();
        return Ok(ScalarValue::Utf8(Some(fitted)));
    }
    if family(from.kind) == Family::Text && !from.array {
        return decode_text(text_of(&value)?, to, input);
    }
    if from.kind == TypeKind::Jsonb && !from.array && family(to.kind) != Family::Json {
        return of_jsonb(text_of(&value)?, to, input);
    }
    convert(value, from, to, input)
}

fn text_of(value: &ScalarValue) -> Result<&str, Diagnostic> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => Ok(text),
        other => Err(Diagnostic::internal(format!(
            "a text of type {}",
            other.data_type()
        ))),
    }
}

/// The value as a cast to text gives it: bool in full, char(n) without its blanks.
fn print(value: &ScalarValue, from: SqlType, input: Input<'_>) -> Result<String, Diagnostic> {
    if !from.array {
        match (from.kind, value) {
            (TypeKind::Bool, ScalarValue::Boolean(Some(value))) => return Ok(value.to_string()),
            (kind, _) if family(kind) == Family::Text => return text_of(value).map(str::to_owned),
            _ => {}
        }
    }
    let array = value
        .to_array()
        .map_err(|error| Diagnostic::internal(error.to_string()))?;
    let mut out = BytesMut::new();
    column::encode_text(&array, 0, from, input.settings, &mut out)?;
    String::from_utf8(out.to_vec())
        .map_err(|_| Diagnostic::internal("an output function printed what is no text"))
}

fn cast_list(
    value: &ScalarValue,
    from: SqlType,
    to: SqlType,
    context: CastContext,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let element = |of: SqlType| SqlType { array: false, ..of };
    let ScalarValue::List(list) = value else {
        return Err(Diagnostic::internal("an array that is no list"));
    };
    let values = list.value(0);
    let elements = (0..values.len())
        .map(|row| {
            let value = scalar_at(&values, row)?;
            cast(value, element(from), element(to), context, input)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(list_scalar(elements, element(to)))
}

fn scalar_at(values: &ArrayRef, row: usize) -> Result<ScalarValue, Diagnostic> {
    ScalarValue::try_from_array(values, row)
        .map_err(|error| Diagnostic::internal(error.to_string()))
}

/// 0A000, as PostgreSQL has it.
fn not_an_integer(what: &str, type_name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot convert {what} to {type_name}"),
    )
}

/// A number on its way from one type to another.
enum Number {
    Integer(i128),
    Decimal(Decimal),
    Any(number::Number),
    /// With the significant digits that PostgreSQL takes of it for a numeric.
    Float(f64, usize),
}

fn number_of(value: &ScalarValue) -> Option<Number> {
    Some(match value {
        ScalarValue::Int16(Some(value)) => Number::Integer(i128::from(*value)),
        ScalarValue::Int32(Some(value)) => Number::Integer(i128::from(*value)),
        ScalarValue::Int64(Some(value)) => Number::Integer(i128::from(*value)),
        ScalarValue::UInt32(Some(value)) => Number::Integer(i128::from(*value)),
        ScalarValue::UInt64(Some(value)) => Number::Integer(i128::from(*value)),
        ScalarValue::Boolean(Some(value)) => Number::Integer(i128::from(*value)),
        ScalarValue::Decimal128(Some(unscaled), _, scale) => Number::Decimal(Decimal {
            unscaled: *unscaled,
            scale: scale.unsigned_abs(),
        }),
        ScalarValue::LargeBinary(Some(_)) => Number::Any(number::Number::of_scalar(value)?),
        ScalarValue::Float32(Some(value)) => Number::Float(f64::from(*value), 6),
        ScalarValue::Float64(Some(value)) => Number::Float(*value, 15),
        _ => return None,
    })
}

impl Number {
    fn integer(&self, type_name: &str) -> Result<i128, Diagnostic> {
        match self {
            Number::Integer(value) => Ok(*value),
            Number::Decimal(value) => Ok(value.round()),
            Number::Any(value) => match value.to_integer() {
                Some(whole) => Ok(whole),
                None if value.is_nan() => Err(not_an_integer("NaN", type_name)),
                None if matches!(value, number::Number::Infinity(_)) => {
                    Err(not_an_integer("infinity", type_name))
                }
                None => Err(number_out_of_range(type_name)),
            },
            // Beyond i128 it is beyond every integer type too; NaN fits none.
            Number::Float(value, _) if value.abs() < 1e30 => Ok(value.round_ties_even() as i128),
            Number::Float(..) => Err(number_out_of_range(type_name)),
        }
    }

    fn numeric(self, to: SqlType) -> Result<ScalarValue, Diagnostic> {
        let any = match self {
            Number::Integer(unscaled) => Decimal { unscaled, scale: 0 }.into(),
            Number::Decimal(value) => match fixed_numeric(to) {
                Some(_) => return Ok(decimal_scalar(value.fit(to)?, to)),
                None => value.into(),
            },
            Number::Any(value) => value,
            Number::Float(value, digits) => {
                number::Number::of_float(value, digits, super::name::ANY_NUMERIC)?
            }
        };
        numeric_scalar(any, to)
    }

    fn float(&self) -> f64 {
        match self {
            Number::Integer(value) => *value as f64,
            Number::Decimal(value) => value.to_f64(),
            Number::Any(value) => value.to_f64(),
            Number::Float(value, _) => *value,
        }
    }

    fn real(&self) -> Result<f32, Diagnostic> {
        let wide = self.float();
        let narrow = match self {
            // Straight from the digits, rounded once.
            Number::Integer(value) => *value as f32,
            Number::Decimal(value) => {
                let mut digits = BytesMut::new();
                numeric::write(value.unscaled, value.scale as i8, &mut digits);
                float::parse_f32(&String::from_utf8_lossy(&digits))?
            }
            Number::Any(value) => float::parse_f32(&value.to_string())?,
            Number::Float(value, _) => *value as f32,
        };
        let lost = |how| {
            Diagnostic::error(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value out of range: {how}"),
            )
        };
        match () {
            () if narrow.is_infinite() && wide.is_finite() => Err(lost("overflow")),
            () if narrow == 0.0 && wide != 0.0 => Err(lost("underflow")),
            () => Ok(narrow),
        }
    }
}

/// A scalar of jsonb as the SQL type of its kind.
fn of_jsonb(text: &str, to: SqlType, input: Input<'_>) -> Result<ScalarValue, Diagnostic> {
    let json = Json::new(text);
    match (json.kind(), family(to.kind)) {
        (Kind::Boolean, Family::Bool) => Ok(ScalarValue::Boolean(Some(text == "true"))),
        (Kind::Number, Family::Number(_)) => convert(
            json.number().to_scalar(),
            super::name::ANY_NUMERIC,
            to,
            input,
        ),
        (kind, _) => {
            let kind = match kind {
                Kind::Object | Kind::Array => "array or object",
                Kind::Number => "numeric",
                other => other.name(),
            };
            Err(Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "cannot cast jsonb {kind} to type {}",
                    super::format_type(to)
                ),
            ))
        }
    }
}

/// Between types that are not text.
fn convert(
    value: ScalarValue,
    from: SqlType,
    to: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let no_number = || cannot_cast(from, to);
    let number = || number_of(&value).ok_or_else(no_number);
    let integer = |type_name: &'static str| number()?.integer(type_name);
    Ok(match to.kind {
        TypeKind::Int2 => {
            let narrow = integer("smallint")?.try_into();
            ScalarValue::Int16(Some(narrow.map_err(|_| number_out_of_range("smallint"))?))
        }
        TypeKind::Int4 => {
            let narrow = integer("integer")?.try_into();
            ScalarValue::Int32(Some(narrow.map_err(|_| number_out_of_range("integer"))?))
        }
        TypeKind::Int8 => {
            let narrow = integer("bigint")?.try_into();
            ScalarValue::Int64(Some(narrow.map_err(|_| number_out_of_range("bigint"))?))
        }
        TypeKind::Oid | TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc => {
            let wide = integer("OID")?;
            // int4 to oid keeps the bits of negative numbers.
            let narrow =
                u32::try_from(wide).or_else(|_| i32::try_from(wide).map(|bits| bits as u32));
            ScalarValue::UInt32(Some(narrow.map_err(|_| number_out_of_range("OID"))?))
        }
        TypeKind::Bool => ScalarValue::Boolean(Some(integer("boolean")? != 0)),
        TypeKind::Numeric => number()?.numeric(to)?,
        TypeKind::Float4 => ScalarValue::Float32(Some(number()?.real()?)),
        TypeKind::Float8 => ScalarValue::Float64(Some(number()?.float())),
        TypeKind::Json => value,
        TypeKind::Jsonb => decode_text(text_of(&value)?, to, input)?,
        TypeKind::Interval if from.kind == TypeKind::Interval => match value {
            ScalarValue::IntervalMonthDayNano(Some(value)) => {
                let rounded = round_interval(value, seconds_precision(to));
                ScalarValue::IntervalMonthDayNano(Some(rounded))
            }
            _ => return Err(no_number()),
        },
        TypeKind::Date
        | TypeKind::Time
        | TypeKind::Timestamp
        | TypeKind::Timestamptz
        | TypeKind::Interval => {
            cast_datetime::convert(&value, to, input.settings.time_zone).ok_or_else(no_number)??
        }
        // The same kind with nothing a modifier could change.
        TypeKind::Bytea | TypeKind::Uuid | TypeKind::Record | TypeKind::Void => value,
        TypeKind::Text
        | TypeKind::Varchar
        | TypeKind::Bpchar
        | TypeKind::Name
        | TypeKind::Char
        | TypeKind::Unknown
        | TypeKind::Enum(_) => return Err(no_number()),
    })
}

/// As [`cast`], for a whole array.
///
/// # Errors
/// As [`cast`].
pub fn cast_array(
    values: &ArrayRef,
    from: SqlType,
    to: SqlType,
    context: CastContext,
    input: Input<'_>,
) -> Result<ArrayRef, Diagnostic> {
    let target = super::data_type(to);
    let same_arrow = *values.data_type() == target;
    if from == to && same_arrow {
        return Ok(values.clone());
    }
    if !can_cast(from, to, context) {
        return Err(cannot_cast(from, to));
    }
    if same_arrow && already_fits(values, from, to) {
        return Ok(values.clone());
    }
    if let (false, Family::Number(0..=2), Family::Number(0..=2)) =
        (from.array || to.array, family(from.kind), family(to.kind))
    {
        let checked = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let name = super::format_type(to);
        return cast_with_options(values, &target, &checked)
            .map_err(|_| number_out_of_range(&name));
    }
    if to == super::name::ANY_NUMERIC && !from.array && is_exact(values.data_type()) {
        return Ok(std::sync::Arc::new(Numbers::new(values).ordered()));
    }
    let scalars = (0..values.len())
        .map(|row| cast(scalar_at(values, row)?, from, to, context, input))
        .collect::<Result<Vec<_>, _>>()?;
    if scalars.is_empty() {
        return Ok(datafusion::arrow::array::new_empty_array(&target));
    }
    ScalarValue::iter_to_array(scalars).map_err(|error| Diagnostic::internal(error.to_string()))
}

/// Text that no modifier of `to` would change.
fn already_fits(values: &ArrayRef, from: SqlType, to: SqlType) -> bool {
    if from.array || to.array || family(from.kind) != Family::Text {
        return false;
    }
    match (to.kind, values.as_string_opt::<i32>()) {
        (TypeKind::Text, Some(_)) => true,
        (TypeKind::Varchar | TypeKind::Bpchar, Some(texts)) => {
            let bytes_max = match to.typmod {
                4.. => (to.typmod - 4) as usize,
                _ => usize::MAX,
            };
            texts.iter().flatten().all(|text| {
                text.len() <= bytes_max && (to.kind == TypeKind::Varchar || !text.ends_with(' '))
            })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Settings;
    use crate::engine::types::name::numeric_type;

    const fn of(kind: TypeKind) -> SqlType {
        SqlType::scalar(kind)
    }

    fn cast_text(
        text: &str,
        from: SqlType,
        to: SqlType,
        context: CastContext,
    ) -> Result<String, String> {
        let settings = Settings::default();
        let input = Input {
            settings: &settings,
            transaction_time: 0,
            variables: None,
            types: None,
        };
        let tell = |error: Diagnostic| error.message().to_owned();
        let value = decode_text(text, from, input).map_err(tell)?;
        let value = cast(value, from, to, context, input).map_err(tell)?;
        let mut out = BytesMut::new();
        column::encode_text(&value.to_array().unwrap(), 0, to, &settings, &mut out).unwrap();
        Ok(String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn casts_give_what_postgresql_15_gives() {
        use TypeKind::*;
        let varchar3 = SqlType {
            typmod: 7,
            ..of(Varchar)
        };
        for (text, from, to, expected) in [
            ("1.5", of(Numeric), of(Int4), "2"),
            ("2.5", of(Numeric), of(Int4), "3"),
            ("-2.5", of(Numeric), of(Int8), "-3"),
            ("2.5", of(Float8), of(Int4), "2"),
            (
                "123456789.123456789",
                of(Float8),
                of(Numeric),
                "123456789.123457",
            ),
            ("0.1", of(Float4), of(Numeric), "0.1"),
            ("1.005", of(Numeric), numeric_type(5, 2), "1.01"),
            ("7", of(Int4), numeric_type(5, 2), "7.00"),
            ("1.1", of(Numeric), of(Float8), "1.1"),
            ("abcd", of(Text), varchar3, "abc"),
            ("t", of(Bool), of(Text), "true"),
            ("1", of(Int4), of(Bool), "t"),
            ("12", of(Text), of(Int4), "12"),
            ("2024-07-03", of(Date), of(Timestamp), "2024-07-03 00:00:00"),
            ("2024-07-03 04:05:06", of(Timestamp), of(Date), "2024-07-03"),
            ("2024-07-03 04:05:06", of(Timestamp), of(Time), "04:05:06"),
            (
                "2024-07-03 04:05:06",
                of(Timestamp),
                of(Timestamptz),
                "2024-07-03 04:05:06+00",
            ),
            ("04:05:06", of(Time), of(Interval), "04:05:06"),
            ("1 day 25:00", of(Interval), of(Time), "01:00:00"),
            (
                "{1,2}",
                SqlType::array_of(Int4),
                SqlType::array_of(Text),
                "{1,2}",
            ),
            ("{1,2}", SqlType::array_of(Int4), of(Text), "{1,2}"),
            ("{1.5}", of(Text), SqlType::array_of(Numeric), "{1.5}"),
        ] {
            assert_eq!(
                cast_text(text, from, to, CastContext::Explicit).as_deref(),
                Ok(expected),
                "{text}: {from:?} to {to:?}"
            );
        }
    }

    #[test]
    fn values_out_of_range_and_missing_casts_are_told() {
        use TypeKind::*;
        let explicit = CastContext::Explicit;
        for (text, from, to, message) in [
            ("100000", of(Int4), of(Int2), "smallint out of range"),
            ("1e10", of(Float8), of(Int4), "integer out of range"),
            ("NaN", of(Float8), of(Int8), "bigint out of range"),
            (
                "1e300",
                of(Float8),
                of(Float4),
                "value out of range: overflow",
            ),
            (
                "1234.5",
                of(Numeric),
                numeric_type(5, 2),
                "numeric field overflow",
            ),
            ("1", of(Int4), of(Date), "cannot cast type integer to date"),
            (
                "x",
                of(Text),
                of(Int4),
                "invalid input syntax for type integer: \"x\"",
            ),
        ] {
            assert_eq!(cast_text(text, from, to, explicit), Err(message.to_owned()));
        }
    }

    #[test]
    fn an_assignment_makes_fewer_casts_than_cast_does() {
        use TypeKind::*;
        let (implicit, assignment) = (CastContext::Implicit, CastContext::Assignment);
        assert!(can_cast(of(Int4), of(Int8), implicit));
        assert!(!can_cast(of(Int8), of(Int4), implicit));
        assert!(can_cast(of(Int8), of(Int4), assignment));
        assert!(can_cast(of(Int4), of(Text), assignment));
        assert!(!can_cast(of(Text), of(Int4), assignment));
        assert!(can_cast(of(Unknown), of(Int4), implicit));
        assert!(can_cast(of(Date), of(Timestamptz), implicit));
        assert!(!can_cast(of(Bool), of(Int4), assignment));
        assert!(!can_cast(of(Uuid), of(Int4), CastContext::Explicit));
    }
}
