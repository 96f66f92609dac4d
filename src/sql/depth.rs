//! How deep a statement's tree may be, and how long flat chains are made shallow.
//!
//! DataFusion, and every recursive function of ours, is given trees of at most
//! [`TREE_DEPTH_MAX`] levels (DESIGN §6 "Depth"): past it the statement is 54001. A flat chain such
//! as `a OR b OR c …` comes from the parser as deep as it is long; AND and OR are balanced first,
//! and so are chains of +, * and || that would be refused otherwise. IN lists are lists already.
//!
//! The unbalanced tree itself may be as deep as the text has tokens. [`stack_bytes_needed`] says
//! from the tokens how much stack parsing, balancing and dropping it may take, before any tree
//! exists.

use crate::diagnostic::{Diagnostic, SqlState};
use sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, Statement, TableFactor, Value, ValueWithSpan, Visit,
    VisitMut, Visitor, VisitorMut,
};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};
use std::ops::ControlFlow;

/// Levels of expressions and queries in a tree, flat chains counted.
pub const TREE_DEPTH_MAX: usize = 500;

/// Nested parentheses, brackets and CASEs in a text.
pub const NESTING_MAX: usize = TREE_DEPTH_MAX;

/// Operators in one flat chain of a text, before anything is balanced.
pub const CHAIN_LENGTH_MAX: usize = 250_000;

/// Stack that one level of an unbalanced tree takes when it is visited or dropped, generously:
/// measured at under 1.5 KiB without optimisation.
const STACK_BYTES_A_LEVEL: usize = 4 * 1024;

/// Stack for the parser itself at its deepest nesting; sqlparser grows its own past that.
const STACK_BYTES_BASE: usize = 512 * 1024;

/// AND and OR chains longer than this are balanced.
const LOGIC_CHAIN_MAX: usize = 32;

/// Other associative chains are left as they are up to here, so that sums of floats are added in
/// the order they are written.
const ARITHMETIC_CHAIN_MAX: usize = TREE_DEPTH_MAX / 2;

/// 54001 with PostgreSQL's words.
pub fn too_deep() -> Diagnostic {
    Diagnostic::error(
        SqlState::STATEMENT_TOO_COMPLEX,
        "stack depth limit exceeded",
    )
    .with_hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after \
         ensuring the platform's stack depth limit is adequate.",
    )
}

/// How much stack a text's tree may take, from its tokens: the sum over open brackets of the
/// tokens since the last comma there bounds the depth of any tree made of them.
///
/// # Errors
/// 54001 where brackets nest deeper than [`NESTING_MAX`] or a chain is longer than
/// [`CHAIN_LENGTH_MAX`].
pub fn stack_bytes_needed(tokens: &[TokenWithSpan]) -> Result<usize, Diagnostic> {
    let mut open: Vec<Open> = Vec::new();
    let mut here = 0_usize;
    let mut below = 0_usize;
    let mut deepest = 0_usize;
    let mut prefixes = 0_usize;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            token if opens(token) => {
                let case = !matches!(token, Token::LParen | Token::LBracket);
                open.push(Open { outer: here, case });
                below += here;
                here = 1;
            }
            token if closes(token, open.last()) => {
                let outer = open.pop().map_or(0, |open| open.outer);
                below -= outer;
                here = outer + 1;
            }
            Token::Comma => here = 0,
            Token::SemiColon if open.is_empty() => here = 0,
            _ => here += 1,
        }
        prefixes = if is_prefix(&token.token) {
            prefixes + 1
        } else {
            0
        };
        if open.len() + prefixes > NESTING_MAX {
            return Err(too_deep());
        }
        deepest = deepest.max(below + here);
    }
    // Every second token at most is an operator.
    let levels = deepest / 2;
    if levels > CHAIN_LENGTH_MAX {
        return Err(too_deep());
    }
    Ok(STACK_BYTES_BASE + levels * STACK_BYTES_A_LEVEL)
}

/// A bracket or CASE that is open, and how many tokens stood before it.
struct Open {
    outer: usize,
    case: bool,
}

fn opens(token: &Token) -> bool {
    matches!(token, Token::LParen | Token::LBracket) || is_word(token, Keyword::CASE)
}

