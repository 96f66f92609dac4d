//! Binary input of every type. A byte that chooses the type, then the value.

use super::types::{input, print, send, split};
use nodedb::engine::settings::Settings;
use nodedb::engine::types::{Input, decode_binary};

/// A value of each type, laid out as its send function does.
pub fn seeds() -> Vec<Vec<u8>> {
    let numeric = b"\0\x02\0\0\0\0\0\x02\0\x01\x09\xc4";
    let array =
        b"\0\0\0\x01\0\0\0\x01\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x2a\xff\xff\xff\xff";
    vec![
        input("boolean", b"\x01"),
        input("smallint", b"\x80\0"),
        input("integer", b"\0\0\0\x2a"),
        input("bigint", &[0xff; 8]),
        input("numeric", numeric),
        input("real", &[0x7f, 0xc0, 0, 0]),
        input("double precision", &1.5f64.to_be_bytes()),
        input("text", "é".as_bytes()),
        input("bytea", b"\0\xff"),
        input("date", &9_000i32.to_be_bytes()),
        input("time", &86_400_000_000i64.to_be_bytes()),
        input("timestamp", &i64::MAX.to_be_bytes()),
        input("timestamptz", &(-7_000_000i64).to_be_bytes()),
        input("interval", b"\0\0\0\0\0\0\0\x07\0\0\0\x08\0\0\0\x09"),
        input("uuid", &[7; 16]),
        input("json", b"[1]"),
        input("jsonb", b"\x01{\"a\":1}"),
        input("oid", &[0xff; 4]),
        input("integer[]", array),
        input("integer[]", b"\0\0\0\0\0\0\0\0\0\0\0\x17"),
        input(
            "numeric[]",
            &[
                &b"\0\0\0\x01\0\0\0\0\0\0\x06\xa4\0\0\0\x01\0\0\0\x01\0\0\0\x0c"[..],
                numeric,
            ]
            .concat(),
        ),
    ]
}

/// What is sent back is received and sent the same; whatever is received prints.
pub fn run(data: &[u8]) {
    let Some((sql_type, bytes)) = split(data) else {
        return;
    };
    let settings = Settings::default();
    let input = Input {
        settings: &settings,
        transaction_time: 0,
        variables: None,
        types: None,
    };
    let Ok(value) = decode_binary(bytes, sql_type, input) else {
        return;
    };
    let _ = print(&value, sql_type, &settings);
    let sent = send(&value, sql_type);
    match decode_binary(&sent, sql_type, input) {
        Ok(again) => assert_eq!(send(&again, sql_type), sent, "{sql_type:?}"),
        Err(error) => panic!("{sql_type:?} {sent:02x?} sent is refused: {error}"),
    }
}
