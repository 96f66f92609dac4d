//! VALID UNTIL's literal: a point in time, or 'infinity'.

use super::cursor::Cursor;
use crate::diagnostic::{Diagnostic, SqlState};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Unix microseconds; None is 'infinity'. Without an offset the time is UTC.
///
/// # Errors
/// 22007 in PostgreSQL's words.
pub fn valid_until(cursor: &mut Cursor<'_>) -> Result<Option<i64>, Diagnostic> {
    let here = cursor.clone();
    let literal = cursor.literal()?;
    let text = literal.trim();
    if text.eq_ignore_ascii_case("infinity") {
        return Ok(None);
    }
    parse(text).map(Some).ok_or_else(|| {
        here.error(
            SqlState::INVALID_DATETIME_FORMAT,
            &format!("invalid input syntax for type timestamp with time zone: \"{text}\""),
        )
    })
}

fn parse(text: &str) -> Option<i64> {
    const ZONED: [&str; 4] = [
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f %#z",
        "%Y-%m-%d %H:%M%#z",
    ];
    const PLAIN: [&str; 4] = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ];
    let utc = ["Z", "z", " UTC", " utc", "UTC"]
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix));
    if utc.is_none()
        && let Some(zoned) = ZONED
            .iter()
            .find_map(|format| DateTime::parse_from_str(text, format).ok())
    {
        return Some(zoned.timestamp_micros());
    }
    let plain = utc.unwrap_or(text);
    PLAIN
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(plain, format).ok())
        .or_else(|| {
            let day = NaiveDate::parse_from_str(plain, "%Y-%m-%d").ok()?;
            day.and_hms_opt(0, 0, 0)
        })
        .map(|time| time.and_utc().timestamp_micros())
}
