//! VALUES of an INSERT: worked out on the core where each value stands alone, as a query otherwise.

use super::assignments::is_default;
use super::filler::input_of;
use super::target::Target;
use super::value::{self, Value};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::expression::Scope;
use crate::sql::{depth, parse};
use sqlparser::ast::{self, Expr, SelectItem, SetExpr};

/// How many rows an INSERT is written with; None where they come from a query.
pub fn rows_written(insert: &ast::Insert) -> Option<usize> {
    match insert.source.as_deref() {
        None => Some(1),
        Some(query) => values_of(query).map(<[_]>::len),
    }
}

/// The rows of a query that is VALUES and nothing else.
pub fn values_of(query: &ast::Query) -> Option<&[ast::Parens<Vec<Expr>>]> {
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty();
    match &*query.body {
        SetExpr::Values(values) if plain => Some(&values.rows),
        _ => None,
    }
}

/// The values of each row, as their columns keep them; None: DEFAULT.
///
/// # Errors
/// 42601, 42804, and what the expressions have wrong; 0A000 for what takes a query.
pub fn compile_rows(
    rows: &[ast::Parens<Vec<Expr>>],
    target: &Target,
    columns: &[usize],
    parameters: &mut Vec<Option<SqlType>>,
    context: &StatementContext,
) -> Result<Vec<Vec<Option<Value>>>, Diagnostic> {
    let scope = Scope::empty();
    let width = rows.first().map_or(0, |row| row.content.len());
    let mut compiled = Vec::with_capacity(rows.len());
    for row in rows {
        if row.content.len() != width {
            return Err(lengths_differ());
        }
        let mut values = Vec::with_capacity(width);
        for (place, expression) in row.content.iter().enumerate() {
            let Some(position) = columns.get(place) else {
                return Err(Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    "INSERT has more expressions than target columns",
                ));
            };
            if is_default(expression) {
                values.push(None);
                continue;
            }
            let column = &target.columns()[*position];
            values.push(Some(value::compile_for_column(
                expression,
                &scope,
                parameters,
                (&column.name, column.sql_type),
                input_of(context),
            )?));
        }
        compiled.push(values);
    }
    Ok(compiled)
}

/// The query of VALUES.
pub struct Typed {
    /// The query itself.
    pub query: ast::Query,
    /// How many of its columns are behind the values.
    pub behind: usize,
    /// The columns that are DEFAULT in some rows.
    pub defaults: Vec<Defaulted>,
}

/// A column that VALUES has DEFAULT for.
#[derive(Debug)]
pub struct Defaulted {
    /// Its place in the rows.
    pub place: usize,
    /// The place of what says where: true for DEFAULT.
    pub marker: usize,
    /// In how many of the rows.
    pub rows: Rows,
}

/// How many rows have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All of them.
    All,
    /// Not all.
    Some,
}

/// VALUES for the query engine: what has no type by itself takes that of its column. DEFAULT is NULL there,
/// and a column behind the others says of which rows.
///
/// # Errors
/// 0A000 for very many rows.
pub fn typed_values(
    query: &ast::Query,
    rows: &[ast::Parens<Vec<Expr>>],
    target: &Target,
    columns: &[usize],
) -> Result<Typed, Diagnostic> {
    if rows.len() > depth::TREE_DEPTH_MAX {
        return Err(Diagnostic::unsupported(
            "a subquery or volatile function in VALUES of so many rows",
        ));
    }
    let width = rows.first().map_or(0, |row| row.content.len());
    if rows.iter().any(|row| row.content.len() != width) {
        return Err(lengths_differ());
    }
    let mut rows = rows.to_vec();
    let defaults = mark_defaults(&mut rows);
    for expression in rows
        .iter_mut()
        .flat_map(|row| row.content.iter_mut().enumerate())
    {
        let (place, expression) = expression;
        if let Some(position) = columns.get(place) {
            give_type(expression, target.columns()[*position].sql_type)?;
        }
    }
    let mut typed = query.clone();
    let behind = in_order(&mut rows, &mut typed)? + defaults.len();
    *typed.body = union_of(rows)?;
    Ok(Typed {
        query: typed,
        behind,
        defaults,
    })
}

