//! Types whose equal values have several representations are compared by a key: numeric of its own
//! scale (1.1 and 1.10), float (0 and -0), interval (a day and 24 hours), jsonb (1 and 1.0), and arrays, for their elements
//! and because a NULL among them is the last. json has no equality.
//!
//! Operators, IN, BETWEEN and their like compare keys instead of values; GROUP BY and DISTINCT
//! group by keys and show a value of each group; joins, ORDER BY and windows take keys.

use super::functions::{array_order, float, json, numeric, one_type, sliding, time};
use super::rewrite::casts::CAST_TO;
use super::rewrite::frames::Offset;
use super::{cast, failure, grouping_sets, operators::decimal};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::types;
use crate::engine::types::number::array::is_exact;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Projection,
    SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, when,
};
use std::sync::Arc;

/// Digits of a decimal in which the planner compares two of different scales.
const DECIMAL_DIGITS_MAX: i16 = decimal::DIGITS_MAX as i16;

/// How values of a type are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// As they are.
    Plain,
    /// By its value, whatever its scale.
    Number,
    /// By its value, whatever the sign of a zero.
    Float,
    /// By its microseconds.
    Interval,
    /// By its normal form.
    Jsonb,
    /// By its elements.
    Array,
    /// Not at all.
    Json,
    /// Field by field in PostgreSQL, and not here.
    Record,
}

impl Class {
    fn of(sql_type: SqlType, data_type: &DataType) -> Class {
        match (sql_type.kind, data_type) {
            (TypeKind::Record, _) => Class::Record,
            (_, DataType::List(_)) => Class::Array,
            _ if sql_type.array => Class::Plain,
            (_, DataType::LargeBinary) => Class::Number,
            (_, DataType::Float32 | DataType::Float64) => Class::Float,
            (_, DataType::Interval(_)) => Class::Interval,
            (TypeKind::Jsonb, _) => Class::Jsonb,
            (TypeKind::Json, _) => Class::Json,
            _ => Class::Plain,
        }
    }

    /// How an expression's values are.
    ///
    /// # Errors
    /// What the planner says of a column that is not there.
    pub fn of_expr(expr: &Expr, schema: &DFSchema) -> Result<Class> {
        let (_, field) = expr.to_field(schema)?;
        Class::of_field(&field)
    }

    fn of_field(field: &Field) -> Result<Class> {
        if let DataType::Struct(columns) = field.data_type() {
            // A row is compared as it is, column by column.
            let plain = |column| {
                Ok(matches!(
                    Class::of_field(column)?,
                    Class::Plain | Class::Float
                ))
            };
            let all = columns.iter().map(|column| plain(column));
            return match all.collect::<Result<Vec<bool>>>()?.contains(&false) {
                false => Ok(Class::Plain),
                true => Err(failure::unsupported(
                    "comparing rows with a numeric, interval or jsonb here",
                )),
            };
        }
        if *field.data_type() == DataType::BinaryView {
            // An enumeration's, whichever.
            return Ok(Class::Plain);
        }
        let sql_type = types::sql_type(field).map_err(failure::external)?;
        Ok(Class::of(sql_type, field.data_type()))
    }

    /// The key of an expression of this class.
    pub fn key(self, expr: Expr) -> Expr {
        let function = match self {
            Class::Number => return numeric::key_of(expr),
            Class::Float => return float::key_of(expr),
            Class::Interval => time::interval_order(),
            Class::Jsonb => json::key(),
            Class::Array => array_order::key(),
            Class::Plain | Class::Json | Class::Record => return expr,
        };
        Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
    }
}

/// Members that are compared with each other, as keys where their types need it.
///
/// # Errors
/// What the planner says of a column that is not there.
pub fn of(members: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = members
        .iter()
        .map(|member| member.get_type(schema))
        .collect::<Result<Vec<_>>>()?;
    let classes = members
        .iter()
        .map(|member| Class::of_expr(member, schema))
        .collect::<Result<Vec<_>>>()?;
    if classes.contains(&Class::Record) {
        return Err(no_comparison());
    }
    let alike = classes.iter().all(|class| *class == classes[0]);
    if alike && matches!(classes[0], Class::Interval | Class::Jsonb | Class::Array) {
        return Ok(members.into_iter().map(|one| classes[0].key(one)).collect());
    }
    if classes.contains(&Class::Float) {
        return Ok(floats(members, &classes));
    }
    let numeric = types.iter().all(is_exact)
        && (types.contains(&DataType::LargeBinary) || !decimals_compare(&types));
    if !numeric {
        return Ok(members);
    }
    Ok(members.into_iter().map(numeric::key_of).collect())
}

