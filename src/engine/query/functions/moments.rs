//! Dates, times and intervals made of parts, taken apart and brought into form: make_*(), age(),
//! justify_*(), isfinite(), date_bin(), series.
//!
//! Source: PostgreSQL 15, §9.9 and `timestamp.c`.

use super::definition::{Argument, Call, FLOAT8, Function, INT4, INTERVAL, TEXT, TIMESTAMPTZ, of};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::operators::arithmetic::Operation;
use crate::engine::query::operators::datetime;
use crate::engine::types::calendar::{DATE_YEARS, DAY, Date, HOUR, MINUTE, SECOND, days_of_month};
use crate::engine::types::datetime::{INFINITY, NEGATIVE_INFINITY};
use crate::engine::types::{interval, time_zone};
use chrono_tz::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, ListBuilder, PrimitiveArray,
    PrimitiveBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

const DATE: Argument = of(TypeKind::Date);
const TIMESTAMP: Argument = of(TypeKind::Timestamp);
const INT4S: &[&[Argument]] = &[&[INT4, INT4, INT4]];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let of = SqlType::scalar;
    let (bool, date, time) = (of(TypeKind::Bool), of(TypeKind::Date), of(TypeKind::Time));
    let (timestamp, zoned) = (of(TypeKind::Timestamp), of(TypeKind::Timestamptz));
    let span = of(TypeKind::Interval);
    vec![
        Function::immutable("make_date", INT4S, date, make_date),
        Function::immutable("make_time", &[&[INT4, INT4, FLOAT8]], time, |call| {
            call.values::<Time64MicrosecondType>(|row| time_of(call, 0, row))
        }),
        Function::immutable(
            "make_timestamp",
            &[&[INT4, INT4, INT4, INT4, INT4, FLOAT8]],
            timestamp,
            |call| call.values::<TimestampMicrosecondType>(|row| local_of(call, row)),
        ),
        Function::stable(
            "make_timestamptz",
            &[
                &[INT4, INT4, INT4, INT4, INT4, FLOAT8],
                &[INT4, INT4, INT4, INT4, INT4, FLOAT8, TEXT],
            ],
            zoned,
            make_zoned,
        ),
        Function::immutable("make_interval", MAKE_INTERVAL, span, make_interval),
        Function::immutable("justify_hours", &[&[INTERVAL]], span, |call| {
            justified(call, hours_to_days)
        }),
        Function::immutable("justify_days", &[&[INTERVAL]], span, |call| {
            justified(call, days_to_months)
        }),
        Function::immutable("justify_interval", &[&[INTERVAL]], span, |call| {
            justified(call, justify_all)
        }),
        Function::immutable(
            "isfinite",
            &[&[DATE], &[TIMESTAMP], &[TIMESTAMPTZ], &[INTERVAL]],
            bool,
            is_finite,
        ),
        Function::stable(
            "age",
            &[
                &[TIMESTAMP, TIMESTAMP],
                &[TIMESTAMPTZ, TIMESTAMPTZ],
                &[TIMESTAMP],
                &[TIMESTAMPTZ],
            ],
            span,
            age,
        ),
        Function::of_argument(
            "date_bin",
            &[
                &[INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ],
                &[INTERVAL, TIMESTAMP, TIMESTAMP],
            ],
            1,
            date_bin,
        ),
        Function::stable("overlaps", OVERLAPS, bool, overlaps),
        Function::stable(
            "generate_series_timestamp",
            &[&[TIMESTAMP, TIMESTAMP, INTERVAL]],
            SqlType::array_of(TypeKind::Timestamp),
            |call| series(call, None),
        ),
        Function::stable(
            "generate_series_timestamptz",
            &[&[TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL]],
            SqlType::array_of(TypeKind::Timestamptz),
            |call| {
                let statement = call.statement()?;
                series(call, Some(statement.context.settings.time_zone))
            },
        ),
    ]
}

