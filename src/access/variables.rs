//! The values of `$auth.*` (REFERENCE §3): of a token its claims, of every other credential what the
//! user record and the key say. Nothing a client sets is among them.

use super::rights::Rights;
use crate::auth::claims::Claims;
use crate::auth::identity::Identity;
use crate::catalog::Snapshot;
use crate::catalog::role::Ladder;
use crate::catalog::schema::Schema;
use crate::sql::auth_variable::Variable;
use serde_json::Value;
use std::borrow::Cow;

/// Where the variables of one session are read: a view that costs nothing to make, and a value only
/// when it is asked for.
#[derive(Clone, Copy)]
pub struct Variables<'a> {
    identity: &'a Identity,
    rights: &'a Rights,
    snapshot: &'a Snapshot,
}

impl<'a> Variables<'a> {
    /// Of an identity with these rights, both of this snapshot.
    pub fn new(identity: &'a Identity, rights: &'a Rights, snapshot: &'a Snapshot) -> Self {
        Variables {
            identity,
            rights,
            snapshot,
        }
    }

    /// The session's user.
    pub fn user(&self) -> &'a str {
        &self.identity.name
    }

    /// Whether the session may look names up in the schema.
    pub fn uses_schema(&self, schema: &Schema) -> bool {
        self.rights.reaches(Ladder::ReadOnly) || self.rights.schema_privileges(schema).usage
    }

    /// A variable that is a text; None: the session does not have it.
    pub fn text(&self, variable: &Variable) -> Option<Cow<'a, str>> {
        let claims = self.identity.claims.as_deref();
        match variable {
            Variable::Id => Some(match claims {
                Some(claims) => Cow::Borrowed(&claims.subject),
                None => Cow::Owned(self.identity.principal.to_string()),
            }),
            Variable::Role => {
                let claimed = claims.and_then(|claims| claims.role.as_deref());
                let held = || self.rights.rung().map(|rung| rung.as_str());
                claimed.or_else(held).map(Cow::Borrowed)
            }
            Variable::OrgId => claims?.org_id.as_deref().map(Cow::Borrowed),
            Variable::Username => {
                let claimed = claims.and_then(|claims| claims.username.as_deref());
                Some(Cow::Borrowed(claimed.unwrap_or(&self.identity.name)))
            }
            Variable::Email => claims?.email.as_deref().map(Cow::Borrowed),
            Variable::TenantId => Some(Cow::Owned(self.rights.tenant().to_string())),
            Variable::Database => {
                let database = self.snapshot.principals.database(self.rights.database())?;
                Some(Cow::Borrowed(&database.name))
            }
            Variable::AuthMethod => Some(Cow::Borrowed(self.identity.method.as_str())),
            Variable::CurrentUser => Some(Cow::Borrowed(&self.identity.name)),
            Variable::Claim(name) => claim(claims?, name),
            Variable::Roles | Variable::Scopes => None,
        }
    }

    /// A variable that is a list of texts; None: the session does not have it.
    pub fn list(&self, variable: &Variable) -> Option<Vec<&'a str>> {
        let claims = self.identity.claims.as_deref();
        match variable {
            Variable::Roles => {
                let claimed = claims.and_then(|claims| claims.roles.as_deref());
                Some(match claimed {
                    Some(roles) => roles.iter().map(|role| &**role).collect(),
                    None => self.roles_in_force(),
                })
            }
            Variable::Scopes => {
                let scopes = match claims {
                    Some(claims) => claims.scopes.as_deref(),
                    None => {
                        let key = self.snapshot.principals.key(self.identity.key?.id)?;
                        key.scopes.as_deref()
                    }
                };
                Some(scopes?.iter().map(|scope| &**scope).collect())
            }
            _ => None,
        }
    }

    /// The highest rung, then the custom roles.
    fn roles_in_force(&self) -> Vec<&'a str> {
        let rung = self.rights.rung().map(|rung| rung.as_str());
        let custom = self.rights.custom_roles(self.snapshot);
        rung.into_iter()
            .chain(custom.map(|role| &*role.name))
            .collect()
    }
}

/// A JSON scalar as text; a list or an object is none.
fn claim<'c>(claims: &'c Claims, name: &str) -> Option<Cow<'c, str>> {
    match claims.all.get(name)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
