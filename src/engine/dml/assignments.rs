//! SET: which columns get which values.

use super::filler::{Filler, input_of};
use super::names;
use super::target::Target;
use super::value::{self, Row, Value};
use super::write::Writer;
use crate::catalog::definition::Identity;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::expression::Scope;
use crate::engine::query::rewrite::refusals;
use crate::engine::query::statement::Statement;
use crate::engine::types::Input;
use crate::sql::parse;
use crate::storage::LockMode;
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, Expr};
use std::borrow::Cow;
use std::sync::Arc;

/// The assignments of an UPDATE.
#[derive(Clone, Debug)]
pub struct Assignments {
    columns: Vec<(usize, New)>,
    /// FOR UPDATE where a key may change, FOR NO KEY UPDATE otherwise.
    pub lock: LockMode,
}

#[derive(Clone, Debug)]
enum New {
    Value(Value),
    Default(Filler),
}

/// How the value of a column is compiled.
type OfColumn = fn(
    &Expr,
    &Scope,
    &mut Vec<Option<SqlType>>,
    (&str, SqlType),
    Input<'_>,
) -> Result<Value, Diagnostic>;

/// One assignment as it is written.
pub struct Written<'a> {
    /// The column's position.
    pub position: usize,
    /// The value; DEFAULT is the bare word.
    pub value: Cow<'a, Expr>,
}

impl Assignments {
    /// Of a SET list over a scope that begins with the target's columns.
    ///
    /// # Errors
    /// 42703, 42601, 42804, and what the expressions have wrong; 0A000 for subqueries, and for
    /// functions that ask the statement.
    pub fn new(
        list: &[ast::Assignment],
        target: &Target,
        scope: &Scope,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Result<Assignments, Diagnostic> {
        let of_column = value::compile_for_column;
        Assignments::compiled(list, target, scope, parameters, context, of_column)
    }

    /// As [`Assignments::new`], with functions that ask the statement: made ready by
    /// [`Assignments::within`].
    ///
    /// # Errors
    /// As there, but none yet for those functions.
    pub fn asking(
        list: &[ast::Assignment],
        target: &Target,
        scope: &Scope,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Result<Assignments, Diagnostic> {
        let of_column = value::compile_asking_for_column;
        Assignments::compiled(list, target, scope, parameters, context, of_column)
    }

    fn compiled(
        list: &[ast::Assignment],
        target: &Target,
        scope: &Scope,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
        of_column: OfColumn,
    ) -> Result<Assignments, Diagnostic> {
        let mut columns = Vec::new();
        for Written { position, value } in written(list, target)? {
            let column = &target.columns()[position];
            let new = if is_default(&value) {
                New::Default(Filler::of(target, position, context)?)
            } else {
                New::Value(of_column(
                    &value,
                    scope,
                    parameters,
                    (&column.name, column.sql_type),
                    input_of(context),
                )?)
            };
            columns.push((position, new));
        }
        let lock = lock_for(columns.iter().map(|(position, _)| *position), target);
        Ok(Assignments { columns, lock })
    }

    /// Whether they must be made ready by [`Assignments::within`].
    pub fn asks(&self) -> bool {
        self.columns
            .iter()
            .any(|(_, new)| matches!(new, New::Value(value) if value.asks()))
    }

    /// The same, their functions asking this statement.
    ///
    /// # Errors
    /// 0A000 for functions that do something besides giving a value.
    pub fn within(&mut self, statement: &Arc<Statement>) -> Result<(), Diagnostic> {
        for (_, new) in &mut self.columns {
            if let New::Value(value) = new {
                *value = value.within(statement)?;
            }
        }
        Ok(())
    }

    /// Whether a new value depends on the row's columns.
    pub fn reads_columns(&self) -> bool {
        self.columns.iter().any(|(_, new)| match new {
            New::Value(value) => !value.is_free_of_columns(),
            New::Default(_) => false,
        })
    }

    /// The new row.
    ///
    /// # Errors
    /// What the expressions and assignments raise.
    pub async fn apply(
        &self,
        old: &[ScalarValue],
        row: Row<'_>,
        writer: &Writer<'_>,
    ) -> Result<Vec<ScalarValue>, Diagnostic> {
        let mut new = old.to_vec();
        for (position, source) in &self.columns {
            new[*position] = match source {
                New::Value(value) => value.evaluate(row)?,
                New::Default(filler) => filler.next(writer.storage, writer.context).await?,
            };
        }
        writer.target.generate(&mut new, writer.input())?;
        Ok(new)
    }
}

/// How strongly a row is locked whose columns at these positions change, and its generated ones with them.
pub fn lock_for(mut positions: impl Iterator<Item = usize>, target: &Target) -> LockMode {
    let mut generated = target.generated.iter();
    if positions.any(|position| target.is_key_column(position))
        || generated.any(|(position, _)| target.is_key_column(*position))
    {
        LockMode::Update
    } else {
        LockMode::NoKeyUpdate
    }
}

/// The assignments one by one, `(a, b) = (1, 2)` taken apart.
///
/// # Errors
/// 42703, 42601; 428C9 for GENERATED ALWAYS.
pub fn written<'a>(
    list: &'a [ast::Assignment],
    target: &Target,
) -> Result<Vec<Written<'a>>, Diagnostic> {
    let mut all: Vec<Written<'a>> = Vec::new();
    let mut add = |name: &ast::ObjectName, value: Cow<'a, Expr>| {
        let name = names::column(name)?;
        let position = target.column(&name)?;
        if all.iter().any(|earlier| earlier.position == position) {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                format!("multiple assignments to same column \"{name}\""),
            ));
        }
        if target.columns()[position].generated && !is_default(&value) {
            return Err(Diagnostic::error(
                SqlState::new("428C9"),
                format!("column \"{name}\" can only be updated to DEFAULT"),
            )
            .with_detail(format!("Column \"{name}\" is a generated column.")));
        }
        if target.columns()[position].identity == Some(Identity::Always) && !is_default(&value) {
            return Err(Diagnostic::error(
                SqlState::new("428C9"),
                format!("column \"{name}\" can only be updated to DEFAULT"),
            )
            .with_detail(format!(
                "Column \"{name}\" is an identity column defined as GENERATED ALWAYS."
            )));
        }
        refusals::check_sets(&value, "in UPDATE")?;
        all.push(Written { position, value });
        Ok(())
    };
    for assignment in list {
        match &assignment.target {
            ast::AssignmentTarget::ColumnName(name) => {
                add(name, Cow::Borrowed(&assignment.value))?;
            }
            ast::AssignmentTarget::Tuple(names) => {
                let values: Vec<Cow<'a, Expr>> = match &assignment.value {
                    Expr::Tuple(values) => values.iter().map(Cow::Borrowed).collect(),
                    Expr::Nested(only) => vec![Cow::Borrowed(&**only)],
                    Expr::Subquery(query) => each_column(query, names.len())?
                        .into_iter()
                        .map(Cow::Owned)
                        .collect(),
                    _ => {
                        return Err(Diagnostic::unsupported(
                            "this source of a multiple-column UPDATE",
                        )
                        .with_hint("It is a row of values or a subquery."));
                    }
                };
                if values.len() != names.len() {
                    return Err(Diagnostic::error(
                        SqlState::SYNTAX_ERROR,
                        "number of columns does not match number of values",
                    ));
                }
                for (name, value) in names.iter().zip(values) {
                    add(name, value)?;
                }
            }
        }
    }
    Ok(all)
}

