//! Credential statements: each a change of its own, carried out by the control core.
//!
//! A password becomes a verifier off the core, and only that goes on (REFERENCE §3); an API key's
//! secret is made here, shown once, and only its hash goes on. The statement returns when every core
//! has adopted its epoch (DESIGN §2).

use super::audited::Refusal;
use super::run::interruptible;
use super::transaction::{Block, not_in_a_block};
use super::{Answer, Session, audited, show};
use crate::auth::api_key::{self, NewSecret};
use crate::auth::derivation::{DerivationError, Derived, Recipe};
use crate::auth::secret::Password;
use crate::catalog::key::SecretHash;
use crate::catalog::principal::PrincipalKind;
use crate::catalog::request::{PasswordChange, UserChange};
use crate::catalog::verifier::Verifier;
use crate::catalog::{KeyId, Request};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::CommandTag;
use crate::engine::transaction::Transaction;
use crate::engine::{Engine, definitions};
use crate::sql::credential::{
    AlterPassword, CredentialStatement, PasswordWanted, RotateApiKey, RowPolicyStatement,
    SchemaGrant, TableGrant,
};
use ring::rand::SystemRandom;
use std::num::NonZeroU32;
use std::pin::pin;

/// What has become of a change of definitions when its statement has run: its transaction may yet be rolled back.
const IN_TRANSACTION: &str = "done in its transaction";

/// Which salt a new verifier is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Salt {
    /// One of its own.
    Own,
    /// That of the password in force: a SCRAM challenge names one, before it is known which of two
    /// passwords is going to be proved.
    OfTheFirst,
}

