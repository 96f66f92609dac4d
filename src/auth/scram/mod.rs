//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), the server's side, without I/O.
//!
//! The caller owns the socket, the nonce, the clock, and what the connection can be told by:
//!
//! ```text
//! Mechanism::chosen(name, channel binding)   -PLUS over TLS only
//! Credential::look_up(catalog, user)         known user, or a mock that cannot be told from one
//!   └─ AwaitClientFirst::receive(client-first, nonce)   → server-first
//!        └─ AwaitClientFinal::receive(client-final)     → server-final and Authenticated, or Refused
//! ```
//!
//! As PostgreSQL does, the user is the one of the start-up packet; the name inside the SCRAM
//! message is not looked at. No step derives a key: the client pays for PBKDF2, the server for
//! two HMACs and a hash.

mod channel_binding;
mod credential;
mod error;
mod exchange;
mod mechanism;
mod messages;
pub mod mock;
pub mod saslprep;
pub mod verifier;

pub use channel_binding::ChannelBinding;
pub use credential::Credential;
pub use error::{Refusal, ScramError};
pub use exchange::{AwaitClientFinal, AwaitClientFirst, ServerNonce, Verified};
pub use mechanism::{Mechanism, offered};

/// The longest SASL message taken, in bytes (PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH).
pub const SASL_MESSAGE_BYTES_MAX: usize = 1_024;

/// The fewest PBKDF2 rounds a verifier may have (RFC 7677 §4).
pub const ITERATIONS_MIN: u32 = 4_096;

/// The most PBKDF2 rounds a verifier may have: common drivers refuse more (REFERENCE §3).
pub const ITERATIONS_MAX: u32 = 100_000;
