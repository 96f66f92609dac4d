//! What an expression means in PostgreSQL where the planner would make something else of it.
//!
//! Runs over every expression of a plan before the planner's own type coercion, and over the
//! operands of each operator while it is planned (`operators`): casts become ours, quoted literals
//! and parameters take the type of what stands beside them, negation is checked.

mod arguments;
mod members;
mod memberships;
mod quantified;
mod recursion;
mod subqueries;
mod unions;

pub use members::same_type;

use super::cast::{Written, explicit, is_unknown, type_of};
use super::functions::definition::Function;
use super::functions::quantified::Comparison;
use super::functions::recursion::{RecursiveColumn, SEED, STEP};
use super::functions::{
    array_elements, array_subscripts, blanks, enumeration, label, numeric, one_type, ordered_sets,
};
use super::grouping_sets;
use super::multisets;
use super::operators::arithmetic::Operation;
use super::operators::{self, is_text};
use super::rewrite::casts::CAST_TO;
use super::{failure, keys};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::types::number::Number;
use crate::engine::types::number::array::is_exact;
use crate::engine::types::{self, Input};
use arguments::{
    float_arguments, has_argument_to_type, has_series_to_type, series_arguments, typed_arguments,
};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Case, InList, InSubquery, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Operator, Projection, ScalarUDF, Union,
};
use members::{
    Compared, case_of_one_type, comparable_members, labelled, null_where_equal, one_number_type,
    one_type_by, takes_one_type,
};
use std::sync::Arc;

/// Rewrites every expression of a plan and of the subqueries in it.
pub fn plan(plan: LogicalPlan, input: Input<'_>) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(grouping_sets::of_columns)?;
    let plan = plan
        .data
        .transform_down_with_subqueries(recursion::of_columns)?;
    let plan = plan.data.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            let unified = unions::of_one_type(union, input)?;
            return Ok(Transformed::yes(LogicalPlan::Union(unified)));
        }
        let node = match node {
            LogicalPlan::Unnest(unnest) => {
                return Ok(Transformed::yes(enumeration::unnested(unnest)?));
            }
            LogicalPlan::Join(join) if multisets::is(&join) => {
                return Ok(Transformed::yes(multisets::counted(join)?));
            }
            other => memberships::equalities(other),
        };
        let mut schema = merge_schema(&node.inputs());
        if let LogicalPlan::TableScan(scan) = &node {
            let source = DFSchema::try_from_qualified_schema(
                scan.table_name.clone(),
                &scan.source.schema(),
            )?;
            schema.merge(&source);
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expression(expr, &schema, input)?;
            Ok(Transformed::yes(name.restore(rewritten)))
        })?
        .map_data(LogicalPlan::recompute_schema)?
        .map_data(unions::rows_of_one_type)?
        .map_data(keys::node)?
        .map_data(subqueries::below)?
        .map_data(memberships::known)
    })?;
    Ok(plan.data)
}

/// Rewrites one expression over the columns of a schema.
pub fn expression(expr: Expr, schema: &DFSchema, input: Input<'_>) -> Result<Expr> {
    expr.transform_up(|expr| node(expr, schema, input))
        .map(|transformed| transformed.data)
}

