//! Dates and times read by a template: to_timestamp(), to_date().

use super::pattern::{DAYS, MONTHS, Part, ROMAN, parts};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types::calendar::{DAY, Date, HOUR, MINUTE, SECOND, days_of_month};
use chrono::{NaiveDate, Weekday};

/// What a text says.
#[derive(Debug)]
pub struct Read {
    /// Microseconds of the local clock.
    pub local: i64,
    /// Seconds east of UTC, where it says so.
    pub offset: Option<i32>,
}

#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    clock_face: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    before_christ: bool,
    offset_sign: i32,
    offset_hours: Option<i32>,
    offset_minutes: i32,
}

fn invalid(value: &str, pattern: &str, detail: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::new("22007"),
        format!("invalid value \"{value}\" for \"{pattern}\""),
    )
    .with_detail(detail)
}

fn out_of_range(text: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{text}\""),
    )
}

/// Reads a text by a template.
///
/// # Errors
/// 22007 for what a pattern does not read, 22008 for what no calendar has.
pub fn read(text: &str, template: &str) -> Result<Read, Diagnostic> {
    let mut fields = Fields::default();
    let mut rest = text.trim_ascii_start();
    let parts = parts(template);
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Literal(literal) => rest = past(rest, literal),
            Part::Pattern {
                name,
                written,
                fill,
                ..
            } => {
                rest = rest.trim_ascii_start();
                if rest.is_empty() {
                    break;
                }
                // Only before another number does a pattern's width end a number.
                let adjacent = matches!(
                    parts.get(index + 1),
                    Some(Part::Pattern { name, .. }) if width(name) > 0
                );
                let limit = if adjacent && !fill {
                    width(name)
                } else {
                    usize::MAX
                };
                rest = one(name, written, rest, limit, &mut fields)?;
            }
        }
    }
    finish(&fields, text)
}

/// Past what stands in the text for a literal: letters for letters, signs and blanks for signs.
fn past<'t>(mut rest: &'t str, literal: &str) -> &'t str {
    for letter in literal.chars() {
        if letter.is_ascii_whitespace() || letter.is_ascii_punctuation() {
            rest = rest.trim_ascii_start();
            let sign = rest.chars().next().filter(char::is_ascii_punctuation);
            let is_sign = sign.is_some_and(|sign| !matches!(sign, '+' | '-') || sign == letter);
            if is_sign {
                rest = &rest[1..];
            }
        } else {
            let mut letters = rest.chars();
            letters.next();
            rest = letters.as_str();
        }
    }
    rest
}

fn width(name: &str) -> usize {
    match name {
        "YYYY" | "IYYY" => 4,
        "YYY" | "MS" | "DDD" | "FF3" => 3,
        "US" | "FF6" => 6,
        "HH24" | "HH12" | "HH" | "MI" | "SS" | "MM" | "DD" | "YY" | "TZH" | "TZM" => 2,
        "Y" | "D" | "Q" => 1,
        _ => 0,
    }
}

/// A number at the beginning, of at most so many digits.
fn number<'t>(
    rest: &'t str,
    pattern: &str,
    limit: usize,
) -> Result<(i64, usize, &'t str), Diagnostic> {
    let negative = rest.starts_with('-');
    let digits = rest.trim_start_matches(['-', '+']);
    let count = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count()
        .min(limit);
    if count == 0 {
        let shown: String = rest.chars().take(pattern.len().max(1)).collect();
        return Err(invalid(&shown, pattern, "Value must be an integer."));
    }
    let (digits, after) = digits.split_at(count);
    let value: i64 = digits.parse().map_err(|_| {
        Diagnostic::error(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("value for \"{pattern}\" in source string is out of range"),
        )
    })?;
    Ok((if negative { -value } else { value }, count, after))
}

