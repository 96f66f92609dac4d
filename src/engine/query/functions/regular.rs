//! Functions of regular expressions that the library does not have: those that split, count their
//! matches from a place, or give all of them.
//!
//! Source: PostgreSQL 15, §9.7.3.

use super::definition::{Argument, Call, Function, INT4, TEXT};
use super::set_returning::LIST_ROWS_MAX;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::failure;
use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use regex::{Captures, Regex, RegexBuilder};
use std::sync::Arc;

/// Bytes of a compiled expression at most.
const COMPILED_BYTES_MAX: usize = 1 << 20;

const TWO: &[&[Argument]] = &[&[TEXT, TEXT], &[TEXT, TEXT, TEXT]];
const REPLACE: &[&[Argument]] = &[
    &[TEXT, TEXT, TEXT],
    &[TEXT, TEXT, TEXT, TEXT],
    &[TEXT, TEXT, TEXT, INT4],
    &[TEXT, TEXT, TEXT, INT4, INT4],
    &[TEXT, TEXT, TEXT, INT4, INT4, TEXT],
];
const FROM_PLACE: &[&[Argument]] = &[
    &[TEXT, TEXT],
    &[TEXT, TEXT, INT4],
    &[TEXT, TEXT, INT4, INT4],
    &[TEXT, TEXT, INT4, INT4, TEXT],
];

const COUNT: &[&[Argument]] = &[
    &[TEXT, TEXT],
    &[TEXT, TEXT, INT4],
    &[TEXT, TEXT, INT4, TEXT],
];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let (text, texts) = (
        SqlType::scalar(TypeKind::Text),
        SqlType::array_of(TypeKind::Text),
    );
    let int4 = SqlType::scalar(TypeKind::Int4);
    vec![
        Function::immutable("regexp_split_to_array", TWO, texts, split),
        Function::immutable("regexp_split_to_table", TWO, texts, split),
        Function::immutable("regexp_match", TWO, texts, first_match),
        Arc::new(ScalarUDF::new_from_impl(Matches {
            first: Function::immutable("regexp_matches", TWO, texts, first_match),
        })),
        Function::immutable("regexp_replace", REPLACE, text, replace),
        Function::immutable(
            SIMILAR_TO,
            &[&[TEXT, TEXT], &[TEXT, TEXT, TEXT]],
            SqlType::scalar(TypeKind::Bool),
            similar_to,
        ),
        Function::immutable("regexp_substr", FROM_PLACE, text, |call| {
            let mut compiled = Compiled(None);
            call.texts(|row| {
                let found = nth(call, row, &mut compiled)?;
                Ok(found.map(|found| found.2))
            })
        }),
        Function::immutable("regexp_instr", FROM_PLACE, int4, |call| {
            let mut compiled = Compiled(None);
            call.values::<Int32Type>(|row| {
                let found = nth(call, row, &mut compiled)?;
                let given = call.text(0, row).is_some() && call.text(1, row).is_some();
                Ok(given.then(|| found.map_or(0, |found| found.0)))
            })
        }),
        Function::immutable("regexp_count", COUNT, int4, count),
        like(),
    ]
}

/// regexp_like(), which the operators `~` and `~*` are, too.
pub fn like() -> Arc<ScalarUDF> {
    let condition = SqlType::scalar(TypeKind::Bool);
    Function::immutable("regexp_like", TWO, condition, is_like)
}

/// What SIMILAR TO is rewritten to.
pub const SIMILAR_TO: &str = "similar_to";

fn similar_to(call: &Call<'_>) -> Result<ArrayRef> {
    let mut compiled = Compiled(None);
    call.bools(|row| {
        let Some((text, pattern)) = call.text(0, row).zip(call.text(1, row)) else {
            return Ok(None);
        };
        let escape = match call.args.len() {
            3 => match call.text(2, row) {
                None => return Ok(None),
                Some(escape) => escape,
            },
            _ => "\\",
        };
        let mut letters = escape.chars();
        let escape = letters.next();
        if letters.next().is_some() {
            return Err(failure::external(
                Diagnostic::error(SqlState::new("22019"), "invalid escape string")
                    .with_hint("Escape string must be empty or one character."),
            ));
        }
        let regex = compiled.get(&of_similar(pattern, escape), Flags::default())?;
        Ok(Some(regex.is_match(text)))
    })
}

