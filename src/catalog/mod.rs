//! What is true: tenants, users, roles, databases, and what is defined about rows.
//!
//! The catalog is an immutable [`Snapshot`] with structural sharing; a [`Request`] becomes
//! changes, changes make the next epoch (DESIGN §2). Nothing here does I/O but `store`.

pub mod allowance;
pub mod change;
pub mod definition;
pub mod enumeration;
pub mod ids;
pub mod index;
pub mod key;
pub mod key_usage;
pub mod passwords;
pub mod port;
pub mod principal;
pub mod provider;
pub mod provider_request;
pub mod request;
pub mod revocation;
pub mod role;
pub mod row_policy;
pub mod schema;
pub mod snapshot;
pub mod sql_type;
pub mod store;
pub mod verifier;

pub use change::Change;
pub use ids::{DatabaseId, Epoch, KeyId, Oid, PrincipalId, RelationId, TenantId};
pub use request::Request;
pub use snapshot::Snapshot;
