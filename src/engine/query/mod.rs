//! Everything else: DataFusion on the query pool.

pub mod expression;
pub mod failure;
mod skeleton;

pub use skeleton::{KEY_COLUMN, KEYED_SCHEMA, QueryEngine, QueryPlan};
