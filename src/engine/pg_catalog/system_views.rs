//! pg_tables, pg_views, pg_indexes, pg_sequences, and the tables of pg_stat_…_tables.

use super::cell::{Cell, maybe, number, row, text};
use super::deparse::{self, Names};
use super::relations::{catalog, own};
use super::{Row, tables};
use crate::catalog::definition::{Relation, RelationBody};
use crate::engine::context::StatementContext;
use crate::engine::types;

fn owner(relation: &Relation, context: &StatementContext) -> Cell {
    maybe(super::roles::name_of(relation.owner, context))
}

/// pg_tables
pub fn pg_tables(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_tables");
    let users = own(context)
        .filter_map(|relation| Some((relation, relation.table()?)))
        .map(|(relation, table)| {
            let indexed = table.primary_index.is_some() || !table.indexes.is_empty();
            row(
                shape,
                &[
                    ("schemaname", text(&*relation.schema)),
                    ("tablename", text(&*relation.name)),
                    ("tableowner", owner(relation, context)),
                    ("hasindexes", Cell::Bool(indexed)),
                    ("rowsecurity", Cell::Bool(relation.row_security.in_force())),
                ],
            )
        });
    let system = tables().iter().filter(|table| !table.is_view).map(|table| {
        row(
            shape,
            &[
                ("schemaname", text(table.schema)),
                ("tablename", text(table.name)),
                ("tableowner", text("nodedb")),
            ],
        )
    });
    users.chain(system).collect()
}

/// pg_views
pub fn pg_views(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_views");
    own(context)
        .filter(|relation| matches!(relation.body, RelationBody::View(_)))
        .map(|relation| {
            row(
                shape,
                &[
                    ("schemaname", text(&*relation.schema)),
                    ("viewname", text(&*relation.name)),
                    ("viewowner", owner(relation, context)),
                    ("definition", maybe(deparse::view(relation.oid, context))),
                ],
            )
        })
        .collect()
}

/// pg_indexes
pub fn pg_indexes(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_indexes");
    own(context)
        .filter_map(|relation| Some((relation, relation.index()?)))
        .map(|(relation, index)| {
            let table = context.snapshot.definitions.get(index.table);
            let definition = deparse::index(relation.oid, 0, Names::Qualified, context);
            row(
                shape,
                &[
                    ("schemaname", text(&*relation.schema)),
                    ("tablename", maybe(table.map(|table| &*table.name))),
                    ("indexname", text(&*relation.name)),
                    ("indexdef", maybe(definition)),
                ],
            )
        })
        .collect()
}

/// pg_sequences; the last value is `pg_sequence_last_value`'s to tell.
pub fn pg_sequences(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_sequences");
    own(context)
        .filter_map(|relation| match &relation.body {
            RelationBody::Sequence(sequence) => Some((relation, sequence)),
            _ => None,
        })
        .map(|(relation, sequence)| {
            row(
                shape,
                &[
                    ("schemaname", text(&*relation.schema)),
                    ("sequencename", text(&*relation.name)),
                    ("sequenceowner", owner(relation, context)),
                    ("data_type", number(types::oid(sequence.sql_type).0)),
                    ("start_value", number(sequence.start)),
                    ("min_value", number(sequence.min)),
                    ("max_value", number(sequence.max)),
                    ("increment_by", number(sequence.increment)),
                    ("cycle", Cell::Bool(sequence.cycle)),
                    ("cache_size", number(1)),
                    ("last_value", Cell::Null),
                ],
            )
        })
        .collect()
}

/// pg_stat_all_tables, pg_stat_user_tables and those of pg_statio: which tables there are. Nothing is counted of
/// them: every count is 0, as PostgreSQL's are of what it has not counted yet.
pub fn counted_tables(name: &'static str, context: &StatementContext) -> Vec<Row> {
    let shape = catalog(name);
    own(context)
        .filter(|relation| relation.table().is_some())
        .map(|relation| {
            row(
                shape,
                &[
                    ("relid", number(relation.oid.0)),
                    ("schemaname", text(&*relation.schema)),
                    ("relname", text(&*relation.name)),
                ],
            )
        })
        .collect()
}
