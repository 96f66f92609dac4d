//! Arithmetic of dates, times, timestamps and intervals.
//!
//! Months are added in the calendar (a day past the month's end becomes its last), days and
//! microseconds afterwards; for timestamptz the calendar is that of the session's time zone.
//! `infinity` (the largest and smallest integer, see `engine::types`) stays what it is.
//! Source: PostgreSQL 15, §9.9 "Date/Time Functions and Operators".

use super::arithmetic::Operation;
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::types::time_zone;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float64Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

const DAY_MICROS: i64 = 86_400_000_000;
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);

/// The types both operands are converted to, and the result's; None where none is a date or time
/// or there is no such operator.
pub fn operands(
    operation: Operation,
    left: &DataType,
    right: &DataType,
) -> Option<(DataType, DataType, DataType)> {
    use DataType::{Date32, Float64, Int64, Interval, Time64, Timestamp};
    use Operation::{Add, Divide, Multiply, Subtract};
    let plain = || Timestamp(TimeUnit::Microsecond, None);
    let number = |t: &DataType| t.is_integer();
    let quantity = |t: &DataType| t.is_numeric();
    let found = match (operation, left, right) {
        (Add | Subtract, Date32, r) if number(r) => (Date32, Int64, Date32),
        (Add, l, Date32) if number(l) => (Int64, Date32, Date32),
        (Subtract, Date32, Date32) => (Date32, Date32, DataType::Int32),
        (Add | Subtract, Date32, Interval(_)) => (plain(), INTERVAL, plain()),
        (Add, Interval(_), Date32) => (INTERVAL, plain(), plain()),
        (Add, Date32, Time64(_)) => (plain(), TIME, plain()),
        (Add, Time64(_), Date32) => (TIME, plain(), plain()),
        (Add, Timestamp(..), Time64(_)) => (left.clone(), TIME, left.clone()),
        (Add, Time64(_), Timestamp(..)) => (TIME, right.clone(), right.clone()),
        (Add | Subtract, Timestamp(..), Interval(_)) => (left.clone(), INTERVAL, left.clone()),
        (Add, Interval(_), Timestamp(..)) => (INTERVAL, right.clone(), right.clone()),
        (Subtract, Timestamp(..), Timestamp(..)) if left == right => {
            (left.clone(), right.clone(), INTERVAL)
        }
        (Subtract, Timestamp(..), Timestamp(..) | Date32) => (left.clone(), left.clone(), INTERVAL),
        (Subtract, Date32, Timestamp(..)) => (right.clone(), right.clone(), INTERVAL),
        (Add | Subtract, Time64(_), Interval(_)) => (TIME, INTERVAL, TIME),
        (Add, Interval(_), Time64(_)) => (INTERVAL, TIME, TIME),
        (Subtract, Time64(_), Time64(_)) => (TIME, TIME, INTERVAL),
        (Add | Subtract, Interval(_), Interval(_)) => (INTERVAL, INTERVAL, INTERVAL),
        (Multiply | Divide, Interval(_), r) if quantity(r) => (INTERVAL, Float64, INTERVAL),
        (Multiply, l, Interval(_)) if quantity(l) => (Float64, INTERVAL, INTERVAL),
        _ => return None,
    };
    Some(found)
}

/// Computes row by row.
///
/// # Errors
/// 22008 out of range, 22012.
pub fn compute(
    operation: Operation,
    left: &ArrayRef,
    right: &ArrayRef,
    result: &DataType,
    zone: chrono_tz::Tz,
) -> Result<ArrayRef> {
    use DataType::{Date32, Interval, Time64, Timestamp};
    let sign = if operation == Operation::Subtract {
        -1
    } else {
        1
    };
    let (l, r) = (left.data_type(), right.data_type());
    match (l, r) {
        (Interval(_), Timestamp(..) | Time64(_)) | (Time64(_), Timestamp(..)) => {
            compute(operation, right, left, result, zone)
        }
        (other, Interval(_)) if *other == DataType::Float64 => {
            compute(operation, right, left, result, zone)
        }
        (other, Date32) if other.is_integer() => compute(operation, right, left, result, zone),
        (Date32, Date32) => pairs::<Date32Type, Date32Type, Int64Type>(left, right, |a, b| {
            Ok(i64::from(a) - i64::from(b))
        })
        .and_then(|days| Ok(cast(&days, result)?)),
        (Date32, _) => pairs::<Date32Type, Int64Type, Date32Type>(left, right, |date, days| {
            date_plus(date, sign * days)
        }),
        (Timestamp(..), Interval(_) | Time64(_)) => moved(left, right, result, sign, zone),
        (Timestamp(..), Timestamp(..)) => {
            pairs::<TimestampMicrosecondType, TimestampMicrosecondType, IntervalMonthDayNanoType>(
                left, right, difference,
            )
        }
        (Time64(_), Interval(_)) => {
            pairs::<Time64MicrosecondType, IntervalMonthDayNanoType, Time64MicrosecondType>(
                left,
                right,
                |time, by| Ok((time + sign * (by.nanoseconds / 1_000)).rem_euclid(DAY_MICROS)),
            )
        }
        (Time64(_), Time64(_)) => {
            pairs::<Time64MicrosecondType, Time64MicrosecondType, IntervalMonthDayNanoType>(
                left,
                right,
                |a, b| Ok(IntervalMonthDayNano::new(0, 0, (a - b) * 1_000)),
            )
        }
        (Interval(_), Interval(_)) => {
            pairs::<IntervalMonthDayNanoType, IntervalMonthDayNanoType, IntervalMonthDayNanoType>(
                left,
                right,
                |a, b| interval_plus(a, negate_if(b, sign < 0)?),
            )
        }
        (Interval(_), _) => scaled(operation, left, right),
        _ => Err(DataFusionError::Internal("date arithmetic".to_owned())),
    }
}

