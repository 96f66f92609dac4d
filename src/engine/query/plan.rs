//! From a statement's syntax tree to a plan that can be kept and run.

use super::cast::metadata;
use super::explain::Explanation;
use super::explain_options::ExplainOptions;
use super::provider::{Provider, Used};
use super::rewrite::{self, labels};
use super::table::UserTable;
use super::{Inner, failure, qualify, resolve, semantics, state, unused_parts};
use crate::catalog::Oid;
use crate::catalog::definition::View;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::ResultField;
use crate::engine::types;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ParamValues, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Volatility};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use sqlparser::ast::{self, Query};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// A parameter's number at most, as in PostgreSQL's protocol.
const PARAMETERS_MAX: usize = 65_535;

/// Items of FROM whose rows are values of one statement.
const ROWS_MAX: usize = 16;

/// A query that has been planned: what it gives, what it wants, and how it runs.
#[derive(Clone, Debug)]
pub struct QueryPlan {
    /// Describes each output column.
    pub fields: Arc<[ResultField]>,
    /// The types of `$1`, `$2`, …
    pub parameters: Vec<SqlType>,
    /// The relations it reads, views and what is below them included.
    pub relations: Vec<Oid>,
    /// Of them those that the session must be allowed to read (a view's are its owner's).
    pub named: Vec<Oid>,
    pub(super) form: Form,
    pub(super) kept: Kept,
}

impl QueryPlan {
    /// The same, whose tree is told instead of its rows.
    #[must_use]
    pub fn explained(&self, explanation: Explanation) -> QueryPlan {
        QueryPlan {
            fields: super::explain::fields(explanation.options),
            form: Form::Explain(explanation),
            ..self.clone()
        }
    }
}

/// Whether the plan itself is the result.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// Its rows are.
    Rows,
    /// EXPLAIN: its tree is.
    Explain(Explanation),
}

/// What is kept between executions.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// Optimized; only the parameters' values are missing.
    Optimized(LogicalPlan),
    /// The same, with catalogs or subqueries that ask for the statement while they run.
    OptimizedForStatement(LogicalPlan),
    /// It holds functions whose value is the statement's: only analyzed, and optimized with the
    /// statement at hand.
    Analyzed(LogicalPlan),
}

/// Plans a query or EXPLAIN of one.
///
/// # Errors
/// Whatever is wrong with the statement, in PostgreSQL's words.
pub fn analyze(
    engine: &Arc<Inner>,
    statement: &ast::Statement,
    declared: &[Option<SqlType>],
    context: &StatementContext,
) -> Result<QueryPlan, Diagnostic> {
    match statement {
        ast::Statement::Query(query) => of_query(engine, query, declared, context),
        ast::Statement::Explain {
            statement: inner, ..
        } => {
            let (ast::Statement::Query(query), Some(options)) =
                (&**inner, ExplainOptions::of_statement(statement)?)
            else {
                return Err(Diagnostic::unsupported("EXPLAIN of this statement"));
            };
            let began = Instant::now();
            let plan = of_query(engine, query, declared, context)?;
            Ok(plan.explained(Explanation {
                options,
                planning: began.elapsed(),
                above: None,
            }))
        }
        other => Err(Diagnostic::internal(format!("not a query: {other}"))),
    }
}

fn of_query(
    engine: &Arc<Inner>,
    query: &Query,
    declared: &[Option<SqlType>],
    context: &StatementContext,
) -> Result<QueryPlan, Diagnostic> {
    let mut query = query.clone();
    rewrite::void_arguments::leave_out(&mut query, declared);
    with_rows(&query, context, engine, |query| {
        let mut query = Box::new(query.clone());
        rewrite::query(&mut query, context.input(), &|name| {
            resolve::columns(name, context)
        })?;
        of_rewritten(engine, query, declared, context)
    })
}

