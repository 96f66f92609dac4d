//! One scalar expression over one row: from the syntax tree to DataFusion's physical expression.
//!
//! This is the one place where expressions of point statements, DEFAULTs, CHECKs, RETURNING and ON
//! CONFLICT are planned, so that they mean the same everywhere. Parameters are extra columns of the
//! row, and so are the transaction's time, which stands for now() and CURRENT_TIMESTAMP, and `$auth.*`; whatever
//! else is not immutable is refused here and goes the way of a query.

use super::functions::auth_variable::{self, AuthVariable};
use super::functions::definition::Missing;
use super::functions::{Functions, set_returning, uuids};
use super::operators::Operators;
use super::provider::Types;
use super::statement::Statement;
use super::{failure, rewrite, semantics, state};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types;
use crate::sql::auth_variable::Variable;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{
    Column as LogicalColumn, DFSchema, DataFusionError, ScalarValue, TableReference,
};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, Operator, ScalarUDF, TableSource,
    Volatility, WindowUDF,
};
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use sqlparser::ast::{self, visit_expressions};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// The name of the column that holds the transaction's time.
const NOW: &str = "now()";

/// The columns an expression may name, in the order of the row's values.
#[derive(Clone, Debug)]
pub struct Scope {
    fields: Vec<(Option<TableReference>, FieldRef)>,
}

impl Scope {
    /// A row without columns.
    pub fn empty() -> Scope {
        Scope { fields: Vec::new() }
    }

    /// This with the columns of one more relation, known by `qualifier`.
    #[must_use]
    pub fn with<'c>(
        mut self,
        qualifier: &str,
        columns: impl Iterator<Item = (&'c str, SqlType)>,
    ) -> Scope {
        let qualifier = TableReference::bare(qualifier);
        self.fields.extend(columns.map(|(name, sql_type)| {
            let field = types::arrow_field(name, sql_type, true);
            (Some(qualifier.clone()), Arc::new(field))
        }));
        self
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn schema(&self) -> Result<DFSchema, DataFusionError> {
        DFSchema::new_with_metadata(self.fields.clone(), HashMap::new())
    }
}

/// Where a value that an expression needs comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A column of the scope.
    Column(usize),
    /// A parameter, from 0.
    Parameter(usize),
    /// The transaction's time, as timestamptz.
    TransactionTime,
    /// One of the expression's `$auth.*`, from 0.
    Variable(usize),
}

/// An expression, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// DataFusion's expression over a batch with `inputs` as its columns.
    pub physical: Arc<dyn PhysicalExpr>,
    /// Which values it needs, in the order of the batch's columns.
    pub inputs: Vec<Input>,
    /// The `$auth.*` it looks at, each as a value of its type.
    pub variables: Arc<[(Variable, SqlType)]>,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether it gives the same each time for the same inputs.
    pub repeats: Repeats,
    schema: SchemaRef,
}

/// Whether an expression gives the same each time for the same inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// It does.
    Always,
    /// It calls a volatile function.
    Never,
}

impl Compiled {
    /// Evaluates over batches of equal length.
    ///
    /// # Errors
    /// What the expression raises: 22003, 22012, …
    pub fn evaluate(&self, inputs: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef, Diagnostic> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), inputs, &options)
            .map_err(DataFusionError::from)
            .and_then(|batch| self.physical.evaluate(&batch))
            .and_then(|value| value.into_array(rows))
            .and_then(of_row)
            .map_err(|error| self.named(failure::diagnostic(error)))
    }

    /// An overflow names the type, which Arrow does not know.
    fn named(&self, error: Diagnostic) -> Diagnostic {
        let what = match self.sql_type.kind {
            TypeKind::Int2 => "smallint out of range",
            TypeKind::Int4 => "integer out of range",
            TypeKind::Int8 => "bigint out of range",
            _ => return error,
        };
        match error.sqlstate() {
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE => Diagnostic::error(error.sqlstate(), what),
            _ => error,
        }
    }

    /// The input the expression is, if it is nothing else.
    pub fn plain_input(&self) -> Option<Input> {
        self.physical.downcast_ref::<Column>()?;
        self.inputs.first().copied()
    }

    /// The constant the expression is, if it is one.
    pub fn constant(&self) -> Option<Result<ScalarValue, Diagnostic>> {
        let constant = self.inputs.is_empty() && self.repeats == Repeats::Always;
        constant.then(|| {
            let array = self.evaluate(Vec::new(), 1)?;
            ScalarValue::try_from_array(&array, 0).map_err(failure::diagnostic)
        })
    }
}

