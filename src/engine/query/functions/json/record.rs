//! Rows as values, their columns being the arguments: an object of JSON, or the text that a row prints as.
//!
//! The first argument says whether the row may be absent, as behind an outer join: it is NULL where all of
//! its columns are. Then names and values follow in turn. Source: PostgreSQL 15, §8.16.6 "Composite Type
//! Input and Output Syntax", and §9.16 (row_to_json).

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::statement::Statement;
use crate::engine::query::{cast, failure};
use crate::engine::settings::Settings;
use crate::engine::types;
use crate::engine::types::json;
use crate::engine::types::json_of::JsonColumn;
use datafusion::arrow::array::{AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// The function that makes json of a row; nobody can write its name.
pub const JSON: &str = "\u{1}row_json";
/// The function that makes jsonb of a row.
pub const JSONB: &str = "\u{1}row_jsonb";
/// The function that prints a row.
pub const TEXT: &str = "\u{1}row_text";
/// json_agg() of rows, each of which begins a line.
pub const JSON_AGG: &str = "\u{1}json_agg";

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        (JSON, TypeKind::Json),
        (JSONB, TypeKind::Jsonb),
        (TEXT, TypeKind::Text),
    ]
    .map(|(name, kind)| {
        Arc::new(ScalarUDF::new_from_impl(Record {
            name,
            kind,
            signature: Signature::variadic_any(Volatility::Stable),
        }))
    })
    .into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Record {
    name: &'static str,
    kind: TypeKind,
    signature: Signature,
}

impl ScalarUDFImpl for Record {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(cast::field(self.name, SqlType::scalar(self.kind))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let statement = Statement::of(&args.config_options);
        let defaults = Settings::default();
        let settings = match &statement {
            Ok(statement) => &*statement.context.settings,
            Err(_) => &defaults,
        };
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let may_be_absent = arrays[0].as_boolean();
        let mut names = Vec::new();
        let mut columns = Vec::new();
        for place in (1..arrays.len().saturating_sub(1)).step_by(2) {
            names.push(arrays[place].as_string::<i32>());
            let sql_type = types::sql_type(&args.arg_fields[place + 1]);
            let column = sql_type
                .and_then(|sql_type| JsonColumn::new(&arrays[place + 1], sql_type, settings));
            columns.push(column.map_err(failure::external)?);
        }
        let made = (0..rows).map(|row| {
            if may_be_absent.value(row) && columns.iter().all(|column| column.is_null(row)) {
                return Ok(None);
            }
            let text = match self.kind {
                TypeKind::Text => Ok(printed(&columns, row)),
                _ => object(&names, &columns, row),
            };
            let text = text.and_then(|text| match self.kind {
                TypeKind::Jsonb => json::normalise(&text),
                _ => Ok(text),
            });
            text.map(Some).map_err(failure::external)
        });
        let made: StringArray = made.collect::<Result<_>>()?;
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}

fn object(
    names: &[&StringArray],
    columns: &[JsonColumn<'_>],
    row: usize,
) -> std::result::Result<String, crate::diagnostic::Diagnostic> {
    let mut out = String::from("{");
    for (place, (name, column)) in names.iter().zip(columns).enumerate() {
        if place > 0 {
            out.push(',');
        }
        json::write_quoted(name.value(row), &mut out);
        out.push(':');
        column.write(row, &mut out)?;
    }
    out.push('}');
    Ok(out)
}

/// `(1,"a b",)`: what could be misread is quoted, NULL is nothing.
fn printed(columns: &[JsonColumn<'_>], row: usize) -> String {
    let mut out = String::from("(");
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        if column.is_null(row) {
            continue;
        }
        let text = column.printed(row);
        let misread = |letter: char| {
            matches!(letter, '"' | '\\' | '(' | ')' | ',') || letter.is_ascii_whitespace()
        };
        if !text.is_empty() && !text.contains(misread) {
            out.push_str(&text);
            continue;
        }
        out.push('"');
        for letter in text.chars() {
            if matches!(letter, '"' | '\\') {
                out.push(letter);
            }
            out.push(letter);
        }
        out.push('"');
    }
    out.push(')');
    out
}