/// What is made of the query; where it has no column of a name that is an item's in FROM, of the query with
/// that item's row in its place.
fn with_rows<T>(
    query: &Query,
    context: &StatementContext,
    engine: &Arc<Inner>,
    made_of: impl Fn(&Query) -> Result<T, Diagnostic>,
) -> Result<T, Diagnostic> {
    let mut tried: Vec<String> = Vec::new();
    // What is told of a query whose items were renamed is not what was written.
    let mut told: Option<Diagnostic> = None;
    let mut query = Cow::Borrowed(query);
    loop {
        let error = match made_of(&query) {
            Err(error) if tried.len() < ROWS_MAX => error,
            Err(error) => return Err(told.unwrap_or(error)),
            Ok(made) => return Ok(made),
        };
        if let Some(name) = rewrite::outer_names::missed(&error) {
            let new = !tried.contains(&name);
            if new && rewrite::outer_names::rename(query.to_mut(), &name) {
                told.get_or_insert(error);
                tried.push(name);
                continue;
            }
            return Err(told.unwrap_or(error));
        }
        let Some(name) = rewrite::whole_rows::missed(&error) else {
            return Err(told.unwrap_or(error));
        };
        if tried.contains(&name) {
            return Err(Diagnostic::unsupported("a row as a value here"));
        }
        let mut columns_of = |query: Query| {
            let plan = of_query(engine, &query, &[], context)?;
            let names = plan.fields.iter().map(|field| field.name.clone());
            Ok(names.collect())
        };
        rewrite::whole_rows::stars(query.to_mut());
        if !rewrite::whole_rows::rewrite(query.to_mut(), &name, &mut columns_of)? {
            return Err(told.unwrap_or(error));
        }
        tried.push(name);
    }
}

fn of_rewritten(
    engine: &Arc<Inner>,
    query: Box<Query>,
    declared: &[Option<SqlType>],
    context: &StatementContext,
) -> Result<QueryPlan, Diagnostic> {
    let session = planning_state(engine, context);
    let (plan, parameters, used) =
        settled(engine, &session, &query, declared, context).map_err(failure::diagnostic)?;
    let fields = result_fields(&plan)?;
    let plan = for_output(plan, &fields).map_err(failure::diagnostic)?;
    let found = statement_functions(&plan).map_err(failure::diagnostic)?;
    let found = found.max(match (used.statement, used.catalogs) {
        (true, _) => Asks::WhenOptimized,
        (false, true) => Asks::WhenRun,
        (false, false) => Asks::Never,
    });
    let optimized = |plan| optimize(&session, plan).map_err(failure::diagnostic);
    let kept = match found {
        Asks::Never => Kept::Optimized(optimized(plan)?),
        Asks::WhenRun => Kept::OptimizedForStatement(optimized(plan)?),
        Asks::WhenOptimized => Kept::Analyzed(plan),
    };
    Ok(QueryPlan {
        fields: fields.into(),
        parameters,
        relations: used.relations,
        named: used.named,
        form: Form::Rows,
        kept,
    })
}

/// When a plan asks for the statement that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asks {
    Never,
    /// It may be optimized without one.
    WhenRun,
    /// What it folds is the statement's.
    WhenOptimized,
}

