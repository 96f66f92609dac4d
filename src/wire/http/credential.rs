//! What an Authorization field proves (REFERENCE §3 "Order", §4): an API key as a bearer token, or a
//! name and a password, checked off the core.

use super::head::Head;
use crate::auth::secret::Password;
use crate::auth::{Authenticated, api_key};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::CoreServices;
use crate::session::login::{self, Origin, bad_credential, bad_password};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use shards::Stream;
use zeroize::Zeroizing;

/// Who sends the request.
///
/// Waits without blocking the core: the password is hashed elsewhere, as long for a name that
/// nobody has as for a wrong password.
///
/// # Errors
/// 28000 without a credential and for a bad bearer token, 28P01 for a bad password, 42501 for either in
/// plain from beyond loopback, 53300 when too many passwords wait to be checked.
pub async fn present(
    head: &Head,
    stream: &Stream,
    services: &CoreServices,
) -> Result<Authenticated, Diagnostic> {
    let Some(authorization) = &head.authorization else {
        let code = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
        let error = Diagnostic::error(code, "a credential is needed");
        return Err(error.with_hint(
            "Send an Authorization field: Bearer with an API key, or Basic with name and password.",
        ));
    };
    let (scheme, value) = match authorization.expose().split_once(' ') {
        Some((scheme, value)) => (scheme, value.trim_start_matches(' ')),
        None => (authorization.expose(), ""),
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        if value.starts_with(api_key::PREFIX) {
            return login::api_key(services, value.trim_end_matches(' '), Origin::of(stream));
        }
        // A token of an identity provider: there is none that could have given it.
        tracing::info!(peer = %stream.peer(), "login refused: a token of no known provider");
        return Err(bad_credential());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(bad_password());
    }
    let Some((name, password)) = basic(value) else {
        return Err(bad_password());
    };
    let origin = Origin::of(stream);
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
