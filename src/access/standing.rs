//! Who somebody is under one catalog: the records behind what a session came in by, and what they give.
//!
//! A token leads to a user record of its provider's tenant, or to none; what the provider's mapping
//! adds is worked out here, at each epoch anew, and never amounts to superuser (REFERENCE §3).

use super::rights::Held;
use super::validity::EndReason;
use crate::auth::claim_mapping;
use crate::auth::identity::Grounds;
use crate::catalog::key::ApiKey;
use crate::catalog::principal::{Database, Parent, Principal, PrincipalKind};
use crate::catalog::provider::{MappingRule, Provider};
use crate::catalog::role::Ladder;
use crate::catalog::{DatabaseId, PrincipalId, Snapshot, TenantId};
use std::collections::BTreeSet;

/// The records, and the rules of a mapping that apply.
pub struct Standing<'a> {
    snapshot: &'a Snapshot,
    record: Option<&'a Principal>,
    key: Option<&'a ApiKey>,
    token: Option<Token<'a>>,
}

struct Token<'a> {
    provider: &'a Provider,
    rules: Vec<&'a MappingRule>,
}

impl<'a> Standing<'a> {
    /// Of whoever came in by this. Costs the look-ups and, for a token, its provider's rules.
    ///
    /// # Errors
    /// What of it is gone.
    pub fn of(snapshot: &'a Snapshot, grounds: Grounds<'_>) -> Result<Standing<'a>, EndReason> {
        let principals = &snapshot.principals;
        let token = match grounds.token {
            None => None,
            Some(token) => {
                let provider = principals.provider(token.provider);
                let provider = provider.ok_or(EndReason::ProviderDropped)?;
                let rules = claim_mapping::matching(provider, token.claims).collect();
                Some(Token { provider, rules })
            }
        };
        let by_provider = token
            .as_ref()
            .is_some_and(|it| it.provider.id == grounds.principal);
        let record = match by_provider {
            true => None,
            false => {
                let record = principals.principal(grounds.principal);
                Some(&**record.ok_or(EndReason::Dropped)?)
            }
        };
        let key = match grounds.key {
            None => None,
            Some(used) => {
                let key = principals.key(used.id);
                Some(&**key.ok_or(EndReason::KeyDropped)?)
            }
        };
        Ok(Standing {
            snapshot,
            record,
            key,
            token,
        })
    }

    /// Of a user or service account, by one of its keys if it is one.
    pub fn of_record(
        snapshot: &'a Snapshot,
        record: &'a Principal,
        key: Option<&'a ApiKey>,
    ) -> Standing<'a> {
        Standing {
            snapshot,
            record: Some(record),
            key,
            token: None,
        }
    }

    /// The user or service account; None for who goes by a provider.
    pub fn record(&self) -> Option<&'a Principal> {
        self.record
    }

    /// The key.
    pub fn key(&self) -> Option<&'a ApiKey> {
        self.key
    }

    /// The provider of the token.
    pub fn provider(&self) -> Option<&'a Provider> {
        self.token.as_ref().map(|token| token.provider)
    }

    /// The rules of its mapping that apply, in order.
    pub fn rules(&self) -> &[&'a MappingRule] {
        self.token.as_ref().map_or(&[], |token| &token.rules)
    }

    /// The home tenant.
    pub fn home(&self) -> TenantId {
        match (self.record, &self.token) {
            (Some(record), _) => record.tenant,
            (None, Some(token)) => token.provider.tenant,
            (None, None) => unreachable!("a standing is somebody's"),
        }
    }

    /// What is held: the record's, else the provider's default role; and what rules add.
    pub(crate) fn held(&self) -> Held {
        let mut held = match (self.record, &self.token) {
            (Some(record), _) => Held::of(self.snapshot, record),
            (None, Some(token)) => self.by_default(token.provider),
            (None, None) => unreachable!("a standing is somebody's"),
        };
        if self.token.is_some() {
            let added = self.rules().iter().flat_map(|rule| &rule.add_roles);
            added.for_each(|role| held.add(self.snapshot, self.home(), role));
            // Also of the record of a superuser: who controls a provider does not control the server.
            held.rung = held.rung.min(Some(Ladder::TenantAdmin));
        }
        held
    }

    fn by_default(&self, provider: &Provider) -> Held {
        let mut held = Held {
            rung: None,
            roles: BTreeSet::from([provider.id]),
        };
        held.add(self.snapshot, provider.tenant, &provider.default_role);
        held
    }

    /// What the key's role allows; None without one, and for a key that carries all of its owner's.
    pub(crate) fn of_key(&self) -> Option<Held> {
        Held::of_key(self.snapshot, self.key?)
    }

    /// The rung in force: narrowed by the key.
    pub fn rung(&self) -> Option<Ladder> {
        let own = self.held().rung;
        match self.of_key() {
            None => own,
            Some(key) => own.min(key.rung),
        }
    }

    /// The roles held, the highest rung first, as SHOW prints them.
    pub fn role_names(&self) -> Vec<String> {
        let (mut ladder, mut roles) = match self.record {
            Some(record) => (record.ladder.clone(), record.roles.clone()),
            None => (Vec::new(), Vec::new()),
        };
        let by_default = self.provider().filter(|_| self.record.is_none());
        let by_default = by_default.map(|provider| &provider.default_role);
        let added = self.rules().iter().flat_map(|rule| &rule.add_roles);
        for role in by_default.into_iter().chain(added) {
            match role {
                Parent::Ladder(rung) if !ladder.contains(rung) => ladder.push(*rung),
                Parent::Role(role) if !roles.contains(role) => roles.push(role.clone()),
                Parent::Ladder(_) | Parent::Role(_) => {}
            }
        }
        if self.token.is_some() {
            ladder.retain(|rung| *rung != Ladder::Superuser);
        }
        ladder.sort_unstable_by(|a, b| b.cmp(a));
        let ladder = ladder.iter().map(|rung| rung.to_string());
        let roles = roles.iter().map(|role| role.to_string());
        ladder.chain(roles).collect()
    }

    /// Whether a session may be in the database: in reach, and on the key's list (REFERENCE §7).
    pub fn reaches(&self, database: &Database) -> bool {
        if self.key.is_some_and(|key| !key.lists(database.id)) {
            return false;
        }
        if database.tenant != self.home() {
            return self.rung() == Some(Ladder::Superuser);
        }
        let rung = self.held().rung;
        if rung == Some(Ladder::Superuser) || self.is_added(database.id) {
            return true;
        }
        let (owned, granted) = match self.record.map(|record| (record.id, &record.kind)) {
            Some((_, PrincipalKind::ServiceAccount { databases })) => {
                return databases.contains(&database.id);
            }
            Some((id, PrincipalKind::User { connect, .. })) => {
                (database.owner == id, connect.contains(&database.id))
            }
            None => (false, false),
        };
        let tenant = self.snapshot.principals.tenant(self.home());
        let is_default = tenant.is_some_and(|tenant| tenant.default_database == database.id);
        is_default || owned || granted || rung >= Some(Ladder::Admin)
    }

    /// A rule's default database is in reach as well: nobody means a default that is refused.
    fn is_added(&self, database: DatabaseId) -> bool {
        self.rules().iter().any(|rule| {
            rule.add_databases.contains(&database) || rule.default_database == Some(database)
        })
    }

    /// Where a session that names no database goes: the first of a key's list at home, the mapping's
    /// default, SET DEFAULT DATABASE, a service account's first one, else the tenant's.
    pub fn default_database(&self, tenant: TenantId) -> Option<&'a Database> {
        let listed = self.key.and_then(|key| key.databases.as_ref());
        let mapped = self.rules().iter().find_map(|rule| rule.default_database);
        let own = match (listed, self.record.map(|record| &record.kind)) {
            (Some(list), _) => list.first().copied(),
            (
                None,
                Some(PrincipalKind::User {
                    default_database, ..
                }),
            ) => mapped.or(*default_database),
            (None, Some(PrincipalKind::ServiceAccount { databases })) => databases.first().copied(),
            (None, None) => mapped,
        };
        let principals = &self.snapshot.principals;
        own.filter(|_| tenant == self.home())
            .or_else(|| Some(principals.tenant(tenant)?.default_database))
            .and_then(|id| principals.database(id))
            .map(|database| &**database)
    }

    /// By what id it goes: the record's, else the provider's.
    pub fn id(&self) -> PrincipalId {
        match (self.record, &self.token) {
            (Some(record), _) => record.id,
            (None, Some(token)) => token.provider.id,
            (None, None) => unreachable!("a standing is somebody's"),
        }
    }
}
