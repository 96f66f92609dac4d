//! The four messages of an exchange: parsing what clients send, printing what servers send.
//!
//! RFC 5802 §7 (formal syntax). Only the shape is decided here; whether a nonce or a proof is the
//! right one is `exchange`. Unknown attributes after the known ones are skipped (§5.1), as
//! PostgreSQL skips them.

use super::SASL_MESSAGE_BYTES_MAX;
use super::error::ScramError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The GS2 channel-binding flag (RFC 5801 §4; RFC 5802 §7, `gs2-cbind-flag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: the client cannot bind, or does not want to.
    Unsupported,
    /// `y`: the client can, and believes that the server cannot.
    NotOffered,
    /// `p=`: the client does, by the type of this name.
    Bound(&'a [u8]),
}

/// client-first-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: BindingFlag<'a>,
    /// The GS2 header, which the client's second message repeats in `c=`.
    pub(super) header: &'a [u8],
    /// client-first-message-bare: part of what is signed, byte by byte.
    pub(super) bare: &'a [u8],
    pub(super) nonce: &'a [u8],
}

/// client-final-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    pub(super) channel_binding: &'a [u8],
    pub(super) nonce: &'a [u8],
    pub(super) proof: [u8; 32],
    /// client-final-message-without-proof: part of what is signed.
    pub(super) without_proof: &'a [u8],
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<ClientFirst<'a>, ScramError> {
        check_length(message)?;
        let (flag, rest) = match message {
            [b'n', rest @ ..] => (BindingFlag::Unsupported, rest),
            [b'y', rest @ ..] => (BindingFlag::NotOffered, rest),
            [b'p', rest @ ..] => binding_type(rest)?,
            _ => return Err(ScramError::Malformed("Unexpected channel-binding flag.")),
        };
        let rest = after_comma(rest)?;
        if rest.first() == Some(&b'a') {
            return Err(ScramError::AuthorizationIdentity);
        }
        let bare = after_comma(rest)?;
        if bare.first() == Some(&b'm') {
            return Err(ScramError::MandatoryExtension);
        }
        let mut attributes = Attributes { rest: Some(bare) };
        attributes.expect(b'n', "Attribute \"n\" expected in client-first-message.")?;
        let nonce = attributes.expect(b'r', "Attribute \"r\" expected in client-first-message.")?;
        if nonce.is_empty() || !nonce.iter().all(|byte| is_printable(*byte)) {
            return Err(ScramError::Malformed(
                "Non-printable characters in SCRAM nonce.",
            ));
        }
        while attributes.rest.is_some() {
            attributes.next()?;
        }
        Ok(ClientFirst {
            flag,
            header: &message[..message.len() - bare.len()],
            bare,
            nonce,
        })
    }
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<ClientFinal<'a>, ScramError> {
        check_length(message)?;
        let mut attributes = Attributes {
            rest: Some(message),
        };
        let channel_binding =
            attributes.expect(b'c', "Attribute \"c\" expected in client-final-message.")?;
        let nonce = attributes.expect(b'r', "Attribute \"r\" expected in client-final-message.")?;
        loop {
            let before = message.len() - attributes.rest.map_or(0, <[u8]>::len);
            let (name, value) = attributes.next()?;
            if name != b'p' {
                continue;
            }
            if attributes.rest.is_some() {
                return Err(ScramError::Malformed(
                    "Garbage found at the end of client-final-message.",
                ));
            }
            return Ok(ClientFinal {
                channel_binding,
                nonce,
                proof: decode_proof(value)?,
                // The comma before `p=` belongs to neither part.
                without_proof: &message[..before - 1],
            });
        }
    }
}

/// server-first-message: `r=…,s=…,i=…`.
pub(super) fn server_first(nonce: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(b"r=");
    message.extend_from_slice(nonce);
    message.extend_from_slice(b",s=");
    message.extend_from_slice(BASE64_STANDARD.encode(salt).as_bytes());
    message.extend_from_slice(format!(",i={iterations}").as_bytes());
    message
}

/// server-final-message: `v=…`.
pub(super) fn server_final(signature: &[u8]) -> Vec<u8> {
    format!("v={}", BASE64_STANDARD.encode(signature)).into_bytes()
}

fn check_length(message: &[u8]) -> Result<(), ScramError> {
    if message.is_empty() {
        return Err(ScramError::Malformed("The message is empty."));
    }
    if message.len() > SASL_MESSAGE_BYTES_MAX {
        return Err(ScramError::Malformed("The message is too long."));
    }
    if message.contains(&0) {
        return Err(ScramError::Malformed(
            "Message length does not match input length.",
        ));
    }
    Ok(())
}

/// `=` and what ends before the next comma: RFC 5802 §7,
/// `cb-name = 1*(ALPHA / DIGIT / "." / "-")`.
fn binding_type(rest: &[u8]) -> Result<(BindingFlag<'_>, &[u8]), ScramError> {
    let malformed = ScramError::Malformed("Malformed channel-binding type.");
    let [b'=', rest @ ..] = rest else {
        return Err(malformed);
    };
    let comma = rest.iter().position(|byte| *byte == b',');
    let (name, rest) = rest.split_at(comma.unwrap_or(rest.len()));
    let is_of_names = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    match !name.is_empty() && name.iter().all(is_of_names) {
        true => Ok((BindingFlag::Bound(name), rest)),
        false => Err(malformed),
    }
}

fn after_comma(rest: &[u8]) -> Result<&[u8], ScramError> {
    match rest {
        [b',', rest @ ..] => Ok(rest),
        _ => Err(ScramError::Malformed(
            "Comma expected, but found another character.",
        )),
    }
}

/// RFC 5802 §7: `printable = %x21-2B / %x2D-7E`, and a comma cannot get here.
fn is_printable(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte)
}

/// 32 bytes are 44 base64 characters; the decoder wants room for its estimate of 33.
const PROOF_CHARACTERS: usize = 44;

fn decode_proof(value: &[u8]) -> Result<[u8; 32], ScramError> {
    let malformed = ScramError::Malformed("Malformed proof in client-final-message.");
    let mut decoded = [0; 33];
    if value.len() != PROOF_CHARACTERS {
        return Err(malformed);
    }
    match BASE64_STANDARD.decode_slice(value, &mut decoded) {
        Ok(32) => Ok(*decoded.first_chunk().expect("33 bytes begin with 32")),
        Ok(_) | Err(_) => Err(malformed),
    }
}

/// Attributes `x=value`, separated by commas; None when the last has been read.
struct Attributes<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    /// The next attribute, which must have this name.
    fn expect(&mut self, name: u8, otherwise: &'static str) -> Result<&'a [u8], ScramError> {
        match self.next() {
            Ok((found, value)) if found == name => Ok(value),
            _ => Err(ScramError::Malformed(otherwise)),
        }
    }

    fn next(&mut self) -> Result<(u8, &'a [u8]), ScramError> {
        let rest = self.rest.ok_or(ScramError::Malformed(
            "Attribute expected, but found end of string.",
        ))?;
        let [name, b'=', rest @ ..] = rest else {
            return Err(ScramError::Malformed("Attribute expected."));
        };
        if !name.is_ascii_alphabetic() {
            return Err(ScramError::Malformed(
                "Attribute expected, but found an invalid character.",
            ));
        }
        match rest.iter().position(|byte| *byte == b',') {
            Some(comma) => {
                self.rest = Some(&rest[comma + 1..]);
                Ok((*name, &rest[..comma]))
            }
            None => {
                self.rest = None;
                Ok((*name, rest))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn first(message: &str) -> Result<ClientFirst<'_>, ScramError> {
        ClientFirst::parse(message.as_bytes())
    }

    fn last(message: &str) -> Result<(), ScramError> {
        ClientFinal::parse(message.as_bytes()).map(|_| ())
    }

    #[test]
    fn client_first_gives_its_bare_part_and_nonce() {
        let parsed = first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(parsed.flag, BindingFlag::Unsupported);
        assert_eq!(parsed.header, b"n,,");
        assert_eq!(parsed.bare, b"n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(parsed.nonce, b"rOprNGfwEbeRWgbNEkqO");
        let parsed = first("y,,n=,r=abc,x=extension").unwrap();
        assert_eq!(parsed.flag, BindingFlag::NotOffered);
        assert_eq!(parsed.nonce, b"abc");
        let parsed = first("p=tls-exporter,,n=,r=abc").unwrap();
        assert_eq!(parsed.flag, BindingFlag::Bound(b"tls-exporter"));
        assert_eq!(parsed.header, b"p=tls-exporter,,");
        assert_eq!(parsed.bare, b"n=,r=abc");
    }

    #[test]
    fn client_first_of_another_shape_is_an_error_that_says_where() {
        let binding = ScramError::Malformed("Malformed channel-binding type.");
        for (message, error) in [
            ("", ScramError::Malformed("The message is empty.")),
            (
                "n",
                ScramError::Malformed("Comma expected, but found another character."),
            ),
            (
                "x,,n=,r=a",
                ScramError::Malformed("Unexpected channel-binding flag."),
            ),
            ("p,,n=,r=a", binding),
            ("p=,,n=,r=a", binding),
            ("p=tls unique,,n=,r=a", binding),
            ("p=tls-unique\u{e9},,n=,r=a", binding),
            (
                "p=tls-unique",
                ScramError::Malformed("Comma expected, but found another character."),
            ),
            (
                "p=tls-exporter,a=admin,n=,r=a",
                ScramError::AuthorizationIdentity,
            ),
            ("n,a=admin,n=,r=a", ScramError::AuthorizationIdentity),
            ("n,,m=must,n=,r=a", ScramError::MandatoryExtension),
            (
                "n,,r=a",
                ScramError::Malformed("Attribute \"n\" expected in client-first-message."),
            ),
            (
                "n,,n=",
                ScramError::Malformed("Attribute \"r\" expected in client-first-message."),
            ),
            (
                "n,,n=,r=",
                ScramError::Malformed("Non-printable characters in SCRAM nonce."),
            ),
            (
                "n,,n=,r=a b",
                ScramError::Malformed("Non-printable characters in SCRAM nonce."),
            ),
            (
                "n,,n=,r=a\0",
                ScramError::Malformed("Message length does not match input length."),
            ),
            (
                "n,,n=,r=a,1=b",
                ScramError::Malformed("Attribute expected, but found an invalid character."),
            ),
        ] {
            assert_eq!(first(message), Err(error), "{message:?}");
        }
    }

    #[test]
    fn client_final_signs_everything_before_the_proof() {
        let message = format!("c=biws,r=nonce,x=extension,p={PROOF}");
        let parsed = ClientFinal::parse(message.as_bytes()).unwrap();
        assert_eq!(parsed.channel_binding, b"biws");
        assert_eq!(parsed.nonce, b"nonce");
        assert_eq!(parsed.without_proof, b"c=biws,r=nonce,x=extension");
        assert_eq!(BASE64_STANDARD.encode(parsed.proof), PROOF);
    }

    #[test]
    fn client_final_of_another_shape_is_an_error_that_says_where() {
        let proof = ScramError::Malformed("Malformed proof in client-final-message.");
        for (message, error) in [
            (
                String::new(),
                ScramError::Malformed("The message is empty."),
            ),
            (
                format!("r=nonce,p={PROOF}"),
                ScramError::Malformed("Attribute \"c\" expected in client-final-message."),
            ),
            (
                format!("c=biws,p={PROOF}"),
                ScramError::Malformed("Attribute \"r\" expected in client-final-message."),
            ),
            (
                "c=biws,r=nonce".to_owned(),
                ScramError::Malformed("Attribute expected, but found end of string."),
            ),
            (
                format!("c=biws,r=nonce,p={PROOF},x=late"),
                ScramError::Malformed("Garbage found at the end of client-final-message."),
            ),
            ("c=biws,r=nonce,p=".to_owned(), proof),
            ("c=biws,r=nonce,p=AAAA".to_owned(), proof),
            (
                format!("c=biws,r=nonce,p={}", PROOF.replace('=', "A")),
                proof,
            ),
            (
                format!("c=biws,r=nonce,p={}", PROOF.replace('+', "*")),
                proof,
            ),
            (format!("c=biws,r=nonce,p={PROOF}{PROOF}"), proof),
        ] {
            assert_eq!(last(&message), Err(error), "{message:?}");
        }
    }

    #[test]
    fn a_message_at_the_limit_is_taken_and_one_byte_more_is_not() {
        let nonce = |bytes: usize| "x".repeat(bytes - "n,,n=,r=".len());
        let at_limit = format!("n,,n=,r={}", nonce(SASL_MESSAGE_BYTES_MAX));
        assert_eq!(at_limit.len(), SASL_MESSAGE_BYTES_MAX);
        assert!(first(&at_limit).is_ok());
        assert_eq!(
            first(&format!("{at_limit}x")),
            Err(ScramError::Malformed("The message is too long."))
        );
    }
}
