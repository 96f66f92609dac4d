//! What a login travels by: a plain connection, or one inside TLS with a client certificate or without.

use crate::connection::LoginError;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

/// PostgreSQL's SSLRequest (§55.7).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F];

/// How each connection begins.
pub enum Transport {
    /// As it is.
    Plain,
    /// With SSLRequest, then a handshake.
    Tls(Arc<ClientConfig>),
}

/// Who proves who they are by a certificate.
pub struct Certificate<'a> {
    /// PEM: its own certificate first.
    pub chain: &'a Path,
    /// PEM.
    pub key: &'a Path,
}

/// Whether handshakes may go on from an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshakes {
    /// Each is a whole one.
    Full,
    /// Each resumes the session before it, where the server lets it.
    Resumed,
}

/// An open connection.
pub enum Link {
    /// A plain one.
    Plain(TcpStream),
    /// One inside TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    /// TLS on ring. The server's signature is verified, its certificate is not: the load is on loopback.
    ///
    /// # Errors
    /// [`LoginError::Tls`] for files that hold no certificate or key.
    pub fn tls(
        certificate: Option<Certificate<'_>>,
        handshakes: Handshakes,
    ) -> Result<Transport, LoginError> {
        let failed = |error: &dyn std::fmt::Display| LoginError::Tls(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
        let mut config = match certificate {
            None => config.with_no_client_auth(),
            Some(Certificate { chain, key }) => {
                let chain = CertificateDer::pem_file_iter(chain)
                    .and_then(Iterator::collect)
                    .map_err(|error| failed(&error))?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(&error))?;
                let config = config.with_client_auth_cert(chain, key);
                config.map_err(|error| failed(&error))?
            }
        };
        if handshakes == Handshakes::Full {
            config.resumption = Resumption::disabled();
        }
        Ok(Transport::Tls(Arc::new(config)))
    }

    /// The connection, ready for the start-up packet.
    ///
    /// # Errors
    /// [`LoginError`]
    pub fn begin(&self, mut stream: TcpStream) -> Result<Link, LoginError> {
        let Transport::Tls(config) = self else {
            return Ok(Link::Plain(stream));
        };
        stream.write_all(&SSL_REQUEST)?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        if answer != *b"S" {
            return Err(LoginError::Unexpected("no willingness to speak TLS"));
        }
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(config.clone(), name)
            .map_err(|error| LoginError::Tls(error.to_string()))?;
        Ok(Link::Tls(Box::new(StreamOwned::new(client, stream))))
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(stream) => stream.read(buffer),
            Link::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Link::Plain(stream) => stream.write(bytes),
            Link::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(stream) => stream.flush(),
            Link::Tls(stream) => stream.flush(),
        }
    }
}

/// Takes any certificate whose holder signs the handshake with it.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
