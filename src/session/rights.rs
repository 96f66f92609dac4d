//! The rights in force, worked out once an epoch for all sessions of one login.

use super::services::CoreServices;
use crate::access::{self, Rights};
use crate::auth::claims::Claims;
use crate::auth::identity::{Identity, KeyUsed};
use crate::catalog::{DatabaseId, PrincipalId, Snapshot};
use shards::Adopted;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Logins whose rights a core remembers; past it all are forgotten, which costs working them out
/// once more. Of a million keys in use a core does not remember each.
const LOGINS_MAX: usize = 4_096;

/// The rights of one epoch.
#[derive(Default)]
pub struct Cache {
    inner: RefCell<OfEpoch>,
}

#[derive(Default)]
struct OfEpoch {
    epoch: u64,
    rights: HashMap<Login, Known>,
}

/// Whoever has the same has the same rights at one epoch. Of claims it is their place: what a token
/// gives is in them, and the same token has the same ones (`session::login`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Login {
    principal: PrincipalId,
    key: Option<KeyUsed>,
    claims: Option<*const Claims>,
    database: DatabaseId,
}

impl Login {
    /// That of an identity. Good as long as the identity lives: another's claims may be where its were.
    pub(super) fn of(identity: &Identity) -> Login {
        Login {
            principal: identity.principal,
            key: identity.key,
            claims: identity.claims.as_ref().map(Arc::as_ptr),
            database: identity.database,
        }
    }
}

struct Known {
    rights: Arc<Rights>,
    /// Keeps the claims of the [`Login`] where they are.
    _claims: Option<Arc<Claims>>,
}

impl CoreServices {
    /// What the identity may under this catalog.
    pub fn rights(&self, adopted: &Adopted<Snapshot>, identity: &Identity) -> Arc<Rights> {
        let mut inner = self.rights_cache.inner.borrow_mut();
        if inner.epoch != adopted.epoch() {
            inner.epoch = adopted.epoch();
            inner.rights.clear();
        }
        let login = Login::of(identity);
        if let Some(known) = inner.rights.get(&login) {
            return known.rights.clone();
        }
        if inner.rights.len() >= LOGINS_MAX {
            inner.rights.clear();
        }
        let rights = Arc::new(access::rights(adopted.snapshot(), identity));
        let known = Known {
            rights: rights.clone(),
            _claims: identity.claims.clone(),
        };
        inner.rights.insert(login, known);
        rights
    }
}
