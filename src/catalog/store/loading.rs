//! The objects of a snapshot file on their way into the maps of a catalog.
//!
//! A start waits for this, and a catalog may have millions of objects. So one thread reads the file
//! while another fills the maps, and what has to be in the order of names is sorted once.

use super::super::change::Marks;
use super::super::ids::{KeyId, PrincipalId};
use super::super::key::ApiKey;
use super::super::principal::{Database, Principal, Role, Tenant};
use super::super::provider::Provider;
use super::super::snapshot::Principals;
use crate::catalog::Change;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Objects that are handed over at once.
const PART_OBJECTS: usize = 1_024;

/// Parts that may wait to be taken.
const PARTS_MAX: usize = 16;

/// Some of the objects, of one kind.
pub enum Part {
    /// The next ids to give.
    Marks(Marks),
    /// Tenants.
    Tenants(Vec<Arc<Tenant>>),
    /// Users and service accounts.
    Principals(Vec<Arc<Principal>>),
    /// Custom roles.
    Roles(Vec<Arc<Role>>),
    /// Databases.
    Databases(Vec<Arc<Database>>),
    /// API keys.
    Keys(Vec<Arc<ApiKey>>),
    /// Identity providers.
    Providers(Vec<Arc<Provider>>),
}

/// Where the reader puts what it has read.
pub struct Parts(SyncSender<Part>);

impl Parts {
    /// Hands over.
    pub fn put(&self, part: Part) {
        self.0.send(part).expect("the maps are filled to the end");
    }

    /// Hands over what an iterator gives, as parts; None as soon as it gives None.
    pub fn put_all<T>(
        &self,
        objects: impl Iterator<Item = Option<T>>,
        part: impl Fn(Vec<T>) -> Part,
    ) -> Option<()> {
        let mut some = Vec::new();
        for object in objects {
            some.push(object?);
            if some.len() == PART_OBJECTS {
                self.put(part(std::mem::take(&mut some)));
            }
        }
        self.put(part(some));
        Some(())
    }
}

/// The state of which `read` gives the parts; None if it gives up. Each object comes once.
///
/// Blocks: for seconds where there are millions of objects.
pub fn load(read: impl FnOnce(&Parts) -> Option<()>) -> Option<Principals> {
    let (sender, receiver) = sync_channel(PARTS_MAX);
    std::thread::scope(|scope| {
        let filling = scope.spawn(move || fill(receiver));
        let parts = Parts(sender);
        let whole = read(&parts);
        drop(parts);
        let principals = filling.join().expect("it fills maps");
        whole.map(|()| principals)
    })
}

fn fill(parts: Receiver<Part>) -> Principals {
    let mut principals = Principals::default();
    let mut marks = None;
    let mut names: Vec<(u64, PrincipalId)> = Vec::new();
    let mut key_names: Vec<(u64, KeyId)> = Vec::new();
    let mut keys_of: Vec<(PrincipalId, KeyId)> = Vec::new();
    for part in parts {
        match part {
            Part::Marks(found) => marks = Some(found),
            Part::Principals(some) => {
                for principal in some {
                    let hash = principals.principal_names.hash(&*principal.name);
                    names.push((hash, principal.id));
                    principals.principals.insert(principal.id, principal);
                }
            }
            Part::Keys(some) => {
                for key in some {
                    let hash = principals.key_names.hash((key.tenant, &*key.name));
                    key_names.push((hash, key.id));
                    keys_of.push((key.owner, key.id));
                    principals.keys.insert(key.id, key);
                }
            }
            Part::Tenants(some) => apply_all(&mut principals, some, Change::PutTenant),
            Part::Roles(some) => apply_all(&mut principals, some, Change::PutRole),
            Part::Databases(some) => apply_all(&mut principals, some, Change::PutDatabase),
            Part::Providers(some) => apply_all(&mut principals, some, Change::PutProvider),
        }
    }
    principals.principal_names.fill(names);
    principals.key_names.fill(key_names);
    keys_of.sort_unstable();
    principals.keys_of.extend(keys_of);
    if let Some(marks) = marks {
        // They remember ids whose holders are gone.
        principals.raise_marks(marks);
    }
    principals
}

/// There are few of these.
fn apply_all<T>(principals: &mut Principals, some: Vec<Arc<T>>, put: fn(Arc<T>) -> Change) {
    some.into_iter().for_each(|it| principals.apply(&put(it)));
}
