//! What control asks of whoever keeps the rows.

use crate::catalog::definition::Relation;
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

/// Whoever keeps definitions and rows (the engine over storage), asked when a database goes.
pub trait RowKeeper: Send {
    /// Removes definitions and rows of these relations, durably; they belong to databases that
    /// are gone from the catalog and that every core has let go of. Blocks the control thread.
    ///
    /// Called again at the next start for what a crash or an error here left behind, so that it
    /// must take relations that are partly gone.
    ///
    /// # Errors
    /// The databases are gone all the same; the statement answers with a warning.
    fn forget(&self, relations: &[Arc<Relation>]) -> Result<(), Diagnostic>;
}
