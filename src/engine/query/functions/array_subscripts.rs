//! `array[i]`, `array[i][j]` and `array[from:to]`; `jsonb['key']`.
//!
//! PostgreSQL §8.15.3 and §8.14.5. The library's own count a negative subscript from the end, where
//! there is nothing.

use super::{array::list, json};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::operators::is_text;
use crate::engine::query::{cast, failure};
use crate::engine::types::{self, CastContext, Input};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, new_null_array};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int32Type};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// The name of the function that `array[i]` is, its subscripts behind the array.
pub const ELEMENT: &str = "array_element";
/// The name of the function that `array[from:to]` is.
pub const SLICE: &str = "array_slice";

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [ELEMENT, SLICE]
        .map(|name| {
            Arc::new(ScalarUDF::new_from_impl(Subscripted {
                name,
                signature: Signature::user_defined(Volatility::Immutable),
            }))
        })
        .into()
}

/// Whether it is one of these.
pub fn is(function: &ScalarUDF) -> bool {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.is::<Subscripted>()
}

/// The call with its subscripts as integers; of jsonb the operators `->` that it is.
///
/// # Errors
/// 42804 for what has no parts, and for a subscript that is no integer.
pub fn typed(mut call: ScalarFunction, schema: &DFSchema, input: Input<'_>) -> Result<Expr> {
    let whole = call.args.remove(0);
    let of = cast::type_of(&whole, schema)?;
    if of.kind == TypeKind::Jsonb && !of.array {
        return parts_of_json(whole, call, schema, input);
    }
    if !of.array && of.kind != TypeKind::Unknown {
        return Err(mismatch(format!(
            "cannot subscript type {} because it does not support subscripting",
            types::format_type(SqlType { typmod: -1, ..of })
        )));
    }
    let int4 = SqlType::scalar(TypeKind::Int4);
    let integer = |subscript: Expr| {
        let from = cast::type_of(&subscript, schema)?;
        let assigned = from.kind == TypeKind::Unknown
            || types::can_cast(from, int4, CastContext::Assignment) && !is_text(from.kind);
        match assigned {
            true => cast::explicit(subscript, from, int4, input),
            false => Err(mismatch("array subscript must have type integer")),
        }
    };
    let subscripts = call.args.into_iter().map(integer);
    let args: Result<Vec<_>> = std::iter::once(Ok(whole)).chain(subscripts).collect();
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
        call.func, args?,
    )))
}

/// `jsonb['key'][0]` is `jsonb #> '{key}' #> '{0}'`.
fn parts_of_json(
    whole: Expr,
    call: ScalarFunction,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Expr> {
    if call.func.name() == SLICE {
        return Err(mismatch("jsonb subscript does not support slices"));
    }
    let (jsonb, text) = (
        SqlType::scalar(TypeKind::Jsonb),
        SqlType::scalar(TypeKind::Text),
    );
    let mut part = whole;
    for subscript in call.args {
        let from = cast::type_of(&subscript, schema)?;
        if json::operators::function(&BinaryOperator::Arrow, jsonb, from).is_none() {
            let from = types::format_type(SqlType { typmod: -1, ..from });
            let refused = Diagnostic::error(
                SqlState::DATATYPE_MISMATCH,
                format!("subscript type {from} is not supported"),
            );
            let hint = "jsonb subscript must be coercible to either integer or text.";
            return Err(failure::external(refused.with_hint(hint)));
        }
        let subscript = cast::explicit(subscript, from, text, input)?;
        let path = json::path();
        part = Expr::ScalarFunction(ScalarFunction::new_udf(path, vec![part, subscript]));
    }
    Ok(part)
}

fn mismatch(what: impl Into<String>) -> DataFusionError {
    failure::error(SqlState::DATATYPE_MISMATCH, what.into())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Subscripted {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Subscripted {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let subscripts = arg_types.iter().skip(1).map(|_| DataType::Int32);
        Ok(arg_types
            .iter()
            .take(1)
            .cloned()
            .chain(subscripts)
            .collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal(
            "it is of its argument's field".to_owned(),
        ))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let array = &args.arg_fields[0];
        let of = super::label::type_of(array)?;
        let field = array.as_ref().clone().with_name(self.name);
        let field = field.with_nullable(true);
        if self.name == SLICE || of.kind == TypeKind::Jsonb && !of.array {
            return Ok(Arc::new(field));
        }
        let element = cast::field(self.name, SqlType { array: false, ..of });
        Ok(Arc::new(
            element.with_data_type(innermost(array.data_type()).clone()),
        ))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays: Result<Vec<_>> = args.args.iter().map(|one| one.to_array(rows)).collect();
        let arrays = arrays?;
        let (whole, subscripts) = (&arrays[0], &arrays[1..]);
        let found = match self.name {
            SLICE => slices(whole, subscripts)?,
            _ => elements(whole, subscripts, args.return_field.data_type())?,
        };
        Ok(ColumnarValue::Array(found))
    }
}

fn innermost(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(element) => innermost(element.data_type()),
        other => other,
    }
}

/// The element at the subscripts, one for each dimension; NULL where there is none.
fn elements(whole: &ArrayRef, subscripts: &[ArrayRef], of: &DataType) -> Result<ArrayRef> {
    let mut found = whole.clone();
    for subscript in subscripts {
        found = match found.data_type() {
            DataType::List(_) => element(found.as_list::<i32>(), subscript)?,
            _ => return Ok(new_null_array(of, whole.len())),
        };
    }
    match found.data_type() == of {
        true => Ok(found),
        // There are more dimensions than subscripts.
        false => Ok(new_null_array(of, whole.len())),
    }
}

fn element(lists: &ListArray, subscript: &ArrayRef) -> Result<ArrayRef> {
    let subscript = subscript.as_primitive::<Int32Type>();
    let place = |row: usize| {
        if lists.is_null(row) || subscript.is_null(row) {
            return None;
        }
        let (at, length) = (subscript.value(row), lists.value_length(row));
        (1..=length)
            .contains(&at)
            .then(|| (lists.value_offsets()[row] + at - 1) as u32)
    };
    let places: UInt32Array = (0..lists.len()).map(place).collect();
    Ok(take(lists.values(), &places, None)?)
}

/// The elements from one subscript to another, as far as they are there.
fn slices(whole: &ArrayRef, subscripts: &[ArrayRef]) -> Result<ArrayRef> {
    let Some(lists) = list(whole)? else {
        return Ok(whole.clone());
    };
    let DataType::List(field) = lists.data_type() else {
        return Ok(whole.clone());
    };
    let (from, to) = (
        subscripts[0].as_primitive::<Int32Type>(),
        subscripts[1].as_primitive::<Int32Type>(),
    );
    let mut places = Vec::new();
    let mut lengths = Vec::with_capacity(lists.len());
    let mut present = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let known = lists.is_valid(row) && from.is_valid(row) && to.is_valid(row);
        present.push(known);
        let before = places.len();
        if known {
            let first = from.value(row).max(1);
            let last = to.value(row).min(lists.value_length(row));
            let start = lists.value_offsets()[row];
            places.extend((first..=last).map(|at| (start + at - 1) as u32));
        }
        lengths.push(places.len() - before);
    }
    let values = take(lists.values(), &UInt32Array::from(places), None)?;
    Ok(Arc::new(ListArray::try_new(
        field.clone(),
        OffsetBuffer::from_lengths(lengths),
        values,
        Some(NullBuffer::from(present)),
    )?))
}
