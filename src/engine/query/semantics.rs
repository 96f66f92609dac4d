//! What an expression means in PostgreSQL where the planner would make something else of it.
//!
//! Runs over every expression of a plan before the planner's own type coercion, and over the
//! operands of each operator while it is planned (`operators`): casts become ours, quoted literals
//! and parameters take the type of what stands beside them, negation is checked.

use super::cast::{Written, explicit, is_unknown, type_of};
use super::failure;
use super::multisets;
use super::operators::arithmetic::Operation;
use super::operators::is_text;
use super::rewrite::casts::CAST_TO;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::types::{self, Input};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, Projection, Union};
use std::sync::Arc;

/// Rewrites every expression of a plan and of the subqueries in it.
pub fn plan(plan: LogicalPlan, input: Input<'_>) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            let unified = union_of_one_type(union, input)?;
            return Ok(Transformed::yes(LogicalPlan::Union(unified)));
        }
        let node = match node {
            LogicalPlan::Join(join) if multisets::is(&join) => {
                return Ok(Transformed::yes(multisets::counted(join)?));
            }
            other => other,
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
        .map_data(LogicalPlan::recompute_schema)
    })
    .map(|transformed| transformed.data)
}

/// Quoted literals of one branch take the type of the other's column, and names of OIDs are numbers where
/// the first branch has numbers; texts and numbers that are neither literal do not match.
fn union_of_one_type(mut union: Union, input: Input<'_>) -> Result<Union> {
    let width = union.schema.fields().len();
    let mut changed = false;
    for column in 0..width {
        let known = union
            .inputs
            .iter()
            .filter(|branch| !literal_at(branch, column))
            .map(|branch| types::sql_type(branch.schema().field(column)))
            .next();
        let Some(Ok(known)) = known else {
            continue;
        };
        for branch in &mut union.inputs {
            if literal_at(branch, column)
                && let LogicalPlan::Projection(projection) = branch.as_ref()
            {
                let mut exprs = projection.expr.clone();
                let name = projection.schema.field(column).name().clone();
                let to = SqlType {
                    typmod: -1,
                    ..known
                };
                let unknown = SqlType::scalar(TypeKind::Unknown);
                let literal = exprs[column].clone().unalias();
                exprs[column] = explicit(literal, unknown, to, input)?.alias(name);
                let input_plan = projection.input.clone();
                *branch = Arc::new(LogicalPlan::Projection(Projection::try_new(
                    exprs, input_plan,
                )?));
                continue;
            }
            let found =
                types::sql_type(branch.schema().field(column)).map_err(failure::external)?;
            if is_text(found.kind) != is_text(known.kind) || found.array != known.array {
                return Err(mismatch(known, found));
            }
            if known.kind == TypeKind::Oid
                && is_named_oid(found.kind)
                && let LogicalPlan::Projection(projection) = branch.as_ref()
            {
                let mut exprs = projection.expr.clone();
                let name = projection.schema.field(column).name().clone();
                let named = exprs[column].clone().unalias();
                exprs[column] = explicit(named, found, known, input)?.alias(name);
                let below = projection.input.clone();
                let projection = Projection::try_new(exprs, below)?;
                *branch = Arc::new(LogicalPlan::Projection(projection));
                changed = true;
            }
        }
    }
    match changed {
        // Its columns' types are those of its branches.
        true => Union::try_new(union.inputs),
        false => Ok(union),
    }
}

/// An OID that prints as the name of what it numbers.
fn is_named_oid(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc
    )
}

fn mismatch(left: SqlType, right: SqlType) -> DataFusionError {
    let name = |sql_type| {
        types::format_type(SqlType {
            typmod: -1,
            ..sql_type
        })
    };
    failure::error(
        SqlState::DATATYPE_MISMATCH,
        format!(
            "UNION types {} and {} cannot be matched",
            name(left),
            name(right)
        ),
    )
}

fn literal_at(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => projection
            .expr
            .get(column)
            .is_some_and(|expr| is_unknown(expr) && !matches!(expr, Expr::Placeholder(_))),
        _ => false,
    }
}

/// Rewrites one expression over the columns of a schema.
pub fn expression(expr: Expr, schema: &DFSchema, input: Input<'_>) -> Result<Expr> {
    expr.transform_up(|expr| node(expr, schema, input))
        .map(|transformed| transformed.data)
}

