//! `FROM jsonb_to_recordset(x) AS t (a int, b text)`: the columns of a function that returns records are what
//! its list of definitions says, taken out of JSON by their names.
//! Source: PostgreSQL 15, table 9.47 "JSON Processing Functions".

use super::labels::folded;
use super::syntax::last_name;
use crate::catalog::sql_type::TypeKind;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::json::AS_ARRAY;
use crate::engine::types;
use crate::sql::parse;
use sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, Query, SetExpr, Statement, TableAlias,
    TableFactor, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Where the function's argument goes.
const ARGUMENT: &str = "\u{1}argument";

/// The item as a subquery, if it is a call of one of these functions.
///
/// # Errors
/// 42601 without a list of definitions.
pub fn of(factor: &TableFactor) -> Result<Option<TableFactor>, Diagnostic> {
    let TableFactor::Table {
        name,
        alias,
        args: Some(args),
        with_ordinality: false,
        ..
    } = factor
    else {
        return Ok(None);
    };
    let name = last_name(name).unwrap_or_default();
    let Some((kind, many)) = returns_records(&name) else {
        return Ok(None);
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.args.as_slice() else {
        return Ok(None);
    };
    let undefined = || {
        Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "a column definition list is required for functions returning \"record\"",
        )
    };
    let alias = alias.as_ref().filter(|alias| !alias.columns.is_empty());
    let alias = alias.ok_or_else(undefined)?;
    let mut columns = Vec::with_capacity(alias.columns.len());
    for column in &alias.columns {
        let data_type = column.data_type.as_ref().ok_or_else(undefined)?;
        columns.push(value_of(&folded(&column.name), data_type, kind));
    }
    let columns = columns.join(", ");
    let rows = match many {
        true => format!("{kind}_array_elements(CAST(\"{ARGUMENT}\" AS {kind}))"),
        false => format!("(SELECT CAST(\"{ARGUMENT}\" AS {kind}) AS value)"),
    };
    let text = format!("SELECT {columns} FROM {rows} AS record");
    let Statement::Query(mut subquery) = parse::parse_one(&text)? else {
        return Err(Diagnostic::internal("a query of ours is none"));
    };
    put_in(&mut subquery, argument);
    Ok(Some(TableFactor::Derived {
        lateral: true,
        subquery,
        alias: Some(TableAlias {
            columns: alias
                .columns
                .iter()
                .map(|column| sqlparser::ast::TableAliasColumnDef {
                    name: column.name.clone(),
                    data_type: None,
                })
                .collect(),
            ..alias.clone()
        }),
        sample: None,
    }))
}

/// Of which JSON the function is, and whether it gives a row for each element.
fn returns_records(name: &str) -> Option<(&'static str, bool)> {
    Some(match name {
        "json_to_record" => ("json", false),
        "jsonb_to_record" => ("jsonb", false),
        "json_to_recordset" => ("json", true),
        "jsonb_to_recordset" => ("jsonb", true),
        _ => return None,
    })
}

/// A member as a value of the type; a null of JSON is NULL.
fn value_of(key: &str, data_type: &DataType, kind: &str) -> String {
    let quoted = key.replace('\'', "''");
    if let Some(array) = types::built_in(data_type).ok().filter(|one| one.array) {
        let of_json = matches!(array.kind, TypeKind::Json | TypeKind::Jsonb);
        return format!(
            "CAST(\"{AS_ARRAY}\"(record.value -> '{quoted}', {of_json}) AS {data_type})"
        );
    }
    match data_type {
        DataType::JSON | DataType::JSONB => format!(
            "CASE WHEN {kind}_typeof(record.value -> '{quoted}') <> 'null' \
             THEN CAST(record.value -> '{quoted}' AS {data_type}) END"
        ),
        other => format!("CAST(record.value ->> '{quoted}' AS {other})"),
    }
}

fn put_in(subquery: &mut Query, argument: &Expr) {
    struct Put<'a>(&'a Expr);
    impl VisitorMut for Put<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if matches!(expr, Expr::Identifier(name) if name.value == ARGUMENT) {
                *expr = self.0.clone();
            }
            ControlFlow::Continue(())
        }
    }
    if let SetExpr::Select(select) = &mut *subquery.body {
        let _ = VisitMut::visit(&mut select.from, &mut Put(argument));
    }
}
