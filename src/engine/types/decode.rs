//! Input: text and binary to values, with PostgreSQL's errors.

use super::calendar::{DAY, Date, POSTGRESQL_EPOCH, POSTGRESQL_EPOCH_DAYS};
use super::column::JSONB_VERSION;
use super::datetime::{INFINITY, NEGATIVE_INFINITY, round_timestamp, round_to};
use super::datetime_input as datetime;
use super::enumeration::{self, UserTypes};
use super::input_error::invalid_binary;
use super::name::{self, seconds_precision};
use super::number::{self, Number};
use super::text::TooLong;
use super::{
    array, boolean, bytea, float, integer, interval, json, numeric, pseudo_type, record, text, uuid,
};
use crate::access::Variables;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::settings::Settings;
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;

/// What input functions may look at besides the text.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The time zone of timestamptz without one.
    pub settings: &'a Settings,
    /// What `now`, `today` and their like mean, in Unix microseconds.
    pub transaction_time: i64,
    /// `$auth.*`; None where no session asks: all of them are NULL.
    pub variables: Option<Variables<'a>>,
    /// The types that somebody has defined; None where there are none to be met.
    pub types: Option<UserTypes<'a>>,
}

/// The value that a text means, the type's modifier applied as COPY and assignments apply it (a
/// varchar(3) of four letters is 22001 unless the fourth is a blank).
///
/// # Errors
/// 22P02, 22003, 22007, 22008, 22001 in PostgreSQL's words.
pub fn decode_text(
    text: &str,
    sql_type: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    if sql_type.array {
        return decode_array(text, sql_type, input);
    }
    let seconds = seconds_precision(sql_type);
    Ok(match sql_type.kind {
        TypeKind::Bool => ScalarValue::Boolean(Some(boolean::parse(text)?)),
        TypeKind::Int2 => ScalarValue::Int16(Some(integer::parse(text)?)),
        TypeKind::Int4 => ScalarValue::Int32(Some(integer::parse(text)?)),
        TypeKind::Int8 => ScalarValue::Int64(Some(integer::parse(text)?)),
        TypeKind::Numeric => match name::fixed_numeric(sql_type) {
            Some(_) => decimal_scalar(numeric::parse(text, sql_type)?, sql_type),
            None => Number::parse(text, sql_type)?.to_scalar(),
        },
        TypeKind::Float4 => ScalarValue::Float32(Some(float::parse_f32(text)?)),
        TypeKind::Float8 => ScalarValue::Float64(Some(float::parse_f64(text)?)),
        TypeKind::Json => {
            json::check(text)?;
            ScalarValue::Utf8(Some(text.to_owned()))
        }
        TypeKind::Jsonb => ScalarValue::Utf8(Some(json::normalise(text)?)),
        TypeKind::Text
        | TypeKind::Varchar
        | TypeKind::Bpchar
        | TypeKind::Name
        | TypeKind::Char
        | TypeKind::Unknown => ScalarValue::Utf8(Some(
            text::fit(text, sql_type, TooLong::Refuse)?.into_owned(),
        )),
        TypeKind::Bytea => ScalarValue::Binary(Some(bytea::parse(text)?)),
        TypeKind::Date => ScalarValue::Date32(Some(datetime::parse_date(text, input)?)),
        TypeKind::Time => {
            let time = datetime::parse_time(text, input)?;
            ScalarValue::Time64Microsecond(Some(round_to(time, seconds)))
        }
        TypeKind::Timestamp => {
            let value = round_timestamp(datetime::parse_timestamp(text, input)?, seconds);
            ScalarValue::TimestampMicrosecond(Some(value), None)
        }
        TypeKind::Timestamptz => {
            let value = round_timestamp(datetime::parse_timestamptz(text, input)?, seconds);
            ScalarValue::TimestampMicrosecond(Some(value), Some("UTC".into()))
        }
        TypeKind::Interval => {
            ScalarValue::IntervalMonthDayNano(Some(round_interval(interval::parse(text)?, seconds)))
        }
        TypeKind::Uuid => ScalarValue::FixedSizeBinary(16, Some(uuid::parse(text)?.to_vec())),
        TypeKind::Oid => ScalarValue::UInt32(Some(integer::parse(text)?)),
        TypeKind::Regtype => ScalarValue::UInt32(Some(parse_regtype(text)?)),
        TypeKind::Regclass | TypeKind::Regproc => {
            ScalarValue::UInt32(Some(parse_reg(text, sql_type)?))
        }
        TypeKind::Record => return Err(record::no_input()),
        TypeKind::Void => ScalarValue::Null,
        TypeKind::Enum(known) => enumeration::parse(text, known, input)?,
    })
}

