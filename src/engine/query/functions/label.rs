//! The SQL type of a value whose Arrow type does not say it: jsonb is text to the library.
//!
//! A CASE, a coalesce or an array's element forgets what its parts were.

use crate::catalog::sql_type::{SqlType, TypeKind};
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
    let typmod = match sql_type.kind {
        // Its blanks are printed by it.
        TypeKind::Bpchar => sql_type.typmod,
        _ => -1,
    };
    let labelled = cast::field(found.name(), SqlType { typmod, ..sql_type });
    match labelled.data_type() == found.data_type() {
        true => Arc::new(labelled),
        false => found,
    }
}

/// The expression, whose value is one of the type already.
pub fn as_type(expr: Expr, sql_type: SqlType) -> Expr {
    as_field(expr, Arc::new(cast::field("label", sql_type)))
}

/// The expression, whose value is one of the field's Arrow type already, told to be of the field.
pub fn as_field(expr: Expr, field: FieldRef) -> Expr {
    let function = ScalarUDF::new_from_impl(Label {
        field,
        signature: Signature::any(1, Volatility::Immutable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![expr]))
}

/// The expression as it is written, told to be of the field that it means: until the whole plan is made
/// to mean that, GROUP BY finds what is grouped by as it was written.
pub fn meant(written: Expr, field: FieldRef) -> Expr {
    let function = ScalarUDF::new_from_impl(Meant {
        field,
        signature: Signature::any(1, Volatility::Immutable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![written]))
}

/// Whether it is what [`meant`] makes; what it is of then means what it was told to.
pub fn is_meant(function: &ScalarUDF) -> bool {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.is::<Meant>()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Meant {
    field: FieldRef,
    signature: Signature,
}

impl ScalarUDFImpl for Meant {
    fn name(&self) -> &'static str {
        "meant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(self.field.clone())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(
            "an expression was not made to mean what it means".to_owned(),
        ))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Label {
    field: FieldRef,
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
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(self.field.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.into_iter().next();
        value.ok_or_else(|| DataFusionError::Internal("a label of nothing".to_owned()))
    }
}