/// Whether it calls functions whose value is the statement's, or subqueries that may have to be run by
/// themselves. Of the latter those with parameters inside wait for their values, which reach them only before
/// they are functions.
fn statement_functions(plan: &LogicalPlan) -> Result<Asks> {
    let mut found = Asks::Never;
    let mut outside = 0_usize;
    plan.apply(|node| {
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
        outside += placeholders(node)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut everywhere = 0_usize;
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Subquery(_)) {
            found = found.max(Asks::WhenRun);
        }
        everywhere += placeholders(node)?;
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let asks = match expr {
                    Expr::ScalarFunction(call) => match call.func.signature().volatility {
                        Volatility::Immutable => Asks::Never,
                        Volatility::Stable | Volatility::Volatile => Asks::WhenOptimized,
                    },
                    other if super::apply::is_correlated(other) => Asks::WhenRun,
                    _ => Asks::Never,
                };
                found = found.max(asks);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match found {
        Asks::WhenRun if everywhere > outside => Ok(Asks::WhenOptimized),
        found => Ok(found),
    }
}

fn placeholders(node: &LogicalPlan) -> Result<usize> {
    let mut count = 0;
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            count += usize::from(matches!(expr, Expr::Placeholder(_)));
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(count)
}

/// A state whose functions find a statement that is being planned (and reads no rows).
fn planning_state(engine: &Arc<Inner>, context: &StatementContext) -> SessionState {
    let statement = super::QueryEngine(engine.clone()).statement(context);
    state::of_statement(&engine.state, &statement)
}

/// Plans until every parameter has one type: a second time with the types the first one found.
fn settled(
    engine: &Arc<Inner>,
    session: &SessionState,
    query: &Query,
    declared: &[Option<SqlType>],
    context: &StatementContext,
) -> Result<(LogicalPlan, Vec<SqlType>, Used)> {
    let (plan, used) = once(engine, session, query, declared, context)?;
    let found = parameters(&plan, declared)?;
    if found.settled {
        return Ok((plan, found.types, used));
    }
    let declared: Vec<_> = found.types.iter().copied().map(Some).collect();
    let (plan, used) = once(engine, session, query, &declared, context)?;
    Ok((plan, found.types, used))
}

fn once(
    engine: &Arc<Inner>,
    session: &SessionState,
    query: &Query,
    declared: &[Option<SqlType>],
    context: &StatementContext,
) -> Result<(LogicalPlan, Used)> {
    let provider = Provider::new(engine, context);
    for part in unused_parts::of(query) {
        logical(&provider, &part, declared)?;
    }
    let plan = logical(&provider, query, declared)?;
    let options = session.config_options();
    let plan = session
        .analyzer()
        .execute_and_check(plan, options, |_, _| {})?;
    Ok((plan, provider.used()))
}

/// The plan before the planner's own type coercion.
fn logical(
    provider: &Provider<'_>,
    query: &Query,
    declared: &[Option<SqlType>],
) -> Result<LogicalPlan> {
    let declared = declared
        .iter()
        .enumerate()
        .map(|(index, sql_type)| {
            let sql_type = (*sql_type)?;
            let name = format!("${}", index + 1);
            Some(Arc::new(super::cast::field(name, sql_type)) as FieldRef)
        })
        .collect();
    let mut planning = PlannerContext::new().with_prepare_param_data_types(declared);
    let statement = ast::Statement::Query(Box::new(query.clone()));
    let plan =
        SqlToRel::new(provider).sql_statement_to_plan_with_context(statement, &mut planning)?;
    semantics::plan(plan, provider.context().input())
}

/// A view's query, its columns named and typed as the view declares them.
pub(super) fn view(view: &View, provider: &Provider<'_>) -> Result<LogicalPlan> {
    let damaged = || {
        failure::external(Diagnostic::error(
            SqlState::DATA_CORRUPTED,
            "a view's definition is no query",
        ))
    };
    let mut statements = crate::sql::parse::parse(&view.query).map_err(failure::external)?;
    let Some(ast::Statement::Query(mut query)) = statements.pop().map(|statement| statement.ast)
    else {
        return Err(damaged());
    };
    // Its names mean what they meant when it was made, whatever the search_path of who reads it.
    qualify::relations(&mut query, |schema, name| {
        let known = resolve::relation(Some(resolve::PUBLIC), name, provider.context());
        match schema.is_none() && known.is_ok() {
            true => qualify::Schema::Written(resolve::PUBLIC.to_owned()),
            false => qualify::Schema::Kept,
        }
    });
    let plan = with_rows(&query, provider.context(), provider.engine(), |query| {
        let mut query = query.clone();
        let context = provider.context();
        rewrite::query(&mut query, context.input(), &|name| {
            resolve::columns(name, context)
        })?;
        logical(provider, &query, &[]).map_err(failure::diagnostic)
    });
    let plan = plan.map_err(failure::external)?;
    let columns = plan.schema().columns();
    if columns.len() != view.columns.len() {
        return Err(damaged());
    }
    let columns = columns
        .into_iter()
        .zip(&view.columns)
        .map(|(column, (name, _))| Expr::Column(column).alias(name.to_string()));
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

struct Parameters {
    types: Vec<SqlType>,
    settled: bool,
}

/// The type of each parameter: declared, else that of its first typed use, else text.
fn parameters(plan: &LogicalPlan, declared: &[Option<SqlType>]) -> Result<Parameters> {
    let mut types: Vec<Option<SqlType>> = declared.to_vec();
    let mut settled = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(parameter) = expr {
                    settled &= note(parameter, &mut types)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    settled &= types.iter().all(Option::is_some);
    let text = SqlType::scalar(TypeKind::Text);
    Ok(Parameters {
        types: types
            .into_iter()
            .map(|found| found.unwrap_or(text))
            .collect(),
        settled,
    })
}

/// False where this use leaves the parameter without its type.
pub(super) fn note(parameter: &Placeholder, types: &mut Vec<Option<SqlType>>) -> Result<bool> {
    let number = parameter
        .id
        .strip_prefix('$')
        .and_then(|digits| digits.parse::<usize>().ok())
        .filter(|number| (1..=PARAMETERS_MAX).contains(number));
    let Some(number) = number else {
        return Err(failure::error(
            SqlState::UNDEFINED_PARAMETER,
            format!("there is no parameter {}", parameter.id),
        ));
    };
    if types.len() < number {
        types.resize(number, None);
    }
    let Some(field) = &parameter.field else {
        return Ok(false);
    };
    let found = types::sql_type(field).map_err(failure::external)?;
    let found = match found.kind {
        TypeKind::Unknown => SqlType::scalar(TypeKind::Text),
        _ => SqlType {
            typmod: -1,
            ..found
        },
    };
    match &mut types[number - 1] {
        Some(known) => Ok(types::data_type(*known) == types::data_type(found)),
        unknown => {
            *unknown = Some(found);
            Ok(true)
        }
    }
}

/// Optimizes an analyzed plan.
pub(super) fn optimize(session: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = super::apply::early(plan)?;
    session.optimizer().optimize(plan, session, |_, _| {})
}

/// The plan with the parameters' values in their places.
pub(super) fn with_values(
    plan: &LogicalPlan,
    sql_types: &[SqlType],
    values: &[ScalarValue],
) -> Result<LogicalPlan> {
    if sql_types.is_empty() {
        return Ok(plan.clone());
    }
    // Told of its type where a constant in its place would be: a list of values has them beside each other.
    let told = |sql_type: SqlType| {
        let by_itself = super::cast::field("parameter", sql_type)
            .metadata()
            .is_empty();
        let is_constant = by_itself && sql_type != SqlType::scalar(TypeKind::Text);
        (!is_constant).then(|| metadata(sql_type))
    };
    let values = sql_types
        .iter()
        .zip(values)
        .map(|(sql_type, value)| ScalarAndMetadata::new(value.clone(), told(*sql_type)))
        .collect();
    plan.clone()
        .replace_params_with_values(&ParamValues::List(values))
}

/// What a client is told of each output column.
fn result_fields(plan: &LogicalPlan) -> Result<Vec<ResultField>, Diagnostic> {
    let schema = plan.schema();
    schema
        .iter()
        .enumerate()
        .map(|(index, (_, field))| {
            let mut sql_type = types::sql_type(field)?;
            // What prints as a name of the catalog is told as the text it prints.
            if matches!(
                sql_type.kind,
                TypeKind::Unknown | TypeKind::Regclass | TypeKind::Regproc
            ) {
                sql_type = SqlType {
                    kind: TypeKind::Text,
                    ..sql_type
                };
            }
            let origin = origin(plan, index);
            Ok(ResultField {
                name: shown(field.name(), schema).to_owned(),
                sql_type,
                table: origin.map(|(table, _)| table),
                column: origin.map_or(0, |(_, column)| column),
            })
        })
        .collect()
}

/// The name that a client sees. The second of two columns of one name in an item of FROM is told apart as `id:1` by the
/// planner, which is `id` to PostgreSQL.
fn shown<'n>(name: &'n str, schema: &DFSchema) -> &'n str {
    let visible = labels::visible(name);
    match visible.rsplit_once(':') {
        Some((first, number))
            if number.parse::<u32>().is_ok()
                && schema.fields().iter().any(|other| other.name() == first) =>
        {
            first
        }
        _ => visible,
    }
}

/// The table's column that an output column is unchanged.
fn origin(plan: &LogicalPlan, index: usize) -> Option<(Oid, i16)> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok()?;
            let provider: &dyn std::any::Any = provider.as_ref();
            let table = provider.downcast_ref::<UserTable>()?;
            let column = match &scan.projection {
                Some(columns) => *columns.get(index)?,
                None => index,
            };
            Some((table.relation().oid, table.attnum(column)?))
        }
        LogicalPlan::Projection(projection) => {
            let mut expr = projection.expr.get(index)?;
            while let Expr::Alias(alias) = expr {
                expr = &alias.expr;
            }
            let Expr::Column(column) = expr else {
                return None;
            };
            let input = &projection.input;
            origin(input, position(input, column)?)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::SubqueryAlias(_) => origin(plan.inputs().first()?, index),
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.get(index)? {
            Expr::Column(column) => {
                let input = &aggregate.input;
                origin(input, position(input, column)?)
            }
            _ => None,
        },
        LogicalPlan::Window(window) => {
            let given = window.input.schema().fields().len();
            (index < given).then(|| origin(&window.input, index))?
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            if index < left {
                origin(&join.left, index)
            } else {
                origin(&join.right, index - left)
            }
        }
        _ => None,
    }
}

