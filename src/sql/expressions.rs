//! Forms of expressions that sqlparser's own PostgreSQL dialect does not read.

use super::utility::word;
use sqlparser::ast::{BinaryOperator, Expr, TrimWhereField, UnaryOperator};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Whether `[NOT] BETWEEN SYMMETRIC` comes next, and with NOT.
pub fn at_between_symmetric(parser: &Parser) -> Option<bool> {
    let word = |ahead| word(parser, ahead);
    let negated = word(0)? == "NOT";
    let first = usize::from(negated);
    let here = word(first)? == "BETWEEN" && word(first + 1)? == "SYMMETRIC";
    here.then_some(negated)
}

/// The bounds in either order: between them one way or the other (PostgreSQL §9.2).
///
/// # Errors
/// What is wrong with a bound.
pub fn between_symmetric(
    parser: &mut Parser,
    value: &Expr,
    negated: bool,
) -> Result<Expr, ParserError> {
    for _ in 0..2 + usize::from(negated) {
        parser.advance_token();
    }
    let precedence = PostgreSqlDialect {}.prec_value(Precedence::Between);
    let one = parser.parse_subexpr(precedence)?;
    parser.expect_keyword(Keyword::AND)?;
    let other = parser.parse_subexpr(precedence)?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(value.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(between(&one, &other)),
        op: match negated {
            true => BinaryOperator::And,
            false => BinaryOperator::Or,
        },
        right: Box::new(between(&other, &one)),
    })))
}

/// Whether `IS [NOT] DISTINCT FROM` comes next, and with NOT.
pub fn at_distinct(parser: &Parser) -> Option<bool> {
    let keyword = |ahead| keyword(parser, ahead);
    let negated = keyword(0) == Keyword::IS && keyword(1) == Keyword::NOT;
    let last = 1 + usize::from(negated);
    let here = [keyword(0), keyword(last), keyword(last + 1)];
    (here == [Keyword::IS, Keyword::DISTINCT, Keyword::FROM]).then_some(negated)
}

/// The comparison with what follows, which ends where an operator binds no tighter than IS: `a IS DISTINCT FROM b AND c` are two
/// conditions (PostgreSQL §4.1.6).
///
/// # Errors
/// What is wrong with the other value.
pub fn distinct(parser: &mut Parser, value: &Expr, negated: bool) -> Result<Expr, ParserError> {
    for _ in 0..3 + usize::from(negated) {
        parser.advance_token();
    }
    let other = parser.parse_subexpr(PostgreSqlDialect {}.prec_value(Precedence::Is))?;
    let (value, other) = (Box::new(value.clone()), Box::new(other));
    Ok(match negated {
        true => Expr::IsNotDistinctFrom(value, other),
        false => Expr::IsDistinctFrom(value, other),
    })
}

