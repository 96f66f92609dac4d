//! COPY … FROM STDIN and TO STDOUT: the session's half, between the protocol and the engine.

use super::format::Format;
use super::prepared::Source;
use super::run::{PLANS_MAX, definitions_keep_changing, interruptible};
use super::{Answer, Session};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::copy::{self, CopyLines};
use crate::engine::outcome::CommandTag;
use sqlparser::ast::Statement;
use std::pin::pin;

/// COPY … FROM STDIN under way: bytes are pushed, then it is finished.
pub struct CopyIn {
    copy: copy::CopyIn,
    context: StatementContext,
}

/// COPY … TO STDOUT under way: lines are taken until there are none.
pub struct CopyOut {
    copy: copy::CopyOut,
}

impl CopyIn {
    /// How many columns a row has.
    pub fn columns(&self) -> usize {
        self.copy.columns()
    }

    /// The format of the data.
    pub fn format(&self) -> Format {
        format(self.copy.is_binary())
    }
}

fn format(is_binary: bool) -> Format {
    match is_binary {
        true => Format::Binary,
        false => Format::Text,
    }
}

impl CopyOut {
    /// How many columns a row has.
    pub fn columns(&self) -> usize {
        self.copy.columns()
    }

    /// The format of the data.
    pub fn format(&self) -> Format {
        format(self.copy.is_binary())
    }

    /// The next lines; none at the end.
    ///
    /// # Errors
    /// What the query runs into.
    pub async fn next(&mut self) -> Result<Option<CopyLines<'_>>, Diagnostic> {
        self.copy.next().await
    }

    /// The tag of what was taken.
    pub fn tag(&self) -> CommandTag {
        self.copy.tag()
    }
}

impl Session {
    pub(super) async fn run_copy(&mut self, statement: Statement) -> Result<Answer, Diagnostic> {
        for _ in 0..PLANS_MAX {
            let begun = if copy::is_copy_in(&statement) {
                let begun = self.begin_copy_in(&statement).await?;
                begun.map(|copy| Answer::CopyIn(Box::new(copy)))
            } else {
                let begun = self.begin_copy_out(&statement).await?;
                begun.map(|copy| Answer::CopyOut(Box::new(copy)))
            };
            if let Some(answer) = begun {
                return Ok(answer);
            }
        }
        Err(definitions_keep_changing())
    }

    async fn begin_copy_in(&mut self, statement: &Statement) -> Result<Option<CopyIn>, Diagnostic> {
        let context = self.begin_engine_statement()?;
        let handle = self.handle().clone();
        let engine = self.services.parts.engine.clone();
        let open = self.block.open().expect("the statement opened it");
        open.statement_ran();
        open.transaction.storage.begin_statement()?;
        let begun = copy::CopyIn::begin(statement, &engine, &mut open.transaction, &context);
        let begun = interruptible(&handle, pin!(begun)).await?;
        Ok(begun.map(|copy| CopyIn { copy, context }))
    }

    async fn begin_copy_out(
        &mut self,
        statement: &Statement,
    ) -> Result<Option<CopyOut>, Diagnostic> {
        let context = self.begin_engine_statement()?;
        let outgoing = copy::Outgoing::new(statement, &context)?;
        let source = Source {
            statement: Box::new(outgoing.query.clone()),
            text: outgoing.text.clone(),
        };
        let (planned, context) = self.plan(&source, &[]).await?;
        match self.execute_plan(&planned.plan, &[], &context).await? {
            None => Ok(None),
            Some(Answer::Rows(cursor)) => {
                let rows = cursor.into_rows();
                let copy = copy::CopyOut::new(outgoing, rows, &context.settings)?;
                Ok(Some(CopyOut { copy }))
            }
            Some(_) => Err(Diagnostic::unsupported("COPY of a statement without rows")),
        }
    }

    /// Takes bytes of the client's, cut anywhere.
    ///
    /// # Errors
    /// What the data are refused for; 57014, 57P01.
    pub async fn copy_push(&mut self, copy: &mut CopyIn, bytes: &[u8]) -> Result<(), Diagnostic> {
        let handle = self.handle().clone();
        let engine = self.services.parts.engine.clone();
        let open = self.block.open().expect("COPY opened it");
        let pushed = copy
            .copy
            .push(bytes, &engine, &mut open.transaction, &copy.context);
        let pushed = interruptible(&handle, pin!(pushed)).await;
        self.tellable(pushed).await
    }

    /// The client has sent all.
    ///
    /// # Errors
    /// As [`Session::copy_push`].
    pub async fn copy_finish(&mut self, copy: CopyIn) -> Result<CommandTag, Diagnostic> {
        let handle = self.handle().clone();
        let engine = self.services.parts.engine.clone();
        let CopyIn { copy, context } = copy;
        let open = self.block.open().expect("COPY opened it");
        let finished = copy.finish(&engine, &mut open.transaction, &context);
        let tag = interruptible(&handle, pin!(finished)).await;
        self.absorb(&context);
        let tag = self.tellable(tag).await?;
        self.end_statement();
        Ok(tag)
    }
}
