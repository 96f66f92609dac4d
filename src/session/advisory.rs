//! A statement that only takes an advisory lock waits for it here, on its core, before it begins:
//! any number of sessions may wait so, and hold no thread meanwhile.

use super::Session;
use super::run::interruptible;
use crate::diagnostic::Diagnostic;
use crate::engine::query::functions::advisory::{of_bigint, of_ints};
use crate::sql::advisory::{self, Number};
use crate::storage::{AdvisoryKey, AdvisoryMode};
use datafusion::common::ScalarValue;
use sqlparser::ast::Statement;
use std::pin::pin;

impl Session {
    /// Waits for what the statement locks, if that is all it does and can be told beforehand.
    ///
    /// # Errors
    /// 55P03 after lock_timeout, 40P01, 57014, 53200.
    pub(super) async fn wait_for_advisory_lock(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<(), Diagnostic> {
        let Some(asked) = advisory::of(statement) else {
            return Ok(());
        };
        let database = self.identity.database.0;
        let numbers = asked.key.map(|argument| value(argument?, parameters));
        let Some(key) = key(database, asked.key[1].is_some(), numbers) else {
            return Ok(());
        };
        let mode = match asked.shared {
            true => AdvisoryMode::Shared,
            false => AdvisoryMode::Exclusive,
        };
        let context = self.begin_engine_statement()?;
        let storage = &self.services.parts.storage;
        let locks = context.effects.advisory(storage, context.backend_pid);
        locks.set_transaction(context.transaction);
        let waiting = async { Ok(locks.reserve(key, mode, context.lock_timeout).await?) };
        let handle = self.entry.clone();
        interruptible(&handle, pin!(waiting)).await
    }
}

fn value(argument: &sqlparser::ast::Expr, parameters: &[ScalarValue]) -> Option<i64> {
    match advisory::number(argument)? {
        Number::Literal(number) => Some(number),
        Number::Parameter(place) => match parameters.get(place)? {
            ScalarValue::Int64(number) => *number,
            ScalarValue::Int32(number) => number.map(i64::from),
            ScalarValue::Int16(number) => number.map(i64::from),
            _ => None,
        },
    }
}

fn key(database: u32, of_two: bool, numbers: [Option<i64>; 2]) -> Option<AdvisoryKey> {
    match (of_two, numbers) {
        (false, [Some(key), _]) => Some(of_bigint(database, key)),
        (true, [Some(class), Some(object)]) => {
            let (class, object) = (class.try_into().ok()?, object.try_into().ok()?);
            Some(of_ints(database, class, object))
        }
        _ => None,
    }
}
