//! How a statement is answered: types, definitions, point statements, queries, the catalogs.

pub mod copy;
pub mod definitions;
pub mod dml;
pub mod outcome;
pub mod pg_catalog;
pub mod point;
pub mod query;
pub mod row;
pub mod settings;
pub mod types;
