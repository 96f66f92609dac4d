//! pg_terminate_backend and pg_cancel_backend (PostgreSQL 15, §9.27.2), with the rights of KILL
//! SESSION.

use super::definition::{Argument, Call, Function, INT4, INT8};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::peers::{Interrupted, Interruption};
use crate::engine::query::{failure, pool};
use datafusion::arrow::array::ArrayRef;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;
use std::time::Duration;

const ONE: &[&[Argument]] = &[&[INT4]];
const TIMED: &[&[Argument]] = &[&[INT4], &[INT4, INT8]];

/// The longest that one waits for a session to be gone.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let bool = SqlType::scalar(TypeKind::Bool);
    vec![
        Function::volatile("pg_cancel_backend", ONE, bool, |call| {
            interrupt(call, Interruption::Cancel)
        }),
        Function::volatile("pg_terminate_backend", TIMED, bool, |call| {
            interrupt(call, Interruption::Terminate)
        }),
    ]
}

fn interrupt(call: &Call<'_>, how: Interruption) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let context = &statement.context;
    call.bools(|row| {
        let Some(pid) = call.int4(0, row) else {
            return Ok(None);
        };
        let milliseconds = match call.args.len() {
            1 => 0,
            _ => match call.int8(1, row) {
                Some(milliseconds) => milliseconds,
                None => return Ok(None),
            },
        };
        let milliseconds = u64::try_from(milliseconds).map_err(|_| {
            failure::error(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "\"timeout\" must not be negative",
            )
        })?;
        statement.check().map_err(failure::external)?;
        let Some(peers) = &context.peers else {
            return Ok(Some(false));
        };
        let wait = (milliseconds > 0).then(|| Duration::from_millis(milliseconds).min(WAIT_MAX));
        let interrupted = pool::blocking(|| peers.interrupt(&context.rights, pid, how, wait));
        let warn = |message: String| {
            let warning = Diagnostic::new(Severity::Warning, SqlState::WARNING, message);
            context.notices.push(warning);
            Ok(Some(false))
        };
        match (interrupted, how) {
            (Interrupted::Told, _) => Ok(Some(true)),
            (Interrupted::NotThere, _) => {
                warn(format!("PID {pid} is not a PostgreSQL backend process"))
            }
            (Interrupted::StillThere, _) => warn(format!(
                "backend with PID {pid} did not terminate within {milliseconds} milliseconds"
            )),
            (Interrupted::Superuser, Interruption::Cancel) => Err(failure::error(
                SqlState::INSUFFICIENT_PRIVILEGE,
                "must be a superuser to cancel superuser query",
            )),
            (Interrupted::Superuser, Interruption::Terminate) => Err(failure::error(
                SqlState::INSUFFICIENT_PRIVILEGE,
                "must be a superuser to terminate superuser process",
            )),
        }
    })
}
