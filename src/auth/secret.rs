//! Secrets as types of their own: zeroed on drop, unprintable, compared in constant time.
//!
//! A leak into a log line or an error text is then a compile error (no `Display`) or stars
//! (`Debug`). None of them is `Clone`: a secret has one place. DESIGN §5, invariant 5.

use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The longest password taken, in bytes of UTF-8. PostgreSQL's clients stop at less; without a
/// bound, SASLprep of a 64 MiB literal would be somebody's way to keep a derivation thread busy.
pub const PASSWORD_BYTES_MAX: usize = 4_096;

/// A password as somebody typed it: plain text, or a ready verifier that stands in its place.
///
/// Two are equal when their bytes are; the comparison's time depends on their lengths only.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the string over; its buffer is zeroed when the password is dropped.
    pub fn new(text: String) -> Password {
        Password(Zeroizing::new(text))
    }

    /// The text itself. Named so that a reviewer sees each place that looks at it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// PASSWORD '': PostgreSQL stores none and says so.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Password) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Password {}

macro_rules! secret_bytes {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Zeroize, ZeroizeOnDrop)]
            pub struct $name([u8; 32]);

            impl $name {
                /// Takes 32 bytes of key material over.
                pub fn new(bytes: [u8; 32]) -> $name {
                    $name(bytes)
                }

                /// The bytes. Named so that a reviewer sees each place that looks at them.
                pub fn expose(&self) -> &[u8; 32] {
                    &self.0
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(concat!(stringify!($name), "(***)"))
                }
            }

            impl PartialEq for $name {
                fn eq(&self, other: &$name) -> bool {
                    self.0.ct_eq(&other.0).into()
                }
            }

            impl Eq for $name {}
        )*
    };
}

secret_bytes! {
    /// Hi(password, salt, iterations): whoever has it can log in. Lives only while a verifier
    /// is derived; never stored (REFERENCE §3).
    SaltedPassword;
    /// HMAC(SaltedPassword, "Client Key"): whoever has it can log in.
    ClientKey;
    /// H(ClientKey): what a presented proof is checked against.
    StoredKey;
    /// The random half of an API key: whoever has it can use the key.
    KeySecret;
    /// The server's own key for answering names that cannot log in by password.
    MockKey;
    /// What both ends of one TLS session derive from its keys, to bind a proof to it (RFC 9266).
    TlsExporter;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_every_secret_prints_stars() {
        let password = Password::new("correct horse".to_owned());
        assert_eq!(format!("{password:?}"), "Password(***)");
        assert_eq!(
            format!("{:?}", SaltedPassword::new([7; 32])),
            "SaltedPassword(***)"
        );
        assert_eq!(format!("{:?}", ClientKey::new([7; 32])), "ClientKey(***)");
        assert_eq!(format!("{:?}", StoredKey::new([7; 32])), "StoredKey(***)");
        assert_eq!(format!("{:?}", MockKey::new([7; 32])), "MockKey(***)");
        assert_eq!(
            format!("{:?}", TlsExporter::new([7; 32])),
            "TlsExporter(***)"
        );
        assert_eq!(
            format!("{:#?}", Some(password)),
            "Some(\n    Password(***),\n)"
        );
    }

    #[test]
    fn secrets_are_equal_when_their_bytes_are() {
        let password = |text: &str| Password::new(text.to_owned());
        assert_eq!(password("secret"), password("secret"));
        assert_ne!(password("secret"), password("Secret"));
        assert_ne!(password("secret"), password("secret "));
        assert_eq!(StoredKey::new([1; 32]), StoredKey::new([1; 32]));
        assert_ne!(StoredKey::new([1; 32]), StoredKey::new([2; 32]));
    }

    #[test]
    fn zeroizing_leaves_nothing_of_the_key() {
        let mut key = ClientKey::new([0xAB; 32]);
        key.zeroize();
        assert_eq!(key.expose(), &[0; 32]);
    }
}
