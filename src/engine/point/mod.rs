//! Point statements: one table, one row by its full key or a few in a row, or INSERT of a few rows of values.
//!
//! They run on the session core, to the end, from a compiled plan ([`statement::Statement`]), without
//! the query pool. For simple-protocol text [`templates::Templates`] keeps the plans, one cache a
//! core. Writing goes through the one core of `engine::dml`; expressions mean what they mean
//! everywhere.

pub mod key;
pub mod range;
pub mod range_count;
mod range_rows;
pub mod range_select;
pub mod select;
pub mod statement;
pub mod templates;
#[cfg(test)]
mod tests;

pub use statement::Statement;
pub use templates::{Found, Templates};
