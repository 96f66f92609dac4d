//! What of a revocation list is looked at before it is used (RFC 5280 §5.1): whose it is, until when,
//! and whether its issuer has signed it.

use super::der::{Malformed, Reader, tag};
use super::x509::{name_text, time};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The parts of a list, where they lie in it.
#[derive(Clone, Copy, Debug)]
pub struct RevocationList<'a> {
    /// The issuer's name: the contents of its SEQUENCE.
    pub issuer: &'a [u8],
    /// When the next one was to come, Unix seconds.
    pub next_update: Option<i64>,
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> RevocationList<'a> {
    /// Reads as far as the dates, and the signature. Costs under a microsecond.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(der: &'a [u8]) -> Result<RevocationList<'a>, Malformed> {
        let mut outermost = Reader::new(der);
        let mut list = outermost.inside(tag::SEQUENCE)?;
        let signed = list.whole(tag::SEQUENCE)?;
        let algorithm = list.expect(tag::SEQUENCE)?;
        // The first byte says how many bits of the last one are unused: none, of a signature.
        let [0, signature @ ..] = list.expect(tag::BIT_STRING)? else {
            return Err(Malformed);
        };
        let mut body = Reader::new(signed).inside(tag::SEQUENCE)?;
        // The version.
        body.optional(tag::INTEGER)?;
        // The algorithm once more.
        body.expect(tag::SEQUENCE)?;
        let issuer = body.expect(tag::SEQUENCE)?;
        time(&mut body)?;
        let next_update = match body.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(time(&mut body)?),
            _ => None,
        };
        Ok(RevocationList {
            issuer,
            next_update,
            signed,
            algorithm,
            signature,
        })
    }

    /// The issuer as it is shown.
    pub fn issuer_text(&self) -> String {
        name_text(self.issuer).unwrap_or_else(|Malformed| "?".to_owned())
    }

    /// Whether this authority has signed it. Costs one signature check.
    pub fn is_signed_by(&self, authority: &CertificateDer<'_>) -> bool {
        let Ok(authority) = EndEntityCert::try_from(authority) else {
            return false;
        };
        let algorithms = webpki::ALL_VERIFICATION_ALGS.iter();
        algorithms
            .filter(|known| known.signature_alg_id().as_ref() == self.algorithm)
            .any(|known| {
                let verified = authority.verify_signature(*known, self.signed, self.signature);
                verified.is_ok()
            })
    }
}
