//! The text of the files, and what can be wrong with it.

use crate::auth::certificate::TrustError;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::fmt;
use zeroize::Zeroizing;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `cert`: the server's certificate, and those that lead from it to its authority.
    Certificate,
    /// `key`: the private key of it.
    Key,
    /// `client_ca`: the authorities of client certificates.
    ClientCa,
    /// `crl`: what they have revoked.
    RevocationList,
}

impl Kind {
    /// The key of `[server.tls]` that names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Certificate => "cert",
            Kind::Key => "key",
            Kind::ClientCa => "client_ca",
            Kind::RevocationList => "crl",
        }
    }
}

/// All files, as they were read at one moment.
pub struct Material {
    /// PEM: the server's certificate first.
    pub certificate: Vec<u8>,
    /// PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: Zeroizing<Vec<u8>>,
    /// PEM: the authorities of client certificates. None: no client is asked for one.
    pub client_ca: Option<Vec<u8>>,
    /// PEM, any number of lists, or one in DER.
    pub revocation_lists: Option<Vec<u8>>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(***)")
    }
}

/// Why no set can be made of the files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no PEM, or nothing of the kind is in it.
    #[error("`{}` holds no {what} in PEM form ({reason})", kind.as_str())]
    NotPem {
        /// Which file.
        kind: Kind,
        /// What should be in it.
        what: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// The key is kept under a passphrase, which nobody would be there to type.
    #[error("`key` is encrypted: a key without a passphrase is needed (openssl pkey -in … -out …)")]
    EncryptedKey,
    /// A key or certificate of a kind that is not supported, or broken.
    #[error("`cert` and `key` cannot be used: {0}")]
    Rejected(String),
    /// They do not belong together.
    #[error("`key` is not the key of the certificate in `cert`")]
    OtherKey,
    /// The certificate cannot be read.
    #[error("the certificate in `cert` cannot be read")]
    Malformed,
    /// An authority or a list that cannot be.
    #[error("`client_ca` and `crl` cannot be used: {0}")]
    Trust(#[from] TrustError),
    /// A list of one of the authorities, signed by somebody else.
    #[error("`crl`: the list of {0} is not signed by it")]
    ForgedList(String),
    /// A list that is out of date, where `crl_strict` asks for newer ones.
    #[error("`crl`: the list of {0} is out of date, and crl_strict is set")]
    OldList(String),
    /// The system gives no randomness for the keys of tickets.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

impl Material {
    /// The server's certificate and those after it.
    ///
    /// # Errors
    /// [`Unusable::NotPem`].
    pub(super) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Unusable> {
        certificates(Kind::Certificate, &self.certificate)
    }

    /// The authorities of client certificates.
    ///
    /// # Errors
    /// [`Unusable::NotPem`].
    pub(super) fn authorities(&self) -> Result<Option<Vec<CertificateDer<'static>>>, Unusable> {
        let authorities = self.client_ca.as_ref();
        authorities
            .map(|pem| certificates(Kind::ClientCa, pem))
            .transpose()
    }

    /// The revocation lists.
    ///
    /// # Errors
    /// [`Unusable::NotPem`].
    pub(super) fn lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Unusable> {
        let Some(bytes) = &self.revocation_lists else {
            return Ok(Vec::new());
        };
        // A SEQUENCE: DER, which no PEM begins with.
        if bytes.first() == Some(&0x30) {
            return Ok(vec![bytes.clone().into()]);
        }
        let found: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(bytes).collect();
        let what = "revocation list";
        match found {
            Ok(lists) if !lists.is_empty() => Ok(lists),
            Ok(_) => Err(not_pem(Kind::RevocationList, what, &PemError::NoItemsFound)),
            Err(error) => Err(not_pem(Kind::RevocationList, what, &error)),
        }
    }

    /// The private key.
    ///
    /// # Errors
    /// [`Unusable::NotPem`], [`Unusable::EncryptedKey`].
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Unusable> {
        PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let text = String::from_utf8_lossy(&self.key);
            match text.contains("ENCRYPTED") {
                true => Unusable::EncryptedKey,
                false => not_pem(Kind::Key, "private key", &error),
            }
        })
    }
}

fn certificates(kind: Kind, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| not_pem(kind, "certificate", &error))?;
    match found.is_empty() {
        true => Err(not_pem(kind, "certificate", &PemError::NoItemsFound)),
        false => Ok(found),
    }
}

fn not_pem(kind: Kind, what: &'static str, error: &PemError) -> Unusable {
    Unusable::NotPem {
        kind,
        what,
        reason: error.to_string(),
    }
}