/// Texts as rows have them, where a function gives views.
fn of_row(array: ArrayRef) -> Result<ArrayRef, DataFusionError> {
    match array.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => Ok(cast(&array, &DataType::Utf8)?),
        _ => Ok(array),
    }
}

/// Compiles an expression over the scope. `parameters` holds the types that are known, and
/// afterwards those that the expression determined.
///
/// # Errors
/// What planning finds wrong; 0A000 for subqueries and for functions that are not immutable; 42P18
/// for a parameter that nothing determines.
pub fn compile(
    expression: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: types::Input<'_>,
) -> Result<Compiled, Diagnostic> {
    analyze(expression, scope, parameters, input)?.alone()
}

/// An expression whose names and types are settled; what its functions ask is not there yet.
#[derive(Clone, Debug)]
pub struct Analyzed {
    /// Its type.
    pub sql_type: SqlType,
    logical: Expr,
    row: DFSchema,
    inputs: Vec<Input>,
    variables: Arc<[(Variable, SqlType)]>,
}

/// As [`compile`], for expressions that may ask the statement they are worked out in.
///
/// # Errors
/// As [`compile`], but none yet for functions that are not immutable.
pub fn analyze(
    expression: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: types::Input<'_>,
) -> Result<Analyzed, Diagnostic> {
    let logical = logical(expression, scope, parameters, input)?;
    settled(logical, scope, parameters)
}

/// An expression as it is planned, before the planner's own coercion: for comparing it with others.
///
/// # Errors
/// As [`compile`].
pub fn planned(
    expression: &ast::Expr,
    scope: &Scope,
    types: Option<types::UserTypes<'_>>,
) -> Result<Expr, Diagnostic> {
    let settings = crate::engine::settings::Settings::default();
    let input = types::Input {
        settings: &settings,
        transaction_time: 0,
        variables: None,
        types,
    };
    let planned = logical(expression, scope, &mut Vec::new(), input)?;
    let schema = scope.schema().map_err(failure::diagnostic)?;
    let coerced = planned.rewrite(&mut TypeCoercionRewriter::new(&schema));
    coerced.data().map_err(failure::diagnostic)
}

/// As [`compile`], for this statement alone: casts look at its settings.
///
/// # Errors
/// As [`compile`].
pub fn compile_once(
    expression: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: types::Input<'_>,
) -> Result<Compiled, Diagnostic> {
    let logical = logical(expression, scope, parameters, input)?;
    let pinned = super::cast::Pinned::new(input);
    let logical = logical.transform_up(|node| Ok(pinned.pin(node))).data();
    settled(logical.map_err(failure::diagnostic)?, scope, parameters)?.alone()
}

fn logical(
    expression: &ast::Expr,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    input: types::Input<'_>,
) -> Result<Expr, Diagnostic> {
    if let ControlFlow::Break(what) = visit_expressions(expression, of_other_rows) {
        return Err(Diagnostic::unsupported(what));
    }
    let mut expression = expression.clone();
    rewrite::expression(&mut expression, input)?;
    let logical = plan(expression, scope, parameters, input).map_err(failure::diagnostic)?;
    note_parameters(&logical, parameters)?;
    Ok(logical)
}

fn settled(
    logical: Expr,
    scope: &Scope,
    parameters: &[Option<SqlType>],
) -> Result<Analyzed, Diagnostic> {
    let (logical, variables) = lift_variables(logical)?;
    let (row, inputs) = row_schema(scope, parameters, &variables)?;
    let logical = logical
        .transform_up(bind)
        .data()
        .and_then(|bound| bound.rewrite(&mut TypeCoercionRewriter::new(&row)).data())
        .and_then(|coerced| coerced.transform_up(conditional).data())
        .map_err(failure::diagnostic)?;
    let (_, field) = logical.to_field(&row).map_err(failure::diagnostic)?;
    Ok(Analyzed {
        sql_type: types::sql_type(&field)?,
        logical,
        row,
        inputs,
        variables: variables.into(),
    })
}

/// What is no function of one row.
fn of_other_rows(expression: &ast::Expr) -> ControlFlow<&'static str> {
    match expression {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => {
            ControlFlow::Break("a subquery here")
        }
        ast::Expr::Function(call) if call.over.is_some() => {
            ControlFlow::Break("a window function here")
        }
        _ => ControlFlow::Continue(()),
    }
}

impl Analyzed {
    /// Whether what it gives depends on nothing but its inputs, or is new each time.
    pub fn stands_alone(&self) -> bool {
        self.refused(|call| self.stands(call)).is_none()
    }

