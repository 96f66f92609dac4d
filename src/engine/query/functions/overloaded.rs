//! A function of the library's that is of text, and one of ours of the same name that is of bytea.

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

/// The two.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Overloaded {
    name: String,
    of_text: Arc<ScalarUDF>,
    of_bytea: Arc<ScalarUDF>,
    signature: Signature,
}

impl Overloaded {
    /// By the name of the second.
    pub fn function(of_text: Arc<ScalarUDF>, of_bytea: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        let volatility = of_text.signature().volatility;
        Arc::new(ScalarUDF::new_from_impl(Overloaded {
            name: of_bytea.name().to_owned(),
            of_text,
            of_bytea,
            signature: Signature::user_defined(volatility),
        }))
    }

    fn chosen(&self, first: Option<&DataType>) -> &Arc<ScalarUDF> {
        match first {
            Some(DataType::Binary) => &self.of_bytea,
            _ => &self.of_text,
        }
    }
}

impl ScalarUDFImpl for Overloaded {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let fields: Vec<FieldRef> = arg_types
            .iter()
            .map(|data_type| Arc::new(Field::new("argument", data_type.clone(), true)))
            .collect();
        let chosen = self.chosen(arg_types.first());
        let fields = fields_with_udf(&fields, chosen.as_ref())?;
        Ok(fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.chosen(arg_types.first()).return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let first = args.arg_fields.first().map(|field| field.data_type());
        self.chosen(first).return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let first = args.args.first().map(ColumnarValue::data_type);
        self.chosen(first.as_ref()).invoke_with_args(args)
    }
}
