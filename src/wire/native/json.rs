//! A request in JSON: `{"op":1,"seq":1,"kind":"text","auth":{"method":"password",…}}` (REFERENCE §5,
//! §9). Parameters are plain JSON values; unknown keys are passed over.

use super::credential::{Presented, Token};
use super::error::RequestError;
use super::operation::Operation;
use super::request::{Fields, Refused, Request};
use super::value::{Bounds, PARAMETERS_MAX, VALUES_MAX, Value};
use crate::auth::secret::Password;
use crate::sql::parse;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::fmt;

/// What has been read of a payload when it turns out to be wrong.
struct Reading {
    seq: Cell<u64>,
    values_left: Cell<usize>,
    /// Which rule of ours it breaks; an error of serde's carries a text only.
    broken: RefCell<Option<RequestError>>,
}

impl Reading {
    fn fail<E: Error>(&self, error: RequestError) -> E {
        let text = E::custom(&error);
        self.broken.replace(Some(error));
        text
    }

    fn once<T, E: Error>(&self, place: &mut Option<T>, value: Option<T>) -> Result<(), E> {
        match (&place, value) {
            (_, None) => Ok(()),
            (None, value) => {
                *place = value;
                Ok(())
            }
            (Some(_), Some(_)) => Err(self.fail(RequestError::Malformed("a key is given twice"))),
        }
    }
}

/// Reads a payload that begins with `{`.
///
/// # Errors
/// [`Refused`]
pub fn decode(payload: &[u8]) -> Result<Request, Refused> {
    let reading = Reading {
        seq: Cell::new(0),
        values_left: Cell::new(VALUES_MAX),
        broken: RefCell::default(),
    };
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let read = deserializer
        .deserialize_map(Payload(&reading))
        .and_then(|request| deserializer.end().map(|()| request));
    read.map_err(|error| Refused {
        seq: reading.seq.get(),
        error: reading.broken.take().unwrap_or(RequestError::Json {
            line: error.line(),
            column: error.column(),
        }),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Member {
    Op,
    Seq,
    Kind,
    Auth,
    Sql,
    Key,
    Value,
    Database,
    SqlParams,
    #[serde(other)]
    Unknown,
}

/// The whole request.
struct Payload<'r>(&'r Reading);

impl<'de> Visitor<'de> for Payload<'_> {
    type Value = Request;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let reading = self.0;
        let mut fields = Fields::default();
        let (mut operation, mut seq, mut parameters) = (None, None, None);
        let (mut kind, mut auth) = (None::<String>, None::<Auth>);
        while let Some(key) = map.next_key()? {
            match key {
                Member::Op => reading.once(&mut operation, Some(map.next_value::<u8>()?))?,
                Member::Seq => {
                    reading.once(&mut seq, Some(map.next_value::<u64>()?))?;
                    reading.seq.set(seq.unwrap_or_default());
                }
                Member::Kind => reading.once(&mut kind, map.next_value()?)?,
                Member::Auth => reading.once(&mut auth, map.next_value()?)?,
                Member::Sql => reading.once(&mut fields.sql, text(reading, &mut map)?)?,
                Member::Key => reading.once(&mut fields.key, text(reading, &mut map)?)?,
                Member::Value => reading.once(&mut fields.value, text(reading, &mut map)?)?,
                Member::Database => reading.once(&mut fields.database, text(reading, &mut map)?)?,
                Member::SqlParams => {
                    reading.once(&mut parameters, map.next_value_seed(All(reading))?)?;
                }
                Member::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        fields.parameters = parameters.unwrap_or_default();
        // Looked at once the number is known, wherever it stands.
        if kind.is_some_and(|kind| kind != "text") {
            let why = "fields are of kind \"text\"";
            return Err(reading.fail(RequestError::Malformed(why)));
        }
        let auth = auth.map(presented).transpose();
        fields.auth = auth.map_err(|error| reading.fail(error))?;
        match (operation, seq) {
            (Some(operation), Some(seq)) => Ok(Request {
                operation: Operation::of(operation),
                seq,
                fields,
            }),
            _ => Err(reading.fail(RequestError::Malformed("a request has \"op\" and \"seq\""))),
        }
    }
}

fn text<'de, A: MapAccess<'de>>(
    reading: &Reading,
    map: &mut A,
) -> Result<Option<String>, A::Error> {
    let text = map.next_value::<Option<String>>()?;
    if let Some(text) = &text {
        let checked = parse::text(text.as_bytes());
        checked.map_err(|error| reading.fail(RequestError::Text(error)))?;
    }
    Ok(text)
}

/// Flat, so that no secret is kept in a buffer of serde's on its way.
#[derive(Deserialize)]
struct Auth {
    method: String,
    username: Option<String>,
    #[serde(default, deserialize_with = "password")]
    password: Option<Password>,
    #[serde(default, deserialize_with = "token")]
    token: Option<Token>,
    provider: Option<String>,
}

fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Password>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(Password::new))
}

fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Token>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(Token::new))
}

fn presented(auth: Auth) -> Result<Presented, RequestError> {
    match (&*auth.method, auth.username, auth.password, auth.token) {
        ("trust", Some(_), _, _) => Ok(Presented::Trust),
        ("password", Some(user), Some(password), _) => {
            parse::text(user.as_bytes()).map_err(RequestError::Text)?;
            Ok(Presented::Password { user, password })
        }
        ("api_key", _, _, Some(token)) => Ok(Presented::ApiKey(token)),
        ("oidc_bearer", _, _, Some(token)) => {
            let provider = auth.provider;
            Ok(Presented::OidcBearer { token, provider })
        }
        ("trust" | "password" | "api_key" | "oidc_bearer", ..) => Err(RequestError::Malformed(
            "a credential lacks a field of its method",
        )),
        _ => Err(RequestError::Malformed(
            "an unknown method of authentication",
        )),
    }
}

/// The parameters, or null.
struct All<'r>(&'r Reading);

impl<'de> DeserializeSeed<'de> for All<'_> {
    type Value = Option<Vec<Value>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for All<'_> {
    type Value = Option<Vec<Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of parameters")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let one = One {
            reading: self.0,
            bounds: Bounds::new(&self.0.values_left),
        };
        let mut all = Vec::new();
        while let Some(value) = sequence.next_element_seed(one)? {
            if all.len() == PARAMETERS_MAX {
                return Err(self.0.fail(RequestError::TooMany(PARAMETERS_MAX)));
            }
            all.push(value);
        }
        Ok(Some(all))
    }
}

/// One value, bounded.
#[derive(Clone, Copy)]
struct One<'r> {
    reading: &'r Reading,
    bounds: Bounds<'r>,
}

