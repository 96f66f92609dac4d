//! SHOW TLS: what is in force, and why newer files are not. One row; none without TLS.

use super::{INTEGER, TEXT, TIMESTAMPTZ, Table, text, timestamp};
use crate::access::rights::{denied, rights};
use crate::auth::identity::Identity;
use crate::auth::tls::{Demand, InForce};
use crate::catalog::Snapshot;
use crate::catalog::role::Ladder;
use crate::diagnostic::Diagnostic;

/// For admin and above.
///
/// # Errors
/// 42501 for anybody else.
pub fn tls(
    snapshot: &Snapshot,
    identity: &Identity,
    in_force: Option<&InForce>,
) -> Result<Table, Diagnostic> {
    if !rights(snapshot, identity).reaches(Ladder::Admin) {
        return Err(denied("permission denied to show TLS".to_owned())
            .with_detail("It takes the role admin or one above it."));
    }
    let columns = vec![
        ("certificate", TEXT),
        ("serial", TEXT),
        ("not_after", TIMESTAMPTZ),
        ("min_version", TEXT),
        ("client_certificates", TEXT),
        ("revocation_lists", INTEGER),
        ("taken_at", TIMESTAMPTZ),
        ("reloads", INTEGER),
        ("failed_reloads", INTEGER),
        ("failure", TEXT),
        ("failed_at", TIMESTAMPTZ),
    ];
    let row = |in_force: &InForce| {
        let (set, status) = (in_force.current(), in_force.status());
        let certificate = set.certificate();
        let failure = status.failure.as_ref();
        vec![
            text(&certificate.subject),
            text(&certificate.serial),
            timestamp(certificate.not_after.saturating_mul(1_000_000)),
            text(set.terms().version_min.as_str()),
            text(match (set.trust(), set.terms().demand) {
                (None, _) => "not requested",
                (Some(_), Demand::Requested) => "requested",
                (Some(_), Demand::Required) => "required",
            }),
            text(set.trust().map_or(0, |trust| trust.counts().1)),
            timestamp(status.taken_at),
            text(status.reloads),
            text(status.failures),
            failure.map(|failure| failure.reason.clone()),
            failure.and_then(|failure| timestamp(failure.at)),
        ]
    };
    Ok(Table {
        columns,
        rows: in_force.map(row).into_iter().collect(),
    })
}
