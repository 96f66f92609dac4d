//! The words of a text and where they stand, for what the tree keeps no places of: operators.

use crate::sql::dialect::NodeDialect;
use sqlparser::ast::{Expr, Ident, ObjectName, Spanned};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// A text, cut into its words.
pub struct Words(Vec<TokenWithSpan>);

impl Words {
    /// Of a text that has been parsed.
    pub fn new(text: &str) -> Words {
        let mut tokens = Vec::new();
        // It has been cut before; without words nothing is found.
        let _ = Tokenizer::new(&NodeDialect, text).tokenize_with_location_into_buf(&mut tokens);
        tokens.retain(|word| !matches!(word.token, Token::Whitespace(_)));
        Words(tokens)
    }

    /// The first of these words at or after a place.
    pub fn after(&self, place: Location, wanted: &[&str]) -> Option<Location> {
        let first = self.0.partition_point(|word| word.span.start < place);
        self.0[first..]
            .iter()
            .find(|word| wanted.iter().any(|wanted| is(&word.token, wanted)))
            .map(|word| word.span.start)
    }

    /// The last such word before a place.
    pub fn before(&self, place: Location, wanted: &str) -> Option<Location> {
        let end = self.0.partition_point(|word| word.span.start < place);
        self.0[..end]
            .iter()
            .rfind(|word| is(&word.token, wanted))
            .map(|word| word.span.start)
    }
}

fn is(token: &Token, wanted: &str) -> bool {
    match token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        other => other.to_string() == wanted,
    }
}

/// Where an expression begins, as PostgreSQL counts: parentheses around it are not part of it.
pub fn start(expr: &Expr, words: &Words) -> Location {
    let inner = expr.span().start;
    match expr {
        Expr::UnaryOp { op, expr } => {
            let inner = start(expr, words);
            words.before(inner, &op.to_string()).unwrap_or(inner)
        }
        Expr::BinaryOp { left, .. } => start(left, words),
        Expr::Nested(expr) | Expr::Cast { expr, .. } => start(expr, words),
        _ => inner,
    }
}

/// A name as PostgreSQL folds it.
pub fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// The parts of a name, folded, with dots between them.
pub fn joined(name: &ObjectName) -> String {
    let parts: Vec<String> = name
        .0
        .iter()
        .map(|part| part.as_ident().map_or_else(|| part.to_string(), folded))
        .collect();
    parts.join(".")
}
