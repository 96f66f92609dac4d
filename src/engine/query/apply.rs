//! Correlated subqueries that the planner cannot turn into joins: run once for each distinct set
//! of outer values.
//!
//! What is left of them after optimization (ORDER BY … LIMIT 1 in a scalar subquery, LATERAL with
//! a function or a limit, conditions that are no equalities) becomes a function of the outer
//! columns that it names. The function fills in their values, plans the rest and runs it on the
//! spot, remembering results within a batch. Slow where rows are many, and right.

use super::functions::quantified::{Comparison, Quantifier};
use super::memory::StatementMemory;
use super::statement::Statement;
use super::{compared, failure, lone_groups, plan, pool, state};
use crate::diagnostic::{Diagnostic, SqlState};
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, ListArray, RecordBatch, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{concat, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, NullHandling, ScalarValue, UnnestOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::expr::{Exists, InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{Join, Subquery};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{merge_schema, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;
use std::collections::HashMap;
use std::sync::Arc;

/// The column that holds a lateral subquery's rows before they are unnested.
const ROWS: &str = "\u{1}rows";

/// Replaces what the optimizer left of correlated subqueries.
pub fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let node = match node {
            LogicalPlan::Join(join) => match lateral(&join)? {
                Some(plan) => return Ok(Transformed::yes(plan)),
                None => LogicalPlan::Join(join),
            },
            LogicalPlan::Subquery(subquery) if !has_outer(&subquery.subquery) => {
                // Its columns have been filled in, or it never had any.
                return Ok(Transformed::yes(Arc::unwrap_or_clone(subquery.subquery)));
            }
            other => other,
        };
        let names = NamePreserver::new(&node);
        let schema = merge_schema(&node.inputs());
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| subquery_call(expr, &schema))?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })
    })
    .map(|transformed| transformed.data)
}

/// Replaces the correlated subqueries that the optimizer is known not to take apart, before it
/// tries: on some of them it fails rather than leaves them.
pub fn early(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = own_outers(plan)?;
    let named = compared::named_in(&plan)?;
    plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Join(join) => {
                let hard = lateral_subquery(&join).is_some_and(|subquery| {
                    !becomes_join(&subquery.subquery)
                        || aggregates_unequals(&subquery.subquery)
                        || join.join_type == JoinType::Left
                            && conditions(&join).any(|one| !is_true(&one))
                });
                let taken = match hard {
                    true => lateral(&join)?,
                    false => renamed(&join, &named)?,
                };
                match taken {
                    Some(plan) => return Ok(Transformed::yes(plan)),
                    None => LogicalPlan::Join(join),
                }
            }
            other => other,
        };
        let names = NamePreserver::new(&node);
        let schema = merge_schema(&node.inputs());
        // Elsewhere the optimizer does not look for them.
        let considered = matches!(
            node,
            LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_)
        );
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| match &expr {
                Expr::ScalarSubquery(subquery) | Expr::Exists(Exists { subquery, .. })
                    if !is_decorrelated(subquery, considered, &schema) =>
                {
                    subquery_call(expr, &schema)
                }
                // As a join it would have no row for one without a partner.
                Expr::Exists(Exists { subquery, .. })
                    if lone_groups::is_of_lone_group(&subquery.subquery) =>
                {
                    subquery_call(expr, &schema)
                }
                // The planner's anti join takes a NULL that the condition excludes for a member, and does
                // not look for one where no column of its own is compared.
                Expr::InSubquery(member)
                    if !names_column(&member.expr)
                        || member.negated && becomes_constant(&member.expr, &schema)
                        || names_outer(&member.subquery)
                            && (member.negated
                                || lone_groups::is_of_lone_group(&member.subquery.subquery)
                                || !is_decorrelated(&member.subquery, considered, &schema)) =>
                {
                    Ok(Transformed::yes(membership(member, &schema)?))
                }
                _ => map_subquery(expr, |subquery| compared::apart(subquery, &named)),
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })
    })
    .map(|transformed| transformed.data)
}

