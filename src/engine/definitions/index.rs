//! CREATE INDEX: writers are kept out while it is built, readers are not.

use super::build::fill_index;
use super::constraint::{choose_relation, define_index, index_position};
use super::name;
use super::work::{Claim, Work, missing, table_of};
use crate::catalog::definition::{
    Index, IndexDetails, IndexExpression, Relation, RelationBody, Table,
};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::target::scope_of;
use crate::engine::dml::value::{self, Value};
use crate::engine::query::expression::Scope;
use crate::engine::row::KeyLayout;
use crate::engine::types;
use crate::sql::parse;
use crate::storage::Use;
use sqlparser::ast;
use std::sync::Arc;

/// PostgreSQL's INDEX_MAX_KEYS.
const INDEX_COLUMNS_MAX: usize = 32;

/// CREATE INDEX
///
/// # Errors
/// 42P07, 42P01, 42703, 23505 by existing rows, 42501; 42P17 for an expression that may change; 0A000 for
/// other access methods.
pub async fn create(work: &mut Work<'_>, statement: &ast::CreateIndex) -> Result<(), Diagnostic> {
    refuse_unsupported(statement)?;
    let absent = || missing("relation", &statement.table_name);
    let found = work.find(&statement.table_name)?.ok_or_else(absent)?;
    work.context.rights.may_own(&found)?;
    if let Some(given) = &statement.name
        && let Some(taken) = existing(work, given, &found.schema)?
    {
        return super::already_exists(work, &taken, statement.if_not_exists);
    }
    let mut relation = work
        .take(found.oid, Use::BlockWriters)
        .await?
        .ok_or_else(absent)?;
    work.demand_nothing_waits(&relation, "CREATE INDEX").await?;
    let relation_name = relation.name.clone();
    let table = table_of(&mut relation).map_err(|_| {
        Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot create index on relation \"{relation_name}\""),
        )
    })?;
    let table = table.clone();
    let mut index = columns_of(work, &table, &relation, statement)?;
    let names: Vec<String> = index
        .columns
        .iter()
        .map(|position| match index.expression(*position) {
            Some(expression) => expression.name.to_string(),
            None => table.columns[usize::from(*position)].name.to_string(),
        })
        .collect();
    let schema = relation.schema.to_string();
    let index_name = match &statement.name {
        Some(given) => claim(work, given, &schema).await?,
        None => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            choose_relation(work, &schema, &relation_name, &names, "idx").await?
        }
    };
    index.store = work.transaction.storage.create_relation()?;
    KeyLayout::of_index(table_of(&mut relation)?, &index)?;
    fill_index(work, &relation, &index, &index_name).await?;
    let oid = work.new_oid()?;
    define_index(work, &relation, oid, index_name, index)?;
    let table = table_of(&mut relation)?;
    table.indexes.push(oid);
    table.layout_version += 1;
    work.define(relation)
}

fn existing(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    schema: &str,
) -> Result<Option<std::sync::Arc<crate::catalog::definition::Relation>>, Diagnostic> {
    let (_, name) = name::parts(given)?;
    Ok(work.lookup(Some(schema), &name))
}

/// An index stands in its table's schema.
async fn claim(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    schema: &str,
) -> Result<String, Diagnostic> {
    let (named_schema, index_name) = name::parts(given)?;
    if named_schema.is_some_and(|named| named != schema) {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "an index stands in the schema of its table",
        ));
    }
    let new = super::work::NewName {
        schema: schema.to_owned(),
        name: index_name,
    };
    match work.claim(&new).await? {
        Claim::Free => Ok(new.name),
        Claim::Taken(_) => Err(super::exists(&new.name)),
    }
}

/// The index as it is described, without a store yet.
fn columns_of(
    work: &Work<'_>,
    table: &Table,
    relation: &Relation,
    statement: &ast::CreateIndex,
) -> Result<Index, Diagnostic> {
    let given = &statement.columns;
    if given.len() + statement.include.len() > INDEX_COLUMNS_MAX {
        return Err(Diagnostic::error(
            SqlState::new("54011"),
            format!("cannot use more than {INDEX_COLUMNS_MAX} columns in an index"),
        ));
    }
    let mut index = Index {
        store: table.store,
        table: relation.oid,
        columns: Vec::with_capacity(given.len()),
        descending: Vec::with_capacity(given.len()),
        unique: statement.unique,
        constraint: None,
        details: IndexDetails::default(),
    };
    for column in given {
        let down = column.column.options.asc == Some(false);
        let nulls_first = column.column.options.nulls_first.unwrap_or(down);
        let expression = unnested(&column.column.expr);
        let position = match expression {
            ast::Expr::Identifier(named) => {
                index_position(table, &relation.name, &name::fold(named))?
            }
            other => {
                let found = expression_of(work, table, relation, other)?;
                index.details.expressions.push(found);
                Index::EXPRESSIONS + index.details.expressions.len() as u16 - 1
            }
        };
        let class = match &column.operator_class {
            None => None,
            Some(class) => operator_class(class, index.type_at(table, position))?,
        };
        index.details.operator_classes.push(class);
        index.details.nulls_first.push(nulls_first);
        index.columns.push(position);
        index.descending.push(down);
    }
    for included in &statement.include {
        let position = index_position(table, &relation.name, &name::fold(included))?;
        index.details.include.push(position);
    }
    if let Some(predicate) = &statement.predicate {
        let compiled = compiled(work, table, relation, predicate, "predicate")?;
        value::demand_boolean(&compiled, "WHERE")?;
        index.details.predicate = Some(predicate.to_string().into());
    }
    Ok(index)
}

