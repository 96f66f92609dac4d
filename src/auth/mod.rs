//! Who are you: each method a state machine or a pure function over bytes, a snapshot and a clock.
//!
//! Nothing here opens a socket, sleeps or keeps global state (DESIGN §5); `derivation` owns
//! threads, because hashing a password anew must not run on a session core.

pub mod api_key;
pub mod authenticated;
pub mod certificate;
pub mod certificate_map;
pub mod claim_mapping;
pub mod claims;
pub mod der;
pub mod derivation;
pub mod identity;
pub mod jwks;
pub mod jwt;
pub mod order;
pub mod password_policy;
pub mod presented;
pub mod rate;
pub mod remembered;
pub mod revocation_list;
pub mod scram;
pub mod secret;
pub mod strict_json;
pub mod throttle;
pub mod tls;
pub mod token;
pub mod x509;

pub use authenticated::Authenticated;
