//! What floats are compared by: -0 is 0 and there is one NaN, above infinity (PostgreSQL §8.1.3). The library compares them by their
//! bits.

use crate::engine::types::float::{key_f32, key_f64};
use datafusion::arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// The name of the function that makes a key of a float.
pub const KEY: &str = "float_key";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    signature: Signature,
}

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Key {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The function, for the registry.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![FUNCTION.clone()]
}

/// The key of a float: a float that equals it, the same one for all of them.
pub fn key_of(expr: Expr) -> Expr {
    if let Expr::Literal(value, metadata) = expr {
        let value = match value {
            ScalarValue::Float64(value) => ScalarValue::Float64(value.map(key_f64)),
            ScalarValue::Float32(value) => ScalarValue::Float32(value.map(key_f32)),
            other => other,
        };
        return Expr::Literal(value, metadata);
    }
    Expr::ScalarFunction(ScalarFunction::new_udf(FUNCTION.clone(), vec![expr]))
}

/// What a key was made of, where the expression is one.
pub fn keyed(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.name() == KEY => call.args.first(),
        _ => None,
    }
}

/// Whether comparing with the constant by bits tells the same: it is neither a zero, nor a NaN or NULL.
pub fn compares_by_bits(constant: &ScalarValue) -> bool {
    match constant {
        ScalarValue::Float64(value) => value.is_some_and(|value| value != 0.0 && !value.is_nan()),
        ScalarValue::Float32(value) => value.is_some_and(|value| value != 0.0 && !value.is_nan()),
        ScalarValue::Int16(value) => value.is_some_and(|value| value != 0),
        ScalarValue::Int32(value) => value.is_some_and(|value| value != 0),
        ScalarValue::Int64(value) => value.is_some_and(|value| value != 0),
        _ => false,
    }
}

/// The keys of floats; other values as they are.
pub fn keys(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float64 => mapped::<Float64Type>(values, key_f64),
        DataType::Float32 => mapped::<Float32Type>(values, key_f32),
        _ => values.clone(),
    }
}

fn mapped<T: ArrowPrimitiveType>(values: &ArrayRef, of: fn(T::Native) -> T::Native) -> ArrayRef {
    let keys: PrimitiveArray<T> = values.as_primitive::<T>().unary(of);
    Arc::new(keys)
}

impl ScalarUDFImpl for Key {
    fn name(&self) -> &str {
        KEY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if constant { 1 } else { args.number_rows })?;
        let keys = keys(&array);
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&keys, 0)?),
            false => ColumnarValue::Array(keys),
        })
    }
}
