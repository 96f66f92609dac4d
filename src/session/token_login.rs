//! Log-in by an identity provider's token (HTTP, the native protocol): REFERENCE §3 "JWT".
//!
//! A core remembers the tokens it has verified, so that one presented again costs a hash and a look-up.
//! A new one is verified in this slice; one of an unusually long key elsewhere. A key that is not known
//! yet may have come into use a moment ago: its provider is asked, and the log-in waits for that.

use super::attempt::{Claim, LoginRefused, Reason};
use super::login::Origin;
use super::services::{CoreServices, PlainBearer, now_microseconds};
use crate::auth::claims::Claims;
use crate::auth::identity::Method;
use crate::auth::jwks::{self, KeySet, KeySets};
use crate::auth::jwt::{self, Remembered, TOKEN_BYTES_MAX, Token, Trace};
use crate::auth::token::{self, Bearer, Refusal, Verified};
use crate::auth::{Authenticated, claim_mapping};
use crate::catalog::port::{Caller, TokenOfCaller};
use crate::catalog::provider::Provider;
use crate::catalog::{Request, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};
use shards::Adopted;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a core knows of tokens and of the keys that they are signed with.
pub struct Tokens {
    remembered: RefCell<Remembered<Provider, Verified>>,
    keys: RefCell<jwks::View>,
}

impl Tokens {
    /// Nothing yet.
    pub fn new(sets: &KeySets) -> Tokens {
        Tokens {
            remembered: RefCell::default(),
            keys: RefCell::new(sets.view()),
        }
    }

    /// Another provider may be the one that a token is of now: whoever comes goes by the newest catalog.
    pub(super) fn adopt(&self, before: &Snapshot, now: &Snapshot) {
        if !before.principals.has_the_providers_of(&now.principals) {
            self.remembered.take();
        }
    }

    /// A token that this core has verified, where nothing that decided over it has changed.
    fn again(
        &self,
        trace: &Trace,
        snapshot: &Snapshot,
        now: i64,
    ) -> Option<(Arc<Provider>, Verified)> {
        let mut keys = self.keys.borrow_mut();
        let mut of = None;
        let mut remembered = self.remembered.borrow_mut();
        let verified = remembered.find(trace, now, |provider| {
            let provider = snapshot.principals.provider(provider.id)?.clone();
            let keys = keys.keys(provider.id, now).ok()?.clone();
            of = Some(provider.clone());
            Some((provider, keys))
        });
        let verified = verified?.clone();
        Some((of?, verified))
    }

    fn keys_of(&self, provider: &Provider, now: i64) -> Result<Arc<KeySet>, Refusal> {
        Ok(self.keys.borrow_mut().keys(provider.id, now)?.clone())
    }
}

/// A token as it was presented.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token.
    pub text: &'a str,
    /// What the client calls its provider, if anything.
    pub provider: Option<&'a str>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Checks a token that a client has presented.
///
/// One presented again costs a microsecond. A new one costs ring's verification of its signature, on
/// this core where that is short. Waits, without blocking the core, up to 5 s for its provider's keys
/// where they are not known and may be asked for.
///
/// # Errors
/// 28000 in one text whatever was wrong; 42501 for one that came in the clear from beyond loopback,
/// where that is not allowed; 53300 when too much waits.
pub async fn token(
    services: &CoreServices,
    presented: Presented<'_>,
) -> Result<Authenticated, LoginRefused> {
    let origin = presented.origin;
    if !origin.keeps_secrets() && services.parts.plain_bearer == PlainBearer::Refused {
        let told = Diagnostic::error(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "tokens are taken over TLS or loopback only: this connection is not encrypted",
        )
        .with_hint("allow_plain_bearer = true in [server] takes them all the same.");
        return Err(LoginRefused::told(Claim::by(Method::Jwt), told));
    }
    if presented.text.len() > TOKEN_BYTES_MAX {
        return Err(refused(jwt::Refusal::TooLong.into(), None));
    }
    let trace = Trace::of(presented.text);
    let adopted = services.parts.catalog.current();
    let now = now_microseconds();
    // Under another name for its provider it may be another's.
    let again = match presented.provider {
        None => services.tokens.again(&trace, adopted.snapshot(), now),
        Some(_) => None,
    };
    let (provider, verified) = match again {
        Some(known) => known,
        None => Box::pin(verify(services, presented, trace)).await?,
    };
    let adopted = services.parts.catalog.current();
    let principals = &adopted.snapshot().principals;
    match token::bearer(principals, &provider, &verified, now) {
        Ok(Bearer::Proved(proved)) => Ok(proved),
        Ok(Bearer::ToBeMade(name)) => {
            let making = make_user(services, &provider, &verified.claims, name, origin.peer);
            Box::pin(making).await?;
            let adopted = services.parts.catalog.current();
            let principals = &adopted.snapshot().principals;
            match token::bearer(principals, &provider, &verified, now) {
                Ok(Bearer::Proved(proved)) => Ok(proved),
                Ok(Bearer::ToBeMade(_)) => Err(refused(Refusal::Nameless, Some(&provider))),
                Err(refusal) => Err(refused(refusal, Some(&provider))),
            }
        }
        Err(refusal) => Err(refused(refusal, Some(&provider))),
    }
}