/// The column of the one row that shows a key.
pub(super) const API_KEY_COLUMN: &str = "api_key";

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
        let title = statement.title();
        match statement {
            CredentialStatement::CreateUser(mut create) => {
                let recipe = Recipe::fresh(self.services.parts.scram_iterations);
                let verifier = self.derive(create.password.take(), recipe).await?;
                self.ask(create.into_request(verifier)).await
            }
            CredentialStatement::AlterPassword(alter) => Box::pin(self.alter_password(alter)).await,
            CredentialStatement::CreateApiKey(key) => {
                let id = api_key::random_id(&SystemRandom::new());
                self.show_secret(id, |secret| Request::CreateApiKey { id, secret, key })
                    .await
            }
            CredentialStatement::RotateApiKey(rotate) => self.rotate(rotate).await,
            CredentialStatement::CreateProvider { if_exists, wanted } => {
                let creating = Box::pin(self.create_provider(if_exists, wanted));
                creating.await.map(Answer::Done)
            }
            CredentialStatement::RefreshKeys(name) => {
                Box::pin(self.refresh_keys(&name)).await.map(Answer::Done)
            }
            CredentialStatement::Change(request) => self.ask(request).await,
            CredentialStatement::Table(grant) => {
                let detail = audited::of_grant(&grant);
                let answer = self.run_table_grant(&grant).await;
                self.note_credential_statement(title, detail, IN_TRANSACTION, answer)
                    .await
            }
            CredentialStatement::Schema(grant) => {
                let detail = audited::of_schema_grant(&grant);
                let answer = self.run_schema_grant(&grant).await;
                self.note_credential_statement(title, detail, IN_TRANSACTION, answer)
                    .await
            }
            CredentialStatement::RowPolicy(policy) => {
                let detail = audited::of_policy(&policy);
                let answer = self.run_row_policy(&policy).await;
                self.note_credential_statement(title, detail, IN_TRANSACTION, answer)
                    .await
            }
            CredentialStatement::UseDatabase(name) => self.use_database(&name),
            CredentialStatement::KillSession(id) => {
                let answer = Box::pin(self.kill_session(&id)).await;
                let (details, done) = (vec![("session", id)], "done");
                Box::pin(self.note_credential_statement(title, details, done, answer)).await
            }
            CredentialStatement::Show(show) => self.show_credentials(show).await,
            CredentialStatement::ShowAuditLog { limit } => {
                Box::pin(self.show_audit_log(limit)).await
            }
            CredentialStatement::VerifyAuditChain => Box::pin(self.verify_audit_chain()).await,
            CredentialStatement::ExplainAuthentication(about) => {
                Box::pin(self.explain_authentication(about)).await
            }
        }
    }

    /// A new secret for a key: it is looked up here, because its id is part of what is shown.
    async fn rotate(&mut self, rotate: RotateApiKey) -> Result<Answer, Diagnostic> {
        let RotateApiKey {
            name,
            grace_minutes,
        } = rotate;
        let adopted = self.adopt()?;
        let principals = &adopted.snapshot().principals;
        let named = principals.key_named(self.rights.tenant(), &name);
        let named = named.map(|key| key.id);
        // An id that is nobody's, so that who may not alter keys is told so and no more.
        let missing = || api_key::random_id(&SystemRandom::new());
        let id = named.or_else(|| name.parse().ok());
        let id = id.unwrap_or_else(missing);
        self.show_secret(id, |secret| Request::RotateApiKey {
            id,
            secret,
            grace_minutes,
        })
        .await
        .map_err(|error| match error.sqlstate() {
            SqlState::UNDEFINED_OBJECT => unknown_key(&name),
            _ => error,
        })
    }

    /// Asks for a key with a new secret; once control has it, the key is shown, the only time.
    async fn show_secret(
        &mut self,
        id: KeyId,
        request: impl FnOnce(SecretHash) -> Request,
    ) -> Result<Answer, Diagnostic> {
        let secret = NewSecret::random(&SystemRandom::new());
        let tag = self.ask_control(request(secret.hash)).await?;
        let token = secret.expose_token(id);
        show::one_text(API_KEY_COLUMN, &token, tag)
    }

    async fn alter_password(&mut self, alter: AlterPassword) -> Result<Answer, Diagnostic> {
        let AlterPassword { name, wanted } = alter;
        let remembered = self.services.parts.password_policy.reuse;
        let change = match wanted {
            PasswordWanted::Set(password) => {
                let recipe = self.recipe(&name, Salt::Own)?;
                PasswordChange::Set(self.derive(password, recipe).await?)
            }
            PasswordWanted::Add(password) => {
                let recipe = self.recipe(&name, Salt::OfTheFirst)?;
                let added = self.derive(Some(password), recipe).await?;
                PasswordChange::Add(added.ok_or(DerivationError::Empty)?)
            }
            PasswordWanted::DropOld => PasswordChange::DropOld,
        };
        self.ask(Request::AlterUser {
            name,
            change: UserChange::Password { change, remembered },
        })
        .await
    }

    /// How a new password of this user becomes a verifier, by what it has now. Whether whoever asks may
    /// alter it, and whether it is still so then, is for control to say.
    fn recipe(&mut self, user: &str, salt: Salt) -> Result<Recipe, Diagnostic> {
        let adopted = self.adopt()?;
        let parts = &self.services.parts;
        let mut recipe = Recipe::fresh(parts.scram_iterations);
        let user = adopted.snapshot().principals.principal_named(user);
        if let Some(PrincipalKind::User { passwords, .. }) = user.map(|it| &it.kind) {
            if let (Salt::OfTheFirst, Some(first)) = (salt, passwords.verifier()) {
                recipe.salt = Some(first.salt.clone());
                recipe.iterations = NonZeroU32::new(first.iterations).unwrap_or(recipe.iterations);
            }
            if parts.password_policy.reuse > 0 {
                recipe.differs_from = passwords.used().cloned().collect();
            }
        }
        Ok(recipe)
    }

    /// The verifier of a password, worked out off the core; None: PASSWORD NULL, or an empty one.
    async fn derive(
        &mut self,
        password: Option<Password>,
        recipe: Recipe,
    ) -> Result<Option<Verifier>, Diagnostic> {
        let Some(password) = password else {
            return Ok(None);
        };
        self.services.parts.password_policy.check(&password)?;
        let derivation = self.services.parts.derivation.clone();
        let derived = derivation.derive(password, recipe).await?;
        if derived == Derived::Empty {
            self.notices.push(Derived::empty_notice());
        }
        Ok(derived.into_verifier())
    }

    async fn ask(&mut self, request: Request) -> Result<Answer, Diagnostic> {
        self.ask_control(request).await.map(Answer::Done)
    }

    pub(super) async fn ask_control(&mut self, request: Request) -> Result<CommandTag, Diagnostic> {
        let control = self.services.parts.control.clone();
        let _asking = self.handle().asks_control();
        let replied = control.execute(self.caller(), request).await;
        // The control core has recorded it, whatever it was.
        self.refusal = Refusal::of(&replied);
        let mut reply = replied?;
        self.notices.append(&mut reply.notices);
        Ok(CommandTag::Plain(reply.tag))
    }

    /// GRANT and REVOKE on tables: transactional with the rows.
    async fn run_table_grant(&mut self, grant: &TableGrant) -> Result<Answer, Diagnostic> {
        self.define(async |engine, transaction, context| {
            definitions::grant(grant, engine, transaction, context).await
        })
        .await
    }

    async fn run_schema_grant(&mut self, grant: &SchemaGrant) -> Result<Answer, Diagnostic> {
        self.define(async |engine, transaction, context| {
            definitions::grant_on_schema(grant, engine, transaction, context).await
        })
        .await
    }

    async fn run_row_policy(&mut self, policy: &RowPolicyStatement) -> Result<Answer, Diagnostic> {
        self.define(async |engine, transaction, context| {
            definitions::row_policy(policy, engine, transaction, context).await
        })
        .await
    }

    /// Carries a change of definitions out, as a statement of its transaction.
    async fn define(
        &mut self,
        carry_out: impl AsyncFnOnce(
            &Engine,
            &mut Transaction,
            &StatementContext,
        ) -> Result<CommandTag, Diagnostic>,
    ) -> Result<Answer, Diagnostic> {
        let context = self.begin_engine_statement()?;
        let handle = self.handle().clone();
        let engine = self.services.parts.engine.clone();
        let open = self.block.open().expect("the statement opened it");
        open.statement_ran();
        open.transaction.storage.begin_statement()?;
        let carried_out = carry_out(&engine, &mut open.transaction, &context);
        let tag = interruptible(&handle, pin!(carried_out)).await;
        self.absorb(&context);
        self.end_statement();
        tag.map(Answer::Done)
    }
}

fn unknown_key(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("API key \"{name}\" does not exist"),
    )
}
