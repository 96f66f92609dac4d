//! The fields of a date's or time's text: one lenient reader for all its types, as PostgreSQL's
//! ParseDateTime and DecodeDateTime, with DateStyle ISO, MDY.

use super::calendar::{DAY, Date, HOUR, MINUTE, SECOND, days_of_month};
use super::input_error::{
    INVALID_TIME_ZONE_DISPLACEMENT, datetime_field_out_of_range, invalid_datetime,
};
use super::time_zone;
use crate::diagnostic::{Diagnostic, SqlState};
use chrono_tz::Tz;

/// PostgreSQL's MAXDATELEN and then some: longer texts are no dates.
const DATETIME_BYTES_MAX: usize = 256;
/// The largest displacement PostgreSQL takes, in seconds: 15:59:59.
const DISPLACEMENT_MAX: i32 = 16 * 3_600 - 1;

/// Why a text is no date or time; [`Failure::diagnostic`] words it for the type.
pub enum Failure {
    /// It does not read as one.
    Syntax,
    /// A field is out of its range.
    FieldRange,
    /// As FieldRange where another DateStyle might have read it.
    MonthDayRange,
    /// A zone that is not in the database.
    UnknownZone(String),
    /// A displacement past what PostgreSQL takes.
    Displacement,
}

impl Failure {
    /// As PostgreSQL words it for the type.
    pub fn diagnostic(self, type_name: &str, text: &str) -> Diagnostic {
        match self {
            Failure::Syntax => invalid_datetime(type_name, text),
            Failure::FieldRange => datetime_field_out_of_range(text),
            Failure::MonthDayRange => datetime_field_out_of_range(text)
                .with_hint("Perhaps you need a different \"datestyle\" setting."),
            Failure::UnknownZone(zone) => Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("time zone \"{zone}\" not recognized"),
            ),
            Failure::Displacement => Diagnostic::error(
                INVALID_TIME_ZONE_DISPLACEMENT,
                format!("time zone displacement out of range: \"{text}\""),
            ),
        }
    }
}

/// A zone in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Zone {
    /// Seconds east of UTC.
    Offset(i32),
    /// By its name.
    Named(Tz),
}

/// Words that stand for a whole value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Special {
    /// infinity
    Infinity,
    /// -infinity
    NegativeInfinity,
    /// 1970-01-01 00:00:00+00
    Epoch,
    /// The transaction's time.
    Now,
    /// Midnight so many days from today.
    Day(i64),
}

/// What a text says.
#[derive(Debug, Default)]
pub struct Fields {
    /// The date, checked against the calendar.
    pub date: Option<Date>,
    /// Numbers that are parts of a date written with a month's name.
    loose: Vec<Number>,
    month: Option<u32>,
    /// Microseconds since midnight.
    pub time: Option<i64>,
    pm: Option<bool>,
    /// The zone in the text.
    pub zone: Option<Zone>,
    bc: Option<bool>,
    /// A word for the whole value.
    pub special: Option<Special>,
}

#[derive(Clone, Copy, Debug)]
struct Number {
    value: i64,
    digits: usize,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

fn month_named(word: &str) -> Option<u32> {
    if word == "sept" {
        return Some(9);
    }
    MONTHS
        .iter()
        .position(|month| *month == word || (word.len() == 3 && month.starts_with(word)))
        .map(|index| index as u32 + 1)
}

fn is_day_name(word: &str) -> bool {
    DAYS.iter()
        .any(|day| *day == word || (word.len() >= 3 && word.len() <= 5 && day.starts_with(word)))
}

/// Reads fields from left to right.
struct Reader<'a> {
    rest: &'a [u8],
    fields: Fields,
}

/// The fields of a text.
///
/// # Errors
/// Where it is no date or time.
pub fn read(text: &str) -> Result<Fields, Failure> {
    if text.len() > DATETIME_BYTES_MAX || !text.is_ascii() {
        return Err(Failure::Syntax);
    }
    let mut reader = Reader {
        rest: text.as_bytes(),
        fields: Fields::default(),
    };
    while let Some(first) = reader.next_field() {
        match first {
            b'0'..=b'9' => reader.number()?,
            b'+' | b'-' => reader.signed()?,
            b'a'..=b'z' | b'A'..=b'Z' => reader.word()?,
            _ => return Err(Failure::Syntax),
        }
    }
    let mut fields = reader.fields;
    fields.finish_date()?;
    fields.finish_time()?;
    Ok(fields)
}

