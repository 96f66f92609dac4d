//! What an Auth request presents.

use crate::auth::secret::Password;
use std::fmt;
use zeroize::Zeroizing;

/// A credential as it was presented, not yet verified.
#[derive(Debug)]
pub enum Presented {
    /// A name and nothing to prove it: always refused.
    Trust,
    /// A name and its password.
    Password {
        /// The login name.
        user: String,
        /// As it was typed.
        password: Password,
    },
    /// An API key.
    ApiKey(Token),
    /// An identity provider's token.
    OidcBearer {
        /// The token.
        token: Token,
        /// What its provider is called, if the client says.
        provider: Option<String>,
    },
}

/// A bearer's token: a secret, zeroed when it is dropped and never printed.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes the text over.
    pub fn new(text: String) -> Token {
        Token(Zeroizing::new(text))
    }

    /// The token itself. Named so that a reviewer sees each place that looks at it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let presented = [
            Presented::Password {
                user: "alice".to_owned(),
                password: Password::new("opensesame".to_owned()),
            },
            Presented::ApiKey(Token::new("ndb_opensesame".to_owned())),
            Presented::OidcBearer {
                token: Token::new("opensesame.x.y".to_owned()),
                provider: None,
            },
        ];
        assert!(!format!("{presented:?}").contains("sesame"));
    }
}