/// Has the rows come as they are written: sequences count them, and RETURNING gives them. Gives how many
/// columns that takes.
fn in_order(
    rows: &mut [ast::Parens<Vec<Expr>>],
    query: &mut ast::Query,
) -> Result<usize, Diagnostic> {
    if rows.len() < 2 {
        return Ok(0);
    }
    let width = rows[0].content.len();
    let ordered = parse::parse_one(&format!("SELECT 1 ORDER BY {}", width + 1))?;
    if let ast::Statement::Query(ordered) = ordered {
        query.order_by = ordered.order_by;
    }
    for (number, row) in rows.iter_mut().enumerate() {
        let number = ast::Value::Number(number.to_string(), false);
        row.content.push(Expr::value(number));
    }
    Ok(1)
}

fn lengths_differ() -> Diagnostic {
    Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        "VALUES lists must all be the same length",
    )
}

/// Puts NULL where DEFAULT stands, and columns that say where behind the others.
fn mark_defaults(rows: &mut [ast::Parens<Vec<Expr>>]) -> Vec<Defaulted> {
    let width = rows.first().map_or(0, |row| row.content.len());
    let at =
        |row: &ast::Parens<Vec<Expr>>, place: usize| row.content.get(place).is_some_and(is_default);
    let mut defaults = Vec::new();
    for place in 0..width {
        let marked: Vec<bool> = rows.iter().map(|row| at(row, place)).collect();
        if !marked.contains(&true) {
            continue;
        }
        defaults.push(Defaulted {
            place,
            marker: width + defaults.len(),
            rows: match marked.contains(&false) {
                true => Rows::Some,
                false => Rows::All,
            },
        });
        for (row, marked) in rows.iter_mut().zip(marked) {
            if marked {
                row.content[place] = Expr::value(ast::Value::Null);
            }
            row.content.push(Expr::value(ast::Value::Boolean(marked)));
        }
    }
    defaults
}

/// A SELECT whose literals and parameters without a type, standing alone as output columns, have
/// that of the column they go to.
///
/// # Errors
/// XX000 for a type whose name does not parse.
pub fn typed_outputs(
    query: &ast::Query,
    target: &Target,
    columns: &[usize],
) -> Result<ast::Query, Diagnostic> {
    let mut typed = query.clone();
    if let SetExpr::Select(select) = &mut *typed.body {
        for (item, position) in select.projection.iter_mut().zip(columns) {
            match item {
                SelectItem::UnnamedExpr(expression)
                | SelectItem::ExprWithAlias {
                    expr: expression, ..
                } => give_type(expression, target.columns()[*position].sql_type)?,
                // How many columns these are is not known here.
                _ => break,
            }
        }
    }
    Ok(typed)
}

/// Casts a literal or parameter without a type to the column's. A length is left to the assignment,
/// which refuses where a cast would cut.
fn give_type(expression: &mut Expr, to: SqlType) -> Result<(), Diagnostic> {
    let untyped = matches!(
        expression,
        Expr::Value(ast::ValueWithSpan {
            value: ast::Value::Placeholder(_)
                | ast::Value::SingleQuotedString(_)
                | ast::Value::Null,
            ..
        })
    );
    if untyped {
        let to = match to.kind {
            TypeKind::Varchar | TypeKind::Bpchar => SqlType { typmod: -1, ..to },
            _ => to,
        };
        *expression = super::cast_to(expression.clone(), to)?;
    }
    Ok(())
}

/// The rows as SELECTs, because subqueries are worked out in those, and not in VALUES.
fn union_of(rows: Vec<ast::Parens<Vec<Expr>>>) -> Result<SetExpr, Diagnostic> {
    let selects = rows
        .into_iter()
        .map(|row| {
            let ast::Statement::Query(mut query) = parse::parse_one("SELECT 1")? else {
                return Err(Diagnostic::internal("a SELECT is no query"));
            };
            if let SetExpr::Select(select) = &mut *query.body {
                select.projection = row
                    .content
                    .into_iter()
                    .enumerate()
                    .map(|(place, expr)| ast::SelectItem::ExprWithAlias {
                        expr,
                        alias: ast::Ident::with_quote('"', format!("column{}", place + 1)),
                    })
                    .collect();
            }
            Ok(*query.body)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let all = selects
        .into_iter()
        .reduce(|left, right| SetExpr::SetOperation {
            op: ast::SetOperator::Union,
            set_quantifier: ast::SetQuantifier::All,
            left: Box::new(left),
            right: Box::new(right),
        });
    all.ok_or_else(|| Diagnostic::error(SqlState::SYNTAX_ERROR, "VALUES without a row"))
}