/// Floats among members by their keys, unless all that they are compared with are constants that bits tell apart: those
/// keep what looks for columns beside constants.
fn floats(members: Vec<Expr>, classes: &[Class]) -> Vec<Expr> {
    let by_bits = |member: &Expr| match member {
        Expr::Literal(value, _) => float::compares_by_bits(value),
        // A literal whose type is not that of its text yet.
        Expr::ScalarFunction(call) if call.name() == CAST_TO => match call.args.first() {
            Some(Expr::Literal(value, _)) => float::compares_by_bits(value),
            _ => false,
        },
        _ => false,
    };
    let decided = members.iter().filter(|member| !by_bits(member)).count() <= 1;
    let keyed = |(member, class): (Expr, &Class)| match class {
        Class::Float if !decided => class.key(member),
        _ => member,
    };
    members.into_iter().zip(classes).map(keyed).collect()
}

/// Whether one decimal type holds them all.
fn decimals_compare(types: &[DataType]) -> bool {
    let parts = types
        .iter()
        .filter_map(|data_type| match decimal::of(data_type)? {
            DataType::Decimal128(precision, scale) => {
                Some((i16::from(precision) - i16::from(scale), i16::from(scale)))
            }
            _ => None,
        });
    let (whole, scale) = parts.fold((0, 0), |(whole, scale), part| {
        (whole.max(part.0), scale.max(part.1))
    });
    whole + scale <= DECIMAL_DIGITS_MAX
}

/// The key of one expression, where its type needs one.
///
/// # Errors
/// As [`of`].
pub fn single(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let class = Class::of_expr(&expr, schema)?;
    match class {
        Class::Json => Err(no_order("ordering")),
        Class::Record => Err(no_comparison()),
        _ => Ok(class.key(expr)),
    }
}

fn no_comparison() -> DataFusionError {
    failure::unsupported("comparing rows that are values")
}

/// 42883, as PostgreSQL says it of json.
pub fn no_order(what: &str) -> DataFusionError {
    failure::error(
        SqlState::UNDEFINED_FUNCTION,
        format!("could not identify an {what} operator for type json"),
    )
}

fn sorted(items: Vec<SortExpr>, schema: &DFSchema) -> Result<Vec<SortExpr>> {
    let by_key = |item: SortExpr| {
        let expr = single(item.expr, schema)?;
        Ok(SortExpr { expr, ..item })
    };
    items.into_iter().map(by_key).collect()
}

/// PARTITION BY and ORDER BY of a window.
///
/// # Errors
/// As [`of`].
pub fn window(mut call: WindowFunction, schema: &DFSchema) -> Result<WindowFunction> {
    let params = &mut call.params;
    // One value parts nothing, and would leave a window of no columns to the library.
    let parts = |expr: &Expr| !matches!(expr, Expr::ScalarSubquery(of) if is_single(of));
    let partitions = std::mem::take(&mut params.partition_by);
    let partitions = partitions.into_iter().filter(parts);
    let partitions = partitions.map(|expr| single(expr, schema));
    params.partition_by = partitions.collect::<Result<_>>()?;
    params.order_by = sorted(std::mem::take(&mut params.order_by), schema)?;
    if params.window_frame.units == WindowFrameUnits::Range {
        let types = params
            .order_by
            .iter()
            .map(|item| item.expr.get_type(schema));
        let types = types.collect::<Result<Vec<_>>>()?;
        if !types.iter().all(has_ranges) {
            params.window_frame = of_peers(&params.window_frame)?;
        } else if let [key] = params.order_by.as_mut_slice() {
            offsets(&mut params.window_frame, key, schema)?;
        }
    }
    call.fun = sliding::over(call.fun, &call.params.window_frame);
    Ok(call)
}