/// The plan whose subqueries say of no other outer columns than they have; from the outside inwards, for what takes them inside may be
/// no join any more when it has been seen to.
fn own_outers(plan: LogicalPlan) -> Result<LogicalPlan> {
    let own = plan.transform_down_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Subquery(subquery) => match own_outer(&subquery)? {
                Some(own) => Transformed::yes(LogicalPlan::Subquery(own)),
                None => Transformed::no(LogicalPlan::Subquery(subquery)),
            },
            other => Transformed::no(other),
        };
        node.transform_data(|node| {
            node.map_expressions(|expr| expr.transform_up(|expr| map_subquery(expr, own_outer)))
        })
    })?;
    Ok(own.data)
}

/// Whether it names a column of this query; one of a query around is a constant here.
fn names_column(expr: &Expr) -> bool {
    let names = |expr: &Expr| Ok(matches!(expr, Expr::Column(_)));
    expr.exists(names).unwrap_or(false)
}

/// Whether nothing of its columns is left of it when it is simplified: `NULL || name` is NULL.
fn becomes_constant(expr: &Expr, schema: &DFSchema) -> bool {
    if matches!(expr, Expr::Column(_)) {
        return false;
    }
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone()));
    let simplifier = ExprSimplifier::new(context.build());
    let simple = simplifier.simplify(expr.clone());
    simple.is_ok_and(|simple| !names_column(&simple))
}

/// Whether the optimizer will make a join of it; `considered` says whether it looks at the node.
fn is_decorrelated(subquery: &Subquery, considered: bool, schema: &DFSchema) -> bool {
    // A column of a query further out is none of the join's.
    let of_this = outer_columns(subquery);
    let of_this = of_this.is_ok_and(|outer| outer.iter().all(|one| is_of(one, schema)));
    considered && of_this && becomes_join(&subquery.subquery)
}

/// `x [NOT] IN (subquery)`, the subquery run for each row.
fn membership(member: &InSubquery, schema: &DFSchema) -> Result<Expr> {
    let list = call(&member.subquery, Gives::List, schema)?;
    let equals_any = Comparison::Equal.function(Quantifier::Any);
    let found = equals_any.call(vec![member.expr.as_ref().clone(), list]);
    Ok(match member.negated {
        true => Expr::Not(Box::new(found)),
        false => found,
    })
}

/// Whether the correlated columns stand only in conditions below one aggregate.
fn becomes_join(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            let schema = projection.input.schema();
            let mut exprs = projection.expr.iter();
            !exprs.any(|expr| expr.contains_outer() || asks_further_out(expr, schema))
                && becomes_join(&projection.input)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let inside = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            !inside.into_iter().any(Expr::contains_outer) && conditions_only(&aggregate.input)
        }
        other => conditions_only(other),
    }
}

/// Whether a subquery in the expression names columns of a query around that of this schema.
fn asks_further_out(expr: &Expr, schema: &DFSchema) -> bool {
    let further = |outer: &Expr| !is_of(outer, schema);
    let asks = |expr: &Expr| {
        let subquery = match expr {
            Expr::ScalarSubquery(subquery) => subquery,
            Expr::Exists(exists) => &exists.subquery,
            Expr::InSubquery(member) => &member.subquery,
            _ => return Ok(false),
        };
        Ok(outer_columns(subquery)?.iter().any(further))
    };
    expr.exists(asks).unwrap_or(true)
}

