//! Items of FROM: what they are called, and which columns they are written with.

use super::labels::{folded, label};
use super::syntax::last_name;
use sqlparser::ast::{JoinOperator, SelectItem, SetExpr, TableFactor, TableWithJoins};

/// The item of this name, and whether an outer join may give nothing for it.
pub fn named(from: &TableWithJoins, name: &str) -> Option<(TableFactor, bool)> {
    let of_factor = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => named(table_with_joins, name),
        other => (name_of(other).as_deref() == Some(name)).then(|| (other.clone(), false)),
    };
    let mut found = of_factor(&from.relation);
    for join in &from.joins {
        use JoinOperator::{FullOuter, Left, LeftOuter, Right, RightOuter};
        let operator = &join.join_operator;
        if let Some((_, absent)) = &mut found {
            *absent |= matches!(operator, Right(_) | RightOuter(_) | FullOuter(_));
        } else {
            found = of_factor(&join.relation);
            if let Some((_, absent)) = &mut found {
                *absent |= matches!(operator, Left(_) | LeftOuter(_) | FullOuter(_));
            }
        }
    }
    found
}

/// What an item is called.
pub fn name_of(factor: &TableFactor) -> Option<String> {
    let (alias, name) = match factor {
        TableFactor::Table { alias, name, .. } => (alias, last_name(name)),
        TableFactor::Derived { alias, .. } => (alias, None),
        TableFactor::Function { alias, name, .. } => (alias, last_name(name)),
        _ => return None,
    };
    alias.as_ref().map(|alias| folded(&alias.name)).or(name)
}

/// Whether an item may be of this name: what is called nothing known may be.
pub fn may_have(from: &TableWithJoins, name: &str) -> bool {
    let joined = from.joins.iter().map(|join| &join.relation);
    let mut factors = std::iter::once(&from.relation).chain(joined);
    factors.any(|factor| match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => may_have(table_with_joins, name),
        other => name_of(other).is_none_or(|it| it == name),
    })
}

/// The columns of a subquery in FROM whose names are written, so that it need not be planned without what
/// it may refer to.
pub fn written_names(factor: &TableFactor) -> Option<Vec<String>> {
    let TableFactor::Derived {
        subquery,
        alias: Some(alias),
        ..
    } = factor
    else {
        return None;
    };
    let mut names = outputs(&subquery.body)?;
    for (name, column) in names.iter_mut().zip(&alias.columns) {
        *name = folded(&column.name);
    }
    Some(names)
}

/// What the columns of a query are called, as far as they are written; None where a star stands for some.
pub fn outputs(body: &SetExpr) -> Option<Vec<String>> {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(inner) => return outputs(&inner.body),
        SetExpr::SetOperation { left, .. } => return outputs(left),
        _ => return None,
    };
    let names = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some(label(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    });
    names.collect()
}
