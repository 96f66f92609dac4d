//! Verifiers: made from a password, read and printed in PostgreSQL's form.
//!
//! ```text
//! SCRAM-SHA-256$<iterations>:<salt, base64>$<StoredKey, base64>:<ServerKey, base64>
//! ```
//!
//! RFC 5803 §2 and RFC 5802 §3; what psql's \password sends. The shape itself is
//! `catalog::verifier`.

use super::saslprep;
use super::{ITERATIONS_MAX, ITERATIONS_MIN};
use crate::auth::secret::{ClientKey, Password, SaltedPassword};
use crate::catalog::verifier::Verifier;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// The length of a salt made here.
pub const SALT_BYTES: usize = 16;

/// The longest salt of a verifier taken as it comes: with it, server-first stays under the limit
/// of a SASL message.
pub const SALT_BYTES_MAX: usize = 64;

const PREFIX: &str = "SCRAM-SHA-256$";

/// What stands in PASSWORD '…'.
#[derive(Debug, PartialEq, Eq)]
pub enum PasswordForm {
    /// A password to derive a verifier from.
    Plain,
    /// A verifier, stored as it is.
    Verifier(Verifier),
    /// A verifier with an iteration count that is not taken.
    IterationsOutOfRange(u32),
    /// `md5…` and 32 hexadecimal digits: a hash that cannot serve SCRAM.
    Md5,
}

/// Tells a ready verifier from a password, as PostgreSQL's get_password_type does: what is not
/// well-formed is a password that happens to begin so.
pub fn password_form(password: &Password) -> PasswordForm {
    let text = password.expose();
    if is_md5(text) {
        return PasswordForm::Md5;
    }
    match parse(text) {
        Some(verifier) if (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&verifier.iterations) => {
            PasswordForm::Verifier(verifier)
        }
        Some(verifier) => PasswordForm::IterationsOutOfRange(verifier.iterations),
        None => PasswordForm::Plain,
    }
}

/// Reads the text form; None when it is not well-formed. The iteration count is not judged.
pub fn parse(text: &str) -> Option<Verifier> {
    let (parameters, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    if !iterations.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let salt = BASE64_STANDARD.decode(salt).ok()?;
    if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
        return None;
    }
    Some(Verifier {
        iterations: iterations.parse().ok().filter(|count| *count > 0)?,
        salt,
        stored_key: decode_key(stored_key)?,
        server_key: decode_key(server_key)?,
    })
}

/// Prints the text form. It lets its holder check guesses of the password: keep it out of logs.
pub fn to_text(verifier: &Verifier) -> String {
    format!(
        "{PREFIX}{}:{}${}:{}",
        verifier.iterations,
        BASE64_STANDARD.encode(&verifier.salt),
        BASE64_STANDARD.encode(verifier.stored_key),
        BASE64_STANDARD.encode(verifier.server_key),
    )
}

/// Derives a verifier (RFC 5802 §3). Takes milliseconds: never on a session core; ask
/// [`crate::auth::derivation::Derivation`].
pub fn derive(password: &Password, salt: &[u8], iterations: NonZeroU32) -> Verifier {
    let prepared = zeroize::Zeroizing::new(saslprep::prepare(password.expose()).into_owned());
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        prepared.as_bytes(),
        &mut salted,
    );
    let salted = SaltedPassword::new(salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.expose());
    let client_key = ClientKey::new(bytes_of(hmac::sign(&key, b"Client Key").as_ref()));
    Verifier {
        iterations: iterations.get(),
        salt: salt.to_vec(),
        stored_key: bytes_of(digest::digest(&digest::SHA256, client_key.expose()).as_ref()),
        server_key: bytes_of(hmac::sign(&key, b"Server Key").as_ref()),
    }
}

fn bytes_of(hash: &[u8]) -> [u8; 32] {
    hash.try_into().expect("SHA-256 gives 32 bytes")
}

fn decode_key(text: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn is_md5(text: &str) -> bool {
    let digits = text.strip_prefix("md5").map(str::as_bytes);
    digits.is_some_and(|digits| {
        digits.len() == 32
            && digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verifier of RFC 7677 §3's password and salt, in the form that PostgreSQL keeps; the
    /// conversation there proves its keys (`exchange`).
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn rfc_7677_section_3_verifier_prints_as_postgresql_prints_it() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let derived = derive(&password("pencil"), &salt, NonZeroU32::new(4096).unwrap());
        assert_eq!(to_text(&derived), PENCIL);
    }

    #[test]
    fn printing_what_was_parsed_gives_it_back() {
        assert_eq!(
            parse(PENCIL).map(|verifier| to_text(&verifier)).unwrap(),
            PENCIL
        );
    }

    #[test]
    fn a_well_formed_verifier_is_taken_as_it_is() {
        assert_eq!(
            password_form(&password(PENCIL)),
            PasswordForm::Verifier(parse(PENCIL).unwrap())
        );
    }

    #[test]
    fn iterations_are_taken_from_4096_to_100000() {
        let form = |count: &str| password_form(&password(&PENCIL.replace("4096", count)));
        assert!(matches!(form("4096"), PasswordForm::Verifier(_)));
        assert!(matches!(form("100000"), PasswordForm::Verifier(_)));
        assert_eq!(form("4095"), PasswordForm::IterationsOutOfRange(4095));
        assert_eq!(form("100001"), PasswordForm::IterationsOutOfRange(100_001));
    }

    #[test]
    fn what_is_not_well_formed_is_a_password() {
        for text in [
            "pencil",
            "SCRAM-SHA-256$",
            "SCRAM-SHA-256$4096:$:",
            &PENCIL.replace("4096", "+4096"),
            &PENCIL.replace("4096", "0"),
            &PENCIL.replace("W22Z", "W2 Z"),
            &PENCIL[..PENCIL.len() - 4],
            &PENCIL.replace("SHA-256", "SHA-1"),
            "md5",
            "md5DEADBEEFDEADBEEFDEADBEEFDEADBEEF",
        ] {
            assert_eq!(
                password_form(&password(text)),
                PasswordForm::Plain,
                "{text}"
            );
        }
    }

    #[test]
    fn md5_hashes_are_recognised() {
        let hash = password("md5deadbeefdeadbeefdeadbeefdeadbeef");
        assert_eq!(password_form(&hash), PasswordForm::Md5);
    }

    #[test]
    fn a_salt_at_the_limit_is_taken_and_one_byte_more_is_not() {
        let with_salt = |bytes: usize| {
            let salt = BASE64_STANDARD.encode(vec![1; bytes]);
            parse(&PENCIL.replace("W22ZaJ0SNY7soEsUEjb6gQ==", &salt))
        };
        assert!(with_salt(SALT_BYTES_MAX).is_some());
        assert!(with_salt(SALT_BYTES_MAX + 1).is_none());
    }
}
