//! Input of date, time, timestamp and timestamptz: from the fields of a text to a value.

use super::calendar::{DATE_YEARS, DAY, Date, SECOND, TIMESTAMP_YEARS};
use super::datetime::{INFINITY, NEGATIVE_INFINITY};
use super::datetime_fields::{Special, Zone, read};
use super::decode::Input;
use super::input_error::invalid_datetime;
use super::time_zone;
use crate::diagnostic::{Diagnostic, SqlState};

/// Midnight of today plus `days` in the session's zone, as local microseconds.
fn local_midnight(input: Input<'_>, days: i64) -> i64 {
    let now = input.transaction_time;
    let zone = input.settings.time_zone;
    let local = now + i64::from(time_zone::offset_at(zone, now)) * SECOND;
    (local.div_euclid(DAY) + days) * DAY
}

fn out_of_range(type_name: &str, text: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{type_name} out of range: \"{text}\""),
    )
}

/// date_in: days since 1970-01-01.
///
/// # Errors
/// 22007, 22008.
pub fn parse_date(text: &str, input: Input<'_>) -> Result<i32, Diagnostic> {
    let fields = read(text).map_err(|failure| failure.diagnostic("date", text))?;
    match fields.special {
        Some(Special::Infinity) => return Ok(i32::MAX),
        Some(Special::NegativeInfinity) => return Ok(i32::MIN),
        Some(Special::Epoch) => return Ok(0),
        Some(Special::Now) => return Ok((local_midnight(input, 0) / DAY) as i32),
        Some(Special::Day(days)) => return Ok((local_midnight(input, days) / DAY) as i32),
        None => {}
    }
    let date = fields.date.ok_or_else(|| invalid_datetime("date", text))?;
    if !DATE_YEARS.contains(&date.year) {
        return Err(out_of_range("date", text));
    }
    Ok(date.to_days() as i32)
}

/// time_in: microseconds since midnight.
///
/// # Errors
/// 22007, 22008.
pub fn parse_time(text: &str, input: Input<'_>) -> Result<i64, Diagnostic> {
    let fields = match read(text) {
        Ok(fields) => fields,
        // A time may stand packed and alone: 040506.
        Err(failure) => return Err(failure.diagnostic("time", text)),
    };
    if fields.special == Some(Special::Now) {
        let now = input.transaction_time;
        let offset = time_zone::offset_at(input.settings.time_zone, now);
        return Ok((now + i64::from(offset) * SECOND).rem_euclid(DAY));
    }
    fields.time.ok_or_else(|| invalid_datetime("time", text))
}

/// timestamp_in: microseconds since 1970-01-01.
///
/// # Errors
/// 22007, 22008.
pub fn parse_timestamp(text: &str, input: Input<'_>) -> Result<i64, Diagnostic> {
    let fields = read(text).map_err(|failure| failure.diagnostic("timestamp", text))?;
    let time = fields.time.unwrap_or(0);
    match fields.special {
        Some(Special::Infinity) => return Ok(INFINITY),
        Some(Special::NegativeInfinity) => return Ok(NEGATIVE_INFINITY),
        Some(Special::Epoch) => return Ok(0),
        Some(Special::Now) => {
            let now = input.transaction_time;
            let offset = time_zone::offset_at(input.settings.time_zone, now);
            return Ok(now + i64::from(offset) * SECOND);
        }
        Some(Special::Day(days)) => return Ok(local_midnight(input, days) + time),
        None => {}
    }
    let local = fields
        .local()
        .map_err(|failure| failure.diagnostic("timestamp", text))?;
    in_range(local, text)
}

/// timestamptz_in: Unix microseconds.
///
/// # Errors
/// 22007, 22008, 22023 for an unknown zone, 22009 for a displacement.
pub fn parse_timestamptz(text: &str, input: Input<'_>) -> Result<i64, Diagnostic> {
    const NAME: &str = "timestamp with time zone";
    let fields = read(text).map_err(|failure| failure.diagnostic(NAME, text))?;
    let local = match fields.special {
        Some(Special::Infinity) => return Ok(INFINITY),
        Some(Special::NegativeInfinity) => return Ok(NEGATIVE_INFINITY),
        Some(Special::Epoch) => return Ok(0),
        Some(Special::Now) => return Ok(input.transaction_time),
        Some(Special::Day(days)) => {
            i128::from(local_midnight(input, days) + fields.time.unwrap_or(0))
        }
        None => fields
            .local()
            .map_err(|failure| failure.diagnostic(NAME, text))?,
    };
    let within = local.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    let offset = match fields.zone {
        Some(Zone::Offset(seconds)) => seconds,
        Some(Zone::Named(zone)) => time_zone::offset_of_local(zone, within),
        None => time_zone::offset_of_local(input.settings.time_zone, within),
    };
    in_range(local - i128::from(offset) * i128::from(SECOND), text)
}

fn in_range(microseconds: i128, text: &str) -> Result<i64, Diagnostic> {
    i64::try_from(microseconds)
        .ok()
        .filter(|value| is_timestamp(*value))
        .ok_or_else(|| out_of_range("timestamp", text))
}