fn node(expr: Expr, schema: &DFSchema, input: Input<'_>) -> Result<Transformed<Expr>> {
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
                // The column is not there; the planner says so itself.
                Err(_) => return Ok(Transformed::no(Expr::ScalarFunction(function))),
            };
            let inner = function.args.into_iter().next().unwrap_or_default();
            explicit(inner, from, to, input)?
        }
        Expr::InList(mut list) => {
            let mut members = vec![std::mem::take(&mut *list.expr)];
            members.append(&mut list.list);
            let mut members = same_type(members, schema, input)?.into_iter();
            *list.expr = members.next().unwrap_or_default();
            list.list = members.collect();
            Expr::InList(list)
        }
        Expr::Between(mut between) => {
            let members = vec![*between.expr, *between.low, *between.high];
            let mut members = same_type(members, schema, input)?.into_iter();
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
            let members = same_type(vec![*binary.left, *binary.right], schema, input)?;
            let mut members = members.into_iter();
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
        Expr::Case(case) => Expr::Case(case_of_one_type(case, schema, input)?),
        Expr::Negative(inner) => negative(*inner, schema)?,
        Expr::ScalarFunction(function) if takes_one_type(function.name()) => {
            let args = same_type(function.args, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        Expr::ScalarFunction(function)
            if function.name() == super::functions::array::EQUALS_ANY =>
        {
            let args = any_of(function.args, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        Expr::ScalarFunction(function) if function.name() == ARRAY_HAS => {
            let args = member_of(function.args, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        // Their inside is a plan of its own, which `plan` reaches.
        Expr::ScalarSubquery(_) | Expr::Exists(_) => {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Continue));
        }
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(rewritten))
}

fn takes_one_type(function: &str) -> bool {
    matches!(function, "coalesce" | "nullif" | "greatest" | "least")
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

/// Gives members that nothing has decided the type of the first one that has one.
pub fn same_type(members: Vec<Expr>, schema: &DFSchema, input: Input<'_>) -> Result<Vec<Expr>> {
    let known = members
        .iter()
        .filter(|member| !is_unknown(member))
        .map(|member| type_of(member, schema))
        .next();
    let Some(Ok(known)) = known else {
        return Ok(members);
    };
    let to = SqlType {
        typmod: -1,
        ..known
    };
    let adapt = |member: Expr| {
        if is_unknown(&member) {
            explicit(member, SqlType::scalar(TypeKind::Unknown), to, input)
        } else {
            Ok(member)
        }
    };
    members.into_iter().map(adapt).collect()
}

fn case_of_one_type(mut case: Case, schema: &DFSchema, input: Input<'_>) -> Result<Case> {
    let conditions = case.when_then_expr.len();
    if let Some(operand) = case.expr.take() {
        let mut members = vec![*operand];
        members.extend(case.when_then_expr.iter().map(|(when, _)| (**when).clone()));
        let mut members = same_type(members, schema, input)?.into_iter();
        case.expr = members.next().map(Box::new);
        for ((when, _), member) in case.when_then_expr.iter_mut().zip(members) {
            **when = member;
        }
    }
    if case.expr.is_none() {
        for (when, _) in &mut case.when_then_expr {
            let condition = std::mem::take(&mut **when);
            **when = condition_of("CASE/WHEN", condition, schema, input)?;
        }
    }
    let mut results: Vec<_> = case
        .when_then_expr
        .iter()
        .map(|(_, then)| (**then).clone())
        .collect();
    results.extend(case.else_expr.iter().map(|otherwise| (**otherwise).clone()));
    let mut results = same_type(results, schema, input)?.into_iter();
    for ((_, then), result) in case.when_then_expr.iter_mut().zip(results.by_ref()) {
        **then = result;
    }
    debug_assert_eq!(case.when_then_expr.len(), conditions);
    case.else_expr = results.next().map(Box::new);
    Ok(case)
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
    if let Expr::Literal(value, metadata) = &inner
        && let Ok(negated) = value.arithmetic_negate()
    {
        return Ok(Expr::Literal(negated, metadata.clone()));
    }
    let zero = match type_of(&inner, schema).map(|sql_type| sql_type.kind) {
        Ok(TypeKind::Int2) => ScalarValue::Int16(Some(0)),
        Ok(TypeKind::Int4) => ScalarValue::Int32(Some(0)),
        Ok(TypeKind::Int8) => ScalarValue::Int64(Some(0)),
        _ => return Ok(Expr::Negative(Box::new(inner))),
    };
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
        Operation::Subtract.function(),
        vec![Expr::Literal(zero, None), inner],
    )))
}

/// What the planner makes of `x = ANY(column)`: `array_has(column, x)`.
const ARRAY_HAS: &str = "array_has";

/// `'1' = ANY(column)`: the literal is of the elements' type.
fn member_of(args: Vec<Expr>, schema: &DFSchema, input: Input<'_>) -> Result<Vec<Expr>> {
    let [list, member] = <[Expr; 2]>::try_from(args)
        .map_err(|_| DataFusionError::Internal("two arguments".to_owned()))?;
    if !is_unknown(&member) {
        return Ok(vec![list, member]);
    }
    let element = SqlType::scalar(type_of(&list, schema)?.kind);
    let unknown = SqlType::scalar(TypeKind::Unknown);
    let member = explicit(member, unknown, element, input)?;
    Ok(vec![list, member])
}

/// `x = ANY('{…}')`: the literal is an array of x's type.
fn any_of(args: Vec<Expr>, schema: &DFSchema, input: Input<'_>) -> Result<Vec<Expr>> {
    let [left, right] = <[Expr; 2]>::try_from(args)
        .map_err(|_| datafusion::error::DataFusionError::Internal("two arguments".to_owned()))?;
    if !is_unknown(&right) {
        return Ok(vec![left, right]);
    }
    let element = match type_of(&left, schema)? {
        unknown if unknown.kind == TypeKind::Unknown => SqlType::scalar(TypeKind::Text),
        known => known,
    };
    let right = explicit(
        right,
        SqlType::scalar(TypeKind::Unknown),
        SqlType::array_of(element.kind),
        input,
    )?;
    Ok(vec![left, right])
}