    /// Ready to be evaluated, whatever the statement.
    ///
    /// # Errors
    /// 0A000 for subqueries and for functions that ask the statement.
    pub fn alone(self) -> Result<Compiled, Diagnostic> {
        if let Some(what) = self.refused(|call| self.stands(call)) {
            return Err(Diagnostic::unsupported(what));
        }
        self.lowered(&ExecutionProps::new())
    }

    /// Ready to be evaluated in this statement, whose settings and rights its functions ask.
    ///
    /// # Errors
    /// 0A000 for subqueries and for functions that do something besides giving a value.
    pub fn within(&self, statement: &Arc<Statement>) -> Result<Compiled, Diagnostic> {
        let may_ask = |call: &ScalarFunction| {
            self.stands(call) || call.func.signature().volatility == Volatility::Stable
        };
        if let Some(what) = self.refused(may_ask) {
            return Err(Diagnostic::unsupported(what));
        }
        let options = state::options_of(statement);
        let mut properties = ExecutionProps::new();
        properties.mark_start_execution(Arc::new(options));
        self.lowered(&properties)
    }

    fn lowered(&self, properties: &ExecutionProps) -> Result<Compiled, Diagnostic> {
        let context = PhysicalPlanningContext::default();
        let physical = create_physical_expr(&self.logical, &self.row, properties, &context)
            .and_then(|physical| physical.transform_up(checked).data())
            .map_err(failure::diagnostic)?;
        let repeats = if self.logical.is_volatile() {
            Repeats::Never
        } else {
            Repeats::Always
        };
        let narrowed = narrow(physical, &self.row, &self.inputs, self.sql_type)?;
        Ok(Compiled {
            repeats,
            variables: self.variables.clone(),
            ..narrowed
        })
    }

    /// Whether a call asks nothing but its arguments, and is worked out in a slice of a core.
    fn stands(&self, call: &ScalarFunction) -> bool {
        let of_numbers = || {
            let types = call.args.iter().map(|arg| arg.get_type(&self.row));
            types
                .flatten()
                .any(|data_type| data_type == DataType::LargeBinary)
        };
        (stands_alone(call) || self.is_without_zone(call))
            && !(is_series(call.func.name()) && of_numbers())
    }

    /// A function of moments that asks for the session's time zone, and is of one that has none.
    fn is_without_zone(&self, call: &ScalarFunction) -> bool {
        let of_zone = matches!(call.func.name(), "extract" | "date_part" | "date_trunc");
        of_zone
            && call.args.get(1).is_some_and(|moment| {
                matches!(
                    moment.get_type(&self.row),
                    Ok(DataType::Date32
                        | DataType::Time64(_)
                        | DataType::Timestamp(_, None)
                        | DataType::Interval(_))
                )
            })
    }

