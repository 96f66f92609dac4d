//! `name ILIKE ANY (ARRAY['a%', 'b%'])` and `name ~ ALL (patterns)`: a text and the patterns of an array or of a subquery
//! (PostgreSQL §9.24.3, §9.24.4). The planner compares with one pattern.

use super::rows;
use super::subqueries::{self, VALUE, over_expression};
use super::syntax::{call_of, last_name, rewrite_expr};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::quantified::{Comparison, Quantifier};
use sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, Expr, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, SelectItem, SetExpr, UnaryOperator, Value,
    helpers::attached_token::AttachedToken,
};
use std::fmt::{self, Write as _};

/// The comparison with each pattern of such an expression, put together; None of another expression.
///
/// # Errors
/// 54000 for a text's expression that is very long; what rewriting one of the comparisons gives.
pub fn compared(expr: &Expr) -> Result<Option<Expr>, Diagnostic> {
    let Some((quantifier, patterns)) = patterns(expr) else {
        return Ok(None);
    };
    if let Some(call) = of_array(expr, quantifier, &patterns) {
        return Ok(Some(call));
    }
    let template = without_patterns(expr);
    // It is written more than once, and so is what is inside of it, comparison by comparison.
    if !is_small(&template, 1) {
        return Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "an expression that is compared with several patterns is too long",
        ));
    }
    let with = |pattern: Expr| -> Result<Expr, Diagnostic> {
        let mut one = with_pattern(&template, pattern);
        rewrite_expr(&mut one)?;
        Ok(Expr::Nested(Box::new(one)))
    };
    let (both, of_none) = match quantifier {
        Quantifier::Any => (BinaryOperator::Or, false),
        Quantifier::All => (BinaryOperator::And, true),
    };
    let (rows, array) = match patterns {
        Expr::Array(array) if is_small(&template, array.elem.len()) => {
            let each = array.elem.into_iter().map(with);
            return each
                .collect::<Result<_, _>>()
                .map(|each| Some(rows::joined(each, &both, of_none)));
        }
        Expr::Subquery(query) => (query, None),
        array => {
            let array = of_texts(array);
            let mut query = subqueries::nothing();
            if let SetExpr::Select(select) = &mut *query.body {
                let rows = call_of("unnest", vec![array.clone()]);
                select.projection = vec![SelectItem::UnnamedExpr(rows)];
            }
            (Box::new(query), Some(array))
        }
    };
    let value = Expr::Identifier(Ident::with_quote('"', VALUE));
    let found = of_rows(with(value)?, quantifier);
    let found = Expr::Subquery(Box::new(over_expression(rows, found)));
    Ok(Some(match array {
        None => found,
        // No array is not one without patterns.
        Some(array) => chosen(
            vec![CaseWhen {
                condition: Expr::IsNull(Box::new(array)),
                result: Expr::value(Value::Null),
            }],
            found,
        ),
    }))
}

/// LIKE with an array that is not written out, which is looked through for all texts; None of another operator.
fn of_array(expr: &Expr, quantifier: Quantifier, patterns: &Expr) -> Option<Expr> {
    use BinaryOperator::{PGILikeMatch, PGLikeMatch, PGNotILikeMatch, PGNotLikeMatch};
    if matches!(patterns, Expr::Array(_) | Expr::Subquery(_)) {
        return None;
    }
    let (text, operator) = match expr {
        Expr::Like {
            negated,
            expr: text,
            escape_char: None,
            ..
        }
        | Expr::ILike {
            negated,
            expr: text,
            escape_char: None,
            ..
        } => {
            let operator = match (expr, negated) {
                (Expr::Like { .. }, false) => PGLikeMatch,
                (Expr::Like { .. }, true) => PGNotLikeMatch,
                (_, false) => PGILikeMatch,
                (_, true) => PGNotILikeMatch,
            };
            (text, operator)
        }
        Expr::AnyOp {
            left, compare_op, ..
        }
        | Expr::AllOp {
            left, compare_op, ..
        } => (left, compare_op.clone()),
        _ => return None,
    };
    let name = Comparison::of(&operator)?.function_name(quantifier);
    let array = of_texts(patterns.clone());
    Some(call_of(name, vec![(**text).clone(), array]))
}

fn chosen(conditions: Vec<CaseWhen>, otherwise: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: Some(Box::new(otherwise)),
    }
}

/// How many bytes of text a comparison with each pattern may become.
const COMPARISONS_BYTES_MAX: usize = 256 * 1024;

/// Whether the expression may be written once for each of so many patterns; else they are rows that are looked through.
fn is_small(expr: &Expr, patterns: usize) -> bool {
    let mut length = Length(0);
    let bounded = write!(length, "{expr}").is_ok();
    bounded && length.0.saturating_mul(patterns) <= COMPARISONS_BYTES_MAX
}

