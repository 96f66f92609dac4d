//! `-x` of every number type and of intervals, checked.

use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::operators::arithmetic;
use crate::engine::query::operators::decimal;
use crate::engine::types::number::array::Numbers;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, LargeBinaryBuilder, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// What `-x` is rewritten to.
pub const NEGATIVE: &str = "negative";

/// The function.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::new_from_impl(Negative {
        signature: Signature::user_defined(Volatility::Immutable),
    }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Negative {
    signature: Signature,
}

impl ScalarUDFImpl for Negative {
    fn name(&self) -> &str {
        NEGATIVE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let given = |data_type| {
            crate::engine::types::arrow::from_data_type(data_type)
                .map(crate::engine::types::format_type)
                .unwrap_or_default()
        };
        let [argument] = arg_types else {
            return Err(super::aggregate::no_such(NEGATIVE, arg_types));
        };
        Ok(vec![match argument {
            DataType::Float32 | DataType::Float64 => argument.clone(),
            DataType::Null => DataType::Float64,
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            other => match decimal::exact(other) {
                Some(exact) => exact,
                None => {
                    return Err(failure::error(
                        SqlState::UNDEFINED_FUNCTION,
                        format!("operator does not exist: - {}", given(other)),
                    ));
                }
            },
        }])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if constant { 1 } else { args.number_rows })?;
        let result: ArrayRef = match array.data_type() {
            DataType::Int16 => each::<Int16Type>(&array, i16::checked_neg)?,
            DataType::Int32 => each::<Int32Type>(&array, i32::checked_neg)?,
            DataType::Int64 => each::<Int64Type>(&array, i64::checked_neg)?,
            DataType::Float32 => each::<Float32Type>(&array, |value| {
                Some(if value.is_nan() { value } else { -value })
            })?,
            DataType::Float64 => each::<Float64Type>(&array, |value| {
                // NaN has no sign (float8um).
                Some(if value.is_nan() { value } else { -value })
            })?,
            DataType::Decimal128(..) => each::<Decimal128Type>(&array, i128::checked_neg)?,
            DataType::Interval(_) => each::<IntervalMonthDayNanoType>(&array, opposite)?,
            _ => {
                let numbers = Numbers::new(&array);
                let mut out = LargeBinaryBuilder::with_capacity(array.len(), array.len() * 16);
                for row in 0..array.len() {
                    out.append_option(numbers.get(row).map(|number| number.negated().to_ordered()));
                }
                Arc::new(out.finish())
            }
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

fn opposite(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    Some(IntervalMonthDayNano::new(
        value.months.checked_neg()?,
        value.days.checked_neg()?,
        value.nanoseconds.checked_neg()?,
    ))
}

fn each<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    of: fn(T::Native) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let out_of_range = || arithmetic::out_of_range(array.data_type());
    let values = array.as_primitive::<T>().iter().map(|value| {
        value
            .map(|value| of(value).ok_or_else(out_of_range))
            .transpose()
    });
    let values: PrimitiveArray<T> = values.collect::<Result<Vec<_>>>()?.into_iter().collect();
    Ok(Arc::new(values.with_data_type(array.data_type().clone())))
}
