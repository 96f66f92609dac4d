//! A client that speaks the native protocol byte by byte, for tests of the protocol itself.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use rmp::Marker;
use rmp::decode::{Bytes, RmpRead};
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A reply takes at most so long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What published clients announce.
pub const CLIENT_CAPABILITIES: u64 = 0x7f;

/// A connection.
pub struct Native {
    stream: TcpStream,
    seq: u64,
}

/// A Hello.
pub fn hello(version_min: u16, version_max: u16, capabilities: u64) -> Vec<u8> {
    let mut bytes = b"NDBH".to_vec();
    bytes.extend(version_min.to_be_bytes());
    bytes.extend(version_max.to_be_bytes());
    bytes.extend(capabilities.to_be_bytes());
    bytes
}

/// A payload behind its length.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short");
    [&length.to_be_bytes(), payload].concat()
}

impl Native {
    /// A connection that has said nothing yet.
    pub fn silent(server: &TestServer) -> Native {
        let stream = TcpStream::connect(server.native()).expect("the server listens");
        let patience = stream.set_read_timeout(Some(PATIENCE));
        patience.expect("a timeout can be set");
        Native { stream, seq: 0 }
    }

    /// After the handshake, with these capabilities.
    pub fn greeted(server: &TestServer, capabilities: u64) -> Native {
        let mut client = Native::silent(server);
        client.send(&hello(1, 1, capabilities));
        let mut fixed = [0; 15];
        client.stream.read_exact(&mut fixed).expect("an ack");
        assert_eq!(&fixed[..4], b"NDBA", "{fixed:?}");
        let mut rest = vec![0; usize::from(fixed[14]) + 36];
        client.stream.read_exact(&mut rest).expect("an ack");
        client
    }

    /// Logged in as the superuser.
    pub fn connect(server: &TestServer) -> Native {
        Native::log_in(server, "nodedb", SUPERUSER_PASSWORD)
    }

    /// Logged in.
    pub fn log_in(server: &TestServer, user: &str, password: &str) -> Native {
        let mut client = Native::greeted(server, CLIENT_CAPABILITIES);
        let reply = client.auth(user, password, None);
        assert_eq!(reply["status"], 0, "{reply}");
        client
    }

    /// Auth by password.
    pub fn auth(&mut self, user: &str, password: &str, database: Option<&str>) -> Value {
        let auth = json!({"method": "password", "username": user, "password": password});
        self.ask(1, json!({"auth": auth, "database": database}))
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// A request in JSON, and its reply.
    pub fn ask(&mut self, op: u8, fields: Value) -> Value {
        self.request(op, fields);
        let reply = self.reply();
        assert_eq!(reply["seq"], self.seq, "{reply}");
        reply
    }

    /// A request in JSON.
    pub fn request(&mut self, op: u8, fields: Value) {
        self.seq += 1;
        let Value::Object(mut payload) = fields else {
            panic!("fields are an object");
        };
        payload.insert("op".to_owned(), json!(op));
        payload.insert("seq".to_owned(), json!(self.seq));
        payload.insert("kind".to_owned(), json!("text"));
        let payload = Value::Object(payload).to_string();
        self.send(&frame(payload.as_bytes()));
    }

    /// Statements, and the reply.
    pub fn sql(&mut self, text: &str) -> Value {
        self.ask(0x20, json!({"sql": text}))
    }

    /// Statements that succeed; gives the rows of the last one.
    pub fn rows(&mut self, text: &str) -> Value {
        let reply = self.sql(text);
        assert_eq!(reply["status"], 0, "{text}: {reply}");
        reply["rows"].clone()
    }

    /// Statements that fail; gives the SQLSTATE.
    pub fn code(&mut self, text: &str) -> String {
        let reply = self.sql(text);
        assert_eq!(reply["status"], 2, "{text}: {reply}");
        reply["error"]["code"].as_str().expect("a code").to_owned()
    }

    /// The next frame's payload; None: the server has closed.
    pub fn payload(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut payload).expect("a whole frame");
        Some(payload)
    }

    /// The next reply, of either encoding.
    pub fn reply(&mut self) -> Value {
        let payload = self.payload().expect("a reply");
        match payload.first() {
            Some(b'{') => serde_json::from_slice(&payload).expect("JSON"),
            _ => {
                let mut bytes = Bytes::new(&payload);
                let value = decoded(&mut bytes);
                assert!(bytes.remaining_slice().is_empty(), "one value a frame");
                value
            }
        }
    }

    /// All that is still to come, until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("it is closed");
        rest
    }
}

/// MessagePack as JSON; bytes as an array of numbers.
pub fn decoded(bytes: &mut Bytes<'_>) -> Value {
    let marker = rmp::decode::read_marker(bytes).expect("a marker");
    let list = |bytes: &mut Bytes<'_>, length: u32| {
        Value::Array((0..length).map(|_| decoded(bytes)).collect())
    };
    let text = |bytes: &mut Bytes<'_>, length: u32| {
        let mut text = vec![0; length as usize];
        bytes.read_exact_buf(&mut text).expect("a text");
        Value::from(String::from_utf8(text).expect("UTF-8"))
    };
    match marker {
        Marker::Null => Value::Null,
        Marker::True => json!(true),
        Marker::False => json!(false),
        Marker::FixPos(number) => json!(number),
        Marker::FixNeg(number) => json!(number),
        Marker::U8 => json!(bytes.read_data_u8().expect("there")),
        Marker::U16 => json!(bytes.read_data_u16().expect("there")),
        Marker::U32 => json!(bytes.read_data_u32().expect("there")),
        Marker::U64 => json!(bytes.read_data_u64().expect("there")),
        Marker::I8 => json!(bytes.read_data_i8().expect("there")),
        Marker::I16 => json!(bytes.read_data_i16().expect("there")),
        Marker::I32 => json!(bytes.read_data_i32().expect("there")),
        Marker::I64 => json!(bytes.read_data_i64().expect("there")),
        Marker::F64 => json!(bytes.read_data_f64().expect("there")),
        Marker::FixStr(length) => text(bytes, u32::from(length)),
        Marker::Str8 => {
            let length = bytes.read_data_u8().expect("there");
            text(bytes, u32::from(length))
        }
        Marker::Str16 => {
            let length = bytes.read_data_u16().expect("there");
            text(bytes, u32::from(length))
        }
        Marker::Str32 => {
            let length = bytes.read_data_u32().expect("there");
            text(bytes, length)
        }
        Marker::Bin8 => {
            let length = usize::from(bytes.read_data_u8().expect("there"));
            let mut binary = vec![0; length];
            bytes.read_exact_buf(&mut binary).expect("bytes");
            json!(binary)
        }
        Marker::FixArray(length) => list(bytes, u32::from(length)),
        Marker::Array16 => {
            let length = bytes.read_data_u16().expect("there");
            list(bytes, u32::from(length))
        }
        Marker::Array32 => {
            let length = bytes.read_data_u32().expect("there");
            list(bytes, length)
        }
        Marker::FixMap(length) => {
            let pair = |_| {
                let key = decoded(bytes);
                let key = key.as_str().expect("keys are texts").to_owned();
                (key, decoded(bytes))
            };
            Value::Object((0..length).map(pair).collect::<Map<_, _>>())
        }
        other => panic!("a reply holds {other:?}"),
    }
}
