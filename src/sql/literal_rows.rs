//! `INSERT … VALUES` of many rows that are literals and nothing else, as loading scripts send it: the rows
//! stay text, because a tree of thousands of literals costs more than writing the rows.
//!
//! The statement's tree has one row in their place, of one value that no client can write: all rows, as
//! they stand in the text. Who cannot read them so takes the whole tree ([`parse::parse_one`]).

use super::lexer::{Doubled, Kind, Lexer, Token};
use super::parse::{self, Statement};
use sqlparser::ast::{self, DollarQuotedString, Expr, SetExpr};
use std::borrow::Cow;

/// Fewer rows than this are not worth it: their statement may come again, and be known by its template.
pub const ROWS_MIN: usize = 65;

/// Behind VALUES, in the place of the rows, for the parser that reads the rest of the text.
const STAND_IN: &str = " (NULL)";

/// A tag is a name, which has no such letter.
const TAG: &str = "\u{1}literal rows";

/// One literal of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal<'t> {
    /// NULL
    Null,
    /// TRUE or FALSE
    Boolean(bool),
    /// Digits and perhaps a point, with the sign before them.
    Number(Cow<'t, str>),
    /// A quoted literal: its place decides.
    Unknown(Cow<'t, str>),
}

/// The statement of a text that is such an INSERT alone; None for any other text, and where it is wrong.
pub fn statement(text: &str) -> Option<Statement> {
    let mut lexer = Lexer::new(text);
    let first = lexer.next()?;
    if !is_word(text, first, "INSERT") {
        return None;
    }
    let values = lexer
        .by_ref()
        .take_while(|token| !matches!(token.kind, Kind::Unclear | Kind::Semicolon))
        .find(|token| is_word(text, *token, "VALUES"))?;
    let mut rows = Rows { text, lexer };
    let mut count = 0;
    let end = loop {
        let last = rows.row(|_| true)?;
        count += 1;
        match rows.lexer.next() {
            None => break last,
            Some(token) if token.kind == Kind::Semicolon => {
                let alone = rows.lexer.all(|token| token.kind == Kind::Semicolon);
                if !alone {
                    return None;
                }
                break last;
            }
            Some(token) if token.kind == Kind::Symbol(b',') => {}
            Some(_) => return None,
        }
    };
    if count < ROWS_MIN {
        return None;
    }
    let stand_in = format!("{}{STAND_IN}", &text[..values.end]);
    let mut tree = parse::parse_one(&stand_in).ok()?;
    *rows_of_mut(&mut tree)? = Expr::value(ast::Value::DollarQuotedString(DollarQuotedString {
        value: text[values.end..end].to_owned(),
        tag: Some(TAG.to_owned()),
    }));
    Some(Statement {
        ast: tree,
        span: first.start..end,
    })
}

/// The rows of an INSERT that were left as text.
pub fn of(statement: &ast::Statement) -> Option<(&ast::Insert, Rows<'_>)> {
    let ast::Statement::Insert(insert) = statement else {
        return None;
    };
    let SetExpr::Values(values) = &*insert.source.as_deref()?.body else {
        return None;
    };
    let [row] = &values.rows[..] else {
        return None;
    };
    let [Expr::Value(value)] = &row.content[..] else {
        return None;
    };
    match &value.value {
        ast::Value::DollarQuotedString(rows) if rows.tag.as_deref() == Some(TAG) => {
            let rows = Rows {
                text: &rows.value,
                lexer: Lexer::new(&rows.value),
            };
            Some((insert, rows))
        }
        _ => None,
    }
}

/// Rows that were left as text, read from the first to the last.
#[derive(Clone, Debug)]
pub struct Rows<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
}