impl One<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let bounds = self.bounds.deeper();
        Ok(One {
            bounds: bounds.map_err(|error| self.reading.fail(error))?,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let counted = self.bounds.count();
        counted.map_err(|error| self.reading.fail(error))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        // Past what an integer holds it is a decimal number's text.
        Ok(i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        let text = parse::text(value.as_bytes());
        let text = text.map_err(|error| self.reading.fail(RequestError::Text(error)))?;
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut all = Vec::new();
        while let Some(value) = sequence.next_element_seed(inner)? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut all = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            all.push((key, map.next_value_seed(inner)?));
        }
        Ok(Value::Map(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(payload: &str) -> Refused {
        decode(payload.as_bytes()).expect_err("refused")
    }

    #[test]
    fn the_reference_s_shape_is_read() {
        let payload = br#"{"op":1,"seq":7,"kind":"text","auth":{"method":"password",
            "username":"al","password":"pw"},"database":"db","unknown":[{}]}"#;
        let request = decode(payload).expect("well formed");
        assert_eq!((request.operation, request.seq), (Operation::Auth, 7));
        assert_eq!(request.fields.database.as_deref(), Some("db"));
        let Some(Presented::Password { user, password }) = request.fields.auth else {
            panic!("a password");
        };
        assert_eq!((&*user, password.expose()), ("al", "pw"));
    }

    #[test]
    fn parameters_are_plain_values() {
        let payload = br#"{"op":32,"seq":1,"sql":"x","sql_params":
            [null,true,-5,18446744073709551615,1.5,"t",[1,[]],{"k":{"l":null}}]}"#;
        let request = decode(payload).expect("well formed");
        let map = |key: &str, value| Value::Map(vec![(key.to_owned(), value)]);
        assert_eq!(
            request.fields.parameters,
            [
                Value::Null,
                Value::Boolean(true),
                Value::Integer(-5),
                Value::Text("18446744073709551615".to_owned()),
                Value::Float(1.5),
                Value::Text("t".to_owned()),
                Value::Array(vec![Value::Integer(1), Value::Array(Vec::new())]),
                map("k", map("l", Value::Null)),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_placed_but_never_repeated() {
        let wrong = error(
            "{\"op\":1,\"seq\":1,\n\"auth\":{\"method\":\"password\",\"password\":[\"sesame\"]}}",
        );
        assert!(
            matches!(wrong.error, RequestError::Json { line: 2, .. }),
            "{wrong:?}"
        );
        assert!(!wrong.error.to_string().contains("sesame"));
        for payload in [
            "{",
            "{\"op\":256,\"seq\":1}",
            "{\"op\":1,\"seq\":-1}",
            "{\"op\":2,\"seq\":1}x",
            "{\"op\":2,\"seq\":1,\"sql\":5}",
        ] {
            assert!(
                matches!(error(payload).error, RequestError::Json { .. }),
                "{payload}"
            );
        }
        for payload in ["{}", "{\"op\":2}", "{\"op\":2,\"seq\":1,\"op\":3}"] {
            assert!(
                matches!(error(payload).error, RequestError::Malformed(_)),
                "{payload}"
            );
        }
        assert_eq!(error("{\"seq\":4,\"op\":true}").seq, 4);
        for auth in [
            "{\"method\":\"password\",\"username\":\"a\"}",
            "{\"method\":\"trust\"}",
            "{\"method\":\"magic\"}",
            "{\"method\":\"api_key\"}",
        ] {
            let refused = error(&format!("{{\"op\":1,\"seq\":9,\"auth\":{auth}}}"));
            assert_eq!(refused.seq, 9, "{auth}");
        }
        let nul = error("{\"op\":32,\"seq\":1,\"sql\":\"\\u0000\"}");
        assert_eq!(nul.error.sqlstate().as_str(), "22021");
        let kind = error("{\"op\":32,\"seq\":1,\"kind\":\"binary\"}");
        assert_eq!(kind.error.sqlstate().as_str(), "08P01");
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            let payload = format!("{{\"op\":32,\"seq\":1,\"sql_params\":[{open}1{close}]}}");
            decode(payload.as_bytes()).map(|_| ())
        };
        use super::super::value::DEPTH_MAX;
        assert_eq!(nested(DEPTH_MAX), Ok(()));
        let deep = nested(DEPTH_MAX + 1).expect_err("too deep");
        assert_eq!(deep.error, RequestError::TooDeep(DEPTH_MAX));
        assert!(nested(100_000).is_err());
        let elsewhere = format!("{{\"unknown\":{}", "[".repeat(100_000));
        assert!(matches!(error(&elsewhere).error, RequestError::Json { .. }));

        let wide = |count: usize| {
            let zeros = vec!["0"; count].join(",");
            let payload = format!("{{\"op\":32,\"seq\":1,\"sql_params\":[[{zeros}]]}}");
            decode(payload.as_bytes()).map(|_| ())
        };
        assert_eq!(wide(VALUES_MAX - 1), Ok(()));
        let many = wide(VALUES_MAX).expect_err("too many");
        assert_eq!(many.error, RequestError::TooMany(VALUES_MAX));
    }
}
