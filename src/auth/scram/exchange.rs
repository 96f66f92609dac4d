//! The exchange: two states, each consumed by the client's message for it (RFC 5802 §5).
//!
//! A mock credential walks the same path and does the same arithmetic, and is refused at the very
//! end, where a wrong password is (invariant 6).

use super::channel_binding::Repeated;
use super::credential::Credential;
use super::error::{Refusal, ScramError};
use super::mechanism::Mechanism;
use super::messages::{ClientFinal, ClientFirst, server_final, server_first};
use crate::auth::Authenticated;
use crate::auth::identity::Method;
use crate::auth::secret::{ClientKey, StoredKey};
use crate::catalog::verifier::Verifier;
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
    mechanism: Mechanism,
}

/// Waits for client-final-message.
#[derive(Debug)]
pub struct AwaitClientFinal {
    credential: Credential,
    repeated: Repeated,
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
    /// An exchange about to begin for this credential, by this mechanism.
    pub fn new(credential: Credential, mechanism: Mechanism) -> AwaitClientFirst {
        AwaitClientFirst {
            credential,
            mechanism,
        }
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
        let repeated = self.mechanism.repeated(&client)?;
        let nonce = [client.nonce, server_nonce].concat();
        let verifier = self.credential.verifier();
        let reply = server_first(&nonce, &verifier.salt, verifier.iterations);
        let next = AwaitClientFinal {
            repeated,
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
        self.repeated.check(client.channel_binding)?;
        if client.nonce != self.nonce {
            return Err(ScramError::NonceMismatch);
        }
        self.transcript.extend_from_slice(client.without_proof);

        let fits = |it: &Verifier| proof_fits(&it.stored_key, &client.proof, &self.transcript);
        let fitting = self.credential.fitting(fits);
        // The server proves that it knows the password which the client has proved to know.
        let signed_by = fitting.unwrap_or(self.credential.verifier());
        let signature = sign(&signed_by.server_key, &self.transcript);
        let principal = self.credential.standing()?;
        if fitting.is_none() {
            return Err(Refusal::WrongPassword.into());
        }
        Ok(Verified {
            // VALID UNTIL may be put off: it is asked of the record, at each epoch.
            authenticated: Authenticated::new(principal, Method::Scram, None),
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
    use super::super::channel_binding::ChannelBinding;
    use super::super::mock::Mock;
    use super::super::verifier;
    use super::*;
    use crate::auth::secret::{MockKey, Password, TlsExporter};
    use crate::catalog::PrincipalId;

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

    fn known(mechanism: Mechanism) -> AwaitClientFirst {
        let credential = Credential::known(PrincipalId(7), pencil());
        AwaitClientFirst::new(credential, mechanism)
    }

    fn unknown(mechanism: Mechanism) -> AwaitClientFirst {
        let mock = Mock::new(MockKey::new([9; 32]), 4096);
        let credential = Credential::mock(&mock, "nobody", Refusal::UnknownUser);
        AwaitClientFirst::new(credential, mechanism)
    }

    fn plus() -> Mechanism {
        let exporter = Some(TlsExporter::new([2; 32]));
        let binding = ChannelBinding::new(&[1; 32], exporter);
        Mechanism::chosen("SCRAM-SHA-256-PLUS", Some(binding)).expect("it was offered")
    }

    /// client-final-message of whoever knows the password and is bound to what this says.
    fn bound_final(server_first: &[u8], header: &str, data: &[u8]) -> String {
        let server_first = std::str::from_utf8(server_first).unwrap();
        let (nonce, _) = server_first.split_once(',').unwrap();
        let repeated = BASE64_STANDARD.encode([header.as_bytes(), data].concat());
        let unsigned = format!("c={repeated},{nonce}");
        let bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
        let transcript = format!("{bare},{server_first},{unsigned}");
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = std::num::NonZeroU32::new(4096).unwrap();
        let mut salted = [0; 32];
        let algorithm = ring::pbkdf2::PBKDF2_HMAC_SHA256;
        ring::pbkdf2::derive(algorithm, iterations, &salt, b"pencil", &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let signature = sign(&pencil().stored_key, transcript.as_bytes());
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(key, mask)| key ^ mask).collect();
        format!("{unsigned},p={}", BASE64_STANDARD.encode(proof))
    }

    fn begin(message: &[u8]) -> (AwaitClientFinal, Vec<u8>) {
        known(Mechanism::Plain)
            .receive_with(message, SERVER_NONCE)
            .unwrap()
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
    fn either_of_two_passwords_is_proved_and_the_server_proves_the_same_one() {
        let other = Verifier {
            stored_key: [3; 32],
            server_key: [4; 32],
            ..pencil()
        };
        for (first, added) in [(pencil(), other.clone()), (other.clone(), pencil())] {
            let credential = Credential::known(PrincipalId(7), first).with_added(added);
            let state = AwaitClientFirst::new(credential, Mechanism::Plain);
            let (state, reply) = state.receive_with(CLIENT_FIRST, SERVER_NONCE).unwrap();
            assert_eq!(reply, SERVER_FIRST);
            let verified = state.receive(CLIENT_FINAL).unwrap();
            assert_eq!(verified.server_final, SERVER_FINAL);
        }
        let neither = Credential::known(PrincipalId(7), other.clone()).with_added(other);
        let state = AwaitClientFirst::new(neither, Mechanism::Plain);
        let (state, _) = state.receive_with(CLIENT_FIRST, SERVER_NONCE).unwrap();
        assert_eq!(
            state.receive(CLIENT_FINAL).unwrap_err(),
            ScramError::Refused(Refusal::WrongPassword)
        );
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
    fn a_proof_bound_to_the_connection_is_taken_and_no_other() {
        let (end_point, exporter) = ("p=tls-server-end-point,,", "p=tls-exporter,,");
        let failed = Err(ScramError::ChannelBindingFailed);
        for (first, repeated, data, verdict) in [
            (end_point, end_point, &[1; 32][..], Ok(())),
            (exporter, exporter, &[2; 32], Ok(())),
            // Another certificate, or another session: somebody stands between.
            (end_point, end_point, &[3; 32], failed),
            (exporter, exporter, &[3; 32], failed),
            (end_point, end_point, &[1; 31], failed),
            (end_point, end_point, &[], failed),
            // Another header than the one that came first.
            (end_point, exporter, &[1; 32], failed),
            (end_point, exporter, &[2; 32], failed),
            (end_point, "n,,", &[], failed),
            (exporter, "y,,", &[2; 32], failed),
        ] {
            let message = format!("{first}n=user,r=rOprNGfwEbeRWgbNEkqO");
            let state = known(plus()).receive_with(message.as_bytes(), SERVER_NONCE);
            let (state, reply) = state.unwrap();
            assert_eq!(reply, SERVER_FIRST);
            let message = bound_final(&reply, repeated, data);
            let found = state.receive(message.as_bytes()).map(|_| ());
            assert_eq!(found, verdict, "{first} {repeated} {data:?}");
        }
    }

    #[test]
    fn a_client_that_does_not_bind_may_not_add_data_to_what_it_repeats() {
        let (state, reply) = begin(CLIENT_FIRST);
        let message = bound_final(&reply, "n,,", &[1; 32]);
        assert_eq!(
            state.receive(message.as_bytes()).unwrap_err(),
            ScramError::ChannelBindingMismatch
        );
    }

    /// RFC 7677's conversation, by the plain mechanism though -PLUS was offered.
    #[test]
    fn a_client_that_cannot_bind_logs_in_over_tls() {
        let state = known(Mechanism::PlainInsteadOfPlus).receive_with(CLIENT_FIRST, SERVER_NONCE);
        let verified = state.unwrap().0.receive(CLIENT_FINAL).unwrap();
        assert_eq!(verified.server_final, SERVER_FINAL);
    }

    #[test]
    fn an_unknown_user_gets_the_same_messages_as_a_wrong_password() {
        let (unknown, unknown_reply) = unknown(Mechanism::Plain)
            .receive_with(CLIENT_FIRST, SERVER_NONCE)
            .unwrap();
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

    /// Whether the data fits is told alike, and before whether the proof does.
    #[test]
    fn an_unknown_user_gets_the_same_messages_with_channel_binding() {
        let message = b"p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        for (data, expected) in [
            (
                &[2; 32],
                ScramError::Refused(Refusal::WrongPassword).diagnostic("nobody"),
            ),
            (
                &[3; 32],
                ScramError::ChannelBindingFailed.diagnostic("nobody"),
            ),
        ] {
            let mut replies = Vec::new();
            for state in [known(plus()), unknown(plus())] {
                let (state, reply) = state.receive_with(message, SERVER_NONCE).unwrap();
                // Signed over another nonce: it fits nobody.
                let other = [b"r=another,".as_slice(), &reply].concat();
                let mut wrong = bound_final(&other, "p=tls-exporter,,", data);
                let nonce = std::str::from_utf8(&reply).unwrap().split(',').next();
                wrong = wrong.replace("r=another", nonce.unwrap());
                let error = state.receive(wrong.as_bytes()).unwrap_err();
                assert_eq!(error.diagnostic("nobody"), expected, "{error:?}");
                replies.push(reply.len());
            }
            assert_eq!(replies[0], replies[1]);
        }
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
