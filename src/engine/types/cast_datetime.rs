//! Casts among date, time, timestamp, timestamptz and interval.

use super::calendar::{DAY, SECOND};
use super::cast::CastContext;
use super::datetime::{INFINITY, NEGATIVE_INFINITY, round_timestamp, round_to};
use super::datetime_input::is_timestamp;
use super::input_error::datetime_out_of_range;
use super::name::seconds_precision;
use super::{interval, time_zone};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use chrono_tz::Tz;
use datafusion::common::ScalarValue;

/// The least context of a cast between two different types of this family; None: there is none.
pub fn needed_context(from: TypeKind, to: TypeKind) -> Option<CastContext> {
    use TypeKind::{Date, Interval, Time, Timestamp, Timestamptz};
    match (from, to) {
        (Date, Timestamp | Timestamptz) | (Timestamp, Timestamptz) | (Time, Interval) => {
            Some(CastContext::Implicit)
        }
        (Timestamp, Date | Time) | (Timestamptz, Date | Time | Timestamp) | (Interval, Time) => {
            Some(CastContext::Assignment)
        }
        _ => None,
    }
}

/// A point of a value's own kind of time.
enum Moment {
    /// Local microseconds since 1970; infinities as they are.
    Local(i64),
    /// Unix microseconds; infinities as they are.
    Instant(i64),
    /// Microseconds since midnight.
    Clock(i64),
}

/// The value as the other type; None where there is no such cast.
pub fn convert(
    value: &ScalarValue,
    to: SqlType,
    zone: Tz,
) -> Option<Result<ScalarValue, Diagnostic>> {
    let moment = match value {
        ScalarValue::Date32(Some(days)) => match midnight(*days) {
            Some(local) => Moment::Local(local),
            None => return Some(Err(datetime_out_of_range("date"))),
        },
        ScalarValue::TimestampMicrosecond(Some(value), None) => Moment::Local(*value),
        ScalarValue::TimestampMicrosecond(Some(value), Some(_)) => Moment::Instant(*value),
        ScalarValue::Time64Microsecond(Some(value)) => Moment::Clock(*value),
        ScalarValue::IntervalMonthDayNano(Some(value)) => {
            Moment::Clock(interval::microseconds(*value).rem_euclid(DAY))
        }
        _ => return None,
    };
    moment.into_type(to, zone)
}

/// None past the timestamps PostgreSQL has.
fn midnight(days: i32) -> Option<i64> {
    match days {
        i32::MAX => Some(INFINITY),
        i32::MIN => Some(NEGATIVE_INFINITY),
        _ => i64::from(days)
            .checked_mul(DAY)
            .filter(|value| is_timestamp(*value)),
    }
}

fn is_infinite(value: i64) -> bool {
    matches!(value, INFINITY | NEGATIVE_INFINITY)
}

impl Moment {
    fn into_type(self, to: SqlType, zone: Tz) -> Option<Result<ScalarValue, Diagnostic>> {
        let seconds = seconds_precision(to);
        let value = match (to.kind, self) {
            (TypeKind::Time, Moment::Clock(clock)) => {
                ScalarValue::Time64Microsecond(Some(round_to(clock, seconds)))
            }
            (TypeKind::Interval, Moment::Clock(clock)) => {
                ScalarValue::IntervalMonthDayNano(interval::from_parts(0, 0, clock))
            }
            (TypeKind::Timestamptz, moment @ (Moment::Local(_) | Moment::Instant(_))) => {
                let instant = round_timestamp(moment.instant(zone)?, seconds);
                ScalarValue::TimestampMicrosecond(Some(instant), Some("UTC".into()))
            }
            (kind, moment @ (Moment::Local(_) | Moment::Instant(_))) => {
                let local = moment.local(zone)?;
                match kind {
                    TypeKind::Timestamp => {
                        let local = round_timestamp(local, seconds);
                        ScalarValue::TimestampMicrosecond(Some(local), None)
                    }
                    TypeKind::Date => ScalarValue::Date32(Some(match local {
                        INFINITY => i32::MAX,
                        NEGATIVE_INFINITY => i32::MIN,
                        _ => local.div_euclid(DAY) as i32,
                    })),
                    // PostgreSQL gives NULL for the time of an infinite timestamp.
                    TypeKind::Time if is_infinite(local) => ScalarValue::Time64Microsecond(None),
                    TypeKind::Time => ScalarValue::Time64Microsecond(Some(round_to(
                        local.rem_euclid(DAY),
                        seconds,
                    ))),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Ok(value))
    }

    fn local(&self, zone: Tz) -> Option<i64> {
        match self {
            Moment::Local(local) => Some(*local),
            Moment::Instant(instant) if is_infinite(*instant) => Some(*instant),
            Moment::Instant(instant) => {
                let offset = time_zone::offset_at(zone, *instant);
                Some(instant.saturating_add(i64::from(offset) * SECOND))
            }
            Moment::Clock(_) => None,
        }
    }

    fn instant(&self, zone: Tz) -> Option<i64> {
        match self {
            Moment::Instant(instant) => Some(*instant),
            Moment::Local(local) if is_infinite(*local) => Some(*local),
            Moment::Local(local) => {
                let offset = time_zone::offset_of_local(zone, *local);
                Some(local.saturating_sub(i64::from(offset) * SECOND))
            }
            Moment::Clock(_) => None,
        }
    }
}
