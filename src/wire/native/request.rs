//! A request in MessagePack: `[operation, seq, [1, {field: value}]]` (REFERENCE §5).
//!
//! Fields that are not known are passed over, whatever they hold; published clients have ninety of
//! them. One given twice is refused: two readers could take either.

use super::credential::{Presented, Token};
use super::error::RequestError;
use super::json;
use super::messagepack::Reader;
use super::operation::Operation;
use super::value::{self, Value};
use crate::auth::secret::Password;

/// The one kind of fields that there is.
const TEXT_FIELDS: u64 = 1;

/// How a payload is written; a request is answered in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// MessagePack.
    MessagePack,
    /// JSON: the payload begins with `{`.
    Json,
}

impl Encoding {
    /// Of a payload.
    pub fn of(payload: &[u8]) -> Encoding {
        match payload.first() {
            Some(b'{') => Encoding::Json,
            _ => Encoding::MessagePack,
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// The client's number for it, which the reply carries.
    pub seq: u64,
    /// With what.
    pub fields: Fields,
}

/// The fields that some operation looks at.
#[derive(Debug, Default)]
pub struct Fields {
    /// Who the client is.
    pub auth: Option<Presented>,
    /// Statements.
    pub sql: Option<String>,
    /// A setting.
    pub key: Option<String>,
    /// Its value.
    pub value: Option<String>,
    /// The database to log in to.
    pub database: Option<String>,
    /// $1, $2, …
    pub parameters: Vec<Value>,
}

/// A payload that is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the reply is to carry: the client's number if it could be read, else 0.
    pub seq: u64,
    /// Why.
    pub error: RequestError,
}

/// Reads a payload of either encoding. Takes time with its length: long ones are read off the core.
///
/// # Errors
/// [`Refused`]
pub fn decode(payload: &[u8]) -> Result<Request, Refused> {
    match Encoding::of(payload) {
        Encoding::Json => json::decode(payload),
        Encoding::MessagePack => {
            let mut seq = 0;
            messagepack(payload, &mut seq).map_err(|error| Refused { seq, error })
        }
    }
}

fn messagepack(payload: &[u8], seq: &mut u64) -> Result<Request, RequestError> {
    let mut reader = Reader::new(payload);
    if reader.array()? != 3 {
        return Err(RequestError::Malformed("a request has three parts"));
    }
    let operation = u8::try_from(reader.unsigned()?)
        .map_err(|_| RequestError::Malformed("an operation is one byte"))?;
    *seq = reader.unsigned()?;
    if reader.array()? != 2 || reader.unsigned()? != TEXT_FIELDS {
        return Err(RequestError::Malformed("fields are of kind 1"));
    }
    let fields = fields(&mut reader)?;
    if !reader.rest().is_empty() {
        return Err(RequestError::Malformed("something follows the request"));
    }
    Ok(Request {
        operation: Operation::of(operation),
        seq: *seq,
        fields,
    })
}

fn fields(reader: &mut Reader<'_>) -> Result<Fields, RequestError> {
    let mut fields = Fields::default();
    let mut parameters = None;
    for _ in 0..reader.map()? {
        let field = reader.unsigned()?;
        if reader.nil() {
            continue;
        }
        match field {
            1 => once(&mut fields.auth, presented(reader)?)?,
            2 => once(&mut fields.sql, reader.text()?.to_owned())?,
            3 => once(&mut fields.key, reader.text()?.to_owned())?,
            4 => once(&mut fields.value, reader.text()?.to_owned())?,
            83 => once(&mut fields.database, reader.text()?.to_owned())?,
            84 => once(&mut parameters, value::read_parameters(reader)?)?,
            _ => reader.skip()?,
        }
    }
    fields.parameters = parameters.unwrap_or_default();
    Ok(fields)
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), RequestError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(RequestError::Malformed("a field is given twice")),
    }
}

