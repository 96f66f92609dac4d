//! The client certificate of a connection, and for whom it logs in.
//!
//! That it is to be believed has been decided (`certificate`); for whom it is, its names and the map
//! say once a connection, and the catalog at each log-in.

use super::authenticated::Authenticated;
use super::certificate_map::CertificateMap;
use super::identity::Method;
use super::x509::Certificate;
use crate::catalog::snapshot::Principals;
use rustls::pki_types::CertificateDer;
use thiserror::Error;

/// What a connection has presented, its own certificate first; the handshake has verified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    chain: Box<[CertificateDer<'static>]>,
    own: Result<Own, Refusal>,
}

/// What its own certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    /// The first choice first.
    logins: Box<[String]>,
    /// Unix microseconds.
    ends_at: i64,
}

/// Why a certificate that is believed logs nobody in, and nothing else may either: for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Empty, with a control character, or not the kind of text it says.
    #[error("a name in the client certificate is malformed")]
    MalformedName,
    /// DISABLE
    #[error("the login of the client certificate is disabled")]
    Disabled,
    /// VALID UNTIL has passed, or the certificate's own time.
    #[error("the client certificate, or its login, has expired")]
    Expired,
}

impl Presented {
    /// None for a connection that has presented nothing. Costs some microseconds: once a connection.
    pub fn of(chain: &[CertificateDer<'static>], map: &CertificateMap) -> Option<Presented> {
        let own = chain.first()?;
        let own = Certificate::parse(own)
            .and_then(|own| Ok((own.not_after, own.names()?)))
            .map(|(not_after, names)| Own {
                logins: map.logins(&names).into(),
                ends_at: not_after.saturating_mul(1_000_000),
            })
            .map_err(|_| Refusal::MalformedName);
        Some(Presented {
            chain: chain.into(),
            own,
        })
    }

    /// All of it.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Whom it proves its bearer to be: the first login that its names lead to. None if they lead to
    /// nobody; it then proves the transport only, and the next credential decides (REFERENCE §3). `now`
    /// in Unix microseconds.
    ///
    /// # Errors
    /// [`Refusal`]: it is a bad credential.
    pub fn prove(
        &self,
        principals: &Principals,
        now: i64,
    ) -> Result<Option<Authenticated>, Refusal> {
        let own = self.own.as_ref().map_err(|refusal| *refusal)?;
        let mut logins = own.logins.iter();
        let Some(login) = logins.find_map(|name| principals.principal_named(name)) else {
            return Ok(None);
        };
        if !login.enabled {
            return Err(Refusal::Disabled);
        }
        let user_ends = login.valid_until.unwrap_or(i64::MAX);
        if now >= own.ends_at.min(user_ends) {
            return Err(Refusal::Expired);
        }
        let (method, ends_at) = (Method::Certificate, Some(own.ends_at));
        Ok(Some(Authenticated::new(login.id, method, ends_at)))
    }
}
