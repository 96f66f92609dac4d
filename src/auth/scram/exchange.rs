//! The exchange: two states, each consumed by the client's message for it (RFC 5802 §5).
//!
//! A mock credential walks the same path and does the same arithmetic, and is refused at the very
//! end, where a wrong password is (invariant 6).

use super::credential::Credential;
use super::error::{Refusal, ScramError};
use super::messages::{ChannelBinding, ClientFinal, ClientFirst, server_final, server_first};
use crate::auth::Authenticated;
use crate::auth::identity::Method;
use crate::auth::secret::{ClientKey, StoredKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SecureRandom;
use ring::{digest, hmac};
use std::fmt;

/// The server's half of the nonce: 18 random bytes, 24 characters (as PostgreSQL's).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerNonce([u8; 24]);

impl ServerNonce {
    /// From random bytes; printed in base64, so no character needs quoting.
    pub fn from_bytes(random: [u8; 18]) -> ServerNonce {
        let mut text = [0; 24];
        let written = BASE64_STANDARD
            .encode_slice(random, &mut text)
            .expect("18 bytes are 24 base64 characters");
        assert_eq!(written, text.len(), "18 bytes are 24 base64 characters");
        ServerNonce(text)
    }

    /// From the system's generator.
    ///
    /// # Panics
    ///
    /// If the kernel gives no random bytes: nobody could be let in safely.
    pub fn random(random: &dyn SecureRandom) -> ServerNonce {
        let mut bytes = [0; 18];
        random
            .fill(&mut bytes)
            .expect("the kernel's random generator answers");
        ServerNonce::from_bytes(bytes)
    }
}

impl fmt::Debug for ServerNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Waits for client-first-message.
#[derive(Debug)]
pub struct AwaitClientFirst {
    credential: Credential,
}

/// Waits for client-final-message.
#[derive(Debug)]
pub struct AwaitClientFinal {
    credential: Credential,
    channel_binding: ChannelBinding,
    /// `client-first-bare,server-first,`: AuthMessage so far.
    transcript: Vec<u8>,
    /// Client's and server's half.
    nonce: Vec<u8>,
}

/// The client has proved that it knows the password.
#[derive(Debug)]
pub struct Verified {
    /// Who it is.
    pub authenticated: Authenticated,
    /// What AuthenticationSASLFinal carries: the server's own proof.
    pub server_final: Vec<u8>,
}

impl AwaitClientFirst {
    /// An exchange about to begin for this credential.
    pub fn new(credential: Credential) -> AwaitClientFirst {
        AwaitClientFirst { credential }
    }

    /// Takes client-first-message; gives what AuthenticationSASLContinue carries.
    ///
    /// # Errors
    ///
    /// [`ScramError::Malformed`] and the protocol errors; never a refusal.
    pub fn receive(
        self,
        message: &[u8],
        server_nonce: ServerNonce,
    ) -> Result<(AwaitClientFinal, Vec<u8>), ScramError> {
        self.receive_with(message, &server_nonce.0)
    }

    /// The RFC's example has a nonce of another length than ours.
    fn receive_with(
        self,
        message: &[u8],
        server_nonce: &[u8],
    ) -> Result<(AwaitClientFinal, Vec<u8>), ScramError> {
        let client = ClientFirst::parse(message)?;
        let nonce = [client.nonce, server_nonce].concat();
        let verifier = self.credential.verifier();
        let reply = server_first(&nonce, &verifier.salt, verifier.iterations);
        let next = AwaitClientFinal {
            channel_binding: client.channel_binding,
            transcript: [client.bare, b",", &reply, b","].concat(),
            nonce,
            credential: self.credential,
        };
        Ok((next, reply))
    }
}

impl AwaitClientFinal {
    /// Takes client-final-message and decides.
    ///
    /// # Errors
    ///
    /// [`ScramError::Refused`] when the proof does not fit or the credential is a mock; the
    /// protocol errors otherwise.
    pub fn receive(mut self, message: &[u8]) -> Result<Verified, ScramError> {
        let client = ClientFinal::parse(message)?;
        if client.channel_binding != self.channel_binding.final_attribute() {
            return Err(ScramError::ChannelBindingMismatch);
        }
        if client.nonce != self.nonce {
            return Err(ScramError::NonceMismatch);
        }
        self.transcript.extend_from_slice(client.without_proof);

        let verifier = self.credential.verifier();
        let fits = proof_fits(&verifier.stored_key, &client.proof, &self.transcript);
        let signature = sign(&verifier.server_key, &self.transcript);
        let principal = self.credential.standing()?;
        if !fits {
            return Err(Refusal::WrongPassword.into());
        }
        Ok(Verified {
            authenticated: Authenticated::new(
                principal,
                Method::Scram,
                self.credential.valid_until(),
            ),
            server_final: server_final(signature.as_ref()),
        })
    }
}

/// Whether `H(proof XOR HMAC(StoredKey, AuthMessage))` is StoredKey.
fn proof_fits(stored_key: &[u8; 32], proof: &[u8; 32], auth_message: &[u8]) -> bool {
    let signature = sign(stored_key, auth_message);
    let mut client_key = *proof;
    for (byte, mask) in client_key.iter_mut().zip(signature.as_ref()) {
        *byte ^= mask;
    }
    let client_key = ClientKey::new(client_key);
    let presented = digest::digest(&digest::SHA256, client_key.expose());
    let presented = presented
        .as_ref()
        .try_into()
        .expect("SHA-256 gives 32 bytes");
    StoredKey::new(presented) == StoredKey::new(*stored_key)
}

fn sign(key: &[u8; 32], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

#[cfg(test)]
mod tests {
    use super::super::mock::Mock;
    use super::super::verifier;
    use super::*;
    use crate::auth::secret::{MockKey, Password};
    use crate::catalog::PrincipalId;
    use crate::catalog::verifier::Verifier;

    /// RFC 7677 §3, the example conversation (user `user`, password `pencil`).
    const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &[u8] = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &[u8] = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn pencil() -> Verifier {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = std::num::NonZeroU32::new(4096).unwrap();
        verifier::derive(&Password::new("pencil".to_owned()), &salt, iterations)
    }

    fn known() -> AwaitClientFirst {
        AwaitClientFirst::new(Credential::known(PrincipalId(7), pencil(), None))
    }

    fn begin(message: &[u8]) -> (AwaitClientFinal, Vec<u8>) {
        known().receive_with(message, SERVER_NONCE).unwrap()
    }

    #[test]
    fn rfc_7677_section_3_conversation() {
        let (state, reply) = begin(CLIENT_FIRST);
        assert_eq!(reply, SERVER_FIRST);
        let verified = state.receive(CLIENT_FINAL).unwrap();
        assert_eq!(verified.server_final, SERVER_FINAL);
        assert_eq!(verified.authenticated.principal(), PrincipalId(7));
        assert_eq!(verified.authenticated.method(), Method::Scram);
    }

    #[test]
    fn the_name_inside_the_message_is_not_looked_at() {
        // libpq sends an empty name; the signature covers whatever was sent.
        let (_, reply) = begin(b"n,,n=somebody-else,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(reply, SERVER_FIRST);
    }

    #[test]
    fn a_changed_proof_is_a_wrong_password() {
        let (state, _) = begin(CLIENT_FIRST);
        let tampered = String::from_utf8(CLIENT_FINAL.to_vec())
            .unwrap()
            .replace("dHzb", "dHzc");
        assert_eq!(
            state.receive(tampered.as_bytes()).unwrap_err(),
            ScramError::Refused(Refusal::WrongPassword)
        );
    }

    #[test]
    fn another_nonce_is_refused_before_the_proof_is_looked_at() {
        let (state, _) = begin(CLIENT_FIRST);
        let replayed = String::from_utf8(CLIENT_FINAL.to_vec())
            .unwrap()
            .replace("%hvY", "%hvZ");
        assert_eq!(
            state.receive(replayed.as_bytes()).unwrap_err(),
            ScramError::NonceMismatch
        );
    }

    #[test]
    fn a_downgraded_channel_binding_flag_is_noticed() {
        // The client said y (it would have bound), and somebody between turned it into n.
        let (state, _) = begin(b"y,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            state.receive(CLIENT_FINAL).unwrap_err(),
            ScramError::ChannelBindingMismatch
        );
    }

    #[test]
    fn an_unknown_user_gets_the_same_messages_as_a_wrong_password() {
        let mock = Mock::new(MockKey::new([9; 32]), 4096);
        let unknown =
            AwaitClientFirst::new(Credential::mock(&mock, "nobody", Refusal::UnknownUser));
        let (unknown, unknown_reply) = unknown.receive_with(CLIENT_FIRST, SERVER_NONCE).unwrap();
        let (wrong, wrong_reply) = begin(CLIENT_FIRST);
        assert_eq!(unknown_reply.len(), wrong_reply.len());

        let tampered = String::from_utf8(CLIENT_FINAL.to_vec())
            .unwrap()
            .replace("dHzb", "dHzc");
        let unknown = unknown.receive(tampered.as_bytes()).unwrap_err();
        let wrong = wrong.receive(tampered.as_bytes()).unwrap_err();
        assert_eq!(unknown, ScramError::Refused(Refusal::UnknownUser));
        assert_eq!(unknown.diagnostic("nobody"), wrong.diagnostic("nobody"));
    }

    #[test]
    fn server_nonces_are_printable_and_differ() {
        let random = ring::rand::SystemRandom::new();
        let one = ServerNonce::random(&random);
        let other = ServerNonce::random(&random);
        assert_ne!(one, other);
        assert!(
            one.0
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b',')
        );
    }
}
