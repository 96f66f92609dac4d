//! The fields of a request's head that anybody here looks at (RFC 9110, RFC 9112).

use super::error::HttpError;
use super::gzip::Coding;
use super::head::{Body, Version};
use super::response::KeepAlive;

/// What they say, still as bytes.
#[derive(Default)]
pub struct Fields<'a> {
    /// How many Host fields there are.
    pub hosts: usize,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    /// Authorization
    pub authorization: Option<&'a [u8]>,
    /// X-NodeDB-Database
    pub database: Option<&'a [u8]>,
    /// X-NodeDB-Tenant
    pub tenant: Option<&'a [u8]>,
    /// Origin
    pub origin: Option<&'a [u8]>,
    /// Sec-Fetch-Site
    pub site: Option<&'a [u8]>,
    /// X-Forwarded-For: each proxy may have added one.
    pub forwarded_for: Vec<&'a [u8]>,
    /// Accept-Encoding
    pub coding: Coding,
    /// Expect: 100-continue
    pub expects_continue: bool,
    close: bool,
    keep_alive: bool,
}

impl<'a> Fields<'a> {
    /// Picks them out.
    ///
    /// # Errors
    /// 400 for a field that stands twice and must not, 417 for an expectation.
    pub fn read(headers: &[httparse::Header<'a>]) -> Result<Fields<'a>, HttpError> {
        let mut fields = Fields::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("host") {
                fields.hosts += 1;
            } else if is("expect") {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(HttpError::Expectation);
                }
                fields.expects_continue = true;
            } else if is("connection") {
                for option in header.value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    fields.close |= option.eq_ignore_ascii_case(b"close");
                    fields.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if is("x-forwarded-for") {
                fields.forwarded_for.push(header.value);
            } else if is("accept-encoding") {
                fields.coding = fields.coding.or(Coding::accepted(header.value));
            } else if let Some((place, twice)) = fields.single(header.name)
                && place.replace(header.value).is_some()
            {
                return Err(HttpError::Malformed(twice));
            }
        }
        if fields.hosts > 1 {
            return Err(HttpError::Malformed("two Host fields"));
        }
        Ok(fields)
    }

    /// Where a field that may stand once is kept, and what is wrong with a second one.
    fn single(&mut self, name: &str) -> Option<(&mut Option<&'a [u8]>, &'static str)> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        Some(if is("content-length") {
            (&mut self.content_length, "two Content-Length fields")
        } else if is("transfer-encoding") {
            (&mut self.transfer_encoding, "two Transfer-Encoding fields")
        } else if is("authorization") {
            (&mut self.authorization, "two Authorization fields")
        } else if is("x-nodedb-database") {
            (&mut self.database, "two X-NodeDB-Database fields")
        } else if is("x-nodedb-tenant") {
            (&mut self.tenant, "two X-NodeDB-Tenant fields")
        } else if is("origin") {
            (&mut self.origin, "two Origin fields")
        } else if is("sec-fetch-site") {
            (&mut self.site, "two Sec-Fetch-Site fields")
        } else {
            return None;
        })
    }

    /// Whether the client goes on after the reply.
    pub fn keep_alive(&self, version: Version) -> KeepAlive {
        match version {
            _ if self.close => KeepAlive::Close,
            Version::Http11 => KeepAlive::Yes,
            Version::Http10 if self.keep_alive => KeepAlive::Yes,
            Version::Http10 => KeepAlive::Close,
        }
    }

    /// What follows the head.
    ///
    /// # Errors
    /// 400 for what two servers could read in two ways, 501 for another coding than chunked.
    pub fn body(&self, version: Version) -> Result<Body, HttpError> {
        match (self.content_length, self.transfer_encoding) {
            (None, None) => Ok(Body::Empty),
            (Some(_), Some(_)) => Err(HttpError::Malformed(
                "both Content-Length and Transfer-Encoding",
            )),
            (None, Some(_)) if version == Version::Http10 => {
                Err(HttpError::Malformed("Transfer-Encoding in HTTP/1.0"))
            }
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Body::Chunked),
            (None, Some(_)) => Err(HttpError::TransferCoding),
            (Some(length), None) => match decimal(length) {
                Some(0) => Ok(Body::Empty),
                Some(length) => Ok(Body::Length(length)),
                None => Err(HttpError::Malformed("bad Content-Length")),
            },
        }
    }
}

/// `1*DIGIT`, and nothing else that a number parser would take.
fn decimal(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
