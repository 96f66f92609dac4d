//! What a session keeps by name: pg_cursors and pg_prepared_statements. Each sees its own alone.
//! And pg_locks: the advisory locks of its database; pg_stat_activity: the sessions in sight.

use super::Row;
use super::cell::{Cell, maybe, number, row, text};
use super::relations::catalog;
use crate::engine::context::StatementContext;
use crate::engine::query::pool::blocking;
use crate::engine::types;
use crate::storage::{AdvisoryMode, Storage};

/// pg_cursors
pub fn pg_cursors(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_cursors");
    let Some(objects) = &context.objects else {
        return Vec::new();
    };
    let objects = objects.lock();
    let cursors = objects.cursors.iter().map(|(name, cursor)| {
        row(
            shape,
            &[
                ("name", text(&**name)),
                ("statement", text(&*cursor.statement)),
                ("is_holdable", Cell::Bool(cursor.holdable)),
                ("is_scrollable", Cell::Bool(cursor.scrollable)),
                ("creation_time", number(cursor.declared_at)),
            ],
        )
    });
    cursors.collect()
}

/// pg_prepared_statements, without how often each has been planned.
pub fn pg_prepared_statements(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_prepared_statements");
    let Some(objects) = &context.objects else {
        return Vec::new();
    };
    let objects = objects.lock();
    let statements = objects.statements.iter().map(|(name, statement)| {
        let types = statement.parameters.iter();
        let types = types.map(|sql_type| number(types::oid(*sql_type).0));
        row(
            shape,
            &[
                ("name", text(&**name)),
                ("statement", text(&*statement.text)),
                ("prepare_time", number(statement.prepared_at)),
                ("parameter_types", Cell::List(types.collect())),
                ("from_sql", Cell::Bool(statement.from_sql)),
            ],
        )
    });
    statements.collect()
}

/// pg_locks: advisory locks, held and waited for. Rows and relations are locked otherwise than in
/// PostgreSQL, and not listed.
pub fn pg_locks(context: &StatementContext, storage: &Storage) -> Vec<Row> {
    let shape = catalog("pg_locks");
    let database = context.identity.database.0;
    let listed = storage.list_advisory(database).into_iter();
    let rows = listed.map(|lock| {
        let mode = match lock.mode {
            AdvisoryMode::Shared => "ShareLock",
            AdvisoryMode::Exclusive => "ExclusiveLock",
        };
        let unknown = [
            "relation",
            "page",
            "tuple",
            "virtualxid",
            "transactionid",
            "waitstart",
        ];
        let unknown = unknown.map(|column| (column, Cell::Null));
        let known = [
            ("locktype", text("advisory")),
            ("database", number(lock.key.database)),
            ("classid", number(lock.key.class)),
            ("objid", number(lock.key.object)),
            ("objsubid", number(i64::from(lock.key.space))),
            ("virtualtransaction", text(format!("{}/0", lock.pid))),
            ("pid", number(lock.pid)),
            ("mode", text(mode)),
            ("granted", Cell::Bool(lock.granted)),
        ];
        row(shape, &[&unknown[..], &known[..]].concat())
    });
    rows.collect()
}

/// pg_stat_activity: who is here, as far as SHOW SESSIONS tells the same session, without the texts
/// of statements.
pub fn pg_stat_activity(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_stat_activity");
    let Some(peers) = &context.peers else {
        return Vec::new();
    };
    let listed = blocking(|| peers.list(&context.rights));
    let rows = listed.into_iter().map(|peer| {
        let unknown = ["leader_pid", "backend_xid", "backend_xmin", "query_id"];
        let unknown = unknown.map(|column| (column, Cell::Null));
        let known = [
            ("datid", number(peer.database.0)),
            ("datname", maybe(peer.database_name)),
            ("pid", number(peer.pid)),
            ("usesysid", number(peer.user.0)),
            ("usename", text(peer.user_name)),
            (
                "client_addr",
                text(peer.client.ip().to_canonical().to_string()),
            ),
            ("client_port", number(i64::from(peer.client.port()))),
            ("backend_start", number(peer.connected_at)),
            ("state", text(peer.state)),
            ("backend_type", text("client backend")),
        ];
        row(shape, &[&unknown[..], &known[..]].concat())
    });
    rows.collect()
}
