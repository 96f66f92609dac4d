//! Functions of dates and times: the clock, extract, date_trunc.
//!
//! Source: PostgreSQL 15, §9.9.

use super::definition::{Argument, Call, Function, INTERVAL};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::statement::Statement;
use crate::engine::types::{self, time_zone};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use chrono_tz::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Builder, FixedSizeBinaryBuilder, PrimitiveArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Float64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const NONE: &[&[Argument]] = &[&[]];
const DAY_MICROS: i64 = 86_400_000_000;
/// Digits of a part: microseconds of the longest interval.
const EXTRACT_DIGITS: u8 = 22;

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let timestamptz = SqlType::scalar(TypeKind::Timestamptz);
    let mut found = vec![
        Function::stable("statement_timestamp", NONE, timestamptz, |call| {
            let at = call.statement()?.context.statement_time;
            Ok(zoned(vec![at; call.rows]))
        }),
        Function::volatile("clock_timestamp", NONE, timestamptz, |call| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let micros = now.map_or(0, |now| now.as_micros() as i64);
            Ok(zoned(vec![micros; call.rows]))
        }),
        Function::stable(
            "current_date",
            NONE,
            SqlType::scalar(TypeKind::Date),
            |call| {
                let local = local_now(call)?;
                let days = local.date().to_epoch_days();
                call.values::<Date32Type>(|_| Ok(Some(days)))
            },
        ),
        Function::stable(
            "localtimestamp",
            NONE,
            SqlType::scalar(TypeKind::Timestamp),
            |call| {
                let micros = local_now(call)?.and_utc().timestamp_micros();
                call.values::<TimestampMicrosecondType>(|_| Ok(Some(micros)))
            },
        ),
        Function::stable("localtime", NONE, SqlType::scalar(TypeKind::Time), |call| {
            let micros = micros_of_day(local_now(call)?.time());
            call.values::<Time64MicrosecondType>(|_| Ok(Some(micros)))
        }),
        Arc::new(ScalarUDF::new_from_impl(Truncate {
            signature: Signature::user_defined(Volatility::Stable),
        })),
        extract(),
        Arc::new(ScalarUDF::new_from_impl(Extract::new("date_part"))),
        interval_order(),
    ];
    for now in ["now", "transaction_timestamp", "current_timestamp"] {
        found.push(Function::stable(now, NONE, timestamptz, |call| {
            let at = call.statement()?.context.transaction_time;
            Ok(zoned(vec![at; call.rows]))
        }));
    }
    found
}

fn zoned(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

fn local_now(call: &Call<'_>) -> Result<NaiveDateTime> {
    let statement = call.statement()?;
    let context = &statement.context;
    local(context.transaction_time, Some(context.settings.time_zone))
}

/// What clocks show at this instant: of the zone; without one it is a plain timestamp.
fn local(at: i64, zone: Option<Tz>) -> Result<NaiveDateTime> {
    let shown = zone.map_or(at, |zone| time_zone::local_at(zone, at));
    let shown = DateTime::from_timestamp_micros(shown).ok_or_else(out_of_range)?;
    Ok(shown.naive_utc())
}

fn micros_of_day(time: NaiveTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000)
}

/// What is taken out of a date, time or interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Century,
    Day,
    Decade,
    DayOfWeek,
    DayOfYear,
    Epoch,
    Hour,
    IsoDayOfWeek,
    IsoYear,
    Julian,
    Microseconds,
    Millennium,
    Milliseconds,
    Minute,
    Month,
    Quarter,
    Second,
    Week,
    Year,
}

impl Part {
    fn named(name: &str) -> Result<Part> {
        let lower = name.to_ascii_lowercase();
        Ok(match lower.trim_end_matches('s') {
            "century" | "centurie" => Part::Century,
            "day" => Part::Day,
            "decade" => Part::Decade,
            "dow" => Part::DayOfWeek,
            "doy" => Part::DayOfYear,
            "epoch" => Part::Epoch,
            "hour" => Part::Hour,
            "isodow" => Part::IsoDayOfWeek,
            "isoyear" => Part::IsoYear,
            "microsecond" => Part::Microseconds,
            "millennium" | "millennia" => Part::Millennium,
            "millisecond" => Part::Milliseconds,
            "minute" => Part::Minute,
            "month" => Part::Month,
            "quarter" => Part::Quarter,
            "second" => Part::Second,
            "week" => Part::Week,
            "year" => Part::Year,
            "julian" => Part::Julian,
            "timezone" | "timezone_hour" | "timezone_minute" => {
                return Err(failure::unsupported(format!("the field {lower}")));
            }
            _ => {
                return Err(failure::error(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("unit \"{name}\" not recognized"),
                ));
            }
        })
    }

