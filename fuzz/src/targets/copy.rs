//! COPY: options as they stand in the statement, a zero byte, then the input in text or CSV.

use super::texts;
use bytes::BytesMut;
use nodedb::engine::copy::field::{Field, Fields, Forced, Quoting, finish_field};
use nodedb::engine::copy::line::{Line, Lines};
use nodedb::engine::copy::options::{Format, Options};
use nodedb::sql::parse::{parse_one, text};
use sqlparser::ast;

/// Both formats with their escapes, quotes and ends of lines.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "\x001\ttwo\t\\N\n2\t\\x41\\101\\n\\\n\tthree\n\\.\nignored\n",
        "WITH (FORMAT csv, HEADER true)\0a,b\r\n1,\"x \"\"y\"\",\nz\"\r\n2,\r\n",
        "CSV QUOTE '''' ESCAPE '\\' NULL 'nil' DELIMITER ';'\0'it\\'s';nil;'nil'\n",
        "DELIMITER '|' NULL ''\0a||b\\|c\n|\n",
        "(FORMAT csv, FORCE_QUOTE *, FORCE_NOT_NULL (a))\0\"open\n",
        "(FORMAT text, DELIMITER 'é')\0x\n",
    ])
}

/// Cutting the input anywhere changes nothing, and what is written reads back the same.
pub fn run(data: &[u8]) {
    let zero = data.iter().position(|byte| *byte == 0);
    let (given, input) = data.split_at(zero.unwrap_or(0));
    let Some(options) = options(given) else {
        return;
    };
    let input = input.get(1..).unwrap_or_default();
    let whole = lines(&options, &[input]);
    for cut in cuts(input.len()) {
        let (before, after) = input.split_at(cut);
        assert_eq!(lines(&options, &[before, after]), whole, "cut at {cut}");
    }
    for line in whole.iter().flatten() {
        if let Some(fields) = fields(&options, line) {
            reads_back(&options, &fields);
        }
    }
}

fn options(given: &[u8]) -> Option<Options> {
    let statement = format!("COPY t FROM STDIN {}", text(given).ok()?);
    match parse_one(&statement).ok()? {
        ast::Statement::Copy { options, .. } => Options::new(&options).ok(),
        _ => None,
    }
}

/// Some places to cut at.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length.min(48)).chain([length / 2, length])
}

/// The lines; the last is Err where the input is refused there.
fn lines(options: &Options, pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, String>> {
    let mut lines = Lines::new(options);
    let mut found = Vec::new();
    for piece in pieces {
        if let Err(error) = lines.push(piece) {
            found.push(Err(error.to_string()));
            return found;
        }
        loop {
            match lines.next_line() {
                Ok(None) => break,
                Ok(Some(Line::End)) => {}
                Ok(Some(Line::Range(range))) => found.push(Ok(lines.bytes()[range].to_vec())),
                Err(error) => {
                    found.push(Err(error.to_string()));
                    return found;
                }
            }
        }
    }
    match lines.last() {
        Ok(Some(Line::Range(range))) => found.push(Ok(lines.bytes()[range].to_vec())),
        Ok(None | Some(Line::End)) => {}
        Err(error) => found.push(Err(error.to_string())),
    }
    found
}

type Values = Vec<Option<Vec<u8>>>;

fn fields(options: &Options, line: &[u8]) -> Option<Values> {
    let mut fields = Fields::new(line, options);
    let mut found = Vec::new();
    while let Some(field) = fields.next(Forced::default()).ok()? {
        found.push(match field {
            Field::Null => None,
            Field::Value(value) => Some(value.into_owned()),
        });
    }
    assert!(fields.is_done(), "no field, no rest");
    Some(found)
}

fn reads_back(options: &Options, values: &Values) {
    // In text a value may be the null string itself; PostgreSQL writes it as it is, too.
    let is_null_string = |value: &Vec<u8>| value == options.null.as_bytes();
    if options.format == Format::Text && values.iter().flatten().any(is_null_string) {
        return;
    }
    let mut out = BytesMut::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(&[options.delimiter]);
        }
        let start = out.len();
        match value {
            None => out.extend_from_slice(options.null.as_bytes()),
            Some(value) => {
                out.extend_from_slice(value);
                finish_field(start, options, Quoting::Needed, values.len() == 1, &mut out);
            }
        }
    }
    assert_eq!(
        fields(options, &out).as_ref(),
        Some(values),
        "\"{}\" reads back",
        out.escape_ascii()
    );
}