fn closes(token: &Token, open: Option<&Open>) -> bool {
    match open {
        Some(open) if open.case => is_word(token, Keyword::END),
        _ => matches!(token, Token::RParen | Token::RBracket),
    }
}

/// Operators that nest without brackets.
fn is_prefix(token: &Token) -> bool {
    matches!(token, Token::Minus | Token::Plus | Token::Tilde) || is_word(token, Keyword::NOT)
}

fn is_word(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}

/// Makes long flat chains of associative operators shallow. Recurses on the unbalanced tree.
pub fn balance(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Balancer);
}

/// 54001 for a tree deeper than [`TREE_DEPTH_MAX`]. Recurses on the tree.
///
/// # Errors
/// 54001.
pub fn check(statement: &Statement) -> Result<(), Diagnostic> {
    match Visit::visit(statement, &mut Depth(0)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(too_deep()),
    }
}

struct Balancer;

impl VisitorMut for Balancer {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { op, .. } = expression
            && let Some(longest) = unbalanced_max(op)
        {
            let op = op.clone();
            if left_spine(expression, &op) > longest {
                balance_chain(expression, &op);
            }
        }
        ControlFlow::Continue(())
    }
}

/// How long a chain of this operator may stay as it is; None where it must keep its shape.
fn unbalanced_max(op: &BinaryOperator) -> Option<usize> {
    match op {
        BinaryOperator::And | BinaryOperator::Or => Some(LOGIC_CHAIN_MAX),
        BinaryOperator::Plus | BinaryOperator::Multiply | BinaryOperator::StringConcat => {
            Some(ARITHMETIC_CHAIN_MAX)
        }
        _ => None,
    }
}

fn left_spine(mut expression: &Expr, chained: &BinaryOperator) -> usize {
    let mut length = 1;
    while let Expr::BinaryOp { left, op, .. } = expression {
        if op != chained {
            break;
        }
        length += 1;
        expression = left;
    }
    length
}

fn balance_chain(expression: &mut Expr, chained: &BinaryOperator) {
    let mut terms = Vec::new();
    let mut rest = std::mem::replace(expression, placeholder());
    // From the right end of the chain to the left; each step takes one level off, so nothing here
    // recurses.
    loop {
        match rest {
            Expr::BinaryOp { left, op, right } if op == *chained => {
                terms.push(*right);
                rest = *left;
            }
            other => {
                terms.push(other);
                break;
            }
        }
    }
    terms.reverse();
    *expression = balanced(terms, chained);
}

fn balanced(mut level: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(2));
        let mut terms = level.into_iter();
        while let Some(left) = terms.next() {
            next.push(match terms.next() {
                Some(right) => Expr::BinaryOp {
                    left: Box::new(left),
                    op: op.clone(),
                    right: Box::new(right),
                },
                None => left,
            });
        }
        level = next;
    }
    level.pop().expect("a chain has at least two terms")
}

fn placeholder() -> Expr {
    Expr::Value(ValueWithSpan {
        value: Value::Null,
        span: Span::empty(),
    })
}

/// Counts levels on the way down.
struct Depth(usize);

