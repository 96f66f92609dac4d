//! interval: months, days and microseconds, printed in style `postgres`.

use super::calendar::{DAY, HOUR, MINUTE, SECOND};
use super::datetime_fields::microseconds_of;
use super::input_error::{INTERVAL_FIELD_OVERFLOW, invalid_datetime};
use crate::diagnostic::Diagnostic;
use bytes::BytesMut;
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use std::borrow::Cow;
use std::io::Write as _;

/// Days PostgreSQL counts a month as where it must compare or split one.
const DAYS_PER_MONTH: i64 = 30;
const MONTHS_PER_YEAR: i64 = 12;
/// Texts past this are no intervals.
const INTERVAL_BYTES_MAX: usize = 256;
/// Nanoseconds of a microsecond.
const NANOSECONDS: i64 = 1_000;

/// Whole microseconds of its clock part.
pub fn microseconds(value: IntervalMonthDayNano) -> i64 {
    value.nanoseconds / NANOSECONDS
}

/// From its parts; None where Arrow's nanoseconds cannot hold the clock part (292 years of it).
pub fn from_parts(months: i32, days: i32, microseconds: i64) -> Option<IntervalMonthDayNano> {
    let nanoseconds = microseconds.checked_mul(NANOSECONDS)?;
    Some(IntervalMonthDayNano::new(months, days, nanoseconds))
}

/// The number intervals are ordered by: microseconds, with months of 30 days.
pub fn order_value(value: IntervalMonthDayNano) -> i128 {
    let days = i64::from(value.months) * DAYS_PER_MONTH + i64::from(value.days);
    i128::from(days) * i128::from(DAY) + i128::from(microseconds(value))
}

/// Appends the text of interval_out.
pub fn write(value: IntervalMonthDayNano, out: &mut BytesMut) {
    let start = out.len();
    let mut before = false;
    let months = i64::from(value.months);
    for (amount, unit) in [
        (months / MONTHS_PER_YEAR, "year"),
        (months % MONTHS_PER_YEAR, "mon"),
        (i64::from(value.days), "day"),
    ] {
        if amount == 0 {
            continue;
        }
        if out.len() > start {
            out.extend_from_slice(b" ");
        }
        if before && amount > 0 {
            out.extend_from_slice(b"+");
        }
        super::integer::write(amount, out);
        out.extend_from_slice(b" ");
        out.extend_from_slice(unit.as_bytes());
        if amount != 1 {
            out.extend_from_slice(b"s");
        }
        before = amount < 0;
    }
    let clock = microseconds(value);
    if clock == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.extend_from_slice(b" ");
    }
    if clock < 0 {
        out.extend_from_slice(b"-");
    } else if before {
        out.extend_from_slice(b"+");
    }
    write_clock(clock.unsigned_abs(), out);
}

fn write_clock(clock: u64, out: &mut BytesMut) {
    let (hour, minute, second) = (HOUR as u64, MINUTE as u64, SECOND as u64);
    let mut line = [0u8; 40];
    let mut rest = &mut line[..];
    let fraction = clock % second;
    let written = write!(
        rest,
        "{:02}:{:02}:{:02}",
        clock / hour,
        clock / minute % 60,
        clock / second % 60
    )
    .and_then(|()| match fraction {
        0 => Ok(()),
        _ => write!(rest, ".{fraction:06}"),
    });
    written.expect("40 bytes hold every clock");
    let used = 40 - rest.len();
    let text = &line[..used];
    let text = match fraction {
        0 => text,
        _ => text.trim_ascii_end(),
    };
    let end = match fraction {
        0 => text.len(),
        _ => text
            .iter()
            .rposition(|byte| *byte != b'0')
            .map_or(0, |at| at + 1),
    };
    out.extend_from_slice(&text[..end]);
}

/// What an interval's text adds up to.
#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    microseconds: i128,
}

