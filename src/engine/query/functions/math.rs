//! Mathematical functions with PostgreSQL's types and rounding.

use super::definition::{Call, FLOAT8, Function};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::operators::arithmetic::Operation;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Builder};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, FieldRef, Float64Type, Int32Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let float8 = SqlType::scalar(TypeKind::Float8);
    vec![
        power(),
        Function::immutable("pow", &[&[FLOAT8, FLOAT8]], float8, compute_power),
        Function::immutable("sqrt", &[&[FLOAT8]], float8, square_root),
        Function::immutable("ln", &[&[FLOAT8]], float8, |call| logarithm(call, f64::ln)),
        Function::immutable("log", &[&[FLOAT8]], float8, |call| {
            logarithm(call, f64::log10)
        }),
        Function::immutable("log10", &[&[FLOAT8]], float8, |call| {
            logarithm(call, f64::log10)
        }),
        Arc::new(ScalarUDF::new_from_impl(Rounding::new(
            "round",
            Way::Nearest,
        ))),
        Arc::new(ScalarUDF::new_from_impl(Rounding::new(
            "trunc",
            Way::TowardsZero,
        ))),
        Arc::new(ScalarUDF::new_from_impl(Rounding::new("ceil", Way::Up))),
        Arc::new(ScalarUDF::new_from_impl(Rounding::new("ceiling", Way::Up))),
        Arc::new(ScalarUDF::new_from_impl(Rounding::new("floor", Way::Down))),
        Arc::new(ScalarUDF::new_from_impl(Modulo {
            signature: Signature::user_defined(Volatility::Immutable),
        })),
    ]
}

/// `^` and power().
pub fn power() -> Arc<ScalarUDF> {
    Function::immutable(
        "power",
        &[&[FLOAT8, FLOAT8]],
        SqlType::scalar(TypeKind::Float8),
        compute_power,
    )
}

fn float(call: &Call<'_>, argument: usize, row: usize) -> Option<f64> {
    let array = call.args[argument].as_primitive::<Float64Type>();
    (!array.is_null(row)).then(|| array.value(row))
}