/// An interval rounded to so many decimals of a second.
pub fn round_interval(value: IntervalMonthDayNano, seconds: Option<u32>) -> IntervalMonthDayNano {
    let clock = round_to(interval::microseconds(value), seconds);
    // Rounding up past Arrow's range keeps the unrounded value, within a second of the end.
    interval::from_parts(value.months, value.days, clock).unwrap_or(value)
}

/// A number of a fixed scale, which it has already, as a scalar of the type's Arrow type.
pub fn decimal_scalar(decimal: numeric::Decimal, sql_type: SqlType) -> ScalarValue {
    let precision =
        name::fixed_numeric(sql_type).map_or(name::NUMERIC_DIGITS_MAX, |(precision, _)| precision);
    ScalarValue::Decimal128(Some(decimal.unscaled), precision, decimal.scale as i8)
}

/// A number as a scalar of the type's Arrow type, its modifier applied.
///
/// # Errors
/// 22003 where it does not fit; 0A000 for NaN in a type that Decimal128 holds.
pub fn numeric_scalar(number: Number, sql_type: SqlType) -> Result<ScalarValue, Diagnostic> {
    let number = number.fit(sql_type)?;
    let Some((precision, scale)) = name::fixed_numeric(sql_type) else {
        return Ok(number.to_scalar());
    };
    let fixed = number
        .to_decimal()
        .and_then(|decimal| decimal.rescale(scale.unsigned_abs()));
    let fixed = fixed.ok_or_else(|| numeric::unsupported_special("NaN"))?;
    Ok(ScalarValue::Decimal128(
        Some(fixed.unscaled),
        precision,
        scale,
    ))
}

fn parse_regtype(text: &str) -> Result<u32, Diagnostic> {
    if text == "-" {
        return Ok(0);
    }
    if let Ok(number) = integer::parse::<u32>(text) {
        return Ok(number);
    }
    let word = text.trim_ascii();
    let word = word.strip_prefix("pg_catalog.").unwrap_or(word);
    let (element, array) = match word.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (word, false),
    };
    let lower = element.to_ascii_lowercase();
    name::from_internal_name(&lower)
        .or_else(|| name::from_sql_name(&lower))
        .map(|found| {
            name::oid(SqlType {
                array: array || found.array,
                ..found
            })
            .0
        })
        .or_else(|| pseudo_type::oid_of(&word.to_ascii_lowercase()))
        .ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("type \"{word}\" does not exist"),
            )
        })
}

/// regclass and regproc by number; names need the catalog, which the query path looks into.
fn parse_reg(text: &str, sql_type: SqlType) -> Result<u32, Diagnostic> {
    if text == "-" {
        return Ok(0);
    }
    integer::parse(text).map_err(|_| {
        Diagnostic::unsupported(format!(
            "a name as input of type {}",
            super::format_type(sql_type)
        ))
    })
}

