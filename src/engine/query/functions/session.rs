//! Functions about the session: who, where, which settings.

use super::definition::{Argument, BOOL, Call, FLOAT8, Function, TEXT};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::context::{SettingChange, StatementContext};
use crate::engine::notification::Notification;
use crate::engine::query::failure;
use crate::engine::query::statement::Statement;
use crate::engine::search_path;
use crate::engine::types;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, ListArray, NullArray, StringArray, UInt32Array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What version() answers; its beginning is what clients look at (REFERENCE §8).
pub fn version() -> String {
    format!(
        "PostgreSQL 15.0 (NodeDB {}) on {}-linux, compiled by rustc, 64-bit",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    )
}

const NONE: &[&[Argument]] = &[&[]];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let text = SqlType::scalar(TypeKind::Text);
    let name = SqlType::scalar(TypeKind::Name);
    let mut found = vec![
        Function::immutable("version", NONE, text, |call| {
            call.texts(|_| Ok(Some(version())))
        }),
        Function::stable("current_database", NONE, name, current_database),
        Function::stable("current_catalog", NONE, name, current_database),
        Function::stable("current_schema", NONE, name, current_schema),
        Function::stable(
            "current_schemas",
            &[&[BOOL]],
            SqlType::array_of(TypeKind::Name),
            current_schemas,
        ),
        Function::stable(
            "pg_backend_pid",
            NONE,
            SqlType::scalar(TypeKind::Int4),
            |call| {
                let pid = call.statement()?.context.backend_pid;
                Ok(Arc::new(Int32Array::from_value(pid, call.rows)))
            },
        ),
        Function::stable(
            "current_setting",
            &[&[TEXT], &[TEXT, BOOL]],
            text,
            current_setting,
        ),
        Function::volatile("set_config", &[&[TEXT, TEXT, BOOL]], text, set_config),
        Function::immutable("pg_client_encoding", NONE, name, |call| {
            call.texts(|_| Ok(Some("UTF8".to_owned())))
        }),
        Function::immutable("getdatabaseencoding", NONE, name, |call| {
            call.texts(|_| Ok(Some("UTF8".to_owned())))
        }),
        Function::immutable(
            "pg_is_in_recovery",
            NONE,
            SqlType::scalar(TypeKind::Bool),
            |call| call.bools(|_| Ok(Some(false))),
        ),
        Function::volatile(
            "pg_sleep",
            &[&[FLOAT8]],
            SqlType::scalar(TypeKind::Void),
            sleep,
        ),
        Function::volatile(
            "pg_notify",
            &[&[TEXT, TEXT]],
            SqlType::scalar(TypeKind::Void),
            notify,
        ),
        Arc::new(ScalarUDF::new_from_impl(TypeOf {
            signature: Signature::any(1, Volatility::Stable),
        })),
    ];
    for user in ["current_user", "session_user", "user", "current_role"] {
        found.push(Function::stable(user, NONE, name, |call| {
            let user = call.statement()?.context.identity.name.to_string();
            call.texts(|_| Ok(Some(user.clone())))
        }));
    }
    found
}

fn current_database(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let name = database_name(&statement.context);
    call.texts(|_| Ok(Some(name.clone())))
}

/// The name of the session's database.
pub fn database_name(context: &StatementContext) -> String {
    context
        .snapshot
        .principals
        .database(context.identity.database)
        .map_or_else(String::new, |database| database.name.to_string())
}

fn current_schema(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let first = search_path::of(&statement.context)
        .first()
        .map(|schema| schema.to_string());
    call.texts(|_| Ok(first.clone()))
}

fn current_schemas(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let path = search_path::of(&statement.context);
    let mut values = Vec::new();
    let mut lengths = Vec::new();
    for row in 0..call.rows {
        let before = values.len();
        let path_names = path.iter().map(|schema| schema.to_string());
        if call.bool(0, row) == Some(true) && !path.iter().any(|s| &**s == "pg_catalog") {
            values.push("pg_catalog".to_owned());
        }
        values.extend(path_names);
        lengths.push(values.len() - before);
    }
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let names = Arc::new(StringArray::from_iter_values(values));
    Ok(Arc::new(ListArray::try_new(
        field,
        OffsetBuffer::from_lengths(lengths),
        names,
        None,
    )?))
}

