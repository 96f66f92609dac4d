//! What of a certificate is shown and compared (RFC 5280 §4.1): serial, names, dates, and the hash
//! that it is signed with. Whether it is to be believed is `certificate`'s question.

use super::der::{Malformed, Reader, tag};
use chrono::{NaiveDateTime, TimeZone, Utc};
use ring::digest;

/// Names of one certificate that are looked at: each is put to every rule of `[auth.cert] map`, on a
/// session core.
pub const NAMES_MAX: usize = 128;

/// The parts of a certificate, where they lie in it.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// The serial number: the contents of its INTEGER.
    pub serial: &'a [u8],
    /// The issuer's name: the contents of its SEQUENCE.
    pub issuer: &'a [u8],
    /// The subject's name: the contents of its SEQUENCE.
    pub subject: &'a [u8],
    /// Good from, Unix seconds.
    pub not_before: i64,
    /// Good until, Unix seconds.
    pub not_after: i64,
    signature_algorithm: &'a [u8],
    behind_subject: Reader<'a>,
}

/// A name in a certificate, and what kind of name it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Where it stands.
    pub kind: NameKind,
    /// As it stands there.
    pub text: String,
}

/// Where a name stands: the subject's common name, or a subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// commonName
    Common,
    /// dNSName
    Dns,
    /// rfc822Name
    Email,
    /// uniformResourceIdentifier
    Uri,
}

impl<'a> Certificate<'a> {
    /// Reads as far as the dates; whatever follows is not looked at. Costs under a microsecond.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(der: &'a [u8]) -> Result<Certificate<'a>, Malformed> {
        let mut outermost = Reader::new(der);
        let mut signed = outermost.inside(tag::SEQUENCE)?;
        if !outermost.is_at_end() {
            return Err(Malformed);
        }
        let mut body = signed.inside(tag::SEQUENCE)?;
        let signature_algorithm = signed
            .inside(tag::SEQUENCE)?
            .expect(tag::OBJECT_IDENTIFIER)?;
        // The version.
        body.optional(tag::context(0))?;
        let serial = body.expect(tag::INTEGER)?;
        // The algorithm once more.
        body.expect(tag::SEQUENCE)?;
        let issuer = body.expect(tag::SEQUENCE)?;
        let mut validity = body.inside(tag::SEQUENCE)?;
        let not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        let subject = body.expect(tag::SEQUENCE)?;
        Ok(Certificate {
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            signature_algorithm,
            behind_subject: body,
        })
    }

    /// The names of whoever it is for, those of the subject first. Costs about a microsecond.
    ///
    /// # Errors
    /// [`Malformed`], also for a name that is empty or holds a control character: another reader of
    /// the same bytes may see another name (`alice\0.example.org`); and for more than [`NAMES_MAX`].
    pub fn names(&self) -> Result<Vec<Name>, Malformed> {
        let mut names = Vec::new();
        for_each_attribute(self.subject, |kind, tag, value| {
            if kind == COMMON_NAME {
                add(name(NameKind::Common, tag, value)?, &mut names)?;
            }
            Ok(())
        })?;
        let Some(alternatives) = self.extension(SUBJECT_ALT_NAME)? else {
            return Ok(names);
        };
        let mut outermost = Reader::new(alternatives);
        let mut alternatives = outermost.inside(tag::SEQUENCE)?;
        while !alternatives.is_at_end() {
            let (found, value) = alternatives.any()?;
            let known = ALTERNATIVES.iter().find(|(known, _)| *known == found);
            if let Some((_, kind)) = known {
                add(name(*kind, tag::IA5_STRING, value)?, &mut names)?;
            }
        }
        Ok(names)
    }

    /// What stands in the extension of this number.
    fn extension(&self, wanted: &[u8]) -> Result<Option<&'a [u8]>, Malformed> {
        let mut body = self.behind_subject;
        // The public key, and numbers that tell two holders of one name apart.
        body.expect(tag::SEQUENCE)?;
        body.optional(tag::context_primitive(1))?;
        body.optional(tag::context_primitive(2))?;
        let Some(extensions) = body.optional(tag::context(3))? else {
            return Ok(None);
        };
        let mut extensions = Reader::new(extensions).inside(tag::SEQUENCE)?;
        let mut contents = None;
        while !extensions.is_at_end() {
            let mut extension = extensions.inside(tag::SEQUENCE)?;
            let number = extension.expect(tag::OBJECT_IDENTIFIER)?;
            extension.optional(tag::BOOLEAN)?;
            let value = extension.expect(tag::OCTET_STRING)?;
            // RFC 5280 §4.2: each at most once.
            if number == wanted && contents.replace(value).is_some() {
                return Err(Malformed);
            }
        }
        Ok(contents)
    }

    /// The hash that `tls-server-end-point` takes (RFC 5929 §4.1): that of the signature, SHA-256
    /// in the place of older ones. None where the signature has none of its own.
    pub fn signature_hash(&self) -> Option<&'static digest::Algorithm> {
        match self.signature_algorithm {
            RSA_MD5 | RSA_SHA1 | ECDSA_SHA1 | RSA_SHA256 | ECDSA_SHA256 => Some(&digest::SHA256),
            RSA_SHA384 | ECDSA_SHA384 => Some(&digest::SHA384),
            RSA_SHA512 | ECDSA_SHA512 => Some(&digest::SHA512),
            _ => None,
        }
    }

    /// The subject as it is shown: `CN=alice, O=Example`.
    pub fn subject_text(&self) -> String {
        name_text(self.subject).unwrap_or_else(|Malformed| "?".to_owned())
    }

    /// The serial number in hexadecimal, as `openssl x509 -serial` prints it.
    pub fn serial_text(&self) -> String {
        let digits = match self.serial {
            [0, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        };
        digits.iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

// 1.2.840.113549.1.1.n and 1.2.840.10045.4.1, 4.3.n
const RSA_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];

/// UTCTime for the years 1950 to 2049, GeneralizedTime for others; both in UTC, with seconds.
pub(super) fn time(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    let (kind, digits) = reader.any()?;
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    let full = match (kind, digits.len()) {
        (tag::UTC_TIME, 13) if digits < "50" => format!("20{digits}"),
        (tag::UTC_TIME, 13) => format!("19{digits}"),
        (tag::GENERALIZED_TIME, 15) => digits.to_owned(),
        _ => return Err(Malformed),
    };
    let parsed = NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%SZ");
    parsed
        .map(|time| Utc.from_utc_datetime(&time).timestamp())
        .map_err(|_| Malformed)
}

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 29, 17];

