//! Definitions as SQL text: pg_get_indexdef, pg_get_constraintdef, pg_get_viewdef, pg_get_expr.
//!
//! Source: PostgreSQL 15, `ruleutils.c`, as far as what there is here goes.

use super::constraints::{self, Shown};
use super::printed;
use crate::catalog::Oid;
use crate::catalog::definition::{
    Column, ConstraintBody, Deferral, Index, ReferentialAction, Relation, RelationBody, Table,
};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::context::StatementContext;
use crate::engine::query::functions::names::{qualified, relation_in_public, relation_of_oid};
use crate::engine::query::functions::text::quote_ident;
use crate::engine::query::resolve::{self, Resolved};
use crate::engine::query::{qualify, rewrite};
use crate::engine::types::enumeration;
use crate::engine::types::name::from_internal_name;
use crate::sql::parse;
use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement, Value};

/// Whether names are qualified always, or only where the search_path does not find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Always.
    Qualified,
    /// Where needed.
    Short,
}

fn name(relation: &Relation, names: Names, context: &StatementContext) -> String {
    match names {
        Names::Short if resolve::is_visible(relation, context) => quote_ident(&relation.name),
        Names::Short | Names::Qualified => qualified(relation),
    }
}

fn columns(table: &Table, positions: &[u16]) -> String {
    let names: Vec<_> = positions
        .iter()
        .filter_map(|position| table.columns.get(usize::from(*position)))
        .map(|column| quote_ident(&column.name))
        .collect();
    names.join(", ")
}

/// CREATE INDEX of an index, or one of its columns where `column` is not 0.
pub fn index(oid: Oid, column: i32, names: Names, context: &StatementContext) -> Option<String> {
    let relation = relation_of_oid(oid, context)?;
    let index = relation.index()?;
    let owner = context.snapshot.definitions.get(index.table)?;
    let table = owner.table()?;
    if column != 0 {
        let place = usize::try_from(column).ok()?.checked_sub(1)?;
        if let Some(position) = index.columns.get(place) {
            return Some(index_column(table, index, *position));
        }
        let included = index.details.include.get(place - index.columns.len())?;
        return Some(columns(table, &[*included]));
    }
    let include = match &index.details.include[..] {
        [] => String::new(),
        included => format!(" INCLUDE ({})", columns(table, included)),
    };
    let predicate = index.details.predicate.as_deref();
    Some(format!(
        "CREATE {}INDEX {} ON {} USING btree ({}){include}{}",
        if index.unique { "UNIQUE " } else { "" },
        quote_ident(&relation.name),
        name(owner, names, context),
        index_columns(table, index),
        predicate.map_or_else(String::new, |text| format!(" WHERE {}", condition(text))),
    ))
}

/// An expression as PostgreSQL prints it: in parentheses where it is an operator's.
pub fn condition(text: &str) -> String {
    let (bare, is_operator) = printed::expression(text);
    match is_operator {
        true => format!("({bare})"),
        false => bare,
    }
}

/// A column of an index, or the expression in its place.
fn index_column(table: &Table, index: &Index, position: u16) -> String {
    match index.expression(position) {
        None => columns(table, &[position]),
        Some(expression) => condition(&expression.text),
    }
}

fn index_columns(table: &Table, index: &Index) -> String {
    let parts: Vec<_> = index
        .columns
        .iter()
        .zip(&index.descending)
        .enumerate()
        .map(|(place, (position, descending))| {
            let mut shown = index_column(table, index, *position);
            // Operators stand in parentheses, so that a class may follow them.
            if shown.starts_with('(') {
                shown = format!("({shown})");
            }
            if let Some(Some(class)) = index.details.operator_classes.get(place) {
                shown = format!("{shown} {class}");
            }
            match (*descending, index.nulls_first(place)) {
                (false, false) => shown,
                (false, true) => format!("{shown} NULLS FIRST"),
                (true, true) => format!("{shown} DESC"),
                (true, false) => format!("{shown} DESC NULLS LAST"),
            }
        })
        .collect();
    parts.join(", ")
}

/// The constraint's clause, as ALTER TABLE … ADD CONSTRAINT takes it.
pub fn constraint(oid: Oid, names: Names, context: &StatementContext) -> Option<String> {
    let all = constraints::shown(context);
    let found = all.iter().find(|shown| shown.oid == oid.0)?;
    clause(found, names, context)
}

/// The clause of a constraint.
pub fn clause(shown: &Shown<'_>, names: Names, context: &StatementContext) -> Option<String> {
    let table = shown.relation.table()?;
    let clause = match (shown.kind, shown.body) {
        ("p", _) => format!("PRIMARY KEY ({})", columns(table, &shown.columns)),
        ("u", _) => format!("UNIQUE ({})", columns(table, &shown.columns)),
        (_, Some(ConstraintBody::Check { expression })) => {
            // PostgreSQL prints the expression in parentheses of its own, and keeps none around it: what was
            // dumped and restored many times would have more each time.
            let shown = types_shown(expression, context);
            format!("CHECK ({})", condition(&shown))
        }
        (
            _,
            Some(ConstraintBody::ForeignKey {
                columns: from,
                table: target,
                referenced,
                on_update,
                on_delete,
                deferral,
            }),
        ) => {
            let target = context.snapshot.definitions.get(*target)?;
            format!(
                "FOREIGN KEY ({}) REFERENCES {}({}){}{}{}",
                columns(table, from),
                name(target, names, context),
                columns(target.table()?, referenced),
                action(" ON UPDATE", *on_update),
                action(" ON DELETE", *on_delete),
                deferrable(*deferral),
            )
        }
        _ => return None,
    };
    Some(match shown.validated {
        true => clause,
        false => format!("{clause} NOT VALID"),
    })
}

