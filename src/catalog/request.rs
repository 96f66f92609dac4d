//! What a session may ask the control core to change: one variant a credential statement.
//!
//! Parsed by `sql::credential`, carried over the mesh, carried out by `control::exec`. Passwords
//! never travel here, only verifiers (REFERENCE §3). Names are as the client gave them, quotes
//! removed; resolving and permission checks happen in control, on the newest catalog.

use super::allowance::AllowanceChange;
use super::definition::DefinitionChange;
use super::ids::{KeyId, PrincipalId, TenantId};
use super::key::SecretHash;
use super::provider_request::{ProviderWanted, RuleWanted};
use super::verifier::Verifier;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// IF [NOT] EXISTS: what to do where the object is already so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// An error.
    Fail,
    /// A notice, and the statement succeeds.
    Skip,
}

/// TENANT n or TENANT 'name'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantRef {
    /// By number.
    Id(TenantId),
    /// By name.
    Name(String),
}

impl fmt::Display for TenantRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TenantRef::Id(id) => id.fmt(f),
            TenantRef::Name(name) => f.write_str(name),
        }
    }
}

/// One change asked for.
#[derive(Clone, Debug)]
pub enum Request {
    /// CREATE USER
    CreateUser {
        /// IF NOT EXISTS
        if_exists: IfExists,
        /// The login name.
        name: String,
        /// None: PASSWORD NULL.
        verifier: Option<Verifier>,
        /// ROLE; default readwrite.
        role: Option<String>,
        /// TENANT; default the creator's.
        tenant: Option<TenantRef>,
        /// CONNECTION LIMIT, STATEMENT LIMIT
        limits: AllowanceChange,
    },
    /// ALTER USER
    AlterUser {
        /// The login name.
        name: String,
        /// What to change.
        change: UserChange,
    },
    /// DROP USER
    DropUser {
        /// IF EXISTS
        if_exists: IfExists,
        /// The login name.
        name: String,
    },
    /// CREATE SERVICE ACCOUNT
    CreateServiceAccount {
        /// IF NOT EXISTS
        if_exists: IfExists,
        /// Its name: users and service accounts share one name space.
        name: String,
        /// FOR DATABASE
        database: String,
        /// ROLE; default readwrite.
        role: Option<String>,
        /// TENANT; default the creator's.
        tenant: Option<TenantRef>,
    },
    /// ALTER SERVICE ACCOUNT … SET DATABASES
    AlterServiceAccount {
        /// Its name.
        name: String,
        /// The databases it may use from now on, the first its default.
        databases: Vec<String>,
    },
    /// ALTER SERVICE ACCOUNT … CONNECTION LIMIT, STATEMENT LIMIT
    LimitServiceAccount {
        /// Its name.
        name: String,
        /// What changes.
        limits: AllowanceChange,
    },
    /// DROP SERVICE ACCOUNT
    DropServiceAccount {
        /// IF EXISTS
        if_exists: IfExists,
        /// Its name.
        name: String,
    },
    /// CREATE API KEY
    CreateApiKey {
        /// Made by the session, with the secret.
        id: KeyId,
        /// Of the secret, which stays with the session.
        secret: SecretHash,
        /// What it is to be.
        key: KeyWanted,
    },
    /// ALTER API KEY … ROTATE
    RotateApiKey {
        /// Which: the session has looked it up, for the text that it shows.
        id: KeyId,
        /// Of the new secret, which stays with the session.
        secret: SecretHash,
        /// GRACE: how long the old secret goes on beside it; None: not at all.
        grace_minutes: Option<u32>,
    },
    /// ALTER API KEY … CONNECTION LIMIT, STATEMENT LIMIT
    LimitApiKey {
        /// Its name or id.
        name: String,
        /// What changes.
        limits: AllowanceChange,
    },
    /// DROP API KEY
    DropApiKey {
        /// IF EXISTS
        if_exists: IfExists,
        /// Its name or id.
        name: String,
    },
    /// CREATE ROLE
    CreateRole {
        /// IF NOT EXISTS
        if_exists: IfExists,
        /// Its name.
        name: String,
        /// INHERIT
        parent: Option<String>,
    },
    /// DROP ROLE
    DropRole {
        /// IF EXISTS
        if_exists: IfExists,
        /// Its name.
        name: String,
    },
    /// GRANT role TO name
    GrantRole {
        /// A rung or a custom role.
        role: String,
        /// A user or service account.
        to: String,
    },
    /// REVOKE role FROM name
    RevokeRole {
        /// A rung or a custom role.
        role: String,
        /// A user or service account.
        from: String,
    },
    /// GRANT CONNECT ON DATABASE
    GrantConnect {
        /// The database.
        database: String,
        /// A user.
        to: String,
    },
    /// REVOKE CONNECT ON DATABASE
    RevokeConnect {
        /// The database.
        database: String,
        /// A user.
        from: String,
    },
    /// CREATE DATABASE
    CreateDatabase {
        /// IF NOT EXISTS
        if_exists: IfExists,
        /// Its name.
        name: String,
    },
    /// DROP DATABASE
    DropDatabase {
        /// IF EXISTS
        if_exists: IfExists,
        /// Its name.
        name: String,
    },
    /// CREATE TENANT
    CreateTenant {
        /// IF NOT EXISTS
        if_exists: IfExists,
        /// Its name.
        name: String,
        /// ID n
        id: Option<TenantId>,
    },
    /// ALTER TENANT n RENAME TO name
    RenameTenant {
        /// Which.
        tenant: TenantRef,
        /// The new name.
        name: String,
    },
    /// ALTER TENANT n CONNECTION LIMIT, STATEMENT LIMIT
    LimitTenant {
        /// Which.
        tenant: TenantRef,
        /// What changes.
        limits: AllowanceChange,
    },
    /// DROP TENANT
    DropTenant {
        /// IF EXISTS
        if_exists: IfExists,
        /// Which.
        tenant: TenantRef,
        /// CASCADE empties it first.
        cascade: bool,
    },
    /// CREATE OIDC PROVIDER
    CreateProvider {
        /// IF NOT EXISTS
        if_exists: IfExists,
        /// What it is to be.
        wanted: Box<ProviderWanted>,
    },
    /// ALTER OIDC PROVIDER … SET CLAIM MAPPING
    SetClaimMapping {
        /// Which.
        name: String,
        /// Its rules from now on.
        mapping: Vec<RuleWanted>,
    },
    /// DROP OIDC PROVIDER
    DropProvider {
        /// IF EXISTS
        if_exists: IfExists,
        /// Which.
        name: String,
    },
    /// The user that a token names and nobody has: asked by its provider, at a log-in.
    MakeUserOfToken {
        /// As the token says it.
        name: Arc<str>,
    },
    /// A transaction is about to commit definitions: whom they name. Owners must be there, and
    /// from the answer on nobody of them is dropped until [`Request::PublishDefinitions`] lets
    /// them go. Without it DROP USER could come between the commit and its publication, and leave
    /// a relation that nobody owns.
    HoldPrincipals(Named),
    /// Definitions that a transaction has just committed, durable already: publish them. None
    /// where the commit has failed; those held are let go in any case.
    PublishDefinitions {
        /// What to publish.
        changes: Vec<DefinitionChange>,
        /// As they were held.
        held: Named,
    },
}