/// The tags of the alternative names that are looked at.
const ALTERNATIVES: [(u8, NameKind); 3] = [
    (tag::context_primitive(1), NameKind::Email),
    (tag::context_primitive(2), NameKind::Dns),
    (tag::context_primitive(6), NameKind::Uri),
];

fn add(name: Name, names: &mut Vec<Name>) -> Result<(), Malformed> {
    if names.len() == NAMES_MAX {
        return Err(Malformed);
    }
    names.push(name);
    Ok(())
}

/// The text of a name: Unicode in a UTF8String, ASCII in the older kinds.
fn name(kind: NameKind, tag: u8, value: &[u8]) -> Result<Name, Malformed> {
    let is_ascii = matches!(tag, tag::PRINTABLE_STRING | tag::IA5_STRING) && value.is_ascii();
    if !is_ascii && tag != tag::UTF8_STRING {
        return Err(Malformed);
    }
    let text = std::str::from_utf8(value).map_err(|_| Malformed)?;
    if text.is_empty() || text.contains(char::is_control) {
        return Err(Malformed);
    }
    Ok(Name {
        kind,
        text: text.to_owned(),
    })
}

/// What names are shown with; others by no name.
const ATTRIBUTES: [(&[u8], &str); 6] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
];

pub(super) fn name_text(name: &[u8]) -> Result<String, Malformed> {
    let mut parts = Vec::new();
    for_each_attribute(name, |kind, _, value| {
        let known = ATTRIBUTES.iter().find(|(known, _)| *known == kind);
        // Control characters in a name are somebody's trick on whoever reads the log.
        let value = String::from_utf8_lossy(value).escape_debug().to_string();
        parts.push(format!("{}={value}", known.map_or("?", |(_, name)| name)));
        Ok(())
    })?;
    parts.reverse();
    Ok(parts.join(", "))
}

