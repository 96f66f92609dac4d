//! Sessions and statements at once, of each tenant, login and API key: CONNECTION LIMIT, STATEMENT LIMIT.
//!
//! Sessions are counted always, so that a limit that is set later finds them counted; statements only where
//! a limit binds them. The counts are shared by the cores: a limit of five is five, whichever cores the
//! sessions are on. Each has a lock of its shard, held for the look-up; no statement of a login without
//! limits takes one.
//!
//! As in PostgreSQL, superusers are bound by no limit: they are who lifts one.

use crate::auth::identity::Identity;
use crate::catalog::allowance::Allowance;
use crate::catalog::{KeyId, PrincipalId, Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// The counts are spread over as many locks.
const SHARDS: usize = 64;

/// Whoever has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// All logins of a tenant together.
    Tenant(TenantId),
    /// A user or service account, with its keys and tokens.
    Login(PrincipalId),
    /// An API key.
    Key(KeyId),
}

/// What there is a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// CONNECTION LIMIT
    Connections,
    /// STATEMENT LIMIT
    Statements,
}

/// One holder's share in a session or a statement: what it is limited to, if to anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    holder: Holder,
    limit: Option<u32>,
}

/// The shares of one session.
pub type Shares = SmallVec<[Share; 3]>;

/// A limit has been reached: whose, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    holder: Holder,
    kind: Kind,
    limit: u32,
}

/// All counts. Cloning shares.
#[derive(Clone)]
pub struct InUse(Arc<Shared>);

struct Shared {
    hash: RandomState,
    shards: [Mutex<HashMap<(Holder, Kind), u32>>; SHARDS],
}

/// Counted until it is dropped.
pub struct Held {
    in_use: InUse,
    kind: Kind,
    holders: SmallVec<[Holder; 3]>,
}

impl Default for InUse {
    fn default() -> InUse {
        InUse(Arc::new(Shared {
            hash: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }))
    }
}

impl InUse {
    /// Counts one more for each of the shares.
    ///
    /// # Errors
    /// One of them is at its limit; then none is counted.
    pub fn take(&self, kind: Kind, shares: &[Share]) -> Result<Held, LimitReached> {
        let mut held = Held {
            in_use: self.clone(),
            kind,
            holders: SmallVec::new(),
        };
        for share in shares {
            let holder = share.holder;
            let mut shard = self.shard(holder, kind);
            let count = shard.entry((holder, kind)).or_insert(0);
            match share.limit {
                Some(limit) if *count >= limit => {
                    if *count == 0 {
                        shard.remove(&(holder, kind));
                    }
                    // Dropped, it gives back what has been counted.
                    drop(shard);
                    return Err(LimitReached {
                        holder,
                        kind,
                        limit,
                    });
                }
                _ => *count += 1,
            }
            drop(shard);
            held.holders.push(holder);
        }
        Ok(held)
    }

    /// How many there are now.
    pub fn count(&self, holder: Holder, kind: Kind) -> u32 {
        let shard = self.shard(holder, kind);
        shard.get(&(holder, kind)).copied().unwrap_or(0)
    }

    fn shard(
        &self,
        holder: Holder,
        kind: Kind,
    ) -> parking_lot::MutexGuard<'_, HashMap<(Holder, Kind), u32>> {
        let index = self.0.hash.hash_one((holder, kind)) % SHARDS as u64;
        self.0.shards[usize::try_from(index).expect("it is below SHARDS")].lock()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for holder in &self.holders {
            let mut shard = self.in_use.shard(*holder, self.kind);
            let count = shard.get_mut(&(*holder, self.kind));
            let count = count.expect("what is held is counted");
            *count -= 1;
            if *count == 0 {
                shard.remove(&(*holder, self.kind));
            }
        }
    }
}

/// Whether somebody's limits bind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// They do.
    ByLimits,
    /// A superuser.
    ByNone,
}

/// All shares of a session of this identity.
pub fn of_session(snapshot: &Snapshot, identity: &Identity, bound: Bound) -> Shares {
    shares(snapshot, identity, bound, |allowance| allowance.connections).collect()
}

/// The shares of a statement of it that are limited: most have none, and then nothing is kept.
pub fn of_statement(snapshot: &Snapshot, identity: &Identity, bound: Bound) -> Box<[Share]> {
    shares(snapshot, identity, bound, |allowance| allowance.statements)
        .filter(|share| share.limit.is_some())
        .collect()
}

