//! What somebody may do, worked out once an epoch: the rung in force, the roles, the reach.
//!
//! A rung binds its holder everywhere in the tenant; table grants extend a lower rung table by
//! table. Ownership alone gives nothing beyond the rung: whoever is set back to readonly reads
//! only, also what they once made. An API key with a role narrows its owner: what is in force is
//! what both may, privilege by privilege (REFERENCE §3). Wording of the refusals: PostgreSQL 15, aclcheck_error.

use super::permit::{self, DefinePermit, Permit};
use super::standing::Standing;
use crate::auth::identity::Identity;
use crate::catalog::definition::{Privileges, Relation, RelationBody};
use crate::catalog::key::ApiKey;
use crate::catalog::principal::{Parent, Principal, Role};
use crate::catalog::role::Ladder;
use crate::catalog::schema::{Schema, SchemaPrivileges, is_temporary};
use crate::catalog::{DatabaseId, PrincipalId, Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one identity may do at one epoch. Recomputed when the epoch moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    principal: PrincipalId,
    held: Held,
    /// What its API key's role allows; None without one, and for a key that carries all of its
    /// owner's.
    key: Option<Held>,
    tenant: TenantId,
    database: DatabaseId,
}

/// The rights of an identity in the database of its session.
///
/// An identity whose user, key or provider is gone has none: its session is about to end
/// (`still_valid`).
pub fn rights(snapshot: &Snapshot, identity: &Identity) -> Rights {
    match Standing::of(snapshot, identity.grounds()) {
        Ok(standing) => Rights::of_standing(snapshot, &standing, identity.database),
        Err(_) => Rights {
            principal: identity.principal,
            held: Held::nothing(),
            key: None,
            tenant: identity.tenant,
            database: identity.database,
        },
    }
}

impl Rights {
    /// The rights of a user or service account in a database, as a view's owner needs them too.
    ///
    /// In a database of another tenant only a superuser has any.
    pub fn of(snapshot: &Snapshot, principal: &Principal, database: DatabaseId) -> Rights {
        let standing = Standing::of_record(snapshot, principal, None);
        Rights::of_standing(snapshot, &standing, database)
    }

    fn of_standing(snapshot: &Snapshot, standing: &Standing<'_>, database: DatabaseId) -> Rights {
        let home = standing.home();
        let tenant = snapshot
            .principals
            .database(database)
            .map_or(home, |database| database.tenant);
        let mut rights = Rights {
            principal: standing.id(),
            held: standing.held(),
            key: standing.of_key(),
            tenant,
            database,
        };
        if tenant != home && !rights.is_superuser() {
            rights.held = Held::nothing();
        }
        rights
    }

    /// Whose these are: an identity provider's id for who has no user record.
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// The highest rung in force; None for somebody who has table grants only.
    pub fn rung(&self) -> Option<Ladder> {
        match &self.key {
            None => self.held.rung,
            Some(key) => self.held.rung.min(key.rung),
        }
    }

    /// The tenant in force: that of the session's database.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The session's database.
    pub fn database(&self) -> DatabaseId {
        self.database
    }

    /// Everything, across tenants; no row policy binds it.
    pub fn is_superuser(&self) -> bool {
        self.rung() == Some(Ladder::Superuser)
    }

    /// Whether the rung in force is this one or above.
    pub fn reaches(&self, rung: Ladder) -> bool {
        self.rung() >= Some(rung)
    }

    /// Whether it has this role: itself and its custom roles, inherited ones too; with a key that
    /// has a role, those that the key has as well.
    pub fn has_role(&self, role: PrincipalId) -> bool {
        let in_key = |key: &Held| key.roles.contains(&role);
        self.held.roles.contains(&role) && self.key.as_ref().is_none_or(in_key)
    }

