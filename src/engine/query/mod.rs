//! Everything else: DataFusion on the query pool.

pub mod expression;
pub mod failure;
