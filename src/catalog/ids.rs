//! The identifiers of the catalog: newtypes, so that they do not mix (STYLE habit 6).

use super::index::Least;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identifier! {
    /// The number of one published catalog state; it only grows.
    #[derive(Default)]
    Epoch(u64)
}
identifier! {
    /// A tenant; 0 is `system`.
    TenantId(u32)
}
identifier! {
    /// A user, service account or custom role; never reused, also shown as `user_id` and
    /// pg_roles.oid.
    PrincipalId(u32)
}
identifier! {
    /// A database; also pg_database.oid.
    DatabaseId(u32)
}
identifier! {
    /// What a client knows a relation, constraint or schema by (pg_class.oid); stable for its life.
    Oid(u32)
}
identifier! {
    /// The prefix of a relation's keys in storage; TRUNCATE and DROP give a relation a new one,
    /// as PostgreSQL's relfilenode.
    RelationId(u32)
}

/// An API key: eight random bytes, never given twice, shown and presented as base64url without
/// padding (REFERENCE §3). No secret: listings and logs name keys by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(u64);

impl KeyId {
    /// How long its text is.
    pub const TEXT_BYTES: usize = 11;

    /// Of its eight bytes.
    pub const fn new(bytes: [u8; 8]) -> KeyId {
        KeyId(u64::from_be_bytes(bytes))
    }

    /// Which of so many shards it belongs to: its bytes are random.
    pub fn shard(self, shards: usize) -> usize {
        (self.0 % shards as u64) as usize
    }
}

impl Least for KeyId {
    const LEAST: KeyId = KeyId(0);
}

impl Least for PrincipalId {
    const LEAST: PrincipalId = PrincipalId(0);
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0.to_be_bytes()))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = ();

    /// Exactly the text that [`KeyId`] prints; no other spelling of the same bytes.
    fn from_str(text: &str) -> Result<KeyId, ()> {
        let mut bytes = [0; 8];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(8) if text.len() == KeyId::TEXT_BYTES => Ok(KeyId::new(bytes)),
            Ok(_) | Err(_) => Err(()),
        }
    }
}

impl TenantId {
    /// The first tenant, `system`.
    pub const SYSTEM: TenantId = TenantId(0);
}

impl PrincipalId {
    /// The superuser that the first start makes: PostgreSQL's bootstrap superuser has OID 10.
    pub const FIRST_SUPERUSER: PrincipalId = PrincipalId(10);
}

impl DatabaseId {
    /// The first tenant's default database: PostgreSQL's first one has OID 5.
    pub const FIRST: DatabaseId = DatabaseId(5);
}

/// The first OID, principal and database number given to what users make; below it are
/// PostgreSQL's own numbers (its FirstNormalObjectId).
pub const FIRST_USER_OID: u32 = 16_384;
