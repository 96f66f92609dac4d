//! num_nulls() and num_nonnulls(): how many of any arguments are NULL, or are not.
//!
//! Source: PostgreSQL 15, §9.2 "Comparison Functions".

use super::aggregate::no_such;
use datafusion::arrow::array::{Array, ArrayRef, Int32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use std::sync::Arc;

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [("num_nulls", true), ("num_nonnulls", false)]
        .map(|(name, null)| {
            let any = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
            Arc::new(ScalarUDF::new_from_impl(Count {
                name,
                null,
                signature: Signature::one_of(any, Volatility::Immutable),
            }))
        })
        .into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Count {
    name: &'static str,
    /// Which of them are counted.
    null: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Count {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.is_empty() {
            true => Err(no_such(self.name, arg_types)),
            false => Ok(DataType::Int32),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays: Result<Vec<ArrayRef>> =
            args.args.iter().map(|one| one.to_array(rows)).collect();
        let arrays = arrays?;
        let is_null =
            |array: &ArrayRef, row| array.data_type() == &DataType::Null || array.is_null(row);
        let counted = (0..rows).map(|row| {
            let counted = arrays
                .iter()
                .filter(|array| is_null(array, row) == self.null);
            Some(counted.count() as i32)
        });
        let counted: Int32Array = counted.collect();
        Ok(ColumnarValue::Array(Arc::new(counted)))
    }
}
