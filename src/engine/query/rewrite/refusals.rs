//! What is refused before planning, because it would be planned and mean something else.

use super::labels::folded;
use super::set_lists::gives_set;
use super::subqueries::is_aggregate;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::uuids;
use crate::sql::row_locks::RowLock;
use sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, JoinConstraint, JoinOperator, Query, Select,
    SelectItem, SetExpr, TableFactor, Value, Visit, Visitor, visit_expressions, visit_relations,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Looks for what the query path does not support.
///
/// # Errors
/// 0A000 naming the first such feature.
pub fn check(tree: &impl Visit) -> Result<(), Diagnostic> {
    match tree.visit(&mut Refusals) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(refusal) => Err(refusal),
    }
}

/// Looks for what an expression that stands alone cannot have besides.
///
/// # Errors
/// 42803 for an aggregate, in PostgreSQL's words; as [`check_sets`].
pub fn check_alone(expression: &Expr) -> Result<(), Diagnostic> {
    if calls_itself(expression, is_aggregate) {
        return Err(Diagnostic::error(
            SqlState::GROUPING_ERROR,
            "aggregate functions are not allowed here",
        ));
    }
    check_sets(expression, "here")
}

/// Looks for a function that returns a set where one value is wanted.
///
/// # Errors
/// 0A000 in PostgreSQL's words.
pub fn check_sets(expression: &Expr, place: &str) -> Result<(), Diagnostic> {
    match calls_itself(expression, gives_set) {
        false => Ok(()),
        true => Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("set-returning functions are not allowed {place}"),
        )),
    }
}

struct Refusals;

/// Window functions that are nothing else.
const WINDOW_ONLY: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// Positions in GROUP BY that are in the select list.
fn grouped_by_columns(select: &Select) -> ControlFlow<Diagnostic> {
    let GroupByExpr::Expressions(items, _) = &select.group_by else {
        return ControlFlow::Continue(());
    };
    let expands = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    let columns = 1..=select.projection.len();
    for item in items {
        if let Expr::Value(value) = item
            && let Value::Number(digits, _) = &value.value
            && !expands
            && !digits.parse().is_ok_and(|place| columns.contains(&place))
        {
            return ControlFlow::Break(Diagnostic::error(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("GROUP BY position {digits} is not in select list"),
            ));
        }
    }
    ControlFlow::Continue(())
}

/// count() and count(a, b), which the library takes and PostgreSQL does not.
fn counts_something(function: &Function) -> ControlFlow<Diagnostic> {
    let FunctionArguments::List(list) = &function.args else {
        return ControlFlow::Continue(());
    };
    match list.args.len() {
        0 => ControlFlow::Break(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            "count(*) must be used to call a parameterless aggregate function",
        )),
        1 => ControlFlow::Continue(()),
        _ => refuse("count() of several arguments"),
    }
}

/// A subquery that is compared has a column for each of the values, as far as its list says how many it has.
fn as_wide_as(values: &Expr, subquery: &Query) -> ControlFlow<Diagnostic> {
    let SetExpr::Select(select) = &*subquery.body else {
        return ControlFlow::Continue(());
    };
    let expands = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    let wanted = match values {
        Expr::Tuple(values) => values.len(),
        Expr::Function(function) if super::rows::is_constructor(function) => match &function.args {
            FunctionArguments::List(list) => list.args.len(),
            _ => 1,
        },
        Expr::Nested(inner) => return as_wide_as(inner, subquery),
        _ => 1,
    };
    let found = select.projection.len();
    if found == wanted || select.projection.iter().any(expands) {
        return ControlFlow::Continue(());
    }
    let how = match found > wanted {
        true => "many",
        false => "few",
    };
    ControlFlow::Break(Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        format!("subquery has too {how} columns"),
    ))
}

fn demand_single(expression: &Expr, place: &str) -> ControlFlow<Diagnostic> {
    match check_sets(expression, place) {
        Ok(()) => ControlFlow::Continue(()),
        Err(refusal) => ControlFlow::Break(refusal),
    }
}