/// What CREATE API KEY asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyWanted {
    /// Unique in the owner's tenant; None: its id.
    pub name: Option<String>,
    /// FOR; None: whoever creates it.
    pub owner: Option<String>,
    /// ROLE; None: all of the owner's.
    pub role: Option<String>,
    /// WITH DATABASES, the first its default; None: all in the owner's reach.
    pub databases: Option<Vec<String>>,
    /// WITH SCOPES
    pub scopes: Option<Vec<String>>,
    /// WITH IPS
    pub networks: Option<Vec<IpNet>>,
    /// WITH RATE n PER SECOND
    pub rate_per_second: Option<NonZeroU32>,
    /// EXPIRES; None: never.
    pub expires: Option<Expires>,
    /// CONNECTION LIMIT, STATEMENT LIMIT
    pub limits: AllowanceChange,
}

/// When a credential ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// EXPIRES IN n DAYS, from the statement on.
    InDays(u32),
    /// EXPIRES 'timestamp', Unix microseconds.
    At(i64),
}

/// The principals that definitions name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Owners of relations, schemas and types.
    pub owners: BTreeSet<PrincipalId>,
    /// Whoever was granted something on them. One that is gone leaves a grant to nobody.
    pub grantees: BTreeSet<PrincipalId>,
}

impl Named {
    /// By these changes.
    pub fn by(changes: &[DefinitionChange]) -> Named {
        let mut named = Named::default();
        for change in changes {
            match change {
                DefinitionChange::Put(relation) => {
                    named.owners.insert(relation.owner);
                    let grantees = relation.grants.iter().map(|grant| grant.grantee);
                    let policies = relation.row_security.policies.iter();
                    let guarded = policies.flat_map(|policy| policy.roles.iter().copied());
                    named.grantees.extend(grantees.chain(guarded));
                }
                DefinitionChange::PutSchema(schema) => {
                    named.owners.extend(schema.owner);
                    let grantees = schema.grants.iter().map(|grant| grant.grantee);
                    named.grantees.extend(grantees);
                }
                DefinitionChange::PutType(known) => {
                    named.owners.insert(known.owner);
                }
                DefinitionChange::Drop(_)
                | DefinitionChange::DropSchema(..)
                | DefinitionChange::DropType(_) => {}
            }
        }
        named
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = PrincipalId> {
        self.owners.union(&self.grantees).copied()
    }
}

/// ALTER USER's forms.
#[derive(Clone, Debug)]
pub enum UserChange {
    /// PASSWORD, ADD PASSWORD, DROP OLD PASSWORD
    Password {
        /// Which, and to what.
        change: PasswordChange,
        /// How many of those that are replaced are remembered.
        remembered: usize,
    },
    /// SET ROLE
    Role(String),
    /// SET DEFAULT DATABASE
    DefaultDatabase(String),
    /// VALID UNTIL, Unix microseconds; None is 'infinity'.
    ValidUntil(Option<i64>),
    /// DISABLE
    Disable,
    /// ENABLE
    Enable,
    /// CONNECTION LIMIT, STATEMENT LIMIT
    Limits(AllowanceChange),
}

/// What becomes of a user's passwords.
#[derive(Clone, Debug)]
pub enum PasswordChange {
    /// PASSWORD; None is PASSWORD NULL.
    Set(Option<Verifier>),
    /// ADD PASSWORD
    Add(Verifier),
    /// DROP OLD PASSWORD
    DropOld,
}

impl UserChange {
    /// The words after the name.
    fn title(&self) -> &'static str {
        match self {
            UserChange::Password { change, .. } => match change {
                PasswordChange::Set(_) => "PASSWORD",
                PasswordChange::Add(_) => "ADD PASSWORD",
                PasswordChange::DropOld => "DROP OLD PASSWORD",
            },
            UserChange::Limits(limits) => limits.title(),
            UserChange::Role(_) => "SET ROLE",
            UserChange::DefaultDatabase(_) => "SET DEFAULT DATABASE",
            UserChange::ValidUntil(_) => "VALID UNTIL",
            UserChange::Disable => "DISABLE",
            UserChange::Enable => "ENABLE",
        }
    }
}