/// Two spans of time, each by its ends or by its beginning and length.
const OVERLAPS: &[&[Argument]] = &[
    &[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ],
    &[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ],
    &[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL],
    &[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, INTERVAL],
    &[TIMESTAMP, TIMESTAMP, TIMESTAMP, TIMESTAMP],
    &[TIMESTAMP, INTERVAL, TIMESTAMP, TIMESTAMP],
    &[TIMESTAMP, TIMESTAMP, TIMESTAMP, INTERVAL],
    &[TIMESTAMP, INTERVAL, TIMESTAMP, INTERVAL],
];

fn overlaps(call: &Call<'_>) -> Result<ArrayRef> {
    let zone = call.statement()?.context.settings.time_zone;
    let ends = |argument: usize| -> Result<ArrayRef> {
        match call.args[argument].data_type() {
            DataType::Interval(_) => datetime::compute(
                Operation::Add,
                &call.args[argument - 1],
                &call.args[argument],
                call.args[argument - 1].data_type(),
                zone,
            ),
            _ => Ok(call.args[argument].clone()),
        }
    };
    let arrays = [
        call.args[0].clone(),
        ends(1)?,
        call.args[2].clone(),
        ends(3)?,
    ];
    let at = |side: usize, row: usize| {
        let moments = arrays[side].as_primitive::<TimestampMicrosecondType>();
        moments.is_valid(row).then(|| moments.value(row))
    };
    call.bools(|row| {
        let spans = at(0, row).zip(at(1, row)).zip(at(2, row).zip(at(3, row)));
        Ok(spans.map(|((a, b), (c, d))| {
            let (first, last) = (a.min(b), a.max(b));
            let (other_first, other_last) = (c.min(d), c.max(d));
            first == other_first || first < other_last && other_first < last
        }))
    })
}

/// All or some of years, months, weeks, days, hours, minutes, seconds.
const MAKE_INTERVAL: &[&[Argument]] = &[
    &[INT4],
    &[INT4, INT4],
    &[INT4, INT4, INT4],
    &[INT4, INT4, INT4, INT4],
    &[INT4, INT4, INT4, INT4, INT4],
    &[INT4, INT4, INT4, INT4, INT4, INT4],
    &[INT4, INT4, INT4, INT4, INT4, INT4, FLOAT8],
];

fn out_of_range(what: String) -> DataFusionError {
    failure::error(SqlState::DATETIME_FIELD_OVERFLOW, what)
}

fn float(call: &Call<'_>, argument: usize, row: usize) -> Option<f64> {
    let array = call.args[argument].as_primitive::<Float64Type>();
    array.is_valid(row).then(|| array.value(row))
}

/// The day of three arguments; a negative year is BC.
fn date_of(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let parts = call
        .int4(0, row)
        .zip(call.int4(1, row))
        .zip(call.int4(2, row));
    let Some(((year, month), day)) = parts else {
        return Ok(None);
    };
    let wrong = || {
        out_of_range(format!(
            "date field value out of range: {year}-{month:02}-{day:02}"
        ))
    };
    let astronomical = match i64::from(year) {
        0 => return Err(wrong()),
        before if before < 0 => before + 1,
        after => after,
    };
    let month_number = u32::try_from(month)
        .ok()
        .filter(|month| (1..=12).contains(month));
    let month_number = month_number.ok_or_else(wrong)?;
    let days = days_of_month(astronomical, month_number);
    let day = u32::try_from(day)
        .ok()
        .filter(|day| (1..=days).contains(day));
    if !DATE_YEARS.contains(&astronomical) {
        return Err(wrong());
    }
    let date = Date {
        year: astronomical,
        month: month_number,
        day: day.ok_or_else(wrong)?,
    };
    Ok(Some(date.to_days()))
}

fn make_date(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Date32Type>(|row| Ok(date_of(call, row)?.map(|days| days as i32)))
}

