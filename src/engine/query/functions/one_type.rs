//! coalesce, nullif, greatest, least and ARRAY[…] while a statement is planned: of the one type that
//! PostgreSQL resolves their arguments to.
//!
//! The library's own resolve otherwise (a numeric beside an integer, jsonb beside a literal);
//! `semantics` gives the arguments that one type and calls those.

use super::label;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::{cast, failure};
use crate::engine::types;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// Those that take any number of values of one type.
const NAMES: &[&str] = &["coalesce", "nullif", "greatest", "least", ARRAY];
/// The one whose result is not of that type: ARRAY[…].
const ARRAY: &str = "make_array";

/// Puts them in the place of the library's.
pub fn replace(library: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if !NAMES.contains(&library.name()) {
        return library.clone();
    }
    Arc::new(ScalarUDF::new_from_impl(OneType {
        library: library.clone(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

/// The library's function, called with arguments of one type.
pub fn call(function: &Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    let library = inner.downcast_ref::<OneType>().map(|one| &one.library);
    let library = library.unwrap_or(function).clone();
    Expr::ScalarFunction(ScalarFunction::new_udf(library, args))
}

/// The type that values of these types have together where the library resolves otherwise: numbers of
/// which one is numeric, and moments.
///
/// PostgreSQL's "UNION, CASE, and Related Constructs".
pub fn unlike_library(types: &[SqlType]) -> Option<SqlType> {
    use TypeKind::{Date, Float4, Float8, Int2, Int4, Int8, Numeric, Timestamp, Timestamptz};
    let of_kind = |kind| types.iter().any(|one| one.kind == kind);
    let all_of = |kinds: &[TypeKind]| {
        let is = |one: &SqlType| !one.array && kinds.contains(&one.kind);
        types.iter().all(is)
    };
    if of_kind(Numeric) && all_of(&[Int2, Int4, Int8, Numeric, Float4, Float8]) {
        return Some(match (of_kind(Float8), of_kind(Float4)) {
            (true, _) => SqlType::scalar(Float8),
            (false, true) => SqlType::scalar(Float4),
            (false, false) => types::name::ANY_NUMERIC,
        });
    }
    let moments = [Timestamptz, Timestamp, Date];
    let latest = moments.into_iter().find(|kind| of_kind(*kind))?;
    all_of(&moments).then_some(SqlType::scalar(latest))
}

/// The type that numbers or moments of these types have together; None of others.
pub fn common_type(types: &[SqlType]) -> Option<SqlType> {
    use TypeKind::{Float4, Float8, Int2, Int4, Int8};
    if let Some(common) = unlike_library(types) {
        return Some(common);
    }
    let ranks = [Int2, Int4, Int8, Float4, Float8];
    let rank = |one: &SqlType| match one.array {
        true => None,
        false => ranks.iter().position(|kind| *kind == one.kind),
    };
    let highest = types
        .iter()
        .map(rank)
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()?;
    Some(SqlType::scalar(ranks[highest]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneType {
    library: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for OneType {
    fn name(&self) -> &str {
        self.library.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.library.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = typed(&args);
        let types: Result<Vec<_>> = fields.iter().map(|field| label::type_of(field)).collect();
        let types = types?;
        let of_enum = |one: &SqlType| matches!(one.kind, TypeKind::Enum(_));
        if types.iter().any(of_enum)
            && let Some(other) = types.iter().find(|one| one.kind != types[0].kind)
        {
            return Err(unlike(&self.said(), types[0], *other));
        }
        let alike = fields
            .iter()
            .all(|field| field.data_type() == fields[0].data_type());
        let of_array = self.name() == ARRAY;
        if !alike && let Some(number) = unlike_library(&types) {
            let result = match of_array {
                true => SqlType::array_of(number.kind),
                false => number,
            };
            return Ok(Arc::new(cast::field(self.name(), result)));
        }
        let differs = |one: &&SqlType| one.kind != types[0].kind || one.array != types[0].array;
        let coerced =
            fields_with_udf(&fields, self.library.as_ref()).map_err(|error| {
                match types.iter().find(differs) {
                    Some(other) => unlike(&self.said(), types[0], *other),
                    None => error,
                }
            })?;
        let resolved = self.library.return_field_from_args(ReturnFieldArgs {
            arg_fields: &coerced,
            scalar_arguments: args.scalar_arguments,
        })?;
        Ok(match of_array {
            true => resolved,
            false => label::kept(resolved, types.first().copied()),
        })
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!(
            "{} is called by its library's name",
            self.name()
        )))
    }
}

impl OneType {
    /// What PostgreSQL's messages call it.
    fn said(&self) -> String {
        match self.name() {
            ARRAY => "ARRAY".to_owned(),
            name => name.to_uppercase(),
        }
    }
}

/// 42804 of values that must be of one type.
pub fn unlike(what: &str, left: SqlType, right: SqlType) -> DataFusionError {
    let name = |sql_type| {
        types::format_type(SqlType {
            typmod: -1,
            ..sql_type
        })
    };
    let (left, right) = (name(left), name(right));
    failure::error(
        SqlState::DATATYPE_MISMATCH,
        format!("{what} types {left} and {right} cannot be matched"),
    )
}

/// The arguments' fields, what has no type as the first that has one.
fn typed(args: &ReturnFieldArgs) -> Vec<FieldRef> {
    let unknown = |(place, field): (usize, &FieldRef)| {
        let written = args.scalar_arguments.get(place).copied().flatten();
        let quoted = matches!(written, Some(ScalarValue::Utf8(_) | ScalarValue::Null));
        field.data_type() == &DataType::Null || quoted && field.metadata().is_empty()
    };
    let places = || args.arg_fields.iter().enumerate();
    let known = places()
        .find(|place| !unknown(*place))
        .map(|(_, field)| field.clone());
    let known = known.unwrap_or_else(|| Arc::new(Field::new("text", DataType::Utf8, true)));
    places()
        .map(|place| {
            if unknown(place) {
                known.clone()
            } else {
                place.1.clone()
            }
        })
        .collect()
}
