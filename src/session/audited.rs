//! What a session has to say to the audit log: what it was refused, its end, what it had explained, its grants on
//! tables and its row policies; at level full its statements.

use super::{Answer, EndReason, Session};
use crate::audit::{Entry, Event, Source};
use crate::catalog::definition::Privileges;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::credential::{Direction, RowPolicyStatement, SchemaGrant, TableGrant, TableName};
use crate::sql::without_literals;

/// Whether the control core has recorded the refusal of the statement that runs, with more than the session
/// knows of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has not.
    #[default]
    Unrecorded,
    /// It has.
    Recorded,
}

impl Refusal {
    /// By what the control core has answered.
    pub(super) fn of<T>(answer: &Result<T, Diagnostic>) -> Refusal {
        match answer {
            Ok(_) => Refusal::Unrecorded,
            Err(_) => Refusal::Recorded,
        }
    }
}

/// Further details of an entry.
pub(super) type Details = Vec<(&'static str, String)>;

impl Session {
    /// A statement has failed: where it was refused for want of a right, that is recorded. Waits for a place in
    /// the audit's queue.
    pub async fn note_refusal(&mut self, error: &Diagnostic) {
        let recorded = std::mem::take(&mut self.refusal);
        let is_refusal = error.sqlstate() == SqlState::INSUFFICIENT_PRIVILEGE;
        if !is_refusal || recorded == Refusal::Recorded {
            return;
        }
        let entry = self.entry(Event::AccessRefused);
        let entry = entry
            .with("outcome", error.sqlstate().as_str())
            .with("reason", error.message());
        // The statement has failed already; where it cannot be recorded it is counted.
        let _ = self.services.parts.audit.record(entry).await;
    }

    /// It has ended. A request's session of HTTP has no end of its own to speak of.
    pub async fn note_end(&self, reason: EndReason) {
        let event = match reason {
            EndReason::Access(_) | EndReason::Killed => Event::SessionRevoked,
            _ => Event::SessionEnd,
        };
        let audit = &self.services.parts.audit;
        if !audit.keeps(event) {
            return;
        }
        let entry = self.entry(event);
        let entry = match reason {
            EndReason::Access(reason) => {
                entry.with("reason", reason.diagnostic().message().to_owned())
            }
            reason => entry.with("reason", reason.as_str()),
        };
        // It has ended all the same.
        let _ = audit.record(entry).await;
    }

    /// Somebody is to be told about somebody's access, or about a token.
    ///
    /// # Errors
    /// 53100 where it cannot be recorded.
    pub(super) async fn note_explained(
        &self,
        statement: &'static str,
        about: String,
    ) -> Result<(), Diagnostic> {
        let entry = self.entry(Event::Explain);
        let entry = entry.with("statement", statement).with("about", about);
        Ok(self.services.parts.audit.record(entry).await?)
    }

    /// A credential statement that the session carries out itself, once it has run; `done` is what has become of
    /// it then. It is told when its entry is durable.
    ///
    /// # Errors
    /// The statement's own; 53100 where it cannot be recorded: its transaction fails with it.
    pub(super) async fn note_credential_statement(
        &mut self,
        title: &'static str,
        details: Details,
        done: &'static str,
        answer: Result<Answer, Diagnostic>,
    ) -> Result<Answer, Diagnostic> {
        let mut entry = self.entry(Event::CredentialStatement);
        entry = entry.with("statement", title);
        for (name, value) in details {
            entry = entry.with(name, value);
        }
        let entry = match &answer {
            Ok(_) => entry.with("outcome", done),
            Err(error) => entry
                .with("outcome", error.sqlstate().as_str())
                .with("reason", error.message()),
        };
        self.refusal = Refusal::of(&answer);
        self.services.parts.audit.record_durably(entry).await?;
        answer
    }

    /// At level full: a statement is to run. Its literals are left out, and of a credential statement
    /// everything but its first words.
    ///
    /// # Errors
    /// 53100 where it cannot be recorded.
    pub async fn note_statement(&self, text: &str) -> Result<(), Diagnostic> {
        let audit = &self.services.parts.audit;
        if !audit.keeps(Event::Statement) {
            return Ok(());
        }
        let entry = self.entry(Event::Statement);
        let entry = entry.with("statement", without_literals::of_text(text));
        Ok(audit.record(entry).await?)
    }

    /// Whether [`Session::note_statement`] has anything to do.
    pub fn notes_statements(&self) -> bool {
        self.services.parts.audit.keeps(Event::Statement)
    }

    fn entry(&self, event: Event) -> Entry {
        let adopted = self.services.parts.catalog.current();
        let principals = &adopted.snapshot().principals;
        let database = principals.database(self.identity.database);
        Entry::new(event, Source::Peer(self.entry.peer()))
            .of_tenant(Some(self.rights.tenant()))
            .in_database(database.map(|database| database.name.clone()))
            .with("user", &*self.identity.name)
            .with_some("by_key", self.identity.key.map(|used| used.id.to_string()))
            .with("protocol", self.entry.protocol().as_str())
    }
}

/// What is granted, on what, to whom.
pub(super) fn of_grant(grant: &TableGrant) -> Details {
    let mut tables: Vec<String> = grant.tables.iter().map(table_text).collect();
    let all_in = grant.all_in.iter();
    tables.extend(all_in.map(|schema| format!("all in schema {schema}")));
    let whom = match grant.direction {
        Direction::Grant => "to",
        Direction::Revoke => "from",
    };
    vec![
        ("privileges", privileges_text(grant.privileges)),
        ("tables", tables.join(", ")),
        (whom, grant.grantees.join(", ")),
    ]
}

/// What is granted, on which schemas, to whom.
pub(super) fn of_schema_grant(grant: &SchemaGrant) -> Details {
    let whom = match grant.direction {
        Direction::Grant => "to",
        Direction::Revoke => "from",
    };
    let privileges: Vec<_> = grant.privileges.names().collect();
    vec![
        ("privileges", privileges.join(", ")),
        ("schemas", grant.schemas.join(", ")),
        (whom, grant.grantees.join(", ")),
    ]
}

/// Which policy of which table. Its predicate is a text of the client's, and stands in SHOW RLS POLICIES.
pub(super) fn of_policy(policy: &RowPolicyStatement) -> Details {
    match policy {
        RowPolicyStatement::Create(new) => vec![
            ("name", new.name.clone()),
            ("table", table_text(&new.table)),
            ("to", new.roles.join(", ")),
        ],
        RowPolicyStatement::Drop { name, table, .. } => {
            vec![("name", name.clone()), ("table", table_text(table))]
        }
    }
}

fn privileges_text(privileges: Privileges) -> String {
    let named = [
        (privileges.select, "SELECT"),
        (privileges.insert, "INSERT"),
        (privileges.update, "UPDATE"),
        (privileges.delete, "DELETE"),
    ];
    let held = named.iter().filter(|(held, _)| *held);
    held.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn table_text(table: &TableName) -> String {
    match &table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    }
}
