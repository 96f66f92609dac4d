//! The one rule that keeps a server from locking everybody out.

use crate::catalog::principal::PrincipalKind;
use crate::catalog::role::Ladder;
use crate::control::draft::Draft;
use crate::diagnostic::{Diagnostic, SqlState};

/// Refuses a change after which nobody could log in as a superuser.
///
/// # Errors
/// 55000 with what would help.
pub fn require(draft: &Draft) -> Result<(), Diagnostic> {
    let somebody = draft.snapshot().principals.all().any(|principal| {
        matches!(principal.kind, PrincipalKind::User { .. })
            && principal.ladder.contains(&Ladder::Superuser)
            && principal.enabled
            && principal.valid_until.is_none_or(|end| end > draft.now)
    });
    if somebody {
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the last superuser must stay able to log in",
    )
    .with_hint("CREATE USER name WITH PASSWORD '…' ROLE superuser makes another one first."))
}
