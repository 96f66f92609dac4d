//! EXPLAIN ACCESS: check, result, detail: the grants and policies that decide what a user may do to a
//! table.
//!
//! For tenant_admin and above, of the session's database. Nothing is asked of rows: whether a policy
//! shows one is the row's and the session's matter.

use crate::access::login::database_in_reach;
use crate::access::rights::{Rights, denied, rights};
use crate::access::row_policy;
use crate::access::show::{TEXT, Table};
use crate::auth::identity::Identity;
use crate::catalog::Snapshot;
use crate::catalog::definition::{Privileges, Relation};
use crate::catalog::principal::Principal;
use crate::catalog::role::Ladder;
use crate::catalog::row_policy::{Policy, RowAccess};
use crate::catalog::schema::PUBLIC;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::credential::ExplainAccess;
use std::sync::Arc;

/// Answers it. Costs microseconds.
///
/// # Errors
/// 42501 below tenant_admin; 42P01 and 42704 for a table or login that does not exist here.
pub fn access(
    asked: &ExplainAccess,
    snapshot: &Snapshot,
    identity: &Identity,
) -> Result<Table, Diagnostic> {
    let viewer = rights(snapshot, identity);
    if !viewer.reaches(Ladder::TenantAdmin) {
        return Err(denied("permission denied to explain access")
            .with_detail("It takes the role tenant_admin or one above it."));
    }
    let relation = find(snapshot, &viewer, asked)?;
    let login = snapshot
        .principals
        .principal_named(&asked.login)
        .filter(|login| viewer.is_superuser() || login.tenant == viewer.tenant())
        .ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("role \"{}\" does not exist", asked.login),
            )
        })?;
    let case = Case {
        snapshot,
        relation,
        login,
        rights: Rights::of(snapshot, login, viewer.database()),
        access: asked.access,
    };
    let mut steps = vec![case.enabled(), case.in_reach()];
    steps.extend(case.privileges());
    let allowed = steps.iter().all(|step| step.result != FAIL);
    steps.extend(case.policies());
    steps.push(case.outcome(allowed));
    let rows = steps.into_iter().map(|step| {
        vec![
            Some(step.check),
            Some(step.result.to_owned()),
            Some(step.detail).filter(|detail| !detail.is_empty()),
        ]
    });
    Ok(Table {
        columns: vec![("check", TEXT), ("result", TEXT), ("detail", TEXT)],
        rows: rows.collect(),
    })
}

const PASS: &str = "pass";
const FAIL: &str = "fail";

struct Step {
    check: String,
    result: &'static str,
    detail: String,
}

fn step(check: impl Into<String>, passes: bool, detail: impl Into<String>) -> Step {
    Step {
        check: check.into(),
        result: if passes { PASS } else { FAIL },
        detail: detail.into(),
    }
}

fn find<'s>(
    snapshot: &'s Snapshot,
    viewer: &Rights,
    asked: &ExplainAccess,
) -> Result<&'s Arc<Relation>, Diagnostic> {
    let table = &asked.table;
    let schema = table.schema.as_deref().unwrap_or(PUBLIC);
    let definitions = &snapshot.definitions;
    definitions
        .find(viewer.database(), schema, &table.name)
        .ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" does not exist", table.name),
            )
        })
}

struct Case<'s> {
    snapshot: &'s Snapshot,
    relation: &'s Relation,
    login: &'s Principal,
    rights: Rights,
    access: RowAccess,
}