/// The place of the name at the beginning, by its first letters.
fn name<'t>(
    rest: &'t str,
    pattern: &str,
    names: &[&str],
    letters: Option<usize>,
) -> Result<(usize, &'t str), Diagnostic> {
    for (place, name) in names.iter().enumerate() {
        let wanted = &name[..letters.unwrap_or(name.len())];
        let begin = rest.as_bytes().get(..wanted.len());
        if begin.is_some_and(|begin| begin.eq_ignore_ascii_case(wanted.as_bytes())) {
            return Ok((place, &rest[wanted.len()..]));
        }
    }
    let shown: String = rest.chars().take(pattern.len()).collect();
    Err(invalid(
        &shown,
        pattern,
        "The given value did not match any of the allowed values for this field.",
    ))
}

fn one<'t>(
    pattern: &str,
    written: &str,
    rest: &'t str,
    limit: usize,
    fields: &mut Fields,
) -> Result<&'t str, Diagnostic> {
    let fraction = |limit: usize| -> Result<(i64, &'t str), Diagnostic> {
        let (value, digits, rest) = number(rest, pattern, limit)?;
        // Digits stand behind a point: .5 is 500 thousandths.
        Ok((value * 10i64.pow(6 - digits.min(6) as u32), rest))
    };
    let plain = || number(rest, pattern, limit);
    match pattern {
        "MONTH" | "MON" => {
            let letters = (pattern == "MON").then_some(3);
            let (place, rest) = name(rest, pattern, &MONTHS, letters)?;
            fields.month = Some(place as i64 + 1);
            return Ok(rest);
        }
        "DAY" => return Ok(name(rest, pattern, &DAYS, None)?.1),
        "DY" => return Ok(name(rest, pattern, &DAYS, Some(3))?.1),
        "RM" => {
            // The longest first: VIII is not V.
            let mut order: Vec<usize> = (0..ROMAN.len()).collect();
            order.sort_by_key(|place| std::cmp::Reverse(ROMAN[*place].len()));
            let names: Vec<&str> = order.iter().map(|place| ROMAN[*place]).collect();
            let (place, rest) = name(rest, pattern, &names, None)?;
            fields.month = Some(order[place] as i64 + 1);
            return Ok(rest);
        }
        "AM" | "PM" => {
            let (place, rest) = name(rest, written, &["AM", "PM"], None)?;
            fields.afternoon = Some(place == 1);
            return Ok(rest);
        }
        "A.M." | "P.M." => {
            let (place, rest) = name(rest, written, &["A.M.", "P.M."], None)?;
            fields.afternoon = Some(place == 1);
            return Ok(rest);
        }
        "BC" | "AD" => {
            let (place, rest) = name(rest, written, &["AD", "BC"], None)?;
            fields.before_christ = place == 1;
            return Ok(rest);
        }
        "MS" | "FF3" => {
            let (micros, rest) = fraction(3)?;
            fields.micros = micros;
            return Ok(rest);
        }
        "US" | "FF6" => {
            let (micros, rest) = fraction(6)?;
            fields.micros = micros;
            return Ok(rest);
        }
        "TZH" => {
            fields.offset_sign = if rest.starts_with('-') { -1 } else { 1 };
            let (value, _, rest) = number(rest, pattern, 2)?;
            fields.offset_hours = i32::try_from(value.abs()).ok();
            return Ok(rest);
        }
        "TZM" => {
            let (value, _, rest) = number(rest, pattern, 2)?;
            fields.offset_minutes = i32::try_from(value).unwrap_or(0);
            return Ok(rest);
        }
        "TZ" | "OF" => {
            return Err(Diagnostic::unsupported(format!(
                "formatting field \"{pattern}\" is only supported in to_char: it"
            )));
        }
        _ => {}
    }
    let (value, digits, after) = plain()?;
    match pattern {
        "YYYY" | "IYYY" => fields.year = Some(value),
        "YYY" | "YY" | "Y" | "IYY" | "IY" | "I" => fields.year = Some(full_year(value, digits)),
        "WW" => fields.day_of_year = Some((value - 1) * DAYS_PER_WEEK + 1),
        "W" => fields.day = Some((value - 1) * DAYS_PER_WEEK + 1),
        "IW" => fields.iso_week = Some(value),
        "ID" => fields.iso_day = Some(value),
        "CC" | "IDDD" => {
            return Err(Diagnostic::unsupported(format!(
                "formatting field \"{pattern}\" when it is read"
            )));
        }
        "MM" => fields.month = Some(value),
        "DD" => fields.day = Some(value),
        "DDD" => fields.day_of_year = Some(value),
        "J" => fields.julian = Some(value),
        "HH24" => fields.hour = value,
        "HH12" | "HH" => {
            fields.hour = value;
            fields.clock_face = true;
        }
        "MI" => fields.minute = value,
        "SS" => fields.second = value,
        "SSSS" | "SSSSS" => {
            fields.hour = value / 3_600;
            fields.minute = value / 60 % 60;
            fields.second = value % 60;
        }
        _ => {}
    }
    Ok(after)
}