fn position(plan: &LogicalPlan, column: &Column) -> Option<usize> {
    plan.schema().index_of_column(column).ok()
}

/// The plan with each column of exactly the Arrow type that its SQL type is encoded from.
fn for_output(plan: LogicalPlan, fields: &[ResultField]) -> Result<LogicalPlan> {
    let schema = plan.schema().clone();
    let wanted: Vec<_> = schema
        .fields()
        .iter()
        .zip(fields)
        .map(|(field, result)| wire_type(field, result.sql_type))
        .collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let mut columns = Vec::with_capacity(wanted.len());
    for (index, (column, wanted)) in schema.columns().into_iter().zip(wanted).enumerate() {
        let Some(data_type) = wanted else {
            columns.push(Expr::Column(column));
            continue;
        };
        let name = format!("{}\u{1f}{index}", column.name);
        let from = types::sql_type(schema.field(index)).map_err(failure::external)?;
        let column = Expr::Column(column);
        let converted = if super::cast::by_name(from) {
            super::cast::function(column, from, fields[index].sql_type)
        } else {
            Expr::Cast(Cast::new(Box::new(column), data_type))
        };
        columns.push(converted.alias(name));
    }
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The Arrow type to convert to; None where it is right.
fn wire_type(field: &Field, sql_type: SqlType) -> Option<DataType> {
    let expected = types::data_type(sql_type);
    match (field.data_type(), &expected) {
        (DataType::Decimal128(..), DataType::Decimal128(..) | DataType::LargeBinary)
            if !sql_type.array =>
        {
            None
        }
        (DataType::List(found), DataType::List(wanted))
            if found.data_type() == wanted.data_type()
                || matches!(
                    (found.data_type(), wanted.data_type()),
                    (DataType::Decimal128(..), DataType::LargeBinary)
                ) =>
        {
            None
        }
        (DataType::Null, DataType::Null) => None,
        (found, expected) if found == expected => None,
        _ => Some(expected),
    }
}
