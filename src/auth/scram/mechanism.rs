//! The mechanisms: which are offered, which one the client has chosen, and whether what it says of
//! channel binding fits that choice (RFC 5802 §6).
//!
//! Whoever stands between can take -PLUS off the list that the client sees. A client that could bind
//! then says so (`y`), under its proof; here it is refused, for -PLUS was on the list that was sent.

use super::channel_binding::{ChannelBinding, Repeated};
use super::error::ScramError;
use super::messages::{BindingFlag, ClientFirst};

const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The mechanisms offered, as AuthenticationSASL lists them: the better first.
pub fn offered(binding: Option<&ChannelBinding>) -> &'static [&'static str] {
    match binding {
        Some(_) => &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
        None => &[SCRAM_SHA_256],
    }
}

/// The mechanism chosen, of those that were offered.
#[derive(Debug)]
pub enum Mechanism {
    /// SCRAM-SHA-256, the only one offered.
    Plain,
    /// SCRAM-SHA-256, where -PLUS was offered too.
    PlainInsteadOfPlus,
    /// SCRAM-SHA-256-PLUS, over the connection that can be told by this.
    Plus(ChannelBinding),
}

impl Mechanism {
    /// By the name that the client gives; None when it was not offered.
    pub fn chosen(name: &str, binding: Option<ChannelBinding>) -> Option<Mechanism> {
        match (name, binding) {
            (SCRAM_SHA_256, None) => Some(Mechanism::Plain),
            (SCRAM_SHA_256, Some(_)) => Some(Mechanism::PlainInsteadOfPlus),
            (SCRAM_SHA_256_PLUS, Some(binding)) => Some(Mechanism::Plus(binding)),
            _ => None,
        }
    }