impl<'t> Rows<'t> {
    /// Hands on the literals of the next row until `read` says no; None there, and past the last row.
    pub fn next_row(&mut self, read: impl FnMut(Literal<'t>) -> bool) -> Option<()> {
        let mut ahead = self.lexer.clone();
        if ahead.next()?.kind == Kind::Symbol(b',') {
            self.lexer = ahead;
        }
        self.row(read).map(|_| ())
    }

    /// Whether all have been read.
    pub fn is_at_end(&self) -> bool {
        self.lexer.clone().next().is_none()
    }

    /// From a bracket to the one that closes it; gives where the row ends.
    fn row(&mut self, mut read: impl FnMut(Literal<'t>) -> bool) -> Option<usize> {
        self.symbol(b'(')?;
        loop {
            let literal = self.literal()?;
            if !read(literal) {
                return None;
            }
            let after = self.lexer.next()?;
            match after.kind {
                Kind::Symbol(b',') => {}
                Kind::Symbol(b')') => return Some(after.end),
                _ => return None,
            }
        }
    }

    fn symbol(&mut self, wanted: u8) -> Option<()> {
        (self.lexer.next()?.kind == Kind::Symbol(wanted)).then_some(())
    }

    fn literal(&mut self) -> Option<Literal<'t>> {
        let token = self.lexer.next()?;
        let text = &self.text[token.start..token.end];
        Some(match token.kind {
            Kind::String { doubled } => {
                let inner = &text[1..text.len() - 1];
                Literal::Unknown(match doubled {
                    Doubled::No => Cow::Borrowed(inner),
                    Doubled::Yes => Cow::Owned(inner.replace("''", "'")),
                })
            }
            Kind::Integer | Kind::Decimal => Literal::Number(Cow::Borrowed(text)),
            Kind::Symbol(b'-') => {
                let number = self.lexer.next()?;
                match number.kind {
                    // Mostly written without a blank, and then one text.
                    Kind::Integer | Kind::Decimal if number.start == token.end => {
                        Literal::Number(Cow::Borrowed(&self.text[token.start..number.end]))
                    }
                    Kind::Integer | Kind::Decimal => Literal::Number(Cow::Owned(format!(
                        "-{}",
                        &self.text[number.start..number.end]
                    ))),
                    _ => return None,
                }
            }
            Kind::Word if text.eq_ignore_ascii_case("NULL") => Literal::Null,
            Kind::Word if text.eq_ignore_ascii_case("TRUE") => Literal::Boolean(true),
            Kind::Word if text.eq_ignore_ascii_case("FALSE") => Literal::Boolean(false),
            _ => return None,
        })
    }
}

fn is_word(text: &str, token: Token, wanted: &str) -> bool {
    token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(wanted)
}

/// The only value of the only row.
fn rows_of_mut(tree: &mut ast::Statement) -> Option<&mut Expr> {
    let ast::Statement::Insert(insert) = tree else {
        return None;
    };
    // A WITH before VALUES may write.
    let source = insert.source.as_deref_mut()?;
    let SetExpr::Values(values) = &mut *source.body else {
        return None;
    };
    if source.with.is_some() {
        return None;
    }
    match &mut values.rows[..] {
        [row] => match &mut row.content[..] {
            [only] => Some(only),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn insert(rows: &[&str]) -> String {
        format!("INSERT INTO t (a, b) VALUES {}", rows.join(", "))
    }

    fn read(text: &str) -> Option<Vec<Vec<Literal<'static>>>> {
        let statement = statement(text)?;
        let (_, mut rows) = of(&statement.ast).expect("the rows are in the tree");
        let mut all = Vec::new();
        while !rows.is_at_end() {
            let mut row = Vec::new();
            rows.next_row(|literal| {
                row.push(match literal {
                    Literal::Number(text) => Literal::Number(Cow::Owned(text.into_owned())),
                    Literal::Unknown(text) => Literal::Unknown(Cow::Owned(text.into_owned())),
                    Literal::Null => Literal::Null,
                    Literal::Boolean(value) => Literal::Boolean(value),
                });
                true
            })
            .expect("the row was read before");
            all.push(row);
        }
        Some(all)
    }

    #[test]
    fn many_rows_of_literals_stay_text() {
        let text = format!(
            " {} ;; -- that is all",
            insert(&["(1, 'it''s')", "( -2 ,NULL)", "(- 2.5, TRUE)"].repeat(ROWS_MIN))
        );
        let rows = read(&text).expect("they stay text");
        assert_eq!(rows.len(), 3 * ROWS_MIN);
        let number = |text: &'static str| Literal::Number(Cow::Borrowed(text));
        let unknown = Literal::Unknown(Cow::Borrowed("it's"));
        assert_eq!(rows[0], [number("1"), unknown]);
        assert_eq!(rows[1], [number("-2"), Literal::Null]);
        assert_eq!(rows[2], [number("-2.5"), Literal::Boolean(true)]);
        let span = statement(&text).expect("as before").span;
        assert!(text[span.clone()].starts_with("INSERT") && text[span].ends_with("TRUE)"));
    }

    #[test]
    fn whatever_is_more_than_that_is_parsed_whole() {
        let many = |row: &str| insert(&[row].repeat(ROWS_MIN));
        for text in [
            insert(&["(1, 'a')"].repeat(ROWS_MIN - 1)),
            many("(1, DEFAULT)"),
            many("(1, 1 + 1)"),
            many("(1, date '2000-01-01')"),
            many("(1, E'a')"),
            many("(1, 1e5)"),
            many("(1, $1)"),
            many("(1, (2))"),
            many("(1, 'a'"),
            format!("{} RETURNING a", many("(1, 2)")),
            format!("{} ON CONFLICT DO NOTHING", many("(1, 2)")),
            format!("{}; SELECT 1", many("(1, 2)")),
            format!("{},", many("(1, 2)")),
            format!("{} ORDER BY 1", many("(1, 2)")),
            format!(
                "SELECT * FROM (VALUES {}) v",
                vec!["(1)"; ROWS_MIN].join(", ")
            ),
            format!("INSERT INTO t SELECT 1; {}", many("(1, 2)")),
            format!(
                "INSERT INTO t SELECT 1, 2 UNION VALUES {}",
                ["(1, 2)"; ROWS_MIN].join(", ")
            ),
            format!(
                "INSERT INTO t WITH w AS (DELETE FROM u RETURNING 1) VALUES {}",
                ["(1, 2)"; ROWS_MIN].join(", ")
            ),
        ] {
            assert!(statement(&text).is_none(), "{text}");
        }
    }

    proptest! {
        /// The whole tree has the same literals in the same places.
        #[test]
        fn rows_left_as_text_are_those_of_the_whole_tree(
            row in proptest::collection::vec(
                prop_oneof!["-?[0-9]{1,12}", "[0-9]{1,5}[.][0-9]{1,4}", "'[a-z; ,()é-]{0,6}'", "'a''b'", "NULL", "true"],
                1..5,
            ),
        ) {
            let row = format!("({})", row.join(", "));
            let text = insert(&vec![row.as_str(); ROWS_MIN]);
            let rows = read(&text).expect("they stay text");
            let ast::Statement::Insert(insert) = parse::parse_one(&text).expect("it parses") else {
                return Err(TestCaseError::fail("no INSERT"));
            };
            let SetExpr::Values(values) = &*insert.source.expect("it has rows").body else {
                return Err(TestCaseError::fail("no VALUES"));
            };
            prop_assert_eq!(rows.len(), values.rows.len());
            for (literals, expressions) in rows.iter().zip(&values.rows) {
                let written: Vec<String> = expressions.content.iter().map(ToString::to_string).collect();
                let ours: Vec<String> = literals.iter().map(|literal| match literal {
                    Literal::Null => "NULL".to_owned(),
                    Literal::Boolean(value) => value.to_string(),
                    Literal::Number(digits) => digits.to_string(),
                    Literal::Unknown(text) => format!("'{}'", text.replace('\'', "''")),
                }).collect();
                prop_assert_eq!(ours, written);
            }
        }
    }
}
