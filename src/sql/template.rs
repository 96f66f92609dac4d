//! Literals lifted out of simple-protocol text, so that texts that differ only in them share one
//! compiled statement (DESIGN §6 "Point statements").
//!
//! Exactness: a lifted statement must answer as the text itself would. So the key holds, besides
//! the text with `$n` in the literals' places, the class of each literal (int4, int8, numeric with
//! its digits, unknown), which is all that PostgreSQL types a literal by; a literal in a place where
//! the grammar wants a literal (`date '…'`, `interval '…'`) stays in the text; a sign that belongs
//! to a number goes with it, so that -2147483648 is int4; what is unclear is not lifted at all.
//! Places where a literal's value itself matters to the meaning (ORDER BY 1, LIMIT) do not occur in
//! point statements, and whoever compiles the template refuses them.
//!
//! Costs under 300 ns for a statement of pgbench, and allocates nothing once its buffers are warm.

use super::lexer::{Doubled, Kind, Lexer, Token};
use std::borrow::Cow;
use std::ops::Range;

/// Texts longer than this are parsed as they are.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// More literals than this are not lifted: such a text does not come twice in the same shape.
pub const LITERALS_MAX: usize = 256;

/// Decimal digits of the engine's widest numeric.
const NUMERIC_DIGITS_MAX: usize = 38;

/// What PostgreSQL types a literal as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// An integer that fits int4.
    Int4,
    /// An integer that fits int8.
    Int8,
    /// A number with a point, or an integer too large for int8.
    Numeric {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A quoted literal: its place decides.
    Unknown,
}

/// One literal of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its class, part of the key.
    pub class: Class,
    /// Its value where it is an integer; 0 otherwise.
    pub integer: i64,
    range: Range<usize>,
    doubled: Doubled,
    negative: Sign,
}

/// The sign that was taken into a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

impl Literal {
    /// The literal's value as text: quotes removed, doubled ones made single, the sign in front.
    pub fn value<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let inner = &text[self.range.clone()];
        match (self.doubled, self.negative) {
            (Doubled::Yes, _) => Cow::Owned(inner.replace("''", "'")),
            (Doubled::No, Sign::Minus) => Cow::Owned(format!("-{inner}")),
            (Doubled::No, Sign::Plus) => Cow::Borrowed(inner),
        }
    }
}

/// Lifts literals; keeps its buffers from one text to the next. One a core.
#[derive(Debug, Default)]
pub struct Lifter {
    key: Vec<u8>,
    template_bytes: usize,
    literals: Vec<Literal>,
}

impl Lifter {
    /// Lifts the literals of one text. False where the text is not of a kind that is worth it, or
    /// is unclear: parse it as it is.
    pub fn lift(&mut self, text: &str) -> bool {
        self.key.clear();
        self.literals.clear();
        if text.len() > TEXT_BYTES_MAX {
            return false;
        }
        let mut lexer = Lexer::new(text);
        let Some(first) = lexer.next() else {
            return false;
        };
        if first.kind != Kind::Word || !begins_a_point_statement(&text[first.start..first.end]) {
            return false;
        }
        if self.lift_tokens(text, first, lexer).is_none() {
            return false;
        }
        self.template_bytes = self.key.len();
        self.push_classes();
        true
    }

    /// The template with the classes of its literals: what tells two statements apart.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The statement with `$1`, `$2`, … in the literals' places.
    pub fn template(&self) -> &str {
        std::str::from_utf8(&self.key[..self.template_bytes])
            .expect("whole tokens were replaced in a str")
    }

    /// The literals, in the order of their numbers.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    fn lift_tokens(&mut self, text: &str, first: Token, mut lexer: Lexer<'_>) -> Option<()> {
        let bytes = text.as_bytes();
        let mut copied = 0;
        let mut before = first;
        let mut minus: Option<usize> = None;
        let mut next = lexer.next();
        while let Some(token) = next {
            next = lexer.next();
            match token.kind {
                Kind::Unclear | Kind::Parameter => return None,
                Kind::Semicolon if next.is_some() => return None,
                Kind::Symbol(b'-') if takes_an_operand(text, before) => {
                    minus = minus.is_none().then_some(token.start);
                    before = token;
                    continue;
                }
                Kind::Integer | Kind::Decimal if stands_alone(text, before) => {
                    // `-5::int2` is -(5::int2), `-2^2` is -(2^2): then the sign stays outside.
                    let outside = next.is_some_and(|after| {
                        matches!(after.kind, Kind::Symbol(b':' | b'^' | b'['))
                    });
                    let sign_at = minus.filter(|_| !outside);
                    let literal = number(text, token, sign_at)?;
                    self.key
                        .extend_from_slice(&bytes[copied..sign_at.unwrap_or(token.start)]);
                    self.push(literal)?;
                    copied = token.end;
                }
                Kind::String { doubled } => {
                    if matches!(before.kind, Kind::String { .. }) {
                        return None;
                    }
                    if takes_an_operand(text, before) {
                        self.key.extend_from_slice(&bytes[copied..token.start]);
                        self.push(Literal {
                            class: Class::Unknown,
                            integer: 0,
                            range: token.start + 1..token.end - 1,
                            doubled,
                            negative: Sign::Plus,
                        })?;
                        copied = token.end;
                    }
                }
                _ => {}
            }
            minus = None;
            before = token;
        }
        self.key.extend_from_slice(&bytes[copied..]);
        Some(())
    }

    fn push(&mut self, literal: Literal) -> Option<()> {
        if self.literals.len() == LITERALS_MAX {
            return None;
        }
        self.literals.push(literal);
        let number = self.literals.len();
        self.key.push(b'$');
        if number >= 100 {
            self.key.push(b'0' + (number / 100) as u8);
        }
        if number >= 10 {
            self.key.push(b'0' + (number / 10 % 10) as u8);
        }
        self.key.push(b'0' + (number % 10) as u8);
        Some(())
    }

    fn push_classes(&mut self) {
        self.key.push(0);
        for literal in &self.literals {
            match literal.class {
                Class::Int4 => self.key.push(b'i'),
                Class::Int8 => self.key.push(b'l'),
                Class::Unknown => self.key.push(b's'),
                Class::Numeric { precision, scale } => {
                    self.key.extend_from_slice(&[b'n', precision, scale]);
                }
            }
        }
    }
}