/// The time of day of three arguments.
fn time_of(call: &Call<'_>, first: usize, row: usize) -> Result<Option<i64>> {
    let parts = call
        .int4(first, row)
        .zip(call.int4(first + 1, row))
        .zip(float(call, first + 2, row));
    let Some(((hour, minute), second)) = parts else {
        return Ok(None);
    };
    let micros = (second * 1e6).round_ties_even();
    let valid = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=60e6).contains(&micros)
        && (hour < 24 || minute == 0 && micros == 0.0);
    if !valid {
        let seconds = format!("{second:09.6}");
        let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
        return Err(out_of_range(format!(
            "time field value out of range: {hour}:{minute:02}:{seconds:0>2}"
        )));
    }
    Ok(Some(
        i64::from(hour) * HOUR + i64::from(minute) * MINUTE + micros as i64,
    ))
}

fn local_of(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let (Some(days), Some(time)) = (date_of(call, row)?, time_of(call, 3, row)?) else {
        return Ok(None);
    };
    let at = days
        .checked_mul(DAY)
        .and_then(|micros| micros.checked_add(time));
    at.map(Some)
        .ok_or_else(|| out_of_range("timestamp out of range".to_owned()))
}

fn make_zoned(call: &Call<'_>) -> Result<ArrayRef> {
    let own = call.statement()?.context.settings.time_zone;
    let mut out = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let zone = match call.args.len() {
            7 => match call.text(6, row) {
                None => {
                    out.push(None);
                    continue;
                }
                Some(name) => time_zone::by_name(name).ok_or_else(|| unknown_zone(name))?,
            },
            _ => own,
        };
        out.push(local_of(call, row)?.map(|local| to_utc(local, zone)));
    }
    let zoned = TimestampMicrosecondArray::from(out).with_timezone("UTC");
    Ok(Arc::new(zoned))
}

/// 22023, as make_timestamptz() and AT TIME ZONE say it.
pub fn unknown_zone(name: &str) -> DataFusionError {
    failure::error(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("time zone \"{name}\" not recognized"),
    )
}

fn to_utc(local: i64, zone: Tz) -> i64 {
    local - i64::from(time_zone::offset_of_local(zone, local)) * SECOND
}

fn to_local(at: i64, zone: Tz) -> i64 {
    at + i64::from(time_zone::offset_at(zone, at)) * SECOND
}

fn make_interval(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let mut parts = [0i64; 6];
        let mut seconds = 0.0;
        let mut present = true;
        for (argument, part) in parts.iter_mut().enumerate().take(call.args.len()) {
            let given = call.int4(argument, row);
            present &= given.map(|given| *part = given.into()).is_some();
        }
        if call.args.len() == 7 {
            present &= float(call, 6, row).map(|given| seconds = given).is_some();
        }
        if !present {
            out.push(None);
            continue;
        }
        let [years, months, weeks, days, hours, minutes] = parts;
        let micros = hours * HOUR + minutes * MINUTE + (seconds * 1e6).round_ties_even() as i64;
        let made = i32::try_from(years * 12 + months)
            .ok()
            .zip(i32::try_from(weeks * 7 + days).ok())
            .and_then(|(months, days)| interval::from_parts(months, days, micros));
        out.push(Some(made.ok_or_else(interval_out_of_range)?));
    }
    Ok(Arc::new(IntervalMonthDayNanoArray::from(out)))
}

fn interval_out_of_range() -> DataFusionError {
    out_of_range("interval out of range".to_owned())
}

/// Months, days, microseconds.
#[derive(Clone, Copy)]
struct Parts {
    months: i64,
    days: i64,
    micros: i64,
}

const DAYS_PER_MONTH: i64 = 30;

fn hours_to_days(parts: &mut Parts) {
    parts.days += parts.micros / DAY;
    parts.micros %= DAY;
    if parts.days > 0 && parts.micros < 0 {
        parts.micros += DAY;
        parts.days -= 1;
    } else if parts.days < 0 && parts.micros > 0 {
        parts.micros -= DAY;
        parts.days += 1;
    }
}

fn days_to_months(parts: &mut Parts) {
    parts.months += parts.days / DAYS_PER_MONTH;
    parts.days %= DAYS_PER_MONTH;
    if parts.months > 0 && parts.days < 0 {
        parts.days += DAYS_PER_MONTH;
        parts.months -= 1;
    } else if parts.months < 0 && parts.days > 0 {
        parts.days -= DAYS_PER_MONTH;
        parts.months += 1;
    }
}