/// Counts what is written, up to the bound.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        match self.0 <= COMPARISONS_BYTES_MAX {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

/// What an expression compares its text with, if it is such a one.
fn patterns(expr: &Expr) -> Option<(Quantifier, Expr)> {
    let (quantifier, patterns) = match expr {
        Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } => match &**pattern {
            pattern if *any => (Quantifier::Any, pattern.clone()),
            // ALL is no word of the parser's there.
            Expr::Function(function) if last_name(&function.name).as_deref() == Some("all") => {
                let FunctionArguments::List(list) = &function.args else {
                    return None;
                };
                let [FunctionArg::Unnamed(FunctionArgExpr::Expr(patterns))] = list.args.as_slice()
                else {
                    return None;
                };
                (Quantifier::All, patterns.clone())
            }
            _ => return None,
        },
        Expr::AnyOp {
            compare_op, right, ..
        } if is_match(compare_op) => (Quantifier::Any, (**right).clone()),
        Expr::AllOp {
            compare_op, right, ..
        } if is_match(compare_op) => (Quantifier::All, (**right).clone()),
        _ => return None,
    };
    Some((quantifier, unnested(patterns)))
}

fn unnested(expr: Expr) -> Expr {
    match expr {
        Expr::Nested(inner) => unnested(*inner),
        other => other,
    }
}

fn is_match(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
            | BinaryOperator::PGLikeMatch
            | BinaryOperator::PGILikeMatch
            | BinaryOperator::PGNotLikeMatch
            | BinaryOperator::PGNotILikeMatch
    )
}

/// The comparison with one pattern, which is missing yet.
fn without_patterns(expr: &Expr) -> Expr {
    let missing = || Box::new(Expr::value(Value::Null));
    match expr {
        Expr::Like {
            negated,
            expr,
            escape_char,
            ..
        } => Expr::Like {
            negated: *negated,
            any: false,
            expr: expr.clone(),
            pattern: missing(),
            escape_char: escape_char.clone(),
        },
        Expr::ILike {
            negated,
            expr,
            escape_char,
            ..
        } => Expr::ILike {
            negated: *negated,
            any: false,
            expr: expr.clone(),
            pattern: missing(),
            escape_char: escape_char.clone(),
        },
        Expr::AnyOp {
            left, compare_op, ..
        }
        | Expr::AllOp {
            left, compare_op, ..
        } => Expr::BinaryOp {
            left: left.clone(),
            op: compare_op.clone(),
            right: missing(),
        },
        other => other.clone(),
    }
}

fn with_pattern(template: &Expr, one: Expr) -> Expr {
    let mut compared = template.clone();
    if let Expr::Like { pattern, .. }
    | Expr::ILike { pattern, .. }
    | Expr::BinaryOp { right: pattern, .. } = &mut compared
    {
        **pattern = one;
    }
    compared
}

/// A literal or a parameter there is an array of texts.
fn of_texts(array: Expr) -> Expr {
    let untyped = matches!(
        &array,
        Expr::Value(value)
            if matches!(value.value, Value::SingleQuotedString(_) | Value::Placeholder(_))
    );
    if !untyped {
        return array;
    }
    let texts = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
    Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(array),
        data_type: DataType::Array(texts),
        array: false,
        format: None,
    }
}

/// One that decides, else NULL if one is NULL, else the other answer.
fn of_rows(compared: Expr, quantifier: Quantifier) -> Expr {
    let decides = match quantifier {
        Quantifier::Any => compared.clone(),
        Quantifier::All => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(compared.clone()),
        },
    };
    let unknown = Expr::IsNull(Box::new(compared));
    let case = |condition, result| CaseWhen {
        condition: call_of("bool_or", vec![condition]),
        result: Expr::value(result),
    };
    let found = quantifier == Quantifier::Any;
    chosen(
        vec![
            case(decides, Value::Boolean(found)),
            case(unknown, Value::Null),
        ],
        Expr::value(Value::Boolean(!found)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(patterns: usize) -> Expr {
        let each = vec!["'a%'"; patterns].join(", ");
        let dialect = sqlparser::dialect::PostgreSqlDialect {};
        let text = format!("s LIKE ANY (ARRAY[{each}])");
        let mut parser = sqlparser::parser::Parser::new(&dialect)
            .try_with_sql(&text)
            .expect("it has tokens");
        let expr = parser.parse_expr().expect("it parses");
        let compared = compared(&expr).expect("it is rewritten");
        compared.expect("it is such a comparison")
    }

    #[test]
    fn few_patterns_are_compared_one_by_one_and_many_are_rows() {
        assert_eq!(
            rewritten(2).to_string(),
            "((s LIKE 'a%') OR ((s LIKE 'a%')))"
        );
        assert!(matches!(rewritten(200_000), Expr::Case { .. }));
    }
}
