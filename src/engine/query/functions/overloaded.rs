//! A function of the library's that is of text, and ours of the same name that are of bytea or of a
//! pattern.

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

/// They, by the name of what is not the library's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Overloaded {
    name: String,
    of_text: Arc<ScalarUDF>,
    of_bytea: Arc<ScalarUDF>,
    /// Where the second argument is a text, too.
    of_pattern: Option<Arc<ScalarUDF>>,
    signature: Signature,
}

impl Overloaded {
    /// The function that is one or the other.
    pub fn function(
        of_text: Arc<ScalarUDF>,
        of_bytea: Arc<ScalarUDF>,
        of_pattern: Option<Arc<ScalarUDF>>,
    ) -> Arc<ScalarUDF> {
        let volatility = of_text.signature().volatility;
        Arc::new(ScalarUDF::new_from_impl(Overloaded {
            name: of_bytea.name().to_owned(),
            of_text,
            of_bytea,
            of_pattern,
            signature: Signature::user_defined(volatility),
        }))
    }

    fn chosen<'a>(&self, mut types: impl Iterator<Item = &'a DataType>) -> &Arc<ScalarUDF> {
        match (types.next(), types.next(), &self.of_pattern) {
            (Some(DataType::Binary), ..) => &self.of_bytea,
            (_, Some(DataType::Utf8), Some(of_pattern)) => of_pattern,
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
        let chosen = self.chosen(arg_types.iter());
        let fields = fields_with_udf(&fields, chosen.as_ref())?;
        Ok(fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.chosen(arg_types.iter()).return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types = args.arg_fields.iter().map(|field| field.data_type());
        self.chosen(types).return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<_> = args.args.iter().map(ColumnarValue::data_type).collect();
        self.chosen(types.iter()).invoke_with_args(args)
    }
}
