//! AT TIME ZONE: a moment as a clock elsewhere shows it, and what a clock elsewhere shows as a moment.
//!
//! Source: PostgreSQL 15, §9.9.4 and `timestamp_zone`, `timestamptz_zone`.

use super::moments::unknown_zone;
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::types::calendar::{DAY, SECOND};
use crate::engine::types::datetime::{INFINITY, NEGATIVE_INFINITY};
use crate::engine::types::{interval, time_zone};
use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The function that AT TIME ZONE is: `timezone(zone, time)`.
pub const TIME_ZONE: &str = "timezone";

/// The function.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::new_from_impl(TimeZone {
        signature: Signature::user_defined(Volatility::Immutable),
    }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeZone {
    signature: Signature,
}

/// A zone by its name, or so many seconds east of UTC.
#[derive(Clone, Copy)]
enum Zone {
    Named(Tz),
    Offset(i32),
}

impl Zone {
    fn parse(name: &str) -> Result<Zone> {
        if let Some(offset) = time_zone::abbreviation(name) {
            return Ok(Zone::Offset(offset));
        }
        if let Some(zone) = time_zone::by_name(name) {
            return Ok(Zone::Named(zone));
        }
        // As POSIX has it, what is west of Greenwich is positive.
        offset(name)
            .map(|west| Zone::Offset(-west))
            .ok_or_else(|| unknown_zone(name))
    }

    fn at(self, instant: i64) -> i64 {
        i64::from(match self {
            Zone::Named(zone) => time_zone::offset_at(zone, instant),
            Zone::Offset(offset) => offset,
        }) * SECOND
    }

    fn of_local(self, local: i64) -> i64 {
        i64::from(match self {
            Zone::Named(zone) => time_zone::offset_of_local(zone, local),
            Zone::Offset(offset) => offset,
        }) * SECOND
    }
}

/// `+02`, `-05:30`, `+0530` in seconds.
fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at(2),
        None => (digits, "0"),
    };
    let number = |text: &str| -> Option<i32> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 16 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

impl TimeZone {
    fn zone(array: &ArrayRef, row: usize) -> Result<Option<Zone>> {
        if array.is_null(row) {
            return Ok(None);
        }
        if let DataType::Interval(_) = array.data_type() {
            let span = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let micros = interval::microseconds(span);
            if span.months != 0 || span.days != 0 || micros.abs() >= DAY {
                return Err(failure::error(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "interval time zone must not include months or days",
                ));
            }
            return Ok(Some(Zone::Offset((micros / SECOND) as i32)));
        }
        Zone::parse(array.as_string::<i32>().value(row)).map(Some)
    }
}

impl ScalarUDFImpl for TimeZone {
    fn name(&self) -> &str {
        TIME_ZONE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, time] = arg_types else {
            return Err(super::aggregate::no_such(TIME_ZONE, arg_types));
        };
        let zone = match zone {
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Utf8 | DataType::Null => DataType::Utf8,
            _ => return Err(super::aggregate::no_such(TIME_ZONE, arg_types)),
        };
        let time = match time {
            DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Utf8 | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            DataType::Time64(_) => return Err(failure::unsupported("AT TIME ZONE of time")),
            _ => return Err(super::aggregate::no_such(TIME_ZONE, arg_types)),
        };
        Ok(vec![zone, time])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match arg_types {
            [_, DataType::Timestamp(unit, None)] => DataType::Timestamp(*unit, Some("UTC".into())),
            _ => DataType::Timestamp(TimeUnit::Microsecond, None),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let zones = args.args[0].to_array(rows)?;
        let times = args.args[1].to_array(rows)?;
        let zoned = matches!(times.data_type(), DataType::Timestamp(_, Some(_)));
        let moments = times.as_primitive::<TimestampMicrosecondType>();
        // A zone that does not change is looked up once.
        let one = match &args.args[0] {
            ColumnarValue::Scalar(_) if rows > 0 => Some(TimeZone::zone(&zones, 0)?),
            _ => None,
        };
        let mut out = Vec::with_capacity(rows);
        for row in 0..rows {
            let zone = match one {
                Some(zone) => zone,
                None => TimeZone::zone(&zones, row)?,
            };
            let Some(zone) = zone.filter(|_| moments.is_valid(row)) else {
                out.push(None);
                continue;
            };
            let at = moments.value(row);
            out.push(Some(match at {
                INFINITY | NEGATIVE_INFINITY => at,
                at if zoned => at.checked_add(zone.at(at)).ok_or_else(out_of_range)?,
                at => at.checked_sub(zone.of_local(at)).ok_or_else(out_of_range)?,
            }));
        }
        let result = TimestampMicrosecondArray::from(out)
            .with_data_type(args.return_field.data_type().clone());
        let result: ArrayRef = Arc::new(result);
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

fn out_of_range() -> DataFusionError {
    failure::error(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}
