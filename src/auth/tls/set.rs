//! One usable set: what a handshake needs, made of the files of one moment.

use super::material::{Material, Unusable};
use crate::auth::x509::Certificate;
use ring::digest;
use rustls::crypto::ring as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig};
use rustls::{Error, InconsistentKeys, SupportedProtocolVersion};
use std::sync::Arc;

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VersionMin {
    /// TLS 1.2, with forward secrecy and authenticated encryption only.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl VersionMin {
    fn spoken(self) -> &'static [&'static SupportedProtocolVersion] {
        const NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        const BOTH: &[&SupportedProtocolVersion] =
            &[&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            VersionMin::Tls12 => BOTH,
            VersionMin::Tls13 => NEWEST,
        }
    }

    /// As the configuration says it.
    pub fn as_str(self) -> &'static str {
        match self {
            VersionMin::Tls12 => "1.2",
            VersionMin::Tls13 => "1.3",
        }
    }
}

/// What the configuration says beside the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Terms {
    /// `min_version`
    pub version_min: VersionMin,
}

/// The server's own certificate, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// Whose it is.
    pub subject: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Good until, Unix seconds.
    pub not_after: i64,
}

/// What a handshake needs, on each port.
pub struct TlsSet {
    pgwire: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    native: Arc<ServerConfig>,
    terms: Terms,
    certificate: ServerCertificate,
    server_end_point: Option<Box<[u8]>>,
    tickets: Arc<dyn ProducesTickets>,
}

impl TlsSet {
    /// Made of the files. Costs under a millisecond; reads nothing else. The sessions of `before` go
    /// on: what has changed since is the server's certificate only.
    ///
    /// # Errors
    /// [`Unusable`]
    pub fn new(
        material: &Material,
        terms: Terms,
        before: Option<&TlsSet>,
    ) -> Result<TlsSet, Unusable> {
        let chain = material.chain()?;
        let own = Certificate::parse(&chain[0]).map_err(|_| Unusable::Malformed)?;
        let certificate = ServerCertificate {
            subject: own.subject_text(),
            serial: own.serial_text(),
            not_after: own.not_after,
        };
        let hash = own.signature_hash();
        let server_end_point = hash.map(|hash| digest::digest(hash, &chain[0]).as_ref().into());
        let tickets = match before {
            Some(before) => before.tickets.clone(),
            // One for all cores and ports: whoever accepts can resume. Its keys change every six
            // hours.
            None => provider::Ticketer::new().map_err(|_| Unusable::NoRandomness)?,
        };
        let mut base = base(chain, material.private_key()?, terms)?;
        base.ticketer = tickets.clone();
        Ok(TlsSet {
            pgwire: speaking(&base, &[PGWIRE]),
            http: speaking(&base, &[HTTP]),
            native: speaking(&base, &[]),
            terms,
            certificate,
            server_end_point,
            tickets,
        })
    }

    /// For the PostgreSQL port.
    pub fn pgwire(&self) -> Arc<ServerConfig> {
        self.pgwire.clone()
    }

    /// For the HTTP port.
    pub fn http(&self) -> Arc<ServerConfig> {
        self.http.clone()
    }

    /// For the native port.
    pub fn native(&self) -> Arc<ServerConfig> {
        self.native.clone()
    }

    /// What the configuration said.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The server's own certificate.
    pub fn certificate(&self) -> &ServerCertificate {
        &self.certificate
    }

    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1): the hash of the server's
    /// certificate. None where its signature names no hash, as Ed25519.
    pub fn server_end_point(&self) -> Option<&[u8]> {
        self.server_end_point.as_deref()
    }
}

/// PostgreSQL 17's, registered with IANA.
pub(super) const PGWIRE: &[u8] = b"postgresql";
const HTTP: &[u8] = b"http/1.1";

fn base(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    terms: Terms,
) -> Result<ServerConfig, Unusable> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(terms.version_min.spoken())
        .map_err(|error| Unusable::Rejected(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(rejected)?;
    // Sessions live in their tickets only: a store would be shared between the cores.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // Each costs a send's worth of bytes, and most clients never come back with any.
    config.send_tls13_tickets = 1;
    // What comes before the handshake is over could be played again (RFC 8446 §8).
    config.max_early_data_size = 0;
    Ok(config)
}

fn rejected(error: Error) -> Unusable {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unusable::OtherKey,
        error => Unusable::Rejected(error.to_string()),
    }
}

fn speaking(base: &ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let mut config = base.clone();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::super::material::Kind;
    use super::*;
    use zeroize::Zeroizing;

    fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]);
        let parameters = parameters.expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn material(certificate: &str, key: &str) -> Material {
        Material {
            certificate: certificate.as_bytes().to_vec(),
            key: Zeroizing::new(key.as_bytes().to_vec()),
        }
    }

    fn unusable(certificate: &str, key: &str) -> Unusable {
        let made = TlsSet::new(&material(certificate, key), Terms::default(), None);
        made.err().expect("not usable")
    }

    #[test]
    fn what_cannot_be_used_is_said_with_the_name_of_the_file() {
        let (certificate, key) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        let (_, other) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(unusable(&certificate, &other), Unusable::OtherKey);
        for (certificate, key, kind) in [
            ("", &*key, Kind::Certificate),
            ("not PEM at all", &key, Kind::Certificate),
            (&key, &key, Kind::Certificate),
            (&certificate, "", Kind::Key),
            (&certificate, &certificate, Kind::Key),
        ] {
            let found = unusable(certificate, key);
            assert!(
                matches!(found, Unusable::NotPem { kind: found, .. } if found == kind),
                "{found}"
            );
            assert!(
                found
                    .to_string()
                    .starts_with(&format!("`{}`", kind.as_str()))
            );
        }
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(unusable(&certificate, encrypted), Unusable::EncryptedKey);
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(unusable(broken, &key), Unusable::Malformed);
    }

    #[test]
    fn the_end_point_is_hashed_as_the_certificate_is_signed() {
        for (algorithm, bytes) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let (certificate, key) = made(algorithm);
            let set = TlsSet::new(&material(&certificate, &key), Terms::default(), None);
            let set = set.expect("usable");
            assert_eq!(set.server_end_point().map(<[u8]>::len), bytes);
        }
    }

    #[test]
    fn no_key_is_printed() {
        let (certificate, key) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(
            format!("{:?}", material(&certificate, &key)),
            "Material(***)"
        );
    }
}