/// `[Variant, [fields]]`
fn presented(reader: &mut Reader<'_>) -> Result<Presented, RequestError> {
    if reader.array()? != 2 {
        return Err(RequestError::Malformed(
            "a credential is a method and its fields",
        ));
    }
    let method = reader.text()?;
    let fields = reader.array()?;
    match (method, fields) {
        ("Trust", 1) => {
            reader.text()?;
            Ok(Presented::Trust)
        }
        ("Password", 2) => Ok(Presented::Password {
            user: reader.text()?.to_owned(),
            password: Password::new(reader.text()?.to_owned()),
        }),
        ("ApiKey", 1) => Ok(Presented::ApiKey(Token::new(reader.text()?.to_owned()))),
        ("OidcBearer", 1 | 2) => {
            let token = Token::new(reader.text()?.to_owned());
            let provider = match fields == 2 && !reader.nil() {
                true => Some(reader.text()?.to_owned()),
                false => None,
            };
            Ok(Presented::OidcBearer { token, provider })
        }
        ("Trust" | "Password" | "ApiKey" | "OidcBearer", _) => Err(RequestError::Malformed(
            "a credential with another number of fields than its method has",
        )),
        _ => Err(RequestError::Malformed(
            "an unknown method of authentication",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(payload: &[u8]) -> Refused {
        decode(payload).expect_err("refused")
    }

    /// REFERENCE §5's example.
    #[test]
    fn the_reference_s_example_is_a_password_for_a_database() {
        let payload = b"\x93\x01\x01\x92\x01\x82\x01\x92\xa8Password\x92\xa2al\xa2pw\x53\xa2db";
        let request = decode(payload).expect("well formed");
        assert_eq!((request.operation, request.seq), (Operation::Auth, 1));
        assert_eq!(request.fields.database.as_deref(), Some("db"));
        let Some(Presented::Password { user, password }) = request.fields.auth else {
            panic!("a password");
        };
        assert_eq!((&*user, password.expose()), ("al", "pw"));
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let payload =
            b"\x93\x20\xcd\x01\x00\x92\x01\x84\xcd\x27\x0f\x92\x81\x01\x02\xc0\x02\xa1x\x05\xc1";
        assert_eq!(
            error(payload),
            Refused {
                seq: 256,
                error: RequestError::Malformed("the payload ends too early")
            }
        );
        let payload = b"\x93\x20\x07\x92\x01\x83\xcd\x27\x0f\x92\x81\x01\x02\xc0\x02\xa1x\x54\x91\x92\x02\x05";
        let request = decode(payload).expect("well formed");
        assert_eq!(request.fields.sql.as_deref(), Some("x"));
        assert_eq!(request.fields.parameters, [Value::Integer(5)]);
    }

    #[test]
    fn every_method_is_read() {
        let auth = |credential: &[u8]| {
            let payload = [b"\x93\x01\x01\x92\x01\x81\x01", credential].concat();
            decode(&payload).map(|request| request.fields.auth.expect("given"))
        };
        assert!(matches!(
            auth(b"\x92\xa5Trust\x91\xa1a"),
            Ok(Presented::Trust)
        ));
        let key = auth(b"\x92\xa6ApiKey\x91\xa1k").expect("a key");
        assert!(matches!(key, Presented::ApiKey(token) if token.expose() == "k"));
        for (bearer, named) in [
            (&b"\x92\xaaOidcBearer\x92\xa1t\xc0"[..], None),
            (b"\x92\xaaOidcBearer\x92\xa1t\xa1p", Some("p")),
            (b"\x92\xaaOidcBearer\x91\xa1t", None),
        ] {
            let Ok(Presented::OidcBearer { token, provider }) = auth(bearer) else {
                panic!("it is a token");
            };
            assert_eq!((token.expose(), provider.as_deref()), ("t", named));
        }
        for wrong in [
            &b"\x92\xa5Trust\x90"[..],
            b"\x92\xa5Magic\x90",
            b"\x91\xa5Trust",
            b"\x92\xa8Password\x91\xa1a",
            b"\xa5Trust",
        ] {
            assert!(auth(wrong).is_err(), "{wrong:02x?}");
        }
    }

    #[test]
    fn whatever_else_is_refused_with_the_number_if_it_was_there() {
        for (payload, seq) in [
            (&b""[..], 0),
            (b"\x92\x01\x01", 0),
            (b"\x93\xcd\x01\x00\x05\x92\x01\x80", 0),
            (b"\x93\x02\xff\x92\x01\x80", 0),
            (b"\x93\x02\x09\x92\x02\x80", 9),
            (b"\x93\x02\x09\x92\x01\x80\x00", 9),
            (b"\x93\x02\x09\x92\x01\x82\x02\xa1x\x02\xa1y", 9),
            (b"\x93\x02\x09\x92\x01\x81\x02\x05", 9),
            (b"\x93\x02\x09\x92\x01\x81\x02\xa2\xc3\x28", 9),
            (b"\x93\x02\x09\x92\x01\xdf\x7f\xff\xff\xff", 9),
        ] {
            assert_eq!(error(payload).seq, seq, "{payload:02x?}");
        }
    }
}
