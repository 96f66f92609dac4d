//! The planner's state that all statements share: options, rules, library.
//!
//! Made once; a statement clones it only where its functions must find the statement (11 µs).

use super::Options;
use super::functions::Functions;
use super::statement::{Statement, StatementExtension};
use crate::diagnostic::Diagnostic;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::functions::core::planner::CoreFunctionPlanner;
use datafusion::functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion::functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion::functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion::functions_nested::planner::{FieldAccessPlanner, NestedFunctionPlanner};
use datafusion::functions_window::planner::WindowFunctionPlanner;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::optimizer::OptimizerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::collections::HashMap;
use std::sync::Arc;

/// The shared state.
///
/// # Errors
/// 58030 when the spill directory cannot be used.
pub fn shared(options: &Options, functions: &Functions) -> Result<SessionState, Diagnostic> {
    let spill = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![
            options.spill_directory.clone(),
        ]))
        .with_max_temp_directory_size(options.spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_disk_manager_builder(spill)
        .build()
        .map_err(super::failure::diagnostic)?;
    let state = SessionStateBuilder::new()
        .with_session_id("nodedb".to_owned())
        .with_config(config())
        .with_runtime_env(Arc::new(runtime))
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_expr_planners(expr_planners())
        .with_scalar_functions(functions.scalar.values().cloned().collect())
        .with_aggregate_functions(functions.aggregate.values().cloned().collect())
        .with_window_functions(functions.window.values().cloned().collect())
        .build();
    Ok(state)
}

/// The library's rules for relations, and ours.
fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let rules = super::distinct_sums::rules(super::lone_groups::rules());
    super::dependencies::rules(super::marks::rules(rules))
}

/// The library's rules for operators, but for those that move conditions down: where one may go the logical rules have seen to, and
/// these take a column for the first of its name, which in a join may be the other side's. And ours.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.retain(|rule| !rule.name().starts_with("FilterPushdown"));
    super::whole_filters::rules(super::forgetful::rules(rules))
}

/// The library's own planners of operators and syntax, asked after ours; not the one of fields, which no column
/// here has.
pub fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(Tuples),
        Arc::new(NestedFunctionPlanner),
        Arc::new(FieldAccessPlanner),
        Arc::new(DatetimeFunctionPlanner),
        Arc::new(UnicodeFunctionPlanner),
        Arc::new(AggregateFunctionPlanner),
        Arc::new(WindowFunctionPlanner),
    ]
}

/// The library's planner of its core, but for fields: `count(DISTINCT (a, b))` has a row of it.
#[derive(Debug)]
struct Tuples;

impl ExprPlanner for Tuples {
    fn plan_struct_literal(
        &self,
        args: Vec<Expr>,
        is_named_struct: bool,
    ) -> datafusion::error::Result<PlannerResult<Vec<Expr>>> {
        CoreFunctionPlanner::default().plan_struct_literal(args, is_named_struct)
    }
}

/// The options that all planning shares.
pub fn options() -> ConfigOptions {
    let mut options = ConfigOptions::new();
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.enable_subquery_sort_elimination = false;
    "nulls_max".clone_into(&mut options.sql_parser.default_null_ordering);
    // Planned for one thread; `parallel` deals out what is worth it.
    options.execution.target_partitions = 1;
    options.execution.collect_statistics = false;
    // Inputs of a union may differ in what their metadata say of a type.
    options.execution.skip_physical_aggregate_schema_check = true;
    options.optimizer.enable_round_robin_repartition = false;
    // No scan takes them, and a join that has one cannot exchange its sides.
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.skip_failed_rules = false;
    options.extensions.insert(StatementExtension::default());
    options
}

fn config() -> SessionConfig {
    SessionConfig::from(options()).with_information_schema(false)
}

/// The options as one statement's functions see them, for expressions that stand alone.
pub fn options_of(statement: &Arc<Statement>) -> ConfigOptions {
    let mut options = options();
    options
        .extensions
        .insert(StatementExtension(Some(statement.clone())));
    options
}

/// The state as one statement's functions see it.
pub fn of_statement(shared: &SessionState, statement: &Arc<Statement>) -> SessionState {
    let mut state = shared.clone();
    let options = state.config_mut().options_mut();
    options
        .extensions
        .insert(StatementExtension(Some(statement.clone())));
    state.mark_start_execution();
    state
}

/// What operators of one statement run in.
pub fn task(
    shared: &SessionState,
    statement: &Arc<Statement>,
    memory: Arc<dyn MemoryPool>,
) -> Arc<TaskContext> {
    let runtime = shared.runtime_env();
    let runtime = RuntimeEnv {
        memory_pool: memory,
        disk_manager: runtime.disk_manager.clone(),
        cache_manager: runtime.cache_manager.clone(),
        object_store_registry: runtime.object_store_registry.clone(),
    };
    Arc::new(TaskContext::new(
        None,
        shared.session_id().to_owned(),
        shared.config().clone().with_extension(statement.clone()),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        Arc::new(runtime),
    ))
}
