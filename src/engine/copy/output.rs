//! COPY … TO STDOUT: a query's batches as lines, or as rows in binary format.

use super::field::{Quoting, finish_field};
use super::options::{Format, Options};
use super::source::{demand_client, resolve};
use super::tuples;
use crate::catalog::definition::RelationBody;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Rows};
use crate::engine::settings::Settings;
use crate::engine::types::Column;
use crate::sql::parse;
use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::RecordBatch;
use sqlparser::ast;
use std::sync::Arc;

/// COPY … TO STDOUT under way.
pub struct CopyOut {
    options: Options,
    rows: Rows,
    names: Vec<String>,
    types: Vec<SqlType>,
    quoting: Vec<Quoting>,
    settings: Arc<Settings>,
    header: bool,
    /// Of the binary format, what ends the rows is still to be sent.
    trailer: bool,
    batch: Option<RecordBatch>,
    given: u64,
}

/// Lines ready to be sent.
pub struct CopyLines<'a> {
    copy: &'a CopyOut,
    columns: Vec<Column<'a>>,
    rows: usize,
    header: bool,
    trailer: bool,
}

/// A COPY … TO STDOUT that has been read: its query is still to be planned.
pub struct Outgoing {
    options: Options,
    /// The query whose rows are copied.
    pub query: ast::Statement,
    /// Its text.
    pub text: Arc<str>,
}

impl Outgoing {
    /// Of `COPY t [(columns)] TO STDOUT` or `COPY (query) TO STDOUT`.
    ///
    /// # Errors
    /// 42P01, 42703, 42501, 22023 and 42601 for options, 0A000.
    pub fn new(
        statement: &ast::Statement,
        context: &StatementContext,
    ) -> Result<Outgoing, Diagnostic> {
        let ast::Statement::Copy {
            source,
            to: true,
            target,
            options,
            ..
        } = statement
        else {
            return Err(Diagnostic::unsupported("this form of COPY TO"));
        };
        demand_client(target)?;
        let options = Options::new(options)?;
        let text = query_text(source, context)?;
        let query = parse::parse(&text)?
            .into_iter()
            .next()
            .ok_or_else(|| Diagnostic::internal("a query without text"))?;
        Ok(Outgoing {
            options,
            query: query.ast,
            text: Arc::from(text),
        })
    }
}

impl CopyOut {
    /// Copies the rows that the query gives.
    ///
    /// # Errors
    /// 42703 for a column that FORCE QUOTE names and the query does not give.
    pub fn new(
        outgoing: Outgoing,
        rows: Rows,
        settings: &Arc<Settings>,
    ) -> Result<CopyOut, Diagnostic> {
        let options = outgoing.options;
        let names: Vec<String> = rows.fields.iter().map(|field| field.name.clone()).collect();
        let copied: Vec<&str> = names.iter().map(String::as_str).collect();
        let quoting = options
            .force_quote
            .among(&copied, "FORCE_QUOTE")?
            .into_iter()
            .map(|always| {
                if always {
                    Quoting::Always
                } else {
                    Quoting::Needed
                }
            })
            .collect();
        Ok(CopyOut {
            header: options.header || options.format == Format::Binary,
            trailer: options.format == Format::Binary,
            types: rows.fields.iter().map(|field| field.sql_type).collect(),
            names,
            quoting,
            options,
            rows,
            settings: settings.clone(),
            batch: None,
            given: 0,
        })
    }

    /// How many columns a row has: CopyOutResponse's count.
    pub fn columns(&self) -> usize {
        self.types.len()
    }

    /// Whether they are in binary format.
    pub fn is_binary(&self) -> bool {
        self.options.format == Format::Binary
    }

