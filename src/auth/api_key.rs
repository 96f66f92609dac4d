//! API keys: `ndb_<id>.<secret>`, 8 and 32 random bytes as base64url (REFERENCE §3).
//!
//! The catalog has the id and SHA-256 of the secret. Whatever is wrong with a key that is presented
//! is said in the log only; outside there is one answer, and an id that nobody has costs the same
//! hash and comparison as one that is known.

use super::authenticated::Authenticated;
use super::identity::KeyUsed;
use super::secret::KeySecret;
use crate::catalog::KeyId;
use crate::catalog::key::{ApiKey, SecretHash};
use crate::catalog::snapshot::Principals;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SecureRandom;
use std::net::IpAddr;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// What every key begins with; a bearer token that does not is no API key (REFERENCE §3 "Order").
pub const PREFIX: &str = "ndb_";

/// The length of a key's text.
pub const TOKEN_BYTES: usize = PREFIX.len() + KeyId::TEXT_BYTES + 1 + SECRET_TEXT_BYTES;

/// 32 bytes in base64url without padding.
const SECRET_TEXT_BYTES: usize = 43;

/// A secret that was just made.
#[derive(Debug)]
pub struct NewSecret {
    /// The random half.
    secret: KeySecret,
    /// What the catalog keeps of it.
    pub hash: SecretHash,
}

impl NewSecret {
    /// Makes one.
    ///
    /// # Panics
    /// If the kernel gives no random bytes.
    pub fn random(random: &dyn SecureRandom) -> NewSecret {
        let mut bytes = Zeroizing::new([0; 32]);
        random
            .fill(&mut *bytes)
            .expect("the kernel's random generator answers");
        let secret = KeySecret::new(*bytes);
        let hash = hash_of(&secret);
        NewSecret { secret, hash }
    }

    /// The key's text, shown once. Named so that a reviewer sees each place that asks for it.
    pub fn expose_token(&self, id: KeyId) -> Zeroizing<String> {
        let mut token = Zeroizing::new(String::with_capacity(TOKEN_BYTES));
        token.push_str(PREFIX);
        token.push_str(&id.to_string());
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(self.secret.expose(), &mut token);
        token
    }
}

/// A new key's id.
///
/// # Panics
/// If the kernel gives no random bytes.
pub fn random_id(random: &dyn SecureRandom) -> KeyId {
    let mut bytes = [0; 8];
    random
        .fill(&mut bytes)
        .expect("the kernel's random generator answers");
    KeyId::new(bytes)
}

/// Why a presented key is refused: for the log, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not of the form.
    #[error("the API key is malformed")]
    Malformed,
    /// No key has this id.
    #[error("there is no API key {0}")]
    Unknown(KeyId),
    /// The secret is another.
    #[error("the secret of API key {0} is wrong")]
    WrongSecret(KeyId),
    /// EXPIRES has passed, or the grace of a secret that was rotated away.
    #[error("API key {0} has expired")]
    Expired(KeyId),
    /// WITH IPS does not list where it came from.
    #[error("API key {0} may not be presented from this address")]
    Address(KeyId),
    /// The owner is disabled, or past VALID UNTIL.
    #[error("the owner of API key {0} cannot log in")]
    Owner(KeyId),
}

impl Refusal {
    /// The key that it names, whether there is one or not.
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Refusal::Malformed => None,
            Refusal::Unknown(id)
            | Refusal::WrongSecret(id)
            | Refusal::Expired(id)
            | Refusal::Address(id)
            | Refusal::Owner(id) => Some(*id),
        }
    }
}

