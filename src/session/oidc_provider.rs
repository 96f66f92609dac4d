//! CREATE OIDC PROVIDER and ALTER OIDC PROVIDER … REFRESH JWKS: what waits for a provider's keys.
//!
//! The control core makes the provider and has its keys fetched; the session waits for that here, which
//! blocks nobody (REFERENCE §3 "JWKS").

use super::Session;
use super::run::interruptible;
use crate::access::rights::denied;
use crate::catalog::PrincipalId;
use crate::catalog::Request;
use crate::catalog::provider_request::ProviderWanted;
use crate::catalog::request::IfExists;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::CommandTag;
use std::pin::pin;

impl Session {
    /// Makes the provider; it exists all the same where its keys cannot be had, with a warning.
    pub(super) async fn create_provider(
        &mut self,
        if_exists: IfExists,
        wanted: Box<ProviderWanted>,
    ) -> Result<CommandTag, Diagnostic> {
        let (issuer, audience) = (wanted.issuer.clone(), wanted.audience.clone());
        let made_before = self.provider_of(&issuer, audience.as_deref());
        let tag = self
            .ask_control(Request::CreateProvider { if_exists, wanted })
            .await?;
        let made = self.provider_of(&issuer, audience.as_deref());
        if let Some(id) = made.filter(|_| made_before.is_none())
            && let Err(reason) = self.fetch_keys(id).await?
        {
            self.notices.push(
                Diagnostic::warning(
                    SqlState::WARNING,
                    "the keys of the provider could not be fetched: none of its tokens is taken yet",
                )
                .with_detail(reason)
                .with_hint("SHOW OIDC PROVIDERS tells when they have come."),
            );
        }
        Ok(tag)
    }

    /// Fetches now, whatever the breaker says.
    ///
    /// # Errors
    /// 42501 for who is not a superuser, 42704, and 08006 where nothing comes.
    pub(super) async fn refresh_keys(&mut self, name: &str) -> Result<CommandTag, Diagnostic> {
        let adopted = self.adopt()?;
        if !self.rights.is_superuser() {
            return Err(denied("must be superuser to alter OIDC providers"));
        }
        let principals = &adopted.snapshot().principals;
        let provider = principals.provider_named(self.rights.tenant(), name);
        let provider = provider.map(|provider| provider.id).ok_or_else(|| {
            let message = format!("OIDC provider \"{name}\" does not exist");
            Diagnostic::error(SqlState::UNDEFINED_OBJECT, message)
        })?;
        match self.fetch_keys(provider).await? {
            Ok(_) => Ok(CommandTag::Plain("ALTER OIDC PROVIDER")),
            Err(reason) => Err(Diagnostic::error(
                SqlState::CONNECTION_FAILURE,
                format!("the keys of OIDC provider \"{name}\" could not be fetched"),
            )
            .with_detail(reason)),
        }
    }

    fn provider_of(&self, issuer: &str, audience: Option<&str>) -> Option<PrincipalId> {
        let adopted = self.services.parts.catalog.current();
        let mut of_issuer = adopted.snapshot().principals.providers_of(issuer);
        let found = of_issuer.find(|it| it.is_the_same_source(issuer, audience));
        found.map(|provider| provider.id)
    }

    async fn fetch_keys(
        &self,
        provider: PrincipalId,
    ) -> Result<crate::auth::jwks::Outcome, Diagnostic> {
        let requests = self.services.parts.key_requests.clone();
        let fetching = async { Ok(requests.refresh(provider).await) };
        interruptible(self.handle(), pin!(fetching)).await
    }
}