/// `(a, b) = (SELECT x, y …)` as one subquery a column, `(SELECT a FROM (…) AS columns (a, b))`:
/// they see the same rows, for they are of one statement.
fn each_column(query: &ast::Query, count: usize) -> Result<Vec<Expr>, Diagnostic> {
    let names: Vec<String> = (1..=count)
        .map(|number| format!("\"column{number}\""))
        .collect();
    let list = names.join(", ");
    names
        .iter()
        .map(|name| {
            let text = format!("(SELECT {name} FROM (SELECT 1) AS \"columns\" ({list}))");
            let mut expr = parse::parse_expression(&text)?;
            let derived = match &mut expr {
                Expr::Subquery(outer) => match &mut *outer.body {
                    ast::SetExpr::Select(select) => select.from.first_mut(),
                    _ => None,
                },
                _ => None,
            };
            match derived.map(|table| &mut table.relation) {
                Some(ast::TableFactor::Derived { subquery, .. }) => {
                    **subquery = query.clone();
                    Ok(expr)
                }
                _ => Err(Diagnostic::internal("a derived table is none")),
            }
        })
        .collect()
}

/// WHERE over a scope.
///
/// # Errors
/// 42804 unless it is boolean; what the expression has wrong; 0A000 for subqueries.
pub fn compile_filter(
    selection: Option<&Expr>,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Result<Option<Value>, Diagnostic> {
    let Some(selection) = selection else {
        return Ok(None);
    };
    let filter = value::compile(selection, scope, parameters, input)?;
    value::demand_boolean(&filter, "WHERE")?;
    Ok(Some(filter))
}

/// Whether the value is the word DEFAULT.
pub fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(name)
        if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}
