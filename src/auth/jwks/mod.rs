//! The keys of identity providers: what they publish, which of it is used, and when it is fetched
//! again (REFERENCE §3 "JWKS").
//!
//! `key_set` and `key` read what was fetched (RFC 7517), `discovery` finds where it lies, `breaker` and
//! `schedule` decide when to fetch, `following` holds them together for one provider, `in_force` is where
//! session cores find the keys, `requests` how they ask for a fetch. No I/O and no clock: `control::jwks`
//! fetches, through the seam `Source`.

mod breaker;
mod cache_control;
mod discovery;
mod following;
mod in_force;
mod key;
mod key_set;
mod requests;
mod schedule;
mod source;
#[cfg(test)]
mod tests;

pub use breaker::{Breaker, Circuit, FAILURES_TO_OPEN, OPEN_FOR_MAX, OPEN_FOR_MIN};
pub use cache_control::max_age;
pub use discovery::{Document, UnfitDocument, discovery_url, fallback_url};
pub use following::{Answer, Fetched, Following, News, Occasion};
pub use in_force::{InForce, KeySets, NoKeys, Status, View};
pub use key::Skip;
pub use key_set::{Choice, DOCUMENT_BYTES_MAX, KEYS_MAX, KeySet, Skipped, UnfitKeySet};
pub use requests::{Followed, Outcome, Request, Requests};
pub use schedule::{Schedule, Terms};
pub use source::{Reply, Source, SourceError};
