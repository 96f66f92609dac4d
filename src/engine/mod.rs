//! How a statement is answered: types, definitions, point statements, queries, the catalogs.

pub mod context;
pub mod copy;
pub mod deferred;
pub mod definitions;
pub mod dml;
pub mod entry;
pub mod extensions;
pub mod locking;
pub mod notification;
pub mod objects;
pub mod outcome;
pub mod peers;
pub mod pg_catalog;
pub mod plan;
pub mod point;
pub mod policy;
pub mod query;
pub mod row;
pub mod search_path;
pub mod settings;
pub mod stop;
pub mod temporary;
pub mod transaction;
pub mod types;
pub mod uses;

pub use entry::{Engine, Options};
pub use plan::Plan;