/// An interval times a number, or divided by it.
fn scaled(operation: Operation, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    pairs::<IntervalMonthDayNanoType, Float64Type, IntervalMonthDayNanoType>(
        left,
        right,
        |interval, factor| match operation {
            Operation::Divide if factor == 0.0 => {
                Err(failure::external(failure::division_by_zero()))
            }
            Operation::Divide => interval_times(interval, 1.0 / factor),
            _ => interval_times(interval, factor),
        },
    )
}

/// A timestamp and an interval or time.
fn moved(
    left: &ArrayRef,
    right: &ArrayRef,
    result: &DataType,
    sign: i64,
    zone: chrono_tz::Tz,
) -> Result<ArrayRef> {
    let moved = if let DataType::Interval(_) = right.data_type() {
        let zoned = matches!(left.data_type(), DataType::Timestamp(_, Some(_)));
        let zone = zoned.then_some(zone);
        pairs::<TimestampMicrosecondType, IntervalMonthDayNanoType, Int64Type>(
            left,
            right,
            |at, by| timestamp_plus(at, negate_if(by, sign < 0)?, zone),
        )?
    } else {
        pairs::<TimestampMicrosecondType, Time64MicrosecondType, Int64Type>(
            left,
            right,
            |at, time| at.checked_add(time).ok_or_else(out_of_range),
        )?
    };
    Ok(cast(&moved, result)?)
}

fn pairs<A, B, O>(
    left: &ArrayRef,
    right: &ArrayRef,
    one: impl Fn(A::Native, B::Native) -> Result<O::Native>,
) -> Result<ArrayRef>
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let (left, right) = (left.as_primitive::<A>(), right.as_primitive::<B>());
    let rows = left.len().max(right.len());
    let at = |length: usize, row: usize| if length == 1 { 0 } else { row };
    let values = (0..rows).map(|row| {
        let (l, r) = (at(left.len(), row), at(right.len(), row));
        if left.is_null(l) || right.is_null(r) {
            Ok(None)
        } else {
            one(left.value(l), right.value(r)).map(Some)
        }
    });
    let array: PrimitiveArray<O> = values.collect::<Result<Vec<_>>>()?.into_iter().collect();
    Ok(Arc::new(array))
}

