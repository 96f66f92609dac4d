//! The lexer that lifts literals out of simple-protocol text, and its agreement with the parser.

use super::texts;
use nodedb::sql::parse::text;
use nodedb::sql::template::Lifter;

/// Point statements, and what looks like them.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "SELECT abalance FROM pgbench_accounts WHERE aid = 123;",
        "UPDATE pgbench_tellers SET tbalance = tbalance + -4999 WHERE tid = 7;",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, -4, CURRENT_TIMESTAMP);",
        "SELECT 'it''s', E'\\'', $$x$$, 1.50, 99999999999999999999, -2147483648 - 1, a -- b",
        "DELETE FROM t WHERE a = date '2020-01-01' AND \"B\" = 'é' /* c */ AND $1 = 1",
    ])
}

/// Every literal has a value, and as many `$n` stand in the template as literals were lifted.
pub fn run(data: &[u8]) {
    let Ok(text) = text(data) else {
        return;
    };
    let mut lifter = Lifter::default();
    if !lifter.lift(text) {
        return;
    }
    for literal in lifter.literals() {
        let value = literal.value(text);
        assert!(value.len() <= text.len() + 1);
    }
    let template = lifter.template().to_owned();
    assert!(lifter.key().starts_with(template.as_bytes()));
    let (key, count) = (lifter.key().to_vec(), lifter.literals().len());
    assert!(lifter.lift(text), "the same text is lifted again");
    assert_eq!((lifter.key(), lifter.literals().len()), (&key[..], count));
}