fn decode_array(
    text: &str,
    sql_type: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let element_type = SqlType {
        array: false,
        ..sql_type
    };
    let elements = array::split_elements(text)?
        .into_iter()
        .map(|element| match element {
            None => Ok(super::null_scalar(element_type)),
            Some(element) => decode_text(&element, element_type, input),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(list_scalar(elements, element_type))
}

/// A list of these elements.
pub fn list_scalar(elements: Vec<ScalarValue>, element_type: SqlType) -> ScalarValue {
    let data_type = super::data_type(element_type);
    ScalarValue::List(ScalarValue::new_list(&elements, &data_type, true))
}

/// The value of a binary parameter, the type's modifier not applied.
///
/// # Errors
/// 22P03 `incorrect binary data format`, 22021 for bytes that are no text, 22P02 for no label, 0A000 for a
/// record.
pub fn decode_binary(
    bytes: &[u8],
    sql_type: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    match sql_type.kind {
        TypeKind::Record => Err(record::no_input()),
        _ => decode_own(bytes, sql_type, input),
    }
}

/// As [`decode_binary`], of bytes that we have written: records are taken as they are.
pub(super) fn decode_own(
    bytes: &[u8],
    sql_type: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    if sql_type.array {
        return decode_binary_array(bytes, sql_type, input);
    }
    let wrong = || invalid_binary(sql_type);
    macro_rules! number {
        ($number:ty) => {
            <$number>::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)
        };
    }
    Ok(match sql_type.kind {
        TypeKind::Bool => ScalarValue::Boolean(Some(number!(u8) != 0)),
        TypeKind::Int2 => ScalarValue::Int16(Some(number!(i16))),
        TypeKind::Int4 => ScalarValue::Int32(Some(number!(i32))),
        TypeKind::Int8 => ScalarValue::Int64(Some(number!(i64))),
        TypeKind::Numeric => {
            let number = number::parse_binary(bytes, sql_type).ok_or_else(wrong)??;
            numeric_scalar(number, sql_type)?
        }
        TypeKind::Float4 => ScalarValue::Float32(Some(float::with_one_nan_f32(number!(f32)))),
        TypeKind::Float8 => ScalarValue::Float64(Some(float::with_one_nan_f64(number!(f64)))),
        TypeKind::Jsonb => match bytes {
            [JSONB_VERSION, rest @ ..] => {
                ScalarValue::Utf8(Some(json::normalise(text::from_bytes(rest)?)?))
            }
            _ => return Err(wrong()),
        },
        TypeKind::Json => {
            let text = text::from_bytes(bytes)?;
            json::check(text)?;
            ScalarValue::Utf8(Some(text.to_owned()))
        }
        TypeKind::Text
        | TypeKind::Varchar
        | TypeKind::Bpchar
        | TypeKind::Name
        | TypeKind::Char
        | TypeKind::Unknown => {
            let text = text::from_bytes(bytes)?;
            ScalarValue::Utf8(Some(
                text::fit(text, sql_type, TooLong::Refuse)?.into_owned(),
            ))
        }
        TypeKind::Bytea => ScalarValue::Binary(Some(bytes.to_vec())),
        TypeKind::Date => ScalarValue::Date32(Some(date_of(number!(i32))?)),
        TypeKind::Time => match number!(i64) {
            time @ 0..=DAY => ScalarValue::Time64Microsecond(Some(time)),
            _ => return Err(super::input_error::datetime_out_of_range("time")),
        },
        TypeKind::Timestamp => {
            ScalarValue::TimestampMicrosecond(Some(timestamp_of(number!(i64))?), None)
        }
        TypeKind::Timestamptz => {
            ScalarValue::TimestampMicrosecond(Some(timestamp_of(number!(i64))?), Some("UTC".into()))
        }
        TypeKind::Interval => ScalarValue::IntervalMonthDayNano(Some(interval_of(number!(u128))?)),
        TypeKind::Uuid if bytes.len() == 16 => {
            ScalarValue::FixedSizeBinary(16, Some(bytes.to_vec()))
        }
        TypeKind::Uuid => return Err(wrong()),
        TypeKind::Oid | TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc => {
            ScalarValue::UInt32(Some(number!(u32)))
        }
        TypeKind::Record => ScalarValue::Binary(Some(bytes.to_vec())),
        TypeKind::Void => ScalarValue::Null,
        TypeKind::Enum(known) => enumeration::parse(text::from_bytes(bytes)?, known, input)?,
    })
}

fn date_of(since_2000: i32) -> Result<i32, Diagnostic> {
    if matches!(since_2000, i32::MAX | i32::MIN) {
        return Ok(since_2000);
    }
    since_2000
        .checked_add(POSTGRESQL_EPOCH_DAYS)
        .filter(|days| {
            super::calendar::DATE_YEARS.contains(&Date::from_days(i64::from(*days)).year)
        })
        .ok_or_else(|| super::input_error::datetime_out_of_range("date"))
}

fn timestamp_of(since_2000: i64) -> Result<i64, Diagnostic> {
    if matches!(since_2000, INFINITY | NEGATIVE_INFINITY) {
        return Ok(since_2000);
    }
    since_2000
        .checked_add(POSTGRESQL_EPOCH)
        .filter(|value| datetime::is_timestamp(*value))
        .ok_or_else(|| super::input_error::datetime_out_of_range("timestamp"))
}

/// Microseconds, days and months, as interval_send writes them.
fn interval_of(bits: u128) -> Result<IntervalMonthDayNano, Diagnostic> {
    let clock = (bits >> 64) as i64;
    let days = (bits >> 32) as i32;
    interval::from_parts(bits as i32, days, clock)
        .ok_or_else(|| super::input_error::datetime_out_of_range("interval"))
}

fn decode_binary_array(
    bytes: &[u8],
    sql_type: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let wrong = || invalid_binary(sql_type);
    let element_type = SqlType {
        array: false,
        ..sql_type
    };
    let header = array::read_header(bytes).ok_or_else(wrong)??;
    if header.element_oid != name::oid(element_type).0 {
        return Err(Diagnostic::error(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {} instead of expected {}",
                header.element_oid,
                name::oid(element_type).0
            ),
        ));
    }
    let mut rest = header.elements;
    let mut elements = Vec::with_capacity(header.count);
    for _ in 0..header.count {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            elements.push(super::null_scalar(element_type));
            rest = after;
            continue;
        }
        let length = usize::try_from(length).map_err(|_| wrong())?;
        let value = after.get(..length).ok_or_else(wrong)?;
        elements.push(decode_own(value, element_type, input)?);
        rest = &after[length..];
    }
    if !rest.is_empty() {
        return Err(wrong());
    }
    Ok(list_scalar(elements, element_type))
}