fn begins_a_point_statement(word: &str) -> bool {
    word.len() == 6
        && ["select", "insert", "update", "delete"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
}

/// Words after which an expression begins, so that a literal after them is an ordinary one. After
/// any other word it belongs to that word (`date '2000-01-01'`, `interval '1 day'`, LIMIT 5).
const OPERAND_WORDS: [&str; 17] = [
    "select",
    "and",
    "or",
    "not",
    "when",
    "then",
    "else",
    "case",
    "between",
    "like",
    "ilike",
    "in",
    "where",
    "returning",
    "any",
    "all",
    "is",
];

/// Whether what follows this token is the beginning of an operand.
fn takes_an_operand(text: &str, before: Token) -> bool {
    match before.kind {
        Kind::Word => {
            let word = &text[before.start..before.end];
            OPERAND_WORDS
                .iter()
                .any(|known| known.len() == word.len() && word.eq_ignore_ascii_case(known))
        }
        Kind::Symbol(symbol) => !matches!(symbol, b')' | b']' | b'.'),
        Kind::QuotedName
        | Kind::Integer
        | Kind::Decimal
        | Kind::String { .. }
        | Kind::Parameter
        | Kind::Semicolon
        | Kind::Unclear => false,
    }
}

/// Whether a number is an operand of its own: not after LIMIT, nor a slice's upper bound.
fn stands_alone(text: &str, before: Token) -> bool {
    takes_an_operand(text, before) && !matches!(before.kind, Kind::Symbol(b':' | b'@' | b'#'))
}

fn number(text: &str, token: Token, sign_at: Option<usize>) -> Option<Literal> {
    let digits = &text[token.start..token.end];
    let negative = match sign_at {
        Some(_) => Sign::Minus,
        None => Sign::Plus,
    };
    let integer = match token.kind {
        Kind::Integer => integer(digits, negative),
        _ => None,
    };
    let class = match integer {
        Some(value) if i32::try_from(value).is_ok() => Class::Int4,
        Some(_) => Class::Int8,
        None => numeric_class(digits)?,
    };
    Some(Literal {
        class,
        integer: integer.unwrap_or(0),
        range: token.start..token.end,
        doubled: Doubled::No,
        negative,
    })
}

fn integer(digits: &str, sign: Sign) -> Option<i64> {
    let mut value = 0_i64;
    for byte in digits.bytes() {
        let digit = i64::from(byte - b'0');
        value = value.checked_mul(10)?;
        value = match sign {
            Sign::Plus => value.checked_add(digit)?,
            Sign::Minus => value.checked_sub(digit)?,
        };
    }
    Some(value)
}

fn numeric_class(digits: &str) -> Option<Class> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let precision = (whole.len() + fraction.len()).max(1);
    if precision > NUMERIC_DIGITS_MAX {
        return None;
    }
    Some(Class::Numeric {
        precision: precision as u8,
        scale: fraction.len() as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lifted(text: &str) -> Option<(String, Vec<(Class, String)>)> {
        let mut lifter = Lifter::default();
        lifter.lift(text).then(|| {
            let literals = lifter
                .literals()
                .iter()
                .map(|literal| (literal.class, literal.value(text).into_owned()))
                .collect();
            (lifter.template().to_owned(), literals)
        })
    }

    fn template(text: &str) -> String {
        lifted(text).expect("is lifted").0
    }

    #[test]
    fn pgbench_statements_share_one_template_each() {
        let (template, literals) =
            lifted("UPDATE pgbench_accounts SET abalance = abalance + -3421 WHERE aid = 77;")
                .expect("is lifted");
        assert_eq!(
            template,
            "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2;"
        );
        assert_eq!(
            literals,
            [(Class::Int4, "-3421".into()), (Class::Int4, "77".into())]
        );
        assert_eq!(
            self::template("INSERT INTO h (a, b) VALUES (1, -2, 'x', CURRENT_TIMESTAMP);"),
            "INSERT INTO h (a, b) VALUES ($1, $2, $3, CURRENT_TIMESTAMP);"
        );
    }

    #[test]
    fn classes_follow_the_value_of_a_number() {
        let class = |number: &str| lifted(&format!("SELECT {number}")).expect("is lifted").1[0].0;
        assert_eq!(class("2147483647"), Class::Int4);
        assert_eq!(class("2147483648"), Class::Int8);
        assert_eq!(class("-2147483648"), Class::Int4);
        assert_eq!(class("9223372036854775807"), Class::Int8);
        assert_eq!(class("-9223372036854775808"), Class::Int8);
        let numeric = |precision, scale| Class::Numeric { precision, scale };
        assert_eq!(class("9223372036854775808"), numeric(19, 0));
        assert_eq!(class("1.50"), numeric(3, 2));
        assert_eq!(class("0.5"), numeric(1, 1));
        assert_eq!(class(".5"), numeric(1, 1));
    }

    #[test]
    fn keys_differ_where_the_classes_differ() {
        let mut lifter = Lifter::default();
        assert!(lifter.lift("SELECT a FROM t WHERE a = 1"));
        let small = lifter.key().to_vec();
        assert!(lifter.lift("SELECT a FROM t WHERE a = 3000000000"));
        assert_ne!(small, lifter.key());
        assert!(lifter.lift("SELECT a FROM t WHERE a = 2"));
        assert_eq!(small, lifter.key());
        assert!(lifter.lift("SELECT a FROM t WHERE a = '2'"));
        assert_ne!(small, lifter.key());
    }

    #[test]
    fn signs_are_taken_in_only_where_they_belong_to_the_number() {
        assert_eq!(template("SELECT a -1"), "SELECT a -$1");
        assert_eq!(template("SELECT (a) - 1"), "SELECT (a) - $1");
        assert_eq!(template("SELECT -1"), "SELECT $1");
        assert_eq!(template("SELECT 1 - -1"), "SELECT $1 - $2");
        assert_eq!(template("SELECT -1::int2"), "SELECT -$1::int2");
        assert_eq!(template("SELECT -2^2"), "SELECT -$1^$2");
        assert_eq!(template("SELECT - - 1"), "SELECT - - $1");
    }

    #[test]
    fn literals_that_belong_to_a_word_stay() {
        for text in [
            "SELECT date '2000-01-01'",
            "SELECT interval '1 day'",
            "SELECT timestamp with time zone '2000-01-01'",
            "SELECT a FROM t LIMIT 5",
            "SELECT a FROM t ORDER BY 1",
        ] {
            assert_eq!(template(text), text);
        }
    }

    #[test]
    fn unclear_texts_and_other_statements_are_not_lifted() {
        for text in [
            "SELECT E'a\\n'",
            "SELECT $1",
            "SELECT $$a$$",
            "SELECT 1; SELECT 2",
            "SELECT 'a' 'b'",
            "SELECT 'a",
            "CREATE TABLE t (a int DEFAULT 1)",
            "",
            "BEGIN",
            "SELECT 1e5",
        ] {
            assert_eq!(lifted(text), None, "{text}");
        }
        let long = format!("SELECT '{}'", "x".repeat(TEXT_BYTES_MAX));
        assert_eq!(lifted(&long), None);
        let many = format!("SELECT 0{}", ", 1".repeat(LITERALS_MAX));
        assert_eq!(lifted(&many), None);
    }

    #[test]
    fn doubled_quotes_are_made_single() {
        let (_, literals) = lifted("SELECT 'it''s'").expect("is lifted");
        assert_eq!(literals, [(Class::Unknown, "it's".into())]);
    }

    proptest! {
        /// Putting the literals back gives the text again.
        #[test]
        fn a_template_with_its_literals_is_the_text(
            numbers in proptest::collection::vec(0_u64..10_000_000_000, 0..120),
            string in "[a-z0-9 ;()$-]{0,20}",
        ) {
            let list: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let text = format!("SELECT a, '{string}' FROM t WHERE a IN ({})", list.join(", "));
            let (template, literals) = lifted(&text).expect("is lifted");
            let mut filled = template;
            for (index, (class, value)) in literals.iter().enumerate().rev() {
                let value = match class {
                    Class::Unknown => format!("'{value}'"),
                    _ => value.clone(),
                };
                // Later numbers first, so that $1 does not match in $12.
                let place = format!("${}", index + 1);
                let at = filled.rfind(&place).expect("each literal has its place");
                filled.replace_range(at..at + place.len(), &value);
            }
            prop_assert_eq!(filled, text);
        }
    }
}