    /// Decimals of extract's result.
    fn scale(self, of: &DataType) -> i8 {
        match self {
            Part::Second => 6,
            Part::Milliseconds => 3,
            Part::Epoch if !matches!(of, DataType::Date32) => 6,
            _ => 0,
        }
    }

    /// A date has no time of day.
    fn demand_date(self) -> Result<()> {
        let unit = match self {
            Part::Hour => "hour",
            Part::Minute => "minute",
            Part::Second => "second",
            Part::Milliseconds => "milliseconds",
            Part::Microseconds => "microseconds",
            _ => return Ok(()),
        };
        Err(failure::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("unit \"{unit}\" not supported for type date"),
        ))
    }

    /// The value in millionths.
    fn of_local(self, at: NaiveDateTime, epoch_micros: i64) -> i128 {
        let date = at.date();
        let year = date.year();
        let whole = match self {
            Part::Century => i64::from((year + 99).div_euclid(100)),
            Part::Millennium => i64::from((year + 999).div_euclid(1000)),
            Part::Decade => i64::from(year.div_euclid(10)),
            Part::Year => i64::from(year),
            Part::IsoYear => i64::from(date.iso_week().year()),
            Part::Julian => i64::from(date.num_days_from_ce()) + JULIAN_DAYS_BEFORE_CE,
            Part::Quarter => i64::from(date.month0() / 3 + 1),
            Part::Month => i64::from(date.month()),
            Part::Week => i64::from(date.iso_week().week()),
            Part::Day => i64::from(date.day()),
            Part::DayOfYear => i64::from(date.ordinal()),
            Part::DayOfWeek => i64::from(date.weekday().num_days_from_sunday()),
            Part::IsoDayOfWeek => i64::from(date.weekday().number_from_monday()),
            Part::Epoch => return i128::from(epoch_micros),
            _ => return self.of_day(micros_of_day(at.time())),
        };
        i128::from(whole) * 1_000_000
    }

    /// Of infinity, or of -infinity: NULL of a field that comes again.
    fn of_infinity(self, positive: bool) -> Option<i128> {
        let endless = matches!(
            self,
            Part::Century
                | Part::Decade
                | Part::Epoch
                | Part::IsoYear
                | Part::Julian
                | Part::Millennium
                | Part::Year
        );
        endless.then_some(ENDLESS[usize::from(!positive)])
    }

    /// Of the time within a day or of an interval's time, in millionths.
    fn of_day(self, micros: i64) -> i128 {
        let whole = match self {
            Part::Hour => micros / 3_600_000_000,
            Part::Minute => micros / 60_000_000 % 60,
            Part::Second => return i128::from(micros % 60_000_000),
            Part::Milliseconds => return i128::from(micros % 60_000_000) * 1_000,
            Part::Microseconds => return i128::from(micros % 60_000_000) * 1_000_000,
            Part::Epoch => return i128::from(micros),
            _ => 0,
        };
        i128::from(whole) * 1_000_000
    }

    fn of_interval(self, interval: IntervalMonthDayNano) -> i128 {
        let months = i64::from(interval.months);
        let micros = interval.nanoseconds / 1_000;
        let whole = match self {
            Part::Century => months / 1200,
            Part::Millennium => months / 12_000,
            Part::Decade => months / 120,
            Part::Year => months / 12,
            Part::Quarter => months % 12 / 3 + 1,
            Part::Month => months % 12,
            Part::Day => i64::from(interval.days),
            Part::Epoch => {
                // A year is 365.25 days and a month 30, as PostgreSQL counts here.
                let days = i128::from(months / 12) * 36_525
                    + i128::from(months % 12) * 3_000
                    + i128::from(interval.days) * 100;
                return days * i128::from(DAY_MICROS / 100) + i128::from(micros);
            }
            _ => return self.of_day(micros),
        };
        i128::from(whole) * 1_000_000
    }
}

/// extract(field FROM source), numeric; as `date_part` float8.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extract {
    name: &'static str,
    signature: Signature,
}

