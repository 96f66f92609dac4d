//! Row policies at work: their predicates compiled once a definition, and asked of each row before
//! anybody else sees it (DESIGN §7, invariant 3).
//!
//! `access::row_policy` says which policies apply; here they become predicates over rows and batches.
//! Whatever goes wrong in one, it does not hold: the row is not visible, and not written.

mod compiled;
mod guard;

pub use compiled::{PREDICATE_BYTES_MAX, compile, prepare};
pub use guard::{Guard, Purpose, hidden_conflict};
