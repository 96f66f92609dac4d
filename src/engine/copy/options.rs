//! COPY's options, checked against each other.

use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::names::fold;
use crate::sql::copy::ALL_COLUMNS;
use sqlparser::ast::{CopyOption, Ident};

/// How lines are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PostgreSQL's text format.
    Text,
    /// CSV, as PostgreSQL reads and writes it.
    Csv,
    /// The types' binary forms.
    Binary,
}

/// The options of one COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// FORMAT
    pub format: Format,
    /// DELIMITER
    pub delimiter: u8,
    /// NULL
    pub null: String,
    /// HEADER
    pub header: bool,
    /// QUOTE
    pub quote: u8,
    /// ESCAPE
    pub escape: u8,
    /// FORCE_QUOTE
    pub force_quote: Columns,
    /// FORCE_NOT_NULL
    pub force_not_null: Columns,
    /// FORCE_NULL
    pub force_null: Columns,
}

/// Some of the columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// These.
    Named(Vec<String>),
}

impl Columns {
    fn of(names: &[Ident]) -> Columns {
        match names {
            [only] if only.value == ALL_COLUMNS => Columns::All,
            names => Columns::Named(names.iter().map(fold).collect()),
        }
    }

    /// For each of the columns copied, whether it is among them.
    ///
    /// # Errors
    /// 42P10 for a name that is not copied.
    pub fn among(&self, copied: &[&str], option: &str) -> Result<Vec<bool>, Diagnostic> {
        match self {
            Columns::None => Ok(vec![false; copied.len()]),
            Columns::All => Ok(vec![true; copied.len()]),
            Columns::Named(names) => {
                if let Some(name) = names.iter().find(|name| !copied.contains(&name.as_str())) {
                    return Err(Diagnostic::error(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        format!("{option} column \"{name}\" not referenced by COPY"),
                    ));
                }
                Ok(copied
                    .iter()
                    .map(|column| names.iter().any(|name| name == column))
                    .collect())
            }
        }
    }
}

fn refused(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn one_byte(given: char, what: &str) -> Result<u8, Diagnostic> {
    u8::try_from(given)
        .ok()
        .filter(u8::is_ascii)
        .ok_or_else(|| refused(format!("COPY {what} must be a single one-byte character")))
}

#[derive(Default)]
struct Given {
    format: Option<Format>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: bool,
    quote: Option<u8>,
    escape: Option<u8>,
    force_quote: Columns,
    force_not_null: Columns,
    force_null: Columns,
}

impl Options {
    /// From the syntax tree.
    ///
    /// # Errors
    /// 42601 for options given twice, 22023 and 0A000 for those that do not go together.
    pub fn new(options: &[CopyOption]) -> Result<Options, Diagnostic> {
        let mut seen = Vec::new();
        let mut given = Given::default();
        for option in options {
            let kind = std::mem::discriminant(option);
            if seen.contains(&kind) {
                return Err(Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    "conflicting or redundant options",
                ));
            }
            seen.push(kind);
            given.take(option)?;
        }
        given.check()
    }
}

impl Given {
    fn take(&mut self, option: &CopyOption) -> Result<(), Diagnostic> {
        match option {
            CopyOption::Format(name) => {
                self.format = Some(match fold(name).as_str() {
                    "text" => Format::Text,
                    "csv" => Format::Csv,
                    "binary" => Format::Binary,
                    other => {
                        return Err(Diagnostic::error(
                            SqlState::INVALID_PARAMETER_VALUE,
                            format!("COPY format \"{other}\" not recognized"),
                        ));
                    }
                });
            }
            // Rows of a relation that the transaction made are written so that nobody has to look
            // at them again anyhow.
            CopyOption::Freeze(_) => {}
            CopyOption::Delimiter(given) => self.delimiter = Some(one_byte(*given, "delimiter")?),
            CopyOption::Null(text) => self.null = Some(text.clone()),
            CopyOption::Header(header) => self.header = *header,
            CopyOption::Quote(given) => self.quote = Some(one_byte(*given, "quote")?),
            CopyOption::Escape(given) => self.escape = Some(one_byte(*given, "escape")?),
            CopyOption::ForceQuote(names) => self.force_quote = Columns::of(names),
            CopyOption::ForceNotNull(names) => self.force_not_null = Columns::of(names),
            CopyOption::ForceNull(names) => self.force_null = Columns::of(names),
            CopyOption::Encoding(name) => check_encoding(name)?,
        }
        Ok(())
    }