fn node(expr: Expr, schema: &DFSchema, input: Input<'_>) -> Result<Transformed<Expr>> {
    if let Expr::ScalarFunction(function) = &expr {
        if let Some(constant) = enumeration::constant(function, schema, input)? {
            return Ok(Transformed::yes(constant));
        }
        if let Some(typed) = enumeration::typed(function, schema, input)? {
            return Ok(Transformed::yes(typed));
        }
        enumeration::demand_taken(function.name(), &function.args, schema)?;
    }
    let rewritten = match expr {
        Expr::ScalarFunction(function) if function.name() == CAST_TO => {
            let Some(to) = function.args.get(1).and_then(Written::target) else {
                return Ok(Transformed::no(Expr::ScalarFunction(function)));
            };
            if let Some(small) = small_integer(&function.args[0], to) {
                return Ok(Transformed::yes(small));
            }
            let from = match type_of(&function.args[0], schema) {
                Ok(from) => from,
                Err(_) if is_row(&function.args[0], schema) => {
                    return Err(failure::external(types::cannot_cast(
                        SqlType::scalar(TypeKind::Record),
                        to,
                    )));
                }
                // The column is not there; the planner says so itself.
                Err(_) => return Ok(Transformed::no(Expr::ScalarFunction(function))),
            };
            let inner = function.args.into_iter().next().unwrap_or_default();
            explicit(inner, from, to, input)?
        }
        Expr::InList(mut list) => {
            let mut members = vec![std::mem::take(&mut *list.expr)];
            members.append(&mut list.list);
            let compared = match members.len() {
                2 => Compared::EachWithFirst,
                _ => Compared::OfOneType,
            };
            let members = comparable_members(members, compared, schema, input)?;
            demand_comparable("=", &members, schema)?;
            let mut members = keys::of(members, schema)?.into_iter();
            *list.expr = members.next().unwrap_or_default();
            list.list = members.collect();
            constant_in_list(list)
        }
        Expr::Between(mut between) => {
            let members = vec![*between.expr, *between.low, *between.high];
            let members = comparable_members(members, Compared::EachWithFirst, schema, input)?;
            demand_comparable(">=", &members, schema)?;
            let mut members = keys::of(members, schema)?.into_iter();
            between.expr = Box::new(members.next().unwrap_or_default());
            between.low = Box::new(members.next().unwrap_or_default());
            between.high = Box::new(members.next().unwrap_or_default());
            Expr::Between(between)
        }
        Expr::BinaryExpr(mut binary)
            if matches!(
                binary.op,
                Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
            ) =>
        {
            let members = vec![*binary.left, *binary.right];
            let members = comparable_members(members, Compared::EachWithFirst, schema, input)?;
            demand_comparable("=", &members, schema)?;
            let mut members = keys::of(members, schema)?.into_iter();
            binary.left = Box::new(members.next().unwrap_or_default());
            binary.right = Box::new(members.next().unwrap_or_default());
            Expr::BinaryExpr(binary)
        }
        Expr::IsTrue(inner) => truth(Expr::IsTrue, "IS TRUE", *inner, schema, input)?,
        Expr::IsNotTrue(inner) => truth(Expr::IsNotTrue, "IS NOT TRUE", *inner, schema, input)?,
        Expr::IsFalse(inner) => truth(Expr::IsFalse, "IS FALSE", *inner, schema, input)?,
        Expr::IsNotFalse(inner) => truth(Expr::IsNotFalse, "IS NOT FALSE", *inner, schema, input)?,
        Expr::IsUnknown(inner) => truth(Expr::IsUnknown, "IS UNKNOWN", *inner, schema, input)?,
        Expr::IsNotUnknown(inner) => {
            truth(Expr::IsNotUnknown, "IS NOT UNKNOWN", *inner, schema, input)?
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner)
            if type_of(&inner, schema)
                .is_ok_and(|found| found == SqlType::scalar(TypeKind::Record)) =>
        {
            // Which asks each of its fields.
            return Err(failure::unsupported("IS NULL of a row that is a value"));
        }
        Expr::Case(case) => {
            let case = case_of_one_type(case, schema, input)?;
            let first = case
                .when_then_expr
                .first()
                .map(|(_, then)| (**then).clone());
            let first = first.unwrap_or_default();
            labelled(Expr::Case(case), &first, schema)?
        }
        Expr::Negative(inner) => negative(*inner, schema)?,
        Expr::ScalarFunction(function) if takes_one_type(function.name()) => {
            let name = function.func.name().to_owned();
            let args = same_type(function.args, schema, input)?;
            if let Some((one, other)) = enumeration::unlike(&args, schema) {
                let what = match name.as_str() {
                    "make_array" => "ARRAY".to_owned(),
                    name => name.to_uppercase(),
                };
                return Err(one_type::unlike(&what, one, other));
            }
            let args = one_number_type(args, schema, input)?;
            match (name.as_str(), args.as_slice()) {
                ("nullif", [left, right]) => {
                    let left = left.clone();
                    let keyed = keys::of(vec![left.clone(), right.clone()], schema)?;
                    let call = match keyed == args {
                        true => one_type::call(&function.func, args),
                        false => null_where_equal(left.clone(), keyed)?,
                    };
                    labelled(call, &left, schema)?
                }
                ("make_array", [first, ..]) => {
                    let element = type_of(first, schema)?;
                    let untyped = is_unknown(first);
                    // Each element of an array has a scale of its own.
                    let numbers = args.iter().map(|arg| {
                        let data_type = arg.get_type(schema)?;
                        Ok(match &data_type {
                            DataType::Decimal128(..) => numeric::number_of(arg.clone(), &data_type),
                            _ => arg.clone(),
                        })
                    });
                    let args = numbers.collect::<Result<_>>()?;
                    let call = one_type::call(&function.func, args);
                    // An array of the library's does not tell json from text, or a row from bytes.
                    let says_so = match (type_of(&call, schema), element.kind) {
                        (Err(_), TypeKind::Enum(_)) => false,
                        (said, kind) => said?.kind == kind,
                    };
                    let of_first = match call.get_type(schema)? {
                        DataType::List(field) => *field.data_type() == first.get_type(schema)?,
                        _ => false,
                    };
                    match element.array || says_so || untyped || !of_first {
                        true => call,
                        false => label::as_type(call, SqlType::array_of(element.kind)),
                    }
                }
                (_, [first, ..]) => {
                    let first = first.clone();
                    labelled(one_type::call(&function.func, args), &first, schema)?
                }
                _ => one_type::call(&function.func, args),
            }
        }
        Expr::WindowFunction(call) => Expr::from(keys::window(*call, schema)?),
        Expr::AggregateFunction(call) if !call.params.args.is_empty() => {
            enumeration::demand_aggregated(call.func.name(), &call.params.args, schema)?;
            Expr::AggregateFunction(keys::aggregate(call, schema)?)
        }
        Expr::AggregateFunction(call) => Expr::AggregateFunction(keys::aggregate(call, schema)?),
        Expr::InSubquery(membership) => Expr::InSubquery(in_subquery(membership, schema)?),
        Expr::ScalarFunction(function)
            if let Some(symbol) = Comparison::of_function(function.name()) =>
        {
            let args = quantified::typed(symbol, function.args, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        Expr::ScalarFunction(function)
            if function.name() == "generate_series" && has_series_to_type(&function, schema) =>
        {
            let args = series_arguments(function.args, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        // At midnight of the session's time zone.
        Expr::ScalarFunction(mut function) if function.name() == "date_trunc" => {
            let zoned = SqlType::scalar(TypeKind::Timestamptz);
            for source in function.args.iter_mut().skip(1) {
                if let Ok(from) = type_of(source, schema)
                    && from == SqlType::scalar(TypeKind::Date)
                {
                    *source = explicit(std::mem::take(source), from, zoned, input)?;
                }
            }
            Expr::ScalarFunction(function)
        }
        Expr::ScalarFunction(function) if ordered_sets::is(&function.func) => {
            ordered_sets::of_floats(function, schema, input)?
        }
        Expr::ScalarFunction(function) if array_elements::is(&function.func) => {
            Expr::ScalarFunction(array_elements::of_one_type(function, schema, input)?)
        }
        Expr::ScalarFunction(mut function) if label::is_meant(&function.func) => {
            std::mem::take(&mut function.args[0])
        }
        Expr::ScalarFunction(mut function) if function.name() == SEED => {
            recursion::seeded(std::mem::take(&mut function.args[0]), input)?
        }
        Expr::ScalarFunction(mut function) if function.name() == STEP => {
            std::mem::take(&mut function.args[0])
        }
        Expr::ScalarFunction(function) if RecursiveColumn::of(&function).is_some() => {
            recursion::typed(function, schema, input)?
        }
        Expr::ScalarFunction(function) if array_subscripts::is(&function.func) => {
            array_subscripts::typed(function, schema, input)?
        }
        Expr::ScalarFunction(function) if has_argument_to_type(&function, schema) => {
            let args = typed_arguments(function.args, &function.func, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        Expr::Like(like) => {
            let sides = [&like.expr, &like.pattern].map(|side| type_of(side, schema));
            if let [Ok(left), Ok(right)] = sides
                && [left, right]
                    .iter()
                    .any(|side| matches!(side.kind, TypeKind::Enum(_)))
            {
                let operator = match (like.negated, like.case_insensitive) {
                    (false, false) => "~~",
                    (true, false) => "!~~",
                    (false, true) => "~~*",
                    (true, true) => "!~~*",
                };
                let none = failure::no_operator(operator, left, right);
                return Err(failure::external(none));
            }
            return Ok(with_blanks(like, schema));
        }
        Expr::ScalarFunction(mut function)
            if blanks::are_seen_by(function.name()) && has_blanks(&function.args, schema) =>
        {
            for argument in &mut function.args {
                let sql_type = type_of(argument, schema)?;
                *argument = blanks::shown(std::mem::take(argument), sql_type);
            }
            Expr::ScalarFunction(function)
        }
        Expr::ScalarFunction(function) => match float_arguments(&function, schema, input)? {
            None if is_of_text(&function) => {
                demand_text(&function, schema)?;
                return Ok(Transformed::no(Expr::ScalarFunction(function)));
            }
            Some(args) => Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args)),
            None => return Ok(Transformed::no(Expr::ScalarFunction(function))),
        },
        // Their inside is a plan of its own, which `plan` reaches.
        Expr::ScalarSubquery(subquery) => {
            return Ok(match told_apart(&subquery) {
                Some(field) => {
                    Transformed::yes(label::as_field(Expr::ScalarSubquery(subquery), field))
                }
                None => Transformed::no(Expr::ScalarSubquery(subquery)),
            });
        }
        Expr::Exists(_) => return Ok(Transformed::no(expr)),
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(rewritten))
}

fn has_blanks(args: &[Expr], schema: &DFSchema) -> bool {
    let mut types = args.iter().map(|arg| type_of(arg, schema));
    types.any(|one| one.is_ok_and(|one| one.kind == TypeKind::Bpchar))
}

/// What is compared with a pattern has the blanks of char(n).
fn with_blanks(mut like: Like, schema: &DFSchema) -> Transformed<Expr> {
    match type_of(&like.expr, schema) {
        Ok(sql_type) if sql_type.kind == TypeKind::Bpchar => {
            *like.expr = blanks::shown(std::mem::take(&mut *like.expr), sql_type);
            Transformed::yes(Expr::Like(like))
        }
        _ => Transformed::no(Expr::Like(like)),
    }
}

/// Memory that one constant may take, written once for each of those that it is looked for among.
const NEEDLES_BYTES_MAX: usize = 1024 * 1024;

/// A constant, or what becomes one, looked for among what is none: as comparisons, for a filter of the library's takes NULL of
/// all rows for the first one's.
fn constant_in_list(list: InList) -> Expr {
    let is_constant = |one: &Expr| matches!(one, Expr::Literal(..));
    let size = match &*list.expr {
        Expr::Literal(value, _) => value.size(),
        other if is_same_for_all_rows(other) => other.to_string().len(),
        _ => return Expr::InList(list),
    };
    let bytes = size.saturating_mul(list.list.len());
    if bytes > NEEDLES_BYTES_MAX || list.list.iter().all(is_constant) {
        return Expr::InList(list);
    }
    let (each, both) = match list.negated {
        true => (Operator::NotEq, Operator::And),
        false => (Operator::Eq, Operator::Or),
    };
    let needle = *list.expr;
    let compared = list.list.into_iter();
    let compared = compared.map(|one| operators::binary(needle.clone(), each, one));
    balanced(compared.collect(), both)
}

/// Whether an expression names no column and calls nothing that gives another value each time.
fn is_same_for_all_rows(expr: &Expr) -> bool {
    let varies = |expr: &Expr| {
        Ok(match expr {
            Expr::Column(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::ScalarSubquery(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_) => true,
            other => other.is_volatile(),
        })
    };
    !expr.exists(varies).unwrap_or(true)
}

/// The conditions put together in a tree as flat as can be.
fn balanced(mut conditions: Vec<Expr>, both: Operator) -> Expr {
    while conditions.len() > 1 {
        let mut pairs = conditions.into_iter();
        let mut next = Vec::new();
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => operators::binary(left, both, right),
                None => left,
            });
        }
        conditions = next;
    }
    conditions.pop().unwrap_or_default()
}

/// The library's functions of text, which take a number or a moment for its text.
const OF_TEXT: &[&str] = &[
    "ascii",
    "btrim",
    "character_length",
    "left",
    "length",
    "lpad",
    "ltrim",
    "reverse",
    "right",
    "rpad",
    "rtrim",
];

fn is_of_text(function: &ScalarFunction) -> bool {
    OF_TEXT.contains(&function.name())
}

/// 42883 where the first argument is of a type that PostgreSQL does not take for a text by itself.
fn demand_text(function: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    use TypeKind::{
        Bool, Date, Float4, Float8, Int2, Int4, Int8, Interval, Json, Jsonb, Numeric, Time,
        Timestamp, Timestamptz, Uuid,
    };
    let types = function.args.iter().map(|one| type_of(one, schema));
    let types = types.collect::<Result<Vec<_>>>()?;
    let is_other = |one: &SqlType| {
        matches!(
            one.kind,
            Bool | Date
                | Float4
                | Float8
                | Int2
                | Int4
                | Int8
                | Interval
                | Json
                | Jsonb
                | Numeric
                | Time
                | Timestamp
                | Timestamptz
                | Uuid
        )
    };
    let name = match function.name() {
        "character_length" => "length",
        name => name,
    };
    match types.first().is_some_and(is_other) {
        true => Err(failure::external(failure::no_function(name, &types))),
        false => Ok(()),
    }
}

/// The column of a subquery whose Arrow type does not say its SQL type: when it has run, nothing but its value
/// is left.
fn told_apart(subquery: &Subquery) -> Option<FieldRef> {
    let field = subquery.subquery.schema().fields().first()?;
    let sql_type = types::sql_type(field).ok()?;
    let by_itself = types::arrow::from_data_type(field.data_type());
    let bare = SqlType {
        typmod: -1,
        ..sql_type
    };
    (by_itself.ok() != Some(bare)).then(|| Arc::new(field.as_ref().clone().with_nullable(true)))
}

/// Of members that are compared: that an enumeration is beside nothing else.
///
/// # Errors
/// 42883
fn demand_comparable(operator: &str, members: &[Expr], schema: &DFSchema) -> Result<()> {
    match enumeration::unlike(members, schema) {
        Some((left, right)) => Err(failure::external(failure::no_operator(
            operator, left, right,
        ))),
        None => Ok(()),
    }
}

/// `x IN (SELECT y …)`: both as keys where their type needs it.
fn in_subquery(mut membership: InSubquery, schema: &DFSchema) -> Result<InSubquery> {
    use TypeKind::{Int2, Int4, Int8, Numeric};
    let plan = membership.subquery.subquery.clone();
    let [column] = <[_; 1]>::try_from(plan.schema().columns())
        .map_err(|_| failure::error(SqlState::SYNTAX_ERROR, "subquery has too many columns"))?;
    let column = Expr::Column(column);
    let found = column.get_type(plan.schema())?;
    if let (Ok(left), Ok(right)) = (
        type_of(&membership.expr, schema),
        type_of(&column, plan.schema()),
    ) && right.kind != TypeKind::Unknown
        && !operators::comparable(left, right)
        && !is_unknown(&membership.expr)
    {
        return Err(failure::external(failure::no_operator("=", left, right)));
    }
    let sql_type = type_of(&column, plan.schema())?;
    // A number beside a float is one, and a moment of one type beside that of another is of the wider.
    if let Ok(left) = type_of(&membership.expr, schema)
        && left.kind != sql_type.kind
        && let Some(to) = one_type::common_type(&[left, sql_type])
        && !matches!(to.kind, Numeric | Int2 | Int4 | Int8)
    {
        if left.kind != to.kind {
            let expr = std::mem::take(&mut *membership.expr);
            *membership.expr = super::cast::function(expr, left, to);
        }
        if sql_type.kind != to.kind {
            let column = super::cast::function(column, sql_type, to).alias(memberships::CONVERTED);
            let projection = Projection::try_new(vec![column], plan)?;
            membership.subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
        }
        return in_subquery(membership, schema);
    }
    // Both sides decide: a marker of the column's type stands for the other plan's column.
    let of_type = Some(super::cast::metadata(sql_type));
    let marker = Expr::Literal(ScalarValue::try_from(&found)?, of_type);
    let members = vec![(*membership.expr).clone(), marker.clone()];
    let keyed = keys::of(members.clone(), schema)?;
    if keyed == members {
        return Ok(membership);
    }
    membership.expr = Box::new(keyed.into_iter().next().unwrap_or_default());
    // A number becomes a key whatever its own type is.
    let marker = match is_exact(&found) {
        true => Expr::Literal(ScalarValue::LargeBinary(None), None),
        false => marker,
    };
    let keyed = keys::of(vec![column, marker], plan.schema())?;
    let column = keyed.into_iter().next().unwrap_or_default();
    let projection = Projection::try_new(vec![column.alias(memberships::CONVERTED)], plan)?;
    membership.subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
    Ok(membership)
}

fn is_row(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Struct(_)))
}

