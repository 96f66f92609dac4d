//! PostgreSQL's dialect of sqlparser, with what it leaves out.
//!
//! Everything is the wrapped dialect's, and `dialect()` answers with its type, so that sqlparser's
//! own questions "is this PostgreSQL?" are answered yes.

use super::expressions;
use sqlparser::ast::{BinaryOperator, ColumnOption, Expr, Statement};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use std::any::TypeId;

/// The dialect of every statement text.
#[derive(Clone, Copy, Debug)]
pub struct NodeDialect;

const INNER: PostgreSqlDialect = PostgreSqlDialect {};

/// The operator of ours (REFERENCE §1 "CREATE RLS POLICY").
pub const CONTAINS: &str = "CONTAINS";

/// Whether the operator comes next, rather than a column's alias of that name: something to look for
/// must follow it.
fn at_contains(parser: &Parser) -> bool {
    let word = |token: &Token| matches!(token, Token::Word(word) if word.quote_style.is_none());
    let [next, operand] = parser.peek_tokens_ref().map(|token| &token.token);
    let named = matches!(next, Token::Word(word) if word.value.eq_ignore_ascii_case(CONTAINS));
    if !named || !word(next) {
        return false;
    }
    match operand {
        Token::Word(word) => {
            word.quote_style.is_some()
                || !RESERVED_FOR_COLUMN_ALIAS.contains(&word.keyword) && word.keyword != Keyword::AS
        }
        Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::Number(..)
        | Token::Placeholder(_)
        | Token::LParen
        | Token::Minus => true,
        _ => false,
    }
}

macro_rules! yes {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool { INNER.$name() })*
    };
}

impl Dialect for NodeDialect {
    fn dialect(&self) -> TypeId {
        INNER.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        INNER.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        INNER.is_delimited_identifier_start(character)
    }

    fn is_identifier_start(&self, character: char) -> bool {
        INNER.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        INNER.is_identifier_part(character)
    }

    /// Words of other databases name columns here, without AS.
    fn is_column_alias(&self, keyword: &Keyword, parser: &mut Parser) -> bool {
        use Keyword::{CLUSTER, DISTRIBUTE, EXCLUDE, EXPLAIN, MINUS, SORT, TOP, VIEW};
        let free = [
            CLUSTER, DISTRIBUTE, EXCLUDE, EXPLAIN, MINUS, SORT, TOP, VIEW,
        ];
        free.contains(keyword) || INNER.is_column_alias(keyword, parser)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        INNER.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, character: char) -> bool {
        INNER.is_custom_operator_part(character)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        if at_contains(parser) || expressions::at_other_operator(parser) {
            return Some(Ok(INNER.prec_value(Precedence::PgOther)));
        }
        if expressions::at_isnull(parser) {
            return Some(Ok(INNER.prec_value(Precedence::Is)));
        }
        INNER.get_next_precedence(parser)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        expressions::trim_of_spaces(parser)
            .or_else(|| expressions::prefix_operator(parser))
            .or_else(|| INNER.parse_prefix(parser))
    }

    /// `list CONTAINS member`, `value BETWEEN SYMMETRIC one AND other`, `value IS DISTINCT FROM other`.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        left: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if let Some(negated) = expressions::at_between_symmetric(parser) {
            return Some(expressions::between_symmetric(parser, left, negated));
        }
        if let Some(negated) = expressions::at_distinct(parser) {
            return Some(expressions::distinct(parser, left, negated));
        }
        if expressions::at_isnull(parser) {
            parser.advance_token();
            return Some(Ok(Expr::IsNull(Box::new(left.clone()))));
        }
        if let Some(negated) = expressions::at_list_of_queries(parser) {
            return Some(expressions::list_of_queries(parser, left, negated));
        }
        if let Some(quantified) = expressions::at_quantified_values(parser) {
            return Some(expressions::quantified_values(parser, left, quantified));
        }
        if !at_contains(parser) {
            return INNER.parse_infix(parser, left, precedence);
        }
        parser.advance_token();
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: BinaryOperator::Custom(CONTAINS.to_owned()),
            right: Box::new(right),
        }))
    }

    fn parse_statement(&self, parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
        super::utility::parse_statement(parser).or_else(|| INNER.parse_statement(parser))
    }

    fn parse_column_option(
        &self,
        parser: &mut Parser,
    ) -> Result<Option<Result<Option<ColumnOption>, ParserError>>, ParserError> {
        Ok(super::sequence::identity_column(parser).map(|option| option.map(Some)))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        INNER.prec_value(precedence)
    }

    /// `'a'` newline `'b'` is one literal (SQL standard; PostgreSQL §4.1.2.1).
    fn supports_string_literal_concatenation_with_newline(&self) -> bool {
        true
    }

    /// Optimizer hints in comments are pg_hint_plan's, not PostgreSQL's.
    fn supports_comment_optimizer_hint(&self) -> bool {
        false
    }

    yes! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_named_fn_args_with_expr_name
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
    }
}
