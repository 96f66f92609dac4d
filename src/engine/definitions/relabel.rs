//! A type or a label under another name: what is stored of it follows.
//!
//! Rows know a label by itself (`catalog::enumeration` says why), so that those of the type's columns are
//! written anew, under a lock that keeps everybody else from the tables. Texts name types with their
//! schemas; a text that has a label as a literal is not changed but for a column's default that is nothing
//! else: what it is a literal of is not known without planning it.

use super::build::{indexes_of, rebuild_index};
use super::constraint::index_names;
use super::enumeration::{label_exists, no_label, stored};
use super::generated;
use super::rewrite::{Source, rewrite};
use super::work::{NewName, Work, table_of};
use crate::catalog::Oid;
use crate::catalog::definition::{ConstraintBody, Relation, RelationBody, Table};
use crate::catalog::enumeration::UserType;
use crate::catalog::sql_type::{EnumType, SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::query::qualify;
use crate::sql::dialect::NodeDialect;
use crate::storage::Use;
use datafusion::common::ScalarValue;
use sqlparser::tokenizer::{Token, Tokenizer};
use std::sync::Arc;

/// One label's values under its old and its new name.
pub struct Relabelled {
    old: ScalarValue,
    new: ScalarValue,
    element: SqlType,
}

impl Relabelled {
    /// The value as it is from now on: a label, or an array of them.
    pub fn value(&self, value: &ScalarValue) -> Result<ScalarValue, Diagnostic> {
        let ScalarValue::List(list) = value else {
            return Ok(match *value == self.old {
                true => self.new.clone(),
                false => value.clone(),
            });
        };
        if value.is_null() {
            return Ok(value.clone());
        }
        let elements = list.value(0);
        let of_row = |row| {
            let element = ScalarValue::try_from_array(&elements, row)
                .map_err(|error| Diagnostic::internal(error.to_string()))?;
            self.value(&element)
        };
        let elements = (0..elements.len()).map(of_row);
        let elements = elements.collect::<Result<Vec<_>, Diagnostic>>()?;
        Ok(crate::engine::types::decode::list_scalar(
            elements,
            self.element,
        ))
    }
}

/// RENAME VALUE, of a type that is taken.
///
/// # Errors
/// 22023, 42710; 0A000 for a label that a stored text has as a literal; what locking and storage give.
pub async fn rename_value(
    work: &mut Work<'_>,
    mut known: UserType,
    from: &str,
    to: &str,
) -> Result<(), Diagnostic> {
    let place = known.place(from).ok_or_else(|| no_label(from))?;
    if known.place(to).is_some() {
        return Err(label_exists(to));
    }
    let old = known.labels[place].value();
    known.labels[place].label = to.into();
    let relabelled = Relabelled {
        old: ScalarValue::BinaryView(Some(old)),
        new: ScalarValue::BinaryView(Some(known.labels[place].value())),
        element: known.sql_type(),
    };
    let relabelled = Arc::new(relabelled);
    work.renew().await?;
    let definitions = work.definitions();
    let relations: Vec<_> = definitions.of_database(known.database).cloned().collect();
    let mut tables = Vec::new();
    for relation in &relations {
        let mut probe = Relation::clone(relation);
        let columns = columns_of(&probe, known.type_id);
        if let RelationBody::Table(table) = &mut probe.body {
            // The defaults that can follow.
            for column in &mut table.columns {
                relabel_default(&mut column.default, &known, from, to);
            }
        }
        // A view's text does not tell which types its literals have.
        let concerned = !columns.is_empty()
            || matches!(probe.body, RelationBody::View(_))
            || probe.index().is_some_and(|index| !index.is_plain())
            || names(&mut probe, &known);
        if let Some(table) = probe.table() {
            for position in &columns {
                let column = &table.columns[usize::from(*position)].name;
                if !generated::naming(table, column)?.is_empty() {
                    return Err(Diagnostic::unsupported(format!(
                        "renaming a value that generated columns of \"{}\" are made of",
                        relation.name
                    )));
                }
            }
        }
        if concerned && has_literal(&mut probe, from) {
            return Err(Diagnostic::unsupported(format!(
                "renaming a value that the definition of \"{}\" names",
                relation.name
            )));
        }
        if !columns.is_empty() {
            tables.push(relation.oid);
        }
    }
    for table in tables {
        table_follows(work, table, &known, (from, to), &relabelled).await?;
    }
    work.define_type(known)
}

/// Writes the rows of a table anew that has columns of the type, and its indexes.
async fn table_follows(
    work: &mut Work<'_>,
    table: Oid,
    known: &UserType,
    (from, to): (&str, &str),
    relabelled: &Arc<Relabelled>,
) -> Result<(), Diagnostic> {
    let Some(mut relation) = work.take(table, Use::Exclusive).await? else {
        return Ok(());
    };
    work.demand_nothing_waits(&relation, "ALTER TYPE").await?;
    let columns = columns_of(&relation, known.type_id);
    let mut next = table_of(&mut relation)?.clone();
    for column in &mut next.columns {
        relabel_default(&mut column.default, known, from, to);
    }
    let definitions = work.definitions();
    let primary = next.primary_index.and_then(|oid| definitions.get(oid));
    let primary = primary.map_or_else(String::new, |index| index.name.to_string());
    let sources = columns
        .iter()
        .map(|position| (*position, Source::Relabelled(*position, relabelled.clone())));
    rewrite(work, &mut relation, next, sources.collect(), &primary).await?;
    let table = table_of(&mut relation)?.clone();
    let rekeyed = table.primary_key.iter().any(|key| columns.contains(key));
    for mut index in indexes_of(work, &table)? {
        let concerned = index.index().is_some_and(|index| {
            let mut columns = columns.iter();
            columns.any(|position| index_names(&table, index, *position))
        });
        if rekeyed || concerned {
            rebuild_index(work, &relation, &mut index).await?;
            work.define(index)?;
        }
    }
    relation.row_security.compiled = Default::default();
    table_of(&mut relation)?.layout_version += 1;
    work.define(relation)
}

/// RENAME TO and SET SCHEMA: the stored texts that name the type name it anew.
///
/// # Errors
/// What locking and storage give.
pub async fn name_anew(
    work: &mut Work<'_>,
    known: &UserType,
    new: &NewName,
) -> Result<(), Diagnostic> {
    work.renew().await?;
    let definitions = work.definitions();
    let relations: Vec<_> = definitions.of_database(known.database).cloned().collect();
    for relation in relations {
        let mut probe = Relation::clone(&relation);
        if !names(&mut probe, known) {
            continue;
        }
        let how = match relation.body {
            // As its table is.
            RelationBody::Index(_) => Use::Shared,
            _ => Use::Exclusive,
        };
        let Some(mut taken) = work.take(relation.oid, how).await? else {
            continue;
        };
        for_each_text(&mut taken, &mut |text| {
            let written = qualify::types_in(text, |schema, name| {
                is(known, schema, name).then(|| (Some(new.schema.clone()), new.name.clone()))
            });
            if let Some(written) = written {
                *text = written.into();
            }
        });
        taken.row_security.compiled = Default::default();
        if let RelationBody::Table(table) = &mut taken.body {
            table.layout_version += 1;
        }
        work.define(taken)?;
    }
    Ok(())
}

/// The positions of a table's columns that are of the type, or arrays of it.
pub fn columns_of(relation: &Relation, type_id: EnumType) -> Vec<u16> {
    let columns = relation
        .table()
        .map_or(&[][..], |table: &Table| &table.columns);
    let of_type = |(position, column): (usize, &crate::catalog::definition::Column)| {
        let is = !column.dropped && column.sql_type.kind == TypeKind::Enum(type_id);
        is.then_some(position as u16)
    };
    columns.iter().enumerate().filter_map(of_type).collect()
}

/// Whether a stored text of the relation names the type.
pub fn names(relation: &mut Relation, known: &UserType) -> bool {
    let mut named = false;
    for_each_text(relation, &mut |text| named |= text_names(text, known));
    named
}

/// Whether a stored text names the type.
pub fn text_names(text: &str, known: &UserType) -> bool {
    // Cheaper than parsing what does not have its letters.
    let doubled = known.name.replace('"', "\"\"");
    let mut named = false;
    if text.contains(&doubled) {
        qualify::types_in(text, |schema, name| {
            named |= is(known, schema, name);
            None
        });
    }
    named
}

fn is(known: &UserType, schema: Option<&str>, name: &str) -> bool {
    schema == Some(&*known.schema) && *name == *known.name
}

/// Shows each stored text of a relation to a function.
fn for_each_text(relation: &mut Relation, see: &mut impl FnMut(&mut Arc<str>)) {
    match &mut relation.body {
        RelationBody::Table(table) => {
            let defaults = table
                .columns
                .iter_mut()
                .filter_map(|it| it.default.as_mut());
            defaults.for_each(&mut *see);
            for constraint in &mut table.constraints {
                if let ConstraintBody::Check { expression } = &mut constraint.body {
                    see(expression);
                }
            }
        }
        RelationBody::Index(index) => {
            let details = &mut index.details;
            let expressions = details.expressions.iter_mut().map(|it| &mut it.text);
            expressions
                .chain(&mut details.predicate)
                .for_each(&mut *see);
        }
        RelationBody::View(view) => see(&mut view.query),
        RelationBody::Sequence(_) => {}
    }
    for policy in &mut relation.row_security.policies {
        let texts = policy.using.iter_mut().chain(&mut policy.check);
        texts.for_each(&mut *see);
    }
}

/// A default that is the label and nothing else is the new one.
fn relabel_default(default: &mut Option<Arc<str>>, known: &UserType, from: &str, to: &str) {
    let quoted = |label: &str| format!("'{}'", label.replace('\'', "''"));
    let Some(text) = default else {
        return;
    };
    let literal = format!("{}::{}", quoted(from), stored(known));
    if **text == literal {
        *text = format!("{}::{}", quoted(to), stored(known)).into();
    }
}

/// Whether a stored text of the relation has this literal.
fn has_literal(relation: &mut Relation, literal: &str) -> bool {
    let mut found = false;
    for_each_text(relation, &mut |text| {
        let tokens = Tokenizer::new(&NodeDialect, text).tokenize();
        let is = |token: &Token| match token {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text == literal,
            _ => false,
        };
        found |= tokens.is_ok_and(|tokens| tokens.iter().any(is));
    });
    found
}
