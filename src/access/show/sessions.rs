//! SHOW SESSIONS and SHOW REVOCATIONS: what the session rooms and control have gathered, laid out.

use super::{INTEGER, TEXT, TIMESTAMPTZ, Table, text, timestamp};
use crate::access::rights::{Rights, denied};
use crate::catalog::revocation::Revocation;
use crate::catalog::role::Ladder;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

const BIGINT: SqlType = SqlType::scalar(TypeKind::Int8);
const DOUBLE: SqlType = SqlType::scalar(TypeKind::Float8);

/// The sessions, with the columns of REFERENCE §1.
pub fn sessions(rows: Vec<Vec<Option<String>>>) -> Table {
    let columns = vec![
        ("session_id", TEXT),
        ("username", TEXT),
        ("auth_method", TEXT),
        ("protocol", TEXT),
        ("client_ip", TEXT),
        ("database", TEXT),
        ("core", INTEGER),
        ("connected_at", TIMESTAMPTZ),
        ("state", TEXT),
        ("catalog_epoch", BIGINT),
    ];
    Table { columns, rows }
}

/// What was taken from whom, the newest first: of the tenant for tenant_admin, all for a superuser.
///
/// # Errors
/// 42501 for anybody else.
pub fn revocations(rights: &Rights, all: &[Arc<Revocation>]) -> Result<Table, Diagnostic> {
    if !rights.reaches(Ladder::TenantAdmin) {
        return Err(denied("permission denied to show revocations".to_owned())
            .with_detail("It takes the role tenant_admin or one above it."));
    }
    let columns = vec![
        ("revoked_at", TIMESTAMPTZ),
        ("event", TEXT),
        ("subject", TEXT),
        ("revoked_by", TEXT),
        ("tenant_id", INTEGER),
        ("catalog_epoch", BIGINT),
        ("sessions_ended", BIGINT),
        ("statements_cancelled", BIGINT),
        ("took_ms", DOUBLE),
        ("cores", TEXT),
    ];
    let in_sight = |it: &&Arc<Revocation>| rights.is_superuser() || it.tenant == rights.tenant();
    let rows = all.iter().rev().filter(in_sight).map(|it| {
        vec![
            timestamp(it.at),
            text(it.event),
            text(&it.subject),
            it.by.as_ref().and_then(text),
            text(it.tenant),
            it.epoch.and_then(text),
            text(it.ended.sessions),
            text(it.ended.statements),
            text(milliseconds(it.took)),
            text(cores(it)),
        ]
    });
    Ok(Table {
        rows: rows.collect(),
        columns,
    })
}

/// Each core with its time, `0: 0.4 ms, 1: late`.
fn cores(revocation: &Revocation) -> String {
    let done = (revocation.cores.iter())
        .filter(|(core, _)| !revocation.late.contains(core))
        .map(|(core, took)| format!("{core}: {} ms", milliseconds(*took)));
    let late = revocation.late.iter().map(|core| format!("{core}: late"));
    done.chain(late).collect::<Vec<_>>().join(", ")
}

fn milliseconds(time: std::time::Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}