/// Who a presented key proves its bearer to be. `now` in Unix microseconds, `from` where it came
/// from.
///
/// Costs one SHA-256 of 32 bytes and two map look-ups, whether or not the id is known: half a
/// microsecond for a key in use, up to two for one among a million that no core has seen for a while
/// (`perf/results/benches.md`); never blocks.
///
/// # Errors
/// The precise reason, for the log.
pub fn verify(
    principals: &Principals,
    token: &str,
    now: i64,
    from: IpAddr,
) -> Result<Authenticated, Refusal> {
    let (id, secret) = parse(token).ok_or(Refusal::Malformed)?;
    let hash = hash_of(&secret);
    let key = principals.key(id);
    let generation = matching(key.map(|key| &**key), &hash);
    let key = key.ok_or(Refusal::Unknown(id))?;
    let generation = generation.ok_or(Refusal::WrongSecret(id))?;
    let ends_at = key
        .ends_at(generation)
        .map_err(|_| Refusal::WrongSecret(id))?;
    if ends_at.is_some_and(|end| end <= now) {
        return Err(Refusal::Expired(id));
    }
    if !key.admits(from) {
        return Err(Refusal::Address(id));
    }
    let owner = principals.principal(key.owner);
    let can_log_in =
        owner.is_some_and(|it| it.enabled && it.valid_until.is_none_or(|end| end > now));
    if !can_log_in {
        return Err(Refusal::Owner(id));
    }
    let used = KeyUsed { id, generation };
    Ok(Authenticated::by_key(key.owner, used, ends_at))
}

/// The id of a text that looks like a key, for the log: the secret stays out of it.
pub fn id_of(token: &str) -> Option<KeyId> {
    parse(token).map(|(id, _)| id)
}

fn parse(token: &str) -> Option<(KeyId, KeySecret)> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('.')?;
    if secret.len() != SECRET_TEXT_BYTES {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    let length = BASE64_URL_SAFE_NO_PAD
        .decode_slice(secret, &mut *bytes)
        .ok()?;
    (length == bytes.len()).then_some(())?;
    Some((id.parse().ok()?, KeySecret::new(*bytes)))
}

