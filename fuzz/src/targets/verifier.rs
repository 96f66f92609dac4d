//! A PASSWORD that is a SCRAM verifier already (what psql's \password sends).

use super::texts;
use nodedb::auth::scram::verifier::{parse, to_text};

/// One that is good, and some that are not.
pub fn seeds() -> Vec<Vec<u8>> {
    let keys =
        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=:dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    texts(&[
        &format!("SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==${keys}"),
        &format!("SCRAM-SHA-256$4294967296:AA==${keys}"),
        "SCRAM-SHA-256$4096:$:",
        "md5c7e249f1c5b2ea6f8e4d3a9c1b7d6e5f",
    ])
}

/// What is printed reads back the same.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(parsed) = parse(text)
    {
        let again = parse(&to_text(&parsed));
        assert!(again.as_ref() == Some(&parsed));
    }
}
