//! gcd() and lcm() of integers, each of the type of its arguments (PostgreSQL §9.3): the library's
//! are of bigint, and take what is NULL in an array's element for a number.

use crate::engine::query::operators::arithmetic;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, FieldRef, Int32Type, Int64Type,
};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Puts them before the library's, which is asked for numerics.
pub fn replace(library: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let of = match library.name() {
        "gcd" => Of::Gcd,
        "lcm" => Of::Lcm,
        _ => return library,
    };
    Arc::new(ScalarUDF::new_from_impl(Divisors {
        library,
        of,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Gcd,
    Lcm,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Divisors {
    library: Arc<ScalarUDF>,
    of: Of,
    signature: Signature,
}

impl ScalarUDFImpl for Divisors {
    fn name(&self) -> &str {
        self.library.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if let Some(integer) = common_integer(arg_types) {
            return Ok(vec![integer.clone(), integer]);
        }
        let none = |_| super::aggregate::no_such(self.name(), arg_types);
        let field = |one: &DataType| Arc::new(Field::new("argument", one.clone(), true));
        let fields: Vec<FieldRef> = arg_types.iter().map(field).collect();
        let fields = fields_with_udf(&fields, self.library.as_ref()).map_err(none)?;
        Ok(fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match common_integer(arg_types) {
            Some(integer) => Ok(integer),
            None => self.library.return_type(arg_types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let whole =
            |arg: &ColumnarValue| matches!(arg.data_type(), DataType::Int32 | DataType::Int64);
        if !args.args.iter().all(whole) {
            return self.library.invoke_with_args(args);
        }
        let (left, right) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        Ok(ColumnarValue::Array(match left.data_type() {
            DataType::Int32 => self.each::<Int32Type>(&left, &right)?,
            _ => self.each::<Int64Type>(&left, &right)?,
        }))
    }
}

/// The type of two integers; None where one is something else.
fn common_integer(types: &[DataType]) -> Option<DataType> {
    let small = |one: &DataType| {
        matches!(
            one,
            DataType::Int16 | DataType::Int32 | DataType::Null | DataType::Utf8
        )
    };
    let [left, right] = types else {
        return None;
    };
    match (small(left), small(right)) {
        (true, true) => Some(DataType::Int32),
        (one, other) => {
            let whole = |small, data_type: &DataType| small || *data_type == DataType::Int64;
            (whole(one, left) && whole(other, right)).then_some(DataType::Int64)
        }
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