/// Whether PostgreSQL has this (finite) timestamp.
pub fn is_timestamp(microseconds: i64) -> bool {
    // The years end before i64 does: 294277 begins past its largest value.
    TIMESTAMP_YEARS.contains(&Date::from_days(microseconds.div_euclid(DAY)).year)
        && microseconds != INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Settings;
    use crate::engine::types::datetime;
    use bytes::BytesMut;
    use chrono_tz::Tz;

    fn with_input<T>(check: impl FnOnce(Input<'_>) -> T) -> T {
        let settings = Settings {
            time_zone: Tz::Europe__Berlin,
            ..Settings::default()
        };
        check(Input {
            settings: &settings,
            transaction_time: 1_720_000_000_123_456,
            variables: None,
            types: None,
        })
    }

    fn timestamp(text: &str) -> String {
        with_input(|input| {
            let mut out = BytesMut::new();
            datetime::write_timestamp(parse_timestamp(text, input).unwrap(), &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        })
    }

    fn timestamptz(text: &str) -> String {
        with_input(|input| {
            let mut out = BytesMut::new();
            let value = parse_timestamptz(text, input).unwrap();
            datetime::write_timestamptz(value, Tz::Europe__Berlin, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        })
    }

    #[test]
    fn the_forms_people_write_are_read() {
        // Each as PostgreSQL 15 prints it with DateStyle ISO, MDY.
        for (text, printed) in [
            ("2024-01-02", "2024-01-02 00:00:00"),
            ("2024-01-02 03:04:05.6789", "2024-01-02 03:04:05.6789"),
            ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05"),
            ("20240102 030405", "2024-01-02 03:04:05"),
            ("20240102T030405", "2024-01-02 03:04:05"),
            ("1/2/2024 3:04 PM", "2024-01-02 15:04:00"),
            ("Jan 2, 2024 12:30 am", "2024-01-02 00:30:00"),
            ("2 January 2024", "2024-01-02 00:00:00"),
            ("02-Jan-2024 03:04", "2024-01-02 03:04:00"),
            ("Tue Jan 02 03:04:05 2024", "2024-01-02 03:04:05"),
            ("2024-01-02 24:00", "2024-01-03 00:00:00"),
            ("2024-01-02 03:04:05.9999999", "2024-01-02 03:04:06"),
            ("0044-03-15 BC", "0044-03-15 00:00:00 BC"),
            ("epoch", "1970-01-01 00:00:00"),
            ("-infinity", "-infinity"),
            ("now", "2024-07-03 11:46:40.123456"),
            ("today", "2024-07-03 00:00:00"),
            ("tomorrow 10:00", "2024-07-04 10:00:00"),
        ] {
            assert_eq!(timestamp(text), printed, "{text}");
        }
    }

    #[test]
    fn zones_move_a_timestamptz() {
        for (text, printed) in [
            ("2024-01-02 03:04:05", "2024-01-02 03:04:05+01"),
            ("2024-07-02 03:04:05", "2024-07-02 03:04:05+02"),
            ("2024-01-02 03:04:05Z", "2024-01-02 04:04:05+01"),
            ("2024-01-02 03:04:05+05:30", "2024-01-01 22:34:05+01"),
            ("2024-01-02 03:04:05-0800", "2024-01-02 12:04:05+01"),
            (
                "2024-01-02 03:04:05 America/New_York",
                "2024-01-02 09:04:05+01",
            ),
            ("2024-01-02 03:04:05 PST", "2024-01-02 12:04:05+01"),
            ("2024-01-02T03:04:05.000Z", "2024-01-02 04:04:05+01"),
        ] {
            assert_eq!(timestamptz(text), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_told_in_postgresqls_words() {
        with_input(|input| {
            for (text, code, message) in [
                (
                    "foo",
                    "22007",
                    "invalid input syntax for type date: \"foo\"",
                ),
                ("", "22007", "invalid input syntax for type date: \"\""),
                (
                    "2024-02-30",
                    "22008",
                    "date/time field value out of range: \"2024-02-30\"",
                ),
                (
                    "2024-13-01",
                    "22008",
                    "date/time field value out of range: \"2024-13-01\"",
                ),
            ] {
                let error = parse_date(text, input).unwrap_err();
                assert_eq!(
                    (error.sqlstate().as_str(), error.message()),
                    (code, message)
                );
            }
            assert!(
                parse_date("2024-13-01", input)
                    .unwrap_err()
                    .fields()
                    .hint
                    .is_some()
            );
            assert_eq!(
                parse_timestamptz("2024-01-01 00:00 Foo/Bar", input)
                    .unwrap_err()
                    .message(),
                "time zone \"foo/bar\" not recognized"
            );
            assert_eq!(
                parse_time("25:00", input).unwrap_err().message(),
                "date/time field value out of range: \"25:00\""
            );
            assert!(parse_timestamp("294277-01-01", input).is_err());
            assert!(parse_date("999999-01-01", input).is_ok());
        });
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(value in -210_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            with_input(|input| {
                let mut out = BytesMut::new();
                datetime::write_timestamp(value, &mut out);
                let text = std::str::from_utf8(&out).unwrap();
                proptest::prop_assert_eq!(parse_timestamp(text, input).unwrap(), value);
                let mut out = BytesMut::new();
                datetime::write_timestamptz(value, Tz::Asia__Kolkata, &mut out);
                let text = std::str::from_utf8(&out).unwrap();
                proptest::prop_assert_eq!(parse_timestamptz(text, input).unwrap(), value);
                Ok(())
            })?;
        }

        #[test]
        fn no_text_panics(text in "[0-9a-zA-Z:+/., -]{0,30}") {
            with_input(|input| {
                let _ = parse_timestamptz(&text, input);
                let _ = parse_time(&text, input);
                let _ = parse_date(&text, input);
            });
        }
    }
}