fn justify_all(parts: &mut Parts) {
    parts.days += parts.micros / DAY;
    parts.micros %= DAY;
    parts.months += parts.days / DAYS_PER_MONTH;
    parts.days %= DAYS_PER_MONTH;
    if parts.months > 0 && (parts.days < 0 || parts.days == 0 && parts.micros < 0) {
        parts.days += DAYS_PER_MONTH;
        parts.months -= 1;
    } else if parts.months < 0 && (parts.days > 0 || parts.days == 0 && parts.micros > 0) {
        parts.days -= DAYS_PER_MONTH;
        parts.months += 1;
    }
    if parts.days > 0 && parts.micros < 0 {
        parts.micros += DAY;
        parts.days -= 1;
    } else if parts.days < 0 && parts.micros > 0 {
        parts.micros -= DAY;
        parts.days += 1;
    }
}

fn justified(call: &Call<'_>, way: fn(&mut Parts)) -> Result<ArrayRef> {
    let intervals = call.args[0].as_primitive::<IntervalMonthDayNanoType>();
    call.values::<IntervalMonthDayNanoType>(|row| {
        if intervals.is_null(row) {
            return Ok(None);
        }
        let value = intervals.value(row);
        let mut parts = Parts {
            months: value.months.into(),
            days: value.days.into(),
            micros: interval::microseconds(value),
        };
        way(&mut parts);
        let made = i32::try_from(parts.months)
            .ok()
            .zip(i32::try_from(parts.days).ok())
            .and_then(|(months, days)| interval::from_parts(months, days, parts.micros));
        made.map(Some).ok_or_else(interval_out_of_range)
    })
}

