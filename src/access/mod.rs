//! What may you: the ladder, custom roles, table grants, database scope (REFERENCE §2, §7).
//!
//! Everything here is a pure function of a catalog snapshot and an identity. What is not decided
//! is refused (DESIGN §7, invariant 9), and a check leaves a [`Permit`] that what it guards takes
//! as an argument.

pub mod explain;
pub mod grants;
pub mod login;
mod narrowing;
pub mod permit;
pub mod rights;
pub mod row_policy;
pub mod show;
pub mod standing;
#[cfg(test)]
mod tests;
pub mod validity;
pub mod variables;

pub use login::{database_in_reach, login};
pub use narrowing::narrows;
pub use permit::Permit;
pub(crate) use rights::denied;
pub use rights::{Rights, rights};
pub use standing::Standing;
pub use validity::{EndReason, still_valid, valid_until};
pub use variables::Variables;