/// A token that this core does not know.
async fn verify(
    services: &CoreServices,
    presented: Presented<'_>,
    trace: Trace,
) -> Result<(Arc<Provider>, Verified), LoginRefused> {
    let mut has_asked = false;
    loop {
        let adopted = services.parts.catalog.current();
        let attempted = attempt(services, &adopted, presented).await;
        let attempted =
            attempted.map_err(|told| LoginRefused::told(Claim::by(Method::Jwt), told))?;
        let (provider, outcome) = attempted.map_err(|refusal| refused(refusal, None))?;
        match outcome {
            Ok((verified, keys)) => {
                let now = services.parts.catalog.current();
                let (now, then) = (&now.snapshot().principals, &adopted.snapshot().principals);
                // It may have taken long enough for another provider to have come.
                if presented.provider.is_none() && now.has_the_providers_of(then) {
                    let mut remembered = services.tokens.remembered.borrow_mut();
                    let (kept, ends_at) = (verified.clone(), verified.expires_at);
                    remembered.keep(trace, provider.clone(), keys, kept, ends_at);
                }
                return Ok((provider, verified));
            }
            Err(refusal) if has_asked || !refusal.may_be_mended_by_newer_keys() => {
                return Err(refused(refusal, Some(&provider)));
            }
            Err(refusal) => {
                let answer = services.parts.key_requests.unknown_kid(provider.id).await;
                if let Err(reason) = answer {
                    tracing::info!(provider = &*provider.name, %refusal, reason, "no newer keys");
                }
                // Looked at again in any case: at a start, kept keys may have been read meanwhile.
                has_asked = true;
            }
        }
    }
}

type Attempt = Result<(Verified, Arc<KeySet>), Refusal>;

/// Whose it says it is, and whether that is so by the keys at hand.
///
/// # Errors
/// 53300 where its key takes long and too much waits.
async fn attempt(
    services: &CoreServices,
    adopted: &Adopted<Snapshot>,
    presented: Presented<'_>,
) -> Result<Result<(Arc<Provider>, Attempt), Refusal>, Diagnostic> {
    let token = match Token::parse(presented.text) {
        Ok(token) => token,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let principals = &adopted.snapshot().principals;
    let provider = match token::provider(principals, &token, presented.provider) {
        Ok(provider) => provider.clone(),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let now = now_microseconds();
    let keys = match services.tokens.keys_of(&provider, now) {
        Ok(keys) => keys,
        Err(refusal) => return Ok(Ok((provider, Err(refusal)))),
    };
    let verified = match keys.is_slow(&token) {
        false => checked(token, &provider, &keys, now),
        true => {
            let (text, its_provider) = (presented.text.to_owned(), provider.clone());
            let its_keys = keys.clone();
            let work = move || match Token::parse(&text) {
                Ok(token) => checked(token, &its_provider, &its_keys, now),
                Err(refusal) => Err(refusal.into()),
            };
            services.parts.off_core.run(work).await?
        }
    };
    Ok(Ok((provider, verified.map(|verified| (verified, keys)))))
}

fn checked(
    token: Token<'_>,
    provider: &Provider,
    keys: &KeySet,
    now: i64,
) -> Result<Verified, Refusal> {
    let verified = jwt::verify(token, &token::checks(provider), keys, now)?;
    let claims = claim_mapping::claims(provider, verified.claims)?;
    Ok(Verified {
        claims: Arc::new(claims),
        expires_at: verified.ends_at,
    })
}

/// `auto_create`: the control core makes the user, and every core knows of it afterwards.
async fn make_user(
    services: &CoreServices,
    provider: &Provider,
    claims: &Claims,
    name: Arc<str>,
    peer: SocketAddr,
) -> Result<(), LoginRefused> {
    let adopted = services.parts.catalog.current();
    let tenant = adopted.snapshot().principals.tenant(provider.tenant);
    let Some(tenant) = tenant else {
        return Err(refused(Refusal::UnknownIssuer, Some(provider)));
    };
    let caller = Caller {
        principal: provider.id,
        key: None,
        token: Some(Arc::new(TokenOfCaller {
            provider: provider.id,
            claims: claims.all.clone(),
        })),
        tenant: tenant.id,
        database: tenant.default_database,
        peer,
    };
    let request = Request::MakeUserOfToken { name: name.clone() };
    let made = services.parts.control.execute(caller, request).await;
    made.map(|_| ()).map_err(|error| {
        let claim = Claim::named(Method::Jwt, &name, Some(provider.id));
        match error.sqlstate() {
            SqlState::TOO_MANY_CONNECTIONS | SqlState::ADMIN_SHUTDOWN => {
                LoginRefused::told(claim, error)
            }
            _ => LoginRefused::credential(claim, Reason::UserNotMade(error)),
        }
    })
}

fn refused(refusal: Refusal, provider: Option<&Provider>) -> LoginRefused {
    let claim = Claim {
        principal: provider.map(|provider| provider.id),
        ..Claim::by(Method::Jwt)
    };
    LoginRefused::credential(claim, Reason::Token(refusal))
}
