//! Rows as operands: comparisons of rows, and a row in a subquery's rows. As values they are records.
//! Source: PostgreSQL 15 §9.24 "Row and Array Comparisons", §9.23 "Subquery Expressions".

use super::subqueries;
use super::syntax::call_of;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::row::ROW;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, UnaryOperator, Value, helpers::attached_token::AttachedToken,
};

/// Columns of rows that are compared by order: each is one level of the tree more.
const ORDERED_COLUMNS_MAX: usize = 64;

/// Whether an expression is a row: `(a, b)` or `ROW(a, b)`.
pub fn is(expr: &Expr) -> bool {
    match expr {
        Expr::Tuple(_) => true,
        Expr::Function(function) => is_constructor(function),
        _ => false,
    }
}

/// Whether it is ROW(…).
pub fn is_constructor(function: &Function) -> bool {
    function.name.0.len() == 1 && super::syntax::last_name(&function.name).as_deref() == Some(ROW)
}

/// The columns of a row, taken out of it.
pub fn row_of(expr: &mut Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(columns) => Some(std::mem::take(columns)),
        Expr::Function(function) => {
            let FunctionArguments::List(list) = &mut function.args else {
                return None;
            };
            let columns = std::mem::take(&mut list.args);
            columns
                .into_iter()
                .map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                    _ => None,
                })
                .collect()
        }
        _ => None,
    }
}

/// Makes a value of `(a, b)`, where it stands for one: ROW(a, b), whose function is ours.
pub fn as_value(expr: &mut Expr) {
    if let Expr::Tuple(columns) = expr {
        *expr = call_of(ROW, std::mem::take(columns));
    }
}

/// A comparison of two rows as one of their columns.
///
/// # Errors
/// 42601 for rows of different length, 54000 for very long ones, 0A000 for operators that compare
/// nothing.
pub fn compare(op: &BinaryOperator, left: Vec<Expr>, right: Vec<Expr>) -> Result<Expr, Diagnostic> {
    let pairs = pairs(left, right)?;
    let each = pairs
        .clone()
        .map(|(left, right)| binary(left, op.clone(), right));
    let joined = |both: BinaryOperator, of_none: bool| {
        let all = each.reduce(|all, one| binary(all, both.clone(), one));
        all.unwrap_or_else(|| Expr::value(Value::Boolean(of_none)))
    };
    match op {
        BinaryOperator::Eq => Ok(joined(BinaryOperator::And, true)),
        BinaryOperator::NotEq => Ok(joined(BinaryOperator::Or, false)),
        BinaryOperator::Lt | BinaryOperator::LtEq => ordered(op, BinaryOperator::Lt, pairs),
        BinaryOperator::Gt | BinaryOperator::GtEq => ordered(op, BinaryOperator::Gt, pairs),
        other => Err(Diagnostic::unsupported(format!("{other} of rows"))),
    }
}

/// The columns of two rows of one length.
fn pairs(
    left: Vec<Expr>,
    right: Vec<Expr>,
) -> Result<std::iter::Zip<std::vec::IntoIter<Expr>, std::vec::IntoIter<Expr>>, Diagnostic> {
    if left.len() != right.len() {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "unequal number of entries in row expressions",
        ));
    }
    Ok(left.into_iter().zip(right))
}

/// `row IS DISTINCT FROM row`: some column is; NOT DISTINCT: none is.
///
/// # Errors
/// 42601 for rows of different length.
pub fn distinct(left: Vec<Expr>, right: Vec<Expr>, negated: bool) -> Result<Expr, Diagnostic> {
    let each = pairs(left, right)?.map(|(left, right)| {
        let (left, right) = (Box::new(nested(left)), Box::new(nested(right)));
        match negated {
            true => Expr::IsNotDistinctFrom(left, right),
            false => Expr::IsDistinctFrom(left, right),
        }
    });
    let both = match negated {
        true => BinaryOperator::And,
        false => BinaryOperator::Or,
    };
    Ok(joined(each.collect(), &both, negated))
}

/// The first columns that differ decide: `a < c OR a = c AND b < d`.
fn ordered(
    op: &BinaryOperator,
    strict: BinaryOperator,
    pairs: impl DoubleEndedIterator<Item = (Expr, Expr)> + ExactSizeIterator,
) -> Result<Expr, Diagnostic> {
    if pairs.len() > ORDERED_COLUMNS_MAX {
        return Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("rows that are compared by order have at most {ORDERED_COLUMNS_MAX} columns"),
        ));
    }
    let mut pairs = pairs.rev();
    let Some((left, right)) = pairs.next() else {
        return Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot compare rows of zero length",
        ));
    };
    let last = binary(left, op.clone(), right);
    Ok(pairs.fold(last, |rest, (left, right)| {
        let decides = binary(left.clone(), strict.clone(), right.clone());
        let ties = binary(left, BinaryOperator::Eq, right);
        let tied = binary(ties, BinaryOperator::And, nested(rest));
        nested(binary(decides, BinaryOperator::Or, tied))
    }))
}

/// `row IN (rows)`: one of them is the same.
///
/// # Errors
/// As [`compare`].
pub fn in_list(row: Vec<Expr>, rows: Vec<Vec<Expr>>, negated: bool) -> Result<Expr, Diagnostic> {
    let same = rows
        .into_iter()
        .map(|one| compare(&BinaryOperator::Eq, row.clone(), one).map(nested));
    let found = nested(joined(
        same.collect::<Result<_, _>>()?,
        &BinaryOperator::Or,
        false,
    ));
    Ok(match negated {
        false => found,
        true => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(found),
        },
    })
}