    /// The next lines; none at the end.
    ///
    /// # Errors
    /// What the query runs into.
    pub async fn next(&mut self) -> Result<Option<CopyLines<'_>>, Diagnostic> {
        let header = std::mem::take(&mut self.header);
        self.batch = self.rows.next().await.transpose()?;
        // What is before the first row goes with it.
        while self
            .batch
            .as_ref()
            .is_some_and(|batch| batch.num_rows() == 0)
        {
            self.batch = self.rows.next().await.transpose()?;
        }
        let rows = self.batch.as_ref().map_or(0, RecordBatch::num_rows);
        self.given += rows as u64;
        let trailer = self.batch.is_none() && std::mem::take(&mut self.trailer);
        if self.batch.is_none() && !header && !trailer {
            return Ok(None);
        }
        let columns = match &self.batch {
            Some(batch) => batch
                .columns()
                .iter()
                .zip(&self.types)
                .map(|(array, sql_type)| Column::new(array, *sql_type))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Some(CopyLines {
            copy: self,
            columns,
            rows,
            header,
            trailer,
        }))
    }

    /// `COPY n`, of the rows given so far.
    pub fn tag(&self) -> CommandTag {
        CommandTag::Copy(self.given)
    }
}

/// The query whose rows are copied.
fn query_text(source: &ast::CopySource, context: &StatementContext) -> Result<String, Diagnostic> {
    let (table, columns) = match source {
        ast::CopySource::Query(query) => return Ok(query.to_string()),
        ast::CopySource::Table {
            table_name,
            columns,
        } => (table_name, columns),
    };
    let (relation, columns) = resolve(table, columns, context)?;
    let name = &relation.name;
    let (what, hint) = match &relation.body {
        RelationBody::Table(_) => {
            let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
            let columns: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
            return Ok(format!(
                "SELECT {} FROM {}.{}",
                columns.join(", "),
                quoted(&relation.schema),
                quoted(name)
            ));
        }
        RelationBody::View(_) => ("view", Some("Try the COPY (SELECT ...) TO variant.")),
        RelationBody::Sequence(_) => ("sequence", None),
        RelationBody::Index(_) => {
            return Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot copy from non-table relation \"{name}\""),
            ));
        }
    };
    let error = Diagnostic::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!("cannot copy from {what} \"{name}\""),
    );
    Err(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

impl CopyLines<'_> {
    /// How many there are; each is one CopyData message.
    pub fn len(&self) -> usize {
        let header = self.header && !self.copy.is_binary();
        self.rows + usize::from(header) + usize::from(self.trailer)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends line number `line` with its end of line, or that row in binary format.
    pub fn write(&self, line: usize, out: &mut BytesMut) {
        if self.copy.is_binary() {
            return self.write_binary(line, out);
        }
        match (self.header, line) {
            (true, 0) => self.write_header(out),
            (header, line) => self.write_row(line - usize::from(header), out),
        }
        out.put_u8(b'\n');
    }

    fn write_binary(&self, line: usize, out: &mut BytesMut) {
        // In one message with the first row, as PostgreSQL sends it: there are clients that know no other way.
        if self.header && line == 0 {
            out.put_slice(tuples::SIGNATURE);
            // No flags, and no extension of the header.
            out.put_u64(0);
        }
        if line == self.rows {
            out.put_i16(-1);
            return;
        }
        out.put_i16(self.columns.len() as i16);
        for column in &self.columns {
            if column.is_null(line) {
                out.put_i32(-1);
                continue;
            }
            let start = out.len();
            out.put_i32(0);
            column.binary(line, out);
            let length = (out.len() - start - 4) as i32;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }

    fn write_header(&self, out: &mut BytesMut) {
        let options = &self.copy.options;
        let only = self.copy.names.len() == 1;
        for (at, name) in self.copy.names.iter().enumerate() {
            if at > 0 {
                out.put_u8(options.delimiter);
            }
            let start = out.len();
            out.put_slice(name.as_bytes());
            finish_field(start, options, Quoting::Needed, only, out);
        }
    }

    fn write_row(&self, row: usize, out: &mut BytesMut) {
        let options = &self.copy.options;
        let only = self.columns.len() == 1;
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.put_u8(options.delimiter);
            }
            if column.is_null(row) {
                out.put_slice(options.null.as_bytes());
                continue;
            }
            let start = out.len();
            column.text(row, &self.copy.settings, out);
            // Numbers and their like hold nothing that the text format escapes.
            if options.format == Format::Csv || holds_any_text(self.copy.types[at]) {
                finish_field(start, options, self.copy.quoting[at], only, out);
            }
        }
    }
}

fn holds_any_text(sql_type: SqlType) -> bool {
    use crate::catalog::sql_type::TypeKind;
    sql_type.array
        || !matches!(
            sql_type.kind,
            TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 | TypeKind::Bool | TypeKind::Uuid
        )
}