/// The keyword that comes next, or after so many others; `NoKeyword` where none does.
fn keyword(parser: &Parser, ahead: usize) -> Keyword {
    match &parser.peek_nth_token_ref(ahead).token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// Whether `ISNULL` comes next.
pub fn at_isnull(parser: &Parser) -> bool {
    let next = &parser.peek_token_ref().token;
    matches!(next, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull"))
}

/// Whether an operator comes next that binds as all do without a place of their own (PostgreSQL §4.1.6, "any other operator"),
/// though the library takes it for a comparison: `a ~ b || c` is `(a ~ b) || c`.
pub fn at_other_operator(parser: &Parser) -> bool {
    match &parser.peek_token_ref().token {
        Token::Tilde
        | Token::TildeAsterisk
        | Token::ExclamationMarkTilde
        | Token::ExclamationMarkTildeAsterisk
        | Token::DoubleTilde
        | Token::DoubleTildeAsterisk
        | Token::ExclamationMarkDoubleTilde
        | Token::ExclamationMarkDoubleTildeAsterisk => true,
        Token::Word(word) => word.keyword == Keyword::OPERATOR,
        _ => false,
    }
}

/// An operator before its value, if one comes next: `@ -5 + 2` is the absolute value of a sum.
pub fn prefix_operator(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let op = match parser.peek_token_ref().token {
        Token::AtSign => UnaryOperator::PGAbs,
        Token::PGSquareRoot => UnaryOperator::PGSquareRoot,
        Token::PGCubeRoot => UnaryOperator::PGCubeRoot,
        Token::Tilde => UnaryOperator::BitwiseNot,
        _ => return None,
    };
    parser.advance_token();
    let value = parser.parse_subexpr(PostgreSqlDialect {}.prec_value(Precedence::PgOther));
    Some(value.map(|value| Expr::UnaryOp {
        op,
        expr: Box::new(value),
    }))
}

/// Whether `[NOT] IN ((query), …)` comes next, and with NOT: a list whose first member is a subquery
/// in its own parentheses.
pub fn at_list_of_queries(parser: &Parser) -> Option<bool> {
    let negated = word(parser, 0)? == "NOT";
    let first = usize::from(negated);
    if word(parser, first)? != "IN" {
        return None;
    }
    let open = |ahead: usize| parser.peek_nth_token_ref(ahead).token == Token::LParen;
    if !(open(first + 1) && open(first + 2)) {
        return None;
    }
    // Whitespace counts here: looking ahead without it begins from the start each time.
    let mut depth = 0;
    let here = parser.get_current_index() + 1;
    let tokens = (here..).map(|index| &parser.token_at(index).token);
    let mut tokens = tokens.skip_while(|token| **token != Token::LParen).skip(1);
    loop {
        match tokens.next()? {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::EOF => return None,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let next = tokens.find(|token| !matches!(token, Token::Whitespace(_)))?;
    (*next == Token::Comma).then_some(negated)
}

/// The list after a value.
///
/// # Errors
/// What is wrong with its members.
pub fn list_of_queries(
    parser: &mut Parser,
    value: &Expr,
    negated: bool,
) -> Result<Expr, ParserError> {
    for _ in 0..1 + usize::from(negated) {
        parser.advance_token();
    }
    parser.expect_token(&Token::LParen)?;
    let list = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::InList {
        expr: Box::new(value.clone()),
        list,
        negated,
    })
}

/// `trim([both | leading | trailing] FROM text)`, if that comes next.
pub fn trim_of_spaces(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    if word(parser, 0)? != "TRIM" || parser.peek_nth_token_ref(1).token != Token::LParen {
        return None;
    }
    let side = match word(parser, 2)?.as_str() {
        "BOTH" => Some(TrimWhereField::Both),
        "LEADING" => Some(TrimWhereField::Leading),
        "TRAILING" => Some(TrimWhereField::Trailing),
        _ => None,
    };
    let before = 2 + usize::from(side.is_some());
    if word(parser, before)? != "FROM" {
        return None;
    }
    for _ in 0..=before {
        parser.advance_token();
    }
    let text = parser.parse_expr();
    let closed = |text| {
        parser.expect_token(&Token::RParen)?;
        Ok(Expr::Trim {
            expr: Box::new(text),
            trim_where: side,
            trim_what: None,
            trim_characters: None,
        })
    };
    Some(text.and_then(closed))
}

/// `value op ANY (VALUES …)`, if that comes next; the operator and whether it is ALL.
pub fn at_quantified_values(parser: &Parser) -> Option<(BinaryOperator, bool)> {
    let op = match parser.peek_nth_token_ref(0).token {
        Token::Eq => BinaryOperator::Eq,
        Token::Neq => BinaryOperator::NotEq,
        Token::Lt => BinaryOperator::Lt,
        Token::LtEq => BinaryOperator::LtEq,
        Token::Gt => BinaryOperator::Gt,
        Token::GtEq => BinaryOperator::GtEq,
        _ => return None,
    };
    let all = match word(parser, 1)?.as_str() {
        "ALL" => true,
        "ANY" | "SOME" => false,
        _ => return None,
    };
    let open = parser.peek_nth_token_ref(2).token == Token::LParen;
    (open && word(parser, 3)? == "VALUES").then_some((op, all))
}

/// The comparison with the list's values.
///
/// # Errors
/// What is wrong with the list.
pub fn quantified_values(
    parser: &mut Parser,
    value: &Expr,
    (op, all): (BinaryOperator, bool),
) -> Result<Expr, ParserError> {
    parser.advance_token();
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let right = Box::new(Expr::Subquery(parser.parse_query()?));
    parser.expect_token(&Token::RParen)?;
    let left = Box::new(value.clone());
    Ok(match all {
        true => Expr::AllOp {
            left,
            compare_op: op,
            right,
        },
        false => Expr::AnyOp {
            left,
            compare_op: op,
            right,
            is_some: false,
        },
    })
}
