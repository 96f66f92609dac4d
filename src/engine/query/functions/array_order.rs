//! What arrays are compared by: bytes in the order of their elements, a NULL element behind every other
//! (PostgreSQL §9.19, "array comparisons compare the array contents element-by-element").
//!
//! The library's own comparison puts a NULL element first, and does not know that 1.0 and 1.00 are equal.

use super::array::list;
use super::definition::{Argument, Call, Function};
use super::{float, time};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::number::array::Numbers;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, ListArray, new_null_array,
};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The function that makes the key of an array.
pub fn key() -> Arc<ScalarUDF> {
    Function::immutable(
        "array_key",
        &[&[Argument::AnyArray]],
        SqlType::scalar(TypeKind::Bytea),
        keys,
    )
}

fn keys(call: &Call<'_>) -> Result<ArrayRef> {
    let Some(lists) = list(&call.args[0])? else {
        return Ok(new_null_array(&DataType::Binary, call.rows));
    };
    let comparable = comparable(lists)?;
    let order = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let field = SortField::new_with_options(comparable.data_type().clone(), order);
    let rows = RowConverter::new(vec![field])?.convert_columns(&[Arc::new(comparable)])?;
    let mut out = BinaryBuilder::new();
    for (row, bytes) in rows.iter().enumerate() {
        match lists.is_null(row) {
            true => out.append_null(),
            false => out.append_value(bytes),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// The arrays with elements whose bytes are equal where they are.
fn comparable(lists: &ListArray) -> Result<ListArray> {
    let values = lists.values();
    let values: ArrayRef = match values.data_type() {
        DataType::Decimal128(..) | DataType::LargeBinary => Arc::new(Numbers::new(values).keys()),
        DataType::Interval(_) => {
            time::interval_keys(values.as_primitive::<IntervalMonthDayNanoType>())?
        }
        DataType::Float32 | DataType::Float64 => float::keys(values),
        DataType::List(_) => Arc::new(comparable(values.as_list::<i32>())?),
        _ => return Ok(lists.clone()),
    };
    let field = Field::new_list_field(values.data_type().clone(), true);
    Ok(ListArray::try_new(
        Arc::new(field),
        lists.offsets().clone(),
        values,
        lists.nulls().cloned(),
    )?)
}
