//! What an expression means in PostgreSQL where the planner would make something else of it.
//!
//! Runs over every expression of a plan before the planner's own type coercion, and over the
//! operands of each operator while it is planned (`operators`): casts become ours, quoted literals
//! and parameters take the type of what stands beside them, negation is checked.

use super::cast::{Written, explicit, is_unknown, type_of};
use super::functions::definition::Function;
use super::functions::{array_elements, label, numeric, one_type};
use super::multisets;
use super::operators::arithmetic::Operation;
use super::operators::is_text;
use super::rewrite::casts::CAST_TO;
use super::{failure, keys};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::types::number::Number;
use crate::engine::types::{self, Input};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Case, InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Operator, Projection, ScalarUDF, Union,
};
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
        .map_data(LogicalPlan::recompute_schema)?
        .map_data(keys::node)
    })
    .map(|transformed| transformed.data)
}

/// Quoted literals of one branch take the type of the other's column, and names of OIDs are numbers where
/// the first branch has numbers; texts and numbers that are neither literal do not match.
fn union_of_one_type(mut union: Union, input: Input<'_>) -> Result<Union> {
    let width = union.schema.fields().len();
    let mut changed = false;
    for column in 0..width {
        changed |= numbers_of_one_type(&mut union.inputs, column, input)?;
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
        true => Union::try_new_with_loose_types(union.inputs),
        false => Ok(union),
    }
}

/// Number columns of different types, one of them numeric, as [`one_number_type`] makes them alike.
fn numbers_of_one_type(
    branches: &mut [Arc<LogicalPlan>],
    column: usize,
    input: Input<'_>,
) -> Result<bool> {
    let placed = |branch: &LogicalPlan| branch.schema().columns().into_iter().nth(column);
    let Some(members) = branches
        .iter()
        .map(|branch| placed(branch).map(|_| branch.schema().field(column).clone()))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(false);
    };
    let names = (0..members.len()).map(|branch| format!("{branch}"));
    let fields = members
        .into_iter()
        .zip(names.clone())
        .map(|(field, name)| (None, Arc::new(field.as_ref().clone().with_name(name))));
    let schema = DFSchema::new_with_metadata(fields.collect(), Default::default())?;
    let columns: Vec<_> = names
        .map(|name| Expr::Column(Column::new_unqualified(name)))
        .collect();
    let unified = one_number_type(columns.clone(), &schema, input)?;
    if unified == columns {
        return Ok(false);
    }
    for (branch, unified) in branches.iter_mut().zip(unified) {
        let own = branch.schema().columns();
        let columns = own.into_iter().enumerate().map(|(place, found)| {
            if place != column {
                return Ok(Expr::Column(found));
            }
            let name = found.name.clone();
            let replaced = unified.clone().transform_up(|expr| {
                Ok(match expr {
                    Expr::Column(_) => Transformed::yes(Expr::Column(found.clone())),
                    other => Transformed::no(other),
                })
            })?;
            Ok(replaced.data.alias(name))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let projection = Projection::try_new(columns, branch.clone())?;
        *branch = Arc::new(LogicalPlan::Projection(projection));
    }
    Ok(true)
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
            let members = same_type(members, schema, input)?;
            let mut members = keys::of(members, schema)?.into_iter();
            *list.expr = members.next().unwrap_or_default();
            list.list = members.collect();
            Expr::InList(list)
        }
        Expr::Between(mut between) => {
            let members = vec![*between.expr, *between.low, *between.high];
            let members = same_type(members, schema, input)?;
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
            let members = same_type(vec![*binary.left, *binary.right], schema, input)?;
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
                    let call = ScalarFunction::new_udf(function.func, args);
                    let call = Expr::ScalarFunction(call);
                    // An array of the library's does not tell json from text.
                    match element.kind {
                        TypeKind::Json | TypeKind::Jsonb if !element.array => {
                            let (text, to) = (TypeKind::Text, SqlType::array_of(element.kind));
                            super::cast::function(call, SqlType::array_of(text), to)
                        }
                        _ => call,
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
        Expr::AggregateFunction(call) => Expr::AggregateFunction(keys::aggregate(call, schema)?),
        Expr::InSubquery(membership) => Expr::InSubquery(in_subquery(membership, schema)?),
        Expr::ScalarFunction(function)
            if function.name() == super::functions::array::EQUALS_ANY =>
        {
            let args = any_of(function.args, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        Expr::ScalarFunction(function) if function.name() == ARRAY_HAS => {
            let args = member_of(function.args, schema, input)?;
            let function = super::functions::array::equals_any();
            Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
        }
        Expr::ScalarFunction(function)
            if function.name() == "generate_series" && function.args.iter().any(is_unknown) =>
        {
            let args = series_arguments(function.args, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        Expr::ScalarFunction(function) if array_elements::is(&function.func) => {
            Expr::ScalarFunction(array_elements::of_one_type(function, schema, input)?)
        }
        Expr::ScalarFunction(function) if has_argument_to_type(&function, schema) => {
            let args = typed_arguments(function.args, &function.func, schema, input)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args))
        }
        Expr::ScalarFunction(function) => match float_arguments(&function, schema, input)? {
            Some(args) => Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args)),
            None => return Ok(Transformed::no(Expr::ScalarFunction(function))),
        },
        // Their inside is a plan of its own, which `plan` reaches.
        Expr::ScalarSubquery(_) | Expr::Exists(_) => {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Continue));
        }
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(rewritten))
}