/// Whether a subquery gives one value, which is that of every row: it groups all, and looks at nothing outside.
fn is_single(subquery: &Subquery) -> bool {
    let mut plan = &*subquery.subquery;
    while let LogicalPlan::Projection(projection) = plan {
        plan = &projection.input;
    }
    let of_all = matches!(plan, LogicalPlan::Aggregate(of) if of.group_expr.is_empty());
    of_all && subquery.outer_ref_columns.is_empty()
}

/// Offsets of RANGE as the type of the order takes them: an interval by moments, where a date is its midnight
/// (PostgreSQL's in_range of dates).
///
/// # Errors
/// 0A000 for an offset of a type that the order's does not take, or of days in a zone where they differ; 22013 for a negative
/// one.
fn offsets(frame: &mut WindowFrame, key: &mut SortExpr, schema: &DFSchema) -> Result<()> {
    let order = cast::type_of(&key.expr, schema)?;
    let moments = matches!(
        order.kind,
        TypeKind::Date | TypeKind::Timestamp | TypeKind::Timestamptz
    );
    let mut taken = false;
    for bound in [&mut frame.start_bound, &mut frame.end_bound] {
        let (WindowFrameBound::Preceding(ScalarValue::Utf8(Some(text)))
        | WindowFrameBound::Following(ScalarValue::Utf8(Some(text)))) = &*bound
        else {
            continue;
        };
        let offset = Offset::of(text);
        if offset.is_some() != moments {
            let offset = match offset {
                Some(_) => "interval",
                None => "numeric",
            };
            let order = types::format_type(order);
            return Err(failure::unsupported(format!(
                "RANGE with offset PRECEDING/FOLLOWING for column type {order} and offset type {offset}"
            )));
        }
        let Some(Offset { interval, zoned }) = offset else {
            continue;
        };
        if types::interval::order_value(interval) < 0 {
            return Err(failure::error(
                SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                "invalid preceding or following size in window function",
            ));
        }
        let days = interval.months != 0 || interval.days != 0;
        if zoned && days && order.kind == TypeKind::Timestamptz {
            let what = "RANGE with an offset of days or months in a time zone other than UTC";
            return Err(failure::unsupported(what));
        }
        taken = true;
        let interval = ScalarValue::IntervalMonthDayNano(Some(interval));
        *bound = match bound {
            WindowFrameBound::Preceding(_) => WindowFrameBound::Preceding(interval),
            _ => WindowFrameBound::Following(interval),
        };
    }
    if taken {
        let expr = std::mem::take(&mut key.expr);
        key.expr = bounded(
            match order.kind {
                TypeKind::Date => cast::function(expr, order, SqlType::scalar(TypeKind::Timestamp)),
                _ => expr,
            },
            schema,
        )?;
    }
    Ok(())
}

/// Microseconds from the epoch, 200,000 years: further away an offset leads out of the planner's calendar, and from infinity
/// it leads nowhere.
const MOMENT_MAX: i64 = 200_000 * 366 * 86_400_000_000;

/// The moment, infinities moved to the ends of what the planner's calendar can go on from.
fn bounded(moment: Expr, schema: &DFSchema) -> Result<Expr> {
    let DataType::Timestamp(_, zone) = moment.get_type(schema)? else {
        return Err(DataFusionError::Internal("a moment".to_owned()));
    };
    let end = |at| {
        Expr::Literal(
            ScalarValue::TimestampMicrosecond(Some(at), zone.clone()),
            None,
        )
    };
    when(moment.clone().gt(end(MOMENT_MAX)), end(MOMENT_MAX))
        .when(moment.clone().lt(end(-MOMENT_MAX)), end(-MOMENT_MAX))
        .otherwise(moment)
}

/// Whether the planner knows RANGE over the type.
fn has_ranges(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || data_type.is_string()
        || data_type.is_null()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Date32 | DataType::Timestamp(..)
        )
}

/// The same frame by GROUPS: without offsets both are of the rows that are peers.
///
/// # Errors
/// 0A000 with an offset.
fn of_peers(frame: &WindowFrame) -> Result<WindowFrame> {
    let (start, end) = (frame.start_bound.clone(), frame.end_bound.clone());
    let of_peers = |bound: &WindowFrameBound| {
        matches!(bound, WindowFrameBound::CurrentRow) || bound.is_unbounded()
    };
    match of_peers(&start) && of_peers(&end) {
        true => Ok(WindowFrame::new_bounds(
            WindowFrameUnits::Groups,
            start,
            end,
        )),
        false => Err(failure::unsupported("RANGE with an offset over this type")),
    }
}

