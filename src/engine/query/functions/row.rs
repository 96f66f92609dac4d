//! ROW(…): a value of type record, and what JSON makes of one.
//! Source: PostgreSQL 15, section 4.2.13 "Row Constructors".

use super::names;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::statement::Statement;
use crate::engine::query::{cast, failure};
use crate::engine::types::{self, CastContext, Column, record};
use bytes::BytesMut;
use datafusion::arrow::array::{ArrayRef, BinaryBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use std::sync::Arc;

/// The function's name: a word of the grammar's.
pub const ROW: &str = "row";

const RECORD: SqlType = SqlType::scalar(TypeKind::Record);

/// Puts its arguments together.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Row {
    signature: Signature,
}

/// The function.
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Row {
        // Names of the catalog are looked up.
        signature: Signature::one_of(
            vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
            Volatility::Stable,
        ),
    }))
}

/// A column as a field of a row: a name of the catalog is its text there, since nobody who prints the row
/// can look it up, and so are labels in an array, which does not say what they are.
fn field(
    array: ArrayRef,
    sql_type: SqlType,
    args: &ScalarFunctionArgs,
) -> Result<(ArrayRef, SqlType)> {
    let labels = sql_type.array && matches!(sql_type.kind, TypeKind::Enum(_));
    if !labels && !cast::by_name(sql_type) {
        return Ok((array, sql_type));
    }
    let text = SqlType {
        kind: TypeKind::Text,
        ..sql_type
    };
    let statement = Statement::of(&args.config_options)?;
    let texts = match labels {
        false => names::cast_array(&array, sql_type, text, &statement)?,
        true => {
            let input = statement.input();
            types::cast_array(&array, sql_type, text, CastContext::Explicit, input)
                .map_err(failure::external)?
        }
    };
    Ok((texts, text))
}

impl ScalarUDFImpl for Row {
    fn name(&self) -> &str {
        ROW
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(types::data_type(RECORD))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(cast::field(ROW, RECORD)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let constant = args.args.iter().all(scalar);
        let rows = if constant { 1 } else { args.number_rows };
        let mut fields = Vec::with_capacity(args.args.len());
        for (arg, of) in args.args.iter().zip(&args.arg_fields) {
            let sql_type = types::sql_type(of).map_err(failure::external)?;
            fields.push(field(arg.to_array(rows)?, sql_type, &args)?);
        }
        let columns = fields
            .iter()
            .map(|(array, of)| Column::new(array, *of).map(|column| (column, *of)))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(failure::external)?;
        let mut built = BinaryBuilder::new();
        let mut one = BytesMut::new();
        for row in 0..rows {
            one.clear();
            record::write(&columns, row, &mut one);
            built.append_value(&one);
        }
        let built: ArrayRef = Arc::new(built.finish());
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&built, 0)?),
            false => ColumnarValue::Array(built),
        })
    }
}