    /// The custom roles it has, inherited ones too.
    pub fn custom_roles<'s>(&self, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s Arc<Role>> {
        let had = self.held.roles.iter().filter(|role| self.has_role(**role));
        had.filter_map(|role| snapshot.principals.role_by_id(*role))
    }

    /// Whether a grant to this user, account or role counts towards what it may.
    pub fn counts(&self, grantee: PrincipalId) -> bool {
        let in_key = |key: &Held| key.roles.contains(&grantee);
        self.held.roles.contains(&grantee) || self.key.as_ref().is_some_and(in_key)
    }

    /// The privileges on a relation, of the rung and of grants together.
    pub fn privileges(&self, relation: &Relation) -> Privileges {
        if relation.database != self.database {
            return Privileges::default();
        }
        let own = self.held.privileges(relation);
        match &self.key {
            None => own,
            Some(key) => own.intersection(key.privileges(relation)),
        }
    }

    /// Whether whoever had `before` has lost a rung or a role since.
    pub(super) fn lost_since(&self, before: &Rights) -> bool {
        let key_narrows = match (&before.key, &self.key) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(now)) => !now.includes(before),
        };
        key_narrows || !self.held.includes(&before.held)
    }

    /// SELECT, COPY TO.
    ///
    /// # Errors
    /// 42501 `permission denied for table t`.
    pub fn may_select(&self, relation: &Relation) -> Result<Permit<permit::Select>, Diagnostic> {
        allow(self.privileges(relation).select, relation)
    }

    /// INSERT, COPY FROM.
    ///
    /// # Errors
    /// 42501 `permission denied for table t`.
    pub fn may_insert(&self, relation: &Relation) -> Result<Permit<permit::Insert>, Diagnostic> {
        allow(self.privileges(relation).insert, relation)
    }

    /// UPDATE; with SELECT also SELECT … FOR UPDATE and FOR SHARE.
    ///
    /// # Errors
    /// 42501 `permission denied for table t`.
    pub fn may_update(&self, relation: &Relation) -> Result<Permit<permit::Update>, Diagnostic> {
        allow(self.privileges(relation).update, relation)
    }

    /// DELETE.
    ///
    /// # Errors
    /// 42501 `permission denied for table t`.
    pub fn may_delete(&self, relation: &Relation) -> Result<Permit<permit::Delete>, Diagnostic> {
        allow(self.privileges(relation).delete, relation)
    }

    /// Row locks (FOR UPDATE, FOR SHARE and their like): UPDATE or DELETE, as PostgreSQL.
    ///
    /// # Errors
    /// 42501 `permission denied for table t`.
    pub fn may_lock(&self, relation: &Relation) -> Result<Permit<permit::Update>, Diagnostic> {
        let privileges = self.privileges(relation);
        allow(privileges.update || privileges.delete, relation)
    }

    /// TRUNCATE: readwrite and above (REFERENCE §2), of a table with row policies admin and above (§9);
    /// no grant gives it.
    ///
    /// # Errors
    /// 42501 `permission denied for table t`.
    pub fn may_truncate(
        &self,
        relation: &Relation,
    ) -> Result<Permit<permit::Truncate>, Diagnostic> {
        let here = relation.database == self.database;
        let rung = match relation.row_security.in_force() {
            true => Ladder::Admin,
            false => Ladder::ReadWrite,
        };
        let own = self.reaches(rung) || self.has_made(relation);
        allow(here && own, relation)
    }

    /// A foreign key that points at the relation: admin and above.
    ///
    /// # Errors
    /// 42501 `permission denied for table t`.
    pub fn may_reference(
        &self,
        relation: &Relation,
    ) -> Result<Permit<permit::References>, Diagnostic> {
        let here = relation.database == self.database;
        let own = self.reaches(Ladder::Admin) || self.has_made(relation);
        allow(here && own, relation)
    }

    /// ALTER, DROP, CREATE INDEX, COMMENT, VACUUM and whatever else PostgreSQL asks the owner
    /// for: admin and above, in their tenant.
    ///
    /// # Errors
    /// 42501 `must be owner of table t`.
    pub fn may_own(&self, relation: &Relation) -> Result<Permit<permit::Own>, Diagnostic> {
        let own = self.reaches(Ladder::Admin) || self.has_made(relation);
        if relation.database == self.database && own {
            return Ok(Permit::new(relation.oid));
        }
        let (kind, name) = (kind_of(relation), &relation.name);
        Err(denied(format!("must be owner of {kind} {name}")))
    }

    /// Whether it is a temporary relation that whoever asks has made.
    fn has_made(&self, relation: &Relation) -> bool {
        let mut grants = relation.grants.iter();
        is_temporary(&relation.schema)
            && grants.any(|it| it.privileges == Privileges::ALL && self.counts(it.grantee))
    }

    /// The privileges on a schema, of the rung and of grants together.
    pub fn schema_privileges(&self, schema: &Schema) -> SchemaPrivileges {
        if schema.database != self.database {
            return SchemaPrivileges::default();
        }
        let own = self.held.schema_privileges(schema);
        match &self.key {
            None => own,
            Some(key) => own.intersection(key.schema_privileges(schema)),
        }
    }

    /// CREATE TABLE, VIEW, SEQUENCE and their like in a schema of the session's database: admin and above,
    /// and who was granted CREATE on it.
    ///
    /// # Errors
    /// 42501 `permission denied for schema public`.
    pub fn may_define(&self, schema: &Schema) -> Result<DefinePermit, Diagnostic> {
        if self.schema_privileges(schema).create {
            return Ok(DefinePermit(()));
        }
        let name = &schema.name;
        Err(denied(format!("permission denied for schema {name}")))
    }

    /// ALTER, DROP of and COMMENT on a schema: admin and above, in their tenant.
    ///
    /// # Errors
    /// 42501 `must be owner of schema s`.
    pub fn may_own_schema(&self, schema: &Schema) -> Result<DefinePermit, Diagnostic> {
        if schema.database == self.database && self.reaches(Ladder::Admin) {
            return Ok(DefinePermit(()));
        }
        Err(denied(format!("must be owner of schema {}", schema.name)))
    }

    /// CREATE SCHEMA in the session's database.
    ///
    /// # Errors
    /// 42501 `permission denied for database d`.
    pub fn may_define_schema(&self, snapshot: &Snapshot) -> Result<DefinePermit, Diagnostic> {
        if self.reaches(Ladder::Admin) {
            return Ok(DefinePermit(()));
        }
        let database = snapshot.principals.database(self.database);
        let name = database.map_or("?", |database| &database.name);
        Err(denied(format!("permission denied for database {name}")))
    }
}