    /// What the client will have to repeat, having begun like this.
    ///
    /// # Errors
    ///
    /// Its first message does not go with the mechanism, or contradicts what was offered.
    pub(super) fn repeated(&self, first: &ClientFirst<'_>) -> Result<Repeated, ScramError> {
        use BindingFlag::{Bound, NotOffered, Unsupported};
        match (self, first.flag) {
            (Mechanism::Plain, Unsupported | NotOffered)
            | (Mechanism::PlainInsteadOfPlus, Unsupported) => Ok(Repeated::unbound(first.header)),
            (Mechanism::PlainInsteadOfPlus, NotOffered) => Err(ScramError::ChannelBindingDowngrade),
            (Mechanism::Plain | Mechanism::PlainInsteadOfPlus, Bound(_)) => {
                Err(ScramError::ChannelBindingNotChosen)
            }
            (Mechanism::Plus(_), Unsupported | NotOffered) => {
                Err(ScramError::ChannelBindingMissing)
            }
            (Mechanism::Plus(binding), Bound(name)) => Repeated::bound(first.header, name, binding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::TlsExporter;

    #[derive(Clone, Copy, Debug)]
    enum Over {
        Plain,
        Tls12,
        Tls13,
    }

    fn binding(over: Over) -> Option<ChannelBinding> {
        match over {
            Over::Plain => None,
            Over::Tls12 => Some(ChannelBinding::new(&[1; 32], None)),
            Over::Tls13 => {
                let exporter = Some(TlsExporter::new([2; 32]));
                Some(ChannelBinding::new(&[1; 32], exporter))
            }
        }
    }

    #[test]
    fn plus_is_offered_over_tls_and_comes_first() {
        assert_eq!(offered(None), ["SCRAM-SHA-256"]);
        let over_tls = binding(Over::Tls12);
        let over_tls = offered(over_tls.as_ref());
        assert_eq!(over_tls, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    }

    #[test]
    fn what_was_not_offered_cannot_be_chosen() {
        for name in ["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "scram-sha-256", ""] {
            for over in [Over::Plain, Over::Tls12, Over::Tls13] {
                assert!(Mechanism::chosen(name, binding(over)).is_none(), "{name}");
            }
        }
        assert!(Mechanism::chosen("SCRAM-SHA-256-PLUS", None).is_none());
    }

    /// Every header with every mechanism over every kind of connection, in full.
    #[test]
    fn only_what_fits_the_mechanism_and_the_offer_goes_on() {
        use ScramError as Error;
        const UNBOUND: &str = "SCRAM-SHA-256";
        const PLUS: &str = "SCRAM-SHA-256-PLUS";
        let end_point = "p=tls-server-end-point,,";
        for (over, mechanism, header, verdict) in [
            (Over::Plain, UNBOUND, "n,,", Ok(())),
            (Over::Plain, UNBOUND, "y,,", Ok(())),
            (
                Over::Plain,
                UNBOUND,
                end_point,
                Err(Error::ChannelBindingNotChosen),
            ),
            (
                Over::Plain,
                UNBOUND,
                "p=tls-exporter,,",
                Err(Error::ChannelBindingNotChosen),
            ),
            (
                Over::Plain,
                UNBOUND,
                "p=tls-unique,,",
                Err(Error::ChannelBindingNotChosen),
            ),
            (Over::Tls12, UNBOUND, "n,,", Ok(())),
            (
                Over::Tls12,
                UNBOUND,
                "y,,",
                Err(Error::ChannelBindingDowngrade),
            ),
            (
                Over::Tls12,
                UNBOUND,
                end_point,
                Err(Error::ChannelBindingNotChosen),
            ),
            (
                Over::Tls12,
                UNBOUND,
                "p=tls-exporter,,",
                Err(Error::ChannelBindingNotChosen),
            ),
            (
                Over::Tls12,
                UNBOUND,
                "p=tls-unique,,",
                Err(Error::ChannelBindingNotChosen),
            ),
            (Over::Tls12, PLUS, "n,,", Err(Error::ChannelBindingMissing)),
            (Over::Tls12, PLUS, "y,,", Err(Error::ChannelBindingMissing)),
            (Over::Tls12, PLUS, end_point, Ok(())),
            (
                Over::Tls12,
                PLUS,
                "p=tls-exporter,,",
                Err(Error::UnsupportedChannelBinding),
            ),
            (
                Over::Tls12,
                PLUS,
                "p=tls-unique,,",
                Err(Error::UnsupportedChannelBinding),
            ),
            (Over::Tls13, UNBOUND, "n,,", Ok(())),
            (
                Over::Tls13,
                UNBOUND,
                "y,,",
                Err(Error::ChannelBindingDowngrade),
            ),
            (
                Over::Tls13,
                UNBOUND,
                end_point,
                Err(Error::ChannelBindingNotChosen),
            ),
            (
                Over::Tls13,
                UNBOUND,
                "p=tls-exporter,,",
                Err(Error::ChannelBindingNotChosen),
            ),
            (
                Over::Tls13,
                UNBOUND,
                "p=tls-unique,,",
                Err(Error::ChannelBindingNotChosen),
            ),
            (Over::Tls13, PLUS, "n,,", Err(Error::ChannelBindingMissing)),
            (Over::Tls13, PLUS, "y,,", Err(Error::ChannelBindingMissing)),
            (Over::Tls13, PLUS, end_point, Ok(())),
            (Over::Tls13, PLUS, "p=tls-exporter,,", Ok(())),
            (
                Over::Tls13,
                PLUS,
                "p=tls-unique,,",
                Err(Error::UnsupportedChannelBinding),
            ),
        ] {
            let chosen = Mechanism::chosen(mechanism, binding(over)).expect("it was offered");
            let message = format!("{header}n=,r=nonce");
            let first = ClientFirst::parse(message.as_bytes()).expect("well formed");
            let found = chosen.repeated(&first).map(|_| ());
            assert_eq!(found, verdict, "{over:?} {mechanism} {header}");
        }
    }
}
