//! Array functions that the library does not have, or has with another meaning.

use super::definition::{Argument, Call, Function, INT4, TEXT};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::failure;
use crate::engine::types;
use bytes::BytesMut;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int32Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

const ANY_ARRAY: &[&[Argument]] = &[&[Argument::AnyArray, INT4]];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let int4 = SqlType::scalar(TypeKind::Int4);
    vec![
        Arc::new(ScalarUDF::new_from_impl(ArrayOrEmpty {
            signature: Signature::any(1, Volatility::Immutable),
        })),
        Function::immutable("array_upper", ANY_ARRAY, int4, |call| {
            length(call, |length| length)
        }),
        Function::immutable("array_length", ANY_ARRAY, int4, |call| {
            length(call, |length| length)
        }),
        Function::immutable("array_lower", ANY_ARRAY, int4, |call| length(call, |_| 1)),
        Function::immutable("array_ndims", &[&[Argument::AnyArray]], int4, |call| {
            let array = &call.args[0];
            call.values::<Int32Type>(|row| {
                let dimensions = dimensions(array, row).len();
                Ok(i32::try_from(dimensions).ok().filter(|count| *count > 0))
            })
        }),
        Function::immutable(
            "array_dims",
            &[&[Argument::AnyArray]],
            SqlType::scalar(TypeKind::Text),
            |call| {
                let array = &call.args[0];
                call.texts(|row| {
                    let bounds = dimensions(array, row).into_iter();
                    let shown: String = bounds.map(|length| format!("[1:{length}]")).collect();
                    Ok((!shown.is_empty()).then_some(shown))
                })
            },
        ),
        Function::immutable("cardinality", &[&[Argument::AnyArray]], int4, |call| {
            let array = &call.args[0];
            call.values::<Int32Type>(|row| Ok(cardinality(array, row)))
        }),
        Function::stable(
            "array_to_string",
            &[
                &[Argument::AnyArray, TEXT],
                &[Argument::AnyArray, TEXT, TEXT],
            ],
            SqlType::scalar(TypeKind::Text),
            array_to_string,
        ),
    ]
}

/// The array as lists; None where it is NULL throughout.
///
/// # Errors
/// 42804 where it is no array.
pub fn list(array: &ArrayRef) -> Result<Option<&ListArray>> {
    match array.data_type() {
        DataType::Null => Ok(None),
        DataType::List(_) => Ok(Some(array.as_list::<i32>())),
        _ => Err(failure::error(
            crate::diagnostic::SqlState::DATATYPE_MISMATCH,
            "argument is not an array",
        )),
    }
}

/// The length of a dimension; NULL where there is none.
fn length(call: &Call<'_>, of: fn(i32) -> i32) -> Result<ArrayRef> {
    let array = &call.args[0];
    call.values::<Int32Type>(|row| {
        let dimension = call.int4(1, row).and_then(|one| usize::try_from(one).ok());
        let place = dimension.and_then(|dimension| dimension.checked_sub(1));
        let lengths = dimensions(array, row);
        Ok(place
            .and_then(|place| lengths.get(place))
            .map(|length| of(*length)))
    })
}

/// The lengths of an array's dimensions; none of NULL and of an empty one.
fn dimensions(array: &ArrayRef, row: usize) -> Vec<i32> {
    let mut lengths = Vec::new();
    let (mut array, mut row) = (array.clone(), row);
    while let Some(lists) = array.as_list_opt::<i32>() {
        if lists.is_null(row) || lists.value_length(row) == 0 {
            break;
        }
        lengths.push(lists.value_length(row));
        array = lists.value(row);
        row = 0;
    }
    lengths
}

/// How many elements an array has in all its dimensions; None where it is NULL.
fn cardinality(array: &ArrayRef, row: usize) -> Option<i32> {
    let lists = array.as_list_opt::<i32>()?;
    if lists.is_null(row) {
        return None;
    }
    let elements = lists.value(row);
    match elements.data_type() {
        DataType::List(_) => (0..elements.len())
            .map(|at| cardinality(&elements, at))
            .sum(),
        _ => Some(lists.value_length(row)),
    }
}

/// Elements as text between separators; NULL elements are left out unless a text stands for them.
fn array_to_string(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement();
    let defaults = crate::engine::settings::Settings::default();
    let settings = match &statement {
        Ok(statement) => &*statement.context.settings,
        Err(_) => &defaults,
    };
    let lists = list(&call.args[0])?;
    call.texts(|row| {
        let (Some(lists), Some(separator)) =
            (lists.filter(|lists| !lists.is_null(row)), call.text(1, row))
        else {
            return Ok(None);
        };
        let elements = lists.value(row);
        let sql_type =
            types::arrow::from_data_type(elements.data_type()).map_err(failure::external)?;
        let column = types::Column::new(&elements, sql_type).map_err(failure::external)?;
        let for_null = (call.args.len() == 3).then(|| call.text(2, row)).flatten();
        let mut parts = Vec::with_capacity(elements.len());
        for index in 0..elements.len() {
            if column.is_null(index) {
                parts.extend(for_null.map(str::to_owned));
                continue;
            }
            let mut text = BytesMut::new();
            column.text(index, settings, &mut text);
            parts.push(String::from_utf8_lossy(&text).into_owned());
        }
        Ok(Some(parts.join(separator)))
    })
}

/// ARRAY(subquery) of no rows is an empty array, where the aggregate gives NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayOrEmpty {
    signature: Signature,
}

impl ScalarUDFImpl for ArrayOrEmpty {
    fn name(&self) -> &str {
        "array_or_empty"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(args.arg_fields[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let Some(lists) = list(&array)? else {
            return Ok(args.args[0].clone());
        };
        if lists.null_count() == 0 {
            return Ok(args.args[0].clone());
        }
        // A NULL list may cover elements; only the validity is dropped where it covers none.
        let lengths = (0..lists.len()).map(|row| {
            if lists.is_null(row) {
                0
            } else {
                lists.value_length(row) as usize
            }
        });
        let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths(lengths);
        let parts: Vec<_> = (0..lists.len())
            .filter(|row| lists.is_valid(*row))
            .map(|row| lists.value(row))
            .collect();
        let values = if parts.is_empty() {
            lists.values().slice(0, 0)
        } else {
            let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
            datafusion::arrow::compute::concat(&parts)?
        };
        let DataType::List(field) = lists.data_type() else {
            return Err(DataFusionError::Internal("a list".to_owned()));
        };
        let result = ListArray::try_new(field.clone(), offsets, values, None::<NullBuffer>)?;
        Ok(ColumnarValue::Array(Arc::new(result)))
    }
}
