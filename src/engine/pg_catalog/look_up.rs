//! `to_regclass`, `to_regtype` and `to_regproc`: the OID behind a name, NULL where there is none
//! (<https://www.postgresql.org/docs/15/functions-info.html>, table 9.72). Clients ask so for types
//! that a server may not have.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::failure;
use crate::engine::query::functions::definition::{Call, Function, TEXT};
use crate::engine::query::functions::names;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::UInt32Type;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// All of them.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let of = |name, kind, body| Function::stable(name, &[&[TEXT]], SqlType::scalar(kind), body);
    vec![
        of("to_regclass", TypeKind::Regclass, |call| {
            found(call, TypeKind::Regclass)
        }),
        of("to_regtype", TypeKind::Regtype, |call| {
            found(call, TypeKind::Regtype)
        }),
        of("to_regproc", TypeKind::Regproc, |call| {
            found(call, TypeKind::Regproc)
        }),
    ]
}

fn found(call: &Call<'_>, kind: TypeKind) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.values::<UInt32Type>(|row| {
        let Some(text) = call.text(0, row) else {
            return Ok(None);
        };
        let oid = names::find(text, kind, &statement.context).map_err(failure::external)?;
        Ok(oid.map(|oid| oid.0))
    })
}
