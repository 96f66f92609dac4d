//! The condition of a HAVING without GROUP BY, kept beside an aggregate of its group (`rewrite::having`).

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The name of the function that gives its first argument, a condition of a whole group, and keeps it
/// beside an aggregate of that group.
pub const GROUP_CONDITION: &str = "group_condition";

/// The function behind [`GROUP_CONDITION`], for the registry.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::new_from_impl(GroupCondition {
        signature: Signature::any(2, Volatility::Immutable),
    }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct GroupCondition {
    signature: Signature,
}

impl ScalarUDFImpl for GroupCondition {
    fn name(&self) -> &'static str {
        GROUP_CONDITION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match &arg_types[0] {
            DataType::Null => DataType::Boolean,
            condition => condition.clone(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args[0].cast_to(args.return_field.data_type(), None)
    }
}
