//! gcd() and lcm() of integers, each of the type of its arguments (PostgreSQL §9.3).

use crate::engine::query::operators::arithmetic;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Int32Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let made = |name, of| -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Divisors {
            name,
            of,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    vec![made("gcd", Of::Gcd), made("lcm", Of::Lcm)]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Gcd,
    Lcm,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Divisors {
    name: &'static str,
    of: Of,
    signature: Signature,
}

impl ScalarUDFImpl for Divisors {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let small = |one: &DataType| {
            matches!(
                one,
                DataType::Int16 | DataType::Int32 | DataType::Null | DataType::Utf8
            )
        };
        let [left, right] = arg_types else {
            return Err(super::aggregate::no_such(self.name, arg_types));
        };
        let common = match (left, right) {
            (left, right) if small(left) && small(right) => DataType::Int32,
            (DataType::Int64, right) if small(right) || *right == DataType::Int64 => {
                DataType::Int64
            }
            (left, DataType::Int64) if small(left) => DataType::Int64,
            _ => return Err(super::aggregate::no_such(self.name, arg_types)),
        };
        Ok(vec![common.clone(), common])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(data_type) => Ok(data_type.clone()),
            None => Err(super::aggregate::no_such(self.name, arg_types)),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let (left, right) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let result = match left.data_type() {
            DataType::Int32 => self.each::<Int32Type>(&left, &right)?,
            DataType::Int64 => self.each::<Int64Type>(&left, &right)?,
            other => {
                return Err(DataFusionError::Internal(format!(
                    "{} of {other}",
                    self.name
                )));
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

impl Divisors {
    /// # Errors
    /// 22003 where the result does not fit, as of the smallest value alone.
    fn each<T: ArrowPrimitiveType>(&self, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef>
    where
        T::Native: Into<i128> + TryFrom<i128>,
    {
        let pairs = left
            .as_primitive::<T>()
            .iter()
            .zip(right.as_primitive::<T>());
        let results = pairs.map(|pair| {
            let (Some(one), Some(other)) = pair else {
                return Ok(None);
            };
            let found = self.divisor_or_multiple(one.into(), other.into());
            let fits = T::Native::try_from(found);
            fits.map(Some)
                .map_err(|_| arithmetic::out_of_range(left.data_type()))
        });
        let results: PrimitiveArray<T> = results.collect::<Result<Vec<_>>>()?.into_iter().collect();
        Ok(Arc::new(results))
    }

    fn divisor_or_multiple(&self, one: i128, other: i128) -> i128 {
        let (one, other) = (one.abs(), other.abs());
        let (mut divisor, mut rest) = (one, other);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        match self.of {
            Of::Gcd => divisor,
            Of::Lcm if divisor == 0 => 0,
            Of::Lcm => one / divisor * other,
        }
    }
}
