//! From what SET is given to the value that SHOW prints: one canonical text for each meaning.

use super::known::{Change, Kind, Known, Unit};
use crate::diagnostic::{Diagnostic, SqlState};
use std::str::FromStr;

/// The longest value kept, in bytes; PostgreSQL has no bound, a session's memory has.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// NAMEDATALEN - 1: application_name is cut to it, as PostgreSQL cuts it.
const NAME_BYTES_MAX: usize = 63;

/// The canonical text of a value that the session wants to set.
///
/// # Errors
/// 22023 for a value the setting does not take, 55P02 for a setting nobody changes, 0A000 for a
/// value whose effect does not exist.
pub fn canonical(known: &Known, value: &str) -> Result<String, Diagnostic> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("value of parameter \"{}\" is too long", known.name),
        ));
    }
    let text = parse(known, value)?;
    match known.change {
        Change::Anybody => Ok(text),
        Change::OnlyThis if text == known.default => Ok(text),
        Change::OnlyThis => Err(Diagnostic::unsupported(format_args!(
            "{} = {text}",
            known.name
        ))),
        Change::Nobody => Err(Diagnostic::error(
            SqlState::CANT_CHANGE_RUNTIME_PARAM,
            format!("parameter \"{}\" cannot be changed", known.name),
        )),
    }
}

fn parse(known: &Known, value: &str) -> Result<String, Diagnostic> {
    match known.kind {
        Kind::Bool => boolean(known, value),
        Kind::Integer { unit, min, max } => integer(known, value, unit, min, max),
        Kind::Real => match f64::from_str(value.trim()) {
            Ok(number) if number.is_finite() => Ok(number.to_string()),
            _ => Err(invalid(known, value)),
        },
        Kind::Enum(words) => word(known, value, words),
        Kind::Text if known.name == "application_name" => Ok(application_name(value)),
        Kind::Text => Ok(value.to_owned()),
        Kind::SearchPath => match value.matches(',').count() < PATH_NAMES_MAX {
            true => Ok(value.to_owned()),
            false => Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("search_path names more than {PATH_NAMES_MAX} schemas"),
            )),
        },
        Kind::TimeZone => time_zone(value)
            .map(|zone| zone.name().to_owned())
            .ok_or_else(|| invalid(known, value)),
        Kind::DateStyle => date_style(known, value),
        Kind::Encoding => encoding(known, value),
        Kind::Isolation => isolation(known, value),
        Kind::Tenant => u32::from_str(value.trim())
            .map(|id| id.to_string())
            .map_err(|_| invalid(known, value)),
    }
}

/// The most schemas that a search_path leads through: each lookup may go through all of them.
const PATH_NAMES_MAX: usize = 1_024;

fn invalid(known: &Known, value: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_PARAMETER_VALUE,
        format!(
            "invalid value for parameter \"{}\": \"{value}\"",
            known.name
        ),
    )
}

/// PostgreSQL's `parse_bool`: unambiguous prefixes of true, false, yes, no, on, off, and 1, 0.
pub fn boolean_of(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    let is_prefix = |word: &str, min: usize| value.len() >= min && word.starts_with(&value);
    match value.as_str() {
        "1" => Some(true),
        "0" => Some(false),
        _ if is_prefix("true", 1) || is_prefix("yes", 1) || is_prefix("on", 2) => Some(true),
        _ if is_prefix("false", 1) || is_prefix("no", 1) || is_prefix("off", 2) => Some(false),
        _ => None,
    }
}

fn boolean(known: &Known, value: &str) -> Result<String, Diagnostic> {
    match boolean_of(value) {
        Some(true) => Ok("on".to_owned()),
        Some(false) => Ok("off".to_owned()),
        None => Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("parameter \"{}\" requires a Boolean value", known.name),
        )),
    }
}

fn word(known: &Known, value: &str, words: &[&str]) -> Result<String, Diagnostic> {
    if let Some(word) = words
        .iter()
        .find(|word| word.eq_ignore_ascii_case(value.trim()))
    {
        return Ok((*word).to_owned());
    }
    if known.change == Change::OnlyThis {
        return Err(Diagnostic::unsupported(format_args!(
            "{} = {value}",
            known.name
        )));
    }
    Err(invalid(known, value).with_hint(format!("Available values: {}.", words.join(", "))))
}

/// A unit's name, and how many of the smallest unit of its family it is.
const TIME_UNITS: &[(&str, i64)] = &[
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];
const MEMORY_UNITS: &[(&str, i64)] = &[
    ("TB", 1 << 40),
    ("GB", 1 << 30),
    ("MB", 1 << 20),
    ("kB", 1 << 10),
    ("B", 1),
];