impl<'a> Reader<'a> {
    fn next_field(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r' | b',', after @ ..] = self.rest {
            self.rest = after;
        }
        self.rest.first().copied()
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|byte| !keep(*byte))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn take_number(&mut self) -> Result<Number, Failure> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 9 {
            return Err(Failure::Syntax);
        }
        let value = digits
            .iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        Ok(Number {
            value,
            digits: digits.len(),
        })
    }

    fn number(&mut self) -> Result<(), Failure> {
        let start = self.rest;
        let digits = self.take_while(|byte| byte.is_ascii_digit()).len();
        let separator = self.rest.first().copied();
        let follows_t = self.fields.date.is_some() && self.fields.time.is_none();
        match separator {
            Some(b':') => {
                self.rest = start;
                self.clock()
            }
            // An ISO time without colons, after `T` or a space: 030405 or 030405.678.
            _ if follows_t && digits == 6 => {
                self.rest = start;
                self.packed_clock()
            }
            Some(b'-' | b'/' | b'.') if self.rest.len() > 1 => {
                self.rest = start;
                self.date()
            }
            _ if digits == 8 || (digits == 6 && self.fields.month.is_none()) => {
                self.rest = start;
                self.packed_date(digits)
            }
            _ => {
                self.rest = start;
                let number = self.take_number()?;
                self.fields.loose.push(number);
                if self.fields.loose.len() > 2 {
                    return Err(Failure::Syntax);
                }
                Ok(())
            }
        }
    }

    /// year-month-day, or month/day/year; the month may be a name.
    fn date(&mut self) -> Result<(), Failure> {
        let first = self.take_number()?;
        let separator = self.rest[0];
        self.rest = &self.rest[1..];
        if self.rest.first().is_some_and(u8::is_ascii_alphabetic) {
            let word = self.take_while(|byte| byte.is_ascii_alphabetic());
            let word = String::from_utf8_lossy(word).to_ascii_lowercase();
            self.fields.month = Some(month_named(&word).ok_or(Failure::Syntax)?);
            self.fields.loose.push(first);
            return self.skip_separator(separator);
        }
        let second = self.take_number()?;
        self.skip_separator(separator)?;
        let third = self.take_number()?;
        let (year, month, day) = if first.digits > 2 {
            (first, second, third)
        } else {
            (third, first, second)
        };
        self.set_date(year, month.value, day.value)
    }

    fn skip_separator(&mut self, separator: u8) -> Result<(), Failure> {
        match self.rest {
            [found, after @ ..] if *found == separator => {
                self.rest = after;
                Ok(())
            }
            _ => Err(Failure::Syntax),
        }
    }

    fn packed_date(&mut self, digits: usize) -> Result<(), Failure> {
        let number = self.take_number()?.value;
        let year = Number {
            value: number / 10_000,
            digits: digits - 4,
        };
        self.set_date(year, number / 100 % 100, number % 100)
    }

    fn set_date(&mut self, year: Number, month: i64, day: i64) -> Result<(), Failure> {
        if self.fields.date.is_some() {
            return Err(Failure::Syntax);
        }
        if !(1..=12).contains(&month) {
            return Err(Failure::MonthDayRange);
        }
        if !(1..=31).contains(&day) {
            return Err(Failure::MonthDayRange);
        }
        self.fields.date = Some(Date {
            year: full_year(year),
            month: month as u32,
            day: day as u32,
        });
        // `T` between a date and a time.
        if let [b'T' | b't', b'0'..=b'9', ..] = self.rest {
            self.rest = &self.rest[1..];
        }
        Ok(())
    }

    fn clock(&mut self) -> Result<(), Failure> {
        let hour = self.take_number()?.value;
        self.skip_separator(b':')?;
        let minute = self.take_number()?.value;
        let mut seconds = 0;
        let mut fraction = 0;
        if let [b':', after @ ..] = self.rest {
            self.rest = after;
            seconds = self.take_number()?.value;
            fraction = self.fraction()?;
        }
        self.set_clock(hour, minute, seconds, fraction)
    }

    fn packed_clock(&mut self) -> Result<(), Failure> {
        let number = self.take_number()?.value;
        let fraction = self.fraction()?;
        self.set_clock(number / 10_000, number / 100 % 100, number % 100, fraction)
    }

    /// Microseconds of `.678`, rounded; nothing where there is no point.
    fn fraction(&mut self) -> Result<i64, Failure> {
        let [b'.', after @ ..] = self.rest else {
            return Ok(0);
        };
        self.rest = after;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        Ok(microseconds_of(digits))
    }

    fn set_clock(
        &mut self,
        hour: i64,
        minute: i64,
        second: i64,
        fraction: i64,
    ) -> Result<(), Failure> {
        if self.fields.time.is_some() {
            return Err(Failure::Syntax);
        }
        let time = hour * HOUR + minute * MINUTE + second * SECOND + fraction;
        if minute > 59 || second > 60 || time > DAY {
            return Err(Failure::FieldRange);
        }
        self.fields.time = Some(time);
        Ok(())
    }

    /// A displacement after a time, or `-infinity`.
    fn signed(&mut self) -> Result<(), Failure> {
        let negative = self.rest[0] == b'-';
        self.rest = &self.rest[1..];
        if self.rest.first().is_some_and(u8::is_ascii_alphabetic) {
            let word = self.take_while(|byte| byte.is_ascii_alphabetic());
            return match word.eq_ignore_ascii_case(b"infinity") {
                true if negative => self.set_special(Special::NegativeInfinity),
                true => self.set_special(Special::Infinity),
                false => Err(Failure::Syntax),
            };
        }
        if self.fields.time.is_none() || self.fields.zone.is_some() {
            return Err(Failure::Syntax);
        }
        let seconds = self.displacement()?;
        self.fields.zone = Some(Zone::Offset(if negative { -seconds } else { seconds }));
        Ok(())
    }

    fn displacement(&mut self) -> Result<i32, Failure> {
        let first = self.take_number()?;
        let (mut hours, mut minutes, mut seconds) = (first.value, 0, 0);
        if let [b':', after @ ..] = self.rest {
            self.rest = after;
            minutes = self.take_number()?.value;
            if let [b':', after @ ..] = self.rest {
                self.rest = after;
                seconds = self.take_number()?.value;
            }
        } else if first.digits > 2 {
            (hours, minutes) = (first.value / 100, first.value % 100);
        }
        let total = hours * 3_600 + minutes * 60 + seconds;
        if minutes > 59 || seconds > 59 || total > i64::from(DISPLACEMENT_MAX) {
            return Err(Failure::Displacement);
        }
        Ok(total as i32)
    }

    fn word(&mut self) -> Result<(), Failure> {
        let start = self.rest;
        let word = self.take_while(|byte| byte.is_ascii_alphabetic());
        let lower = String::from_utf8_lossy(word).to_ascii_lowercase();
        if let [b'/' | b'_', ..] = self.rest {
            self.rest = start;
            return self.zone_name();
        }
        if let Some(month) = month_named(&lower) {
            if self.fields.month.is_some() || self.fields.date.is_some() {
                return Err(Failure::Syntax);
            }
            self.fields.month = Some(month);
            // `Jan-02-2024`
            if let [b'-', b'0'..=b'9', ..] = self.rest {
                self.rest = &self.rest[1..];
            }
            return Ok(());
        }
        match lower.as_str() {
            "am" | "pm" => self.fields.pm = Some(lower == "pm"),
            "bc" | "ad" => self.fields.bc = Some(lower == "bc"),
            "t" if self.fields.date.is_some() => {}
            "infinity" => return self.set_special(Special::Infinity),
            "epoch" => return self.set_special(Special::Epoch),
            "now" => return self.set_special(Special::Now),
            "today" => return self.set_special(Special::Day(0)),
            "tomorrow" => return self.set_special(Special::Day(1)),
            "yesterday" => return self.set_special(Special::Day(-1)),
            "allballs" => self.fields.time = Some(0),
            "on" | "at" => {}
            word if is_day_name(word) => {}
            word => return self.zone_word(word, start),
        }
        Ok(())
    }

    fn zone_word(&mut self, word: &str, start: &'a [u8]) -> Result<(), Failure> {
        if let Some(offset) = time_zone::abbreviation(word) {
            return self.set_zone(Zone::Offset(offset));
        }
        self.rest = start;
        self.zone_name()
    }

    fn zone_name(&mut self) -> Result<(), Failure> {
        let name = self.take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'+' | b'-')
        });
        let name = String::from_utf8_lossy(name);
        match time_zone::by_name(&name) {
            Some(zone) => self.set_zone(Zone::Named(zone)),
            None if name.contains('/') => Err(Failure::UnknownZone(name.to_ascii_lowercase())),
            None => Err(Failure::Syntax),
        }
    }

    fn set_zone(&mut self, zone: Zone) -> Result<(), Failure> {
        if self.fields.zone.replace(zone).is_some() {
            return Err(Failure::Syntax);
        }
        Ok(())
    }

    fn set_special(&mut self, special: Special) -> Result<(), Failure> {
        if self.fields.special.replace(special).is_some() {
            return Err(Failure::Syntax);
        }
        Ok(())
    }
}