fn unnested(expression: &ast::Expr) -> &ast::Expr {
    match expression {
        ast::Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

fn expression_of(
    work: &Work<'_>,
    table: &Table,
    relation: &Relation,
    expression: &ast::Expr,
) -> Result<IndexExpression, Diagnostic> {
    let compiled = compiled(work, table, relation, expression, "expression")?;
    let named = match expression {
        ast::Expr::Function(call) => call.name.0.last().and_then(|part| part.as_ident()),
        _ => None,
    };
    // An expression that is a literal has no type by itself.
    let sql_type = match compiled.sql_type.kind {
        TypeKind::Unknown => SqlType::scalar(TypeKind::Text),
        _ => compiled.sql_type,
    };
    Ok(IndexExpression {
        text: expression.to_string().into(),
        sql_type,
        name: named.map_or_else(|| "expr".into(), |named| name::fold(named).into()),
    })
}

/// An expression over the table's columns that gives the same whenever it is asked.
fn compiled(
    work: &Work<'_>,
    table: &Table,
    relation: &Relation,
    expression: &ast::Expr,
    what: &str,
) -> Result<Value, Diagnostic> {
    let scope = scope_of(table, &relation.name, Scope::empty());
    let compiled =
        value::compile(expression, &scope, &mut Vec::new(), work.input())?.without_parameters()?;
    match compiled.is_immutable() {
        true => Ok(compiled),
        false => Err(Diagnostic::error(
            SqlState::new("42P17"),
            format!("functions in index {what} must be marked IMMUTABLE"),
        )),
    }
}

/// The expressions of an index on a table whose columns have other types now.
///
/// # Errors
/// What the expressions are refused for over the new types.
pub fn retype(
    work: &Work<'_>,
    relation: &Relation,
    index: &mut Relation,
) -> Result<(), Diagnostic> {
    let (Some(table), RelationBody::Index(index)) = (relation.table(), &mut index.body) else {
        return Ok(());
    };
    for expression in &mut index.details.expressions {
        let tree = parse::parse_expression(&expression.text)?;
        expression.sql_type = compiled(work, table, relation, &tree, "expression")?.sql_type;
    }
    if let Some(predicate) = &index.details.predicate {
        let tree = parse::parse_expression(predicate)?;
        compiled(work, table, relation, &tree, "predicate")?;
    }
    Ok(())
}

/// The class as it is shown: the pattern classes order texts as collation C does anyway, and a type's
/// own class is what there is.
///
/// # Errors
/// 0A000 for any other, 42804 for one of another type.
fn operator_class(
    given: &ast::ObjectName,
    sql_type: Option<SqlType>,
) -> Result<Option<Arc<str>>, Diagnostic> {
    let (_, class) = name::parts(given)?;
    let kind = sql_type.map(|sql_type| sql_type.kind);
    let fits: &[TypeKind] = match class.as_str() {
        "text_pattern_ops" | "text_ops" => &[TypeKind::Text, TypeKind::Varchar],
        "varchar_pattern_ops" | "varchar_ops" => &[TypeKind::Varchar, TypeKind::Text],
        "bpchar_pattern_ops" | "bpchar_ops" => &[TypeKind::Bpchar],
        "int2_ops" => &[TypeKind::Int2],
        "int4_ops" => &[TypeKind::Int4],
        "int8_ops" => &[TypeKind::Int8],
        "uuid_ops" => &[TypeKind::Uuid],
        "date_ops" => &[TypeKind::Date],
        "timestamptz_ops" => &[TypeKind::Timestamptz],
        "timestamp_ops" => &[TypeKind::Timestamp],
        _ => return Err(Diagnostic::unsupported(format!("operator class {class}"))),
    };
    match kind {
        Some(kind) if fits.contains(&kind) => {
            Ok(class.ends_with("_pattern_ops").then(|| class.into()))
        }
        _ => Err(Diagnostic::error(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "operator class \"{class}\" does not accept data type {}",
                sql_type.map(types::format_type).unwrap_or_default()
            ),
        )),
    }
}

fn refuse_unsupported(statement: &ast::CreateIndex) -> Result<(), Diagnostic> {
    match &statement.using {
        None | Some(ast::IndexType::BTree) => {}
        Some(other) => return Err(Diagnostic::unsupported(format!("access method {other}"))),
    }
    // CONCURRENTLY has no effect: writers are kept out while the index is built, and it is there or not.
    match statement.nulls_distinct {
        Some(false) => Err(Diagnostic::unsupported("NULLS NOT DISTINCT")),
        _ => Ok(()),
    }
}