/// An expression's text without parentheses around the whole of it.
pub fn without_parentheses(expression: &str) -> String {
    match parse::parse_expression(expression) {
        Ok(Expr::Nested(inner)) => without_parentheses(&inner.to_string()),
        _ => expression.to_owned(),
    }
}

/// `CHECK ((a > 0))` as it is shown to people: without the parentheses that the expression has for itself.
pub fn without_inner_parentheses(constraint: String) -> String {
    let rest = constraint.strip_prefix("CHECK (");
    let parts = rest.and_then(|rest| match rest.strip_suffix(") NOT VALID") {
        Some(expression) => Some((expression, " NOT VALID")),
        None => Some((rest.strip_suffix(')')?, "")),
    });
    let bare = parts
        .map(|(expression, behind)| format!("CHECK ({}){behind}", without_parentheses(expression)));
    bare.unwrap_or(constraint)
}

fn deferrable(deferral: Deferral) -> &'static str {
    match deferral {
        Deferral::None => "",
        Deferral::InitiallyImmediate => " DEFERRABLE",
        Deferral::InitiallyDeferred => " DEFERRABLE INITIALLY DEFERRED",
    }
}

fn action(on: &str, action: ReferentialAction) -> String {
    let words = match action {
        ReferentialAction::NoAction => return String::new(),
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    };
    format!("{on} {words}")
}

/// An expression that is kept as text, such as a default: a sequence is named with its schema where the
/// search_path does not find it.
pub fn expression(text: &str, context: &StatementContext) -> String {
    let shown = |text: &str| {
        let found = relation_in_public(text, context).ok()?;
        Some(name(&found, Names::Short, context))
    };
    let text = condition(&types_shown(text, context));
    match text.contains("nextval") {
        true => qualify::sequences(&text, shown),
        false => text,
    }
}

/// A column's default: what is nothing but a quoted literal says of which type it is.
pub fn default_of(column: &Column, text: &str) -> String {
    let sql_type = SqlType {
        typmod: -1,
        ..column.sql_type
    };
    let is_literal = matches!(
        parse::parse_expression(text),
        Ok(Expr::Value(value)) if matches!(value.value, Value::SingleQuotedString(_))
    );
    match is_literal && !matches!(sql_type.kind, TypeKind::Enum(_)) {
        true => format!("{text}::{}", printed::type_name(sql_type)),
        false => text.to_owned(),
    }
}

/// A stored text without the schemas of types that the search_path finds.
fn types_shown(text: &str, context: &StatementContext) -> String {
    if context.user_types().is_empty() {
        return text.to_owned();
    }
    let shown = qualify::types_in(text, |schema, name| bare_type(schema?, name, context));
    shown.unwrap_or_else(|| text.to_owned())
}

/// The name of a type alone, where it is found without its schema.
fn bare_type(
    schema: &str,
    name: &str,
    context: &StatementContext,
) -> Option<(Option<String>, String)> {
    let input = context.input();
    let known = enumeration::named(Some(schema), name, input)?;
    let found = enumeration::named(None, name, input)?;
    let built_in = from_internal_name(name).is_some();
    (found.type_id == known.type_id && !built_in).then(|| (None, name.to_owned()))
}

/// The schema before the name of a relation in a stored text, where the search_path does not find it.
fn schema_shown(schema: Option<&str>, name: &str, context: &StatementContext) -> qualify::Schema {
    let schema = schema.unwrap_or(resolve::PUBLIC);
    match resolve::relation(Some(schema), name, context) {
        Ok(Resolved::Relation(relation)) if resolve::is_visible(&relation, context) => {
            qualify::Schema::Left
        }
        Ok(Resolved::Relation(_)) => qualify::Schema::Written(schema.to_owned()),
        Ok(Resolved::System(_)) | Err(_) => qualify::Schema::Kept,
    }
}

/// A view's query: names as the search_path needs them, columns as the view calls them.
pub fn view(oid: Oid, context: &StatementContext) -> Option<String> {
    let relation = relation_of_oid(oid, context)?;
    let RelationBody::View(view) = &relation.body else {
        return None;
    };
    let stored = view.query.trim_end_matches(';');
    let Ok(Statement::Query(mut query)) = parse::parse_one(stored) else {
        return Some(format!(" {stored};"));
    };
    qualify::relations(&mut query, |schema, name| {
        schema_shown(schema, name, context)
    });
    qualify::types(&mut query, |schema, name| bare_type(schema?, name, context));
    let columns: Vec<&str> = view.columns.iter().map(|(name, _)| &**name).collect();
    if labels(&query).is_some_and(|labels| labels == columns) {
        return Some(format!(" {query};"));
    }
    let columns: Vec<_> = columns.into_iter().map(quote_ident).collect();
    let columns = columns.join(", ");
    let name = quote_ident(&relation.name);
    Some(format!(
        " SELECT {columns} FROM ({query}) AS {name} ({columns});"
    ))
}

/// What a query calls its columns; None where `*` stands for some.
fn labels(query: &Query) -> Option<Vec<String>> {
    let mut body = &*query.body;
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(inner) => body = &inner.body,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    };
    let label = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => Some(rewrite::labels::label(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(rewrite::labels::folded(alias)),
        _ => None,
    };
    select.projection.iter().map(label).collect()
}
