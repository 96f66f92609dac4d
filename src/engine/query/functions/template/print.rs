//! Dates, times and intervals by a template.

use super::pattern::{DAYS, MONTHS, Part, ROMAN, in_case, parts};
use crate::engine::types::calendar::{DAY, Date, HOUR, MINUTE, SECOND};
use crate::engine::types::time_zone;
use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

/// What is printed.
pub struct Moment {
    /// Astronomical.
    year: i64,
    month: i64,
    day: i64,
    time: i64,
    days: Option<i64>,
    offset: i32,
    zone: String,
}

impl Moment {
    /// A timestamp, or one of a zone; None of infinities.
    pub fn new(at: i64, zone: Option<Tz>) -> Option<Moment> {
        if matches!(at, i64::MAX | i64::MIN) {
            return None;
        }
        let offset = zone.map_or(0, |zone| time_zone::offset_at(zone, at));
        let local = at + i64::from(offset) * SECOND;
        let days = local.div_euclid(DAY);
        let date = Date::from_days(days);
        let abbreviation = zone.and_then(|zone| time_zone::name_at(zone, at));
        Some(Moment {
            year: date.year,
            month: date.month.into(),
            day: date.day.into(),
            time: local.rem_euclid(DAY),
            days: Some(days),
            offset,
            zone: abbreviation.unwrap_or_default(),
        })
    }

    /// An interval: its hours may be more than a day's.
    pub fn of_interval(months: i32, days: i32, micros: i64) -> Moment {
        Moment {
            year: i64::from(months / 12),
            month: i64::from(months % 12),
            day: days.into(),
            time: micros,
            days: None,
            offset: 0,
            zone: String::new(),
        }
    }

    fn hour(&self) -> i64 {
        self.time / HOUR
    }

    /// On a clock's face.
    fn hour12(&self) -> i64 {
        match self.hour() % 12 {
            0 => 12,
            hour => hour,
        }
    }

    fn chrono(&self) -> Option<NaiveDate> {
        NaiveDate::from_epoch_days(i32::try_from(self.days?).ok()?)
    }

    fn year_of_era(&self) -> i64 {
        match self.days {
            Some(_) if self.year <= 0 => 1 - self.year,
            _ => self.year,
        }
    }
}

/// The text.
pub fn print(moment: &Moment, template: &str) -> String {
    let mut out = String::with_capacity(template.len() + 16);
    for part in parts(template) {
        match part {
            Part::Literal(text) => out.push_str(&text),
            Part::Pattern {
                name,
                written,
                fill,
                ordinal,
            } => {
                let start = out.len();
                pattern(moment, name, &written, fill, &mut out);
                if let Some(ordinal) = ordinal {
                    let suffix = suffix(&out[start..]);
                    let upper = ordinal.starts_with('T');
                    out.push_str(&if upper {
                        suffix.to_uppercase()
                    } else {
                        suffix.to_owned()
                    });
                }
            }
        }
    }
    out
}

fn suffix(number: &str) -> &'static str {
    let digits = number.as_bytes();
    let tens = digits.len().checked_sub(2).map(|at| digits[at]);
    match (tens, digits.last()) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

