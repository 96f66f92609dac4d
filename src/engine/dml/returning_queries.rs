//! Subqueries in RETURNING: the statement returns its rows whole, and a query over them works the list
//! out, on the snapshot that the statement has.
//!
//! `UPDATE t … RETURNING a, (SELECT …)` is `WITH changed AS (UPDATE t … RETURNING *) SELECT a, (SELECT …)
//! FROM changed AS t`: a part of a statement whose WITH writes ([`super::parts`]). PostgreSQL 15 §6.4.

use super::names::fold;
use crate::diagnostic::Diagnostic;
use crate::sql::parse;
use sqlparser::ast::{
    self, Expr, Ident, ObjectName, ObjectNamePart, SelectItem, SetExpr, Statement, TableFactor,
    visit_expressions,
};
use std::ops::ControlFlow;

/// What a statement returns its rows as; nobody can write the name.
const CHANGED: &str = "\u{1}changed";

/// The statement with such a list as one whose WITH writes; None where it has none.
///
/// # Errors
/// 0A000 where the list may name tables of FROM or USING.
pub fn apart(statement: &Statement) -> Result<Option<Statement>, Diagnostic> {
    let mut query = match statement {
        Statement::Query(query) => {
            let parts = query.with.iter().flat_map(|with| &with.cte_tables);
            let mut parts = parts.map(|table| &table.query);
            let asks = |query: &ast::Query| written(&query.body).is_some_and(asks);
            if !asks(query) && !parts.any(|part| asks(part)) {
                return Ok(None);
            }
            query.clone()
        }
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            if !asks(statement) {
                return Ok(None);
            }
            let mut query = parsed("SELECT 1")?;
            *query.body = match statement {
                Statement::Insert(_) => SetExpr::Insert(statement.clone()),
                Statement::Update(_) => SetExpr::Update(statement.clone()),
                _ => SetExpr::Delete(statement.clone()),
            };
            query
        }
        _ => return Ok(None),
    };
    let mut found = take_parts(&mut query)?;
    if written(&query.body).is_some_and(asks) {
        let mut written = parsed("SELECT 1")?;
        std::mem::swap(&mut written.body, &mut query.body);
        let (part, over) = taken_apart(written, 0)?;
        *query.body = *over.body;
        with_of(&mut query)?.cte_tables.push(part);
        found = true;
    }
    Ok(found.then_some(Statement::Query(query)))
}

/// Takes the parts of WITH apart that have such a list.
fn take_parts(query: &mut ast::Query) -> Result<bool, Diagnostic> {
    let Some(with) = &mut query.with else {
        return Ok(false);
    };
    let mut tables = Vec::with_capacity(with.cte_tables.len());
    let mut found = false;
    for mut table in std::mem::take(&mut with.cte_tables) {
        if written(&table.query.body).is_some_and(asks) {
            found = true;
            let written = std::mem::replace(&mut table.query, parsed("SELECT 1")?);
            let (part, over) = taken_apart(written, tables.len() + 1)?;
            tables.push(part);
            table.query = over;
        }
        tables.push(table);
    }
    with.cte_tables = tables;
    Ok(found)
}

/// The writing statement as a part of this number, and the query over what it returns.
fn taken_apart(
    mut written: Box<ast::Query>,
    number: usize,
) -> Result<(ast::Cte, Box<ast::Query>), Diagnostic> {
    let name = Ident::with_quote('"', format!("{CHANGED}{number}"));
    let (SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner)) =
        &mut *written.body
    else {
        return Err(Diagnostic::internal("a part that writes is none"));
    };
    let qualifier = qualifier(inner)?;
    let all = SelectItem::Wildcard(ast::WildcardAdditionalOptions::default());
    let items = returning_of(inner)
        .map(|items| std::mem::replace(items, vec![all]))
        .unwrap_or_default();
    let mut over = parsed("SELECT 1 FROM \"changed\" AS \"qualifier\"")?;
    if let SetExpr::Select(select) = &mut *over.body {
        select.projection = items;
        if let Some(TableFactor::Table {
            name: of, alias, ..
        }) = select.from.first_mut().map(|item| &mut item.relation)
        {
            *of = ObjectName::from(vec![name.clone()]);
            if let Some(alias) = alias {
                alias.name = Ident::with_quote('"', qualifier);
            }
        }
    }
    let mut holder = parsed("WITH \"changed\" AS (SELECT 1) SELECT 1")?;
    let part = with_of(&mut holder)?.cte_tables.pop();
    let mut part = part.ok_or_else(|| Diagnostic::internal("a WITH of ours is none"))?;
    part.alias.name = name;
    part.query = written;
    Ok((part, over))
}