fn family(unit: Unit) -> (&'static [(&'static str, i64)], i64) {
    match unit {
        Unit::None => (&[], 1),
        Unit::Milliseconds => (TIME_UNITS, 1_000),
        Unit::Seconds => (TIME_UNITS, 1_000_000),
        Unit::Kilobytes => (MEMORY_UNITS, 1 << 10),
        Unit::Pages => (MEMORY_UNITS, 8 << 10),
    }
}

fn integer(
    known: &Known,
    value: &str,
    unit: Unit,
    min: i64,
    max: i64,
) -> Result<String, Diagnostic> {
    let (units, base) = family(unit);
    let text = value.trim();
    let digits = text
        .find(|character: char| !matches!(character, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number = f64::from_str(number).map_err(|_| invalid(known, value))?;
    let suffix = suffix.trim();
    let scaled = if suffix.is_empty() {
        number
    } else {
        let Some((_, factor)) = units.iter().find(|(name, _)| *name == suffix) else {
            let names: Vec<String> = units
                .iter()
                .rev()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            let error = invalid(known, value);
            return Err(if names.is_empty() {
                error
            } else {
                error.with_hint(format!(
                    "Valid units for this parameter are {}.",
                    names.join(", ")
                ))
            });
        };
        number * *factor as f64 / base as f64
    };
    let rounded = scaled.round_ties_even();
    if !(min as f64..=max as f64).contains(&rounded) {
        return Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "{rounded} is outside the valid range for parameter \"{}\" ({min} .. {max})",
                known.name
            ),
        ));
    }
    Ok(print_integer(rounded as i64, unit))
}

/// As SHOW prints it: in the largest unit that leaves a whole number.
fn print_integer(number: i64, unit: Unit) -> String {
    let (units, base) = family(unit);
    if number == 0 || units.is_empty() {
        return number.to_string();
    }
    let smallest = number * base;
    units
        .iter()
        .find(|(_, factor)| smallest % factor == 0)
        .map_or_else(
            || number.to_string(),
            |(name, factor)| format!("{}{name}", smallest / factor),
        )
}

/// A canonical number with its unit, in the setting's base unit (milliseconds for timeouts).
pub fn base_units(canonical: &str, unit: Unit) -> i64 {
    let (units, base) = family(unit);
    let digits = canonical
        .find(|character: char| !matches!(character, '0'..='9' | '-'))
        .unwrap_or(canonical.len());
    let (number, suffix) = canonical.split_at(digits);
    let number = i64::from_str(number).unwrap_or(0);
    match units.iter().find(|(name, _)| *name == suffix) {
        Some((_, factor)) => number * factor / base,
        None => number,
    }
}

fn application_name(value: &str) -> String {
    let mut end = value.len().min(NAME_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end]
        .chars()
        .map(|character| {
            if matches!(character, ' '..='~') {
                character
            } else {
                '?'
            }
        })
        .collect()
}

/// An IANA name, without regard to case, or PostgreSQL's spellings of UTC.
pub fn time_zone(value: &str) -> Option<chrono_tz::Tz> {
    let value = value.trim();
    if let Ok(zone) = chrono_tz::Tz::from_str(value) {
        return Some(zone);
    }
    const UTC: [&str; 7] = ["z", "zulu", "default", "localtime", "0", "+00", "+00:00"];
    if UTC.iter().any(|name| name.eq_ignore_ascii_case(value)) {
        return Some(chrono_tz::Tz::UTC);
    }
    chrono_tz::TZ_VARIANTS
        .iter()
        .find(|zone| zone.name().eq_ignore_ascii_case(value))
        .copied()
}

fn date_style(known: &Known, value: &str) -> Result<String, Diagnostic> {
    for part in value.split(',').map(str::trim) {
        match part.to_ascii_lowercase().as_str() {
            "iso" | "mdy" | "us" | "noneuro" | "noneuropean" | "default" => {}
            "sql" | "postgres" | "german" | "dmy" | "ymd" | "euro" | "european" => {
                return Err(Diagnostic::unsupported(format_args!("DateStyle {part}")));
            }
            _ => return Err(invalid(known, value)),
        }
    }
    Ok(known.default.to_owned())
}

