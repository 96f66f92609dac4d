//! enum_first, enum_last and enum_range (<https://www.postgresql.org/docs/15/functions-enum.html>), and
//! what else can be asked of an enumeration's value.
//!
//! The first two ask nothing but a type, and the third constants: `semantics` works them out while a
//! statement is planned. Functions of texts do not take such values, though they are bytes to the library.

use super::label;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::cast::{self, is_unknown};
use crate::engine::query::failure;
use crate::engine::types::decode::list_scalar;
use crate::engine::types::{self, Input, enumeration};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Unnest, Volatility,
};
use std::sync::Arc;

/// What each gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    First,
    Last,
    Range,
}

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let kinds = [
        ("enum_first", Kind::First),
        ("enum_last", Kind::Last),
        ("enum_range", Kind::Range),
    ];
    let function = |(name, kind)| {
        Arc::new(ScalarUDF::new_from_impl(OfEnum {
            name,
            kind,
            signature: Signature::user_defined(Volatility::Stable),
        }))
    };
    kinds.into_iter().map(function).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfEnum {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

impl OfEnum {
    /// The enumeration that the arguments are of.
    ///
    /// # Errors
    /// 42883
    fn element(&self, given: &[SqlType]) -> Result<SqlType> {
        let arguments = match self.kind {
            Kind::First | Kind::Last => 1..=1,
            Kind::Range => 1..=2,
        };
        let is_enum = |one: &&SqlType| matches!(one.kind, TypeKind::Enum(_)) && !one.array;
        let element = given.iter().find(is_enum);
        let fits = |one: &SqlType| Some(one) == element || one.kind == TypeKind::Unknown;
        match element {
            Some(element) if arguments.contains(&given.len()) && given.iter().all(fits) => {
                Ok(*element)
            }
            _ => Err(failure::external(failure::no_function(self.name, given))),
        }
    }

    fn result(&self, element: SqlType) -> SqlType {
        SqlType {
            array: self.kind == Kind::Range,
            ..element
        }
    }
}

impl ScalarUDFImpl for OfEnum {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Err(never(self.name))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let untyped = |field: &FieldRef| {
            field.metadata().is_empty()
                && matches!(field.data_type(), DataType::Utf8 | DataType::Null)
        };
        let of = |field: &FieldRef| match untyped(field) {
            true => Ok(SqlType::scalar(TypeKind::Unknown)),
            false => label::type_of(field),
        };
        let given = args.arg_fields.iter().map(of).collect::<Result<Vec<_>>>()?;
        let result = self.result(self.element(&given)?);
        Ok(Arc::new(cast::field(self.name, result)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(never(self.name))
    }
}

fn never(name: &str) -> DataFusionError {
    DataFusionError::Internal(format!("{name} is worked out when it is planned"))
}

/// What the call gives, if it is one of these.
///
/// # Errors
/// 42883; 0A000 for a range between values that are no constants.
pub fn constant(
    call: &ScalarFunction,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Option<Expr>> {
    let inner: &dyn std::any::Any = call.func.inner().as_ref();
    let Some(function) = inner.downcast_ref::<OfEnum>() else {
        return Ok(None);
    };
    let given = call.args.iter().map(|arg| cast::type_of(arg, schema));
    let element = function.element(&given.collect::<Result<Vec<_>>>()?)?;
    let TypeKind::Enum(type_id) = element.kind else {
        return Err(never(function.name));
    };
    let known = enumeration::known(type_id, input).map_err(failure::external)?;
    let values: Vec<_> = known.labels.iter().map(|label| label.value()).collect();
    let of = |value: Option<&Vec<u8>>| ScalarValue::BinaryView(value.cloned());
    let value = match function.kind {
        Kind::First | Kind::Last if values.is_empty() => {
            return Err(failure::error(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("enum {} contains no values", types::format_type(element)),
            ));
        }
        Kind::First => of(values.first()),
        Kind::Last => of(values.last()),
        Kind::Range => {
            let (from, to) = match call.args.as_slice() {
                [from, to] => (bound(from, element, input)?, bound(to, element, input)?),
                _ => (None, None),
            };
            let within = |value: &&Vec<u8>| {
                from.as_ref().is_none_or(|from| from <= *value)
                    && to.as_ref().is_none_or(|to| *value <= to)
            };
            let elements = values.iter().filter(within).map(|value| of(Some(value)));
            list_scalar(elements.collect(), element)
        }
    };
    let metadata = cast::metadata(function.result(element));
    Ok(Some(Expr::Literal(value, Some(metadata))))
}

/// The value of a bound; None: there is no bound.
fn bound(expr: &Expr, element: SqlType, input: Input<'_>) -> Result<Option<Vec<u8>>> {
    let expr = match is_unknown(expr) {
        true => {
            let unknown = SqlType::scalar(TypeKind::Unknown);
            cast::explicit(expr.clone(), unknown, element, input)?
        }
        false => expr.clone(),
    };
    match expr {
        Expr::Literal(ScalarValue::BinaryView(value), _) => Ok(value),
        _ => Err(failure::unsupported(
            "enum_range of values that are no constants",
        )),
    }
}

/// A call over an array of an enumeration, as one whose result is known to be of it: the library forgets
/// what the elements are. None of any other.
///
/// # Errors
/// What the planner says of a column that is not there.
pub fn typed(call: &ScalarFunction, schema: &DFSchema, input: Input<'_>) -> Result<Option<Expr>> {
    let Some(first) = call.args.first() else {
        return Ok(None);
    };
    let list = match (call.name(), cast::type_of(first, schema)) {
        ("array_to_string" | "array_element" | "array_slice", Ok(list)) => list,
        _ => return Ok(None),
    };
    if !list.array || !matches!(list.kind, TypeKind::Enum(_)) {
        return Ok(None);
    }
    if call.name() == "array_to_string" {
        let mut args = call.args.clone();
        let texts = SqlType::array_of(TypeKind::Text);
        args[0] = cast::explicit(args[0].clone(), list, texts, input)?;
        let call = ScalarFunction::new_udf(call.func.clone(), args);
        return Ok(Some(Expr::ScalarFunction(call)));
    }
    let array = call.name() == "array_slice";
    let result = SqlType { array, ..list };
    Ok(Some(label::as_type(
        Expr::ScalarFunction(call.clone()),
        result,
    )))
}

/// What `unnest` gives, where it is of arrays of an enumeration: labelled, the library forgets it.
///
/// # Errors
/// What the planner says of such a projection.
pub fn unnested(unnest: Unnest) -> Result<LogicalPlan> {
    let below = unnest.input.schema().clone();
    let element = |index: usize| {
        let list = label::type_of(below.field(index)).ok()?;
        let of_enum = list.array && matches!(list.kind, TypeKind::Enum(_));
        of_enum.then_some(SqlType {
            array: false,
            ..list
        })
    };
    let lists = unnest.list_type_columns.iter();
    let of_enum: Vec<_> = lists
        .filter_map(|(index, list)| Some((list.output_column.name.clone(), element(*index)?)))
        .collect();
    let plan = LogicalPlan::Unnest(unnest).recompute_schema()?;
    if of_enum.is_empty() {
        return Ok(plan);
    }
    let schema = plan.schema().clone();
    let columns = schema.iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let known = of_enum.iter().find(|(name, _)| name == field.name());
        match known.filter(|_| *field.data_type() == DataType::BinaryView) {
            Some((_, element)) => {
                label::as_type(column, *element).alias_qualified(qualifier.cloned(), field.name())
            }
            None => column,
        }
    });
    let columns = columns.collect();
    let labelled = Projection::try_new(columns, Arc::new(plan))?;
    Ok(LogicalPlan::Projection(labelled))
}

/// Functions that take values of any type.
const OF_ANY: &[&str] = &[
    "array_append",
    "array_cat",
    "array_contained",
    "array_contains",
    "array_dims",
    "array_element",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_length",
    "array_lower",
    "array_ndims",
    "array_or_empty",
    "array_overlaps",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_replace",
    "array_slice",
    "array_to_json",
    "array_to_string",
    "array_upper",
    "at_least_all",
    "at_least_any",
    "at_most_all",
    "at_most_any",
    "cardinality",
    "cast",
    "cast_to",
    "coalesce",
    "concat",
    "concat_ws",
    "differs_from_all",
    "differs_from_any",
    "equals_all",
    "equals_any",
    "format",
    "get_field",
    "greater_than_all",
    "greater_than_any",
    "greatest",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "label",
    "least",
    "less_than_all",
    "less_than_any",
    "make_array",
    "named_struct",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "pg_typeof",
    "row",
    "row_to_json",
    "struct",
    "to_json",
    "to_jsonb",
];

/// Aggregates that take values of any type.
const AGGREGATES_OF_ANY: &[&str] = &[
    "array_agg",
    "count",
    "first_value",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "single_value",
];

/// That a function takes its arguments, where one is an enumeration's value or an array of them.
///
/// # Errors
/// 42883
pub fn demand_taken(name: &str, args: &[Expr], schema: &DFSchema) -> Result<()> {
    demand(OF_ANY, name, args, schema)
}

/// As [`demand_taken`], of an aggregate.
///
/// # Errors
/// 42883
pub fn demand_aggregated(name: &str, args: &[Expr], schema: &DFSchema) -> Result<()> {
    demand(AGGREGATES_OF_ANY, name, args, schema)
}

fn demand(taking: &[&str], name: &str, args: &[Expr], schema: &DFSchema) -> Result<()> {
    if taking.contains(&name) {
        return Ok(());
    }
    let types = args.iter().map(|arg| cast::type_of(arg, schema));
    let types: Vec<_> = types.flatten().collect();
    let of_enum = |one: &SqlType| matches!(one.kind, TypeKind::Enum(_));
    if !types.iter().any(of_enum) {
        return Ok(());
    }
    // The library's name for it.
    let name = match name {
        "character_length" => "length",
        "btrim" => "trim",
        other => other,
    };
    Err(failure::external(failure::no_function(name, &types)))
}

/// Of members that must be of one type: two that are not, one of them an enumeration's.
pub fn unlike(members: &[Expr], schema: &DFSchema) -> Option<(SqlType, SqlType)> {
    let known = members.iter().filter(|member| !is_unknown(member));
    let types: Vec<_> = known
        .filter_map(|member| cast::type_of(member, schema).ok())
        .collect();
    let of_enum = |one: &SqlType| matches!(one.kind, TypeKind::Enum(_));
    if !types.iter().any(of_enum) {
        return None;
    }
    let first = *types.first()?;
    let other = types
        .into_iter()
        .find(|one| (one.kind, one.array) != (first.kind, first.array))?;
    Some((first, other))
}