fn is_finite(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.args[0];
    call.bools(|row| {
        if array.is_null(row) {
            return Ok(None);
        }
        Ok(Some(match array.data_type() {
            DataType::Date32 => !matches!(
                array.as_primitive::<Date32Type>().value(row),
                i32::MAX | i32::MIN
            ),
            DataType::Timestamp(..) => {
                is_moment(array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            _ => true,
        }))
    })
}

fn is_moment(at: i64) -> bool {
    !matches!(at, INFINITY | NEGATIVE_INFINITY)
}

/// age(a, b): years, months and days as one counts them; age(a): from today's midnight.
fn age(call: &Call<'_>) -> Result<ArrayRef> {
    let array = |argument: usize| call.args[argument].as_primitive::<TimestampMicrosecondType>();
    let zoned = matches!(call.args[0].data_type(), DataType::Timestamp(_, Some(_)));
    let settings = call.statement()?;
    let zone = settings.context.settings.time_zone;
    let local = |at: i64| if zoned { to_local(at, zone) } else { at };
    let midnight = to_local(settings.context.transaction_time, zone).div_euclid(DAY) * DAY;
    call.values::<IntervalMonthDayNanoType>(|row| {
        let first = array(0);
        if first.is_null(row) || call.args.len() == 2 && array(1).is_null(row) {
            return Ok(None);
        }
        let (later, earlier) = match call.args.len() {
            2 => (first.value(row), array(1).value(row)),
            _ => (midnight, first.value(row)),
        };
        if !is_moment(later) || !is_moment(earlier) {
            return Err(out_of_range("timestamp out of range".to_owned()));
        }
        let later = if call.args.len() == 2 {
            local(later)
        } else {
            later
        };
        Ok(Some(between(later, local(earlier))))
    })
}

/// The symbolic difference of two local moments.
fn between(later: i64, earlier: i64) -> IntervalMonthDayNano {
    if later < earlier {
        let opposite = between_ordered(earlier, later);
        return IntervalMonthDayNano::new(-opposite.months, -opposite.days, -opposite.nanoseconds);
    }
    between_ordered(later, earlier)
}

fn between_ordered(later: i64, earlier: i64) -> IntervalMonthDayNano {
    let split = |at: i64| (Date::from_days(at.div_euclid(DAY)), at.rem_euclid(DAY));
    let ((later_date, later_time), (earlier_date, earlier_time)) = (split(later), split(earlier));
    let mut months = (later_date.year - earlier_date.year) * 12 + i64::from(later_date.month)
        - i64::from(earlier_date.month);
    let mut days = i64::from(later_date.day) - i64::from(earlier_date.day);
    let mut micros = later_time - earlier_time;
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    while days < 0 {
        // The month that is borrowed is the one of the earlier moment.
        days += i64::from(days_of_month(earlier_date.year, earlier_date.month));
        months -= 1;
    }
    IntervalMonthDayNano::new(months as i32, days as i32, micros * 1_000)
}

fn date_bin(call: &Call<'_>) -> Result<ArrayRef> {
    let strides = call.args[0].as_primitive::<IntervalMonthDayNanoType>();
    let source = call.args[1].as_primitive::<TimestampMicrosecondType>();
    let origins = call.args[2].as_primitive::<TimestampMicrosecondType>();
    let binned = call.values::<TimestampMicrosecondType>(|row| {
        if strides.is_null(row) || source.is_null(row) || origins.is_null(row) {
            return Ok(None);
        }
        let (stride, at, origin) = (strides.value(row), source.value(row), origins.value(row));
        if !is_moment(at) {
            return Ok(Some(at));
        }
        if !is_moment(origin) {
            return Err(out_of_range("origin out of range".to_owned()));
        }
        if stride.months != 0 {
            return Err(failure::unsupported(
                "timestamps binned into intervals containing months or years",
            ));
        }
        let micros = i64::from(stride.days) * DAY + interval::microseconds(stride);
        if micros <= 0 {
            return Err(out_of_range("stride must be greater than zero".to_owned()));
        }
        Ok(Some(origin + (at - origin).div_euclid(micros) * micros))
    })?;
    let binned = binned.as_primitive::<TimestampMicrosecondType>().clone();
    Ok(Arc::new(binned.with_data_type(source.data_type().clone())))
}

/// The moments from one to another, an interval apart; of a zone where the calendar is a zone's.
fn series(call: &Call<'_>, zone: Option<Tz>) -> Result<ArrayRef> {
    let moments = |argument: usize| call.args[argument].as_primitive::<TimestampMicrosecondType>();
    let (starts, stops) = (moments(0), moments(1));
    let steps = call.args[2].as_primitive::<IntervalMonthDayNanoType>();
    let element = call.args[0].data_type().clone();
    let values =
        PrimitiveBuilder::<TimestampMicrosecondType>::new().with_data_type(element.clone());
    let mut out = ListBuilder::new(values);
    for row in 0..call.rows {
        if starts.is_null(row) || stops.is_null(row) || steps.is_null(row) {
            out.append(true);
            continue;
        }
        let (start, stop, step) = (starts.value(row), stops.value(row), steps.value(row));
        let order = interval::order_value(step);
        if order == 0 {
            return Err(failure::error(
                SqlState::INVALID_PARAMETER_VALUE,
                "step size cannot equal zero",
            ));
        }
        let one = PrimitiveArray::<IntervalMonthDayNanoType>::from(vec![step]);
        let one: ArrayRef = Arc::new(one);
        let mut at = start;
        let mut count = 0;
        while if order > 0 { at <= stop } else { at >= stop } {
            out.values().append_value(at);
            count += 1;
            if count > super::set_returning::LIST_ROWS_MAX {
                return Err(failure::unsupported("a series of so many rows here"));
            }
            let here = TimestampMicrosecondArray::from(vec![at]).with_data_type(element.clone());
            let here: ArrayRef = Arc::new(here);
            let next = datetime::compute(
                Operation::Add,
                &here,
                &one,
                &element,
                zone.unwrap_or(Tz::UTC),
            )?;
            let next = next.as_primitive::<TimestampMicrosecondType>().value(0);
            if next == at {
                break;
            }
            at = next;
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}
