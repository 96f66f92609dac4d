//! Mathematical functions that PostgreSQL has for numeric, and most of them for float8 too: an
//! integer is taken as the one or the other, as the function's types say.
//!
//! Source: PostgreSQL 15, §9.3.

use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::failure;
use crate::engine::query::operators::decimal;
use crate::engine::types::number::array::{Numbers, is_exact};
use crate::engine::types::number::{Number, Way};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, LargeBinaryBuilder, PrimitiveArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

type OfNumbers = fn(&[Number]) -> std::result::Result<Number, Diagnostic>;
type OfFloats = fn(&[f64]) -> std::result::Result<f64, Diagnostic>;

/// A function of numbers.
struct Mathematical {
    name: &'static str,
    arguments: RangeInclusive<usize>,
    numbers: OfNumbers,
    /// None where there is only numeric.
    floats: Option<OfFloats>,
    signature: Signature,
}

impl std::fmt::Debug for Mathematical {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Mathematical {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Mathematical {}

impl std::hash::Hash for Mathematical {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn function(
    name: &'static str,
    arguments: RangeInclusive<usize>,
    numbers: OfNumbers,
    floats: Option<OfFloats>,
) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Mathematical {
        name,
        arguments,
        numbers,
        floats,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

/// `^` and power().
pub fn power() -> Arc<ScalarUDF> {
    static POWER: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| function("power", 2..=2, to_the_power, Some(float_power)));
    POWER.clone()
}

fn to_the_power(of: &[Number]) -> std::result::Result<Number, Diagnostic> {
    of[0].to_the_power(&of[1])
}

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        power(),
        function("pow", 2..=2, to_the_power, Some(float_power)),
        function("sqrt", 1..=1, |of| of[0].square_root(), Some(float_root)),
        function(
            "exp",
            1..=1,
            |of| of[0].exponential(),
            Some(float_exponential),
        ),
        function(
            "ln",
            1..=1,
            |of| of[0].natural_logarithm(),
            Some(|of| float_logarithm(of[0], f64::ln)),
        ),
        function(
            "log",
            1..=2,
            logarithm,
            Some(|of| float_logarithm(of[0], f64::log10)),
        ),
        function(
            "log10",
            1..=1,
            |of| of[0].logarithm(&Number::of_integer(10)),
            Some(|of| float_logarithm(of[0], f64::log10)),
        ),
        function(
            "round",
            1..=2,
            |of| to_places(of, Way::Nearest),
            Some(|of| Ok(of[0].round_ties_even())),
        ),
        function(
            "trunc",
            1..=2,
            |of| to_places(of, Way::TowardsZero),
            Some(|of| Ok(of[0].trunc())),
        ),
        function(
            "ceil",
            1..=1,
            |of| to_places(of, Way::Up),
            Some(|of| Ok(of[0].ceil())),
        ),
        function(
            "ceiling",
            1..=1,
            |of| to_places(of, Way::Up),
            Some(|of| Ok(of[0].ceil())),
        ),
        function(
            "floor",
            1..=1,
            |of| to_places(of, Way::Down),
            Some(|of| Ok(of[0].floor())),
        ),
        function(
            "sign",
            1..=1,
            |of| Ok(sign(&of[0])),
            Some(|of| {
                Ok(match of[0] {
                    value if value > 0.0 => 1.0,
                    value if value < 0.0 => -1.0,
                    // NaN's too (dsign).
                    _ => 0.0,
                })
            }),
        ),
        function("div", 2..=2, |of| of[0].whole_quotient(&of[1]), None),
        function("trim_scale", 1..=1, |of| Ok(of[0].clone().trimmed()), None),
        function(
            "numeric_inc",
            1..=1,
            |of| of[0].plus(&Number::of_integer(1)),
            None,
        ),
        function("factorial", 1..=1, factorial, None),
    ]
}

/// To the base 10, or to one that is told first.
fn logarithm(of: &[Number]) -> std::result::Result<Number, Diagnostic> {
    match of {
        [base, number] => number.logarithm(base),
        of => of[0].logarithm(&Number::of_integer(10)),
    }
}

fn sign(of: &Number) -> Number {
    match of {
        Number::NaN => Number::NaN,
        zero if zero.is_zero() => Number::of_integer(0),
        other => Number::of_integer(if other.is_negative() { -1 } else { 1 }),
    }
}

/// round() and its like, to 0 places or those that are told.
fn to_places(of: &[Number], way: Way) -> std::result::Result<Number, Diagnostic> {
    /// Where PostgreSQL stops counting.
    const PLACES_MAX: i128 = 2_000;
    let Some(places) = of.get(1) else {
        return of[0].clone().rescaled(0, way);
    };
    let places = places
        .to_integer()
        .unwrap_or(0)
        .clamp(-PLACES_MAX, PLACES_MAX);
    of[0].clone().rescaled(places as i32, way)
}

fn factorial(of: &[Number]) -> std::result::Result<Number, Diagnostic> {
    let out_of_range = |message| Diagnostic::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message);
    /// Beyond it there are more digits than a numeric has here.
    const LARGEST: i128 = 1_400;
    let count = of[0].to_integer().unwrap_or(i128::MAX);
    if count < 0 {
        return Err(out_of_range("factorial of a negative number is undefined"));
    }
    if count > LARGEST {
        return Err(out_of_range("value overflows numeric format"));
    }
    (2..=count).try_fold(Number::of_integer(1), |product, factor| {
        product.times(&Number::of_integer(factor))
    })
}