/// Whether it is an aggregate of what anything but an equality with the outer columns chooses: the groups that
/// the optimizer makes of a lateral one are by what is equal.
fn aggregates_unequals(plan: &LogicalPlan) -> bool {
    let mut aggregates = false;
    let mut unequal = false;
    let walked = plan.apply(|node| {
        match node {
            LogicalPlan::Aggregate(_) => aggregates = true,
            LogicalPlan::Filter(filter) => {
                let conditions = split_conjunction(&filter.predicate);
                let mut outer = conditions.into_iter().filter(|one| one.contains_outer());
                unequal |= outer.any(|one| !is_equality(one));
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_err() || aggregates && unequal
}

/// `column = outer`, either way round.
fn is_equality(condition: &Expr) -> bool {
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => left.contains_outer() != right.contains_outer(),
        _ => false,
    }
}

fn conditions_only(plan: &LogicalPlan) -> bool {
    match plan {
        // A subquery of its own that is run for each row has to stay below.
        LogicalPlan::Filter(filter) if !calls_subquery(&filter.predicate) => {
            conditions_only(&filter.input)
        }
        other => !has_outer(other),
    }
}

fn calls_subquery(expr: &Expr) -> bool {
    let is_call = |expr: &Expr| match expr {
        Expr::ScalarFunction(call) => {
            let inner: &dyn std::any::Any = call.func.inner().as_ref();
            Ok(inner.is::<Apply>())
        }
        _ => Ok(false),
    };
    expr.exists(is_call).unwrap_or(true)
}

fn has_outer(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found |= node.contains_outer_reference();
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    found || walked.is_err()
}

/// Whether the plan has subqueries that may be left over.
pub fn is_correlated(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarSubquery(subquery) => names_outer(subquery),
        Expr::Exists(exists) => names_outer(&exists.subquery),
        Expr::InSubquery(member) => names_outer(&member.subquery) || !names_column(&member.expr),
        _ => false,
    }
}

fn subquery_call(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarSubquery(subquery) if names_outer(&subquery) => {
            Ok(Transformed::yes(call(&subquery, Gives::Value, schema)?))
        }
        Expr::Exists(Exists { subquery, negated }) if names_outer(&subquery) => {
            let found = call(&subquery, Gives::Existence, schema)?;
            Ok(Transformed::yes(if negated {
                Expr::Not(Box::new(found))
            } else {
                found
            }))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The right side of a join that looks at its left.
fn lateral_subquery(join: &Join) -> Option<&Subquery> {
    match &*join.right {
        LogicalPlan::Subquery(subquery) => Some(subquery),
        LogicalPlan::SubqueryAlias(alias) => match &*alias.input {
            LogicalPlan::Subquery(subquery) => Some(subquery),
            _ => None,
        },
        _ => None,
    }
}

/// A join whose right side looks at its left, as a list of rows unnested.
fn lateral(join: &Join) -> Result<Option<LogicalPlan>> {
    let Some(subquery) = lateral_subquery(join) else {
        return Ok(None);
    };
    let null_handling = match join.join_type {
        JoinType::Inner => NullHandling::Drop,
        JoinType::Left => NullHandling::PreserveAndExpandEmpty,
        _ => return Err(failure::unsupported("LATERAL in this kind of join")),
    };
    let subquery = &match join.join_type {
        JoinType::Left => conditioned(join, subquery)?,
        _ => subquery.clone(),
    };
    let rows = call(subquery, Gives::Rows, join.left.schema())?;
    let mut columns: Vec<Expr> = join
        .left
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    let left_columns = columns.clone();
    columns.push(rows.alias(ROWS));
    let options = UnnestOptions::new().with_null_handling(null_handling);
    let unnested = LogicalPlanBuilder::from(join.left.as_ref().clone())
        .project(columns)?
        .unnest_columns_with_options(vec![Column::new_unqualified(ROWS)], options)?;
    let right = join.right.schema().iter().map(|(qualifier, field)| {
        let value = Expr::Column(Column::new_unqualified(ROWS)).field(field.name().as_str());
        value.alias_qualified(qualifier.cloned(), field.name())
    });
    let mut builder = unnested.project(left_columns.into_iter().chain(right))?;
    if join.join_type == JoinType::Inner {
        for condition in conditions(join) {
            builder = builder.filter(condition)?;
        }
    }
    builder.build().map(Some)
}

/// A lateral join of which the optimizer will make a join, compared columns having names of their own.
fn renamed(join: &Join, named: &compared::Named) -> Result<Option<LogicalPlan>> {
    let Some(subquery) = lateral_subquery(join) else {
        return Ok(None);
    };
    let Some(subquery) = compared::apart(subquery, named)? else {
        return Ok(None);
    };
    let right = LogicalPlan::Subquery(subquery);
    let right = match &*join.right {
        LogicalPlan::SubqueryAlias(alias) => LogicalPlanBuilder::from(right)
            .alias(alias.alias.clone())?
            .build()?,
        _ => right,
    };
    let mut renamed = join.clone();
    renamed.right = Arc::new(right);
    Ok(Some(LogicalPlan::Join(renamed)))
}

fn conditions(join: &Join) -> impl Iterator<Item = Expr> {
    let equal = join.on.iter().cloned();
    let equal = equal.map(|(left, right)| left.eq(right));
    equal.chain(join.filter.clone())
}

fn is_true(condition: &Expr) -> bool {
    matches!(
        condition,
        Expr::Literal(ScalarValue::Boolean(Some(true)), _)
    )
}

/// The right side of a left join with the join's condition in it: what it does not let through is no row of it.
fn conditioned(join: &Join, subquery: &Subquery) -> Result<Subquery> {
    let (left, right) = (join.left.schema(), join.right.schema());
    let inside = subquery.subquery.schema().columns();
    let mut outer_ref_columns = subquery.outer_ref_columns.clone();
    let mut plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    for condition in conditions(join) {
        if is_true(&condition) {
            continue;
        }
        let condition = condition.transform_up(|expr| {
            let Expr::Column(column) = &expr else {
                return Ok(Transformed::no(expr));
            };
            if let Some(place) = right.maybe_index_of_column(column) {
                return Ok(Transformed::yes(Expr::Column(inside[place].clone())));
            }
            let (_, field) = left.qualified_field_from_column(column)?;
            let outer = Expr::OuterReferenceColumn(field.clone(), column.clone());
            outer_ref_columns.push(outer.clone());
            Ok(Transformed::yes(outer))
        })?;
        plan = plan.filter(condition.data)?;
    }
    Ok(Subquery {
        subquery: Arc::new(plan.build()?),
        outer_ref_columns,
        spans: subquery.spans.clone(),
    })
}

/// What a subquery is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Gives {
    /// The value of its only column; NULL of no row.
    Value,
    /// Whether there is a row.
    Existence,
    /// The values of its only column.
    List,
    /// All of them.
    Rows,
}

/// The subquery as a call with the outer columns it names as arguments; those that `schema` does
/// not have are a query's further out, and stay outer columns.
fn call(subquery: &Subquery, gives: Gives, schema: &DFSchema) -> Result<Expr> {
    let mut outer: Vec<Column> = Vec::new();
    let mut args: Vec<Expr> = Vec::new();
    for expr in outer_columns(subquery)? {
        if let Expr::OuterReferenceColumn(_, column) = &expr
            && !outer.contains(column)
        {
            outer.push(column.clone());
            args.push(if schema.has_column(column) {
                Expr::Column(column.clone())
            } else {
                expr
            });
        }
    }
    let function = Apply {
        subquery: subquery.subquery.clone(),
        outer,
        gives,
        signature: Signature::one_of(
            vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
            Volatility::Volatile,
        ),
    };
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(ScalarUDF::new_from_impl(function)),
        args,
    )))
}

