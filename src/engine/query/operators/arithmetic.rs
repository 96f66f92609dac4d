//! `+ - * / %` as PostgreSQL computes them: checked, with its result types.
//!
//! Arrow's own operators wrap integers silently and divide floats by zero; these are functions
//! that fail with 22003 and 22012. Integers keep the larger of the two types; an integer beside a
//! numeric becomes numeric, beside a float float8. Dates and intervals are `datetime`'s.

use super::{datetime, decimal};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::statement::Statement;
use crate::engine::types;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// +
    Add,
    /// -
    Subtract,
    /// *
    Multiply,
    /// /
    Divide,
    /// %
    Remainder,
}

impl Operation {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Operation::Add => "+",
            Operation::Subtract => "-",
            Operation::Multiply => "*",
            Operation::Divide => "/",
            Operation::Remainder => "%",
        }
    }

    /// The function that computes it.
    pub fn function(self) -> Arc<ScalarUDF> {
        static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 5]> =
            LazyLock::new(|| Operation::ALL.map(|one| one.of_volatility(Volatility::Immutable)));
        FUNCTIONS[self as usize].clone()
    }

    /// The same of a moment of a zone and an interval, whose days are those of the session's zone: such a
    /// function asks the statement.
    pub fn zoned_function(self) -> Arc<ScalarUDF> {
        static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 5]> =
            LazyLock::new(|| Operation::ALL.map(|one| one.of_volatility(Volatility::Stable)));
        FUNCTIONS[self as usize].clone()
    }

    const ALL: [Operation; 5] = [
        Operation::Add,
        Operation::Subtract,
        Operation::Multiply,
        Operation::Divide,
        Operation::Remainder,
    ];

    fn of_volatility(self, volatility: Volatility) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Arithmetic {
            operation: self,
            signature: Signature::user_defined(volatility),
        }))
    }
}

/// The checked function of an operator.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

/// What two operands are computed as, and what comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Both converted to this integer or float type, which is the result's.
    Number(DataType),
    /// Two decimals, which keep their own scales, and the decimal that holds the result.
    Decimal(DataType, DataType, DataType),
    /// Two exact numbers as they are; each result has a scale of its own.
    Numeric(DataType, DataType),
    /// A date or time is among them.
    Datetime(DataType, DataType, DataType),
}

impl Shape {
    /// How these types are computed; None where there is no such operator.
    pub fn of(operation: Operation, left: &DataType, right: &DataType) -> Option<Shape> {
        use DataType::*;
        if let Some((left, right, result)) = datetime::operands(operation, left, right) {
            return Some(Shape::Datetime(left, right, result));
        }
        let (left, right) = match (left, right) {
            (Null, Null) => (&Int32, &Int32),
            (Null, other) | (other, Null) => (other, other),
            both => both,
        };
        let is_float = |t: &DataType| matches!(t, Float32 | Float64);
        match (left, right) {
            (Float32, Float32) if operation != Operation::Remainder => Some(Shape::Number(Float32)),
            (l, r) if is_float(l) || is_float(r) => {
                let fits = (is_float(l) || decimal::of(l).is_some())
                    && (is_float(r) || decimal::of(r).is_some())
                    && operation != Operation::Remainder;
                fits.then_some(Shape::Number(Float64))
            }
            (l, r) => match (integer_rank(l), integer_rank(r)) {
                (Some(left), Some(right)) => Some(Shape::Number(match left.max(right) {
                    0 => Int16,
                    1 => Int32,
                    _ => Int64,
                })),
                _ => Some(match decimal::result(operation, l, r) {
                    Some(result) => Shape::Decimal(decimal::of(l)?, decimal::of(r)?, result),
                    None => Shape::Numeric(decimal::exact(l)?, decimal::exact(r)?),
                }),
            },
        }
    }

    /// The operands' types after conversion.
    pub fn operands(&self) -> [DataType; 2] {
        match self {
            Shape::Number(both) => [both.clone(), both.clone()],
            Shape::Numeric(left, right)
            | Shape::Decimal(left, right, _)
            | Shape::Datetime(left, right, _) => [left.clone(), right.clone()],
        }
    }

