//! The credential statements as trees: what the parser gives and the session carries out.

use super::explain::{ExplainAccess, ExplainAuthentication};
use super::row_policy::RowPolicyStatement;
use crate::auth::secret::Password;
use crate::catalog::Request;
use crate::catalog::allowance::AllowanceChange;
use crate::catalog::definition::Privileges;
use crate::catalog::provider_request::ProviderWanted;
use crate::catalog::request::{IfExists, KeyWanted, TenantRef};
use crate::catalog::schema::SchemaPrivileges;
use crate::catalog::verifier::Verifier;
use crate::diagnostic::{Diagnostic, SqlState};

/// One statement of REFERENCE §1.
#[derive(Debug)]
pub enum CredentialStatement {
    /// CREATE USER: its password becomes a verifier before it is asked for.
    CreateUser(CreateUser),
    /// ALTER USER … PASSWORD, ADD PASSWORD, DROP OLD PASSWORD: likewise.
    AlterPassword(AlterPassword),
    /// CREATE API KEY: its secret is made, and shown, by the session.
    CreateApiKey(KeyWanted),
    /// ALTER API KEY … ROTATE: likewise.
    RotateApiKey(RotateApiKey),
    /// CREATE OIDC PROVIDER: its keys are waited for.
    CreateProvider {
        /// IF NOT EXISTS
        if_exists: IfExists,
        /// What it is to be.
        wanted: Box<ProviderWanted>,
    },
    /// ALTER OIDC PROVIDER … REFRESH JWKS: no change of the catalog.
    RefreshKeys(String),
    /// Any other change of users, roles, memberships, databases and tenants: ready to be asked.
    Change(Request),
    /// GRANT or REVOKE … ON TABLE: a change of definitions, transactional with the rows.
    Table(TableGrant),
    /// GRANT or REVOKE … ON SCHEMA: likewise.
    Schema(SchemaGrant),
    /// CREATE or DROP RLS POLICY: likewise.
    RowPolicy(RowPolicyStatement),
    /// USE DATABASE: the session goes on in another one.
    UseDatabase(String),
    /// KILL SESSION: carried out by the core that has it. No change of the catalog.
    KillSession(String),
    /// SHOW: answered from the snapshot.
    Show(Show),
    /// SHOW AUDIT LOG: answered from its files.
    ShowAuditLog {
        /// LIMIT
        limit: Option<u32>,
    },
    /// VERIFY AUDIT CHAIN: likewise.
    VerifyAuditChain,
    /// EXPLAIN AUTHENTICATION: answered from the snapshot and the keys of providers.
    ExplainAuthentication(ExplainAuthentication),
}

/// CREATE USER.
#[derive(Debug)]
pub struct CreateUser {
    /// IF NOT EXISTS
    pub if_exists: IfExists,
    /// The login name.
    pub name: String,
    /// PASSWORD; None is NULL. `auth::derivation` makes the verifier of it.
    pub password: Option<Password>,
    /// ROLE
    pub role: Option<String>,
    /// TENANT
    pub tenant: Option<TenantRef>,
    /// CONNECTION LIMIT, STATEMENT LIMIT
    pub limits: AllowanceChange,
}

/// ALTER USER … PASSWORD and its like.
#[derive(Debug)]
pub struct AlterPassword {
    /// The login name.
    pub name: String,
    /// What becomes of its passwords.
    pub wanted: PasswordWanted,
}

/// What ALTER USER wants of a user's passwords. `auth::derivation` makes the verifier of a new one.
#[derive(Debug)]
pub enum PasswordWanted {
    /// PASSWORD: this one and no other; None is NULL.
    Set(Option<Password>),
    /// ADD PASSWORD: this one as well.
    Add(Password),
    /// DROP OLD PASSWORD: the added one alone.
    DropOld,
}

/// ALTER API KEY … ROTATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateApiKey {
    /// Its name or id.
    pub name: String,
    /// GRACE n MINUTES
    pub grace_minutes: Option<u32>,
}

/// Which way a table grant goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// GRANT … TO
    Grant,
    /// REVOKE … FROM
    Revoke,
}

impl Direction {
    /// The command's tag.
    pub fn tag(self) -> &'static str {
        match self {
            Direction::Grant => "GRANT",
            Direction::Revoke => "REVOKE",
        }
    }
}

/// GRANT or REVOKE … ON [TABLE] … .
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableGrant {
    /// GRANT or REVOKE.
    pub direction: Direction,
    /// Which privileges.
    pub privileges: Privileges,
    /// The tables, as named.
    pub tables: Vec<TableName>,
    /// ALL TABLES IN SCHEMA: the schemas, as named.
    pub all_in: Vec<String>,
    /// Users, service accounts or custom roles.
    pub grantees: Vec<String>,
}

/// GRANT or REVOKE … ON SCHEMA … .
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaGrant {
    /// GRANT or REVOKE.
    pub direction: Direction,
    /// Which privileges.
    pub privileges: SchemaPrivileges,
    /// The schemas, as named.
    pub schemas: Vec<String>,
    /// Users, service accounts, custom roles, or `public` for everybody.
    pub grantees: Vec<String>,
}

