//! pg_depend and pg_rewrite: what must be made before what. pg_dump sorts by them.
//!
//! A sequence belongs to its column; a default needs the sequence that it asks; a view is a rule, which
//! needs what its query reads.

use super::Row;
use super::cell::{Cell, number, row, text};
use super::relations::{catalog, defaults, own};
use crate::catalog::definition::{Relation, RelationBody, Sequence};
use crate::engine::context::StatementContext;
use crate::engine::query::functions::names;
use crate::engine::query::qualify;
use std::sync::Arc;

/// An object: the catalog it is in, its OID, and for a column its number.
type Object = (&'static str, u32, i64);

/// pg_rewrite: of each view the rule that it is.
pub fn pg_rewrite(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_rewrite");
    views(context)
        .map(|(relation, _)| {
            row(
                shape,
                &[
                    // A rule has no OID of its own; its view's is free in this catalog.
                    ("oid", number(relation.oid.0)),
                    ("rulename", text("_RETURN")),
                    ("ev_class", number(relation.oid.0)),
                    ("ev_type", text("1")),
                    ("ev_enabled", text("O")),
                    ("is_instead", Cell::Bool(true)),
                ],
            )
        })
        .collect()
}

/// pg_depend
pub fn pg_depend(context: &StatementContext) -> Vec<Row> {
    let mut rows = Vec::new();
    for (relation, sequence) in sequences(context) {
        if let Some((table, column)) = sequence.owned_by {
            let kind = match is_identity(context, sequence) {
                true => "i",
                false => "a",
            };
            let column = ("pg_class", table.0, i64::from(column) + 1);
            rows.push(depends(("pg_class", relation.oid.0, 0), column, kind));
        }
    }
    for default in defaults(context) {
        // The OID is above those of i32, as every OID may be.
        let oid = u32::try_from(default.oid()).unwrap_or(u32::MAX);
        let default_of = ("pg_attrdef", oid, 0);
        let column = default.column as i64 + 1;
        let own_column = ("pg_class", default.relation.oid.0, column);
        rows.push(depends(default_of, own_column, "a"));
        for sequence in qualify::sequences_of(default.text) {
            if let Ok(found) = names::relation_in_public(&sequence, context) {
                rows.push(depends(default_of, ("pg_class", found.oid.0, 0), "n"));
            }
        }
    }
    for (relation, query) in views(context) {
        let rule = ("pg_rewrite", relation.oid.0, 0);
        rows.push(depends(rule, ("pg_class", relation.oid.0, 0), "i"));
        for name in qualify::relations_of(query) {
            if let Ok(found) = names::relation_in_public(&name, context) {
                rows.push(depends(rule, ("pg_class", found.oid.0, 0), "n"));
            }
        }
    }
    rows
}

fn depends(object: Object, on: Object, kind: &str) -> Row {
    let class = |object: Object| number(catalog(object.0).oid.0);
    row(
        catalog("pg_depend"),
        &[
            ("classid", class(object)),
            ("objid", number(object.1)),
            ("objsubid", number(object.2)),
            ("refclassid", class(on)),
            ("refobjid", number(on.1)),
            ("refobjsubid", number(on.2)),
            ("deptype", text(kind)),
        ],
    )
}

fn sequences(context: &StatementContext) -> impl Iterator<Item = (&Arc<Relation>, &Sequence)> {
    own(context).filter_map(|relation| match &relation.body {
        RelationBody::Sequence(sequence) => Some((relation, sequence)),
        RelationBody::Table(_) | RelationBody::Index(_) | RelationBody::View(_) => None,
    })
}

fn views(context: &StatementContext) -> impl Iterator<Item = (&Arc<Relation>, &str)> {
    own(context).filter_map(|relation| match &relation.body {
        RelationBody::View(view) => Some((relation, &*view.query)),
        RelationBody::Table(_) | RelationBody::Index(_) | RelationBody::Sequence(_) => None,
    })
}

/// Whether the column that the sequence belongs to is an identity column.
fn is_identity(context: &StatementContext, sequence: &Sequence) -> bool {
    sequence.owned_by.is_some_and(|(table, column)| {
        let table = context.snapshot.definitions.get(table);
        let columns = table.and_then(|table| Some(&table.table()?.columns));
        let column = columns.and_then(|columns| columns.get(usize::from(column)));
        column.is_some_and(|column| column.identity.is_some())
    })
}
