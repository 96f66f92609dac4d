//! Mathematical functions whose types are not those of `numeric_math`: mod(), abs(), scale(),
//! width_bucket(), and `~`.

use super::definition::{Argument, Call, FLOAT8, Function, INT4};
use super::numeric_math::int4_of;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::operators::arithmetic::{self, Operation};
use crate::engine::query::operators::{bits, decimal};
use crate::engine::types::number::array::{Numbers, is_exact};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, LargeBinaryBuilder, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

const NUMBER: &[&[Argument]] = &[&[Argument::Any]];
const FLOAT: &[&[Argument]] = &[&[FLOAT8]];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let int4 = SqlType::scalar(TypeKind::Int4);
    let float8 = SqlType::scalar(TypeKind::Float8);
    vec![
        Arc::new(ScalarUDF::new_from_impl(Modulo {
            signature: Signature::user_defined(Volatility::Immutable),
        })),
        Arc::new(ScalarUDF::new_from_impl(Absolute {
            signature: Signature::user_defined(Volatility::Immutable),
        })),
        bits::not(),
        Function::immutable("scale", NUMBER, int4, |call| {
            exact(call, "scale")?;
            Ok(Arc::new(int4_of(&call.args[0], |number| number.scale())))
        }),
        Function::immutable("min_scale", NUMBER, int4, |call| {
            exact(call, "min_scale")?;
            Ok(Arc::new(int4_of(&call.args[0], |number| {
                number.scale_min()
            })))
        }),
        Function::immutable(
            "width_bucket",
            &[&[FLOAT8, FLOAT8, FLOAT8, INT4]],
            int4,
            width_bucket,
        ),
        Function::immutable("acos", FLOAT, float8, |call| {
            within(call, |value| value.abs() <= 1.0, f64::acos)
        }),
        Function::immutable("asin", FLOAT, float8, |call| {
            within(call, |value| value.abs() <= 1.0, f64::asin)
        }),
        Function::immutable("acosh", FLOAT, float8, |call| {
            within(call, |value| value >= 1.0, f64::acosh)
        }),
        Function::immutable("atanh", FLOAT, float8, |call| {
            within(call, |value| value.abs() <= 1.0, f64::atanh)
        }),
    ]
}

/// A function that is not of every number: 22003 outside, and NaN of NaN.
fn within(
    call: &Call<'_>,
    is_inside: fn(f64) -> bool,
    value_of: fn(f64) -> f64,
) -> Result<ArrayRef> {
    let values = call.args[0].as_primitive::<Float64Type>();
    call.values::<Float64Type>(|row| {
        let value = values.is_valid(row).then(|| values.value(row));
        match value {
            Some(value) if !value.is_nan() && !is_inside(value) => Err(failure::error(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "input is out of range",
            )),
            value => Ok(value.map(value_of)),
        }
    })
}

fn exact(call: &Call<'_>, name: &str) -> Result<()> {
    let data_type = call.args[0].data_type();
    match is_exact(data_type) {
        true => Ok(()),
        false => Err(super::aggregate::no_such(
            name,
            std::slice::from_ref(data_type),
        )),
    }
}

/// Which of so many equal parts between two bounds a value is in; 0 below, one more above.
fn width_bucket(call: &Call<'_>) -> Result<ArrayRef> {
    let invalid = |message| failure::error(SqlState::new("2201G"), message);
    let float = |argument: usize, row: usize| {
        let array = call.args[argument].as_primitive::<Float64Type>();
        array.is_valid(row).then(|| array.value(row))
    };
    call.values::<Int32Type>(|row| {
        let (Some(value), Some(low), Some(high)) = (float(0, row), float(1, row), float(2, row))
        else {
            return Ok(None);
        };
        let Some(count) = call.int4(3, row) else {
            return Ok(None);
        };
        if count <= 0 {
            return Err(invalid("count must be greater than zero"));
        }
        if value.is_nan() || low.is_nan() || high.is_nan() {
            return Err(invalid(
                "operand, lower bound, and upper bound cannot be NaN",
            ));
        }
        if low.is_infinite() || high.is_infinite() {
            return Err(invalid("lower and upper bounds must be finite"));
        }
        if low == high {
            return Err(invalid("lower bound cannot equal upper bound"));
        }
        let part = (value - low) / (high - low);
        Ok(Some(match part {
            below if below < 0.0 => 0,
            above if above >= 1.0 => count
                .checked_add(1)
                .ok_or_else(|| arithmetic::out_of_range(&DataType::Int32))?,
            inside => (f64::from(count) * inside) as i32 + 1,
        }))
    })
}

/// mod(), which is `%`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Modulo {
    signature: Signature,
}

impl ScalarUDFImpl for Modulo {
    fn name(&self) -> &str {
        "mod"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = Operation::Remainder.function().coerce_types(arg_types);
        coerced.map_err(|_| super::aggregate::no_such("mod", arg_types))
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Operation::Remainder.function().return_type(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Operation::Remainder.function().invoke_with_args(args)
    }
}

/// abs(): of each number type its own, checked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Absolute {
    signature: Signature,
}

impl ScalarUDFImpl for Absolute {
    fn name(&self) -> &str {
        "abs"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let no_such = || super::aggregate::no_such("abs", arg_types);
        let [argument] = arg_types else {
            return Err(no_such());
        };
        Ok(vec![match argument {
            DataType::Float32 | DataType::Float64 => argument.clone(),
            DataType::Null => DataType::Float64,
            other => decimal::exact(other).ok_or_else(no_such)?,
        }])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match &arg_types[0] {
            DataType::Decimal128(..) => DataType::LargeBinary,
            other => other.clone(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if constant { 1 } else { args.number_rows })?;
        let result: ArrayRef = match array.data_type() {
            DataType::Int16 => checked::<Int16Type>(&array, i16::checked_abs)?,
            DataType::Int32 => checked::<Int32Type>(&array, i32::checked_abs)?,
            DataType::Int64 => checked::<Int64Type>(&array, i64::checked_abs)?,
            DataType::Float32 => checked::<Float32Type>(&array, |value| Some(value.abs()))?,
            DataType::Float64 => checked::<Float64Type>(&array, |value| Some(value.abs()))?,
            _ => {
                let numbers = Numbers::new(&array);
                let mut out = LargeBinaryBuilder::with_capacity(array.len(), array.len() * 16);
                for row in 0..array.len() {
                    let number = numbers
                        .get(row)
                        .map(|number| number.absolute().to_ordered());
                    out.append_option(number);
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

fn checked<T: ArrowPrimitiveType>(
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
    Ok(Arc::new(values))
}