    fn check(self) -> Result<Options, Diagnostic> {
        let format = self.format.unwrap_or(Format::Text);
        let csv = format == Format::Csv;
        if format == Format::Binary {
            let not_binary = |what: &str| {
                Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    format!("cannot specify {what} in BINARY mode"),
                )
            };
            if self.delimiter.is_some() {
                return Err(not_binary("DELIMITER"));
            }
            if self.null.is_some() {
                return Err(not_binary("NULL"));
            }
            if self.header {
                return Err(refused("cannot specify HEADER in BINARY mode"));
            }
        }
        let only_csv = [
            (self.quote.is_some(), "COPY quote"),
            (self.escape.is_some(), "COPY escape"),
            (self.force_quote != Columns::None, "COPY force quote"),
            (self.force_not_null != Columns::None, "COPY force not null"),
            (self.force_null != Columns::None, "COPY force null"),
        ];
        if let Some((_, what)) = only_csv.iter().find(|(given, _)| *given && !csv) {
            return Err(refused(format!("{what} available only in CSV mode")));
        }
        let quote = self.quote.unwrap_or(b'"');
        let options = Options {
            format,
            delimiter: self.delimiter.unwrap_or(if csv { b',' } else { b'\t' }),
            null: self
                .null
                .unwrap_or_else(|| if csv { "" } else { "\\N" }.to_owned()),
            header: self.header,
            quote,
            escape: self.escape.unwrap_or(quote),
            force_quote: self.force_quote,
            force_not_null: self.force_not_null,
            force_null: self.force_null,
        };
        options.check_characters()?;
        Ok(options)
    }
}

impl Options {
    fn check_characters(&self) -> Result<(), Diagnostic> {
        let invalid = |message: &str| {
            Err(Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                message,
            ))
        };
        if matches!(self.delimiter, b'\r' | b'\n') {
            return invalid("COPY delimiter cannot be newline or carriage return");
        }
        if self.null.contains(['\r', '\n']) {
            return invalid("COPY null representation cannot use newline or carriage return");
        }
        // In text these would be read as part of an escape, or of a value's usual text.
        if self.format == Format::Text
            && (self.delimiter == b'\\'
                || self.delimiter == b'.'
                || self.delimiter.is_ascii_lowercase()
                || self.delimiter.is_ascii_digit())
        {
            let delimiter = char::from(self.delimiter);
            return Err(Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("COPY delimiter cannot be \"{delimiter}\""),
            ));
        }
        if self.format == Format::Csv && self.delimiter == self.quote {
            return invalid("COPY delimiter and quote must be different");
        }
        if self.null.as_bytes().contains(&self.delimiter) {
            return Err(refused(
                "COPY delimiter must not appear in the NULL specification",
            ));
        }
        if self.format == Format::Csv && self.null.as_bytes().contains(&self.quote) {
            return Err(refused(
                "CSV quote character must not appear in the NULL specification",
            ));
        }
        Ok(())
    }
}

fn check_encoding(name: &str) -> Result<(), Diagnostic> {
    let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
    match plain.as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(Diagnostic::unsupported(format!("encoding \"{name}\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let csv = || CopyOption::Format(Ident::new("csv"));
        let binary = || CopyOption::Format(Ident::new("binary"));
        for (options, message) in [
            (
                vec![CopyOption::Quote('\'')],
                "COPY quote available only in CSV mode",
            ),
            (vec![csv(), csv()], "conflicting or redundant options"),
            (
                vec![binary(), CopyOption::Delimiter(',')],
                "cannot specify DELIMITER in BINARY mode",
            ),
            (
                vec![binary(), CopyOption::Null("x".into())],
                "cannot specify NULL in BINARY mode",
            ),
            (
                vec![binary(), CopyOption::Header(true)],
                "cannot specify HEADER in BINARY mode",
            ),
            (
                vec![CopyOption::Delimiter('a')],
                "COPY delimiter cannot be \"a\"",
            ),
            (
                vec![csv(), CopyOption::Delimiter('"')],
                "COPY delimiter and quote must be different",
            ),
            (
                vec![CopyOption::Format(Ident::new("xml"))],
                "COPY format \"xml\" not recognized",
            ),
            (
                vec![csv(), CopyOption::Null("a,b".into())],
                "COPY delimiter must not appear in the NULL specification",
            ),
            (
                vec![CopyOption::Delimiter('é')],
                "COPY delimiter must be a single one-byte character",
            ),
            (
                vec![CopyOption::Encoding("latin1".into())],
                "encoding \"latin1\" is not supported",
            ),
        ] {
            assert_eq!(Options::new(&options).unwrap_err().message(), message);
        }
        assert!(Options::new(&[CopyOption::Encoding("UTF-8".into())]).is_ok());
    }
}
