//! Fetching the keys of identity providers, off the session cores (REFERENCE §3 "JWKS").
//!
//! `fetcher` is the thread that decides, by the pure machines of `auth::jwks`, and has each fetch done by
//! a thread of its own, so that a slow provider holds up no other. `locate` finds a provider's keys,
//! `https` is the source that asks for them, `addresses` and `hosts` say whom it may ask, `kept` is the
//! copy on the disk that a start falls back on.

mod addresses;
mod fetcher;
mod hosts;
mod https;
mod kept;
mod locate;
mod provider;
#[cfg(test)]
mod tests;

pub use addresses::is_public;
pub use fetcher::{Clock, FETCHES_AT_ONCE, Fetcher};
pub use hosts::{AllowedHosts, NotAHost};
pub use https::{HttpsSource, UnfitAuthorities};
pub use kept::Kept;
pub use locate::{FETCH_TIME_MAX, fetch};