    fn result(&self) -> DataType {
        match self {
            Shape::Number(result)
            | Shape::Decimal(_, _, result)
            | Shape::Datetime(_, _, result) => result.clone(),
            Shape::Numeric(..) => DataType::LargeBinary,
        }
    }
}

fn integer_rank(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => Some(0),
        DataType::Int32 | DataType::UInt16 => Some(1),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Some(2),
        _ => None,
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.operation.symbol()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.shape(arg_types)?.operands().to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.shape(arg_types)?.result())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("two operands".to_owned()));
        };
        if let Shape::Datetime(..) = self.shape(&[left.data_type(), right.data_type()])? {
            let settings = Statement::of(&args.config_options).ok();
            let zone = settings.map_or(chrono_tz::Tz::UTC, |statement| {
                statement.context.settings.time_zone
            });
            let arrays = ColumnarValue::values_to_arrays(&args.args)?;
            let result = datetime::compute(
                self.operation,
                &arrays[0],
                &arrays[1],
                args.return_field.data_type(),
                zone,
            )?;
            return back(result, &args.args);
        }
        match (left, right) {
            (ColumnarValue::Array(left), ColumnarValue::Array(right)) => Ok(ColumnarValue::Array(
                self.compute(left, right, args.return_field.data_type())?,
            )),
            (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => {
                let left = left.to_scalar()?;
                Ok(ColumnarValue::Array(self.compute(
                    &left,
                    right,
                    args.return_field.data_type(),
                )?))
            }
            (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => {
                let right = right.to_scalar()?;
                Ok(ColumnarValue::Array(self.compute(
                    left,
                    &right,
                    args.return_field.data_type(),
                )?))
            }
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => {
                let arrays = ColumnarValue::values_to_arrays(&args.args)?;
                let result = self.compute(&arrays[0], &arrays[1], args.return_field.data_type())?;
                back(result, &args.args)
            }
        }
    }
}

/// A result of constant operands is constant again.
pub(super) fn back(result: ArrayRef, args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let constant = args
        .iter()
        .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    if constant {
        let value = datafusion::common::ScalarValue::try_from_array(&result, 0)?;
        Ok(ColumnarValue::Scalar(value))
    } else {
        Ok(ColumnarValue::Array(result))
    }
}

impl Arithmetic {
    fn shape(&self, arg_types: &[DataType]) -> Result<Shape> {
        let [left, right] = arg_types else {
            return Err(DataFusionError::Internal("two operands".to_owned()));
        };
        Shape::of(self.operation, left, right).ok_or_else(|| {
            let name = |data_type| {
                types::arrow::from_data_type(data_type)
                    .unwrap_or(SqlType::scalar(crate::catalog::sql_type::TypeKind::Unknown))
            };
            failure::external(failure::no_operator(
                self.operation.symbol(),
                name(left),
                name(right),
            ))
        })
    }

    fn compute(&self, left: &dyn Datum, right: &dyn Datum, result: &DataType) -> Result<ArrayRef> {
        match result {
            DataType::Decimal128(..) => {
                return decimal::compute(self.operation, left, right, result);
            }
            DataType::LargeBinary => {
                return decimal::compute_numbers(self.operation, left, right);
            }
            _ => {}
        }
        if matches!(self.operation, Operation::Divide | Operation::Remainder)
            && let DataType::Float32 | DataType::Float64 = result
        {
            refuse_zero_divisor(left, right)?;
        }
        let computed = match self.operation {
            Operation::Add => numeric::add(left, right),
            Operation::Subtract => numeric::sub(left, right),
            Operation::Multiply => numeric::mul(left, right),
            Operation::Divide => numeric::div(left, right),
            Operation::Remainder => remainder(left, right),
        };
        let computed = computed.map_err(|error| failure(error, result))?;
        if let DataType::Float32 | DataType::Float64 = result {
            refuse_new_infinity(left, right, &computed)?;
        }
        Ok(positive_nans(computed))
    }
}