fn hash_of(secret: &KeySecret) -> SecretHash {
    let hash = digest(&SHA256, secret.expose());
    SecretHash(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// The generation of the secret that has this hash. Both of a key's secrets are compared, or as
/// many of nobody's, so that the time tells nothing.
fn matching(key: Option<&ApiKey>, hash: &SecretHash) -> Option<u32> {
    const NOBODY: SecretHash = SecretHash([0; 32]);
    let (current, previous) = match key {
        None => (&NOBODY, &NOBODY),
        Some(key) => {
            let previous = key.previous.as_ref();
            (&key.secret, previous.map_or(&NOBODY, |it| &it.secret))
        }
    };
    let is_current = bool::from(current.0.ct_eq(&hash.0));
    let is_previous = bool::from(previous.0.ct_eq(&hash.0));
    let key = key?;
    if is_current {
        return Some(key.generation);
    }
    if is_previous && key.previous.is_some() {
        return key.generation.checked_sub(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::Method;
    use crate::catalog::key::PreviousSecret;
    use crate::catalog::principal::{Principal, PrincipalKind};
    use crate::catalog::role::Ladder;
    use crate::catalog::{Change, PrincipalId, TenantId};
    use ring::rand::SystemRandom;
    use std::sync::Arc;

    const OWNER: PrincipalId = PrincipalId(20_000);
    const HERE: &str = "127.0.0.1";

    /// One owner with one key, and the key's text.
    struct World {
        principals: Principals,
        key: ApiKey,
        secret: NewSecret,
    }

    impl World {
        fn new() -> World {
            let random = SystemRandom::new();
            let secret = NewSecret::random(&random);
            let key = ApiKey {
                id: random_id(&random),
                name: Arc::from("ci"),
                tenant: TenantId::SYSTEM,
                owner: OWNER,
                secret: secret.hash,
                generation: 0,
                previous: None,
                role: None,
                databases: None,
                scopes: None,
                networks: None,
                rate_per_second: None,
                allowance: Default::default(),
                created_at: 0,
                expires_at: None,
            };
            let mut world = World {
                principals: Principals::default(),
                key,
                secret,
            };
            world.owner(|_| {});
            world.edit(|_| {});
            world
        }

        fn owner(&mut self, edit: impl FnOnce(&mut Principal)) {
            let mut owner = Principal {
                id: OWNER,
                name: Arc::from("alice"),
                tenant: TenantId::SYSTEM,
                ladder: vec![Ladder::ReadWrite],
                roles: Vec::new(),
                enabled: true,
                valid_until: None,
                created_at: 0,
                allowance: Default::default(),
                kind: PrincipalKind::User {
                    passwords: Default::default(),
                    default_database: None,
                    connect: Vec::new(),
                },
            };
            edit(&mut owner);
            self.principals
                .apply(&Change::PutPrincipal(Arc::new(owner)));
        }

        fn edit(&mut self, edit: impl FnOnce(&mut ApiKey)) {
            edit(&mut self.key);
            self.principals
                .apply(&Change::PutKey(Arc::new(self.key.clone())));
        }

        fn token(&self) -> String {
            self.secret.expose_token(self.key.id).to_string()
        }

        fn present(&self, token: &str) -> Result<Authenticated, Refusal> {
            verify(&self.principals, token, 100, HERE.parse().unwrap())
        }
    }

    #[test]
    fn a_key_proves_its_owner_and_says_which_secret_it_was() {
        let world = World::new();
        let token = world.token();
        assert_eq!(token.len(), TOKEN_BYTES);
        assert!(token.starts_with(PREFIX));
        let proved = world.present(&token).expect("it is the key");
        assert_eq!(proved.principal(), OWNER);
        assert_eq!(proved.method(), Method::ApiKey);
        let used = proved.key().expect("it was a key");
        assert_eq!((used.id, used.generation), (world.key.id, 0));
    }

    #[test]
    fn any_other_text_is_refused_with_its_reason() {
        let world = World::new();
        let token = world.token();
        let id = world.key.id;
        let other = NewSecret::random(&SystemRandom::new()).expose_token(id);
        let refused = |token: &str| world.present(token).expect_err("it is no key");
        assert_eq!(refused(&other), Refusal::WrongSecret(id));
        let stranger = KeyId::new([9; 8]);
        let unknown = world.secret.expose_token(stranger);
        assert_eq!(refused(&unknown), Refusal::Unknown(stranger));
        for malformed in [
            "",
            "ndb_",
            "ndb_.",
            &token[..token.len() - 1],
            &format!("{token}="),
            &format!("{token}A"),
            &token.replace("ndb_", "NDB_"),
            &token.replace('.', ":"),
            &format!(" {token}"),
        ] {
            assert_eq!(refused(malformed), Refusal::Malformed, "{malformed}");
        }
    }

    #[test]
    fn each_character_of_a_key_matters() {
        let world = World::new();
        let token = world.token();
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("it is ASCII");
            assert!(world.present(&changed).is_err(), "character {at}");
        }
    }

    #[test]
    fn expiry_address_and_the_owners_standing_are_looked_at_each_time() {
        let mut world = World::new();
        let (token, id) = (world.token(), world.key.id);
        world.edit(|key| key.expires_at = Some(100));
        assert_eq!(world.present(&token).err(), Some(Refusal::Expired(id)));
        world.edit(|key| key.expires_at = Some(101));
        assert!(world.present(&token).is_ok());
        world.edit(|key| key.networks = Some(Box::new(["10.0.0.0/8".parse().unwrap()])));
        assert_eq!(world.present(&token).err(), Some(Refusal::Address(id)));
        world.edit(|key| key.networks = None);
        world.owner(|owner| owner.enabled = false);
        assert_eq!(world.present(&token).err(), Some(Refusal::Owner(id)));
        world.owner(|owner| owner.valid_until = Some(100));
        assert_eq!(world.present(&token).err(), Some(Refusal::Owner(id)));
        world.principals.apply(&Change::DropPrincipal(OWNER));
        assert_eq!(world.present(&token).err(), Some(Refusal::Owner(id)));
        world.principals.apply(&Change::DropKey(id));
        assert_eq!(world.present(&token).err(), Some(Refusal::Unknown(id)));
    }

    #[test]
    fn both_secrets_are_good_while_a_rotations_grace_lasts() {
        let mut world = World::new();
        let (old, id) = (world.token(), world.key.id);
        let next = NewSecret::random(&SystemRandom::new());
        let previous = PreviousSecret {
            secret: world.key.secret,
            until: 101,
        };
        world.edit(|key| {
            key.secret = next.hash;
            key.generation = 1;
            key.previous = Some(Box::new(previous));
        });
        let new = next.expose_token(id);
        let generation = |token: &str| world.present(token).unwrap().key().unwrap().generation;
        assert_eq!((generation(&old), generation(&new)), (0, 1));
        world.edit(|key| key.previous.as_mut().unwrap().until = 100);
        assert_eq!(world.present(&old).err(), Some(Refusal::Expired(id)));
        assert!(world.present(&new).is_ok());
        world.edit(|key| key.previous = None);
        assert_eq!(world.present(&old).err(), Some(Refusal::WrongSecret(id)));
    }
}
