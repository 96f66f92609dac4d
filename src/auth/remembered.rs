//! Passwords that have been proved a moment ago (REFERENCE §4).
//!
//! A program that asks over HTTP presents its password with each request, and hashing it anew takes
//! milliseconds. So a core remembers for a minute that a password was right: not the password, but
//! a keyed hash of name, password and the verifier it fitted, under a key of this core and run. A
//! changed password has another verifier, and so another hash; whether the login may still log in
//! is asked anew each time. What is remembered of a principal goes with the epoch that changes it.

use super::authenticated::Authenticated;
use super::identity::Method;
use super::scram::Credential;
use super::secret::Password;
use crate::catalog::principal::Principal;
use crate::catalog::snapshot::Principals;
use ring::hmac;
use ring::rand::SecureRandom;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a proof is remembered.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Proofs that a core remembers at once; each is looked at when an epoch arrives.
pub const PROOFS_MAX: usize = 2_048;

/// What one core remembers.
pub struct Remembered {
    key: hmac::Key,
    proofs: HashMap<Trace, Proof>,
}

/// What is left of a password that was presented.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace([u8; 32]);

struct Proof {
    principal: Arc<Principal>,
    at: Instant,
}

impl Remembered {
    /// Nothing yet, under a key of its own.
    ///
    /// # Panics
    /// If the kernel gives no random bytes.
    pub fn new(random: &dyn SecureRandom) -> Remembered {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, random);
        Remembered {
            key: key.expect("the kernel's random generator answers"),
            proofs: HashMap::new(),
        }
    }

    /// The trace of a password that is presented for a login. As long for a name that nobody has.
    pub fn trace(&self, name: &str, password: &Password, credential: &Credential) -> Trace {
        let verifier = credential.verifier();
        let mut context = hmac::Context::with_key(&self.key);
        // Each with its length, so that no two divide the same bytes differently.
        for part in [
            name.as_bytes(),
            password.expose().as_bytes(),
            &verifier.salt,
            &verifier.stored_key,
            &credential.second().stored_key,
        ] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.update(&verifier.iterations.to_be_bytes());
        let hash = context.sign();
        Trace(
            hash.as_ref()
                .try_into()
                .expect("HMAC-SHA-256 gives 32 bytes"),
        )
    }

    /// The proof, where this very password was proved for this login within [`REMEMBERED_FOR`],
    /// and the login may still log in.
    pub fn find(
        &self,
        trace: &Trace,
        credential: &Credential,
        now: Instant,
    ) -> Option<Authenticated> {
        let proof = self.proofs.get(trace)?;
        let principal = credential.standing().ok()?;
        let is_fresh = now.duration_since(proof.at) < REMEMBERED_FOR;
        (is_fresh && proof.principal.id == principal)
            .then(|| Authenticated::new(principal, Method::Password, None))
    }

    /// Keeps a proof; where too many are fresh it is not kept.
    pub fn keep(&mut self, trace: Trace, principal: Arc<Principal>, now: Instant) {
        if self.proofs.len() >= PROOFS_MAX {
            self.proofs
                .retain(|_, proof| now.duration_since(proof.at) < REMEMBERED_FOR);
        }
        if self.proofs.len() < PROOFS_MAX {
            self.proofs.insert(trace, Proof { principal, at: now });
        }
    }

    /// A newer catalog is in force: what was proved of principals that it has changed is forgotten.
    pub fn adopt(&mut self, principals: &Principals) {
        self.proofs.retain(|_, proof| {
            let now = principals.principal(proof.principal.id);
            now.is_some_and(|now| Arc::ptr_eq(now, &proof.principal))
        });
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.proofs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.proofs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::{Refusal, mock::Mock, verifier};
    use crate::auth::secret::MockKey;
    use crate::catalog::principal::PrincipalKind;
    use crate::catalog::{Change, PrincipalId, TenantId};
    use ring::rand::SystemRandom;
    use std::num::NonZeroU32;

    const NOW: i64 = 1_000_000;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    fn alice(secret: &str) -> Principal {
        let iterations = NonZeroU32::new(4_096).unwrap();
        Principal {
            id: PrincipalId(30_000),
            name: Arc::from("alice"),
            tenant: TenantId(0),
            ladder: Vec::new(),
            roles: Vec::new(),
            enabled: true,
            valid_until: None,
            created_at: 0,
            allowance: Default::default(),
            kind: PrincipalKind::User {
                passwords: Some(verifier::derive(&password(secret), &[7; 16], iterations)).into(),
                default_database: None,
                connect: Vec::new(),
            },
        }
    }

    struct World {
        principals: Principals,
        mock: Mock,
        remembered: Remembered,
        start: Instant,
    }

    impl World {
        /// Alice has proved that her password is `right`.
        fn new() -> World {
            let mut world = World {
                principals: Principals::default(),
                mock: Mock::new(MockKey::new([1; 32]), 4_096),
                remembered: Remembered::new(&SystemRandom::new()),
                start: Instant::now(),
            };
            world.put(alice("right"));
            let principal = world.principals.principal_named("alice").unwrap().clone();
            let trace = world.trace("alice", "right");
            world.remembered.keep(trace, principal, world.start);
            world
        }

        /// In the place of whoever had the name: it is never two logins'.
        fn put(&mut self, principal: Principal) {
            if let Some(before) = self.principals.principal_named(&principal.name) {
                let id = before.id;
                self.principals.apply(&Change::DropPrincipal(id));
            }
            self.principals
                .apply(&Change::PutPrincipal(Arc::new(principal)));
        }

        fn credential(&self, name: &str) -> Credential {
            Credential::look_up(&self.principals, name, NOW, &self.mock)
        }

        fn trace(&self, name: &str, secret: &str) -> Trace {
            let credential = self.credential(name);
            self.remembered.trace(name, &password(secret), &credential)
        }

        fn finds(&self, name: &str, secret: &str, after: Duration) -> bool {
            let trace = self.trace(name, secret);
            let credential = self.credential(name);
            let found = self
                .remembered
                .find(&trace, &credential, self.start + after);
            found.is_some()
        }
    }

    #[test]
    fn the_password_that_was_proved_is_found_for_a_minute_and_no_other() {
        let world = World::new();
        let at_once = Duration::ZERO;
        assert!(world.finds("alice", "right", at_once));
        assert!(!world.finds("alice", "wrong", at_once));
        assert!(!world.finds("bob", "right", at_once));
        assert!(!world.finds("alic", "eright", at_once));
        assert!(world.finds("alice", "right", REMEMBERED_FOR - Duration::from_millis(1)));
        assert!(!world.finds("alice", "right", REMEMBERED_FOR));
        let trace = world.trace("alice", "right");
        let credential = world.credential("alice");
        let proof = world.remembered.find(&trace, &credential, world.start);
        let proof = proof.expect("remembered");
        assert_eq!(proof.principal(), PrincipalId(30_000));
        assert_eq!(proof.method(), Method::Password);
    }

    #[test]
    fn a_login_that_is_no_longer_what_it_was_is_not_found() {
        let disabled = Principal {
            enabled: false,
            ..alice("right")
        };
        let expired = Principal {
            valid_until: Some(NOW),
            ..alice("right")
        };
        let another = Principal {
            id: PrincipalId(30_001),
            ..alice("right")
        };
        for changed in [alice("other"), disabled, expired, another] {
            let mut world = World::new();
            world.put(changed.clone());
            assert!(
                !world.finds("alice", "right", Duration::ZERO),
                "{changed:?}"
            );
        }
    }

    #[test]
    fn an_epoch_drops_what_it_has_changed_and_nothing_else() {
        let mut world = World::new();
        let bob = Principal {
            id: PrincipalId(30_001),
            name: Arc::from("bob"),
            ..alice("secret")
        };
        world.put(bob);
        world.remembered.adopt(&world.principals);
        assert_eq!(world.remembered.len(), 1, "alice is as she was");
        world.put(alice("right"));
        world.remembered.adopt(&world.principals);
        assert!(world.remembered.is_empty(), "even where nothing differs");
    }

    #[test]
    fn past_the_limit_only_what_is_stale_makes_room() {
        let mut world = World::new();
        let principal = world.principals.principal_named("alice").unwrap().clone();
        for number in 1..PROOFS_MAX + 5 {
            let trace = world.trace("alice", &number.to_string());
            world.remembered.keep(trace, principal.clone(), world.start);
        }
        assert_eq!(world.remembered.len(), PROOFS_MAX);
        let later = world.start + REMEMBERED_FOR;
        let trace = world.trace("alice", "right");
        world.remembered.keep(trace, principal, later);
        assert_eq!(world.remembered.len(), 1);
    }

    #[test]
    fn a_mock_is_never_found() {
        let mut world = World::new();
        let principal = world.principals.principal_named("alice").unwrap().clone();
        let mock = Credential::mock(&world.mock, "alice", Refusal::Disabled);
        let trace = world.remembered.trace("alice", &password("right"), &mock);
        world.remembered.keep(trace, principal, world.start);
        assert!(world.remembered.find(&trace, &mock, world.start).is_none());
    }
}