fn float_power(of: &[f64]) -> std::result::Result<f64, Diagnostic> {
    let (base, exponent) = (of[0], of[1]);
    let not_a_real = |message| Diagnostic::error(SqlState::new("2201F"), message);
    if base == 0.0 && exponent < 0.0 {
        return Err(not_a_real("zero raised to a negative power is undefined"));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(not_a_real(
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    in_range(
        base.powf(exponent),
        base.is_finite() && exponent.is_finite(),
        base == 0.0,
    )
}

fn float_root(of: &[f64]) -> std::result::Result<f64, Diagnostic> {
    if of[0] < 0.0 {
        return Err(Diagnostic::error(
            SqlState::new("2201F"),
            "cannot take square root of a negative number",
        ));
    }
    Ok(of[0].sqrt())
}

fn float_exponential(of: &[f64]) -> std::result::Result<f64, Diagnostic> {
    in_range(of[0].exp(), of[0].is_finite(), false)
}

fn float_logarithm(of: f64, logarithm: fn(f64) -> f64) -> std::result::Result<f64, Diagnostic> {
    if of <= 0.0 {
        let message = if of == 0.0 {
            "cannot take logarithm of zero"
        } else {
            "cannot take logarithm of a negative number"
        };
        return Err(Diagnostic::error(SqlState::new("2201E"), message));
    }
    Ok(logarithm(of))
}

/// 22003 where finite arguments gave an infinity, or what is not zero vanished.
fn in_range(value: f64, finite: bool, zero: bool) -> std::result::Result<f64, Diagnostic> {
    let out_of_range = |how| {
        Err(Diagnostic::error(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value out of range: {how}"),
        ))
    };
    match value {
        _ if !finite => Ok(value),
        infinite if infinite.is_infinite() => out_of_range("overflow"),
        0.0 if !zero => out_of_range("underflow"),
        value => Ok(value),
    }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

impl Mathematical {
    fn no_such(&self, arg_types: &[DataType]) -> datafusion::error::DataFusionError {
        super::aggregate::no_such(self.name, arg_types)
    }

    /// Whether arguments of these types are taken as float8.
    fn takes_floats(&self, arg_types: &[DataType]) -> bool {
        // Of a number of places there is only the numeric function.
        if self.floats.is_none() || *self.arguments.start() < arg_types.len() {
            return false;
        }
        let numeric = |t: &DataType| matches!(t, DataType::Decimal128(..) | DataType::LargeBinary);
        arg_types.iter().any(is_float) || !arg_types.iter().any(numeric)
    }
}

impl ScalarUDFImpl for Mathematical {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if !self.arguments.contains(&arg_types.len()) {
            return Err(self.no_such(arg_types));
        }
        let floats = self.takes_floats(arg_types);
        let coerced = |data_type: &DataType| match data_type {
            DataType::Null if floats => Some(DataType::Float64),
            DataType::Null => Some(DataType::LargeBinary),
            // A number's own bytes are read here; no library cast knows them.
            DataType::LargeBinary => Some(DataType::LargeBinary),
            number if floats && number.is_numeric() => Some(DataType::Float64),
            number => decimal::exact(number),
        };
        let coerced: Option<Vec<_>> = arg_types.iter().map(coerced).collect();
        coerced.ok_or_else(|| self.no_such(arg_types))
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.takes_floats(arg_types) {
            true => DataType::Float64,
            false => DataType::LargeBinary,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args
            .args
            .iter()
            .map(|arg| arg.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let result: ArrayRef = match (args.return_field.data_type(), self.floats) {
            (DataType::Float64, Some(floats)) => of_floats(&arrays, rows, floats)?,
            _ => of_numbers(&arrays, rows, self.numbers)?,
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

/// The array as doubles, numbers among them.
fn doubles(array: &ArrayRef) -> Result<PrimitiveArray<Float64Type>> {
    if *array.data_type() != DataType::LargeBinary {
        return Ok(cast(array, &DataType::Float64)?
            .as_primitive::<Float64Type>()
            .clone());
    }
    let numbers = Numbers::new(array);
    Ok((0..array.len())
        .map(|row| numbers.get(row).map(|number| number.to_f64()))
        .collect())
}

fn of_floats(arrays: &[ArrayRef], rows: usize, of: OfFloats) -> Result<ArrayRef> {
    let doubles = arrays.iter().map(doubles).collect::<Result<Vec<_>>>()?;
    let mut values = Vec::with_capacity(doubles.len());
    let mut out = Vec::with_capacity(rows);
    for row in 0..rows {
        values.clear();
        values.extend(
            doubles
                .iter()
                .filter(|array| array.is_valid(row))
                .map(|array| array.value(row)),
        );
        out.push(match values.len() == doubles.len() {
            true => Some(of(&values).map_err(failure::external)?),
            false => None,
        });
    }
    Ok(Arc::new(PrimitiveArray::<Float64Type>::from(out)))
}

fn of_numbers(arrays: &[ArrayRef], rows: usize, of: OfNumbers) -> Result<ArrayRef> {
    debug_assert!(arrays.iter().all(|array| is_exact(array.data_type())));
    let numbers: Vec<_> = arrays.iter().map(Numbers::new).collect();
    let mut values = Vec::with_capacity(numbers.len());
    let mut out = LargeBinaryBuilder::with_capacity(rows, rows * 16);
    for row in 0..rows {
        values.clear();
        values.extend(numbers.iter().filter_map(|array| array.get(row)));
        if values.len() < numbers.len() {
            out.append_null();
            continue;
        }
        let value = of(&values).map_err(failure::external)?;
        out.append_value(value.to_ordered());
    }
    Ok(Arc::new(out.finish()))
}

/// An int4 result of a number.
pub fn int4_of(array: &ArrayRef, of: fn(&Number) -> Option<i32>) -> PrimitiveArray<Int32Type> {
    let numbers = Numbers::new(array);
    (0..array.len())
        .map(|row| numbers.get(row).and_then(|number| of(&number)))
        .collect()
}
