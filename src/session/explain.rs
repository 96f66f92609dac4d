//! EXPLAIN AUTHENTICATION: worked out beside the cores, since a signature may take longer than a slice.

use super::services::now_microseconds;
use super::{Answer, Session, show};
use crate::access::explain::{self, ClientCertificates, Surroundings};
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::{CommandTag, ResultField};
use crate::sql::credential::ExplainAuthentication;
use std::pin::pin;
use std::sync::Arc;

/// What it tells, before it runs.
pub(super) fn fields() -> Arc<[ResultField]> {
    show::fields(&explain::COLUMNS)
}

impl Session {
    /// Who asked about whom is noted in the log.
    ///
    /// # Errors
    /// 42501 for who is below tenant_admin; 42704 for a user who is not in sight; 53300 when too much
    /// waits.
    pub(super) async fn explain_authentication(
        &mut self,
        about: ExplainAuthentication,
    ) -> Result<Answer, Diagnostic> {
        let adopted = self.adopt()?;
        let subject = match &about {
            ExplainAuthentication::Token(_) => "a token",
            ExplainAuthentication::User { name, .. } => name,
        };
        tracing::info!(
            by = &*self.identity.name,
            about = subject,
            "authentication is explained"
        );
        let statement = "EXPLAIN AUTHENTICATION";
        self.note_explained(statement, subject.to_owned()).await?;
        let (snapshot, identity) = (adopted.snapshot().clone(), self.identity.clone());
        let parts = &self.services.parts;
        let keys = parts.key_sets.clone();
        let tls = parts.encryption.tls.as_ref();
        let client_certificates = match tls.is_some_and(|tls| tls.current().trust().is_some()) {
            true => ClientCertificates::Asked,
            false => ClientCertificates::NotAsked,
        };
        let off_core = parts.off_core.clone();
        let explaining = off_core.run(move || {
            let surroundings = Surroundings {
                keys: &keys,
                client_certificates,
                now: now_microseconds(),
            };
            explain::authentication(&about, &snapshot, &identity, &surroundings)
        });
        let table = self.interruptible(pin!(explaining)).await??;
        let tag = CommandTag::Select(table.rows.len() as u64);
        show::rows(&table.columns, table.rows, tag)
    }
}
