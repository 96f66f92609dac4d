//! ALTER COLUMN … TYPE: values are cast or worked out anew, and what looks at them follows.
//!
//! All columns of a statement change at once, each from the row as it was (PostgreSQL 15, ALTER TABLE).

use super::super::build::rebuild_index;
use super::super::column::{column_type, nextval_of};
use super::super::foreign_key::check_types;
use super::super::rewrite::{Source, rewrite};
use super::super::{enumeration, verify, view};
use super::*;
use crate::catalog::definition::{Constraint, ConstraintBody, Table};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::dml::target::scope_of;
use crate::engine::dml::value::{self, Value};
use crate::engine::query::expression::Scope;
use crate::engine::types::{self, CastContext};
use crate::sql::parse;
use std::sync::Arc;

/// One column's new type.
struct Conversion {
    position: u16,
    to: SqlType,
    /// Over the row as it was; None where no byte changes.
    value: Option<Value>,
}

/// The types of the statement's columns.
///
/// # Errors
/// 42703, 42704, 42804 with PostgreSQL's hints; 0A000 for a column that a view, a policy or another
/// operation needs as it is; what casting the rows raises; 23505, 23514, 23502, 23503 by the new values.
pub async fn change(
    work: &mut Work<'_>,
    relation: &mut Relation,
    operations: &[&AlterTableOperation],
) -> Result<(), Diagnostic> {
    let mut conversions: Vec<Conversion> = Vec::new();
    for operation in operations {
        let AlterTableOperation::AlterColumn {
            column_name,
            op:
                AlterColumnOperation::SetDataType {
                    data_type, using, ..
                },
        } = operation
        else {
            return Err(Diagnostic::internal("no change of a type"));
        };
        let column = name::fold(column_name);
        let converted = conversion(work, relation, &column, data_type, using.as_ref())?;
        let twice = |other: &Conversion| other.position == converted.position;
        if conversions.iter().any(twice) {
            return Err(Diagnostic::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot alter type of column \"{column}\" twice"),
            ));
        }
        conversions.push(converted);
    }
    for conversion in &conversions {
        enumeration::hold(work, conversion.to).await?;
        demand_default(work, relation, conversion)?;
        demand_free(work, relation, conversion.position)?;
    }
    let mut next = table_of(relation)?.clone();
    for conversion in &conversions {
        next.columns[usize::from(conversion.position)].sql_type = conversion.to;
    }
    let changed: Vec<u16> = conversions
        .iter()
        .map(|conversion| conversion.position)
        .collect();
    let sources: Vec<(u16, Source)> = conversions
        .into_iter()
        .filter_map(|conversion| {
            let value = Source::Value(conversion.value?);
            Some((conversion.position, value))
        })
        .collect();
    if sources.is_empty() {
        *table_of(relation)? = next;
    } else {
        follow(work, relation, next, sources, &changed).await?;
    }
    count_identity(work, relation, &changed).await
}

fn conversion(
    work: &Work<'_>,
    relation: &mut Relation,
    column: &str,
    data_type: &ast::DataType,
    using: Option<&ast::Expr>,
) -> Result<Conversion, Diagnostic> {
    let relation_name = relation.name.clone();
    let table = table_of(relation)?;
    let position = column_of(table, &relation_name, column)?;
    let to = column_type(data_type, column, work.input())?;
    let from = table.columns[usize::from(position)].sql_type;
    let mut conversion = Conversion {
        position,
        to,
        value: None,
    };
    let scope = scope_of(table, &relation_name, Scope::empty());
    conversion.value = match using {
        None if keeps_bytes(from, to) => None,
        None if !types::can_cast(from, to, CastContext::Assignment) => {
            return Err(not_automatic(column, to));
        }
        None => Some(Value::column(usize::from(position), from).assigned_to(column, to)?),
        Some(using) => {
            let compiled =
                value::compile_once_for_column(using, &scope, (column, to), work.input())
                    .map_err(|error| in_using(error, column, to))?;
            Some(compiled.without_parameters()?)
        }
    };
    Ok(conversion)
}

fn plain(sql_type: SqlType) -> String {
    types::format_type(SqlType {
        typmod: -1,
        ..sql_type
    })
}

fn not_automatic(column: &str, to: SqlType) -> Diagnostic {
    let shown = name::quoted(column);
    let (bare, full) = (plain(to), types::format_type(to));
    Diagnostic::error(
        SqlState::DATATYPE_MISMATCH,
        format!("column \"{column}\" cannot be cast automatically to type {bare}"),
    )
    .with_hint(format!(
        "You might need to specify \"USING {shown}::{full}\"."
    ))
}