fn compute_power(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Float64Type>(|row| {
        let (Some(base), Some(exponent)) = (float(call, 0, row), float(call, 1, row)) else {
            return Ok(None);
        };
        let not_a_real = |message| failure::error(SqlState::new("2201F"), message);
        if base == 0.0 && exponent < 0.0 {
            return Err(not_a_real("zero raised to a negative power is undefined"));
        }
        if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
            return Err(not_a_real(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        let power = base.powf(exponent);
        if power.is_infinite() && base.is_finite() && exponent.is_finite() {
            return Err(failure::error(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "value out of range: overflow",
            ));
        }
        Ok(Some(power))
    })
}

fn square_root(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Float64Type>(|row| match float(call, 0, row) {
        Some(value) if value < 0.0 => Err(failure::error(
            SqlState::new("2201F"),
            "cannot take square root of a negative number",
        )),
        value => Ok(value.map(f64::sqrt)),
    })
}

fn logarithm(call: &Call<'_>, of: fn(f64) -> f64) -> Result<ArrayRef> {
    call.values::<Float64Type>(|row| {
        let Some(value) = float(call, 0, row) else {
            return Ok(None);
        };
        if value <= 0.0 {
            let message = if value == 0.0 {
                "cannot take logarithm of zero"
            } else {
                "cannot take logarithm of a negative number"
            };
            return Err(failure::error(SqlState::new("2201E"), message));
        }
        Ok(Some(of(value)))
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
        Operation::Remainder.function().coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Operation::Remainder.function().return_type(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Operation::Remainder.function().invoke_with_args(args)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    Nearest,
    TowardsZero,
    Up,
    Down,
}

/// round(), trunc(), ceil() and floor(): of float8 half to even, of numeric half away from zero and to a scale.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounding {
    name: &'static str,
    way: Way,
    signature: Signature,
}

impl Rounding {
    fn new(name: &'static str, way: Way) -> Rounding {
        Rounding {
            name,
            way,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn no_such(&self, arg_types: &[DataType]) -> datafusion::error::DataFusionError {
        let given: Vec<_> = arg_types
            .iter()
            .filter_map(|data_type| crate::engine::types::arrow::from_data_type(data_type).ok())
            .collect();
        failure::external(failure::no_function(self.name, &given))
    }

    fn decimal(
        &self,
        array: &ArrayRef,
        places: Option<&ArrayRef>,
        result: &DataType,
    ) -> Result<ArrayRef> {
        let DataType::Decimal128(_, to) = result else {
            return Ok(array.clone());
        };
        let DataType::Decimal128(_, from) = array.data_type() else {
            return Ok(array.clone());
        };
        let values = array.as_primitive::<Decimal128Type>();
        let mut out = Decimal128Builder::with_capacity(values.len()).with_data_type(result.clone());
        let places = places.map(|places| places.as_primitive::<Int32Type>());
        for (row, value) in values.iter().enumerate() {
            let place = match places {
                Some(places) if places.is_null(row) => None,
                Some(places) => Some(places.value(row)),
                None => Some(0),
            };
            let rounded = match (value, place) {
                (Some(value), Some(place)) => {
                    let kept = i8::try_from(place.clamp(-38, i32::from(*from)))
                        .map_err(|_| failure::external(failure::numeric_overflow()))?;
                    let cut = rescale(value, *from, kept, self.way);
                    Some(widen(cut, kept, *to)?)
                }
                _ => None,
            };
            out.append_option(rounded);
        }
        Ok(Arc::new(out.finish()))
    }
}

/// A decimal with another scale, never a larger one.
fn rescale(value: i128, from: i8, to: i8, way: Way) -> i128 {
    if to >= from {
        return value;
    }
    let Some(unit) = 10i128.checked_pow(u32::from((from - to).unsigned_abs())) else {
        return 0;
    };
    let quotient = value / unit;
    let rest = value % unit;
    match way {
        Way::Nearest if rest.abs() * 2 >= unit => quotient + rest.signum(),
        Way::Up if rest > 0 => quotient + 1,
        Way::Down if rest < 0 => quotient - 1,
        _ => quotient,
    }
}

/// A decimal with more decimals, or with zeros before its point.
fn widen(value: i128, from: i8, to: i8) -> Result<i128> {
    if from >= to {
        return Ok(value);
    }
    10i128
        .checked_pow(u32::from((to - from).unsigned_abs()))
        .and_then(|unit| value.checked_mul(unit))
        .ok_or_else(|| failure::external(failure::numeric_overflow()))
}

impl ScalarUDFImpl for Rounding {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [DataType::Decimal128(..)] => Ok(arg_types.to_vec()),
            [number] if number.is_numeric() || number.is_null() => Ok(vec![DataType::Float64]),
            [number, places]
                if places.is_integer() && matches!(self.way, Way::Nearest | Way::TowardsZero) =>
            {
                match crate::engine::query::operators::decimal::of(number) {
                    Some(decimal) => Ok(vec![decimal, DataType::Int32]),
                    None => Err(self.no_such(arg_types)),
                }
            }
            _ => Err(self.no_such(arg_types)),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match arg_types {
            [DataType::Decimal128(precision, _), ..] => DataType::Decimal128(*precision, 0),
            _ => DataType::Float64,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let data_type = match (args.arg_fields[0].data_type(), args.scalar_arguments) {
            (DataType::Decimal128(_, scale), [_]) => {
                let _ = scale;
                DataType::Decimal128(38, 0)
            }
            (DataType::Decimal128(_, scale), [_, places]) => {
                // Without a constant the scale stays and the digits past the place become zeros.
                let places = match places {
                    Some(ScalarValue::Int32(Some(places))) => (*places).clamp(0, 38) as i8,
                    _ => *scale,
                };
                // Fewer decimals than wanted stay as they are in value; zeros are not added.
                DataType::Decimal128(38, (*scale).min(places))
            }
            _ => DataType::Float64,
        };
        Ok(Arc::new(datafusion::arrow::datatypes::Field::new(
            self.name, data_type, true,
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let array = args.args[0].to_array(if constant { 1 } else { args.number_rows })?;
        let result: ArrayRef = match array.data_type() {
            DataType::Float64 => {
                let round = match self.way {
                    Way::Nearest => f64::round_ties_even,
                    Way::TowardsZero => f64::trunc,
                    Way::Up => f64::ceil,
                    Way::Down => f64::floor,
                };
                Arc::new(
                    array
                        .as_primitive::<Float64Type>()
                        .unary::<_, Float64Type>(round),
                )
            }
            _ => {
                let places = match args.args.get(1) {
                    Some(places) => Some(places.to_array(array.len())?),
                    None => None,
                };
                self.decimal(&array, places.as_ref(), args.return_field.data_type())?
            }
        };
        if constant {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?))
        } else {
            Ok(ColumnarValue::Array(result))
        }
    }
}