    /// What of it may not be, given the calls that may.
    fn refused(&self, admitted: impl Fn(&ScalarFunction) -> bool) -> Option<String> {
        let mut refused = None;
        let walked = self.logical.apply(|node| {
            refused = match node {
                // Of one row it would give a list.
                Expr::ScalarFunction(call)
                    if !admitted(call) || set_returning::is(call.func.name()) =>
                {
                    Some(format!("function {}() here", call.func.name()))
                }
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => {
                    Some("a subquery here".to_owned())
                }
                Expr::WindowFunction(_) => Some("a window function here".to_owned()),
                _ => None,
            };
            Ok(match refused {
                Some(_) => TreeNodeRecursion::Stop,
                None => TreeNodeRecursion::Continue,
            })
        });
        match walked {
            Ok(_) => refused,
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Functions that are worked out by series; of a numeric of thousands of digits that takes long, so
/// they belong on the query pool.
fn is_series(function: &str) -> bool {
    matches!(
        function,
        "exp" | "ln" | "log" | "log10" | "power" | "pow" | "sqrt" | "factorial"
    )
}

/// A function that asks nothing but its arguments, or gives something new at each call.
fn stands_alone(call: &ScalarFunction) -> bool {
    call.func.signature().volatility == Volatility::Immutable || is_self_contained(call.func.name())
}

/// coalesce() is a CASE, which the planner makes of it in queries by its optimizer.
fn conditional(expression: Expr) -> Result<Transformed<Expr>, DataFusionError> {
    let Expr::ScalarFunction(call) = expression else {
        return Ok(Transformed::no(expression));
    };
    if call.func.name() != "coalesce" {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    }
    let simplified = call.func.simplify(call.args, &SimplifyContext::default())?;
    Ok(match simplified {
        ExprSimplifyResult::Simplified(simplified) => Transformed::yes(simplified),
        ExprSimplifyResult::Original(args) => Transformed::no(Expr::ScalarFunction(
            ScalarFunction::new_udf(call.func, args),
        )),
    })
}

/// `$auth.*` become columns, named by their places among those found.
fn lift_variables(logical: Expr) -> Result<(Expr, Vec<(Variable, SqlType)>), Diagnostic> {
    let mut found: Vec<(Variable, SqlType)> = Vec::new();
    let lifted = logical.transform_up(|node| {
        let Some(variable) = AuthVariable::of(&node) else {
            return Ok(Transformed::no(node));
        };
        let wanted = (variable.variable.clone(), variable.sql_type);
        let place = found.iter().position(|known| *known == wanted);
        let place = place.unwrap_or_else(|| {
            found.push(wanted);
            found.len() - 1
        });
        let column = LogicalColumn::new_unqualified(variable_column(place));
        Ok(Transformed::yes(Expr::Column(column)))
    });
    Ok((lifted.data().map_err(failure::diagnostic)?, found))
}

fn variable_column(place: usize) -> String {
    format!("\u{1}auth{place}")
}

fn plan(
    expression: ast::Expr,
    scope: &Scope,
    parameters: &[Option<SqlType>],
    input: types::Input<'_>,
) -> Result<Expr, DataFusionError> {
    let provider = Provider::new(input);
    let known = parameters
        .iter()
        .map(|known| known.map(|known| Arc::new(types::arrow_field("parameter", known, true))))
        .collect();
    let mut context = PlannerContext::new().with_prepare_param_data_types(known);
    let schema = scope.schema()?;
    let logical = SqlToRel::new(&provider).sql_to_expr(expression, &schema, &mut context)?;
    let logical = semantics::expression(logical, &schema, input)?;
    let logical = logical.transform_up(placeholder_under_cast).data()?;
    Ok(logical.infer_placeholder_types(&schema)?.0)
}

/// `$1::date` makes the parameter a date.
fn placeholder_under_cast(expression: Expr) -> Result<Transformed<Expr>, DataFusionError> {
    let Expr::Cast(cast) = &expression else {
        return Ok(Transformed::no(expression));
    };
    match &*cast.expr {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            Ok(Transformed::yes(Expr::Placeholder(
                Placeholder::new_with_field(id.clone(), Some(cast.field.clone())),
            )))
        }
        _ => Ok(Transformed::no(expression)),
    }
}

fn parameter_index(id: &str) -> Option<usize> {
    id.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}

/// Remembers the types that the placeholders of a planned expression have.
fn note_parameters(
    logical: &Expr,
    parameters: &mut Vec<Option<SqlType>>,
) -> Result<(), Diagnostic> {
    let mut result = Ok(());
    let note = |parameters: &mut Vec<Option<SqlType>>, placeholder: &Placeholder| {
        let index = parameter_index(&placeholder.id).ok_or_else(|| {
            let id = &placeholder.id;
            Diagnostic::error(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter {id}"),
            )
        })?;
        if parameters.len() <= index {
            parameters.resize(index + 1, None);
        }
        if parameters[index].is_none()
            && let Some(field) = &placeholder.field
        {
            parameters[index] = Some(types::sql_type(field)?);
        }
        match parameters[index] {
            Some(_) => Ok(()),
            None => Err(Diagnostic::error(
                SqlState::INDETERMINATE_DATATYPE,
                format!("could not determine data type of parameter ${}", index + 1),
            )),
        }
    };
    logical
        .apply(|node| {
            if let Expr::Placeholder(placeholder) = node
                && let Err(error) = note(parameters, placeholder)
            {
                result = Err(error);
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(failure::diagnostic)?;
    result
}

/// The scope, the parameters, the time and the session's variables as one row.
fn row_schema(
    scope: &Scope,
    parameters: &[Option<SqlType>],
    variables: &[(Variable, SqlType)],
) -> Result<(DFSchema, Vec<Input>), Diagnostic> {
    let mut fields = scope.fields.clone();
    let mut inputs: Vec<Input> = (0..fields.len()).map(Input::Column).collect();
    for (index, known) in parameters.iter().enumerate() {
        let known = known.unwrap_or(SqlType::scalar(TypeKind::Text));
        let field = types::arrow_field(format!("${}", index + 1), known, true);
        fields.push((None, Arc::new(field)));
        inputs.push(Input::Parameter(index));
    }
    let time = types::arrow_field(NOW, SqlType::scalar(TypeKind::Timestamptz), true);
    fields.push((None, Arc::new(time)));
    inputs.push(Input::TransactionTime);
    for (place, (_, sql_type)) in variables.iter().enumerate() {
        let field = types::arrow_field(variable_column(place), *sql_type, true);
        fields.push((None, Arc::new(field)));
        inputs.push(Input::Variable(place));
    }
    let schema =
        DFSchema::new_with_metadata(fields, HashMap::new()).map_err(failure::diagnostic)?;
    Ok((schema, inputs))
}

/// Placeholders and the time become columns.
fn bind(expression: Expr) -> Result<Transformed<Expr>, DataFusionError> {
    let bound = match &expression {
        Expr::Placeholder(placeholder) => placeholder.id.clone(),
        Expr::ScalarFunction(call) if is_transaction_time(call.func.name()) => NOW.to_owned(),
        _ => return Ok(Transformed::no(expression)),
    };
    Ok(Transformed::yes(Expr::Column(
        LogicalColumn::new_unqualified(bound),
    )))
}

fn is_transaction_time(function: &str) -> bool {
    matches!(
        function,
        "now" | "transaction_timestamp" | "current_timestamp"
    )
}

/// Functions that give something new at each call, and need nothing of the statement for it.
fn is_self_contained(function: &str) -> bool {
    matches!(function, "random" | "uuid" | "clock_timestamp") || uuids::VOLATILE.contains(&function)
}

/// Integers do not wrap.
fn checked(
    expression: Arc<dyn PhysicalExpr>,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>, DataFusionError> {
    let Some(binary) = expression.downcast_ref::<BinaryExpr>() else {
        return Ok(Transformed::no(expression));
    };
    match binary.op() {
        Operator::Plus | Operator::Minus | Operator::Multiply => Ok(Transformed::yes(Arc::new(
            binary.clone().with_fail_on_overflow(true),
        ))),
        _ => Ok(Transformed::no(expression)),
    }
}

/// Leaves only the columns that the expression looks at, so that a row is as small as can be.
fn narrow(
    physical: Arc<dyn PhysicalExpr>,
    row: &DFSchema,
    inputs: &[Input],
    sql_type: SqlType,
) -> Result<Compiled, Diagnostic> {
    let mut used: Vec<usize> = Vec::new();
    let physical = physical
        .transform_up(|node| {
            let Some(column) = node.downcast_ref::<Column>() else {
                return Ok(Transformed::no(node));
            };
            let place = used.iter().position(|index| *index == column.index());
            let place = place.unwrap_or_else(|| {
                used.push(column.index());
                used.len() - 1
            });
            let moved: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), place));
            Ok(Transformed::yes(moved))
        })
        .data()
        .map_err(failure::diagnostic)?;
    let fields: Vec<Field> = used
        .iter()
        .enumerate()
        .map(|(place, index)| {
            row.field(*index)
                .as_ref()
                .clone()
                .with_name(format!("{place}"))
        })
        .collect();
    Ok(Compiled {
        physical,
        inputs: used.iter().map(|index| inputs[*index]).collect(),
        sql_type,
        repeats: Repeats::Always,
        variables: Arc::default(),
        schema: Arc::new(Schema::new(fields)),
    })
}

/// What the planner asks while it plans an expression that stands alone: functions, operators and
/// types as a query has them, and no tables.
struct Provider {
    library: &'static Library,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

/// What all expressions share.
struct Library {
    functions: Functions,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: ConfigOptions,
}

impl Library {
    fn shared() -> &'static Library {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        LIBRARY.get_or_init(|| Library {
            functions: Functions::new(),
            planners: state::expr_planners(),
            options: state::options(),
        })
    }
}

impl Provider {
    fn new(input: types::Input<'_>) -> Provider {
        let library = Library::shared();
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Operators {
            settings: Arc::new(input.settings.clone()),
            transaction_time: input.transaction_time,
            types: input.types.map(types::UserTypes::keep),
        })];
        planners.extend(library.planners.iter().cloned());
        Provider { library, planners }
    }
}

impl ContextProvider for Provider {
    fn get_table_source(
        &self,
        name: TableReference,
    ) -> Result<Arc<dyn TableSource>, DataFusionError> {
        Err(failure::unsupported(format!("a subquery over {name} here")))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if let Some(variable) = auth_variable::named(name) {
            return Some(variable);
        }
        let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
        let found = self.library.functions.scalar.get(name).cloned();
        found.or_else(|| {
            let aggregate = self.library.functions.aggregate.contains_key(name);
            (!aggregate).then(|| Missing::function(name))
        })
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.library.options
    }

    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