/// SQL's pattern as a regular expression over the whole text.
fn of_similar(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("^(?:");
    let mut letters = pattern.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            // Which gives the escapes of regular expressions, too, as PostgreSQL's does.
            if let Some(escaped) = letters.next() {
                out.extend(['\\', escaped]);
            }
            continue;
        }
        match letter {
            '[' => {
                in_class = true;
                out.push('[');
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '\\' => out.push_str("\\\\"),
            letter if in_class => out.push(letter),
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '.' | '^' | '$' => {
                out.push('\\');
                out.push(letter);
            }
            other => out.push(other),
        }
    }
    out.push_str(")$");
    out
}

/// The options of a flags' text.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    all: bool,
    fold: bool,
    newline: bool,
    extended: bool,
}

fn flags(text: &str) -> std::result::Result<Flags, Diagnostic> {
    flags_over(Flags::default(), text)
}

fn flags_over(mut flags: Flags, text: &str) -> std::result::Result<Flags, Diagnostic> {
    for letter in text.chars() {
        match letter {
            'g' => flags.all = true,
            'i' => flags.fold = true,
            'c' => flags.fold = false,
            'n' | 'm' => flags.newline = true,
            's' => flags.newline = false,
            'x' => flags.extended = true,
            't' => flags.extended = false,
            other => {
                return Err(Diagnostic::error(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid regular expression option: \"{other}\""),
                ));
            }
        }
    }
    Ok(flags)
}

/// PostgreSQL's expression as one of the library's: its director and embedded options (§9.7.3.4), and where words begin and
/// end, are written otherwise.
fn compile(pattern: &str, flags: Flags) -> std::result::Result<Regex, Diagnostic> {
    if let Some(literal) = pattern.strip_prefix("***=") {
        return built(&regex::escape(literal), flags);
    }
    let pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    let (pattern, flags) = embedded(pattern, flags);
    let around = ["(?=", "(?!", "(?<=", "(?<!"];
    if around.iter().any(|group| pattern.contains(group)) {
        return Err(Diagnostic::unsupported(
            "looking ahead or behind in a regular expression",
        ));
    }
    let pattern = pattern.replace("[[:<:]]", "\\m").replace("[[:>:]]", "\\M");
    let mut written = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            written.push(letter);
            continue;
        }
        match letters.next() {
            Some('m') => written.push_str("\\b{start}"),
            Some('M') => written.push_str("\\b{end}"),
            Some('y') => written.push_str("\\b"),
            Some('Y') => written.push_str("\\B"),
            Some('Z') => written.push_str("\\z"),
            Some(digit @ '1'..='9') => {
                return Err(Diagnostic::unsupported(format!(
                    "the back reference \\{digit} in a regular expression"
                )));
            }
            Some(other) => {
                written.push('\\');
                written.push(other);
            }
            None => written.push('\\'),
        }
    }
    built(&written, flags)
}

/// Options at the beginning, `(?i)`, over those that are given.
fn embedded(pattern: &str, given: Flags) -> (&str, Flags) {
    let whole = (pattern, given);
    let Some((letters, rest)) = pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'))
    else {
        return whole;
    };
    // `(?:…)` is a group, and so is what the library alone knows.
    if letters.is_empty() || !letters.chars().all(|letter| "cimnstx".contains(letter)) {
        return whole;
    }
    match flags_over(given, letters) {
        Ok(flags) => (rest, flags),
        Err(_) => whole,
    }
}

fn built(written: &str, flags: Flags) -> std::result::Result<Regex, Diagnostic> {
    RegexBuilder::new(written)
        .case_insensitive(flags.fold)
        .multi_line(flags.newline)
        .dot_matches_new_line(!flags.newline)
        .ignore_whitespace(flags.extended)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| {
            Diagnostic::error(
                SqlState::new("2201B"),
                format!("invalid regular expression: {}", reason(&error)),
            )
        })
}

/// In PostgreSQL's words where it has some for it.
fn reason(error: &regex::Error) -> &'static str {
    let text = error.to_string();
    let has = |part: &str| text.contains(part);
    match () {
        () if has("unclosed group") || has("unopened group") => "parentheses () not balanced",
        () if has("unclosed character class") => "brackets [] not balanced",
        () if has("repetition operator missing expression") => "quantifier operand invalid",
        () if has("unclosed counted repetition") => "braces {} not balanced",
        () if has("invalid range") => "invalid character range",
        () if has("exceeds size limit") => "regular expression is too complex",
        () => "invalid escape \\ sequence",
    }
}

/// The expression of the calls before: most calls have the same one in every row.
struct Compiled(Option<(String, Flags, Regex)>);

