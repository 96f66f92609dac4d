//! The columns of a recursive query while it is planned: what they begin with, and what every round gives.
//!
//! None of them is ever called: `semantics::recursion` puts values in their place.

use super::label;
use crate::catalog::sql_type::SqlType;
use crate::engine::query::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// The function around what a recursive query begins with: of the type that it has in the rounds to come.
pub const SEED: &str = "recursive_seed";

/// The function around what each round gives: of no type, so that the planner leaves it alone.
pub const STEP: &str = "recursive_step";

/// The functions of [`SEED`] and [`STEP`].
pub fn marks() -> Vec<Arc<ScalarUDF>> {
    let mark = |name| {
        Arc::new(ScalarUDF::new_from_impl(Mark {
            name,
            signature: Signature::any(1, Volatility::Immutable),
        }))
    };
    vec![mark(SEED), mark(STEP)]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    /// A numeric without a scale has any in later rounds.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if self.name == STEP {
            return Ok(Arc::new(Field::new(STEP, DataType::Null, true)));
        }
        let sql_type = label::type_of(&args.arg_fields[0])?;
        Ok(Arc::new(cast::field(SEED, sql_type)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(unplanned())
    }
}

/// Which of the two queries of a recursion gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// The rows that it begins with.
    First,
    /// Those that come of the rows before.
    Recursive,
}

/// A value that a recursive query gives in one of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecursiveColumn {
    /// The query's name.
    pub query: String,
    /// The column's place, from 1.
    pub place: usize,
    /// Whose value it is.
    pub term: Term,
    /// What the column is.
    pub field: FieldRef,
    signature: Signature,
}

impl RecursiveColumn {
    /// The value as one of this column.
    pub fn call(query: &str, place: usize, term: Term, field: FieldRef, value: Expr) -> Expr {
        let function = ScalarUDF::new_from_impl(RecursiveColumn {
            query: query.to_owned(),
            place,
            term,
            field,
            signature: Signature::any(1, Volatility::Immutable),
        });
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![value]))
    }

    /// What a call of [`RecursiveColumn::call`] says of its argument.
    pub fn of(function: &ScalarFunction) -> Option<&RecursiveColumn> {
        let inner: &dyn std::any::Any = function.func.inner().as_ref();
        inner.downcast_ref::<RecursiveColumn>()
    }

    /// Its type.
    ///
    /// # Errors
    /// 0A000 for an Arrow type that no SQL type has.
    pub fn sql_type(&self) -> Result<SqlType> {
        label::type_of(&self.field)
    }
}

impl ScalarUDFImpl for RecursiveColumn {
    fn name(&self) -> &'static str {
        "recursive_column"
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
        Err(unplanned())
    }
}

fn unplanned() -> DataFusionError {
    DataFusionError::Internal("a recursive query's column was not planned".to_owned())
}
