//! COPY … FROM STDIN: bytes to lines or binary rows, those to batches, batches to DML.

use super::field::{Field, Fields, Forced};
use super::line::{Line, Lines};
use super::options::{Format, Options};
use super::source::{CopyColumn, demand_client, resolve};
use super::tuples::Tuples;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::Engine;
use crate::engine::context::StatementContext;
use crate::engine::dml::copy::{CopyTarget, Suspended};
use crate::engine::outcome::CommandTag;
use crate::engine::transaction::Transaction;
use crate::engine::types::Input;
use crate::engine::types::column_builder::ColumnBuilder;
use crate::engine::types::text::from_bytes;
use datafusion::arrow::array::ArrayRef;
use sqlparser::ast;
use std::sync::Arc;

/// Rows written at once.
const BATCH_ROWS_MAX: usize = 512;
/// Bytes of input in one batch, whatever the rows.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// What an error's context shows of a line or field, as PostgreSQL's MAX_COPY_DATA_DISPLAY.
const SHOWN_BYTES_MAX: usize = 100;

/// COPY … FROM STDIN under way.
pub struct CopyIn {
    target: CopyTarget,
    table: Arc<str>,
    parser: LineParser,
    reader: Reader,
    skip_header: bool,
    suspended: Option<Suspended>,
    written: u64,
}

/// What cuts the input into rows.
enum Reader {
    Lines(Lines),
    Tuples(Tuples),
}

impl Reader {
    /// The number of the row given last, from 1.
    fn number(&self) -> u64 {
        match self {
            Reader::Lines(lines) => lines.number(),
            Reader::Tuples(tuples) => tuples.number(),
        }
    }
}

/// The columns of a batch, with their types.
type Columns = Vec<(ArrayRef, SqlType)>;

/// Lines into the columns of a batch.
struct LineParser {
    options: Options,
    columns: Vec<CopyColumn>,
    forced: Vec<Forced>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
    /// The line of each row of the batch.
    lines: Vec<u64>,
}