/// Whether it looks at a query around it, be it for a subquery further inside.
pub fn names_outer(subquery: &Subquery) -> bool {
    outer_columns(subquery).is_ok_and(|found| !found.is_empty())
}

/// The outer columns that the subquery says it has, and those in its own expressions; not those that a lateral item inside it takes
/// from the items in front.
fn outer_columns(subquery: &Subquery) -> Result<Vec<Expr>> {
    let mut inside = Vec::new();
    subquery.subquery.apply(|node| {
        if let LogicalPlan::Join(join) = node
            && let Some(lateral) = lateral_subquery(join)
        {
            let mut taken = outer_references(&lateral.subquery)?;
            taken.retain(|outer| is_of(outer, join.left.schema()));
            inside.append(&mut taken);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut found = outer_references(&subquery.subquery)?;
    for outer in &inside {
        if let Some(place) = found.iter().position(|one| one == outer) {
            found.swap_remove(place);
        }
    }
    let said = subquery.outer_ref_columns.iter();
    let said = said.filter(|outer| !inside.contains(outer) || found.contains(outer));
    Ok(said.chain(&found).cloned().collect())
}

/// The subquery that says of no other outer columns than it has, where it does.
fn own_outer(subquery: &Subquery) -> Result<Option<Subquery>> {
    let own = outer_columns(subquery)?;
    if subquery
        .outer_ref_columns
        .iter()
        .all(|outer| own.contains(outer))
    {
        return Ok(None);
    }
    let mut subquery = subquery.clone();
    subquery
        .outer_ref_columns
        .retain(|outer| own.contains(outer));
    Ok(Some(subquery))
}

/// The expression with another subquery, if it is one and there is another.
fn map_subquery(
    expr: Expr,
    other: impl FnOnce(&Subquery) -> Result<Option<Subquery>>,
) -> Result<Transformed<Expr>> {
    let (Expr::ScalarSubquery(subquery)
    | Expr::Exists(Exists { subquery, .. })
    | Expr::InSubquery(InSubquery { subquery, .. })) = &expr
    else {
        return Ok(Transformed::no(expr));
    };
    let Some(subquery) = other(subquery)? else {
        return Ok(Transformed::no(expr));
    };
    Ok(Transformed::yes(match expr {
        Expr::Exists(exists) => Expr::Exists(Exists { subquery, ..exists }),
        Expr::InSubquery(member) => Expr::InSubquery(InSubquery { subquery, ..member }),
        _ => Expr::ScalarSubquery(subquery),
    }))
}

fn outer_references(plan: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if matches!(expr, Expr::OuterReferenceColumn(..)) {
                    found.push(expr.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// Whether an outer column is one of this schema.
fn is_of(outer: &Expr, schema: &DFSchema) -> bool {
    match outer {
        Expr::OuterReferenceColumn(_, column) => schema.has_column(column),
        _ => false,
    }
}

/// A subquery as a function of outer columns.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Apply {
    subquery: Arc<LogicalPlan>,
    outer: Vec<Column>,
    gives: Gives,
    signature: Signature,
}

impl Apply {
    fn row_fields(&self) -> Fields {
        self.subquery
            .schema()
            .fields()
            .iter()
            .map(|field| Arc::new(field.as_ref().clone().with_nullable(true)))
            .collect()
    }

    /// The subquery with these values in the places of the outer columns.
    fn filled(&self, values: &[ScalarValue]) -> Result<LogicalPlan> {
        let fill = |expr: Expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => {
                match self.outer.iter().position(|outer| outer == column) {
                    Some(place) => Ok(Transformed::yes(Expr::Literal(values[place].clone(), None))),
                    None => Ok(Transformed::no(expr)),
                }
            }
            _ => Ok(Transformed::no(expr)),
        };
        self.subquery
            .as_ref()
            .clone()
            .transform_up_with_subqueries(|node| {
                let names = NamePreserver::new(&node);
                node.map_expressions(|expr| {
                    let name = names.save(&expr);
                    let filled = expr.transform_up(fill)?;
                    Ok(filled.update_data(|expr| name.restore(expr)))
                })
            })
            .map(|transformed| transformed.data)
    }

    async fn run(&self, values: &[ScalarValue], statement: &Arc<Statement>) -> Result<RecordBatch> {
        statement.check().map_err(failure::external)?;
        let engine = &statement.engine;
        let session = state::of_statement(&engine.state, statement);
        let logical = plan::optimize(&session, self.filled(values)?)?;
        let logical = rewrite(logical)?;
        let physical = session
            .query_planner()
            .create_physical_plan(&logical, &session)
            .await?;
        let memory = StatementMemory::new(
            engine.memory.clone(),
            engine.options.statement_memory_bytes_max,
        );
        let task = state::task(&engine.state, statement, Arc::new(memory));
        let stream = execute_stream(physical, task)?;
        let schema = stream.schema();
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        Ok(concat_batches(&schema, &batches)?)
    }

    /// One result for each row of the arguments.
    fn evaluate(&self, args: &ScalarFunctionArgs) -> Result<Vec<RecordBatch>> {
        if !pool::is_here() {
            return Err(failure::external(Diagnostic::internal(
                "a subquery was evaluated outside the pool",
            )));
        }
        let statement = Statement::of(&args.config_options)?;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let mut known: HashMap<Vec<ScalarValue>, RecordBatch> = HashMap::new();
        let mut results = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let values = arrays
                .iter()
                .map(|array| {
                    let row = if array.len() == 1 { 0 } else { row };
                    ScalarValue::try_from_array(array, row)
                })
                .collect::<Result<Vec<_>>>()?;
            if let Some(batch) = known.get(&values) {
                results.push(batch.clone());
                continue;
            }
            let handle = tokio::runtime::Handle::current();
            let batch = pool::blocking(|| handle.block_on(self.run(&values, &statement)))?;
            known.insert(values, batch.clone());
            results.push(batch);
        }
        Ok(results)
    }

    fn values(&self, results: &[RecordBatch], data_type: &DataType) -> Result<ArrayRef> {
        let null = ScalarValue::try_from(data_type)?.to_array()?;
        let mut parts = Vec::with_capacity(results.len());
        for batch in results {
            match batch.num_rows() {
                0 => parts.push(null.clone()),
                1 => parts.push(batch.column(0).clone()),
                _ => {
                    return Err(failure::error(
                        SqlState::CARDINALITY_VIOLATION,
                        "more than one row returned by a subquery used as an expression",
                    ));
                }
            }
        }
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        if parts.is_empty() {
            return Ok(null.slice(0, 0));
        }
        Ok(concat(&parts)?)
    }

    fn list(&self, results: &[RecordBatch]) -> Result<ArrayRef> {
        let data_type = self.subquery.schema().field(0).data_type().clone();
        let offsets = OffsetBuffer::from_lengths(results.iter().map(RecordBatch::num_rows));
        let parts: Vec<&dyn Array> = results
            .iter()
            .map(|batch| batch.column(0).as_ref())
            .collect();
        let values = if parts.is_empty() {
            datafusion::arrow::array::new_empty_array(&data_type)
        } else {
            concat(&parts)?
        };
        let element = Arc::new(Field::new_list_field(data_type, true));
        Ok(Arc::new(ListArray::try_new(
            element, offsets, values, None,
        )?))
    }

    fn rows(&self, results: &[RecordBatch]) -> Result<ArrayRef> {
        let fields = self.row_fields();
        let lengths = results.iter().map(RecordBatch::num_rows);
        let offsets = OffsetBuffer::from_lengths(lengths);
        let mut columns = Vec::with_capacity(fields.len());
        for (index, field) in fields.iter().enumerate() {
            let parts: Vec<&dyn Array> = results
                .iter()
                .map(|batch| batch.column(index).as_ref())
                .collect();
            columns.push(if parts.is_empty() {
                datafusion::arrow::array::new_empty_array(field.data_type())
            } else {
                concat(&parts)?
            });
        }
        let rows = StructArray::try_new(fields.clone(), columns, None)?;
        let element = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
        Ok(Arc::new(ListArray::try_new(
            element,
            offsets,
            Arc::new(rows),
            None,
        )?))
    }
}

impl ScalarUDFImpl for Apply {
    fn name(&self) -> &str {
        "SubPlan"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.gives {
            Gives::Value => self.subquery.schema().field(0).data_type().clone(),
            Gives::Existence => DataType::Boolean,
            Gives::List => DataType::List(Arc::new(Field::new_list_field(
                self.subquery.schema().field(0).data_type().clone(),
                true,
            ))),
            Gives::Rows => DataType::List(Arc::new(Field::new_list_field(
                DataType::Struct(self.row_fields()),
                true,
            ))),
        })
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        let data_type = self.return_type(&[])?;
        let mut field = Field::new(self.name(), data_type, true);
        if self.gives == Gives::Value {
            field = field.with_metadata(self.subquery.schema().field(0).metadata().clone());
        }
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let results = self.evaluate(&args)?;
        let array: ArrayRef = match self.gives {
            Gives::Value => self.values(&results, args.return_field.data_type())?,
            Gives::Existence => Arc::new(BooleanArray::from(
                results
                    .iter()
                    .map(|batch| batch.num_rows() > 0)
                    .collect::<Vec<_>>(),
            )),
            Gives::List => self.list(&results)?,
            Gives::Rows => self.rows(&results)?,
        };
        if array.len() != args.number_rows {
            return Err(DataFusionError::Internal("rows of a subquery".to_owned()));
        }
        Ok(ColumnarValue::Array(array))
    }
}