/// An integer literal that `rewrite::literals` cast to int4.
fn small_integer(expr: &Expr, to: SqlType) -> Option<Expr> {
    match (expr, to.kind) {
        (Expr::Literal(ScalarValue::Int64(Some(value)), None), TypeKind::Int4) if !to.array => {
            let value = i32::try_from(*value).ok()?;
            Some(Expr::Literal(ScalarValue::Int32(Some(value)), None))
        }
        _ => None,
    }
}

/// A test of a condition.
fn truth(
    test: fn(Box<Expr>) -> Expr,
    name: &str,
    inner: Expr,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Expr> {
    let condition = condition_of(name, inner, schema, input)?;
    Ok(test(Box::new(condition)))
}

/// A condition: bool, or a literal that is read as one.
pub fn condition_of(place: &str, expr: Expr, schema: &DFSchema, input: Input<'_>) -> Result<Expr> {
    let bool = SqlType::scalar(TypeKind::Bool);
    if is_unknown(&expr) {
        return explicit(expr, SqlType::scalar(TypeKind::Unknown), bool, input);
    }
    match type_of(&expr, schema) {
        Ok(found) if found != bool => Err(failure::error(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "argument of {place} must be type boolean, not type {}",
                types::format_type(SqlType {
                    typmod: -1,
                    ..found
                })
            ),
        )),
        // A column that is not there: the planner says so itself.
        _ => Ok(expr),
    }
}

/// `-x`, checked: the smallest integer has no opposite.
fn negative(inner: Expr, schema: &DFSchema) -> Result<Expr> {
    if let Expr::Literal(value, metadata) = &inner {
        if let Some(number) = Number::of_scalar(value)
            && matches!(value, ScalarValue::LargeBinary(_))
        {
            return Ok(Expr::Literal(
                number.negated().to_scalar(),
                metadata.clone(),
            ));
        }
        if let Ok(negated) = value.arithmetic_negate() {
            return Ok(Expr::Literal(negated, metadata.clone()));
        }
    }
    let zero = match type_of(&inner, schema).map(|sql_type| sql_type.kind) {
        Ok(TypeKind::Int2) => ScalarValue::Int16(Some(0)),
        Ok(TypeKind::Int4) => ScalarValue::Int32(Some(0)),
        Ok(TypeKind::Int8) => ScalarValue::Int64(Some(0)),
        Ok(TypeKind::Numeric) if inner.get_type(schema)? == DataType::LargeBinary => {
            Number::of_integer(0).to_scalar()
        }
        _ => return Ok(Expr::Negative(Box::new(inner))),
    };
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
        Operation::Subtract.function(),
        vec![Expr::Literal(zero, None), inner],
    )))
}