/// What gives one of several values of one type, as a value of the type that the first has.
fn labelled(expr: Expr, first: &Expr, schema: &DFSchema) -> Result<Expr> {
    let (Ok(found), Ok(wanted)) = (type_of(&expr, schema), type_of(first, schema)) else {
        return Ok(expr);
    };
    let same = (found.kind, found.array) == (wanted.kind, wanted.array);
    let fits = expr.get_type(schema)? == first.get_type(schema)?;
    if same || !fits || wanted.kind == TypeKind::Unknown {
        return Ok(expr);
    }
    let wanted = SqlType {
        typmod: -1,
        ..wanted
    };
    Ok(label::as_type(expr, wanted))
}

fn takes_one_type(function: &str) -> bool {
    matches!(
        function,
        "coalesce" | "nullif" | "greatest" | "least" | "make_array"
    )
}

/// Numbers of different types, one of them numeric, as values of one: float8 where one is a float,
/// else numerics, which keep each its own scale.
fn one_number_type(members: Vec<Expr>, schema: &DFSchema, input: Input<'_>) -> Result<Vec<Expr>> {
    let mut types = Vec::with_capacity(members.len());
    for member in &members {
        let Ok((_, field)) = member.to_field(schema) else {
            return Ok(members);
        };
        types.push((
            types::sql_type(&field).map_err(failure::external)?,
            field.data_type().clone(),
        ));
    }
    let alike = types.iter().all(|(_, data_type)| *data_type == types[0].1);
    let kinds: Vec<_> = types.iter().map(|(sql_type, _)| *sql_type).collect();
    let Some(to) = one_type::with_numeric(&kinds).filter(|_| !alike) else {
        return Ok(members);
    };
    let unified = members
        .into_iter()
        .zip(&types)
        .map(|(member, (sql_type, data_type))| match to.kind {
            TypeKind::Numeric => Ok(numeric::number_of(member, data_type)),
            _ => explicit(member, *sql_type, to, input),
        });
    unified.collect()
}

/// The function, where it is one of ours that says which types it takes.
fn of_ours(function: &ScalarUDF) -> Option<&Function> {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.downcast_ref::<Function>()
}

/// Whether an argument of a function of ours has no type, or is a numeric, which may stand where a
/// float8 is wanted.
fn has_argument_to_type(function: &ScalarFunction, schema: &DFSchema) -> bool {
    let to_type =
        |arg: &Expr| is_unknown(arg) || matches!(arg.get_type(schema), Ok(DataType::LargeBinary));
    of_ours(&function.func).is_some() && function.args.iter().any(to_type)
}