/// ORDER BY within an aggregate, and what count(DISTINCT …) tells apart.
///
/// # Errors
/// As [`of`]; 0A000 for another aggregate of DISTINCT values of such a type.
pub fn aggregate(mut call: AggregateFunction, schema: &DFSchema) -> Result<AggregateFunction> {
    let params = &mut call.params;
    if let ("min" | "max", [argument]) = (call.func.name(), params.args.as_slice()) {
        let (_, field) = argument.to_field(schema)?;
        let sql_type = types::sql_type(&field).map_err(failure::external)?;
        let has_no_order = matches!(
            sql_type.kind,
            TypeKind::Bool
                | TypeKind::Json
                | TypeKind::Jsonb
                | TypeKind::Uuid
                | TypeKind::Bytea
                | TypeKind::Record
        );
        if has_no_order && !sql_type.array {
            let none = failure::no_function(call.func.name(), &[sql_type]);
            return Err(failure::external(none));
        }
        if let DataType::List(_) = field.data_type() {
            return Ok(first_in_order(call));
        }
    }
    if let ("string_agg", Some(first)) = (call.func.name(), params.args.first())
        && first.get_type(schema)? == DataType::Binary
    {
        return Err(failure::unsupported("string_agg of bytea"));
    }
    if json::gathers(call.func.name()) {
        for argument in &mut params.args {
            let (_, field) = argument.to_field(schema)?;
            let sql_type = types::sql_type(&field).map_err(failure::external)?;
            *argument = json::printed_by_settings(std::mem::take(argument), sql_type);
        }
    }
    // DISTINCT sorts, and what is put together of its values is in that order.
    if params.distinct
        && params.order_by.is_empty()
        && let ("array_agg" | "string_agg", Some(first)) = (call.func.name(), params.args.first())
    {
        params
            .order_by
            .push(SortExpr::new(first.clone(), true, false));
    }
    if params.distinct && !matches!(call.func.name(), "sum" | "avg" | "min" | "max") {
        for argument in &mut params.args {
            let class = Class::of_expr(argument, schema)?;
            let keyed = single(argument.clone(), schema)?;
            if keyed != *argument && class != Class::Float && call.func.name() != "count" {
                let what = format!("{}(DISTINCT …) of this type", call.func.name());
                return Err(failure::unsupported(what));
            }
            *argument = keyed;
        }
        // What is ordered by is among the arguments.
        for item in &mut params.order_by {
            if Class::of_expr(&item.expr, schema)? == Class::Float {
                item.expr = Class::Float.key(std::mem::take(&mut item.expr));
            }
        }
    } else {
        params.order_by = sorted(std::mem::take(&mut params.order_by), schema)?;
    }
    Ok(call)
}

/// min and max of arrays: the first of them in their order.
fn first_in_order(call: AggregateFunction) -> AggregateFunction {
    let ascending = call.func.name() == "min";
    let mut params = call.params;
    let keys = params.args.iter().cloned().map(|arg| Class::Array.key(arg));
    let sorted = keys.map(|key| SortExpr::new(key, ascending, false));
    params.order_by = sorted.collect();
    params.distinct = false;
    AggregateFunction {
        func: first_value_udaf(),
        params,
    }
}

/// A node of a plan whose expressions are rewritten already.
///
/// # Errors
/// As [`of`].
pub fn node(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Sort(mut sort) => {
            sort.expr = sorted(sort.expr, sort.input.schema())?;
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate)?,
        LogicalPlan::Distinct(Distinct::All(input)) if has_keyed_column(&input)? => {
            let columns = input.schema().columns().into_iter().map(Expr::Column);
            grouped(Aggregate::try_new(
                input.clone(),
                columns.collect(),
                Vec::new(),
            )?)?
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let schema = on.input.schema().clone();
            let exprs = on.on_expr.into_iter().map(|expr| single(expr, &schema));
            on.on_expr = exprs.collect::<Result<_>>()?;
            on.sort_expr = on
                .sort_expr
                .map(|items| sorted(items, &schema))
                .transpose()?;
            LogicalPlan::Distinct(Distinct::On(on))
        }
        LogicalPlan::Join(join) => LogicalPlan::Join(joined(join)?),
        other => other,
    })
}

