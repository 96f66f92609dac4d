//! The body of a query over HTTP, and the values that are cut out of it.

use super::texts;
use nodedb::wire::http::read_body;
use serde_json::Value;

/// Bodies, and what a scanner of JSON could stumble over.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"sql": "SELECT $1", "params": [1, "a\"]", null, true, {"b": [1, "}"]}, [], -1.50e3]}"#,
        r#" { "database" : "x", "row_mode" : "array", "par\u0061ms" : [ "\ud83d\ude00" , 2 ] , "sql" : "" } "#,
        r#"{"sql": "params: [1]", "params": null}"#,
        r#"{"sql": "", "params": ["\ud800"]}"#,
        r#"{"sql": "", "params": [[[[[[[[1]]]]]]]]}"#,
        r#"{"sql": "\u0000"}"#,
        r#"{"sql": "", "params": [1] "x": 2}"#,
        r#"{"sql": "", "params": [1,]}"#,
    ])
}

/// The values are those that a whole parser finds, each by its own text.
pub fn run(data: &[u8]) {
    let Ok(query) = read_body(data) else { return };
    assert!(!query.sql.contains('\0'), "no text holds a NUL");
    // A tree that is too deep, or a number past a double, is the tree's trouble alone.
    let Ok(tree) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    assert_eq!(tree["sql"], query.sql.as_str());
    let expected = tree["params"].as_array().cloned().unwrap_or_default();
    assert_eq!(query.parameters.len(), expected.len());
    for (given, expected) in query.parameters.iter().zip(&expected) {
        match (given, expected) {
            (None, Value::Null) => {}
            (Some(text), Value::String(string)) => assert_eq!(text, string),
            (Some(text), other) => {
                let read: Value = serde_json::from_str(text).expect("a whole value");
                assert_eq!(read, *other);
            }
            (None, other) => panic!("NULL for {other}"),
        }
    }
}