/// The conditions put together in a tree as flat as can be, however many they are.
pub fn joined(mut conditions: Vec<Expr>, both: &BinaryOperator, of_none: bool) -> Expr {
    match conditions.len() {
        0 => Expr::value(Value::Boolean(of_none)),
        1 => conditions.swap_remove(0),
        many => {
            let right = joined(conditions.split_off(many / 2), both, of_none);
            let left = joined(conditions, both, of_none);
            nested(binary(left, both.clone(), nested(right)))
        }
    }
}

/// `row IS NULL`: all of its columns are; `row IS NOT NULL`: none is.
pub fn null_test(columns: Vec<Expr>, null: bool) -> Expr {
    let tests = columns.into_iter().map(|column| {
        let column = Box::new(nested(column));
        match null {
            true => Expr::IsNull(column),
            false => Expr::IsNotNull(column),
        }
    });
    let all = tests.reduce(|all, one| binary(all, BinaryOperator::And, one));
    all.unwrap_or_else(|| Expr::value(Value::Boolean(true)))
}

/// Makes EXISTS of `row IN (subquery)` where it is a condition of WHERE: there NULL is as good as
/// false, and what NOT IN needs is that no row may be the same.
///
/// # Errors
/// 42601 for a row of no columns.
pub fn conditions(select: &mut Select) -> Result<(), Diagnostic> {
    match &mut select.selection {
        Some(condition) => conjuncts(condition),
        None => Ok(()),
    }
}

fn conjuncts(expr: &mut Expr) -> Result<(), Diagnostic> {
    match expr {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conjuncts(left)?;
            conjuncts(right)
        }
        Expr::InSubquery {
            expr: row,
            subquery,
            negated,
        } => {
            if !is(row) {
                return Ok(());
            }
            let columns = row_of(row).unwrap_or_default();
            let subquery = std::mem::replace(subquery, Box::new(subqueries::nothing()));
            *expr = exists(columns, subquery, *negated)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn exists(row: Vec<Expr>, subquery: Box<Query>, negated: bool) -> Result<Expr, Diagnostic> {
    let (mut query, theirs) = over(subquery, row.len());
    let same = compare(&BinaryOperator::Eq, theirs, row)?;
    let condition = match negated {
        false => same,
        // Not false: the same, or nobody knows.
        true => Expr::IsNotFalse(Box::new(nested(same))),
    };
    if let SetExpr::Select(select) = &mut *query.body {
        select.selection = Some(condition);
    }
    Ok(Expr::Exists {
        subquery: Box::new(query),
        negated,
    })
}

/// `row IN (subquery)` as a value: true where a row of it is the same, else NULL where nobody knows of one.
///
/// # Errors
/// As [`compare`].
pub fn in_subquery(
    row: Vec<Expr>,
    subquery: Box<Query>,
    negated: bool,
) -> Result<Expr, Diagnostic> {
    let (query, theirs) = over(subquery, row.len());
    let same = nested(compare(&BinaryOperator::Eq, row, theirs)?);
    let of_any = |condition| call_of("bool_or", vec![condition]);
    let case = |condition, result| CaseWhen {
        condition,
        result: Expr::value(result),
    };
    let unknown = Expr::IsNull(Box::new(same.clone()));
    let found = Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![
            case(of_any(same), Value::Boolean(true)),
            case(of_any(unknown), Value::Null),
        ],
        else_result: Some(Box::new(Expr::value(Value::Boolean(false)))),
    };
    let found = selected(query, found);
    Ok(match negated {
        false => found,
        true => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(found),
        },
    })
}

/// `row op (subquery)`, or the other way round: of the one row that the subquery gives.
///
/// # Errors
/// As [`compare`].
pub fn compare_subquery(
    op: &BinaryOperator,
    row: Vec<Expr>,
    subquery: Box<Query>,
    row_first: bool,
) -> Result<Expr, Diagnostic> {
    let (query, theirs) = over(subquery, row.len());
    let compared = match row_first {
        true => compare(op, row, theirs)?,
        false => compare(op, theirs, row)?,
    };
    Ok(selected(query, compared))
}

fn selected(mut query: Query, expr: Expr) -> Expr {
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', subqueries::VALUE),
        }];
    }
    Expr::Subquery(Box::new(query))
}

/// A query of the subquery's rows, and its columns there: by names that no client can write.
fn over(subquery: Box<Query>, columns: usize) -> (Query, Vec<Expr>) {
    let names: Vec<Ident> = (0..columns)
        .map(|place| Ident::with_quote('"', format!("\u{1}row{place}")))
        .collect();
    let theirs = names.iter().cloned().map(Expr::Identifier).collect();
    let mut query = subqueries::nothing();
    if let SetExpr::Select(select) = &mut *query.body {
        let column = |name| TableAliasColumnDef {
            name,
            data_type: None,
        };
        select.from = vec![TableWithJoins {
            relation: TableFactor::Derived {
                lateral: false,
                subquery,
                alias: Some(TableAlias {
                    explicit: true,
                    name: Ident::with_quote('"', "\u{1}rows"),
                    columns: names.into_iter().map(column).collect(),
                    at: None,
                }),
                sample: None,
            },
            joins: Vec::new(),
        }];
    }
    (query, theirs)
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}
