//! What an Authorization field proves: Basic for now, checked off the core (REFERENCE §4).

use super::head::Head;
use super::route::Peer;
use crate::auth::Authenticated;
use crate::auth::secret::Password;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::CoreServices;
use crate::session::login::{self, bad_password};
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
/// 28000 without a credential, 28P01 for a bad one, 42501 for a password from beyond loopback,
/// 0A000 for a bearer token, 53300 when too many passwords wait to be checked.
pub async fn present(
    head: &Head,
    peer: Peer,
    stream: &Stream,
    services: &CoreServices,
) -> Result<Authenticated, Diagnostic> {
    let Some(authorization) = &head.authorization else {
        let code = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
        let error = Diagnostic::error(code, "a credential is needed");
        return Err(error.with_hint("Send an Authorization field; curl -u name:password does."));
    };
    let (scheme, value) = match authorization.expose().split_once(' ') {
        Some((scheme, value)) => (scheme, value.trim_start_matches(' ')),
        None => (authorization.expose(), ""),
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Err(Diagnostic::unsupported("bearer tokens"));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(bad_password());
    }
    if peer == Peer::Elsewhere {
        return Err(Diagnostic::error(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "passwords are taken over loopback only",
        ));
    }
    let Some((name, password)) = basic(value) else {
        return Err(bad_password());
    };
    login::password(services, &name, password, stream.peer()).await
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
