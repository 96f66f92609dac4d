//! COPY … FROM STDIN and TO STDOUT: the session's half, between the protocol and the engine.

use super::{Answer, Session};
use crate::diagnostic::Diagnostic;
use sqlparser::ast::Statement;

/// COPY … FROM STDIN under way.
pub enum CopyIn {}

/// COPY … TO STDOUT under way.
pub enum CopyOut {}

impl Session {
    pub(super) async fn run_copy(&mut self, _statement: Statement) -> Result<Answer, Diagnostic> {
        self.adopt()?;
        Err(Diagnostic::unsupported("COPY"))
    }
}
