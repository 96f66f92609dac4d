//! SHOW AUDIT LOG and VERIFY AUDIT CHAIN (REFERENCE §1, §9): both read the files on the query pool, and ask
//! nothing of the thread that writes them.

use super::{Answer, Session, show};
use crate::access::rights::denied;
use crate::audit::verify::{self, End, VerifyError};
use crate::audit::{Row, SCANNED_BYTES_MAX, newest};
use crate::catalog::TenantId;
use crate::catalog::role::Ladder;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, ResultField};
use std::io;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;

/// Entries without LIMIT.
const LIMIT_DEFAULT: u32 = 100;

/// Entries of one statement: an answer is made as a whole. More: `nodedb audit export`.
const LIMIT_MAX: u32 = 10_000;

const INT8: SqlType = SqlType::scalar(TypeKind::Int8);
const INT4: SqlType = SqlType::scalar(TypeKind::Int4);
const TEXT: SqlType = SqlType::scalar(TypeKind::Text);
const TIMESTAMPTZ: SqlType = SqlType::scalar(TypeKind::Timestamptz);

const SHOWN: [(&str, SqlType); 7] = [
    ("seq", INT8),
    ("timestamp", TIMESTAMPTZ),
    ("event", TEXT),
    ("tenant_id", INT4),
    ("database", TEXT),
    ("source", TEXT),
    ("detail", TEXT),
];

const VERIFIED: [(&str, SqlType); 4] = [
    ("status", TEXT),
    ("entries", INT8),
    ("first_bad_seq", INT8),
    ("detail", TEXT),
];

/// What SHOW AUDIT LOG tells, before it runs.
pub(super) fn shown_fields() -> Arc<[ResultField]> {
    show::fields(&SHOWN)
}

/// What VERIFY AUDIT CHAIN tells, before it runs.
pub(super) fn verified_fields() -> Arc<[ResultField]> {
    show::fields(&VERIFIED)
}

impl Session {
    /// The newest entries first: of its tenant for a tenant_admin, of all tenants for a superuser.
    ///
    /// # Errors
    /// 42501 for whoever is below tenant_admin; 22023 for a limit past 10,000; 58030 for files that cannot
    /// be read.
    pub(super) async fn show_audit_log(
        &mut self,
        limit: Option<u32>,
    ) -> Result<Answer, Diagnostic> {
        self.adopt()?;
        if !self.rights.reaches(Ladder::TenantAdmin) {
            return Err(denied("permission denied to show the audit log")
                .with_detail("It takes the role tenant_admin or one above it."));
        }
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if limit > LIMIT_MAX {
            let code = SqlState::INVALID_PARAMETER_VALUE;
            let error = Diagnostic::error(code, format!("LIMIT must not be above {LIMIT_MAX}"));
            return Err(error.with_hint("`nodedb audit export` prints all of the log."));
        }
        let seen = match self.rights.is_superuser() {
            true => Seen::All,
            false => Seen::Tenant(self.rights.tenant()),
        };
        let audit = self.services.parts.audit.clone();
        let cancel = self.entry.cancel_flag().clone();
        let reading = move || {
            let mut rows = Vec::new();
            let take = |row: Row| {
                if rows.len() >= limit as usize || cancel.check().is_err() {
                    return ControlFlow::Break(());
                }
                if seen.shows(&row) {
                    rows.push(cells(row));
                }
                ControlFlow::Continue(())
            };
            let complete = newest(audit.directory(), &audit.head(), take)?;
            Ok((rows, complete))
        };
        let engine = self.services.parts.engine.clone();
        let reading = engine
            .query()
            .pool()
            .run(async move { reading().map_err(unreadable) });
        let (rows, complete) = self.interruptible(pin!(reading)).await??;
        if !complete {
            self.notices.push(
                Diagnostic::notice(format!(
                    "only the newest {} MiB of the audit log were looked through",
                    SCANNED_BYTES_MAX >> 20
                ))
                .with_hint("`nodedb audit export` prints all of it."),
            );
        }
        let tag = CommandTag::Select(rows.len() as u64);
        show::rows(&SHOWN, rows, tag)
    }

    /// One row: whether all of the log is as it was written.
    ///
    /// # Errors
    /// 42501 for whoever is no superuser; 58030 for files that cannot be read.
    pub(super) async fn verify_audit_chain(&mut self) -> Result<Answer, Diagnostic> {
        self.adopt()?;
        if !self.rights.is_superuser() {
            return Err(denied("must be superuser to verify the audit chain"));
        }
        let audit = self.services.parts.audit.clone();
        let cancel = self.entry.cancel_flag().clone();
        let verifying = move || {
            let given_up = || cancel.check().is_err();
            let head = audit.head();
            let end = End::Known(&head);
            verify::directory(audit.directory(), audit.key(), end, &given_up)
        };
        let engine = self.services.parts.engine.clone();
        let verifying = engine.query().pool().run(async move {
            verifying().map_err(|error| match error {
                VerifyError::Io(error) => unreadable(error),
                // The statement's flag has more to say, and says it.
                given_up @ VerifyError::GivenUp => Diagnostic::internal(given_up.to_string()),
            })
        });
        let report = self.interruptible(pin!(verifying)).await??;
        let (status, first_bad, detail) = match report.fault {
            Some(fault) => ("broken", Some(fault.seq.to_string()), Some(fault.what)),
            None => (
                "ok",
                None,
                Some(report.notes.join("; ")).filter(|it| !it.is_empty()),
            ),
        };
        let row = vec![
            Some(status.to_owned()),
            Some(report.entries.to_string()),
            first_bad,
            detail,
        ];
        show::rows(&VERIFIED, vec![row], CommandTag::Select(1))
    }
}

/// Whose entries somebody sees.
#[derive(Clone, Copy)]
enum Seen {
    All,
    Tenant(TenantId),
}

impl Seen {
    fn shows(self, row: &Row) -> bool {
        match self {
            Seen::All => true,
            Seen::Tenant(tenant) => row.tenant == Some(tenant),
        }
    }
}

fn cells(row: Row) -> Vec<Option<String>> {
    vec![
        Some(row.seq.to_string()),
        Some(row.timestamp),
        Some(row.event),
        row.tenant.map(|tenant| tenant.to_string()),
        row.database,
        Some(row.source),
        Some(row.detail),
    ]
}

fn unreadable(error: io::Error) -> Diagnostic {
    let message = format!("the audit log cannot be read: {error}");
    Diagnostic::error(SqlState::IO_ERROR, message)
}
