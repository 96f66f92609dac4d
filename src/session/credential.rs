//! Credential statements: each a change of its own, carried out by the control core.
//!
//! A password becomes a verifier off the core, and only that goes on (REFERENCE §3). The statement
//! returns when every core has adopted its epoch (DESIGN §2).

use super::run::interruptible;
use super::transaction::{Block, not_in_a_block};
use super::{Answer, Session};
use crate::auth::derivation::Derived;
use crate::auth::secret::Password;
use crate::catalog::Request;
use crate::catalog::verifier::Verifier;
use crate::diagnostic::Diagnostic;
use crate::engine::definitions;
use crate::engine::outcome::CommandTag;
use crate::sql::credential::{CredentialStatement, TableGrant};
use std::pin::pin;

impl Session {
    /// Runs one credential statement.
    ///
    /// # Errors
    /// 25001 in a block, and what REFERENCE §1 says of each.
    pub async fn run_credential(
        &mut self,
        statement: CredentialStatement,
    ) -> Result<Answer, Diagnostic> {
        self.block.check_usable()?;
        self.adopt()?;
        if statement.stands_alone() && !matches!(self.block, Block::None) {
            return Err(not_in_a_block(statement.title()));
        }
        match statement {
            CredentialStatement::CreateUser(mut create) => {
                let verifier = self.derive(create.password.take()).await?;
                self.ask(create.into_request(verifier)).await
            }
            CredentialStatement::AlterPassword(mut alter) => {
                let verifier = self.derive(alter.password.take()).await?;
                self.ask(alter.into_request(verifier)).await
            }
            CredentialStatement::Change(request) => self.ask(request).await,
            CredentialStatement::Table(grant) => self.run_table_grant(&grant).await,
            CredentialStatement::Show(show) => self.show_credentials(&show),
        }
    }

    /// The verifier of a password, worked out off the core; None: PASSWORD NULL, or an empty one.
    async fn derive(&mut self, password: Option<Password>) -> Result<Option<Verifier>, Diagnostic> {
        let Some(password) = password else {
            return Ok(None);
        };
        let iterations = self.services.parts.scram_iterations;
        let derivation = self.services.parts.derivation.clone();
        let derived = derivation.derive(password, iterations).await?;
        if derived == Derived::Empty {
            self.notices.push(Derived::empty_notice());
        }
        Ok(derived.into_verifier())
    }

    async fn ask(&mut self, request: Request) -> Result<Answer, Diagnostic> {
        let control = self.services.parts.control.clone();
        let _asking = self.handle().asks_control();
        let mut reply = control.execute(self.caller(), request).await?;
        self.notices.append(&mut reply.notices);
        Ok(Answer::Done(CommandTag::Plain(reply.tag)))
    }

    /// GRANT and REVOKE on tables: transactional with the rows.
    async fn run_table_grant(&mut self, grant: &TableGrant) -> Result<Answer, Diagnostic> {
        let context = self.begin_engine_statement()?;
        let handle = self.handle().clone();
        let engine = self.services.parts.engine.clone();
        let open = self.block.open().expect("the statement opened it");
        open.statement_ran();
        open.transaction.storage.begin_statement()?;
        let granted = definitions::grant(grant, &engine, &mut open.transaction, &context);
        let tag = interruptible(&handle, pin!(granted)).await;
        self.absorb(&context);
        self.end_statement();
        tag.map(Answer::Done)
    }
}