fn out_of_range() -> DataFusionError {
    failure::error(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

fn interval_out_of_range() -> DataFusionError {
    failure::error(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

fn date_plus(date: i32, days: i64) -> Result<i32> {
    if date == i32::MAX || date == i32::MIN {
        return Ok(date);
    }
    i64::from(date)
        .checked_add(days)
        .and_then(|sum| i32::try_from(sum).ok())
        .filter(|sum| *sum != i32::MAX && *sum != i32::MIN)
        .ok_or_else(|| failure::error(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"))
}

/// The opposite of an interval, where it is wanted.
pub fn negate_if(by: IntervalMonthDayNano, negate: bool) -> Result<IntervalMonthDayNano> {
    if !negate {
        return Ok(by);
    }
    let parts = (
        by.months.checked_neg(),
        by.days.checked_neg(),
        by.nanoseconds.checked_neg(),
    );
    match parts {
        (Some(months), Some(days), Some(nanoseconds)) => {
            Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
        }
        _ => Err(interval_out_of_range()),
    }
}

/// Months, then days, in the calendar of the zone (of UTC for a plain timestamp), then the rest.
fn timestamp_plus(at: i64, by: IntervalMonthDayNano, zone: Option<chrono_tz::Tz>) -> Result<i64> {
    if at == i64::MAX || at == i64::MIN {
        return Ok(at);
    }
    let mut moved = at;
    if by.months != 0 || by.days != 0 {
        let shown = zone.map_or(at, |zone| time_zone::local_at(zone, at));
        let shown = DateTime::from_timestamp_micros(shown).ok_or_else(out_of_range)?;
        let local = shown.naive_utc();
        let date = calendar_plus(local.date(), by.months, by.days).ok_or_else(out_of_range)?;
        let local = date.and_time(local.time()).and_utc().timestamp_micros();
        moved = zone.map_or(local, |zone| time_zone::instant_of_local(zone, local));
    }
    moved
        .checked_add(by.nanoseconds / 1_000)
        .ok_or_else(out_of_range)
}

fn calendar_plus(date: NaiveDate, months: i32, days: i32) -> Option<NaiveDate> {
    let date = if months >= 0 {
        date.checked_add_months(Months::new(months.unsigned_abs()))?
    } else {
        date.checked_sub_months(Months::new(months.unsigned_abs()))?
    };
    let days_away = Days::new(u64::from(days.unsigned_abs()));
    if days >= 0 {
        date.checked_add_days(days_away)
    } else {
        date.checked_sub_days(days_away)
    }
}

/// In whole days and the rest, never months.
fn difference(left: i64, right: i64) -> Result<IntervalMonthDayNano> {
    let endless = |at: i64| at == i64::MAX || at == i64::MIN;
    if endless(left) || endless(right) {
        return Err(failure::error(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite timestamps",
        ));
    }
    let micros = left.checked_sub(right).ok_or_else(interval_out_of_range)?;
    let days = i32::try_from(micros / DAY_MICROS).map_err(|_| interval_out_of_range())?;
    Ok(IntervalMonthDayNano::new(
        0,
        days,
        (micros % DAY_MICROS) * 1_000,
    ))
}

/// The sum of both, part by part.
pub fn interval_plus(
    left: IntervalMonthDayNano,
    right: IntervalMonthDayNano,
) -> Result<IntervalMonthDayNano> {
    let sum = (
        left.months.checked_add(right.months),
        left.days.checked_add(right.days),
        left.nanoseconds.checked_add(right.nanoseconds),
    );
    match sum {
        (Some(months), Some(days), Some(nanoseconds)) => {
            Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
        }
        _ => Err(interval_out_of_range()),
    }
}

/// Fractions cascade downwards: of a month into days of 30, of a day into seconds
/// (`interval_mul`).
pub fn interval_times(interval: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano> {
    let months = f64::from(interval.months) * factor;
    let days = f64::from(interval.days) * factor;
    let whole = |value: f64| {
        if value.is_finite() && value.abs() < f64::from(i32::MAX) {
            Ok(value.trunc() as i32)
        } else {
            Err(interval_out_of_range())
        }
    };
    let month_days = round_micro((months - months.trunc()) * 30.0);
    let mut seconds =
        round_micro((days - days.trunc() + month_days - month_days.trunc()) * 86_400.0);
    let mut extra_days = month_days.trunc();
    if seconds.abs() >= 86_400.0 {
        extra_days += (seconds / 86_400.0).trunc();
        seconds -= (seconds / 86_400.0).trunc() * 86_400.0;
    }
    let micros = (interval.nanoseconds / 1_000) as f64 * factor + seconds * 1_000_000.0;
    let micros = micros.round_ties_even();
    if !micros.is_finite() || micros.abs() >= 9.2e15 {
        return Err(interval_out_of_range());
    }
    Ok(IntervalMonthDayNano::new(
        whole(months)?,
        whole(days.trunc() + extra_days)?,
        micros as i64 * 1_000,
    ))
}

/// To the microsecond, so that 0.1 months are 3 days (`TSROUND`).
fn round_micro(value: f64) -> f64 {
    (value * 1_000_000.0).round_ties_even() / 1_000_000.0
}

/// Years, months and days of a date for `extract` and its like.
pub fn civil(date: i32) -> Option<(i32, u32, u32)> {
    let date = NaiveDate::from_epoch_days(date)?;
    Some((date.year(), date.month(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDateTime;

    fn at(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
            .expect("a time of the test")
            .and_utc()
            .timestamp_micros()
    }

    fn interval(months: i32, days: i32, hours: i64) -> IntervalMonthDayNano {
        IntervalMonthDayNano::new(months, days, hours * 3_600_000_000_000)
    }

    #[test]
    fn a_month_after_the_31st_is_the_last_day_of_february() {
        let moved = timestamp_plus(at("2024-01-31 10:00"), interval(1, 0, 0), None);
        assert_eq!(moved.ok(), Some(at("2024-02-29 10:00")));
    }

    #[test]
    fn a_day_over_a_clock_change_keeps_the_wall_clock_and_24_hours_do_not() {
        let zone = Some(chrono_tz::Europe::Berlin);
        // 12:00 in Berlin before the change of 31 March 2024 is 11:00 UTC, after it 10:00.
        let noon = at("2024-03-30 11:00");
        let day = timestamp_plus(noon, interval(0, 1, 0), zone);
        let hours = timestamp_plus(noon, interval(0, 0, 24), zone);
        assert_eq!(day.ok(), Some(at("2024-03-31 10:00")));
        assert_eq!(hours.ok(), Some(at("2024-03-31 11:00")));
    }

    #[test]
    fn fractions_of_intervals_cascade_into_smaller_units() {
        let times = |interval, factor| interval_times(interval, factor).ok();
        assert_eq!(times(interval(1, 0, 0), 1.5), Some(interval(1, 15, 0)));
        assert_eq!(times(interval(0, 1, 0), 0.5), Some(interval(0, 0, 12)));
    }
}