/// As [`demand_single`], of what a query beside LATERAL can do instead.
fn demand_single_within(expression: &Expr, place: &str) -> ControlFlow<Diagnostic> {
    let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
    match check_sets(expression, place) {
        Ok(()) => ControlFlow::Continue(()),
        Err(refusal) => ControlFlow::Break(refusal.with_hint(hint)),
    }
}

fn refuse(feature: &str) -> ControlFlow<Diagnostic> {
    ControlFlow::Break(Diagnostic::unsupported(feature))
}

/// Functions that give something else each time.
const VOLATILE: &[&str] = &["clock_timestamp", "nextval", "random"];

fn is_volatile(function: &Function) -> bool {
    super::syntax::last_name(&function.name)
        .is_some_and(|name| VOLATILE.contains(&&*name) || uuids::VOLATILE.contains(&&*name))
}

/// Whether a query has such a call, be it in a query inside.
fn calls_anywhere(query: &Query, is_such: fn(&Function) -> bool) -> bool {
    let search = visit_expressions(query, |expr| match expr {
        Expr::Function(function) if is_such(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    search.is_break()
}

/// In how many places a query reads the table of this name.
fn readers(query: &Query, name: &str) -> usize {
    let mut found = 0;
    let _ = visit_relations(query, |relation| {
        if let [part] = relation.0.as_slice()
            && part.as_ident().is_some_and(|ident| folded(ident) == name)
        {
            found += 1;
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

/// Whether an expression has such a call, in itself and not in the queries inside it.
pub fn calls_itself(expression: &Expr, is_such: fn(&Function) -> bool) -> bool {
    let mut own = OwnCalls { depth: 0, is_such };
    expression.visit(&mut own).is_break()
}

struct OwnCalls {
    depth: usize,
    is_such: fn(&Function) -> bool,
}

impl Visitor for OwnCalls {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if self.depth == 0 && (self.is_such)(function) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn is_window(function: &Function) -> bool {
    function.over.is_some()
}

impl Visitor for Refusals {
    type Break = Diagnostic;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Diagnostic> {
        if let Some(lock) = query.locks.first() {
            let strength = RowLock::of_clause(lock).strength;
            return refuse(&format!("{} in this query", strength.name()));
        }
        if query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties) {
            return refuse("FETCH FIRST WITH TIES");
        }
        let mut names = HashSet::new();
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = folded(&table.alias.name);
            if !names.insert(name.clone()) {
                return ControlFlow::Break(Diagnostic::error(
                    SqlState::DUPLICATE_ALIAS,
                    format!("WITH query name \"{name}\" specified more than once"),
                ));
            }
        }
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            // The planner writes the query in each place, and each would have values of its own.
            let name = folded(&table.alias.name);
            let of_others = || readers(query, &name) - readers(&table.query, &name);
            if calls_anywhere(&table.query, is_volatile) && of_others() > 1 {
                return ControlFlow::Break(
                    Diagnostic::unsupported(
                        "a WITH query of a volatile function that is read twice",
                    )
                    .with_hint("Keep its rows in a temporary table."),
                );
            }
        }
        if !query.pipe_operators.is_empty() {
            return refuse("the pipe operator");
        }
        if matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        ) {
            return ControlFlow::Break(Diagnostic::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH clause containing a data-modifying statement must be at the top level",
            ));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Diagnostic> {
        if select.into.is_some() {
            return refuse("SELECT INTO");
        }
        if select.qualify.is_some() {
            return refuse("QUALIFY");
        }
        if select.top.is_some() {
            return refuse("TOP");
        }
        if let Some(condition) = &select.selection {
            if calls_itself(condition, is_aggregate) {
                return ControlFlow::Break(Diagnostic::error(
                    SqlState::GROUPING_ERROR,
                    "aggregate functions are not allowed in WHERE",
                ));
            }
            if calls_itself(condition, is_window) {
                return ControlFlow::Break(Diagnostic::error(
                    SqlState::WINDOWING_ERROR,
                    "window functions are not allowed in WHERE",
                ));
            }
            demand_single(condition, "in WHERE")?;
        }
        if let Some(condition) = &select.having {
            demand_single(condition, "in HAVING")?;
        }
        for join in select.from.iter().flat_map(|table| &table.joins) {
            let natural = matches!(
                &join.join_operator,
                JoinOperator::FullOuter(JoinConstraint::Natural)
                    | JoinOperator::Right(JoinConstraint::Natural)
                    | JoinOperator::RightOuter(JoinConstraint::Natural)
            );
            if natural || super::using::is_right_using(&join.join_operator) {
                // The planner takes the left side's column, which is NULL where that has no row.
                return ControlFlow::Break(
                    Diagnostic::unsupported("RIGHT or FULL JOIN … USING in this query")
                        .with_hint("Write ON, and coalesce() of the two columns."),
                );
            }
        }
        grouped_by_columns(select)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Diagnostic> {
        match factor {
            TableFactor::Table {
                sample: Some(_), ..
            } => refuse("TABLESAMPLE"),
            // Rows of type record, of which only a definition says the columns, are not here.
            TableFactor::Table {
                alias: Some(alias),
                args: None,
                ..
            }
            | TableFactor::Derived {
                alias: Some(alias), ..
            } if alias
                .columns
                .iter()
                .any(|column| column.data_type.is_some()) =>
            {
                ControlFlow::Break(Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    "a column definition list is only allowed for functions returning \"record\"",
                ))
            }
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::Function { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => refuse("this form of FROM item"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Diagnostic> {
        match expr {
            Expr::Case { .. } => demand_single_within(expr, "in CASE"),
            Expr::Function(function)
                if super::syntax::last_name(&function.name).as_deref() == Some("coalesce") =>
            {
                demand_single_within(expr, "in COALESCE")
            }
            Expr::Function(function)
                if super::syntax::last_name(&function.name).as_deref() == Some("count") =>
            {
                counts_something(function)
            }
            Expr::Function(function) if function.over.is_none() => {
                match super::syntax::last_name(&function.name) {
                    Some(name)
                        if WINDOW_ONLY.contains(&name.as_str())
                            && !function.within_group.is_empty() =>
                    {
                        refuse(&format!("{name}() WITHIN GROUP"))
                    }
                    Some(name) if WINDOW_ONLY.contains(&name.as_str()) => {
                        ControlFlow::Break(Diagnostic::error(
                            SqlState::WRONG_OBJECT_TYPE,
                            format!("window function {name} requires an OVER clause"),
                        ))
                    }
                    _ => ControlFlow::Continue(()),
                }
            }
            Expr::InSubquery { expr, subquery, .. } => as_wide_as(expr, subquery),
            Expr::BinaryOp { left, right, .. } => match (&**left, &**right) {
                (row, Expr::Subquery(subquery)) | (Expr::Subquery(subquery), row)
                    if super::rows::is(row) =>
                {
                    as_wide_as(row, subquery)
                }
                _ => ControlFlow::Continue(()),
            },
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => match &**right {
                Expr::Subquery(subquery) => as_wide_as(left, subquery),
                _ => ControlFlow::Continue(()),
            },
            Expr::Convert { .. } => refuse("CONVERT"),
            Expr::IsNormalized { .. } => refuse("IS NORMALIZED"),
            Expr::MatchAgainst { .. } => refuse("MATCH AGAINST"),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    fn refusal(sql: &str) -> Option<String> {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("parses");
        check(&statements)
            .err()
            .map(|refusal| refusal.message().to_owned())
    }

    #[test]
    fn row_locks_of_general_queries_are_refused_by_name() {
        assert_eq!(
            refusal("select * from a join b using (x) for update").as_deref(),
            Some("FOR UPDATE in this query is not supported")
        );
    }

    #[test]
    fn what_would_mean_something_else_is_refused_in_subqueries_too() {
        for sql in [
            "select (select 1 into t)",
            "with q as (insert into t values (1) returning a) select * from q",
        ] {
            assert!(refusal(sql).is_some(), "{sql}");
        }
        assert_eq!(refusal("select a, b from t where a = 1"), None);
    }
}
