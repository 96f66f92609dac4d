//! Which queries a cursor scrolls over without being told to.
//!
//! PostgreSQL asks its plan; told from the query it comes to this: what is sorted at the end, or
//! reads its rows from one place as they lie, can be read backwards; what joins, groups or locks
//! cannot. Source: PostgreSQL 15, DECLARE, and `ExecSupportsBackwardScan`.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier,
    TableFactor, TableWithJoins,
};

/// Whether a cursor over this query goes back though it was not declared SCROLL.
pub fn by_itself(query: &Query) -> bool {
    if !query.locks.is_empty() {
        return false;
    }
    let sorted = query.order_by.is_some() && reads(&query.body);
    sorted || body(&query.body)
}

/// Whether there is anything to be sorted: one row of constants is not.
fn reads(of: &SetExpr) -> bool {
    match of {
        SetExpr::Select(select) => !select.from.is_empty(),
        SetExpr::Values(values) => values.rows.len() > 1,
        _ => true,
    }
}

fn body(of: &SetExpr) -> bool {
    match of {
        SetExpr::Table(_) => true,
        SetExpr::Values(_) => reads(of),
        SetExpr::Query(query) => by_itself(query),
        SetExpr::Select(select) => as_it_lies(select),
        SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            left,
            right,
        } => body(left) && body(right),
        _ => false,
    }
}

/// One relation's rows, neither grouped nor made distinct.
fn as_it_lies(select: &Select) -> bool {
    let [TableWithJoins { relation, joins }] = select.from.as_slice() else {
        return false;
    };
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
    };
    let distinct = !matches!(select.distinct, None | Some(Distinct::All));
    if !joins.is_empty() || grouped || distinct || select.having.is_some() {
        return false;
    }
    let reads = match relation {
        TableFactor::Derived { subquery, .. } => by_itself(subquery),
        _ => true,
    };
    reads && select.projection.iter().all(is_of_one_row)
}

/// Nothing that gathers rows, and no window over them.
fn is_of_one_row(item: &SelectItem) -> bool {
    let expression = match item {
        SelectItem::UnnamedExpr(expression) => expression,
        SelectItem::ExprWithAlias { expr, .. } => expr,
        _ => return true,
    };
    !matches!(expression, Expr::Function(function)
        if function.over.is_some() || gathers(&function.name.to_string().to_lowercase()))
}

fn gathers(function: &str) -> bool {
    const AGGREGATES: &[&str] = &[
        "array_agg",
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "every",
        "json_agg",
        "jsonb_agg",
        "max",
        "min",
        "string_agg",
        "sum",
    ];
    AGGREGATES.contains(&function.trim_start_matches("pg_catalog."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::ast::Statement;

    fn scrolls(text: &str) -> bool {
        match crate::sql::parse::parse_one(text).expect(text) {
            Statement::Query(query) => by_itself(&query),
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn what_is_read_as_it_lies_or_sorted_last_scrolls_and_what_is_put_together_does_not() {
        for text in [
            "SELECT * FROM t",
            "SELECT a + 1 FROM t WHERE b LIMIT 3",
            "SELECT * FROM (SELECT a FROM t ORDER BY a) s",
            "SELECT t.a FROM t JOIN u USING (id) ORDER BY 1",
            "VALUES (1), (2)",
            "SELECT a FROM t UNION ALL SELECT b FROM u",
            "SELECT n FROM generate_series(1, 3) n",
        ] {
            assert!(scrolls(text), "{text}");
        }
        for text in [
            "SELECT 1",
            "SELECT 1 ORDER BY 1",
            "VALUES (1)",
            "SELECT t.a FROM t JOIN u USING (id)",
            "SELECT a FROM t, u",
            "SELECT count(*) FROM t",
            "SELECT a FROM t GROUP BY a",
            "SELECT DISTINCT a FROM t",
            "SELECT rank() OVER (ORDER BY a) FROM t",
            "SELECT a FROM t UNION SELECT b FROM u",
            "SELECT a FROM t ORDER BY a FOR UPDATE",
        ] {
            assert!(!scrolls(text), "{text}");
        }
    }
}