impl CopyIn {
    /// Begins `COPY t [(columns)] FROM STDIN`; the statement is one that [`super::is_copy_in`].
    /// None: the table was being changed; begin again under the definitions in force then.
    ///
    /// # Errors
    /// 42P01, 42703, 42501, 22023 and 42601 for options, 0A000.
    pub async fn begin(
        statement: &ast::Statement,
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Option<CopyIn>, Diagnostic> {
        let ast::Statement::Copy {
            source:
                ast::CopySource::Table {
                    table_name,
                    columns,
                },
            to: false,
            target,
            options,
            ..
        } = statement
        else {
            return Err(Diagnostic::unsupported("this form of COPY FROM"));
        };
        demand_client(target)?;
        let options = Options::new(options)?;
        let (relation, columns) = resolve(table_name, columns, context)?;
        let positions: Vec<u16> = columns.iter().map(|column| column.position).collect();
        let target = CopyTarget::new(&relation, &positions, context)?;
        let begun = target.begin(transaction, engine.storage(), context);
        let Some(writer) = begun.await? else {
            return Ok(None);
        };
        let suspended = CopyTarget::suspend(writer);
        Ok(Some(CopyIn {
            reader: match options.format {
                Format::Binary => Reader::Tuples(Tuples::new(columns.len())),
                Format::Text | Format::Csv => Reader::Lines(Lines::new(&options)),
            },
            skip_header: options.header,
            parser: LineParser::new(options, columns)?,
            target,
            table: relation.name.clone(),
            suspended: Some(suspended),
            written: 0,
        }))
    }

    /// How many columns a row has: CopyInResponse's count.
    pub fn columns(&self) -> usize {
        self.parser.columns.len()
    }

    /// Whether they are in binary format.
    pub fn is_binary(&self) -> bool {
        matches!(self.reader, Reader::Tuples(_))
    }

    /// Takes bytes of the input, cut anywhere. Yields to the core by itself.
    ///
    /// # Errors
    /// What input functions and constraints raise, with the line as context.
    pub async fn push(
        &mut self,
        bytes: &[u8],
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<(), Diagnostic> {
        match &mut self.reader {
            Reader::Lines(lines) => lines.push(bytes)?,
            Reader::Tuples(tuples) => {
                let pushed = tuples.push(bytes);
                pushed.map_err(|error| self.at_line(error))?;
            }
        }
        while self.take_next(context)? {
            if self.parser.is_full() {
                self.flush(engine, transaction, context).await?;
            }
            if let Some(suspended) = &mut self.suspended {
                suspended.step().await?;
            }
        }
        Ok(())
    }

    /// The end of the input (CopyDone): gives `COPY n`.
    ///
    /// # Errors
    /// As [`CopyIn::push`].
    pub async fn finish(
        mut self,
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<CommandTag, Diagnostic> {
        match &mut self.reader {
            Reader::Lines(lines) => {
                let last = lines.last();
                if let Some(line) = last.map_err(|error| self.at_line(error))? {
                    self.take(line, context)?;
                }
            }
            Reader::Tuples(tuples) => {
                let ended = tuples.finish();
                ended.map_err(|error| self.at_line(error))?;
            }
        }
        self.flush(engine, transaction, context).await?;
        if let Some(suspended) = self.suspended.take() {
            let writer = self
                .target
                .resume(transaction, engine.storage(), context, suspended);
            writer.finish().await.map_err(|error| self.in_copy(error))?;
        }
        Ok(CommandTag::Copy(self.written))
    }

    /// Takes the next whole row; false until there is more input.
    fn take_next(&mut self, context: &StatementContext) -> Result<bool, Diagnostic> {
        match &mut self.reader {
            Reader::Lines(lines) => {
                let next = lines.next_line();
                let Some(line) = next.map_err(|error| self.at_line(error))? else {
                    return Ok(false);
                };
                self.take(line, context)?;
            }
            Reader::Tuples(tuples) => {
                let next = tuples.next_row();
                let Some(fields) = next.map_err(|error| self.at_line(error))? else {
                    return Ok(false);
                };
                self.take_tuple(&fields, context)?;
            }
        }
        Ok(true)
    }

    fn take_tuple(
        &mut self,
        fields: &[Option<std::ops::Range<usize>>],
        context: &StatementContext,
    ) -> Result<(), Diagnostic> {
        let Reader::Tuples(tuples) = &self.reader else {
            return Ok(());
        };
        let input = context.input();
        let number = tuples.number();
        self.parser
            .take_tuple(fields, tuples.bytes(), input)
            .map(|()| self.parser.lines.push(number))
            .map_err(|(error, column)| {
                let place = format!("COPY {}, line {number}, column {column}", self.table);
                add_context(error, &place)
            })
    }

    fn take(&mut self, line: Line, context: &StatementContext) -> Result<(), Diagnostic> {
        let (Line::Range(range), Reader::Lines(lines)) = (line, &self.reader) else {
            return Ok(());
        };
        if self.skip_header {
            self.skip_header = false;
            return Ok(());
        }
        let input = context.input();
        let line = &lines.bytes()[range];
        self.parser
            .take(line, input)
            .map(|()| self.parser.lines.push(lines.number()))
            .map_err(|failure| failure.diagnostic(&self.table, lines.number(), line))
    }

    async fn flush(
        &mut self,
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<(), Diagnostic> {
        let rows = self.parser.rows;
        let Some(suspended) = self.suspended.take().filter(|_| rows > 0) else {
            return Ok(());
        };
        let mut writer = self
            .target
            .resume(transaction, engine.storage(), context, suspended);
        let (given, lines) = self.parser.finish()?;
        let written = self.target.write(&mut writer, &given, rows).await;
        let line = writer.row_reached().and_then(|row| lines.get(row));
        written.map_err(|error| match line {
            Some(line) => add_context(error, &format!("COPY {}, line {line}", self.table)),
            None => self.in_copy(error),
        })?;
        self.suspended = Some(CopyTarget::suspend(writer));
        self.written += rows as u64;
        Ok(())
    }

    fn at_line(&self, error: Diagnostic) -> Diagnostic {
        match self.reader.number() {
            // In the header of a binary file there is no line yet.
            0 => error,
            number => add_context(error, &format!("COPY {}, line {number}", self.table)),
        }
    }

    /// What concerns no single row.
    fn in_copy(&self, error: Diagnostic) -> Diagnostic {
        add_context(error, &format!("COPY {}", self.table))
    }
}

fn add_context(error: Diagnostic, context: &str) -> Diagnostic {
    match error.fields().context.clone() {
        Some(inner) => error.with_context(format!("{inner}\n{context}")),
        None => error.with_context(context),
    }
}

/// What is wrong with a line.
struct Failure {
    error: Diagnostic,
    place: Place,
}

enum Place {
    /// The line as a whole.
    Line,
    /// A column, with its text; None is NULL.
    Column(Arc<str>, Option<String>),
}

impl Failure {
    fn of_line(error: Diagnostic) -> Failure {
        Failure {
            error,
            place: Place::Line,
        }
    }

    fn diagnostic(self, table: &str, number: u64, line: &[u8]) -> Diagnostic {
        let context = match self.place {
            Place::Line => {
                let line = shown(&String::from_utf8_lossy(line));
                format!("COPY {table}, line {number}: \"{line}\"")
            }
            Place::Column(column, Some(value)) => {
                let value = shown(&value);
                format!("COPY {table}, line {number}, column {column}: \"{value}\"")
            }
            Place::Column(column, None) => {
                format!("COPY {table}, line {number}, column {column}: null input")
            }
        };
        add_context(self.error, &context)
    }
}

fn shown(text: &str) -> String {
    if text.len() <= SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=SHOWN_BYTES_MAX)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}...", &text[..end])
}

fn bad_format(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::BAD_COPY_FILE_FORMAT, message)
}

impl LineParser {
    fn new(options: Options, columns: Vec<CopyColumn>) -> Result<LineParser, Diagnostic> {
        let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
        let not_null = options.force_not_null.among(&names, "FORCE_NOT_NULL")?;
        let null = options.force_null.among(&names, "FORCE_NULL")?;
        let forced = not_null
            .into_iter()
            .zip(null)
            .map(|(not_null, null)| Forced { not_null, null })
            .collect();
        let builders = columns
            .iter()
            .map(|column| ColumnBuilder::new(column.sql_type, BATCH_ROWS_MAX))
            .collect();
        Ok(LineParser {
            options,
            columns,
            forced,
            builders,
            rows: 0,
            bytes: 0,
            lines: Vec::new(),
        })
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    fn take(&mut self, line: &[u8], input: Input<'_>) -> Result<(), Failure> {
        // Whatever escapes make is looked at again below.
        let line_text = from_bytes(line).map_err(Failure::of_line)?;
        let mut fields = Fields::new(line_text.as_bytes(), &self.options);
        // A table without columns has empty lines.
        if self.columns.is_empty() && line.is_empty() {
            self.rows += 1;
            return Ok(());
        }
        for (at, column) in self.columns.iter().enumerate() {
            let field = fields.next(self.forced[at]).map_err(Failure::of_line)?;
            let Some(field) = field else {
                return Err(Failure::of_line(bad_format(format!(
                    "missing data for column \"{}\"",
                    column.name
                ))));
            };
            let value = match &field {
                Field::Null => None,
                Field::Value(value) => Some(from_bytes(value).map_err(Failure::of_line)?),
            };
            let appended = self.builders[at].append(value, input);
            appended.map_err(|error| Failure {
                error,
                place: Place::Column(column.name.clone(), value.map(str::to_owned)),
            })?;
        }
        if !fields.is_done() {
            return Err(Failure::of_line(bad_format(
                "extra data after last expected column",
            )));
        }
        self.rows += 1;
        self.bytes += line.len();
        Ok(())
    }

    /// Takes a row in binary format; an error is told with its column.
    fn take_tuple(
        &mut self,
        fields: &[Option<std::ops::Range<usize>>],
        bytes: &[u8],
        input: Input<'_>,
    ) -> Result<(), (Diagnostic, Arc<str>)> {
        let columns = self.columns.iter().zip(&mut self.builders).zip(fields);
        for ((column, builder), field) in columns {
            let value = field.as_ref().map(|range| &bytes[range.clone()]);
            self.bytes += value.map_or(4, <[u8]>::len);
            builder
                .append_binary(value, input)
                .map_err(|error| (error, column.name.clone()))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The batch so far, one array for each column, and the line that each row stood on.
    fn finish(&mut self) -> Result<(Columns, Vec<u64>), Diagnostic> {
        self.rows = 0;
        self.bytes = 0;
        let columns = self.builders.iter_mut().zip(&self.columns);
        let given = columns
            .map(|(builder, column)| Ok((builder.finish()?, column.sql_type)))
            .collect::<Result<_, Diagnostic>>()?;
        Ok((given, std::mem::take(&mut self.lines)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::sql_type::{SqlType, TypeKind};
    use crate::engine::settings::Settings;

    fn parser() -> LineParser {
        let column = |name: &str, kind, position| CopyColumn {
            name: name.into(),
            sql_type: SqlType::scalar(kind),
            position,
        };
        let columns = vec![
            column("a", TypeKind::Int4, 0),
            column("b", TypeKind::Text, 1),
        ];
        LineParser::new(Options::new(&[]).unwrap(), columns).unwrap()
    }

    fn take(line: &[u8]) -> Result<(), Diagnostic> {
        let settings = Settings::default();
        let input = Input {
            settings: &settings,
            transaction_time: 0,
            variables: None,
            types: None,
        };
        let taken = parser().take(line, input);
        taken.map_err(|failure| failure.diagnostic("t", 3, line))
    }

    #[test]
    fn errors_carry_the_line_and_the_column_as_postgresql_shows_them() {
        assert_eq!(take(b"1\tx"), Ok(()));
        for (line, code, message, context) in [
            (
                &b"x\ty"[..],
                "22P02",
                "invalid input syntax for type integer: \"x\"",
                "COPY t, line 3, column a: \"x\"",
            ),
            (
                b"1",
                "22P04",
                "missing data for column \"b\"",
                "COPY t, line 3: \"1\"",
            ),
            (
                b"1\tx\ty",
                "22P04",
                "extra data after last expected column",
                "COPY t, line 3: \"1\tx\ty\"",
            ),
            (
                b"1\t\\xff",
                "22021",
                "invalid byte sequence for encoding \"UTF8\": 0xff",
                "COPY t, line 3: \"1\t\\xff\"",
            ),
        ] {
            let error = take(line).unwrap_err();
            assert_eq!(error.sqlstate().as_str(), code);
            assert_eq!(error.message(), message);
            assert_eq!(error.fields().context.as_deref(), Some(context));
        }
        assert_eq!(shown(&"é".repeat(100)), format!("{}...", "é".repeat(50)));
    }
}