impl Case<'_> {
    fn enabled(&self) -> Step {
        let detail = match self.login.enabled {
            true => format!("\"{}\" is enabled", self.login.name),
            false => format!("\"{}\" is disabled", self.login.name),
        };
        step("login", self.login.enabled, detail)
    }

    fn in_reach(&self) -> Step {
        let principals = &self.snapshot.principals;
        let database = principals.database(self.relation.database);
        let reaches = database
            .is_some_and(|database| database_in_reach(self.snapshot, self.login, None, database));
        let name = database.map_or("", |database| &database.name);
        step("database", reaches, format!("CONNECT on \"{name}\""))
    }

    /// The rung, the grants that count, and what they come to.
    fn privileges(&self) -> Vec<Step> {
        let verb = verb(self.access);
        let rung = self.rights.rung();
        let needed = match self.access {
            RowAccess::Read => Ladder::ReadOnly,
            RowAccess::Insert | RowAccess::Update | RowAccess::Delete => Ladder::ReadWrite,
        };
        let held = rung.map_or("no role of the ladder", |rung| rung.as_str());
        let by_rung = Step {
            check: "role".to_owned(),
            result: if self.rights.reaches(needed) {
                PASS
            } else {
                "not enough"
            },
            detail: format!("{held}; {verb} comes with {needed}"),
        };
        let mut steps = vec![by_rung];
        for grant in &self.relation.grants {
            if self.rights.counts(grant.grantee) && has(grant.privileges, self.access) {
                let principals = &self.snapshot.principals;
                let grantee = principals.name_of(grant.grantee).map_or("?", |name| name);
                steps.push(step("grant", true, format!("{verb} granted to {grantee}")));
            }
        }
        let definitions = &self.snapshot.definitions;
        let schema = definitions.schema(self.relation.database, &self.relation.schema);
        if let Some(schema) = schema.filter(|schema| *schema.name != *PUBLIC) {
            let usage = self.rights.schema_privileges(&schema).usage;
            let named = format!("USAGE on schema {}", schema.name);
            steps.push(step("schema", usage, named));
        }
        let allowed = has(self.rights.privileges(self.relation), self.access);
        let table = format!("{verb} on {}.{}", self.relation.schema, self.relation.name);
        steps.push(step("privilege", allowed, table));
        steps
    }

    fn policies(&self) -> Vec<Step> {
        let policies = &self.relation.row_security.policies;
        let applying = row_policy::applying(self.relation, &self.rights, self.access);
        let one = |(place, policy): (usize, &Policy)| {
            let applies =
                applying.permissive.contains(&place) || applying.restrictive.contains(&place);
            Step {
                check: format!("policy {}", policy.name),
                result: if applies { "applies" } else { "does not apply" },
                detail: said(policy),
            }
        };
        policies.iter().enumerate().map(one).collect()
    }

    fn outcome(&self, allowed: bool) -> Step {
        if !allowed {
            return step("outcome", false, "refused");
        }
        if !self.relation.row_security.in_force() {
            return step("outcome", true, "all rows: no row policy is in force");
        }
        if !row_policy::binds(self.relation, &self.rights) {
            return step(
                "outcome",
                true,
                "all rows: a superuser is bound by no row policy",
            );
        }
        let applying = row_policy::applying(self.relation, &self.rights, self.access);
        let names = |places: &[usize], between: &str| {
            let policies = &self.relation.row_security.policies;
            let names = places.iter().map(|place| &*policies[*place].name);
            names.collect::<Vec<_>>().join(between)
        };
        if applying.permissive.is_empty() {
            return step("outcome", false, "no row: no permissive policy applies");
        }
        let mut rows = format!("rows of ({})", names(&applying.permissive, " OR "));
        if !applying.restrictive.is_empty() {
            rows.push_str(&format!(" AND {}", names(&applying.restrictive, " AND ")));
        }
        step("outcome", true, rows)
    }
}

fn said(policy: &Policy) -> String {
    let mut said = format!("{} FOR {}", policy.mode.as_str(), policy.command.as_str());
    if let Some(using) = &policy.using {
        said.push_str(&format!(" USING ({using})"));
    }
    if let Some(check) = &policy.check {
        said.push_str(&format!(" WITH CHECK ({check})"));
    }
    said
}

fn verb(access: RowAccess) -> &'static str {
    match access {
        RowAccess::Read => "SELECT",
        RowAccess::Insert => "INSERT",
        RowAccess::Update => "UPDATE",
        RowAccess::Delete => "DELETE",
    }
}

fn has(privileges: Privileges, access: RowAccess) -> bool {
    match access {
        RowAccess::Read => privileges.select,
        RowAccess::Insert => privileges.insert,
        RowAccess::Update => privileges.update,
        RowAccess::Delete => privileges.delete,
    }
}