/// A number in the text.
#[derive(Clone, Copy)]
struct Amount {
    whole: i64,
    /// Same sign as the number, under one.
    fraction: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

enum Failure {
    Syntax,
    Range,
}

fn unit_named(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => {
            Unit::Microsecond
        }
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => {
            Unit::Millisecond
        }
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennium" | "millennia" => Unit::Millennium,
        _ => return None,
    })
}

impl Sum {
    fn add(&mut self, amount: Amount, unit: Unit) {
        let whole = i128::from(amount.whole);
        match unit {
            Unit::Microsecond => self.clock(amount, 1),
            Unit::Millisecond => self.clock(amount, 1_000),
            Unit::Second => self.clock(amount, SECOND),
            Unit::Minute => self.clock(amount, MINUTE),
            Unit::Hour => self.clock(amount, HOUR),
            Unit::Day => {
                self.days += whole;
                self.clock(amount.fraction_only(), DAY);
            }
            Unit::Week => {
                self.days += whole * 7;
                self.fraction_of_days(amount.fraction * 7.0);
            }
            Unit::Month => {
                self.months += whole;
                self.fraction_of_days(amount.fraction * DAYS_PER_MONTH as f64);
            }
            Unit::Year => self.years(amount, 1),
            Unit::Decade => self.years(amount, 10),
            Unit::Century => self.years(amount, 100),
            Unit::Millennium => self.years(amount, 1_000),
        }
    }

    fn clock(&mut self, amount: Amount, unit: i64) {
        self.microseconds += i128::from(amount.whole) * i128::from(unit);
        self.microseconds += (amount.fraction * unit as f64).round_ties_even() as i128;
    }

    fn fraction_of_days(&mut self, days: f64) {
        self.days += days.trunc() as i128;
        self.microseconds += (days.fract() * DAY as f64).round_ties_even() as i128;
    }

    fn years(&mut self, amount: Amount, scale: i64) {
        let months = MONTHS_PER_YEAR * scale;
        self.months += i128::from(amount.whole) * i128::from(months);
        self.months += (amount.fraction * months as f64).round_ties_even() as i128;
    }

    fn interval(self) -> Result<IntervalMonthDayNano, Failure> {
        let months = self.months.try_into().map_err(|_| Failure::Range)?;
        let days = self.days.try_into().map_err(|_| Failure::Range)?;
        let clock = self.microseconds.try_into().map_err(|_| Failure::Range)?;
        from_parts(months, days, clock).ok_or(Failure::Range)
    }
}

impl Amount {
    fn fraction_only(self) -> Amount {
        Amount { whole: 0, ..self }
    }
}