fn has_keyed_column(plan: &LogicalPlan) -> Result<bool> {
    for field in plan.schema().fields() {
        if Class::of_field(field)? != Class::Plain {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Groups by keys, and shows the first value of each group.
fn grouped(aggregate: Aggregate) -> Result<LogicalPlan> {
    let input_schema = aggregate.input.schema();
    let mut keyed = Vec::with_capacity(aggregate.group_expr.len());
    for expr in &aggregate.group_expr {
        if let Expr::GroupingSet(sets) = expr {
            let sets = sets.clone();
            return grouping_sets::by_keys(aggregate, &sets);
        }
        keyed.push(Class::of_expr(expr, input_schema)?);
    }
    if keyed.contains(&Class::Record) {
        return Err(no_comparison());
    }
    if keyed.contains(&Class::Json) {
        return Err(no_order("equality"));
    }
    if keyed.iter().all(|class| *class == Class::Plain) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let schema = aggregate.schema.clone();
    let mut groups = Vec::with_capacity(keyed.len());
    let mut aggregates = aggregate.aggr_expr;
    for (place, (expr, keyed)) in aggregate.group_expr.into_iter().zip(&keyed).enumerate() {
        if *keyed == Class::Plain {
            groups.push(expr);
            continue;
        }
        let shown = first_value_udaf().call(vec![expr.clone().unalias()]);
        aggregates.push(shown.alias(value_name(place)));
        groups.push(keyed.key(expr.unalias()).alias(key_name(place)));
    }
    let input = aggregate.input.clone();
    let inner = LogicalPlan::Aggregate(Aggregate::try_new(input, groups, aggregates)?);
    let columns = schema
        .iter()
        .enumerate()
        .map(|(place, (qualifier, field))| {
            if keyed.get(place).is_some_and(|class| *class != Class::Plain) {
                Expr::Column(Column::new_unqualified(value_name(place)))
                    .alias_qualified(qualifier.cloned(), field.name())
            } else {
                Expr::Column(Column::new(qualifier.cloned(), field.name()))
            }
        });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns,
        Arc::new(inner),
    )?))
}

fn key_name(place: usize) -> String {
    format!("\u{1}key{place}")
}

/// What the value that is shown of a group is called.
pub fn value_name(place: usize) -> String {
    format!("\u{1}value{place}")
}

/// The pairs of USING, and of INTERSECT and EXCEPT.
fn joined(mut join: Join) -> Result<Join> {
    let (left, right) = (join.left.schema().clone(), join.right.schema().clone());
    for (l, r) in &mut join.on {
        let sides = (cast::type_of(l, &left), cast::type_of(r, &right));
        if let (Ok(one), Ok(other)) = sides
            && one.kind != other.kind
            && let Some(to) = one_type::unlike_library(&[one, other])
            && to.kind != TypeKind::Numeric
        {
            for (side, found) in [(&mut *l, one), (&mut *r, other)] {
                if found.kind != to.kind {
                    *side = cast::function(std::mem::take(side), found, to);
                }
            }
        }
        let classes = (Class::of_expr(l, &left)?, Class::of_expr(r, &right)?);
        let exact = is_exact(&l.get_type(&left)?) && is_exact(&r.get_type(&right)?);
        let class = match classes {
            (Class::Json, _) | (_, Class::Json) => return Err(no_order("equality")),
            (Class::Record, _) | (_, Class::Record) => return Err(no_comparison()),
            (l, r) if l == r => l,
            (Class::Number, _) | (_, Class::Number) if exact => Class::Number,
            _ => Class::Plain,
        };
        *l = class.key(std::mem::take(l));
        *r = class.key(std::mem::take(r));
    }
    // USING is of columns alone, to the library; what is above has found its own by then.
    let is_column = |key: &Expr| matches!(key, Expr::Column(_));
    if !join.on.iter().all(|(l, r)| is_column(l) && is_column(r)) {
        join.join_constraint = JoinConstraint::On;
    }
    Ok(join)
}