/// A table's name as the statement gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// None: looked up along search_path.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// The SHOW statements that are answered from the catalog snapshot, and the session's two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// SHOW USERS
    Users,
    /// SHOW SERVICE ACCOUNTS
    ServiceAccounts,
    /// SHOW API KEYS [FOR owner]
    ApiKeys {
        /// FOR
        of: Option<String>,
    },
    /// SHOW ROLES
    Roles,
    /// SHOW DATABASES
    Databases,
    /// SHOW TENANTS
    Tenants,
    /// SHOW GRANTS [FOR name]
    Grants {
        /// FOR
        of: Option<String>,
    },
    /// SHOW PERMISSIONS
    Permissions,
    /// SHOW RLS POLICIES [ON t]
    RowPolicies {
        /// ON
        of: Option<String>,
    },
    /// SHOW SESSION: answered by the session itself.
    Session,
    /// SHOW SESSIONS: answered by the session rooms of all cores.
    Sessions,
    /// SHOW REVOCATIONS
    Revocations,
    /// SHOW TLS
    Tls,
    /// EXPLAIN ACCESS
    Access(ExplainAccess),
    /// SHOW OIDC PROVIDERS: the catalog's part of it, and that of their keys.
    OidcProviders,
}

impl CreateUser {
    /// The request, with the verifier that was made of the password (None: no password).
    pub fn into_request(self, verifier: Option<Verifier>) -> Request {
        Request::CreateUser {
            if_exists: self.if_exists,
            name: self.name,
            verifier,
            role: self.role,
            tenant: self.tenant,
            limits: self.limits,
        }
    }
}

impl CredentialStatement {
    /// Whether it is a change of its own, refused (25001) inside a transaction block and beside
    /// other statements in one message. Table grants, USE and SHOW are not.
    pub fn stands_alone(&self) -> bool {
        match self {
            CredentialStatement::CreateUser(_)
            | CredentialStatement::AlterPassword(_)
            | CredentialStatement::CreateApiKey(_)
            | CredentialStatement::RotateApiKey(_)
            | CredentialStatement::CreateProvider { .. }
            | CredentialStatement::RefreshKeys(_)
            | CredentialStatement::Change(_) => true,
            CredentialStatement::Table(_)
            | CredentialStatement::Schema(_)
            | CredentialStatement::RowPolicy(_)
            | CredentialStatement::UseDatabase(_)
            | CredentialStatement::KillSession(_)
            | CredentialStatement::Show(_)
            | CredentialStatement::ShowAuditLog { .. }
            | CredentialStatement::VerifyAuditChain
            | CredentialStatement::ExplainAuthentication(_) => false,
        }
    }

    /// 25001 for one inside a transaction block, in PostgreSQL's words.
    pub fn refused_in_transaction(&self) -> Diagnostic {
        Diagnostic::error(
            SqlState::ACTIVE_SQL_TRANSACTION,
            format!("{} cannot run inside a transaction block", self.title()),
        )
    }

    /// 25001 for one in the same message as statements of another kind.
    pub fn refused_beside_others(&self) -> Diagnostic {
        Diagnostic::error(
            SqlState::ACTIVE_SQL_TRANSACTION,
            format!(
                "{} cannot be sent together with statements of another kind",
                self.title()
            ),
        )
        .with_hint("Send it as a message of its own.")
    }

    /// The words that name it in 25001, such as `CREATE USER`.
    pub fn title(&self) -> &'static str {
        match self {
            CredentialStatement::CreateUser(_) => "CREATE USER",
            CredentialStatement::AlterPassword(_) => "ALTER USER",
            CredentialStatement::CreateApiKey(_) => "CREATE API KEY",
            CredentialStatement::RotateApiKey(_) => "ALTER API KEY",
            CredentialStatement::CreateProvider { .. } => "CREATE OIDC PROVIDER",
            CredentialStatement::RefreshKeys(_) => "ALTER OIDC PROVIDER",
            CredentialStatement::Change(request) => request.title(),
            CredentialStatement::Table(grant) => grant.direction.tag(),
            CredentialStatement::Schema(grant) => grant.direction.tag(),
            CredentialStatement::RowPolicy(RowPolicyStatement::Create(_)) => "CREATE RLS POLICY",
            CredentialStatement::RowPolicy(RowPolicyStatement::Drop { .. }) => "DROP RLS POLICY",
            CredentialStatement::UseDatabase(_) => "USE DATABASE",
            CredentialStatement::KillSession(_) => "KILL SESSION",
            CredentialStatement::Show(_) => "SHOW",
            CredentialStatement::ShowAuditLog { .. } => "SHOW AUDIT LOG",
            CredentialStatement::VerifyAuditChain => "VERIFY AUDIT CHAIN",
            CredentialStatement::ExplainAuthentication(_) => "EXPLAIN AUTHENTICATION",
        }
    }
}
