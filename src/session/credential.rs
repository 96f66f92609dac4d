//! Credential statements: each a change of its own, carried out by the control core.
//!
//! A password becomes a verifier off the core, and only that goes on (REFERENCE §3). The statement
//! returns when every core has adopted its epoch (DESIGN §2).

use super::transaction::{Block, not_in_a_block};
use super::{Answer, Session};
use crate::auth::derivation::Derived;
use crate::catalog::Request;
use crate::catalog::verifier::Verifier;
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::CommandTag;
use crate::sql::credential::{CredentialStatement, NewPassword, TableGrant};

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
                let derived = self.derive(&mut create.password).await?;
                self.ask(create.into_request(derived)).await
            }
            CredentialStatement::AlterPassword(mut alter) => {
                let derived = self.derive(&mut alter.password).await?;
                self.ask(alter.into_request(derived)).await
            }
            CredentialStatement::Change(request) => self.ask(request).await,
            CredentialStatement::Table(grant) => self.run_table_grant(&grant).await,
            CredentialStatement::Show(show) => self.show_credentials(&show),
        }
    }

    /// The verifier of a plain password, worked out off the core; others stay as they are.
    async fn derive(&mut self, password: &mut NewPassword) -> Result<Option<Verifier>, Diagnostic> {
        if let Some(notice) = password.empty_notice() {
            self.notices.push(notice);
        }
        let NewPassword::Plain(_) = password else {
            return Ok(None);
        };
        let NewPassword::Plain(plain) = std::mem::replace(password, NewPassword::Empty) else {
            unreachable!("it was plain a line ago");
        };
        let iterations = self.services.parts.scram_iterations;
        let derived = self.services.parts.derivation.clone();
        match derived.derive(plain, iterations).await? {
            Derived::Verifier(verifier) => {
                *password = NewPassword::Verifier(verifier.clone());
                Ok(Some(verifier))
            }
            Derived::Empty => {
                self.notices.push(Derived::empty_notice());
                Ok(None)
            }
        }
    }

    async fn ask(&mut self, request: Request) -> Result<Answer, Diagnostic> {
        let control = self.services.parts.control.clone();
        let mut reply = control.execute(self.caller(), request).await?;
        self.notices.append(&mut reply.notices);
        Ok(Answer::Done(CommandTag::Plain(reply.tag)))
    }

    async fn run_table_grant(&mut self, _grant: &TableGrant) -> Result<Answer, Diagnostic> {
        Err(Diagnostic::unsupported("GRANT ON TABLE"))
    }
}
