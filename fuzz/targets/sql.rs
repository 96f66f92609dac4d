//! SQL texts: the lexer that lifts literals, and the parser with its depth bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nodedb::sql::parse::{parse, text};
use nodedb::sql::template::Lifter;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = text(data) else {
        return;
    };
    let mut lifter = Lifter::default();
    if lifter.lift(text) {
        for literal in lifter.literals() {
            let _ = literal.value(text);
        }
        assert!(lifter.key().starts_with(lifter.template().as_bytes()));
    }
    if let Ok(statements) = parse(text) {
        let mut end = 0;
        for statement in statements {
            assert!(statement.span.start >= end, "statements stand one after the other");
            assert!(text.get(statement.span.clone()).is_some(), "at whole characters");
            end = statement.span.end;
        }
    }
});