fn shares(
    snapshot: &Snapshot,
    identity: &Identity,
    bound: Bound,
    limit: impl Fn(Allowance) -> Option<u32>,
) -> impl Iterator<Item = Share> {
    let principals = &snapshot.principals;
    let tenant = principals.tenant(identity.tenant).map(|it| it.allowance);
    let login = principals.principal(identity.principal);
    let login = login.map(|it| it.allowance);
    let key = identity.key.map(|used| used.id);
    let of_key = key.and_then(|id| principals.key(id)).map(|it| it.allowance);
    let all = [
        Some((Holder::Tenant(identity.tenant), tenant)),
        Some((Holder::Login(identity.principal), login)),
        key.map(|id| (Holder::Key(id), of_key)),
    ];
    all.into_iter()
        .flatten()
        .map(move |(holder, allowance)| Share {
            holder,
            limit: match bound {
                Bound::ByLimits => allowance.and_then(&limit),
                Bound::ByNone => None,
            },
        })
}

impl LimitReached {
    /// 53300 that names the limit and whose it is.
    pub fn diagnostic(&self, snapshot: &Snapshot) -> Diagnostic {
        let principals = &snapshot.principals;
        let gone = || "?".to_owned();
        let whose = match self.holder {
            Holder::Tenant(id) => {
                let name = principals.tenant(id).map(|it| it.name.to_string());
                format!("tenant \"{}\"", name.unwrap_or_else(gone))
            }
            Holder::Login(id) => {
                let name = principals.principal(id).map(|it| it.name.to_string());
                format!("role \"{}\"", name.unwrap_or_else(gone))
            }
            Holder::Key(id) => {
                let name = principals.key(id).map(|it| it.name.to_string());
                format!("API key \"{}\"", name.unwrap_or_else(gone))
            }
        };
        let (what, limit) = match self.kind {
            Kind::Connections => ("connections", "CONNECTION LIMIT"),
            Kind::Statements => ("statements at once", "STATEMENT LIMIT"),
        };
        Diagnostic::error(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("too many {what} for {whose} ({limit} {})", self.limit),
        )
        .with_hint("Try again when others have ended.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: Holder = Holder::Tenant(TenantId(42));
    const ALICE: Holder = Holder::Login(PrincipalId(7));
    const BOB: Holder = Holder::Login(PrincipalId(8));

    fn share(holder: Holder, limit: Option<u32>) -> Share {
        Share { holder, limit }
    }

    #[test]
    fn a_limit_counts_what_is_held_and_no_more() {
        let in_use = InUse::default();
        let shares = [share(TENANT, None), share(ALICE, Some(2))];
        let take = || in_use.take(Kind::Connections, &shares);
        let first = take().expect("the first");
        let _second = take().expect("the second");
        let reached = LimitReached {
            holder: ALICE,
            kind: Kind::Connections,
            limit: 2,
        };
        assert_eq!(take().err(), Some(reached));
        drop(first);
        let _third = take().expect("there is room again");
        let other_kind = in_use.take(Kind::Statements, &shares);
        assert!(other_kind.is_ok(), "statements are another matter");
    }

    #[test]
    fn whoever_is_refused_leaves_nothing_counted() {
        let in_use = InUse::default();
        let full = [share(TENANT, Some(9)), share(BOB, Some(0))];
        assert!(in_use.take(Kind::Connections, &full).is_err());
        assert_eq!(in_use.count(TENANT, Kind::Connections), 0);
        for shard in &in_use.0.shards {
            assert!(shard.lock().is_empty(), "nor any room taken");
        }
    }

    #[test]
    fn cores_that_take_at_once_never_exceed_a_limit() {
        let in_use = InUse::default();
        let most = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let shares = [share(TENANT, None), share(ALICE, Some(3))];
                        if let Ok(_held) = in_use.take(Kind::Connections, &shares) {
                            let now = in_use.count(ALICE, Kind::Connections);
                            most.fetch_max(now, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!((1..=3).contains(&most), "{most}");
        assert_eq!(in_use.count(ALICE, Kind::Connections), 0);
        assert_eq!(in_use.count(TENANT, Kind::Connections), 0);
    }
}
