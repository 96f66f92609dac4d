//! What the planner puts into plans for numeric: a number as a value of any scale, and its key,
//! by which it is compared, grouped, joined and sorted.

use crate::engine::types::number::Number;
use crate::engine::types::number::array::{Numbers, is_exact};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// The name of the function that makes a key of a number.
pub const KEY: &str = "numeric_key";
/// The name of the function that makes a number of any exact number.
pub const OF: &str = "numeric_of";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Value,
    Key,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Converted {
    form: Form,
    signature: Signature,
}

fn function(form: Form) -> Arc<ScalarUDF> {
    static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 2]> = LazyLock::new(|| {
        [Form::Value, Form::Key].map(|form| {
            Arc::new(ScalarUDF::new_from_impl(Converted {
                form,
                signature: Signature::any(1, Volatility::Immutable),
            }))
        })
    });
    FUNCTIONS[form as usize].clone()
}

/// The functions, for the registry.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![function(Form::Value), function(Form::Key)]
}

/// The expression, which is an exact number, as a number of its own scale.
pub fn number_of(expr: Expr, data_type: &DataType) -> Expr {
    if *data_type == DataType::LargeBinary {
        return expr;
    }
    if let Expr::Literal(value, _) = &expr {
        return match Number::of_scalar(value) {
            Some(number) => Expr::Literal(number.to_scalar(), None),
            None => Expr::Literal(ScalarValue::LargeBinary(None), None),
        };
    }
    call(Form::Value, expr)
}

/// The key of the expression, which is an exact number.
pub fn key_of(expr: Expr) -> Expr {
    if let Expr::Literal(value, _) = &expr {
        let key = Number::of_scalar(value).map(|number| {
            let mut key = Vec::new();
            number.write_key(&mut key);
            key
        });
        return Expr::Literal(ScalarValue::Binary(key), None);
    }
    call(Form::Key, expr)
}

/// The number of a constant key, to be looked up.
pub fn number_of_key(key: &[u8]) -> Option<Number> {
    Number::of_key(key, 0).map(Number::trimmed)
}

/// What a key was made of, where the expression is one.
pub fn keyed(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.name() == KEY => call.args.first(),
        _ => None,
    }
}

fn call(form: Form, expr: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function(form), vec![expr]))
}

impl ScalarUDFImpl for Converted {
    fn name(&self) -> &str {
        match self.form {
            Form::Value => OF,
            Form::Key => KEY,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.form {
            Form::Value => DataType::LargeBinary,
            Form::Key => DataType::Binary,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if constant { 1 } else { args.number_rows })?;
        if !is_exact(array.data_type()) {
            return Err(datafusion::error::DataFusionError::Internal(format!(
                "{} of {}",
                self.name(),
                array.data_type()
            )));
        }
        let numbers = Numbers::new(&array);
        let result: ArrayRef = match self.form {
            Form::Value => Arc::new(numbers.ordered()),
            Form::Key => Arc::new(numbers.keys()),
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}
