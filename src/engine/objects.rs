//! What a session keeps by name, as its own catalogs list it: pg_cursors,
//! pg_prepared_statements and the channels that it listens on.
//!
//! The session writes it as things come and go; a statement on the query pool reads it.

use crate::catalog::sql_type::SqlType;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is listed, shared between a session and its statements.
pub type SharedObjects = Arc<Mutex<Objects>>;

/// What is listed.
#[derive(Debug, Default)]
pub struct Objects {
    /// pg_cursors
    pub cursors: BTreeMap<Box<str>, ListedCursor>,
    /// pg_prepared_statements
    pub statements: BTreeMap<Box<str>, ListedStatement>,
    /// pg_listening_channels()
    pub channels: BTreeSet<Arc<str>>,
}

/// A row of pg_cursors.
#[derive(Clone, Debug)]
pub struct ListedCursor {
    /// The message in which it was declared.
    pub statement: Arc<str>,
    /// WITH HOLD
    pub holdable: bool,
    /// Whether it goes back.
    pub scrollable: bool,
    /// When, Unix microseconds.
    pub declared_at: i64,
}

/// A row of pg_prepared_statements.
#[derive(Clone, Debug)]
pub struct ListedStatement {
    /// The message in which it was prepared.
    pub text: Arc<str>,
    /// When, Unix microseconds.
    pub prepared_at: i64,
    /// Types of its parameters.
    pub parameters: Box<[SqlType]>,
    /// PREPARE rather than Parse.
    pub from_sql: bool,
}
