//! COPY in and out: text and CSV.

use super::context::StatementContext;
use super::entry::Engine;
use super::outcome::CommandTag;
use super::transaction::Transaction;
use crate::diagnostic::Diagnostic;
use bytes::BytesMut;
use sqlparser::ast;

/// COPY … FROM STDIN under way.
pub struct CopyIn {}

impl CopyIn {
    /// Begins `COPY t [(columns)] FROM STDIN`; the statement is one that [`is_copy_in`].
    ///
    /// # Errors
    /// 42P01, 42703, 42501, 22023 and 42601 for options, 0A000.
    pub async fn begin(
        statement: &ast::Statement,
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<CopyIn, Diagnostic> {
        let _ = (statement, engine, transaction, context);
        todo!()
    }

    /// How many columns a line has: CopyInResponse's count, all in text format.
    pub fn columns(&self) -> usize {
        todo!()
    }

    /// Takes bytes of the input, cut anywhere. Yields to the core by itself.
    ///
    /// # Errors
    /// What input functions and constraints raise, with the line as context.
    pub async fn push(
        &mut self,
        bytes: &[u8],
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<(), Diagnostic> {
        let _ = (bytes, engine, transaction, context);
        todo!()
    }

    /// The end of the input (CopyDone): gives `COPY n`.
    ///
    /// # Errors
    /// As [`CopyIn::push`].
    pub async fn finish(
        self,
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<CommandTag, Diagnostic> {
        let _ = (engine, transaction, context);
        todo!()
    }
}

/// Whether the statement is COPY … FROM STDIN rather than TO STDOUT.
pub fn is_copy_in(statement: &ast::Statement) -> bool {
    matches!(statement, ast::Statement::Copy { to: false, .. })
}

/// COPY … TO STDOUT under way.
pub struct CopyOut {}

/// Lines ready to be sent.
pub struct CopyLines<'a> {
    copy: &'a CopyOut,
}

impl CopyOut {
    /// Begins `COPY t [(columns)] TO STDOUT` or `COPY (query) TO STDOUT`.
    ///
    /// # Errors
    /// 42P01, 42703, 42501, 22023 and 42601 for options, 0A000; what analysing the query gives.
    pub async fn begin(
        statement: &ast::Statement,
        engine: &Engine,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<CopyOut, Diagnostic> {
        let _ = (statement, engine, transaction, context);
        todo!()
    }

    /// How many columns a line has: CopyOutResponse's count, all in text format.
    pub fn columns(&self) -> usize {
        todo!()
    }

    /// The next lines; none at the end.
    ///
    /// # Errors
    /// What the query runs into.
    pub async fn next(&mut self) -> Result<Option<CopyLines<'_>>, Diagnostic> {
        todo!()
    }

    /// `COPY n`, of the rows given so far.
    pub fn tag(&self) -> CommandTag {
        todo!()
    }
}

impl CopyLines<'_> {
    /// How many there are; each is one CopyData message.
    pub fn len(&self) -> usize {
        let _ = self.copy;
        todo!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends line number `line` with its end of line.
    pub fn write(&self, line: usize, out: &mut BytesMut) {
        let _ = (line, out);
        todo!()
    }
}
