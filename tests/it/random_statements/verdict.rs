//! Whether two servers answered a statement alike.

use std::fmt;
use tokio_postgres::{Client, SimpleQueryMessage};

/// What a server answered.
pub enum Answer {
    /// Its rows, in text and sorted: the order of a random statement is only seldom a whole one.
    Rows(Vec<Vec<Option<String>>>),
    /// The SQLSTATE and the message.
    Refused(String, String),
    /// No answer: the connection is gone.
    Lost(String),
}

/// What came of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    Alike,
    /// Both refuse it.
    BothRefuse,
    /// Equal numbers of another spelling, where either of two equal values may be taken.
    AlikeButSpelling,
    /// One met a value in the wrong place (class 22) that the other did not look at: SQL leaves the
    /// order of evaluation open.
    OrderOfEvaluation,
    /// PostgreSQL wants a type to be written: a literal's, where NodeDB takes it for a text, or one text
    /// array's beside another's (README, "Different from PostgreSQL").
    Untyped,
    /// NodeDB does not have it, and says so.
    Unsupported,
    /// One of both was interrupted by its time limit.
    TooLong,
    RowsDiffer,
    /// NodeDB refuses what PostgreSQL answers.
    Refused,
    /// NodeDB answers what PostgreSQL refuses to understand.
    NotRefused,
    /// An internal error, or the connection is gone.
    Broken,
}

impl Verdict {
    /// Whether it is a fault of NodeDB.
    pub fn is_fault(self) -> bool {
        self >= Verdict::RowsDiffer
    }
}

impl Answer {
    pub async fn of(client: &Client, statement: &str) -> Answer {
        let messages = match client.simple_query(statement).await {
            Ok(messages) => messages,
            Err(error) => {
                return match error.as_db_error() {
                    Some(told) => {
                        Answer::Refused(told.code().code().to_owned(), told.message().to_owned())
                    }
                    None => Answer::Lost(error.to_string()),
                };
            }
        };
        let mut rows = Vec::new();
        for message in messages {
            match message {
                SimpleQueryMessage::Row(row) => {
                    rows.push(
                        (0..row.len())
                            .map(|at| row.get(at).map(str::to_owned))
                            .collect(),
                    );
                }
                SimpleQueryMessage::CommandComplete(count) => {
                    rows.push(vec![Some(format!("({count} rows)"))]);
                }
                _ => {}
            }
        }
        rows.sort();
        Answer::Rows(rows)
    }
}

/// What `nodedb` answered beside what `postgresql` did.
pub fn compare(postgresql: &Answer, nodedb: &Answer) -> Verdict {
    use Answer::{Lost, Refused, Rows};
    match (postgresql, nodedb) {
        // What it means by a constant is found while it plans, and then said with this code.
        (Refused(code, message), _) if code == "0A000" && message.starts_with("cannot convert") => {
            Verdict::OrderOfEvaluation
        }
        // A literal of which nothing says what it is: we take a text.
        (Refused(_, message), Rows(_)) if message.contains("unknown") => Verdict::Untyped,
        (Refused(code, message), Rows(_)) if code == "42883" && is_of_text_arrays(message) => {
            Verdict::Untyped
        }
        (_, Lost(_)) => Verdict::Broken,
        (Lost(why), _) => panic!("PostgreSQL is gone: {why}"),
        (_, Refused(code, _)) if code.starts_with("XX") => Verdict::Broken,
        (_, Refused(code, _)) if code == "0A000" => Verdict::Unsupported,
        (_, Refused(code, _)) | (Refused(code, _), _) if code == "57014" => Verdict::TooLong,
        (Rows(expected), Rows(given)) if expected == given => Verdict::Alike,
        (Rows(expected), Rows(given)) if are_near(expected, given) => Verdict::AlikeButSpelling,
        (Rows(_), Rows(_)) => Verdict::RowsDiffer,
        (Refused(..), Refused(..)) => Verdict::BothRefuse,
        (Rows(_), Refused(code, _)) | (Refused(code, _), Rows(_)) if code.starts_with("22") => {
            Verdict::OrderOfEvaluation
        }
        (Rows(_), Refused(..)) => Verdict::Refused,
        (Refused(..), Rows(_)) => Verdict::NotRefused,
    }
}

fn are_near(expected: &[Vec<Option<String>>], given: &[Vec<Option<String>>]) -> bool {
    let mut rows = expected.iter().zip(given);
    expected.len() == given.len()
        && rows.all(|(expected, given)| {
            let mut values = expected.iter().zip(given);
            expected.len() == given.len()
                && values
                    .all(|(expected, given)| expected == given || are_one_number(expected, given))
        })
}

fn are_one_number(expected: &Option<String>, given: &Option<String>) -> bool {
    let number = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok();
    match (number(expected), number(given)) {
        (Some(expected), Some(given)) => {
            (expected - given).abs() <= expected.abs().max(given.abs()) * 1e-9
        }
        _ => false,
    }
}

/// The lines that only one of both has, where both have rows; else all.
pub fn difference(one: &Answer, other: &Answer) -> String {
    let (Answer::Rows(one), Answer::Rows(others)) = (one, other) else {
        return one.to_string();
    };
    let only = one.iter().filter(|row| !others.contains(row)).cloned();
    format!(
        "{} of {} lines: {}",
        only.clone().count(),
        one.len(),
        Answer::Rows(only.collect())
    )
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 6;
        match self {
            Answer::Refused(code, message) => write!(f, "{code} {message}"),
            Answer::Lost(why) => write!(f, "no answer: {why}"),
            Answer::Rows(rows) => {
                for row in rows.iter().take(SHOWN) {
                    let values = row.iter().map(|value| value.as_deref().unwrap_or("NULL"));
                    write!(f, "[{}] ", values.collect::<Vec<_>>().join(" | "))?;
                }
                Ok(())
            }
        }
    }
}

/// Whether an operator between arrays of text and of varchar is said to be missing.
fn is_of_text_arrays(message: &str) -> bool {
    message.starts_with("operator does not exist")
        && message.contains("character varying[]")
        && message.contains(" text[]")
}