fn in_using(error: Diagnostic, column: &str, to: SqlType) -> Diagnostic {
    if error.sqlstate() != SqlState::DATATYPE_MISMATCH {
        return error;
    }
    let bare = plain(to);
    Diagnostic::error(
        SqlState::DATATYPE_MISMATCH,
        format!(
            "result of USING clause for column \"{column}\" cannot be cast automatically to type {bare}"
        ),
    )
    .with_hint("You might need to add an explicit cast.")
}

/// # Errors
/// 42804: the column's default must be one of the new type too.
fn demand_default(
    work: &mut Work<'_>,
    relation: &mut Relation,
    conversion: &Conversion,
) -> Result<(), Diagnostic> {
    let column = &table_of(relation)?.columns[usize::from(conversion.position)];
    if column.generated {
        return Err(Diagnostic::unsupported(format!(
            "another type of generated column \"{}\"",
            column.name
        )));
    }
    let Some(text) = &column.default else {
        return Ok(());
    };
    let tree = parse::parse_expression(text)?;
    let from = match nextval_of(&tree, work) {
        Some(_) => SqlType::scalar(TypeKind::Int8),
        // A literal is of the column's type.
        None if is_literal(&tree) => column.sql_type,
        None => {
            let scope = Scope::empty();
            value::compile_asking(&tree, &scope, &mut Vec::new(), work.input())?.sql_type
        }
    };
    if types::can_cast(from, conversion.to, CastContext::Assignment) {
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::DATATYPE_MISMATCH,
        format!(
            "default for column \"{}\" cannot be cast automatically to type {}",
            column.name,
            plain(conversion.to)
        ),
    ))
}

/// Whether it is a text without a type, which takes the type that is wanted.
fn is_literal(expression: &ast::Expr) -> bool {
    match expression {
        ast::Expr::Nested(inner) => is_literal(inner),
        ast::Expr::Value(value) => matches!(
            value.value,
            ast::Value::SingleQuotedString(_) | ast::Value::Null
        ),
        _ => false,
    }
}

/// # Errors
/// 0A000 in PostgreSQL's words where a view or a policy names the column.
fn demand_free(
    work: &mut Work<'_>,
    relation: &mut Relation,
    position: u16,
) -> Result<(), Diagnostic> {
    let column = table_of(relation)?.columns[usize::from(position)]
        .name
        .clone();
    let refused = |what: &str, who: String| {
        Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot alter type of a column used {what}"),
        )
        .with_detail(format!("{who} depends on column \"{column}\"")))
    };
    let definitions = work.definitions();
    for other in definitions.of_database(relation.database) {
        if view::reads_column(work, other, relation.oid, &column)? {
            let who = format!("rule _RETURN on view {}", other.name);
            return refused("by a view or rule", who);
        }
    }
    let table = table_of(relation)?;
    if let Some(generated) = super::super::generated::naming(table, &column)?.first() {
        let generated = &table.columns[*generated].name;
        return Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot alter type of a column used by a generated column",
        )
        .with_detail(format!(
            "Column \"{column}\" is used by generated column \"{generated}\"."
        )));
    }
    match policy::naming(relation, &column)?.first() {
        Some(policy) => {
            let who = format!("policy {policy} on table {}", relation.name);
            refused("in a policy definition", who)
        }
        None => Ok(()),
    }
}

/// The rows, and then what looks at the columns that changed.
async fn follow(
    work: &mut Work<'_>,
    relation: &mut Relation,
    next: Table,
    sources: Vec<(u16, Source)>,
    changed: &[u16],
) -> Result<(), Diagnostic> {
    let concerns = |columns: &[u16]| columns.iter().any(|column| changed.contains(column));
    let rekeyed = concerns(&next.primary_key);
    // What the new types do not go with is refused before any row is touched.
    let checks = compiled_checks(work, relation, &next, changed)?;
    let references = references(work, relation, &next, &concerns)?;
    let definitions = work.definitions();
    let primary = next.primary_index.and_then(|oid| definitions.get(oid));
    let primary = primary.map_or_else(String::new, |index| index.name.to_string());
    rewrite(work, relation, next, sources, &primary).await?;
    let indexes = super::super::build::indexes_of(work, table_of(relation)?)?;
    for mut index in indexes {
        let table = table_of(relation)?.clone();
        let named = index.index().is_some_and(|index| {
            changed
                .iter()
                .any(|position| constraint::index_names(&table, index, *position))
        });
        if rekeyed || named {
            super::super::index::retype(work, relation, &mut index)?;
            rebuild_index(work, relation, &mut index).await?;
            work.define(index)?;
        }
    }
    for (constraint, check) in &checks {
        verify::check(work, relation, constraint, check).await?;
    }
    for (child, constraint) in references {
        verify_reference(work, relation, child, &constraint).await?;
    }
    Ok(())
}

