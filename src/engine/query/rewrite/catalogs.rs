//! What queries of catalogs write that the planner cannot know: the system column tableoid, letters
//! of names, vectors, and the options of foreign tables.

use super::labels::folded;
use super::syntax::{call_of, last_name};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::pg_catalog;
use crate::engine::query::resolve;
use crate::sql::parse;
use sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, Select, SelectItem,
    Statement, Subscript, TableAlias, TableFactor, TableFunctionArgs, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

const TABLE_OID: &str = "tableoid";

/// `alias.tableoid` of a catalog in FROM is the catalog's OID, and so is a bare `tableoid` where the
/// catalog is all there is in FROM.
pub fn name_oids(select: &mut Select) {
    let factors = select.from.iter().flat_map(|item| {
        std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation))
    });
    let all: Vec<Option<(String, i64)>> = factors.map(catalog).collect();
    let only = match all.as_slice() {
        [Some((_, oid))] => Some(*oid),
        _ => None,
    };
    let aliases: Vec<(String, i64)> = all.into_iter().flatten().collect();
    if !aliases.is_empty() {
        select.projection.iter_mut().for_each(keep_name);
        let mut oids = Oids {
            aliases,
            only,
            subqueries: 0,
        };
        let _ = select.visit(&mut oids);
    }
}

/// A column that is replaced keeps its name in the result.
fn keep_name(item: &mut SelectItem) {
    let SelectItem::UnnamedExpr(expr) = item else {
        return;
    };
    if column_of(expr).as_deref() == Some(TABLE_OID) {
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::new(TABLE_OID),
        };
    }
}

/// What a catalog in FROM is called, and its OID.
fn catalog(factor: &TableFactor) -> Option<(String, i64)> {
    let TableFactor::Table { name, alias, .. } = factor else {
        return None;
    };
    let table = pg_catalog::table(resolve::PG_CATALOG, &last_name(name)?)?;
    let alias = alias.as_ref().map(|alias| folded(&alias.name));
    let alias = alias.unwrap_or_else(|| table.name.to_owned());
    Some((alias, i64::from(table.oid.0)))
}

struct Oids {
    aliases: Vec<(String, i64)>,
    only: Option<i64>,
    /// Those around the expression: in one, a bare name is its own FROM's first.
    subqueries: usize,
}

impl VisitorMut for Oids {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let oid = match expr {
            Expr::Identifier(column) if self.subqueries == 0 && folded(column) == TABLE_OID => {
                self.only
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] if folded(column) == TABLE_OID => {
                    let alias = folded(alias);
                    let found = self.aliases.iter().find(|(known, _)| *known == alias);
                    found.map(|(_, oid)| *oid)
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(oid) = oid {
            let number = Expr::value(Value::Number(oid.to_string(), false));
            *expr = super::casts::call(number, SqlType::scalar(TypeKind::Oid));
        }
        ControlFlow::Continue(())
    }
}

/// int2vector and oidvector, which are arrays here, are shown as numbers with blanks between them: the
/// columns of catalogs that are such.
const VECTORS: &[(&str, &[&str])] = &[
    (
        "pg_index",
        &["indclass", "indcollation", "indkey", "indoption"],
    ),
    ("pg_proc", &["proargtypes"]),
];

/// Has the vectors of catalogs among the columns of a result printed as PostgreSQL prints them.
pub fn show_vectors(select: &mut Select) {
    let factors = select.from.iter().flat_map(|item| {
        std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation))
    });
    let shown: Vec<&str> = VECTORS
        .iter()
        .filter(|(table, _)| {
            let table = pg_catalog::table(resolve::PG_CATALOG, table).map(|table| table.oid.0);
            let oid = |factor| catalog(factor).map(|(_, oid)| oid);
            factors
                .clone()
                .any(|factor| oid(factor) == table.map(i64::from))
        })
        .flat_map(|(_, columns)| columns.iter().copied())
        .collect();
    for item in &mut select.projection {
        let (expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.clone())),
            _ => continue,
        };
        let Some(name) = column_of(expr).filter(|name| shown.contains(&name.as_str())) else {
            continue;
        };
        let blank = Expr::value(Value::SingleQuotedString(" ".to_owned()));
        *item = SelectItem::ExprWithAlias {
            expr: call_of("array_to_string", vec![expr.clone(), blank]),
            alias: alias.unwrap_or_else(|| Ident::new(name)),
        };
    }
}

/// The folded name of a column.
fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(column) => Some(folded(column)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

/// `typname[n]` is the letter of a type's name at that place, from 0: names are arrays of letters.
pub fn letter_of_name(root: &Expr, access: &[AccessExpr]) -> Option<Expr> {
    let [AccessExpr::Subscript(Subscript::Index { index })] = access else {
        return None;
    };
    let Expr::Value(place) = index else {
        return None;
    };
    let Value::Number(place, _) = &place.value else {
        return None;
    };
    let place = place.parse::<u32>().ok()?.checked_add(1)?;
    let number = |number: u32| Expr::value(Value::Number(number.to_string(), false));
    (column_of(root).as_deref() == Some("typname"))
        .then(|| call_of("substr", vec![root.clone(), number(place), number(1)]))
}

/// The columns of catalogs that hold options of foreign data: NULL everywhere, as there is none.
const OPTIONS: &[&str] = &[
    "attfdwoptions",
    "fdwoptions",
    "ftoptions",
    "srvoptions",
    "umoptions",
];

/// `pg_options_to_table(options)` in FROM, of a column that is NULL everywhere: no rows.
pub fn foreign_options(
    name: &ObjectName,
    args: &TableFunctionArgs,
    alias: &Option<TableAlias>,
) -> Option<TableFactor> {
    const FUNCTION: &str = "pg_options_to_table";
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.args.as_slice() else {
        return None;
    };
    let column = column_of(argument)?;
    if last_name(name).as_deref() != Some(FUNCTION) || !OPTIONS.contains(&column.as_str()) {
        return None;
    }
    let empty =
        parse::parse_one("SELECT ''::text AS option_name, ''::text AS option_value WHERE false");
    let Ok(Statement::Query(subquery)) = empty else {
        return None;
    };
    let own = || TableAlias {
        explicit: true,
        name: Ident::new(FUNCTION),
        columns: Vec::new(),
        at: None,
    };
    Some(TableFactor::Derived {
        lateral: false,
        subquery,
        alias: Some(alias.clone().unwrap_or_else(own)),
        sample: None,
    })
}