/// The smallest integer has no remainder by -1 in the processor; PostgreSQL says 0, which is what
/// any other divisor of it that is a factor gives too.
fn remainder(left: &dyn Datum, right: &dyn Datum) -> std::result::Result<ArrayRef, ArrowError> {
    match numeric::rem(left, right) {
        Err(ArrowError::ArithmeticOverflow(_)) => {
            let (divisors, is_scalar) = right.get();
            let minus_one = datafusion::common::ScalarValue::new_negative_one(divisors.data_type())
                .and_then(|value| value.to_array_of_size(divisors.len()))
                .map_err(|error| ArrowError::ComputeError(error.to_string()))?;
            let one = numeric::neg_wrapping(&minus_one)?;
            let is_minus_one = datafusion::arrow::compute::kernels::cmp::eq(
                &divisors.slice(0, divisors.len()),
                &minus_one,
            )?;
            let positive = datafusion::arrow::compute::kernels::zip::zip(
                &is_minus_one,
                &one,
                &datafusion::arrow::array::make_array(divisors.to_data()),
            )?;
            if is_scalar {
                numeric::rem(left, &datafusion::arrow::array::Scalar::new(positive))
            } else {
                numeric::rem(left, &positive)
            }
        }
        other => other,
    }
}

fn failure(error: ArrowError, result: &DataType) -> DataFusionError {
    match error {
        ArrowError::DivideByZero => failure::external(failure::division_by_zero()),
        ArrowError::ArithmeticOverflow(_) => out_of_range(result),
        other => DataFusionError::from(other),
    }
}

/// 22003 of the type.
pub fn out_of_range(data_type: &DataType) -> DataFusionError {
    let name = match data_type {
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        _ => "value",
    };
    failure::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("{name} out of range"),
    )
}

fn refuse_zero_divisor(left: &dyn Datum, right: &dyn Datum) -> Result<()> {
    let (divisors, _) = right.get();
    let (dividends, one_dividend) = left.get();
    // A NULL dividend makes the division NULL whatever it is divided by.
    let counts = |row: usize| {
        !divisors.is_null(row)
            && (one_dividend && !dividends.is_null(0)
                || !one_dividend && (dividends.len() <= row || !dividends.is_null(row)))
    };
    let zero = (0..divisors.len()).any(|row| {
        counts(row)
            && match divisors.data_type() {
                DataType::Float32 => divisors.as_primitive::<Float32Type>().value(row) == 0.0,
                _ => divisors.as_primitive::<Float64Type>().value(row) == 0.0,
            }
    });
    if zero {
        return Err(failure::external(failure::division_by_zero()));
    }
    Ok(())
}

/// 22003 where finite operands gave an infinite result.
fn refuse_new_infinity(left: &dyn Datum, right: &dyn Datum, result: &ArrayRef) -> Result<()> {
    if !has_infinity(result.as_ref()) || has_infinity(left.get().0) || has_infinity(right.get().0) {
        return Ok(());
    }
    Err(failure::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "value out of range: overflow",
    ))
}

/// NaN is the greatest float; what the processor makes of `Infinity * 0` has a sign, by which Arrow takes it for the least.
fn positive_nans(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            match values.values().iter().any(|value| value.is_nan()) {
                true => Arc::new(
                    values.unary::<_, Float32Type>(|value| match value.is_nan() {
                        true => f32::NAN,
                        false => value,
                    }),
                ),
                false => array,
            }
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            match values.values().iter().any(|value| value.is_nan()) {
                true => Arc::new(
                    values.unary::<_, Float64Type>(|value| match value.is_nan() {
                        true => f64::NAN,
                        false => value,
                    }),
                ),
                false => array,
            }
        }
        _ => array,
    }
}

fn has_infinity(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .any(|value| value.is_some_and(f32::is_infinite)),
        DataType::Float64 => array
            .as_primitive::<Float64Type>()
            .iter()
            .any(|value| value.is_some_and(f64::is_infinite)),
        _ => false,
    }
}
