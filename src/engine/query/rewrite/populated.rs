//! `FROM jsonb_populate_record(NULL::t, x)` as `FROM jsonb_to_record(x) AS jsonb_populate_record (…)`, whose list of definitions
//! is the columns of the table t.
//! Source: PostgreSQL 15, table 9.47 "JSON Processing Functions".

use super::syntax::last_name;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::types;
use crate::sql::parse;
use sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, ObjectName, Query, SetExpr, Statement,
    TableFactor, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The columns of the relation of a name, and their types; None where there is none.
pub type TypesOf<'a> = &'a dyn Fn(&ObjectName) -> Option<Vec<(String, SqlType)>>;

/// Rewrites those of a query.
///
/// # Errors
/// 0A000 for a row to start from that is not NULL.
pub fn rewrite(query: &mut Query, types_of: TypesOf<'_>) -> Result<(), Diagnostic> {
    match VisitMut::visit(query, &mut Populated { types_of }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Populated<'a> {
    types_of: TypesOf<'a>,
}

impl VisitorMut for Populated<'_> {
    type Break = Diagnostic;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Diagnostic> {
        match self.written(factor) {
            Ok(None) => {}
            Ok(Some(written)) => *factor = written,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Populated<'_> {
    fn written(&self, factor: &TableFactor) -> Result<Option<TableFactor>, Diagnostic> {
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
        let Some(function) = with_definitions(&name) else {
            return Ok(None);
        };
        let [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(base)),
            FunctionArg::Unnamed(json),
        ] = args.args.as_slice()
        else {
            return Ok(None);
        };
        let Some(relation) = null_row_of(base) else {
            return Err(Diagnostic::unsupported(format!(
                "{name}() of a row other than NULL::table"
            )));
        };
        let Some(columns) = (self.types_of)(relation) else {
            return Ok(None);
        };
        if alias
            .as_ref()
            .is_some_and(|alias| !alias.columns.is_empty())
        {
            // Members go by the columns' own names.
            return Err(Diagnostic::unsupported(format!(
                "new column names for {name}()"
            )));
        }
        let columns = columns
            .iter()
            .map(|(column, of)| format!("{} {}", quoted(column), types::format_type(*of)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let item = match alias {
            Some(alias) => alias.name.to_string(),
            None => quoted(&name),
        };
        let text = format!("SELECT * FROM {function}(NULL) AS {item} ({columns})");
        let Statement::Query(query) = parse::parse_one(&text)? else {
            return Err(Diagnostic::internal("a query of ours is none"));
        };
        let SetExpr::Select(mut select) = *query.body else {
            return Err(Diagnostic::internal("a query of ours selects nothing"));
        };
        let Some(mut item) = select.from.pop().map(|item| item.relation) else {
            return Err(Diagnostic::internal("a query of ours is of nothing"));
        };
        if let TableFactor::Table {
            args: Some(args), ..
        } = &mut item
        {
            args.args = vec![FunctionArg::Unnamed(json.clone())];
        }
        Ok(Some(item))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The function that takes a list of definitions instead.
fn with_definitions(name: &str) -> Option<&'static str> {
    Some(match name {
        "json_populate_record" => "json_to_record",
        "jsonb_populate_record" => "jsonb_to_record",
        "json_populate_recordset" => "json_to_recordset",
        "jsonb_populate_recordset" => "jsonb_to_recordset",
        _ => return None,
    })
}

/// `NULL::t`
fn null_row_of(expr: &Expr) -> Option<&ObjectName> {
    match expr {
        Expr::Cast {
            expr,
            data_type: DataType::Custom(name, modifiers),
            ..
        } if modifiers.is_empty()
            && matches!(&**expr, Expr::Value(value) if value.value == Value::Null) =>
        {
            Some(name)
        }
        Expr::Nested(expr) => null_row_of(expr),
        _ => None,
    }
}