/// Years of fewer than four digits are those nearest to 2020.
fn full_year(value: i64, digits: usize) -> i64 {
    match (digits, value) {
        (4.., value) => value,
        (_, 0..70) => value + 2_000,
        (_, 70..100) => value + 1_900,
        (_, 100..520) => value + 2_000,
        (_, 520..1_000) => value + 1_000,
        (_, value) => value,
    }
}

const DAYS_PER_WEEK: i64 = 7;

/// Days from the epoch of a day of a week of an ISO year.
fn days_of_week(year: i64, week: i64, day: i64) -> Option<i64> {
    let week = u32::try_from(week).ok()?;
    let day = Weekday::try_from(u8::try_from(day.checked_sub(1)?).ok()?).ok()?;
    let date = NaiveDate::from_isoywd_opt(i32::try_from(year).ok()?, week, day)?;
    Some(i64::from(date.to_epoch_days()))
}

fn finish(fields: &Fields, text: &str) -> Result<Read, Diagnostic> {
    let wrong = || out_of_range(text);
    let mut hour = fields.hour;
    if fields.clock_face {
        if !(1..=12).contains(&hour) {
            return Err(Diagnostic::error(
                SqlState::new("22007"),
                format!("hour \"{hour}\" is invalid for the 12-hour clock"),
            )
            .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        match fields.afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
    }
    if !(0..24).contains(&hour)
        || !(0..60).contains(&fields.minute)
        || !(0..60).contains(&fields.second)
    {
        return Err(wrong());
    }
    let year = match fields.year.unwrap_or(1) {
        year if fields.before_christ && year > 0 => 1 - year,
        year if fields.year == Some(0) => year,
        year => year,
    };
    let days = match (fields.julian, fields.day_of_year, fields.iso_week) {
        (Some(julian), ..) => julian - 2_440_588,
        (None, _, Some(week)) => {
            let day = fields.iso_day.unwrap_or(1);
            days_of_week(year, week, day).ok_or_else(wrong)?
        }
        (None, Some(number), None) => {
            let leap = days_of_month(year, 2) == 29;
            if !(1..=365 + i64::from(leap)).contains(&number) {
                return Err(wrong());
            }
            Date {
                year,
                month: 1,
                day: 1,
            }
            .to_days()
                + number
                - 1
        }
        _ => {
            let month = fields.month.unwrap_or(1);
            let day = fields.day.unwrap_or(1);
            let month = u32::try_from(month)
                .ok()
                .filter(|month| (1..=12).contains(month));
            let month = month.ok_or_else(wrong)?;
            let last = days_of_month(year, month);
            let day = u32::try_from(day)
                .ok()
                .filter(|day| (1..=last).contains(day));
            Date {
                year,
                month,
                day: day.ok_or_else(wrong)?,
            }
            .to_days()
        }
    };
    let time = hour * HOUR + fields.minute * MINUTE + fields.second * SECOND + fields.micros;
    let local = days.checked_mul(DAY).and_then(|at| at.checked_add(time));
    Ok(Read {
        local: local.ok_or_else(wrong)?,
        offset: fields
            .offset_hours
            .map(|hours| fields.offset_sign * (hours * 3_600 + fields.offset_minutes * 60)),
    })
}
