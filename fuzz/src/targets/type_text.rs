//! Text input of every type: numbers, dates, intervals, arrays, JSON and the rest. A byte that
//! chooses the type, then the text.

use super::types::{input, print, send, split};
use nodedb::engine::settings::Settings;
use nodedb::engine::types::{Input, decode_binary, decode_text};

const SEEDS: &[(&str, &str)] = &[
    ("boolean", "true"),
    ("smallint", "-32768"),
    ("integer", " 42 "),
    ("bigint", "9223372036854775807"),
    ("numeric", "-123.4500e-2"),
    ("real", "1.17549435e-38"),
    ("double precision", "-Infinity"),
    ("double precision", "0.1e308"),
    ("text", "é\u{1}"),
    ("bytea", "\\xDEADbeef"),
    ("bytea", "a\\000b\\\\c"),
    ("date", "2024-02-29"),
    ("date", "4713-01-01 BC"),
    ("date", "January 8, 1999"),
    ("time", "23:59:60"),
    ("time", "04:05:06.789 PM"),
    ("timestamp", "infinity"),
    ("timestamp", "20240229T010203.123456"),
    ("timestamptz", "1999-01-08 04:05:06.7 -8:00"),
    ("timestamptz", "2024-03-10 02:30 America/New_York"),
    ("timestamptz", "yesterday"),
    ("interval", "1 year 2 mons -3 days 04:05:06.5"),
    ("interval", "P1Y2M3DT4H5M6.5S"),
    ("interval", "1.5 weeks ago"),
    ("interval", "@ 1-2 3 4:05"),
    ("uuid", "{a0ee-bc99-9c0b4ef8-bb6d6bb9bd380a11}"),
    ("json", "{\"a\": [1, 2.50, null, \"\\u00e9\"]}"),
    (
        "jsonb",
        "{\"b\": 1e2, \"a\": {\"b\": [], \"a\": true}, \"b\": \"\\ud83d\\ude00\"}",
    ),
    ("oid", "4294967295"),
    ("integer[]", "{1,NULL,-3}"),
    ("text[]", "{\"a \\\"b\\\"\",c\\,d,\"\",NULL}"),
    ("numeric[]", "{1.5,2.25}"),
    ("timestamptz[]", "{\"2024-01-01 00:00:00+00\"}"),
];

/// One or more texts of each type.
pub fn seeds() -> Vec<Vec<u8>> {
    SEEDS
        .iter()
        .map(|(name, text)| input(name, text.as_bytes()))
        .collect()
}

/// What a value prints is read back and prints the same, in text and in binary.
pub fn run(data: &[u8]) {
    let Some((sql_type, text)) = split(data) else {
        return;
    };
    let Ok(text) = nodedb::sql::parse::text(text) else {
        return;
    };
    for time_zone in [chrono_tz::Tz::UTC, chrono_tz::America::New_York] {
        let settings = Settings {
            time_zone,
            ..Settings::default()
        };
        let input = Input {
            settings: &settings,
            transaction_time: 1_700_000_000_123_456,
            variables: None,
            types: None,
        };
        let Ok(value) = decode_text(text, sql_type, input) else {
            continue;
        };
        let printed = print(&value, sql_type, &settings);
        let again = match decode_text(&printed, sql_type, input) {
            Ok(again) => again,
            Err(error) => panic!("{sql_type:?} printed {printed:?}, which is refused: {error}"),
        };
        assert_eq!(print(&again, sql_type, &settings), printed, "{sql_type:?}");
        let sent = send(&value, sql_type);
        match decode_binary(&sent, sql_type, input) {
            Ok(received) => assert_eq!(print(&received, sql_type, &settings), printed),
            Err(error) => panic!("{sql_type:?} {printed:?} sent is refused: {error}"),
        }
    }
}
