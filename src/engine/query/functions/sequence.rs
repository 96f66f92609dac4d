//! nextval, currval, lastval, setval.
//!
//! They wait for the sequence's logged step and so run on the pool only; the session core takes
//! defaults that call nextval from storage itself (`engine::dml`).

use super::definition::{Argument, BOOL, Call, Function, INT8, REGCLASS, TEXT};
use super::names;
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody, Sequence};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::statement::Statement;
use crate::engine::query::{failure, pool};
use crate::storage::{SequenceState, SequenceSteps};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type, UInt32Type};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

const NAMED: &[&[Argument]] = &[&[REGCLASS]];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let int8 = SqlType::scalar(TypeKind::Int8);
    vec![
        Function::volatile("nextval", &[&[Argument::Any]], int8, nextval),
        Function::volatile("currval", &[&[Argument::Any]], int8, currval),
        Function::volatile("lastval", &[&[]], int8, lastval),
        Function::volatile(
            "setval",
            &[&[Argument::Any, INT8], &[Argument::Any, INT8, BOOL]],
            int8,
            setval,
        ),
        Function::stable(
            "pg_get_serial_sequence",
            &[&[TEXT, TEXT]],
            SqlType::scalar(TypeKind::Text),
            serial_sequence,
        ),
        Function::stable("pg_sequence_last_value", NAMED, int8, last_value),
    ]
}

/// The sequence that an argument names, by name or OID.
fn sequence<'a>(
    call: &Call<'_>,
    statement: &'a Statement,
    row: usize,
) -> Result<Option<(&'a Arc<Relation>, &'a Sequence)>> {
    let argument = &call.args[0];
    if argument.is_null(row) {
        return Ok(None);
    }
    let relation = match argument.data_type() {
        DataType::Utf8 => {
            let name = argument.as_string::<i32>().value(row);
            names::relation(name, &statement.context).map_err(failure::external)?
        }
        _ => {
            let oids = datafusion::arrow::compute::cast(argument, &DataType::UInt32)?;
            let oid = Oid(oids.as_primitive::<UInt32Type>().value(row));
            let found = names::relation_of_oid(oid, &statement.context);
            found.ok_or_else(|| {
                failure::error(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation with OID {oid} does not exist"),
                )
            })?
        }
    };
    match &relation.body {
        RelationBody::Sequence(sequence) => Ok(Some((relation, sequence))),
        _ => Err(failure::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a sequence", relation.name),
        )),
    }
}

/// How the sequence counts, as storage wants it.
pub fn steps(sequence: &Sequence) -> SequenceSteps {
    SequenceSteps {
        start: sequence.start,
        increment: sequence.increment,
        min: sequence.min,
        max: sequence.max,
        cycle: sequence.cycle,
    }
}

/// Waits for storage where work may block.
fn wait<T>(
    sequence: &str,
    work: impl Future<Output = std::result::Result<T, crate::storage::StorageError>>,
) -> Result<T> {
    if !pool::is_here() {
        return Err(failure::external(Diagnostic::internal(
            "a sequence was asked on a session core",
        )));
    }
    pool::blocking(|| futures::executor::block_on(work))
        .map_err(|error| failure::external(error.of_sequence(sequence)))
}

fn nextval(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.values::<Int64Type>(|row| {
        let Some((relation, sequence)) = sequence(call, &statement, row)? else {
            return Ok(None);
        };
        statement
            .context
            .rights
            .may_update(relation)
            .map_err(failure::external)?;
        let storage = &statement.engine.storage;
        let next = storage.sequence_next(sequence.store, steps(sequence));
        let value = wait(&relation.name, next)?;
        let mut memory = statement.context.effects.sequences.lock();
        memory.values.insert(relation.oid, value);
        memory.last = Some(relation.oid);
        Ok(Some(value))
    })
}

fn not_yet(name: &str) -> datafusion::error::DataFusionError {
    failure::error(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("currval of sequence \"{name}\" is not yet defined in this session"),
    )
}

fn currval(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.values::<Int64Type>(|row| {
        let Some((relation, _)) = sequence(call, &statement, row)? else {
            return Ok(None);
        };
        let memory = statement.context.effects.sequences.lock();
        match memory.values.get(&relation.oid) {
            Some(value) => Ok(Some(*value)),
            None => Err(not_yet(&relation.name)),
        }
    })
}

fn lastval(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.values::<Int64Type>(|_| {
        let memory = statement.context.effects.sequences.lock();
        let last = memory.last.and_then(|oid| memory.values.get(&oid));
        match last {
            Some(value) => Ok(Some(*value)),
            None => Err(failure::error(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "lastval is not yet defined in this session",
            )),
        }
    })
}

fn setval(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.values::<Int64Type>(|row| {
        let (Some((relation, sequence)), Some(value)) =
            (sequence(call, &statement, row)?, call.int8(1, row))
        else {
            return Ok(None);
        };
        statement
            .context
            .rights
            .may_update(relation)
            .map_err(failure::external)?;
        let is_called = match call.args.len() {
            3 => match call.bool(2, row) {
                Some(is_called) => is_called,
                None => return Ok(None),
            },
            _ => true,
        };
        if value < sequence.min || value > sequence.max {
            return Err(failure::error(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    relation.name, sequence.min, sequence.max
                ),
            ));
        }
        let state = SequenceState {
            last_value: value,
            is_called,
        };
        let set = statement.engine.storage.sequence_set(sequence.store, state);
        wait(&relation.name, set)?;
        if is_called {
            let mut memory = statement.context.effects.sequences.lock();
            memory.values.insert(relation.oid, value);
        }
        Ok(Some(value))
    })
}

/// The value given out last; NULL before the first.
fn last_value(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.values::<Int64Type>(|row| {
        let Some((_, sequence)) = sequence(call, &statement, row)? else {
            return Ok(None);
        };
        let state = statement
            .engine
            .storage
            .sequence_state(sequence.store, steps(sequence))
            .map_err(|error| failure::external(error.into()))?;
        Ok(state.is_called.then_some(state.last_value))
    })
}

fn serial_sequence(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.texts(|row| {
        let (Some(table), Some(column)) = (call.text(0, row), call.text(1, row)) else {
            return Ok(None);
        };
        let relation = names::relation(table, &statement.context).map_err(failure::external)?;
        let found = relation.table().and_then(|table| {
            table
                .columns
                .iter()
                .find(|known| &*known.name == column && !known.dropped)
        });
        let Some(found) = found else {
            return Err(failure::error(
                SqlState::UNDEFINED_COLUMN,
                format!(
                    "column \"{column}\" of relation \"{}\" does not exist",
                    relation.name
                ),
            ));
        };
        let sequence = found
            .sequence
            .and_then(|oid| names::relation_of_oid(oid, &statement.context));
        Ok(sequence.map(|sequence| names::qualified(sequence)))
    })
}