/// The rung and the roles somebody holds in their own tenant, inheritance followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The highest rung.
    pub(crate) rung: Option<Ladder>,
    /// The principal's own id and those of its custom roles.
    pub(crate) roles: BTreeSet<PrincipalId>,
}

impl Held {
    /// What the principal holds; a disabled one still does, it only cannot log in.
    pub(crate) fn of(snapshot: &Snapshot, principal: &Principal) -> Held {
        let mut held = Held {
            rung: principal.ladder.iter().max().copied(),
            roles: BTreeSet::from([principal.id]),
        };
        for role in &principal.roles {
            held.follow(snapshot, principal.tenant, role);
        }
        held
    }

    /// What the key's role gives; None for a key that carries all of its owner's.
    pub(crate) fn of_key(snapshot: &Snapshot, key: &ApiKey) -> Option<Held> {
        match key.role.as_ref()? {
            Parent::Ladder(rung) => Some(Held {
                rung: Some(*rung),
                roles: BTreeSet::new(),
            }),
            Parent::Role(role) => Some(Held::of_role(snapshot, key.tenant, role)),
        }
    }

    fn nothing() -> Held {
        Held {
            rung: None,
            roles: BTreeSet::new(),
        }
    }

    fn includes(&self, other: &Held) -> bool {
        self.rung >= other.rung && self.roles.is_superset(&other.roles)
    }

    /// The privileges on a relation, of the rung and of grants together.
    fn privileges(&self, relation: &Relation) -> Privileges {
        let rung = Privileges {
            select: self.rung >= Some(Ladder::ReadOnly),
            insert: self.rung >= Some(Ladder::ReadWrite),
            update: self.rung >= Some(Ladder::ReadWrite),
            delete: self.rung >= Some(Ladder::ReadWrite),
        };
        relation
            .grants
            .iter()
            .filter(|grant| self.roles.contains(&grant.grantee))
            .fold(rung, |sum, grant| sum.union(grant.privileges))
    }

    /// The privileges on a schema: who reads every table uses every schema, and who defines tables does so in
    /// all of them.
    fn schema_privileges(&self, schema: &Schema) -> SchemaPrivileges {
        let rung = SchemaPrivileges {
            usage: self.rung >= Some(Ladder::ReadOnly),
            create: self.rung >= Some(Ladder::Admin),
        };
        schema
            .grants
            .iter()
            .filter(|grant| self.roles.contains(&grant.grantee))
            .fold(rung.union(schema.everyone), |sum, grant| {
                sum.union(grant.privileges)
            })
    }

    /// What the custom role gives whoever holds it.
    pub(crate) fn of_role(snapshot: &Snapshot, tenant: TenantId, role: &str) -> Held {
        let mut held = Held::nothing();
        held.follow(snapshot, tenant, role);
        held
    }

    /// Adds a role.
    pub(crate) fn add(&mut self, snapshot: &Snapshot, tenant: TenantId, role: &Parent) {
        match role {
            Parent::Ladder(rung) => self.rung = self.rung.max(Some(*rung)),
            Parent::Role(role) => self.follow(snapshot, tenant, role),
        }
    }

    /// Adds a custom role and what it inherits. A cycle ends where it began.
    fn follow(&mut self, snapshot: &Snapshot, tenant: TenantId, role: &str) {
        let mut next = Some(Arc::<str>::from(role));
        while let Some(name) = next.take() {
            let Some(role) = snapshot.principals.role(tenant, &name) else {
                return;
            };
            if !self.roles.insert(role.id) {
                return;
            }
            match &role.parent {
                Some(Parent::Ladder(rung)) => self.rung = self.rung.max(Some(*rung)),
                Some(Parent::Role(parent)) => next = Some(parent.clone()),
                None => {}
            }
        }
    }
}

fn allow<What>(allowed: bool, relation: &Relation) -> Result<Permit<What>, Diagnostic> {
    if allowed {
        return Ok(Permit::new(relation.oid));
    }
    let (kind, name) = (kind_of(relation), &relation.name);
    Err(denied(format!("permission denied for {kind} {name}")))
}

/// 42501 with this message.
pub(crate) fn denied(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

/// The word PostgreSQL uses for the relation in refusals.
fn kind_of(relation: &Relation) -> &'static str {
    match relation.body {
        RelationBody::Table(_) => "table",
        RelationBody::Index(_) => "index",
        RelationBody::Sequence(_) => "sequence",
        RelationBody::View(_) => "view",
    }
}