fn current_setting(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.texts(|row| {
        let Some(name) = call.text(0, row) else {
            return Ok(None);
        };
        let missing_ok = call.args.len() == 2 && call.bool(1, row) == Some(true);
        match setting(&statement, name) {
            Some(value) => Ok(Some(value)),
            None if missing_ok => Ok(None),
            None => Err(failure::error(
                SqlState::UNDEFINED_OBJECT,
                format!("unrecognized configuration parameter \"{name}\""),
            )),
        }
    })
}

/// A setting as SHOW prints it; names are the same in any case.
fn setting(statement: &Statement, name: &str) -> Option<String> {
    statement
        .context
        .settings
        .values
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.to_string())
}

fn set_config(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.texts(|row| {
        let Some(name) = call.text(0, row) else {
            return Err(failure::error(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "SET requires parameter name",
            ));
        };
        let value = call.text(1, row).unwrap_or_default().to_owned();
        // `auth.*` is who the session is for, which no client says.
        let class = name.split_once('.').map(|(class, _)| class);
        if class.is_some_and(|class| class.eq_ignore_ascii_case("auth")) {
            return Err(failure::error(
                SqlState::CANT_CHANGE_RUNTIME_PARAM,
                format!("parameter \"{name}\" cannot be changed"),
            ));
        }
        let known = setting(&statement, name).is_some() || name.contains('.');
        if !known {
            return Err(failure::error(
                SqlState::UNDEFINED_OBJECT,
                format!("unrecognized configuration parameter \"{name}\""),
            ));
        }
        statement
            .context
            .effects
            .settings
            .lock()
            .push(SettingChange {
                name: name.to_owned(),
                value: value.clone(),
                local: call.bool(2, row) == Some(true),
            });
        Ok(Some(value))
    })
}

/// Told when the transaction is committed; NULL is the empty text, as in PostgreSQL.
fn notify(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let context = &statement.context;
    for row in 0..call.rows {
        let channel = call.text(0, row).unwrap_or_default();
        let payload = call.text(1, row).unwrap_or_default();
        Notification::new(channel, payload)
            .and_then(|told| context.effects.told.lock().push(context.turn, told))
            .map_err(failure::external)?;
    }
    Ok(Arc::new(NullArray::new(call.rows)))
}

/// Sleeps in short naps, so that a cancel ends it; another thread takes over this one's tasks.
fn sleep(call: &Call<'_>) -> Result<ArrayRef> {
    const NAP: Duration = Duration::from_millis(5);
    let statement = call.statement()?;
    for row in 0..call.rows {
        let seconds = call.args[0].as_primitive::<Float64Type>();
        if seconds.is_null(row) || seconds.value(row) <= 0.0 {
            continue;
        }
        // A year is as long as anybody waits.
        let length = Duration::from_secs_f64(seconds.value(row).min(31_536_000.0));
        let end = Instant::now() + length;
        crate::engine::query::pool::blocking(|| {
            while let Some(left) = end.checked_duration_since(Instant::now()) {
                statement.check()?;
                std::thread::sleep(left.min(NAP));
            }
            Ok::<(), crate::diagnostic::Diagnostic>(())
        })
        .map_err(failure::external)?;
    }
    Ok(Arc::new(NullArray::new(call.rows)))
}

/// pg_typeof
#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "pg_typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        let regtype = SqlType::scalar(TypeKind::Regtype);
        Ok(Arc::new(types::arrow_field("pg_typeof", regtype, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let sql_type = types::sql_type(&args.arg_fields[0]).map_err(failure::external)?;
        let oid = types::oid(sql_type).0;
        Ok(ColumnarValue::Array(Arc::new(UInt32Array::from_value(
            oid,
            args.number_rows,
        ))))
    }
}