fn pattern(moment: &Moment, name: &str, written: &str, fill: bool, out: &mut String) {
    let number = |value: i64, width: usize, out: &mut String| {
        let width = match fill {
            true => 0,
            // A sign is one more.
            false => width + usize::from(value < 0),
        };
        out.push_str(&format!("{value:0width$}"));
    };
    let word = |word: &str, width: usize, out: &mut String| {
        let cased = in_case(word, written);
        match fill {
            true => out.push_str(&cased),
            false => out.push_str(&format!("{cased:width$}")),
        }
    };
    let date = moment.chrono();
    let of_date = |of: fn(&NaiveDate) -> i64| date.as_ref().map_or(0, of);
    let seconds = moment.time / SECOND;
    let micros = moment.time % SECOND;
    let week_day = of_date(|date| date.weekday().num_days_from_sunday().into());
    match name {
        "HH24" => number(moment.hour(), 2, out),
        "HH12" | "HH" => number(moment.hour12(), 2, out),
        "MI" => number(moment.time / MINUTE % 60, 2, out),
        "SS" => number(seconds % 60, 2, out),
        "MS" | "FF3" => number(micros / 1_000, 3, out),
        "US" | "FF6" => number(micros, 6, out),
        "FF1" => number(micros / 100_000, 1, out),
        "FF2" => number(micros / 10_000, 2, out),
        "FF4" => number(micros / 100, 4, out),
        "FF5" => number(micros / 10, 5, out),
        "SSSSS" | "SSSS" => out.push_str(&seconds.to_string()),
        "AM" | "PM" | "A.M." | "P.M." => {
            let afternoon = moment.hour() % 24 >= 12;
            let half = match (name.len() > 2, afternoon) {
                (false, false) => "AM",
                (false, true) => "PM",
                (true, false) => "A.M.",
                (true, true) => "P.M.",
            };
            out.push_str(&as_written(half, written));
        }
        "BC" | "AD" | "B.C." | "A.D." => {
            let before = moment.year <= 0 && moment.days.is_some();
            let era = match (name.len() > 2, before) {
                (false, true) => "BC",
                (false, false) => "AD",
                (true, true) => "B.C.",
                (true, false) => "A.D.",
            };
            out.push_str(&as_written(era, written));
        }
        "Y,YYY" => {
            let year = moment.year_of_era();
            out.push_str(&format!("{},{:03}", year / 1_000, year % 1_000));
        }
        "YYYY" => number(moment.year_of_era(), 4, out),
        "YYY" => number(moment.year_of_era() % 1_000, 3, out),
        "YY" => number(moment.year_of_era() % 100, 2, out),
        "Y" => number(moment.year_of_era() % 10, 1, out),
        "IYYY" => number(of_date(|date| date.iso_week().year().into()), 4, out),
        "IYY" => number(
            of_date(|date| date.iso_week().year().into()) % 1_000,
            3,
            out,
        ),
        "IY" => number(of_date(|date| date.iso_week().year().into()) % 100, 2, out),
        "I" => number(of_date(|date| date.iso_week().year().into()) % 10, 1, out),
        "MONTH" | "MON" if moment.month >= 1 => {
            let month = MONTHS[(moment.month - 1) as usize % 12];
            match name {
                "MON" => out.push_str(&in_case(&month[..3], written)),
                _ => word(month, 9, out),
            }
        }
        "RM" if moment.month >= 1 => word(ROMAN[(moment.month - 1) as usize % 12], 4, out),
        "MM" => number(moment.month, 2, out),
        "DAY" => word(DAYS[week_day as usize], 9, out),
        "DY" => out.push_str(&in_case(&DAYS[week_day as usize][..3], written)),
        "DDD" => number(of_date(|date| date.ordinal().into()), 3, out),
        "IDDD" => {
            let number_of = of_date(|date| {
                let week: i64 = date.iso_week().week().into();
                (week - 1) * 7 + i64::from(date.weekday().number_from_monday())
            });
            number(number_of, 3, out);
        }
        // An interval's days may be negative, and PostgreSQL leaves no room for their sign.
        "DD" if moment.day < 0 => number(moment.day, 1, out),
        "DD" => number(moment.day, 2, out),
        "D" => number(week_day + 1, 1, out),
        "ID" => number(
            of_date(|date| date.weekday().number_from_monday().into()),
            1,
            out,
        ),
        "W" => number((moment.day - 1) / 7 + 1, 1, out),
        "WW" => number((of_date(|date| date.ordinal().into()) - 1) / 7 + 1, 2, out),
        "IW" => number(of_date(|date| date.iso_week().week().into()), 2, out),
        "CC" => {
            let century = match moment.year {
                year if year > 0 => (year - 1) / 100 + 1,
                year => (year + 99).div_euclid(100) - 1,
            };
            number(century, 2, out);
        }
        "J" => number(
            moment.days.map_or(0, |days| days + JULIAN_DAY_OF_EPOCH),
            0,
            out,
        ),
        "Q" if moment.month >= 1 => number((moment.month - 1) / 3 + 1, 1, out),
        "TZ" => match written.starts_with('t') {
            true => out.push_str(&moment.zone.to_lowercase()),
            false => out.push_str(&moment.zone),
        },
        "TZH" | "TZM" | "OF" => offset(moment.offset, name, out),
        _ => {}
    }
}

/// The Julian day of 1970-01-01.
const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;

fn offset(seconds: i32, name: &str, out: &mut String) {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60);
    match name {
        "TZH" => out.push_str(&format!("{sign}{hours:02}")),
        "TZM" => out.push_str(&format!("{minutes:02}")),
        _ if minutes != 0 => out.push_str(&format!("{sign}{hours:02}:{minutes:02}")),
        _ => out.push_str(&format!("{sign}{hours:02}")),
    }
}

fn as_written(word: &str, written: &str) -> String {
    match written.starts_with(char::is_lowercase) {
        true => word.to_lowercase(),
        false => word.to_owned(),
    }
}
