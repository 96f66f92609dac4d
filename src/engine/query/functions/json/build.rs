//! JSON of SQL values: to_json(), json_build_object() and their like.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::statement::Statement;
use crate::engine::query::{cast, failure};
use crate::engine::settings::Settings;
use crate::engine::types;
use crate::engine::types::json;
use crate::engine::types::json_of::JsonColumn;
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use std::sync::Arc;

/// to_json() of a row and of nothing else.
const ROW_TO_JSON: &str = "row_to_json";

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// The one argument's value.
    Value,
    /// An array of the arguments.
    Array,
    /// An object of keys and values in turn.
    Object,
}

/// A function that builds json, or jsonb.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Build {
    name: &'static str,
    what: What,
    kind: TypeKind,
    signature: Signature,
}

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    use TypeKind::{Json, Jsonb};
    let of = |name, what, kind| {
        let signature = match what {
            What::Value => Signature::any(1, Volatility::Stable),
            _ => Signature::one_of(
                vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
                Volatility::Stable,
            ),
        };
        Arc::new(ScalarUDF::new_from_impl(Build {
            name,
            what,
            kind,
            signature,
        }))
    };
    vec![
        of("to_json", What::Value, Json),
        of("to_jsonb", What::Value, Jsonb),
        of("array_to_json", What::Value, Json),
        of(ROW_TO_JSON, What::Value, Json),
        of("json_build_array", What::Array, Json),
        of("jsonb_build_array", What::Array, Jsonb),
        of("json_build_object", What::Object, Json),
        of("jsonb_build_object", What::Object, Jsonb),
    ]
}

fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

impl Build {
    fn one(
        &self,
        columns: &[JsonColumn<'_>],
        row: usize,
    ) -> std::result::Result<Option<String>, Diagnostic> {
        let mut out = String::new();
        match self.what {
            What::Value => {
                if columns[0].is_null(row) {
                    return Ok(None);
                }
                columns[0].write(row, &mut out)?;
            }
            What::Array => {
                out.push('[');
                for (index, column) in columns.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    column.write(row, &mut out)?;
                }
                out.push(']');
            }
            What::Object => self.object(columns, row, &mut out)?,
        }
        match self.kind {
            TypeKind::Jsonb => json::normalise(&out).map(Some),
            _ => Ok(Some(out)),
        }
    }

    fn object(
        &self,
        columns: &[JsonColumn<'_>],
        row: usize,
        out: &mut String,
    ) -> std::result::Result<(), Diagnostic> {
        if !columns.len().is_multiple_of(2) {
            return Err(
                invalid("argument list must have even number of elements").with_hint(format!(
                    "The arguments of {}() must consist of alternating keys and values.",
                    self.name
                )),
            );
        }
        out.push('{');
        for (index, pair) in columns.chunks_exact(2).enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if pair[0].is_null(row) {
                return Err(match self.kind {
                    TypeKind::Json => invalid(format!("argument {} cannot be null", index * 2 + 1))
                        .with_hint("Object keys should be text."),
                    _ => invalid(format!("argument {}: key must not be null", index * 2 + 1)),
                });
            }
            json::write_quoted(&pair[0].key(row)?, out);
            out.push_str(" : ");
            pair[1].write(row, out)?;
        }
        out.push('}');
        Ok(())
    }
}

impl ScalarUDFImpl for Build {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if self.name == ROW_TO_JSON {
            let given = types::sql_type(&args.arg_fields[0]).map_err(failure::external)?;
            if given != SqlType::scalar(TypeKind::Record) {
                return Err(failure::external(failure::no_function(self.name, &[given])));
            }
        }
        Ok(Arc::new(cast::field(self.name, SqlType::scalar(self.kind))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let statement = Statement::of(&args.config_options);
        let defaults = Settings::default();
        let settings = match &statement {
            Ok(statement) => &*statement.context.settings,
            Err(_) => &defaults,
        };
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
        let columns = arrays
            .iter()
            .zip(&args.arg_fields)
            .map(|(array, field)| {
                let sql_type = types::sql_type(field)?;
                JsonColumn::new(array, sql_type, settings)
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(failure::external)?;
        let built = (0..rows)
            .map(|row| self.one(&columns, row).map_err(failure::external))
            .collect::<Result<Vec<_>>>()?;
        let built: ArrayRef = Arc::new(built.into_iter().collect::<StringArray>());
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&built, 0)?),
            false => ColumnarValue::Array(built),
        })
    }
}
