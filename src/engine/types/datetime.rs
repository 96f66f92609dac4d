//! Output of date, time, timestamp and timestamptz, in ISO style.

use super::calendar::{DAY, Date, HOUR, MINUTE, POSTGRESQL_EPOCH, SECOND};
use super::time_zone;
use bytes::BytesMut;
use chrono_tz::Tz;

/// `infinity` and `-infinity` of timestamps; dates use i32's ends.
pub const INFINITY: i64 = i64::MAX;
/// See [`INFINITY`].
pub const NEGATIVE_INFINITY: i64 = i64::MIN;

/// A short text built on the stack: one append to the output a value.
struct Line {
    bytes: [u8; 48],
    length: usize,
}

impl Line {
    fn new() -> Line {
        Line {
            bytes: [0; 48],
            length: 0,
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    #[inline]
    fn two(&mut self, value: u32) {
        self.byte(b'0' + (value / 10) as u8);
        self.byte(b'0' + (value % 10) as u8);
    }

    fn date(&mut self, date: Date) {
        let year = if date.year > 0 {
            date.year
        } else {
            1 - date.year
        };
        if year < 10_000 {
            self.two((year / 100) as u32);
            self.two((year % 100) as u32);
        } else {
            let mut digits = itoa::Buffer::new();
            for digit in digits.format(year).bytes() {
                self.byte(digit);
            }
        }
        self.byte(b'-');
        self.two(date.month);
        self.byte(b'-');
        self.two(date.day);
    }

    fn era(&mut self, date: Date) {
        if date.year <= 0 {
            for byte in *b" BC" {
                self.byte(byte);
            }
        }
    }

    /// Microseconds of a day; 24:00:00 is a time PostgreSQL has.
    fn clock(&mut self, microseconds: i64) {
        self.two((microseconds / HOUR) as u32);
        self.byte(b':');
        self.two((microseconds / MINUTE % 60) as u32);
        self.byte(b':');
        self.two((microseconds / SECOND % 60) as u32);
        let mut fraction = (microseconds % SECOND) as u32;
        if fraction != 0 {
            self.byte(b'.');
            let mut unit = 100_000;
            while fraction != 0 {
                self.byte(b'0' + (fraction / unit) as u8);
                fraction %= unit;
                unit /= 10;
            }
        }
    }

    fn offset(&mut self, seconds_east: i32) {
        self.byte(if seconds_east < 0 { b'-' } else { b'+' });
        let seconds = seconds_east.unsigned_abs();
        self.two(seconds / 3_600);
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        if minutes != 0 || seconds != 0 {
            self.byte(b':');
            self.two(minutes);
        }
        if seconds != 0 {
            self.byte(b':');
            self.two(seconds);
        }
    }

    fn append(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.bytes[..self.length]);
    }
}

fn infinite(value: i64) -> Option<&'static [u8]> {
    match value {
        INFINITY => Some(b"infinity"),
        NEGATIVE_INFINITY => Some(b"-infinity"),
        _ => None,
    }
}

/// Appends the text of date_out; days since 1970-01-01.
pub fn write_date(days: i32, out: &mut BytesMut) {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN => out.extend_from_slice(b"-infinity"),
        _ => {
            let date = Date::from_days(i64::from(days));
            let mut line = Line::new();
            line.date(date);
            line.era(date);
            line.append(out);
        }
    }
}

/// Appends the text of time_out; microseconds since midnight.
pub fn write_time(microseconds: i64, out: &mut BytesMut) {
    let mut line = Line::new();
    line.clock(microseconds.clamp(0, DAY));
    line.append(out);
}

/// Appends the text of timestamp_out; microseconds since 1970-01-01.
pub fn write_timestamp(microseconds: i64, out: &mut BytesMut) {
    if let Some(word) = infinite(microseconds) {
        return out.extend_from_slice(word);
    }
    let mut line = Line::new();
    let date = Date::from_days(microseconds.div_euclid(DAY));
    line.date(date);
    line.byte(b' ');
    line.clock(microseconds.rem_euclid(DAY));
    line.era(date);
    line.append(out);
}

/// Appends the text of timestamptz_out in the session's zone; Unix microseconds.
pub fn write_timestamptz(microseconds: i64, zone: Tz, out: &mut BytesMut) {
    if let Some(word) = infinite(microseconds) {
        return out.extend_from_slice(word);
    }
    let offset = time_zone::offset_at(zone, microseconds);
    let local = microseconds.saturating_add(i64::from(offset) * SECOND);
    let mut line = Line::new();
    let date = Date::from_days(local.div_euclid(DAY));
    line.date(date);
    line.byte(b' ');
    line.clock(local.rem_euclid(DAY));
    line.offset(offset);
    line.era(date);
    line.append(out);
}

/// A timestamp rounded to so many decimals of a second, halves away from PostgreSQL's epoch as its
/// AdjustTimestampForTypmod does; None: as it is.
pub fn round_timestamp(microseconds: i64, decimals: Option<u32>) -> i64 {
    if decimals.is_none() || infinite(microseconds).is_some() {
        return microseconds;
    }
    let since_2000 = microseconds.saturating_sub(POSTGRESQL_EPOCH);
    round_to(since_2000, decimals).saturating_add(POSTGRESQL_EPOCH)
}

/// A duration or a time rounded to so many decimals of a second, halves away from zero.
pub fn round_to(microseconds: i64, decimals: Option<u32>) -> i64 {
    let Some(decimals) = decimals else {
        return microseconds;
    };
    let unit = 10i64.pow(6 - decimals);
    let half = unit / 2;
    if microseconds >= 0 {
        microseconds.saturating_add(half) / unit * unit
    } else {
        -(half.saturating_sub(microseconds) / unit * unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(write: impl Fn(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn timestamps_print_in_iso_style_with_the_sessions_zone() {
        let instant = 1_720_000_000_123_400;
        assert_eq!(
            printed(|out| write_timestamp(instant, out)),
            "2024-07-03 09:46:40.1234"
        );
        assert_eq!(
            printed(|out| write_timestamptz(instant, Tz::UTC, out)),
            "2024-07-03 09:46:40.1234+00"
        );
        assert_eq!(
            printed(|out| write_timestamptz(instant, Tz::Asia__Kolkata, out)),
            "2024-07-03 15:16:40.1234+05:30"
        );
        assert_eq!(
            printed(|out| write_timestamptz(-2_500_000_000 * SECOND, Tz::Europe__Berlin, out)),
            "1890-10-11 20:26:48+00:53:28"
        );
        assert_eq!(printed(|out| write_timestamp(INFINITY, out)), "infinity");
    }

    #[test]
    fn years_before_christ_and_after_9999_print() {
        let days = |year| {
            Date {
                year,
                month: 3,
                day: 4,
            }
            .to_days() as i32
        };
        assert_eq!(printed(|out| write_date(days(-43), out)), "0044-03-04 BC");
        assert_eq!(printed(|out| write_date(days(12024), out)), "12024-03-04");
        assert_eq!(printed(|out| write_time(DAY, out)), "24:00:00");
    }
}