impl Compiled {
    fn get(&mut self, pattern: &str, flags: Flags) -> Result<&Regex> {
        let known = |(known, with, _): &(String, Flags, Regex)| known == pattern && *with == flags;
        if !self.0.as_ref().is_some_and(known) {
            let regex = compile(pattern, flags).map_err(failure::external)?;
            self.0 = Some((pattern.to_owned(), flags, regex));
        }
        match &self.0 {
            Some((_, _, regex)) => Ok(regex),
            None => Err(failure::external(Diagnostic::internal("no expression"))),
        }
    }
}

/// An optional text of flags; None where it is NULL.
fn flags_at(call: &Call<'_>, argument: usize, row: usize) -> Result<Option<Flags>> {
    if argument >= call.args.len() {
        return Ok(Some(Flags::default()));
    }
    match call.text(argument, row) {
        None => Ok(None),
        Some(text) => flags(text).map(Some).map_err(failure::external),
    }
}

fn refuse_global(flags: Flags, function: &str) -> Result<()> {
    if flags.all {
        return Err(failure::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{function}() does not support the \"global\" option"),
        ));
    }
    Ok(())
}

fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(StringBuilder::new());
    let mut compiled = Compiled(None);
    for row in 0..call.rows {
        let given = call.text(0, row).zip(call.text(1, row));
        let (Some((text, pattern)), Some(flags)) = (given, flags_at(call, 2, row)?) else {
            out.append_null();
            continue;
        };
        refuse_global(flags, "regexp_split_to_array")?;
        let regex = compiled.get(pattern, flags)?;
        let mut start = 0;
        for found in regex.find_iter(text) {
            // No empty match at either end, nor right behind another match, splits.
            if found.is_empty() && (found.start() == 0 || found.start() == text.len()) {
                continue;
            }
            out.values().append_value(&text[start..found.start()]);
            start = found.end();
        }
        out.values().append_value(&text[start..]);
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

fn push_captures(captures: &Captures<'_>, values: &mut StringBuilder) {
    let groups = captures.len();
    let first = usize::from(groups > 1);
    for group in first..groups {
        values.append_option(captures.get(group).map(|found| found.as_str()));
    }
}

fn first_match(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(StringBuilder::new());
    let mut compiled = Compiled(None);
    for row in 0..call.rows {
        let given = call.text(0, row).zip(call.text(1, row));
        let (Some((text, pattern)), Some(flags)) = (given, flags_at(call, 2, row)?) else {
            out.append_null();
            continue;
        };
        if flags.all {
            return Err(failure::external(
                Diagnostic::error(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "regexp_match() does not support the \"global\" option",
                )
                .with_hint("Use the regexp_matches function instead."),
            ));
        }
        match compiled.get(pattern, flags)?.captures(text) {
            None => out.append_null(),
            Some(captures) => {
                push_captures(&captures, out.values());
                out.append(true);
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

/// The groups of each match: of the first alone without the flag g.
fn matches(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    let mut compiled = Compiled(None);
    for row in 0..call.rows {
        let given = call.text(0, row).zip(call.text(1, row));
        if let (Some((text, pattern)), Some(flags)) = (given, flags_at(call, 2, row)?) {
            let wanted = if flags.all { LIST_ROWS_MAX } else { 1 };
            let found = compiled.get(pattern, flags)?.captures_iter(text);
            for captures in found.take(wanted) {
                push_captures(&captures, out.values().values());
                out.values().append(true);
            }
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

/// regexp_matches(): a set of arrays, as a list that is unnested.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Matches {
    /// As a function that gives one of the arrays: for its arguments' types and the array's.
    first: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        self.first.name()
    }

    fn signature(&self) -> &Signature {
        self.first.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.first.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let groups = self.first.return_type(arg_types)?;
        Ok(DataType::List(Arc::new(Field::new_list_field(
            groups, true,
        ))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let call = Call::of(&args, args.number_rows)?;
        Ok(ColumnarValue::Array(matches(&call)?))
    }
}

/// substring(text from pattern): what the first group has matched, or the whole pattern.
pub fn substring() -> Arc<ScalarUDF> {
    let text = SqlType::scalar(TypeKind::Text);
    Function::immutable("substring", &[&[TEXT, TEXT]], text, |call| {
        let mut compiled = Compiled(None);
        call.texts(|row| {
            let Some((text, pattern)) = call.text(0, row).zip(call.text(1, row)) else {
                return Ok(None);
            };
            let regular = compiled.get(pattern, Flags::default())?;
            let found = regular.captures(text).and_then(|captures| {
                let group = usize::from(captures.len() > 1);
                captures.get(group).map(|found| found.as_str().to_owned())
            });
            Ok(found)
        })
    })
}

/// `\1` is the first group and `\&` all of the match.
fn expanded(replacement: &str, captures: &Captures<'_>, out: &mut String) {
    let mut letters = replacement.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some(digit) if digit.is_ascii_digit() && digit != '0' => {
                let group = digit as usize - '0' as usize;
                out.push_str(captures.get(group).map_or("", |found| found.as_str()));
            }
            Some('&') => out.push_str(&captures[0]),
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
}

fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    use datafusion::arrow::datatypes::DataType;
    let by_place = call
        .args
        .get(3)
        .is_some_and(|array| *array.data_type() == DataType::Int32);
    let mut compiled = Compiled(None);
    call.texts(|row| {
        let given = call
            .text(0, row)
            .zip(call.text(1, row))
            .zip(call.text(2, row));
        let Some(((text, pattern), replacement)) = given else {
            return Ok(None);
        };
        let flags = match by_place {
            true => flags_at(call, 5, row)?,
            false => flags_at(call, 3, row)?,
        };
        let Some(flags) = flags else {
            return Ok(None);
        };
        // Of occurrences 0 is all.
        let (mut start, mut wanted) = (1, i32::from(!flags.all));
        if by_place {
            let Some(place) = call.int4(3, row) else {
                return Ok(None);
            };
            start = place;
            if call.args.len() > 4 {
                let Some(occurrence) = call.int4(4, row) else {
                    return Ok(None);
                };
                wanted = occurrence;
            }
        }
        let from = byte_of(text, start)?;
        let regex = compiled.get(pattern, flags)?;
        let mut out = text[..from].to_owned();
        let rest = &text[from..];
        let mut last = 0;
        for (count, captures) in (1..).zip(regex.captures_iter(rest)) {
            if wanted != 0 && count != wanted {
                continue;
            }
            let found = captures.get_match();
            out.push_str(&rest[last..found.start()]);
            expanded(replacement, &captures, &mut out);
            last = found.end();
        }
        out.push_str(&rest[last..]);
        Ok(Some(out))
    })
}

/// The byte at which a character, counted from 1, begins.
fn byte_of(text: &str, place: i32) -> Result<usize> {
    let Some(before) = usize::try_from(place)
        .ok()
        .and_then(|place| place.checked_sub(1))
    else {
        return Err(failure::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"start\": {place}"),
        ));
    };
    Ok(text
        .char_indices()
        .nth(before)
        .map_or(text.len(), |(at, _)| at))
}

fn is_like(call: &Call<'_>) -> Result<ArrayRef> {
    let mut compiled = Compiled(None);
    call.bools(|row| {
        let given = call.text(0, row).zip(call.text(1, row));
        let (Some((text, pattern)), Some(flags)) = (given, flags_at(call, 2, row)?) else {
            return Ok(None);
        };
        refuse_global(flags, "regexp_like")?;
        Ok(Some(compiled.get(pattern, flags)?.is_match(text)))
    })
}

/// How often the pattern matches from a place.
fn count(call: &Call<'_>) -> Result<ArrayRef> {
    let mut compiled = Compiled(None);
    call.values::<Int32Type>(|row| {
        let start = match call.args.len() {
            2 => Some(1),
            _ => call.int4(2, row),
        };
        let given = call.text(0, row).zip(call.text(1, row)).zip(start);
        let (Some(((text, pattern), start)), Some(flags)) = (given, flags_at(call, 3, row)?) else {
            return Ok(None);
        };
        refuse_global(flags, "regexp_count")?;
        let from = byte_of(text, start)?;
        let found = compiled.get(pattern, flags)?.find_iter(&text[from..]);
        Ok(i32::try_from(found.count()).ok())
    })
}

/// The n-th match from a place: where it begins and ends in characters, and its text.
fn nth(call: &Call<'_>, row: usize, compiled: &mut Compiled) -> Result<Option<(i32, i32, String)>> {
    let Some((text, pattern)) = call.text(0, row).zip(call.text(1, row)) else {
        return Ok(None);
    };
    let number = |argument: usize| match argument < call.args.len() {
        true => call.int4(argument, row),
        false => Some(1),
    };
    let (Some(start), Some(wanted)) = (number(2), number(3)) else {
        return Ok(None);
    };
    let Some(flags) = flags_at(call, 4, row)? else {
        return Ok(None);
    };
    if wanted <= 0 {
        return Err(failure::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"n\": {wanted}"),
        ));
    }
    let from = byte_of(text, start)?;
    let regex = compiled.get(pattern, flags)?;
    let found = regex.find_iter(&text[from..]).nth(wanted as usize - 1);
    Ok(found.map(|found| {
        let place = |at: usize| text[..from + at].chars().count() as i32 + 1;
        (
            place(found.start()),
            place(found.end()),
            found.as_str().to_owned(),
        )
    }))
}
