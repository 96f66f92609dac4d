//! What control asks of whoever keeps the rows.

use crate::catalog::definition::Orphans;
use crate::diagnostic::Diagnostic;

/// Whoever keeps definitions and rows (the engine over storage), asked when a database goes.
pub trait RowKeeper: Send {
    /// Removes the definitions and rows of these, durably; they belong to databases that
    /// are gone from the catalog and that every core has let go of. Blocks the control thread.
    ///
    /// Called again at the next start for what a crash or an error here left behind, so that it
    /// must take what is partly gone.
    ///
    /// # Errors
    /// The databases are gone all the same; the statement answers with a warning.
    fn forget(&self, orphans: &Orphans) -> Result<(), Diagnostic>;
}