/// interval_in.
///
/// # Errors
/// 22007, or 22015 past the range.
pub fn parse(text: &str) -> Result<IntervalMonthDayNano, Diagnostic> {
    parse_parts(text).map_err(|failure| match failure {
        Failure::Syntax => invalid_datetime("interval", text),
        Failure::Range => Diagnostic::error(
            INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
    })
}

fn parse_parts(text: &str) -> Result<IntervalMonthDayNano, Failure> {
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() || trimmed.len() > INTERVAL_BYTES_MAX || !trimmed.is_ascii() {
        return Err(Failure::Syntax);
    }
    let lower = trimmed.to_ascii_lowercase();
    match lower.strip_prefix('p') {
        Some(duration) => parse_iso(duration),
        None => parse_words(&lower),
    }
}

/// `P1Y2M3DT4H5M6.7S`, also with weeks.
fn parse_iso(mut rest: &str) -> Result<IntervalMonthDayNano, Failure> {
    let mut sum = Sum::default();
    let mut clock = false;
    if rest.is_empty() {
        return Err(Failure::Syntax);
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('t') {
            if clock || after.is_empty() {
                return Err(Failure::Syntax);
            }
            clock = true;
            rest = after;
            continue;
        }
        let (amount, after) = take_amount(rest)?;
        let unit = match (after.as_bytes().first(), clock) {
            (Some(b'y'), false) => Unit::Year,
            (Some(b'm'), false) => Unit::Month,
            (Some(b'w'), false) => Unit::Week,
            (Some(b'd'), false) => Unit::Day,
            (Some(b'h'), true) => Unit::Hour,
            (Some(b'm'), true) => Unit::Minute,
            (Some(b's'), true) => Unit::Second,
            _ => return Err(Failure::Syntax),
        };
        sum.add(amount, unit);
        rest = &after[1..];
    }
    sum.interval()
}

/// `1 day -2 hours`, `1-2`, `01:02:03`, `… ago`.
fn parse_words(text: &str) -> Result<IntervalMonthDayNano, Failure> {
    let joined = joined_signs(text);
    let text = joined.trim_ascii_start();
    let mut sum = Sum::default();
    let mut rest = text.strip_prefix('@').unwrap_or(text).trim_ascii_start();
    let mut ago = false;
    let mut units_seen = 0u32;
    if rest.is_empty() {
        return Err(Failure::Syntax);
    }
    while !rest.is_empty() {
        if ago {
            return Err(Failure::Syntax);
        }
        if let Some(after) = rest.strip_prefix("ago") {
            ago = true;
            rest = after.trim_ascii_start();
            continue;
        }
        rest = take_field(rest, &mut sum, &mut units_seen)?.trim_ascii_start();
    }
    if units_seen == 0 {
        return Err(Failure::Syntax);
    }
    if ago {
        sum.months = -sum.months;
        sum.days = -sum.days;
        sum.microseconds = -sum.microseconds;
    }
    sum.interval()
}

/// The text without commas and without blanks between a sign and its number: `1 month, - 1 day` (ParseDateTime
/// of PostgreSQL leaves them out).
fn joined_signs(text: &str) -> Cow<'_, str> {
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let mut pairs = text.as_bytes().windows(2);
    if !text.contains(',') && !pairs.any(|pair| matches!(pair[0], b'-' | b'+') && blank(&pair[1])) {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ',' => joined.push(' '),
            _ if character.is_ascii_whitespace() && joined.ends_with(['-', '+']) => {}
            _ => joined.push(character),
        }
    }
    Cow::Owned(joined)
}

/// One field: a clock, years-months, or a number with its unit. A unit may stand once.
fn take_field<'a>(text: &'a str, sum: &mut Sum, seen: &mut u32) -> Result<&'a str, Failure> {
    let field_end = text
        .find(|character: char| character.is_ascii_whitespace())
        .unwrap_or(text.len());
    let field = &text[..field_end];
    let mut mark = |unit: Unit| {
        let bit = 1 << unit as u32;
        let fresh = *seen & bit == 0;
        *seen |= bit;
        if fresh { Ok(()) } else { Err(Failure::Syntax) }
    };
    if field.contains(':') {
        mark(Unit::Hour)?;
        mark(Unit::Minute)?;
        mark(Unit::Second)?;
        sum.microseconds += i128::from(parse_clock(field)?);
        return Ok(&text[field_end..]);
    }
    let (amount, after) = take_amount(text)?;
    if let Some(months) = after.strip_prefix('-') {
        let (months, after) = take_amount(months)?;
        if months.whole >= MONTHS_PER_YEAR || months.fraction != 0.0 || amount.fraction != 0.0 {
            return Err(Failure::Range);
        }
        mark(Unit::Year)?;
        mark(Unit::Month)?;
        let negative = text.starts_with('-');
        sum.add(amount, Unit::Year);
        sum.months += i128::from(if negative {
            -months.whole
        } else {
            months.whole
        });
        return Ok(after);
    }
    let after = after.trim_ascii_start();
    let word_end = after
        .find(|character: char| !character.is_ascii_alphabetic())
        .unwrap_or(after.len());
    // Before a clock a number alone counts days: `3 04:05:06`.
    let mut next = after.split_ascii_whitespace();
    let unit = match &after[..word_end] {
        "" if next.next().is_some_and(|field| field.contains(':')) => Unit::Day,
        "" => Unit::Second,
        word => unit_named(word).ok_or(Failure::Syntax)?,
    };
    mark(unit)?;
    sum.add(amount, unit);
    Ok(&after[word_end..])
}