/// The checks that name a column that changed, over the new types.
fn compiled_checks(
    work: &Work<'_>,
    relation: &Relation,
    next: &Table,
    changed: &[u16],
) -> Result<Vec<(Arc<str>, Value)>, Diagnostic> {
    let mut checks = Vec::new();
    for constraint in &next.constraints {
        let ConstraintBody::Check { expression } = &constraint.body else {
            continue;
        };
        if !constraint.validated {
            continue;
        }
        let tree = parse::parse_expression(expression)?;
        let named = constraint::columns_named(next, &tree);
        let concerned = changed.iter().any(|position| {
            let column = &next.columns[usize::from(*position)];
            named.iter().any(|named| **named == *column.name)
        });
        if concerned {
            let scope = scope_of(next, &relation.name, Scope::empty());
            let check = value::compile_asking(&tree, &scope, &mut Vec::new(), work.input())?;
            let check = check.ready(work.context)?.into_owned();
            checks.push((constraint.name.clone(), check));
        }
    }
    Ok(checks)
}

/// The foreign keys of the changed columns, on both of their sides, with the table that has them.
fn references(
    work: &mut Work<'_>,
    relation: &Relation,
    next: &Table,
    concerns: &impl Fn(&[u16]) -> bool,
) -> Result<Vec<(crate::catalog::Oid, Constraint)>, Diagnostic> {
    let definitions = work.definitions();
    let mut altered = relation.clone();
    altered.body = RelationBody::Table(next.clone());
    let by_oid = |oid| match oid == altered.oid {
        true => Some(altered.clone()),
        false => definitions.get(oid).map(|found| Relation::clone(found)),
    };
    let mut children = next.referenced_by.clone();
    if !children.contains(&relation.oid) {
        children.push(relation.oid);
    }
    let mut found = Vec::new();
    for child in children.into_iter().filter_map(by_oid) {
        for constraint in child.table().map_or(&[][..], |table| &table.constraints) {
            let ConstraintBody::ForeignKey {
                columns,
                table,
                referenced,
                ..
            } = &constraint.body
            else {
                continue;
            };
            let own = child.oid == relation.oid && concerns(columns);
            let pointed_at = *table == relation.oid && concerns(referenced);
            if !own && !pointed_at {
                continue;
            }
            if let Some(parent) = by_oid(*table) {
                check_types(&child, columns, &parent, referenced, &constraint.name)?;
            }
            if constraint.validated {
                found.push((child.oid, constraint.clone()));
            }
        }
    }
    Ok(found)
}

async fn verify_reference(
    work: &mut Work<'_>,
    relation: &Relation,
    child: crate::catalog::Oid,
    constraint: &Constraint,
) -> Result<(), Diagnostic> {
    let ConstraintBody::ForeignKey {
        columns,
        table,
        referenced,
        ..
    } = &constraint.body
    else {
        return Ok(());
    };
    let child = match child == relation.oid {
        true => Some(relation.clone()),
        false => work.take(child, Use::BlockWriters).await?,
    };
    let parent = match *table == relation.oid {
        true => Some(relation.clone()),
        false => work.take(*table, Use::BlockWriters).await?,
    };
    let (Some(child), Some(parent)) = (child, parent) else {
        return Ok(());
    };
    // Their keys are found by what is built now.
    work.define(relation.clone())?;
    let reference = verify::Reference {
        constraint: &constraint.name,
        columns,
        parent: &parent,
        referenced,
    };
    verify::foreign_key(work, &child, reference).await
}

/// An identity column's sequence counts in the column's type.
async fn count_identity(
    work: &mut Work<'_>,
    relation: &mut Relation,
    changed: &[u16],
) -> Result<(), Diagnostic> {
    for position in changed {
        let column = table_of(relation)?.columns[usize::from(*position)].clone();
        let (Some(_), Some(oid)) = (column.identity, column.sequence) else {
            continue;
        };
        if !matches!(
            column.sql_type.kind,
            TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8
        ) {
            return Err(Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        if let Some(mut sequence) = work.take(oid, Use::Exclusive).await? {
            sequence::retype(&mut sequence, column.sql_type)?;
            work.define(sequence)?;
        }
    }
    Ok(())
}

/// Whether every value of the one type is stored as the same value of the other.
fn keeps_bytes(from: SqlType, to: SqlType) -> bool {
    use TypeKind::{Text, Varchar};
    let longer = |of: SqlType| match of.typmod {
        4.. => of.typmod,
        _ => i32::MAX,
    };
    from == to
        || (from.array == to.array
            && matches!(from.kind, Text | Varchar)
            && match to.kind {
                Text => true,
                Varchar => from.kind == Varchar && longer(to) >= longer(from),
                _ => false,
            })
}
