//! JSON Web Tokens of identity providers: read, verified and remembered (REFERENCE §3 "JWT").
//!
//! `token` reads what a stranger sends, strictly and within limits (RFC 7515, RFC 7519); `checks`
//! decides on it against a provider and its keys (`super::jwks`); `cryptography` is what verifies a
//! signature, on ring; `remembered` is what a core keeps of tokens it has verified. Nothing here does
//! I/O or has a clock.

mod algorithm;
mod checks;
mod cryptography;
mod numeric_date;
mod refusal;
mod remembered;
#[cfg(test)]
#[path = "../../../tests/it/signer.rs"]
#[allow(dead_code, reason = "shared with the black-box tests")]
pub(crate) mod signer;
#[cfg(test)]
mod tests;
mod token;

pub use algorithm::Algorithm;
pub use checks::{Check, Checks, LIFETIME_MAX, SKEW, Verified, verify};
pub use cryptography::install;
pub(super) use cryptography::is_signed;
pub use refusal::{Part, Refusal};
pub use remembered::{REMEMBERED_BYTES_MAX, REMEMBERED_TOKENS_MAX, Remembered, Trace};
pub use token::{CLAIMS_MAX, KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX, Token};