fn take_amount(text: &str) -> Result<(Amount, &str), Failure> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let whole_end = digits
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(digits.len());
    let (whole, mut rest) = digits.split_at(whole_end);
    let mut fraction = 0.0;
    let mut fraction_digits = 0;
    if let Some(after) = rest.strip_prefix('.') {
        let end = after
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(after.len());
        fraction_digits = end;
        fraction = format!("0.{}", &after[..end]).parse().unwrap_or(0.0);
        rest = &after[end..];
    }
    if whole.is_empty() && fraction_digits == 0 {
        return Err(Failure::Syntax);
    }
    let whole: i64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| Failure::Range)?,
    };
    let amount = if negative {
        Amount {
            whole: -whole,
            fraction: -fraction,
        }
    } else {
        Amount { whole, fraction }
    };
    Ok((amount, rest))
}

/// `[-]hours:minutes[:seconds[.fraction]]`, in microseconds.
fn parse_clock(field: &str) -> Result<i64, Failure> {
    let (negative, digits) = match field.as_bytes().first() {
        Some(b'-') => (true, &field[1..]),
        Some(b'+') => (false, &field[1..]),
        _ => (false, field),
    };
    let mut parts = digits.split(':');
    let number = |part: Option<&str>| -> Result<i64, Failure> {
        let part = part.ok_or(Failure::Syntax)?;
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Failure::Syntax);
        }
        part.parse().map_err(|_| Failure::Range)
    };
    let hours = number(parts.next())?;
    let minutes = number(parts.next())?;
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(part) => {
            let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
            if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Failure::Syntax);
            }
            (number(Some(whole))?, microseconds_of(fraction.as_bytes()))
        }
    };
    if parts.next().is_some() {
        return Err(Failure::Syntax);
    }
    if minutes > 59 || seconds > 59 {
        return Err(Failure::Range);
    }
    let clock = hours
        .checked_mul(HOUR)
        .and_then(|clock| clock.checked_add(minutes * MINUTE + seconds * SECOND + fraction))
        .ok_or(Failure::Range)?;
    Ok(if negative { -clock } else { clock })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let mut out = BytesMut::new();
        write(parse(text).unwrap(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn intervals_print_as_postgresql_15_prints_them() {
        for (text, expected) in [
            (
                "1 year 2 mons -3 days +04:05:06.789",
                "1 year 2 mons -3 days +04:05:06.789",
            ),
            ("-1 mon 1 day", "-1 mons +1 day"),
            ("0", "00:00:00"),
            ("-00:00:01.5", "-00:00:01.5"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("1.5 years", "1 year 6 mons"),
            ("2.3 weeks", "16 days 02:24:00"),
            ("1-2", "1 year 2 mons"),
            ("P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7"),
            ("@ 1 hour 30 min ago", "-01:30:00"),
            ("90 minutes", "01:30:00"),
            ("100 hours", "100:00:00"),
            ("1 week", "7 days"),
            ("10", "00:00:10"),
            ("1day2hours", "1 day 02:00:00"),
            ("5 ms", "00:00:00.005"),
        ] {
            assert_eq!(printed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for text in [
            "",
            "1 foo",
            "foo",
            "1 day 1 day",
            "ago",
            "P",
            "1:2:3:4",
            "1 day ago 1 hour",
        ] {
            assert_eq!(
                parse(text).unwrap_err().message(),
                format!("invalid input syntax for type interval: \"{text}\"")
            );
        }
        assert_eq!(
            parse("999999999999 years").unwrap_err().message(),
            "interval field value out of range: \"999999999999 years\""
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(months: i32, days: i32, clock in -9_000_000_000_000_000i64..9_000_000_000_000_000) {
            let value = from_parts(months, days, clock).unwrap();
            let mut out = BytesMut::new();
            write(value, &mut out);
            let text = std::str::from_utf8(&out).unwrap();
            proptest::prop_assert_eq!(parse(text).unwrap(), value);
        }

        #[test]
        fn no_text_panics(text in "[0-9a-z:+.@ -]{0,30}") {
            let _ = parse(&text);
        }
    }
}