/// Microseconds of the digits behind a point, rounded half up.
pub fn microseconds_of(digits: &[u8]) -> i64 {
    let mut value = 0;
    for place in 0..6 {
        value = value * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    value + i64::from(digits.get(6).is_some_and(|digit| *digit >= b'5'))
}

/// Two digits mean 1970 to 2069.
fn full_year(year: Number) -> i64 {
    match (year.digits, year.value) {
        (..=2, 0..=69) => year.value + 2_000,
        (..=2, _) => year.value + 1_900,
        _ => year.value,
    }
}

impl Fields {
    fn finish_date(&mut self) -> Result<(), Failure> {
        if let Some(month) = self.month {
            // `2 Jan 2024`, `Jan 2, 2024` and `2024 Jan 2`: the year is what cannot be a day.
            let [first, second] = self.loose[..] else {
                return Err(Failure::Syntax);
            };
            let (year, day) = if first.digits > 2 || first.value > 31 {
                (first, second)
            } else {
                (second, first)
            };
            if self.date.is_some() {
                return Err(Failure::Syntax);
            }
            self.date = Some(Date {
                year: full_year(year),
                month,
                day: day.value.try_into().map_err(|_| Failure::FieldRange)?,
            });
        } else if !self.loose.is_empty() {
            return Err(Failure::Syntax);
        }
        if let Some(date) = &mut self.date {
            if self.bc == Some(true) {
                date.year = 1 - date.year;
            } else if date.year == 0 {
                return Err(Failure::FieldRange);
            }
            if date.day == 0 || date.day > days_of_month(date.year, date.month) {
                return Err(Failure::FieldRange);
            }
        } else if self.bc.is_some() {
            return Err(Failure::Syntax);
        }
        Ok(())
    }

    fn finish_time(&mut self) -> Result<(), Failure> {
        let Some(pm) = self.pm else {
            return Ok(());
        };
        let time = self.time.as_mut().ok_or(Failure::Syntax)?;
        let hour = *time / HOUR;
        if hour > 12 || hour == 0 {
            return Err(Failure::FieldRange);
        }
        match (pm, hour) {
            (true, 12) | (false, 1..12) => {}
            (true, _) => *time += 12 * HOUR,
            (false, _) => *time -= 12 * HOUR,
        }
        Ok(())
    }

    /// Local microseconds since 1970, of the date and the time in the text.
    ///
    /// # Errors
    /// Where there is no date.
    pub fn local(&self) -> Result<i128, Failure> {
        let date = self.date.ok_or(Failure::Syntax)?;
        Ok(i128::from(date.to_days()) * i128::from(DAY) + i128::from(self.time.unwrap_or(0)))
    }
}
