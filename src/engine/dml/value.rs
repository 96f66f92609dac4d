//! Values of a statement: columns, parameters, constants and expressions over one row.
//!
//! What needs no computation never becomes an Arrow array: a point statement's usual values are
//! plain columns and parameters.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::expression::{self, Analyzed, Compiled, Input as Needed, Repeats, Scope};
use crate::engine::query::failure;
use crate::engine::query::functions::auth_variable;
use crate::engine::query::statement::Statement;
use crate::engine::types::{self, CastContext, Input};
use crate::sql::auth_variable::Variable;
use crate::sql::parse;
use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use sqlparser::ast;
use std::borrow::Cow;
use std::sync::Arc;

/// A value that is worked out for each row.
#[derive(Clone, Debug)]
pub struct Value {
    source: Source,
    /// Its type.
    pub sql_type: SqlType,
}

#[derive(Clone, Debug)]
enum Source {
    Constant(ScalarValue),
    Column(usize),
    Parameter(usize),
    Variable(Variable),
    Computed(Compiled),
    /// An expression that asks the statement: made ready by [`Value::within`].
    Asking(Arc<Analyzed>),
    /// Another value, assigned to a column of this value's type.
    Assigned(Box<Value>),
}

/// What a value may be worked out from.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The columns of the scope.
    pub columns: &'a [ScalarValue],
    /// The statement's parameters.
    pub parameters: &'a [ScalarValue],
    /// What input functions look at; its transaction time is now().
    pub input: Input<'a>,
}

