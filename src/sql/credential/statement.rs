//! The credential statements as trees: what the parser gives and the session carries out.

use crate::auth::secret::Password;
use crate::catalog::Request;
use crate::catalog::definition::Privileges;
use crate::catalog::request::{IfExists, TenantRef, UserChange};
use crate::catalog::verifier::Verifier;

/// One statement of REFERENCE §1.
#[derive(Debug)]
pub enum CredentialStatement {
    /// CREATE USER: its password becomes a verifier before it is asked for.
    CreateUser(CreateUser),
    /// ALTER USER … PASSWORD: likewise.
    AlterPassword(AlterPassword),
    /// Any other change of users, roles, memberships, databases and tenants: ready to be asked.
    Change(Request),
    /// GRANT or REVOKE … ON TABLE: a change of definitions, transactional with the rows.
    Table(TableGrant),
    /// SHOW: answered from the snapshot.
    Show(Show),
}

/// A new password.
#[derive(Debug)]
pub enum NewPassword {
    /// PASSWORD NULL: password login is off.
    Null,
    /// PASSWORD '': as NULL, with PostgreSQL's notice ([`NewPassword::empty_notice`]).
    Empty,
    /// A password to derive a verifier from, off the session core.
    Plain(Password),
    /// A well-formed `SCRAM-SHA-256$…`: stored as it is.
    Verifier(Verifier),
}

/// CREATE USER.
#[derive(Debug)]
pub struct CreateUser {
    /// IF NOT EXISTS
    pub if_exists: IfExists,
    /// The login name.
    pub name: String,
    /// PASSWORD
    pub password: NewPassword,
    /// ROLE
    pub role: Option<String>,
    /// TENANT
    pub tenant: Option<TenantRef>,
}

/// ALTER USER … PASSWORD.
#[derive(Debug)]
pub struct AlterPassword {
    /// The login name.
    pub name: String,
    /// The new one.
    pub password: NewPassword,
}

/// Which way a table grant goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// GRANT … TO
    Grant,
    /// REVOKE … FROM
    Revoke,
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
    /// Users, service accounts or custom roles.
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
    /// SHOW SESSION: answered by the session itself.
    Session,
    /// SHOW SESSIONS: answered by the session rooms of all cores.
    Sessions,
}

impl CreateUser {
    /// The request, with the verifier that was derived from [`NewPassword::Plain`].
    pub fn into_request(self, derived: Option<Verifier>) -> Request {
        Request::CreateUser {
            if_exists: self.if_exists,
            name: self.name,
            verifier: self.password.into_verifier(derived),
            role: self.role,
            tenant: self.tenant,
        }
    }
}

impl AlterPassword {
    /// The request, with the verifier that was derived from [`NewPassword::Plain`].
    pub fn into_request(self, derived: Option<Verifier>) -> Request {
        Request::AlterUser {
            name: self.name,
            change: UserChange::Password(self.password.into_verifier(derived)),
        }
    }
}

impl NewPassword {
    /// What PostgreSQL says to an empty password, and we with it.
    pub fn empty_notice(&self) -> Option<crate::diagnostic::Diagnostic> {
        matches!(self, NewPassword::Empty).then(|| {
            crate::diagnostic::Diagnostic::notice(
                "empty string is not a valid password, clearing password",
            )
        })
    }

    fn into_verifier(self, derived: Option<Verifier>) -> Option<Verifier> {
        match self {
            NewPassword::Null | NewPassword::Empty => None,
            NewPassword::Verifier(verifier) => Some(verifier),
            NewPassword::Plain(_) => {
                Some(derived.expect("a plain password is derived before it is asked for"))
            }
        }
    }
}

impl CredentialStatement {
    /// Whether it is a change of its own, refused (25001) inside a transaction block and beside
    /// other statements in one message. Table grants and SHOW are not.
    pub fn stands_alone(&self) -> bool {
        match self {
            CredentialStatement::CreateUser(_)
            | CredentialStatement::AlterPassword(_)
            | CredentialStatement::Change(_) => true,
            CredentialStatement::Table(_) | CredentialStatement::Show(_) => false,
        }
    }

    /// The words that name it in 25001, such as `CREATE USER`.
    pub fn title(&self) -> &'static str {
        match self {
            CredentialStatement::CreateUser(_) => "CREATE USER",
            CredentialStatement::AlterPassword(_) => "ALTER USER",
            CredentialStatement::Change(request) => request.title(),
            CredentialStatement::Table(grant) => match grant.direction {
                Direction::Grant => "GRANT",
                Direction::Revoke => "REVOKE",
            },
            CredentialStatement::Show(_) => "SHOW",
        }
    }
}