impl Depth {
    fn down(&mut self, levels: usize) -> ControlFlow<()> {
        self.0 += levels;
        if self.0 > TREE_DEPTH_MAX {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn up(&mut self, levels: usize) -> ControlFlow<()> {
        self.0 -= levels;
        ControlFlow::Continue(())
    }
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.down(1)
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.up(1)
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.down(1 + set_operations(&query.body))
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.up(1 + set_operations(&query.body))
    }

    fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<()> {
        self.down(1)
    }

    fn post_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<()> {
        self.up(1)
    }
}

/// The length of a chain of UNION, INTERSECT and EXCEPT, which the parser makes left-deep.
fn set_operations(mut body: &SetExpr) -> usize {
    let mut length = 0;
    while let SetExpr::SetOperation { left, .. } = body {
        length += 1;
        body = left;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse;

    /// Runs on the stack a session core has.
    fn on_an_ordinary_stack(text: String) -> Result<usize, SqlState> {
        std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(move || match parse(&text) {
                Ok(statements) => Ok(statements.len()),
                Err(error) => Err(error.sqlstate()),
            })
            .expect("a thread can be started")
            .join()
            .expect("parsing does not panic")
    }

    #[test]
    fn a_hundred_thousand_ors_are_balanced() {
        let text = format!("SELECT 1 WHERE a=1{}", " OR a=1".repeat(100_000));
        assert_eq!(on_an_ordinary_stack(text), Ok(1));
    }

    #[test]
    fn a_hundred_thousand_ors_with_a_syntax_error_at_the_end_are_42601() {
        let text = format!("SELECT 1 WHERE a=1{} OR", " OR a=1".repeat(100_000));
        assert_eq!(on_an_ordinary_stack(text), Err(SqlState::SYNTAX_ERROR));
    }

    #[test]
    fn a_sum_of_two_thousand_terms_is_balanced() {
        let text = format!("SELECT 1{}", "+1".repeat(2_000));
        assert_eq!(on_an_ordinary_stack(text), Ok(1));
    }

    #[test]
    fn a_long_chain_that_is_not_associative_is_54001() {
        let text = format!("SELECT 1{}", "-1".repeat(50_000));
        assert_eq!(
            on_an_ordinary_stack(text),
            Err(SqlState::STATEMENT_TOO_COMPLEX)
        );
        let short = format!("SELECT 1{}", "-1".repeat(400));
        assert_eq!(on_an_ordinary_stack(short), Ok(1));
    }

    #[test]
    fn a_chain_past_the_limit_is_54001_before_anything_is_parsed() {
        let text = format!("SELECT 1{}", "+1".repeat(CHAIN_LENGTH_MAX + 10));
        assert_eq!(
            on_an_ordinary_stack(text),
            Err(SqlState::STATEMENT_TOO_COMPLEX)
        );
    }

    #[test]
    fn deep_parentheses_are_54001() {
        let text = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(
            on_an_ordinary_stack(text),
            Err(SqlState::STATEMENT_TOO_COMPLEX)
        );
        let unclosed = format!("SELECT {}", "(".repeat(100_000));
        assert_eq!(
            on_an_ordinary_stack(unclosed),
            Err(SqlState::STATEMENT_TOO_COMPLEX)
        );
    }

    #[test]
    fn deep_unary_operators_are_54001() {
        for operator in ["NOT ", "- ", "CASE WHEN true THEN "] {
            let text = format!("SELECT {}1", operator.repeat(100_000));
            assert_eq!(
                on_an_ordinary_stack(text),
                Err(SqlState::STATEMENT_TOO_COMPLEX),
                "{operator}"
            );
        }
    }

    #[test]
    fn deep_casts_and_unions_are_54001() {
        let casts = format!("SELECT 1{}", "::int".repeat(50_000));
        assert_eq!(
            on_an_ordinary_stack(casts),
            Err(SqlState::STATEMENT_TOO_COMPLEX)
        );
        let unions = format!("SELECT 1{}", " UNION SELECT 1".repeat(20_000));
        assert_eq!(
            on_an_ordinary_stack(unions),
            Err(SqlState::STATEMENT_TOO_COMPLEX)
        );
    }

    #[test]
    fn deep_subqueries_are_54001_and_shallow_ones_work() {
        let deep = |n: usize| {
            format!(
                "SELECT * FROM {}t{}",
                "(SELECT * FROM ".repeat(n),
                ") AS s".repeat(n)
            )
        };
        assert_eq!(
            on_an_ordinary_stack(deep(400)),
            Err(SqlState::STATEMENT_TOO_COMPLEX)
        );
        assert_eq!(on_an_ordinary_stack(deep(40)), Ok(1));
    }

    #[test]
    fn long_in_lists_stay_lists() {
        let text = format!("SELECT 1 WHERE a IN (0{})", ", 1".repeat(100_000));
        assert_eq!(on_an_ordinary_stack(text), Ok(1));
    }

    #[test]
    fn balancing_keeps_the_order_of_terms() {
        let names: Vec<String> = (0..1_000).map(|n| format!("c{n}")).collect();
        let text = format!("SELECT {}", names.join(" || "));
        let statements = parse(&text).expect("parses");
        assert_eq!(statements[0].ast.to_string(), text);
    }
}
