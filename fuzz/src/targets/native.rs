//! The native protocol's handshake, frames and requests, in MessagePack and in JSON.

use nodedb::wire::native::frame::{Front, HEADER_BYTES, front};
use nodedb::wire::native::handshake::{self, HELLO_BYTES};
use nodedb::wire::native::request::decode;
use nodedb::wire::native::value::{DEPTH_MAX, PARAMETERS_MAX, Value};

const FRAME_BYTES_MAX: usize = 4096;

/// A hello, then frames.
pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |payload: &[u8]| [&(payload.len() as u32).to_be_bytes(), payload].concat();
    let hello = b"NDBH\0\x01\0\x01\0\0\0\0\0\0\0\x7f".to_vec();
    let auth = frame(b"\x93\x01\x01\x92\x01\x82\x01\x92\xa8Password\x92\xa2al\xa2pw\x53\xa2db");
    let parameters = frame(
        b"\x93\x20\xcd\x01\0\x92\x01\x83\x02\xa9SELECT $1\x54\x95\x91\0\x92\x01\xc3\x92\x02\xd1\xff\x01\
          \x92\x06\x92\x92\x03\xcb\x3f\xf0\0\0\0\0\0\0\x92\x04\xa1x\x92\x07\x81\xa1k\x92\x05\xc4\x01\0\
          \xcd\x27\x0f\x82\x01\xc0\xa1k\xdc\0\x01\xc2",
    );
    let exact = frame(
        b"\x93\x20\x01\x92\x01\x81\x54\x93\x92\x0c\xc4\x10\0\0\x02\0\x01\0\0\0\0\0\0\0\0\0\0\0\
          \x92\x0a\x91\x05\x92\x0b\x91\xff",
    );
    let json = frame(
        br#"{"op":32,"seq":3,"kind":"text","sql":"x","sql_params":[null,-1,1.5,"t",[{"k":[]}]],"u":[{}]}"#,
    );
    let token = frame(br#"{"op":1,"seq":1,"auth":{"method":"api_key","token":"ndb_x.y"}}"#);
    vec![
        [hello.clone(), auth, parameters.clone()].concat(),
        [hello.clone(), json, token].concat(),
        [hello.clone(), exact].concat(),
        [
            hello,
            frame(b"\x93\x02\x01\x92\x01\x80"),
            b"\0\0\0\0".to_vec(),
        ]
        .concat(),
        parameters,
        b"NDBH\0\x02\0\x01".to_vec(),
        b"\xff\xff\xff\xff".to_vec(),
    ]
}

/// Parts of a hello are none, every frame moves on and stays within the limit, and what is read of
/// a request is bounded.
pub fn run(data: &[u8]) {
    let mut inbox = data;
    if let Ok(Some(hello)) = handshake::parse(data) {
        for end in 0..HELLO_BYTES {
            assert_eq!(handshake::parse(&data[..end]), Ok(None), "a part is none");
        }
        let _ = hello.agree();
        inbox = &data[HELLO_BYTES..];
    }
    while let Ok(Front::Whole(bytes)) = front(inbox, FRAME_BYTES_MAX) {
        assert!(bytes > HEADER_BYTES && bytes <= inbox.len(), "it moves on");
        assert!(bytes <= HEADER_BYTES + FRAME_BYTES_MAX, "within the limit");
        let (frame, rest) = inbox.split_at(bytes);
        if let Ok(request) = decode(&frame[HEADER_BYTES..]) {
            let parameters = &request.fields.parameters;
            assert!(parameters.len() <= PARAMETERS_MAX);
            assert!(parameters.iter().all(|value| depth(value) <= DEPTH_MAX));
            assert!(request.fields.sql.is_none_or(|sql| !sql.contains('\0')));
        }
        inbox = rest;
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(all) => 1 + all.iter().map(depth).max().unwrap_or_default(),
        Value::Map(all) => {
            1 + all
                .iter()
                .map(|(_, value)| depth(value))
                .max()
                .unwrap_or_default()
        }
        _ => 0,
    }
}
