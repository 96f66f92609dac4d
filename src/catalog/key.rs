//! An API key as the catalog keeps it (REFERENCE §3): everything but its secret.

use super::allowance::Allowance;
use super::ids::{DatabaseId, KeyId, PrincipalId, TenantId};
use super::principal::Parent;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

/// SHA-256 of a key's secret: 32 random bytes need no salt and no stretching.
///
/// `Debug` prints stars: it is a verifier, and verifiers stand in their own file only.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What it is presented and listed by.
    pub id: KeyId,
    /// Unique in its tenant.
    pub name: Arc<str>,
    /// Its owner's tenant.
    pub tenant: TenantId,
    /// The user or service account it belongs to; dropped or disabled, it takes the key along.
    pub owner: PrincipalId,
    /// Of the secret in force.
    pub secret: SecretHash,
    /// How often the secret has been rotated; it tells which secret a session came in by.
    pub generation: u32,
    /// The secret before, while its grace lasts.
    pub previous: Option<Box<PreviousSecret>>,
    /// ROLE; None: all of its owner's.
    pub role: Option<Parent>,
    /// WITH DATABASES, the first its default; None: all in reach of its owner.
    pub databases: Option<Box<[DatabaseId]>>,
    /// WITH SCOPES, for row policies.
    pub scopes: Option<Box<[Arc<str>]>>,
    /// WITH IPS: where it may be presented from; None: anywhere.
    pub networks: Option<Box<[IpNet]>>,
    /// WITH RATE: requests a second; None: any number.
    pub rate_per_second: Option<NonZeroU32>,
    /// CONNECTION LIMIT, STATEMENT LIMIT.
    pub allowance: Allowance,
    /// CREATE time, Unix microseconds.
    pub created_at: i64,
    /// EXPIRES, Unix microseconds.
    pub expires_at: Option<i64>,
}

/// A secret that is being replaced (ALTER API KEY … ROTATE GRACE).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// Of the secret.
    pub secret: SecretHash,
    /// When it ends, Unix microseconds.
    pub until: i64,
}

impl ApiKey {
    /// Whether the list lets a session into this database; its owner's reach is another matter.
    pub fn lists(&self, database: DatabaseId) -> bool {
        match &self.databases {
            None => true,
            Some(list) => list.contains(&database),
        }
    }

    /// Whether it may be presented from this address. One of IPv4 that came in by an IPv6 socket
    /// is the IPv4 address.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match &self.networks {
            None => true,
            Some(networks) => networks.iter().any(|network| network.contains(&address)),
        }
    }

    /// When a session that came in by the secret of this generation ends; None: not by the clock.
    ///
    /// # Errors
    /// That secret is no longer one of the key's.
    pub fn ends_at(&self, generation: u32) -> Result<Option<i64>, SecretReplaced> {
        if generation == self.generation {
            return Ok(self.expires_at);
        }
        match &self.previous {
            Some(previous) if generation.checked_add(1) == Some(self.generation) => {
                let ends = self.expires_at.unwrap_or(i64::MAX).min(previous.until);
                Ok(Some(ends))
            }
            Some(_) | None => Err(SecretReplaced),
        }
    }
}

/// A secret that has been rotated away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretReplaced;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey {
            id: KeyId::new([7; 8]),
            name: Arc::from("ci"),
            tenant: TenantId::SYSTEM,
            owner: PrincipalId(10),
            secret: SecretHash([1; 32]),
            generation: 3,
            previous: None,
            role: None,
            databases: None,
            scopes: None,
            networks: None,
            rate_per_second: None,
            allowance: Allowance::default(),
            created_at: 0,
            expires_at: Some(900),
        }
    }

    #[test]
    fn a_session_lives_as_long_as_the_secret_it_came_in_by() {
        let mut key = key();
        assert_eq!(key.ends_at(3), Ok(Some(900)));
        assert_eq!(key.ends_at(2), Err(SecretReplaced));
        key.previous = Some(Box::new(PreviousSecret {
            secret: SecretHash([2; 32]),
            until: 500,
        }));
        assert_eq!(key.ends_at(2), Ok(Some(500)));
        assert_eq!(key.ends_at(1), Err(SecretReplaced));
        key.expires_at = Some(400);
        assert_eq!(key.ends_at(2), Ok(Some(400)));
        key.expires_at = None;
        assert_eq!((key.ends_at(3), key.ends_at(2)), (Ok(None), Ok(Some(500))));
    }

    #[test]
    fn a_key_is_taken_from_its_networks_only() {
        let mut key = key();
        let from = |key: &ApiKey, address: &str| key.admits(address.parse().unwrap());
        assert!(from(&key, "192.0.2.1"));
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|it| it.parse().unwrap());
        key.networks = Some(Box::new(networks));
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
            assert!(from(&key, address), "{address}");
        }
        for address in ["11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "::1"] {
            assert!(!from(&key, address), "{address}");
        }
        key.networks = Some(Box::new([]));
        assert!(!from(&key, "10.1.2.3"));
    }

    #[test]
    fn the_hash_of_a_secret_is_not_printed() {
        assert!(format!("{:?}", key()).contains("SecretHash(***)"));
    }

    #[test]
    fn an_id_has_one_text() {
        let id = KeyId::new([0, 1, 2, 3, 0xFB, 0xEF, 0xFF, 0xFE]);
        assert_eq!(id.to_string(), "AAECA_vv__4");
        assert_eq!("AAECA_vv__4".parse(), Ok(id));
        // The last character has two bits that mean nothing; padding and the other alphabet.
        for other in [
            "AAECA_vv__5",
            "AAECA_vv__4=",
            "AAECA/vv__4",
            "AAECA_vv__",
            "",
        ] {
            assert_eq!(other.parse::<KeyId>(), Err(()), "{other}");
        }
    }
}
