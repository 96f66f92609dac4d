//! EXPLAIN AUTHENTICATION: method, check, result, detail. How a log-in would go, step by step, without one.
//! EXPLAIN ACCESS (`access.rs`): what somebody who has logged in may do to a table.
//!
//! For tenant_admin and above, about their tenant: it tells who may come in and how, and why somebody does
//! not, which a log-in itself never tells (DESIGN §5). Nothing secret is in it: of a token what it says,
//! never the token; of a password that there is one.

mod access;
mod token;
mod user;

pub use access::access;

use super::rights::{Rights, denied, rights};
use super::show::{TEXT, Table, timestamp};
use super::standing::Standing;
use crate::auth::identity::Identity;
use crate::auth::jwks::KeySets;
use crate::catalog::role::Ladder;
use crate::catalog::{Snapshot, TenantId};
use crate::diagnostic::Diagnostic;
use crate::sql::credential::ExplainAuthentication;

/// What a check has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is so.
    Pass,
    /// It is not, and nobody is logged in.
    Fail,
    /// Nothing to pass or fail: what is the case.
    Info,
    /// Not asked, since something before it has failed.
    Skipped,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
            Outcome::Skipped => "skipped",
        }
    }

    /// Pass if so.
    fn of(passes: bool) -> Outcome {
        match passes {
            true => Outcome::Pass,
            false => Outcome::Fail,
        }
    }
}

/// Whether client certificates are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// `client_ca` is set.
    Asked,
    /// It is not.
    NotAsked,
}

/// What is known besides the catalog.
pub struct Surroundings<'a> {
    /// The keys of identity providers.
    pub keys: &'a KeySets,
    /// Of `[server.tls]`.
    pub client_certificates: ClientCertificates,
    /// Unix microseconds.
    pub now: i64,
}

/// The names and types of the columns.
pub const COLUMNS: [(&str, crate::catalog::sql_type::SqlType); 4] = [
    ("method", TEXT),
    ("check", TEXT),
    ("result", TEXT),
    ("detail", TEXT),
];

/// Answers it. Costs a signature for a token; milliseconds for one of a long key: not on a session core.
///
/// # Errors
/// 42501 for who is below tenant_admin; 42704 for a user who is not in sight.
pub fn authentication(
    about: &ExplainAuthentication,
    snapshot: &Snapshot,
    identity: &Identity,
    surroundings: &Surroundings<'_>,
) -> Result<Table, Diagnostic> {
    let rights = rights(snapshot, identity);
    if !rights.reaches(Ladder::TenantAdmin) {
        return Err(denied("permission denied to explain authentication")
            .with_detail("It takes the role tenant_admin or one above it."));
    }
    let mut report = Report {
        rows: Vec::new(),
        snapshot,
        rights,
        surroundings,
    };
    match about {
        ExplainAuthentication::Token(text) => token::explain(&mut report, text.expose()),
        ExplainAuthentication::User { name, database } => {
            user::explain(&mut report, name, database.as_deref())?;
        }
    }
    Ok(Table {
        columns: COLUMNS.to_vec(),
        rows: report.rows,
    })
}

/// What has been found so far, for whom.
struct Report<'a> {
    rows: Vec<Vec<Option<String>>>,
    snapshot: &'a Snapshot,
    rights: Rights,
    surroundings: &'a Surroundings<'a>,
}

impl Report<'_> {
    fn add(&mut self, method: &str, check: &str, outcome: Outcome, detail: impl ToString) {
        let row = [method, check, outcome.as_str()].map(|text| Some(text.to_owned()));
        let mut row = Vec::from(row);
        row.push(Some(detail.to_string()).filter(|detail| !detail.is_empty()));
        self.rows.push(row);
    }

    fn sees(&self, tenant: TenantId) -> bool {
        self.rights.is_superuser() || tenant == self.rights.tenant()
    }

    /// Who it would be.
    fn identity(&mut self, standing: &Standing<'_>, name: &str, database: &str) {
        let tenant = self.snapshot.principals.tenant(standing.home());
        let tenant = tenant.map_or("?", |tenant| &tenant.name);
        let rung = standing.rung().map_or("none", |rung| rung.as_str());
        let reach: Vec<_> = self
            .snapshot
            .principals
            .databases()
            .filter(|database| self.sees(database.tenant) && standing.reaches(database))
            .map(|database| database.name.to_string())
            .take(DATABASES_MAX)
            .collect();
        let facts = [
            ("username", name.to_owned()),
            ("tenant", format!("{tenant} ({})", standing.home())),
            ("roles", standing.role_names().join(", ")),
            ("rung in force", rung.to_owned()),
            ("database", database.to_owned()),
            ("databases in reach", reach.join(", ")),
        ];
        for (what, fact) in facts {
            self.add("identity", what, Outcome::Info, fact);
        }
    }
}

/// Databases that are named.
const DATABASES_MAX: usize = 100;

/// A point in time, for a detail.
fn at(microseconds: i64) -> String {
    timestamp(microseconds).unwrap_or_else(|| "never".to_owned())
}
