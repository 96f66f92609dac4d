//! Templates of dates and times, taken apart.

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Characters that stand for themselves.
    Literal(String),
    /// A pattern by its name in upper case.
    Pattern {
        /// Which.
        name: &'static str,
        /// As it was written.
        written: String,
        /// FM before it: without blanks and zeros.
        fill: bool,
        /// TH or th behind it.
        ordinal: Option<String>,
    },
}

/// Patterns, of those that begin alike the longest first.
const PATTERNS: &[&str] = &[
    "SSSSS", "SSSS", "MONTH", "Y,YYY", "IYYY", "YYYY", "IDDD", "HH24", "HH12", "A.M.", "P.M.",
    "B.C.", "A.D.", "IYY", "YYY", "DDD", "DAY", "MON", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4",
    "FF5", "FF6", "HH", "MI", "SS", "MS", "US", "AM", "PM", "BC", "AD", "IY", "YY", "MM", "DD",
    "DY", "ID", "IW", "WW", "CC", "RM", "TZ", "OF", "I", "Y", "D", "W", "J", "Q",
];

/// The parts of a template.
pub fn parts(template: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut literal = String::new();
    let mut rest = template;
    while !rest.is_empty() {
        let fill = starts_with(rest, "FM");
        let body = if fill { &rest[2..] } else { rest };
        if let Some(name) = PATTERNS.iter().find(|name| starts_with(body, name)) {
            if !literal.is_empty() {
                found.push(Part::Literal(std::mem::take(&mut literal)));
            }
            let (written, after) = body.split_at(name.len());
            let ordinal = starts_with(after, "TH").then(|| after[..2].to_owned());
            rest = &after[ordinal.as_ref().map_or(0, String::len)..];
            found.push(Part::Pattern {
                name,
                written: written.to_owned(),
                fill,
                ordinal,
            });
            continue;
        }
        if fill || starts_with(rest, "FX") {
            rest = &rest[2..];
            continue;
        }
        let mut letters = rest.chars();
        match letters.next() {
            Some('"') => {
                rest = letters.as_str();
                loop {
                    let mut letters = rest.chars();
                    let letter = letters.next();
                    rest = letters.as_str();
                    match letter {
                        None | Some('"') => break,
                        Some('\\') => {
                            literal.extend(letters.next());
                            rest = letters.as_str();
                        }
                        Some(letter) => literal.push(letter),
                    }
                }
            }
            Some('\\') => {
                literal.extend(letters.next());
                rest = letters.as_str();
            }
            Some(letter) => {
                literal.push(letter);
                rest = letters.as_str();
            }
            None => break,
        }
    }
    if !literal.is_empty() {
        found.push(Part::Literal(literal));
    }
    found
}

/// Whether it begins with a word in letters of either case.
fn starts_with(text: &str, word: &str) -> bool {
    text.as_bytes()
        .get(..word.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
}

/// A word in the case that a pattern is written in: DAY, Day, day.
pub fn in_case(word: &str, written: &str) -> String {
    let mut letters = written.chars();
    let first = letters.next().is_some_and(char::is_uppercase);
    let second = letters.next().is_some_and(char::is_uppercase);
    match (first, second) {
        (true, true) => word.to_uppercase(),
        (true, false) => word.to_owned(),
        _ => word.to_lowercase(),
    }
}

/// Names of the months.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of the days, from Sunday.
pub const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Months in Roman numerals.
pub const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];