/// A value of the expression over the scope, of whatever type it has.
///
/// # Errors
/// As [`expression::compile`].
pub fn compile(
    tree: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Result<Value, Diagnostic> {
    if let Some(to) = local_time(tree) {
        let now = parse::parse_expression("now()")?;
        return compile(&now, scope, parameters, input)?.assigned_to("", to);
    }
    of_compiled(expression::compile(tree, scope, parameters, input)?)
}

/// As [`compile`], for what is worked out within one statement only: its functions may ask it.
/// What they ask is there once the value is made ready by [`Value::within`].
///
/// # Errors
/// As [`compile`].
pub fn compile_asking(
    tree: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Result<Value, Diagnostic> {
    if local_time(tree).is_some() {
        return compile(tree, scope, parameters, input);
    }
    let analyzed = expression::analyze(tree, scope, parameters, input)?;
    if analyzed.stands_alone() {
        return of_compiled(analyzed.alone()?);
    }
    Ok(Value {
        sql_type: analyzed.sql_type,
        source: Source::Asking(Arc::new(analyzed)),
    })
}

/// As [`compile_for_column`], for this statement alone: casts look at its settings.
///
/// # Errors
/// As there.
pub fn compile_once_for_column(
    tree: &ast::Expr,
    scope: &Scope,
    column: (&str, SqlType),
    input: Input<'_>,
) -> Result<Value, Diagnostic> {
    let mut parameters = Vec::new();
    if unknown_literal(tree).is_some() || integer_literal(tree).is_some() {
        return compile_for_column(tree, scope, &mut parameters, column, input);
    }
    let compiled = expression::compile_once(tree, scope, &mut parameters, input)?;
    of_compiled(compiled)?.assigned_to(column.0, column.1)
}

fn of_compiled(compiled: Compiled) -> Result<Value, Diagnostic> {
    let sql_type = compiled.sql_type;
    let source = match compiled.plain_input() {
        Some(Needed::Column(position)) => Source::Column(position),
        Some(Needed::Parameter(position)) => Source::Parameter(position),
        Some(Needed::TransactionTime) => Source::Computed(compiled),
        Some(Needed::Variable(place)) => Source::Variable(compiled.variables[place].0.clone()),
        None => match compiled.constant() {
            Some(constant) => Source::Constant(constant?),
            None => Source::Computed(compiled),
        },
    };
    Ok(Value { source, sql_type })
}

/// A value to be stored in a column of this type and name.
///
/// # Errors
/// 42804 where the expression has a type that the column does not take; as [`compile`].
pub fn compile_for_column(
    tree: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    column: (&str, SqlType),
    input: Input<'_>,
) -> Result<Value, Diagnostic> {
    let (name, sql_type) = column;
    let constant = |value| Value {
        source: Source::Constant(value),
        sql_type,
    };
    match unknown_literal(tree) {
        Some(Literal::Null) => return Ok(constant(types::null_scalar(sql_type))),
        Some(Literal::Text(text)) => {
            return types::decode_text(text, sql_type, input).map(constant);
        }
        Some(Literal::Parameter(index)) => {
            // The parameter takes the column's type; its modifier is applied on assignment.
            let plain = SqlType {
                typmod: -1,
                ..sql_type
            };
            let value = parameter(index, plain, parameters);
            return value.assigned_to(name, sql_type);
        }
        Some(Literal::Variable(variable)) => {
            let plain = SqlType {
                typmod: -1,
                ..sql_type
            };
            return Value::variable(variable, plain).assigned_to(name, sql_type);
        }
        None => {}
    }
    let Some(integer) = integer_literal(tree) else {
        return compile(tree, scope, parameters, input)?.assigned_to(name, sql_type);
    };
    // VALUES of many rows are mostly these: neither the planner nor Arrow is needed.
    let assigned = integer.assigned_to(name, sql_type)?;
    let row = Row {
        columns: &[],
        parameters: &[],
        input,
    };
    assigned.evaluate(row).map(constant)
}

/// As [`compile_for_column`], and as [`compile_asking`].
///
/// # Errors
/// As there.
pub fn compile_asking_for_column(
    tree: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    column: (&str, SqlType),
    input: Input<'_>,
) -> Result<Value, Diagnostic> {
    if unknown_literal(tree).is_some() || integer_literal(tree).is_some() {
        return compile_for_column(tree, scope, parameters, column, input);
    }
    compile_asking(tree, scope, parameters, input)?.assigned_to(column.0, column.1)
}

/// An integer literal, typed as PostgreSQL types it; None for anything else.
fn integer_literal(tree: &ast::Expr) -> Option<Value> {
    let (digits, negative) = match tree {
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => (&**expr, true),
        other => (other, false),
    };
    let ast::Expr::Value(ast::ValueWithSpan {
        value: ast::Value::Number(digits, false),
        ..
    }) = digits
    else {
        return None;
    };
    let magnitude: i64 = digits.parse().ok()?;
    let value = if negative { -magnitude } else { magnitude };
    let (value, kind) = match i32::try_from(value) {
        Ok(small) => (ScalarValue::Int32(Some(small)), TypeKind::Int4),
        Err(_) => (ScalarValue::Int64(Some(value)), TypeKind::Int8),
    };
    Some(Value {
        source: Source::Constant(value),
        sql_type: SqlType::scalar(kind),
    })
}

/// A value that is compared with one of this type: what has no type by itself takes it.
///
/// # Errors
/// As [`compile`]; 22P02 and the like for a literal that is none of the type's.
pub fn compile_compared(
    tree: &ast::Expr,
    other: SqlType,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Result<Value, Diagnostic> {
    let constant = |value| Value {
        source: Source::Constant(value),
        sql_type: other,
    };
    match unknown_literal(tree) {
        Some(Literal::Null) => Ok(constant(types::null_scalar(other))),
        Some(Literal::Text(text)) => types::decode_text(text, other, input).map(constant),
        Some(Literal::Parameter(index)) => Ok(parameter(index, other, parameters)),
        Some(Literal::Variable(variable)) => Ok(Value::variable(variable, other)),
        None => compile(tree, scope, parameters, input),
    }
}

/// The parameter, of the type it has already or else this one.
fn parameter(index: usize, sql_type: SqlType, parameters: &mut Vec<Option<SqlType>>) -> Value {
    if parameters.len() <= index {
        parameters.resize(index + 1, None);
    }
    Value {
        source: Source::Parameter(index),
        sql_type: *parameters[index].get_or_insert(sql_type),
    }
}

/// A value of an expression kept as text in the catalog.
///
/// # Errors
/// As [`compile`].
pub fn compile_text(text: &str, scope: &Scope, input: Input<'_>) -> Result<Value, Diagnostic> {
    let tree = parse::parse_expression(text)?;
    compile(&tree, scope, &mut Vec::new(), input)
}

/// As [`compile_text`], and as [`compile_asking`].
///
/// # Errors
/// As there.
pub fn compile_asking_text(
    text: &str,
    scope: &Scope,
    input: Input<'_>,
) -> Result<Value, Diagnostic> {
    let tree = parse::parse_expression(text)?;
    compile_asking(&tree, scope, &mut Vec::new(), input)
}

/// CURRENT_DATE and LOCALTIMESTAMP: the transaction's time in the session's time zone.
fn local_time(tree: &ast::Expr) -> Option<SqlType> {
    let ast::Expr::Function(call) = tree else {
        return None;
    };
    if !matches!(call.args, ast::FunctionArguments::None) {
        return None;
    }
    let kind = match call.name.to_string().to_lowercase().as_str() {
        "current_date" => TypeKind::Date,
        "localtimestamp" => TypeKind::Timestamp,
        _ => return None,
    };
    Some(SqlType::scalar(kind))
}

/// A literal whose place decides its type.
enum Literal<'t> {
    Null,
    Text(&'t str),
    Parameter(usize),
    Variable(Variable),
}

fn unknown_literal(tree: &ast::Expr) -> Option<Literal<'_>> {
    if let Some(Ok(variable)) = Variable::of(tree) {
        // A list has a type by itself.
        return (!variable.is_list()).then_some(Literal::Variable(variable));
    }
    match tree {
        ast::Expr::Nested(inner) => unknown_literal(inner),
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Null => Some(Literal::Null),
            ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => {
                Some(Literal::Text(text))
            }
            ast::Value::Placeholder(id) => {
                let number: usize = id.strip_prefix('$')?.parse().ok()?;
                number.checked_sub(1).map(Literal::Parameter)
            }
            _ => None,
        },
        _ => None,
    }
}

impl Value {
    /// NULL of this type.
    pub fn null(sql_type: SqlType) -> Value {
        Value {
            source: Source::Constant(types::null_scalar(sql_type)),
            sql_type,
        }
    }

    /// `$auth.*` as a value of this type.
    fn variable(variable: Variable, sql_type: SqlType) -> Value {
        Value {
            source: Source::Variable(variable),
            sql_type,
        }
    }

    /// A column of the scope as it is.
    pub fn column(position: usize, sql_type: SqlType) -> Value {
        Value {
            source: Source::Column(position),
            sql_type,
        }
    }

    /// The column of the scope this is, if it is nothing else.
    pub fn as_column(&self) -> Option<usize> {
        match self.source {
            Source::Column(position) => Some(position),
            _ => None,
        }
    }

    /// Whether it must be made ready by [`Value::within`] before it is worked out.
    pub fn asks(&self) -> bool {
        match &self.source {
            Source::Asking(_) => true,
            Source::Assigned(inner) => inner.asks(),
            _ => false,
        }
    }

    /// The value as its functions find it in this statement.
    ///
    /// # Errors
    /// 0A000 for functions that do something besides giving a value.
    pub fn within(&self, statement: &Arc<Statement>) -> Result<Value, Diagnostic> {
        let source = match &self.source {
            Source::Asking(analyzed) => Source::Computed(analyzed.within(statement)?),
            Source::Assigned(inner) => Source::Assigned(Box::new(inner.within(statement)?)),
            other => other.clone(),
        };
        Ok(Value {
            source,
            sql_type: self.sql_type,
        })
    }

    /// As [`Value::within`], if it must be: some ten microseconds.
    ///
    /// # Errors
    /// As there.
    pub fn ready(&self, context: &StatementContext) -> Result<Cow<'_, Value>, Diagnostic> {
        if !self.asks() {
            return Ok(Cow::Borrowed(self));
        }
        let query = context.query.as_ref().ok_or_else(not_ready)?;
        self.within(&query.statement(context)).map(Cow::Owned)
    }

    /// The columns of the scope that it is worked out from.
    pub fn columns(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match &self.source {
            Source::Column(position) => Box::new(std::iter::once(*position)),
            Source::Computed(compiled) => {
                let columns = compiled.inputs.iter().filter_map(|needed| match needed {
                    Needed::Column(position) => Some(*position),
                    _ => None,
                });
                Box::new(columns)
            }
            Source::Assigned(inner) => inner.columns(),
            Source::Constant(_)
            | Source::Parameter(_)
            | Source::Variable(_)
            | Source::Asking(_) => Box::new(std::iter::empty()),
        }
    }

    /// Whether the value is the same for every row of the scope.
    pub fn is_free_of_columns(&self) -> bool {
        match &self.source {
            Source::Constant(_) | Source::Parameter(_) | Source::Variable(_) => true,
            Source::Column(_) | Source::Asking(_) => false,
            Source::Computed(compiled) => {
                compiled.repeats == Repeats::Always
                    && !compiled
                        .inputs
                        .iter()
                        .any(|input| matches!(input, Needed::Column(_)))
            }
            Source::Assigned(inner) => inner.is_free_of_columns(),
        }
    }

    /// Whether a row always gives the same value: neither a function that does not, nor the time, nor
    /// the session is asked.
    pub fn is_immutable(&self) -> bool {
        match &self.source {
            Source::Constant(_) | Source::Column(_) => true,
            Source::Parameter(_) | Source::Variable(_) | Source::Asking(_) => false,
            Source::Computed(compiled) => {
                compiled.repeats == Repeats::Always
                    && compiled
                        .inputs
                        .iter()
                        .all(|input| matches!(input, Needed::Column(_)))
            }
            Source::Assigned(inner) => inner.is_immutable(),
        }
    }

    /// This, where the catalog's own texts may hold no parameters.
    ///
    /// # Errors
    /// 42P02 for a parameter, in PostgreSQL's words.
    pub fn without_parameters(self) -> Result<Value, Diagnostic> {
        let parameter = match &self.source {
            Source::Parameter(position) => Some(*position),
            Source::Computed(compiled) => compiled.inputs.iter().find_map(|input| match input {
                Needed::Parameter(position) => Some(*position),
                _ => None,
            }),
            Source::Constant(_)
            | Source::Column(_)
            | Source::Variable(_)
            | Source::Asking(_)
            | Source::Assigned(_) => None,
        };
        match parameter {
            None => Ok(self),
            Some(position) => Err(Diagnostic::error(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter ${}", position + 1),
            )),
        }
    }

    /// This as a column of another type keeps it.
    ///
    /// # Errors
    /// 42804 in PostgreSQL's words where there is no assignment cast.
    pub fn assigned_to(self, column: &str, to: SqlType) -> Result<Value, Diagnostic> {
        // An expression of numeric may be a decimal of one scale, which such a column does not keep.
        if self.sql_type == to && to != types::name::ANY_NUMERIC {
            return Ok(self);
        }
        let from = self.sql_type;
        if !types::can_cast(from, to, CastContext::Assignment) {
            let plain = |sql_type: SqlType| {
                types::format_type(SqlType {
                    typmod: -1,
                    ..sql_type
                })
            };
            return Err(Diagnostic::error(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "column \"{column}\" is of type {} but expression is of type {}",
                    plain(to),
                    plain(from)
                ),
            )
            .with_hint("You will need to rewrite or cast the expression."));
        }
        Ok(Value {
            source: Source::Assigned(Box::new(self)),
            sql_type: to,
        })
    }

    /// Works it out for one row.
    ///
    /// # Errors
    /// What the expression or the assignment raises.
    pub fn evaluate(&self, row: Row<'_>) -> Result<ScalarValue, Diagnostic> {
        match &self.source {
            Source::Constant(value) => Ok(value.clone()),
            Source::Column(position) => Ok(row.columns[*position].clone()),
            Source::Parameter(position) => Ok(row.parameters[*position].clone()),
            Source::Variable(variable) => {
                Ok(auth_variable::value(variable, self.sql_type, row.input))
            }
            Source::Computed(compiled) => {
                let inputs = compiled
                    .inputs
                    .iter()
                    .map(|needed| row.array(*needed, &compiled.variables))
                    .collect::<Result<Vec<_>, _>>()?;
                let array = compiled.evaluate(inputs, 1)?;
                ScalarValue::try_from_array(&array, 0).map_err(failure::diagnostic)
            }
            Source::Asking(_) => Err(not_ready()),
            Source::Assigned(inner) => {
                let value = inner.evaluate(row)?;
                types::assign(value, inner.sql_type, self.sql_type, row.input)
            }
        }
    }

    /// Works it out for all rows of a batch.
    ///
    /// # Errors
    /// As [`Value::evaluate`].
    pub fn evaluate_batch(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        parameters: &[ScalarValue],
        input: Input<'_>,
    ) -> Result<ArrayRef, Diagnostic> {
        let repeated =
            |value: &ScalarValue| value.to_array_of_size(rows).map_err(failure::diagnostic);
        match &self.source {
            Source::Constant(value) => repeated(value),
            Source::Column(position) => Ok(columns[*position].clone()),
            Source::Parameter(position) => repeated(&parameters[*position]),
            Source::Variable(variable) => {
                repeated(&auth_variable::value(variable, self.sql_type, input))
            }
            Source::Computed(compiled) => {
                let inputs = compiled
                    .inputs
                    .iter()
                    .map(|needed| match needed {
                        Needed::Column(position) => Ok(columns[*position].clone()),
                        Needed::Parameter(position) => repeated(&parameters[*position]),
                        Needed::TransactionTime => repeated(&time_of(input)),
                        Needed::Variable(place) => {
                            let (variable, sql_type) = &compiled.variables[*place];
                            repeated(&auth_variable::value(variable, *sql_type, input))
                        }
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                compiled.evaluate(inputs, rows)
            }
            Source::Asking(_) => Err(not_ready()),
            Source::Assigned(inner) => {
                let values = inner.evaluate_batch(columns, rows, parameters, input)?;
                types::assign_array(&values, inner.sql_type, self.sql_type, input)
            }
        }
    }

    /// Whether a condition holds: not for false, nor for NULL.
    ///
    /// # Errors
    /// As [`Value::evaluate`].
    pub fn holds(&self, row: Row<'_>) -> Result<bool, Diagnostic> {
        Ok(matches!(
            self.evaluate(row)?,
            ScalarValue::Boolean(Some(true))
        ))
    }
}

impl Row<'_> {
    fn array(
        &self,
        needed: Needed,
        variables: &[(Variable, SqlType)],
    ) -> Result<ArrayRef, Diagnostic> {
        let array = match needed {
            Needed::Column(position) => self.columns[position].to_array(),
            Needed::Parameter(position) => self.parameters[position].to_array(),
            Needed::TransactionTime => time_of(self.input).to_array(),
            Needed::Variable(place) => {
                let (variable, sql_type) = &variables[place];
                auth_variable::value(variable, *sql_type, self.input).to_array()
            }
        };
        array.map_err(failure::diagnostic)
    }
}

fn not_ready() -> Diagnostic {
    Diagnostic::internal("a value that asks its statement was not made ready")
}

fn time_of(input: Input<'_>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(input.transaction_time), Some("UTC".into()))
}

/// 42804 unless a WHERE's or CHECK's expression is boolean.
///
/// # Errors
/// 42804 in PostgreSQL's words.
pub fn demand_boolean(value: &Value, clause: &str) -> Result<(), Diagnostic> {
    if value.sql_type.kind == TypeKind::Bool && !value.sql_type.array {
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::DATATYPE_MISMATCH,
        format!(
            "argument of {clause} must be type boolean, not type {}",
            types::format_type(SqlType {
                typmod: -1,
                ..value.sql_type
            })
        ),
    ))
}