fn encoding(known: &Known, value: &str) -> Result<String, Diagnostic> {
    let plain: String = value
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        "sqlascii" | "latin1" | "iso88591" | "win1252" | "latin9" | "eucjp" | "gbk" | "big5"
        | "sjis" | "koi8r" | "win1251" => Err(Diagnostic::unsupported(format_args!(
            "{} {value}: everything is UTF8, and client_encoding too",
            known.name
        ))),
        _ => Err(invalid(known, value)),
    }
}

fn isolation(known: &Known, value: &str) -> Result<String, Diagnostic> {
    match value.trim().to_ascii_lowercase().as_str() {
        "read committed" => Ok("read committed".to_owned()),
        "read uncommitted" => Ok("read uncommitted".to_owned()),
        "repeatable read" => Ok("repeatable read".to_owned()),
        // Never silently weaker.
        "serializable" => Err(Diagnostic::unsupported("isolation level SERIALIZABLE")),
        _ => Err(invalid(known, value).with_hint(
            "Available values: serializable, repeatable read, read committed, read uncommitted.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::find;
    use super::*;

    fn set(name: &str, value: &str) -> Result<String, String> {
        let known = find(name).expect("the setting exists");
        canonical(known, value).map_err(|error| error.sqlstate().to_string())
    }

    #[test]
    fn times_are_shown_in_the_largest_whole_unit() {
        assert_eq!(set("statement_timeout", "5000").as_deref(), Ok("5s"));
        assert_eq!(set("statement_timeout", "1min").as_deref(), Ok("1min"));
        assert_eq!(set("statement_timeout", "90s").as_deref(), Ok("90s"));
        assert_eq!(set("statement_timeout", "1500").as_deref(), Ok("1500ms"));
        assert_eq!(set("statement_timeout", "0").as_deref(), Ok("0"));
        assert_eq!(set("statement_timeout", "1 h").as_deref(), Ok("1h"));
        assert_eq!(set("statement_timeout", "-1"), Err("22023".into()));
        assert_eq!(set("statement_timeout", "1 parsec"), Err("22023".into()));
        assert_eq!(set("work_mem", "4MB").as_deref(), Ok("4MB"));
        assert_eq!(set("work_mem", "100").as_deref(), Ok("100kB"));
        assert_eq!(base_units("5s", Unit::Milliseconds), 5_000);
        assert_eq!(base_units("1500ms", Unit::Milliseconds), 1_500);
        assert_eq!(base_units("0", Unit::Milliseconds), 0);
    }

    #[test]
    fn booleans_take_postgres_spellings() {
        for yes in ["on", "TRUE", "t", "yes", "1", "tr"] {
            assert_eq!(set("geqo", yes).as_deref(), Ok("on"), "{yes}");
        }
        for no in ["off", "false", "n", "0", "of"] {
            assert_eq!(set("geqo", no).as_deref(), Ok("off"), "{no}");
        }
        assert_eq!(set("geqo", "o"), Err("22023".into()));
    }

    #[test]
    fn what_would_change_nothing_is_refused_by_name() {
        assert_eq!(
            set("standard_conforming_strings", "off"),
            Err("0A000".into())
        );
        assert_eq!(
            set("standard_conforming_strings", "on").as_deref(),
            Ok("on")
        );
        assert_eq!(set("IntervalStyle", "iso_8601"), Err("0A000".into()));
        assert_eq!(set("DateStyle", "German"), Err("0A000".into()));
        assert_eq!(set("DateStyle", "ISO").as_deref(), Ok("ISO, MDY"));
        assert_eq!(set("client_encoding", "LATIN1"), Err("0A000".into()));
        assert_eq!(set("client_encoding", "utf-8").as_deref(), Ok("UTF8"));
        assert_eq!(set("client_encoding", "klingon"), Err("22023".into()));
        assert_eq!(set("server_version", "16"), Err("55P02".into()));
    }

    #[test]
    fn serializable_is_refused_rather_than_weakened() {
        let error = set("default_transaction_isolation", "serializable");
        assert_eq!(error, Err("0A000".into()));
    }

    #[test]
    fn application_names_are_ascii_and_at_most_63_bytes() {
        assert_eq!(set("application_name", "psqlé").as_deref(), Ok("psql?"));
        let long = "x".repeat(100);
        assert_eq!(
            set("application_name", &long).map(|name| name.len()),
            Ok(63)
        );
    }

    #[test]
    fn time_zones_go_by_their_iana_names() {
        assert_eq!(
            set("timezone", "europe/berlin").as_deref(),
            Ok("Europe/Berlin")
        );
        assert_eq!(set("timezone", "utc").as_deref(), Ok("UTC"));
        assert_eq!(set("timezone", "Mars/Olympus"), Err("22023".into()));
    }
}