/// The statement that writes, where it is one.
fn written(body: &SetExpr) -> Option<&Statement> {
    match body {
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => Some(inner),
        _ => None,
    }
}

/// What the list calls the table.
fn qualifier(statement: &Statement) -> Result<String, Diagnostic> {
    let last = |name: &ObjectName| match name.0.last() {
        Some(ObjectNamePart::Identifier(name)) => fold(name),
        _ => String::new(),
    };
    let of_factor = |factor: &TableFactor| match factor {
        TableFactor::Table {
            alias: Some(alias), ..
        } => fold(&alias.name),
        TableFactor::Table { name, .. } => last(name),
        _ => String::new(),
    };
    let beside_others = || Diagnostic::unsupported("a subquery in RETURNING beside FROM or USING");
    match statement {
        Statement::Insert(insert) => Ok(match (&insert.table_alias, &insert.table) {
            (Some(alias), _) => fold(&alias.alias),
            (None, ast::TableObject::TableName(name)) => last(name),
            _ => String::new(),
        }),
        Statement::Update(update) if update.from.is_none() => Ok(of_factor(&update.table.relation)),
        Statement::Delete(delete) if delete.using.is_none() => {
            let (ast::FromTable::WithFromKeyword(tables) | ast::FromTable::WithoutKeyword(tables)) =
                &delete.from;
            Ok(tables
                .first()
                .map_or_else(String::new, |table| of_factor(&table.relation)))
        }
        _ => Err(beside_others()),
    }
}

fn returning_of(statement: &mut Statement) -> Option<&mut Vec<SelectItem>> {
    match statement {
        Statement::Insert(insert) => insert.returning.as_mut(),
        Statement::Update(update) => update.returning.as_mut(),
        Statement::Delete(delete) => delete.returning.as_mut(),
        _ => None,
    }
}

/// Whether the statement's own RETURNING has a subquery.
fn asks(statement: &Statement) -> bool {
    let items = match statement {
        Statement::Insert(insert) => &insert.returning,
        Statement::Update(update) => &update.returning,
        Statement::Delete(delete) => &delete.returning,
        _ => &None,
    };
    let subquery = |expr: &Expr| {
        let array = matches!(expr, Expr::Function(function)
            if matches!(function.args, ast::FunctionArguments::Subquery(_)));
        match expr {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                ControlFlow::Break(())
            }
            _ if array => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    items
        .as_ref()
        .is_some_and(|items| visit_expressions(items, subquery).is_break())
}

fn parsed(text: &str) -> Result<Box<ast::Query>, Diagnostic> {
    match parse::parse_one(text)? {
        Statement::Query(query) => Ok(query),
        _ => Err(Diagnostic::internal("a query of ours is none")),
    }
}

/// The WITH of a query, an empty one where it had none.
fn with_of(query: &mut ast::Query) -> Result<&mut ast::With, Diagnostic> {
    if query.with.is_none() {
        let mut own = parsed("WITH \"changed\" AS (SELECT 1) SELECT 1")?.with;
        if let Some(with) = &mut own {
            with.cte_tables.clear();
        }
        query.with = own;
    }
    query
        .with
        .as_mut()
        .ok_or_else(|| Diagnostic::internal("a WITH of ours is none"))
}
