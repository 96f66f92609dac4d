//! What whoever wants something that has to be recorded is told while nothing can be.

use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

/// The log cannot be written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable(pub Arc<str>);

impl From<Unwritable> for Diagnostic {
    fn from(unwritable: Unwritable) -> Diagnostic {
        let Unwritable(reason) = unwritable;
        Diagnostic::error(
            SqlState::DISK_FULL,
            format!("the audit log cannot be written: {reason}"),
        )
        .with_hint(
            "Logins and credential statements are refused until it can be; superusers may still log in, and other \
             statements run. Make room where data_dir lies: it is tried again every second.",
        )
    }
}
