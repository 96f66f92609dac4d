//! A statement analysed: what its parameters and result are, and which part of the engine answers.

use super::outcome::ResultField;
use super::query::QueryPlan;
use super::{dml, locking, point};
use crate::catalog::definition::Definitions;
use crate::catalog::sql_type::SqlType;
use sqlparser::ast;
use std::sync::Arc;

/// A statement analysed against one state of the definitions.
///
/// Good for as long as [`Plan::is_current`] says so; rights are checked at each execution, since
/// they change without the definitions changing.
pub struct Plan {
    /// The types of $1, $2, ….
    pub parameters: Vec<SqlType>,
    /// The result's columns; None where the statement returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
    /// What it was analysed against.
    pub definitions: Definitions,
    /// Who answers.
    pub(super) body: Body,
}

/// Who answers a statement.
pub(super) enum Body {
    /// `point`, on the session core.
    Point(Box<point::Statement>),
    /// `dml`: INSERT, UPDATE and DELETE by way of a query.
    Dml(Box<dml::Statement>),
    /// `dml`, too: a statement whose WITH writes.
    Parted(Box<dml::parts::Parted>),
    /// `dml`, too: EXPLAIN of such a statement.
    Explained(Box<dml::explained::Explained>),
    /// `query`, on the pool.
    Query(Arc<QueryPlan>),
    /// `locking`: queries whose rows are locked, and statements with such queries inside.
    Locking(Box<locking::Statement>),
    /// `definitions`: analysed as it is carried out. With the text that its spans point into.
    Definition(Arc<ast::Statement>, Arc<str>),
}

impl Plan {
    /// Whether nothing has been defined since it was analysed.
    pub fn is_current(&self, definitions: &Definitions) -> bool {
        self.definitions.same(definitions)
    }
}
