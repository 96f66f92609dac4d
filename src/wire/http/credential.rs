//! What a client certificate and an Authorization field prove (REFERENCE §3 "Order", §4); the field holds
//! an API key or an identity provider's token as a bearer token, or a name and a password, checked off
//! the core.

use super::head::Head;
use crate::auth::identity::Method;
use crate::auth::presented::Presented;
use crate::auth::secret::Password;
use crate::auth::{Authenticated, api_key};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::attempt::{Attempt, Claim, LoginRefused, Reason};
use crate::session::login::{self, Origin};
use crate::session::{CoreServices, Protocol, token_login};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use shards::Stream;
use std::net::SocketAddr;
use std::time::Instant;
use zeroize::Zeroizing;

/// Whoever sends a request, as its connection knows them.
#[derive(Clone, Copy)]
pub struct Presenter<'a> {
    /// The connection.
    pub stream: &'a Stream,
    /// Where the request comes from, by what trusted proxies say.
    pub client: SocketAddr,
    /// The client certificate that it came with.
    pub certificate: Option<&'a Presented>,
    /// What its core works with.
    pub services: &'a CoreServices,
}

/// Who sends the request: every credential is verified, and the first in order says it.
///
/// Waits without blocking the core: the password is hashed elsewhere, as long for a name that
/// nobody has as for a wrong password.
///
/// # Errors
/// 28000 without a credential, for a bad client certificate, API key or token, 28P01 for a
/// bad password, 42501 for either of the two in plain from beyond loopback, 53300 when too many
/// passwords wait to be checked.
pub async fn present(head: &Head, from: Presenter<'_>) -> Result<Authenticated, Diagnostic> {
    let attempt = Attempt {
        protocol: Protocol::Http,
        peer: from.client,
        began: Instant::now(),
    };
    let (certificate, field) = match verify_all(head, from).await {
        Ok(presented) => presented,
        Err(refused) => return Err(attempt.refused(from.services, refused).await),
    };
    let decided = attempt.decide(from.services, certificate, field).await?;
    match decided {
        Some(authenticated) => Ok(authenticated),
        None => Err(attempt.refused(from.services, nothing_presented()).await),
    }
}

fn nothing_presented() -> LoginRefused {
    let code = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
    let told = Diagnostic::error(code, "a credential is needed").with_hint(
        "Send an Authorization field: Bearer with an API key or an identity provider's token, or Basic with \
         name and password.",
    );
    LoginRefused {
        claim: Claim::default(),
        reason: Reason::NoCredential,
        told,
    }
}

/// What the connection's certificate and the request's field prove.
async fn verify_all(
    head: &Head,
    from: Presenter<'_>,
) -> Result<(Option<Authenticated>, Option<Authenticated>), LoginRefused> {
    let certificate = login::certificate(from.services, from.certificate)?;
    let field = match &head.authorization {
        None => None,
        Some(authorization) => Some(verify(authorization.expose(), from).await?),
    };
    Ok((certificate, field))
}

/// What an Authorization field proves.
async fn verify(authorization: &str, from: Presenter<'_>) -> Result<Authenticated, LoginRefused> {
    let Presenter {
        stream,
        client,
        services,
        ..
    } = from;
    let (scheme, value) = match authorization.split_once(' ') {
        Some((scheme, value)) => (scheme, value.trim_start_matches(' ')),
        None => (authorization, ""),
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        if value.starts_with(api_key::PREFIX) {
            return login::api_key(
                services,
                value.trim_end_matches(' '),
                Origin::of(stream, client),
            );
        }
        let presented = token_login::Presented {
            text: value.trim_end_matches(' '),
            provider: None,
            origin: Origin::of(stream, client),
        };
        return token_login::token(services, presented).await;
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(LoginRefused::password(Claim::default(), Reason::Scheme));
    }
    let Some((name, password)) = basic(value) else {
        let claim = Claim::by(Method::Password);
        return Err(LoginRefused::password(claim, Reason::Scheme));
    };
    let origin = Origin::of(stream, client);
    Box::pin(login::password(services, &name, password, origin)).await
}

/// `base64(name:password)` (RFC 7617 §2).
fn basic(value: &str) -> Option<(String, Password)> {
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(value).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Password::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_a_name_and_everything_behind_the_first_colon() {
        // RFC 7617 §2: Aladdin and "open sesame".
        let (name, password) = basic("QWxhZGRpbjpvcGVuIHNlc2FtZQ==").expect("well formed");
        assert_eq!((&*name, password.expose()), ("Aladdin", "open sesame"));
        let (name, password) = basic("YTpiOmM=").expect("well formed");
        assert_eq!((&*name, password.expose()), ("a", "b:c"));
        for wrong in ["", "YQ==", "!", "gIA6"] {
            assert!(basic(wrong).is_none(), "{wrong}");
        }
    }
}