impl Request {
    /// The words that name the statement.
    pub fn title(&self) -> &'static str {
        match self {
            Request::CreateUser { .. } => "CREATE USER",
            Request::AlterUser { .. } => "ALTER USER",
            Request::DropUser { .. } => "DROP USER",
            Request::CreateServiceAccount { .. } => "CREATE SERVICE ACCOUNT",
            Request::AlterServiceAccount { .. } | Request::LimitServiceAccount { .. } => {
                "ALTER SERVICE ACCOUNT"
            }
            Request::DropServiceAccount { .. } => "DROP SERVICE ACCOUNT",
            Request::CreateApiKey { .. } => "CREATE API KEY",
            Request::RotateApiKey { .. } | Request::LimitApiKey { .. } => "ALTER API KEY",
            Request::DropApiKey { .. } => "DROP API KEY",
            Request::CreateRole { .. } => "CREATE ROLE",
            Request::DropRole { .. } => "DROP ROLE",
            Request::GrantRole { .. } => "GRANT",
            Request::RevokeRole { .. } => "REVOKE",
            Request::GrantConnect { .. } => "GRANT CONNECT",
            Request::RevokeConnect { .. } => "REVOKE CONNECT",
            Request::CreateDatabase { .. } => "CREATE DATABASE",
            Request::DropDatabase { .. } => "DROP DATABASE",
            Request::CreateTenant { .. } => "CREATE TENANT",
            Request::RenameTenant { .. } | Request::LimitTenant { .. } => "ALTER TENANT",
            Request::DropTenant { .. } => "DROP TENANT",
            Request::CreateProvider { .. } => "CREATE OIDC PROVIDER",
            Request::SetClaimMapping { .. } => "ALTER OIDC PROVIDER",
            Request::DropProvider { .. } => "DROP OIDC PROVIDER",
            Request::MakeUserOfToken { .. } => "first log-in of a user",
            Request::HoldPrincipals(_) => "commit of definitions",
            Request::PublishDefinitions { .. } => "publication of definitions",
        }
    }

    /// Whom or what it is about, as SHOW REVOCATIONS says it after its title. No secret.
    pub fn about(&self) -> String {
        match self {
            Request::CreateUser { name, .. }
            | Request::DropUser { name, .. }
            | Request::CreateServiceAccount { name, .. }
            | Request::DropServiceAccount { name, .. }
            | Request::DropApiKey { name, .. }
            | Request::CreateRole { name, .. }
            | Request::DropRole { name, .. }
            | Request::CreateDatabase { name, .. }
            | Request::DropDatabase { name, .. }
            | Request::CreateTenant { name, .. }
            | Request::DropProvider { name, .. } => name.clone(),
            Request::AlterUser { name, change } => format!("{name} {}", change.title()),
            Request::AlterServiceAccount { name, .. } => format!("{name} SET DATABASES"),
            Request::LimitServiceAccount { name, limits }
            | Request::LimitApiKey { name, limits } => {
                format!("{name} {}", limits.title())
            }
            Request::LimitTenant { tenant, limits } => format!("{tenant} {}", limits.title()),
            Request::CreateApiKey { id, key, .. } => match &key.name {
                Some(name) => name.clone(),
                None => id.to_string(),
            },
            Request::RotateApiKey { id, .. } => format!("{id} ROTATE"),
            Request::GrantRole { role, to } => format!("{role} TO {to}"),
            Request::RevokeRole { role, from } => format!("{role} FROM {from}"),
            Request::GrantConnect { database, to } => format!("{database} TO {to}"),
            Request::RevokeConnect { database, from } => format!("{database} FROM {from}"),
            Request::RenameTenant { tenant, name } => format!("{tenant} RENAME TO {name}"),
            Request::DropTenant { tenant, .. } => tenant.to_string(),
            Request::CreateProvider { wanted, .. } => wanted.name.to_string(),
            Request::SetClaimMapping { name, .. } => format!("{name} SET CLAIM MAPPING"),
            Request::MakeUserOfToken { name } => name.to_string(),
            Request::HoldPrincipals(_) | Request::PublishDefinitions { .. } => String::new(),
        }
    }

    /// Whether it takes something from somebody who may be using it.
    pub fn revokes(&self) -> bool {
        match self {
            Request::DropUser { .. }
            | Request::AlterServiceAccount { .. }
            | Request::DropServiceAccount { .. }
            | Request::RotateApiKey { .. }
            | Request::DropApiKey { .. }
            | Request::DropRole { .. }
            | Request::RevokeRole { .. }
            | Request::RevokeConnect { .. }
            | Request::DropDatabase { .. }
            | Request::DropTenant { .. }
            | Request::SetClaimMapping { .. }
            | Request::DropProvider { .. } => true,
            Request::AlterUser { change, .. } => match change {
                UserChange::Role(_) | UserChange::ValidUntil(_) | UserChange::Disable => true,
                UserChange::Password { .. }
                | UserChange::DefaultDatabase(_)
                | UserChange::Enable
                | UserChange::Limits(_) => false,
            },
            Request::CreateUser { .. }
            | Request::CreateServiceAccount { .. }
            | Request::LimitServiceAccount { .. }
            | Request::CreateApiKey { .. }
            | Request::LimitApiKey { .. }
            | Request::LimitTenant { .. }
            | Request::CreateRole { .. }
            | Request::GrantRole { .. }
            | Request::GrantConnect { .. }
            | Request::CreateDatabase { .. }
            | Request::CreateTenant { .. }
            | Request::RenameTenant { .. }
            | Request::CreateProvider { .. }
            | Request::MakeUserOfToken { .. }
            | Request::HoldPrincipals(_)
            | Request::PublishDefinitions { .. } => false,
        }
    }

    /// Whether it is a statement of a client's, which may be refused and warned of, rather than a
    /// step of a transaction that commits definitions.
    pub fn is_statement(&self) -> bool {
        !matches!(
            self,
            Request::HoldPrincipals(_) | Request::PublishDefinitions { .. }
        )
    }
}
