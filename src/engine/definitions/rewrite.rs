//! The rows of a table worked out anew: a column of another type, or one with a value of its own for
//! each row.
//!
//! They go into a fresh relation id, so that nobody meets a row that is half of the one layout and half of
//! the other; what fails leaves the old ones as they were.

use super::build::{self, Rows, Target};
use super::relabel::Relabelled;
use super::work::{Work, table_of};
use crate::catalog::RelationId;
use crate::catalog::definition::{Relation, RelationBody, Table};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::dml::value::{Row, Value};
use crate::engine::row::{KeyLayout, RowLayout};
use crate::engine::types::{self, CastContext};
use crate::storage::{SequenceState, SequenceSteps};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// Where a column's new value comes from.
pub enum Source {
    /// An expression over the row as it was.
    Value(Value),
    /// A sequence that nobody else counts with yet.
    Counter(Counter),
    /// The column itself, with one label of an enumeration under its new name.
    Relabelled(u16, Arc<Relabelled>),
    /// The next value of a sequence that others may count with.
    Sequence(RelationId, SequenceSteps),
}

/// A new sequence that is counted here, and left where the last row left it.
pub struct Counter {
    store: RelationId,
    steps: SequenceSteps,
    state: SequenceState,
}

impl Counter {
    /// At its beginning.
    pub fn new(store: RelationId, steps: SequenceSteps) -> Counter {
        Counter {
            store,
            steps,
            state: SequenceState {
                last_value: steps.start,
                is_called: false,
            },
        }
    }

    fn take(&mut self) -> Result<i64, Diagnostic> {
        let value = self.steps.after(self.state)?;
        self.state = SequenceState {
            last_value: value,
            is_called: true,
        };
        Ok(value)
    }
}

/// Works every row of the table out anew: `next` is the table as it will be, but for its store; `sources`
/// says which of its columns get other values. Indexes are the caller's to build anew.
///
/// # Errors
/// What the values raise, 23502 for a NULL where none may be, 23505 for a primary key met twice.
pub async fn rewrite(
    work: &mut Work<'_>,
    relation: &mut Relation,
    mut next: Table,
    mut sources: Vec<(u16, Source)>,
    primary_index: &str,
) -> Result<(), Diagnostic> {
    work.refresh(relation).await?;
    let old = table_of(relation)?.clone();
    next.store = work.transaction.storage.create_relation()?;
    for column in &mut next.columns {
        column.missing = None;
    }
    let layout = RowLayout::new(&next);
    let key_layout = KeyLayout::of_table(&next)?;
    let all: Vec<u16> = (0..old.columns.len() as u16).collect();
    let mut rows = Rows::of(work, &old, &all)?;
    let (mut key, mut bytes) = (Vec::new(), Vec::new());
    while let Some(columns) = rows.next()? {
        work.pause().await?;
        for row in 0..rows.len() {
            let old_values = build::values_at(&columns, row)?;
            let mut values = old_values.clone();
            for column in &next.columns[values.len()..] {
                values.push(types::null_scalar(column.sql_type));
            }
            for (position, source) in &mut sources {
                let at = usize::from(*position);
                let sql_type = next.columns[at].sql_type;
                values[at] = value(work, source, &old_values, sql_type).await?;
                if next.columns[at].not_null && values[at].is_null() {
                    return Err(build::null_found(relation, &next.columns[at].name));
                }
            }
            bytes.clear();
            layout.encode(&values, &mut bytes)?;
            key.clear();
            match &key_layout {
                None => {
                    build::put_numbered(work, next.store, rows.key(row), &bytes).await?;
                }
                Some(key_layout) => {
                    let keyed = key_layout.columns().iter();
                    let keyed: Vec<ScalarValue> =
                        keyed.map(|at| values[usize::from(*at)].clone()).collect();
                    key_layout.encode(&keyed, &mut key)?;
                    let target = Target {
                        relation: next.store,
                        layout: key_layout,
                        table: relation,
                        index: primary_index,
                        values: None,
                    };
                    target.put(work, &key, &bytes).await?;
                }
            }
            work.step().await?;
        }
    }
    match &key_layout {
        None => work.transaction.storage.bulk_finish().await?,
        Some(key_layout) => {
            let target = Target {
                relation: next.store,
                layout: key_layout,
                table: relation,
                index: primary_index,
                values: None,
            };
            target.finish(work).await?;
        }
    }
    leave_counters(work, &sources).await?;
    work.transaction.storage.drop_relation(old.store);
    relation.body = RelationBody::Table(next);
    share_store(work, relation)
}

async fn value(
    work: &mut Work<'_>,
    source: &mut Source,
    columns: &[ScalarValue],
    sql_type: SqlType,
) -> Result<ScalarValue, Diagnostic> {
    let counted = match source {
        Source::Value(value) => {
            return value.evaluate(Row {
                columns,
                parameters: &[],
                input: work.input(),
            });
        }
        Source::Relabelled(position, relabelled) => {
            return relabelled.value(&columns[usize::from(*position)]);
        }
        Source::Counter(counter) => counter.take()?,
        Source::Sequence(store, steps) => work.storage().sequence_next(*store, *steps).await?,
    };
    types::cast(
        ScalarValue::Int64(Some(counted)),
        SqlType::scalar(TypeKind::Int8),
        sql_type,
        CastContext::Assignment,
        work.input(),
    )
}

async fn leave_counters(work: &Work<'_>, sources: &[(u16, Source)]) -> Result<(), Diagnostic> {
    for (_, source) in sources {
        if let Source::Counter(counter) = source
            && counter.state.is_called
        {
            let storage = work.storage();
            storage.sequence_set(counter.store, counter.state).await?;
        }
    }
    Ok(())
}

/// The primary key's index is where the table is.
fn share_store(work: &mut Work<'_>, relation: &mut Relation) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let table = table_of(relation)?;
    let index = table.primary_index.and_then(|oid| definitions.get(oid));
    let Some(mut index_relation) = index.map(|found: &Arc<Relation>| Relation::clone(found)) else {
        return Ok(());
    };
    if let RelationBody::Index(index) = &mut index_relation.body {
        index.store = table.store;
    }
    work.define(index_relation)
}
