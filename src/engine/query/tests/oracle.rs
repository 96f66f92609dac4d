//! Every query of `tests/vectors/query/` gives what PostgreSQL 15 gave.
//!
//! A vector is a query on one line, then its answer: lines after `= ` (one a row, as
//! `psql -A -t -P null=null` prints them), or `! SQLSTATE message`. `~ SQLSTATE` stands where the
//! answer differs on purpose; the line above says why.

use super::World;

const VECTORS: &[(&str, &str)] = &[
    (
        "semantics",
        include_str!("../../../../tests/vectors/query/semantics.txt"),
    ),
    (
        "breadth",
        include_str!("../../../../tests/vectors/query/breadth.txt"),
    ),
];

/// Parses the file: query, expected answer.
fn vectors(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(row) = line.strip_prefix("= ") {
            let answer = &mut found.last_mut().expect("a query comes first").1;
            if !answer.is_empty() {
                answer.push('\n');
            }
            answer.push_str(row);
        } else if line.starts_with("! ") || line.starts_with("~ ") {
            found
                .last_mut()
                .expect("a query comes first")
                .1
                .push_str(line);
        } else {
            found.push((line.to_owned(), String::new()));
        }
    }
    found
}

#[test]
fn queries_answer_as_postgresql_does() {
    let world = World::new();
    let mut wrong = Vec::new();
    for (file, text) in VECTORS {
        for (query, expected) in vectors(text) {
            let answer = match world.query(&query) {
                Ok(rows) => rows,
                Err(error) if expected.starts_with('~') => format!("~ {}", error.sqlstate()),
                Err(error) => format!("! {} {}", error.sqlstate(), error.message()),
            };
            if answer != expected {
                wrong.push(format!(
                    "{file}: {query}\n  PostgreSQL: {expected}\n  here:       {answer}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