/// Each attribute of a name: its kind, the tag of its value, the value.
fn for_each_attribute<'a>(
    name: &'a [u8],
    mut each: impl FnMut(&'a [u8], u8, &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut name = Reader::new(name);
    while !name.is_at_end() {
        let mut set = name.inside(tag::SET)?;
        while !set.is_at_end() {
            let mut attribute = set.inside(tag::SEQUENCE)?;
            let kind = attribute.expect(tag::OBJECT_IDENTIFIER)?;
            let (tag, value) = attribute.any()?;
            each(kind, tag, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(subject: &str) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2049, 12, 31);
        parameters.not_after = rcgen::date_time_ymd(2050, 1, 1);
        parameters.serial_number = Some(vec![0x0b, 0xad].into());
        let mut name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::OrganizationName, "Example");
        name.push(rcgen::DnType::CommonName, subject);
        parameters.distinguished_name = name;
        let made = parameters.self_signed(&key).expect("a certificate");
        made.der().to_vec()
    }

    #[test]
    fn names_serial_and_dates_are_found_in_both_forms_of_time() {
        let der = made("alice");
        let certificate = Certificate::parse(&der).expect("well formed");
        assert_eq!(certificate.subject_text(), "CN=alice, O=Example");
        assert_eq!(certificate.serial_text(), "0BAD");
        assert_eq!(certificate.not_before, 2_524_521_600);
        assert_eq!(certificate.not_after, 2_524_608_000);
    }

    #[test]
    fn a_name_with_control_characters_is_shown_with_escapes() {
        let der = made("alice\0bob\n\u{1b}[2J");
        let certificate = Certificate::parse(&der).expect("well formed");
        assert_eq!(
            certificate.subject_text(),
            "CN=alice\\0bob\\n\\u{1b}[2J, O=Example"
        );
    }

    fn names(edit: impl FnOnce(&mut rcgen::CertificateParams)) -> Result<Vec<Name>, Malformed> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        edit(&mut parameters);
        let made = parameters.self_signed(&key).expect("a certificate");
        Certificate::parse(made.der()).expect("well formed").names()
    }

    #[test]
    fn common_and_alternative_names_are_told_apart() {
        let found = names(|it| {
            let name = &mut it.distinguished_name;
            name.push(rcgen::DnType::OrganizationName, "Example");
            name.push(rcgen::DnType::CommonName, "Zoë");
            let text = |text: &str| text.try_into().expect("ASCII");
            it.subject_alt_names = vec![
                rcgen::SanType::DnsName(text("db.example.org")),
                rcgen::SanType::IpAddress("127.0.0.1".parse().expect("an address")),
                rcgen::SanType::URI(text("spiffe://example.org/batch")),
                rcgen::SanType::Rfc822Name(text("zoe@example.org")),
            ];
        });
        let found = found.expect("well formed");
        let found: Vec<_> = found.iter().map(|it| (it.kind, it.text.as_str())).collect();
        assert_eq!(
            found,
            [
                (NameKind::Common, "Zoë"),
                (NameKind::Dns, "db.example.org"),
                (NameKind::Uri, "spiffe://example.org/batch"),
                (NameKind::Email, "zoe@example.org"),
            ]
        );
        assert_eq!(names(|_| {}), Ok(Vec::new()));
    }

    #[test]
    fn a_name_with_a_trick_in_it_is_no_name() {
        for trick in ["alice\0.example.org", "alice\n", ""] {
            let common = names(|it| {
                let name = &mut it.distinguished_name;
                name.push(rcgen::DnType::CommonName, trick);
            });
            assert_eq!(common, Err(Malformed), "{trick:?}");
            let alternative = names(|it| {
                let text = trick.try_into().expect("ASCII");
                it.subject_alt_names = vec![rcgen::SanType::DnsName(text)];
            });
            assert_eq!(alternative, Err(Malformed), "{trick:?}");
        }
    }

    #[test]
    fn a_certificate_of_too_many_names_has_none() {
        let of = |count: usize| {
            names(|it| {
                let name = |number| format!("host{number}.example.org").as_str().try_into();
                let all = (0..count).map(|number| name(number).expect("ASCII"));
                it.subject_alt_names = all.map(rcgen::SanType::DnsName).collect();
            })
        };
        assert_eq!(of(NAMES_MAX).map(|all| all.len()), Ok(NAMES_MAX));
        assert_eq!(of(NAMES_MAX + 1), Err(Malformed));
    }

    #[test]
    fn a_certificate_cut_anywhere_is_malformed() {
        let der = made("alice");
        for end in 0..der.len() {
            assert!(Certificate::parse(&der[..end]).is_err(), "{end}");
        }
        let mut longer = der.clone();
        longer.push(0);
        assert!(Certificate::parse(&longer).is_err());
    }
}
