//! The SQL type of a value whose Arrow type does not say it: jsonb is text to the library.
//!
//! A CASE, a coalesce or an array's element forgets what its parts were.

use crate::catalog::sql_type::SqlType;
use crate::engine::query::{cast, failure};
use crate::engine::types;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// The SQL type of a field.
///
/// # Errors
/// 0A000 for an Arrow type that no SQL type has.
pub fn type_of(field: &Field) -> Result<SqlType> {
    types::sql_type(field).map_err(failure::external)
}

/// The field as one of this type, if its Arrow type can be that.
pub fn kept(found: FieldRef, sql_type: Option<SqlType>) -> FieldRef {
    let Some(sql_type) = sql_type else {
        return found;
    };
    let labelled = cast::field(
        found.name(),
        SqlType {
            typmod: -1,
            ..sql_type
        },
    );
    match labelled.data_type() == found.data_type() {
        true => Arc::new(labelled),
        false => found,
    }
}

/// The expression, whose value is one of the type already.
pub fn as_type(expr: Expr, sql_type: SqlType) -> Expr {
    let function = ScalarUDF::new_from_impl(Label {
        sql_type,
        signature: Signature::any(1, Volatility::Immutable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![expr]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Label {
    sql_type: SqlType,
    signature: Signature,
}

impl ScalarUDFImpl for Label {
    fn name(&self) -> &'static str {
        "label"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(types::data_type(self.sql_type))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(cast::field("label", self.sql_type)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.into_iter().next();
        value.ok_or_else(|| DataFusionError::Internal("a label of nothing".to_owned()))
    }
}