/// Literals, parameters and numerics take the types that the function has for them.
fn typed_arguments(
    args: Vec<Expr>,
    function: &ScalarUDF,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Vec<Expr>> {
    let known = args.iter().map(|arg| match is_unknown(arg) {
        true => None,
        false => type_of(arg, schema).ok(),
    });
    let known: Vec<_> = known.collect();
    let Some(wanted) = of_ours(function).and_then(|function| function.wanted(&known)) else {
        return Ok(args);
    };
    let unknown = SqlType::scalar(TypeKind::Unknown);
    let typed = args.into_iter().zip(known).zip(wanted);
    let typed = typed.map(|((arg, known), wanted)| match wanted {
        Some(to) => explicit(arg, known.unwrap_or(unknown), to, input),
        None => Ok(arg),
    });
    typed.collect()
}

/// The bounds of a series are of one type, and the step between moments is an interval.
fn series_arguments(args: Vec<Expr>, schema: &DFSchema, input: Input<'_>) -> Result<Vec<Expr>> {
    use TypeKind::{Date, Int2, Int4, Int8, Interval, Timestamp, Timestamptz};
    let unknown = SqlType::scalar(TypeKind::Unknown);
    let known = args.iter().take(2).find(|arg| !is_unknown(arg));
    let bound = known.map(|arg| type_of(arg, schema)).transpose()?;
    let (bound, step) = match bound.map(|bound| bound.kind) {
        Some(kind @ (Timestamp | Timestamptz)) => (kind, Interval),
        Some(Date) => (Timestamptz, Interval),
        Some(kind @ (Int2 | Int4 | Int8)) => (kind, kind),
        _ => (Int4, Int4),
    };
    let typed = args.into_iter().enumerate().map(|(place, arg)| {
        let to = SqlType::scalar(if place < 2 { bound } else { step });
        match is_unknown(&arg) {
            true => explicit(arg, unknown, to, input),
            false => Ok(arg),
        }
    });
    typed.collect()
}

/// Functions of the library that are only of float8.
const OF_FLOATS: &[&str] = &[
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "cot",
    "degrees", "radians", "sin", "sinh", "tan", "tanh",
];

/// The arguments with numerics as float8 where the function takes that: the library does not know
/// a number's bytes.
fn float_arguments(
    function: &ScalarFunction,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Option<Vec<Expr>>> {
    let types: Result<Vec<_>> = function
        .args
        .iter()
        .map(|arg| arg.get_type(schema))
        .collect();
    let Ok(types) = types else {
        return Ok(None);
    };
    if !types.contains(&DataType::LargeBinary) {
        return Ok(None);
    }
    let wanted = if OF_FLOATS.contains(&function.name()) {
        vec![DataType::Float64; types.len()]
    } else {
        match function.func.coerce_types(&types) {
            Ok(wanted) => wanted,
            Err(_) => return Ok(None),
        }
    };
    let (numeric, float8) = (types::name::ANY_NUMERIC, SqlType::scalar(TypeKind::Float8));
    let mut changed = false;
    let mut args = Vec::with_capacity(types.len());
    for ((arg, found), wanted) in function.args.iter().zip(&types).zip(&wanted) {
        if (found, wanted) == (&DataType::LargeBinary, &DataType::Float64) {
            changed = true;
            args.push(explicit(arg.clone(), numeric, float8, input)?);
        } else {
            args.push(arg.clone());
        }
    }
    Ok(changed.then_some(args))
}

/// NULLIF of values that are compared by their keys.
fn null_where_equal(value: Expr, keyed: Vec<Expr>) -> Result<Expr> {
    let [left, right] = <[Expr; 2]>::try_from(keyed)
        .map_err(|_| DataFusionError::Internal("two arguments".to_owned()))?;
    let equal = super::operators::binary(left, Operator::Eq, right);
    let unequal = super::operators::binary(
        equal,
        Operator::IsDistinctFrom,
        Expr::Literal(ScalarValue::Boolean(Some(true)), None),
    );
    Ok(Expr::Case(Case::new(
        None,
        vec![(Box::new(unequal), Box::new(value))],
        None,
    )))
}

/// `x IN (SELECT y …)`: both as keys where their type needs it.
fn in_subquery(mut membership: InSubquery, schema: &DFSchema) -> Result<InSubquery> {
    let plan = membership.subquery.subquery.clone();
    let [column] = <[_; 1]>::try_from(plan.schema().columns())
        .map_err(|_| failure::error(SqlState::SYNTAX_ERROR, "subquery has too many columns"))?;
    let column = Expr::Column(column);
    let found = column.get_type(plan.schema())?;
    // Both sides decide: a marker of the column's type stands for the other plan's column.
    let marker = Expr::Literal(ScalarValue::try_from(&found)?, None);
    let keyed = keys::of(vec![(*membership.expr).clone(), marker], schema)?;
    if keyed[0] == *membership.expr {
        return Ok(membership);
    }
    membership.expr = Box::new(keyed.into_iter().next().unwrap_or_default());
    let name = column.schema_name().to_string();
    let keyed = keys::of(
        vec![column, Expr::Literal(null_key_type(&found)?, None)],
        plan.schema(),
    )?;
    let column = keyed.into_iter().next().unwrap_or_default().alias(name);
    let projection = Projection::try_new(vec![column], plan)?;
    membership.subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
    Ok(membership)
}

/// NULL of the type that makes a key of a number whatever its own type is.
fn null_key_type(found: &DataType) -> Result<ScalarValue> {
    match found {
        DataType::Interval(_) => ScalarValue::try_from(found),
        _ => Ok(ScalarValue::LargeBinary(None)),
    }
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
        let members = same_type(members, schema, input)?;
        let mut members = keys::of(members, schema)?.into_iter();
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
    let results = same_type(results, schema, input)?;
    let mut results = one_number_type(results, schema, input)?.into_iter();
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

/// What the planner makes of `x = ANY(column)`: `array_has(column, x)`.
const ARRAY_HAS: &str = "array_has";

/// `'1' = ANY(column)`: the literal is of the elements' type.
fn member_of(args: Vec<Expr>, schema: &DFSchema, input: Input<'_>) -> Result<Vec<Expr>> {
    let [list, member] = <[Expr; 2]>::try_from(args)
        .map_err(|_| DataFusionError::Internal("two arguments".to_owned()))?;
    let list_type = type_of(&list, schema)?;
    if !list_type.array && list_type.kind != TypeKind::Unknown {
        return Err(failure::error(
            SqlState::WRONG_OBJECT_TYPE,
            "op ANY/ALL (array) requires array on right side",
        ));
    }
    if !is_unknown(&member) {
        return any_of(vec![member, list], schema, input);
    }
    let element = SqlType::scalar(list_type.kind);
    let unknown = SqlType::scalar(TypeKind::Unknown);
    let member = explicit(member, unknown, element, input)?;
    Ok(vec![member, list])
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