/// The function behind EXTRACT.
pub fn extract() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Extract::new("extract")))
}

impl Extract {
    fn new(name: &'static str) -> Extract {
        Extract {
            name,
            signature: Signature::user_defined(Volatility::Stable),
        }
    }

    fn part(args: &[Option<&ScalarValue>]) -> Result<Part> {
        match args.first() {
            Some(Some(ScalarValue::Utf8(Some(name)))) => Part::named(name),
            _ => Err(failure::unsupported("a field that is not constant")),
        }
    }
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let source = match arg_types {
            [_, DataType::Null] => DataType::Timestamp(TimeUnit::Microsecond, None),
            [
                _,
                source @ (DataType::Date32
                | DataType::Timestamp(..)
                | DataType::Time64(_)
                | DataType::Interval(_)),
            ] => source.clone(),
            _ => {
                let given: Vec<_> = arg_types
                    .iter()
                    .filter_map(|data_type| types::arrow::from_data_type(data_type).ok())
                    .collect();
                return Err(failure::external(failure::no_function(self.name, &given)));
            }
        };
        Ok(vec![DataType::Utf8, source])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if self.name == "date_part" {
            return Ok(Arc::new(Field::new(self.name, DataType::Float64, true)));
        }
        let part = Extract::part(args.scalar_arguments)?;
        if *args.arg_fields[1].data_type() == DataType::Date32 {
            part.demand_date()?;
        }
        let scale = part.scale(args.arg_fields[1].data_type());
        let data_type = DataType::Decimal128(EXTRACT_DIGITS, scale);
        Ok(Arc::new(Field::new(self.name, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = match &args.args[0] {
            ColumnarValue::Scalar(name) => Extract::part(&[Some(name)])?,
            ColumnarValue::Array(_) => {
                return Err(failure::unsupported("a field that is not constant"));
            }
        };
        let zone = Statement::of(&args.config_options)
            .map_or(Tz::UTC, |statement| statement.context.settings.time_zone);
        let source = args.args[1].to_array(args.number_rows)?;
        let millionths = millionths(part, &source, zone)?;
        let result: ArrayRef = match args.return_field.data_type() {
            DataType::Decimal128(_, scale) => {
                let unit = 10i128.pow(u32::from((6 - scale).unsigned_abs()));
                let mut out = Decimal128Builder::with_capacity(millionths.len())
                    .with_data_type(args.return_field.data_type().clone());
                for value in millionths {
                    if value.is_some_and(is_endless) {
                        return Err(failure::unsupported("extract() that gives infinity"));
                    }
                    out.append_option(value.map(|value| value / unit));
                }
                Arc::new(out.finish())
            }
            _ => {
                let floats: PrimitiveArray<Float64Type> = millionths
                    .into_iter()
                    .map(|value| value.map(float))
                    .collect();
                Arc::new(floats)
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

/// Of the day before the first of January of the year 1.
const JULIAN_DAYS_BEFORE_CE: i64 = 1_721_425;

/// Of a field that grows without end, of infinity and of -infinity.
const ENDLESS: [i128; 2] = [i128::MAX, i128::MIN];

fn is_endless(millionths: i128) -> bool {
    ENDLESS.contains(&millionths)
}

fn float(millionths: i128) -> f64 {
    match millionths {
        i128::MAX => f64::INFINITY,
        i128::MIN => f64::NEG_INFINITY,
        finite => finite as f64 / 1e6,
    }
}

fn millionths(part: Part, source: &ArrayRef, zone: Tz) -> Result<Vec<Option<i128>>> {
    if part == Part::Julian && *source.data_type() != DataType::Date32 {
        return Err(failure::unsupported("the field julian of a time of day"));
    }
    let rows = 0..source.len();
    match source.data_type() {
        DataType::Date32 => {
            let dates = source.as_primitive::<Date32Type>();
            rows.map(|row| {
                if dates.is_null(row) {
                    return Ok(None);
                }
                let days = dates.value(row);
                if days == i32::MAX || days == i32::MIN {
                    return Ok(part.of_infinity(days > 0));
                }
                let date = NaiveDate::from_epoch_days(days).ok_or_else(out_of_range)?;
                let epoch = i64::from(days) * DAY_MICROS;
                Ok(Some(part.of_local(date.and_time(NaiveTime::MIN), epoch)))
            })
            .collect()
        }
        DataType::Timestamp(_, offset) => {
            let zone = offset.is_some().then_some(zone);
            let micros = source.as_primitive::<TimestampMicrosecondType>();
            rows.map(|row| {
                if micros.is_null(row) {
                    return Ok(None);
                }
                let at = micros.value(row);
                if at == i64::MAX || at == i64::MIN {
                    return Ok(part.of_infinity(at > 0));
                }
                Ok(Some(part.of_local(local(at, zone)?, at)))
            })
            .collect()
        }
        DataType::Time64(_) => {
            let times = source.as_primitive::<Time64MicrosecondType>();
            Ok(times
                .iter()
                .map(|time| time.map(|time| part.of_day(time)))
                .collect())
        }
        DataType::Interval(_) => {
            let intervals = source.as_primitive::<IntervalMonthDayNanoType>();
            Ok(intervals
                .iter()
                .map(|interval| interval.map(|interval| part.of_interval(interval)))
                .collect())
        }
        _ => Err(DataFusionError::Internal("extract".to_owned())),
    }
}

fn out_of_range() -> DataFusionError {
    failure::error(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// date_trunc(unit, timestamp or timestamptz or interval)
#[derive(Debug, PartialEq, Eq, Hash)]
struct Truncate {
    signature: Signature,
}

impl ScalarUDFImpl for Truncate {
    fn name(&self) -> &str {
        "date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let source = match arg_types {
            // PostgreSQL prefers timestamptz for a date.
            [_, DataType::Date32] => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            [_, DataType::Null] => DataType::Timestamp(TimeUnit::Microsecond, None),
            [
                _,
                source @ (DataType::Timestamp(..) | DataType::Interval(_)),
            ] => source.clone(),
            _ => {
                let given: Vec<_> = arg_types
                    .iter()
                    .filter_map(|data_type| types::arrow::from_data_type(data_type).ok())
                    .collect();
                return Err(failure::external(failure::no_function(
                    "date_trunc",
                    &given,
                )));
            }
        };
        Ok(vec![DataType::Utf8, source])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[1].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = Statement::of(&args.config_options)
            .map_or(Tz::UTC, |statement| statement.context.settings.time_zone);
        let units = args.args[0].to_array(args.number_rows)?;
        let units = units.as_string::<i32>();
        let source = args.args[1].to_array(args.number_rows)?;
        if let Some(intervals) = source.as_primitive_opt::<IntervalMonthDayNanoType>() {
            let mut out = Vec::with_capacity(intervals.len());
            for row in 0..intervals.len() {
                let there = !intervals.is_null(row) && !units.is_null(row);
                let truncated = there.then(|| {
                    let part = Part::named(units.value(row))?;
                    truncate_interval(intervals.value(row), part, units.value(row))
                });
                out.push(truncated.transpose()?);
            }
            let array: PrimitiveArray<IntervalMonthDayNanoType> = out.into_iter().collect();
            return Ok(ColumnarValue::Array(Arc::new(array)));
        }
        let DataType::Timestamp(_, offset) = source.data_type() else {
            return Err(DataFusionError::Internal("date_trunc".to_owned()));
        };
        let values = source.as_primitive::<TimestampMicrosecondType>();
        let mut out = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            if values.is_null(row) || units.is_null(row) {
                out.push(None);
                continue;
            }
            let part = Part::named(units.value(row))?;
            let zone = offset.is_some().then_some(zone);
            out.push(Some(truncate(values.value(row), part, zone)?));
        }
        let array: TimestampMicrosecondArray = out.into_iter().collect();
        let array = array.with_timezone_opt(offset.clone());
        Ok(ColumnarValue::Array(Arc::new(array)))
    }
}

/// Without what is smaller than the part. Years and what they are counted in go by months.
fn truncate_interval(
    interval: IntervalMonthDayNano,
    part: Part,
    unit: &str,
) -> Result<IntervalMonthDayNano> {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = interval;
    let of_months = |unit: i32| IntervalMonthDayNano::new(months - months % unit, 0, 0);
    let of_time =
        |unit: i64| IntervalMonthDayNano::new(months, days, nanoseconds - nanoseconds % unit);
    Ok(match part {
        Part::Microseconds => interval,
        Part::Milliseconds => of_time(1_000_000),
        Part::Second => of_time(1_000_000_000),
        Part::Minute => of_time(60_000_000_000),
        Part::Hour => of_time(3_600_000_000_000),
        Part::Day => IntervalMonthDayNano::new(months, days, 0),
        Part::Month => of_months(1),
        Part::Quarter => of_months(3),
        Part::Year => of_months(12),
        Part::Decade => of_months(120),
        Part::Century => of_months(1_200),
        Part::Millennium => of_months(12_000),
        _ => {
            return Err(failure::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("unit \"{unit}\" not supported for type interval"),
            ));
        }
    })
}

fn truncate(at: i64, part: Part, zone: Option<Tz>) -> Result<i64> {
    if at == i64::MAX || at == i64::MIN {
        return Ok(at);
    }
    let local = local(at, zone)?;
    let micros = micros_of_day(local.time());
    let unit = match part {
        Part::Microseconds => return Ok(at),
        Part::Milliseconds => Some(1_000),
        Part::Second => Some(1_000_000),
        Part::Minute => Some(60_000_000),
        Part::Hour => Some(3_600_000_000),
        _ => None,
    };
    if let Some(unit) = unit {
        return Ok(at - micros.rem_euclid(unit));
    }
    let date = local.date();
    let year_of = |unit: i32, first: i32| (date.year() - first).div_euclid(unit) * unit + first;
    let start = match part {
        Part::Day => Some(date),
        Part::Week => {
            let back = u64::from(date.weekday().num_days_from_monday());
            date.checked_sub_days(chrono::Days::new(back))
        }
        Part::Month => date.with_day(1),
        Part::Quarter => NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1),
        Part::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1),
        Part::Decade => NaiveDate::from_ymd_opt(year_of(10, 0), 1, 1),
        Part::Century => NaiveDate::from_ymd_opt(year_of(100, 1), 1, 1),
        Part::Millennium => NaiveDate::from_ymd_opt(year_of(1000, 1), 1, 1),
        _ => return Err(failure::unsupported("date_trunc to this unit")),
    };
    let start = start.ok_or_else(out_of_range)?.and_time(NaiveTime::MIN);
    let start = start.and_utc().timestamp_micros();
    Ok(zone.map_or(start, |zone| time_zone::instant_of_local(zone, start)))
}

/// What intervals are compared by: microseconds, a month being 30 days.
pub fn interval_order() -> Arc<ScalarUDF> {
    Function::immutable(
        "interval_order",
        &[&[INTERVAL]],
        SqlType::scalar(TypeKind::Uuid),
        |call| interval_keys(call.args[0].as_primitive::<IntervalMonthDayNanoType>()),
    )
}

/// Bytes in the order of intervals.
pub fn interval_keys(intervals: &PrimitiveArray<IntervalMonthDayNanoType>) -> Result<ArrayRef> {
    let mut keys = FixedSizeBinaryBuilder::with_capacity(intervals.len(), 16);
    for interval in intervals {
        match interval {
            None => keys.append_null(),
            Some(interval) => {
                let order = types::interval::order_value(interval);
                keys.append_value((order as u128 ^ 1 << 127).to_be_bytes())?;
            }
        }
    }
    Ok(Arc::new(keys.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
            .expect("a time of the test")
            .and_utc()
            .timestamp_micros()
    }

    #[test]
    fn truncation_goes_to_the_start_of_each_unit() {
        let source = at("2024-05-17 13:45:59");
        for (unit, start) in [
            ("minute", "2024-05-17 13:45:00"),
            ("hour", "2024-05-17 13:00:00"),
            ("day", "2024-05-17 00:00:00"),
            ("week", "2024-05-13 00:00:00"),
            ("month", "2024-05-01 00:00:00"),
            ("quarter", "2024-04-01 00:00:00"),
            ("year", "2024-01-01 00:00:00"),
            ("decade", "2020-01-01 00:00:00"),
            ("century", "2001-01-01 00:00:00"),
            ("millennium", "2001-01-01 00:00:00"),
        ] {
            let part = Part::named(unit).expect("a unit");
            assert_eq!(truncate(source, part, None).ok(), Some(at(start)), "{unit}");
        }
    }

    #[test]
    fn days_begin_in_the_sessions_time_zone() {
        let berlin = Some(chrono_tz::Europe::Berlin);
        let start = truncate(at("2024-05-17 23:30:00"), Part::Day, berlin);
        assert_eq!(start.ok(), Some(at("2024-05-17 22:00:00")));
    }
}
