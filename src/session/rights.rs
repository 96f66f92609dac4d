//! The rights in force, worked out once an epoch for all sessions of one login.

use super::services::CoreServices;
use crate::access::{self, Rights};
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
    rights: HashMap<(PrincipalId, Option<KeyUsed>, DatabaseId), Arc<Rights>>,
}

impl CoreServices {
    /// What the identity may under this catalog.
    pub fn rights(&self, adopted: &Adopted<Snapshot>, identity: &Identity) -> Arc<Rights> {
        let mut inner = self.rights_cache.inner.borrow_mut();
        if inner.epoch != adopted.epoch() {
            inner.epoch = adopted.epoch();
            inner.rights.clear();
        }
        let login = (identity.principal, identity.key, identity.database);
        if let Some(known) = inner.rights.get(&login) {
            return known.clone();
        }
        if inner.rights.len() >= LOGINS_MAX {
            inner.rights.clear();
        }
        let rights = Arc::new(access::rights(adopted.snapshot(), identity));
        inner.rights.insert(login, rights.clone());
        rights
    }
}
