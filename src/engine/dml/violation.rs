//! Constraint violations in PostgreSQL's words, with all the fields a client shows.

use super::target::{ForeignKey, Referencing, Target, TargetIndex};
use crate::catalog::definition::{Column, Table};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::settings::Settings;
use crate::engine::types;
use bytes::BytesMut;
use datafusion::common::ScalarValue;

/// Values longer than this are cut in "Failing row contains" (PostgreSQL's
/// ExecBuildSlotValueDescription is given 64).
const FIELD_CHARACTERS_MAX: usize = 64;

/// 23502
pub fn not_null(
    target: &Target,
    column: usize,
    row: &[ScalarValue],
    settings: &Settings,
) -> Diagnostic {
    let name = &target.columns()[column].name;
    let table = &target.relation.name;
    placed(
        Diagnostic::error(
            SqlState::NOT_NULL_VIOLATION,
            format!(
                "null value in column \"{name}\" of relation \"{table}\" violates not-null \
                 constraint"
            ),
        ),
        target,
    )
    .with_column(name.as_ref())
    .with_detail(failing_row(target, row, settings))
}

/// 23514
pub fn check(
    target: &Target,
    constraint: &str,
    row: &[ScalarValue],
    settings: &Settings,
) -> Diagnostic {
    let table = &target.relation.name;
    placed(
        Diagnostic::error(
            SqlState::CHECK_VIOLATION,
            format!("new row for relation \"{table}\" violates check constraint \"{constraint}\""),
        ),
        target,
    )
    .with_constraint(constraint)
    .with_detail(failing_row(target, row, settings))
}

/// 23505
pub fn unique(
    target: &Target,
    constraint: &str,
    columns: &[u16],
    values: &[ScalarValue],
    settings: &Settings,
) -> Diagnostic {
    placed(
        Diagnostic::error(
            SqlState::UNIQUE_VIOLATION,
            format!("duplicate key value violates unique constraint \"{constraint}\""),
        ),
        target,
    )
    .with_constraint(constraint)
    .with_detail(format!(
        "Key {} already exists.",
        key(target.table(), columns, values, settings)
    ))
}

/// 23505 of an index, whose columns may be expressions.
pub fn unique_index(
    target: &Target,
    index: &TargetIndex,
    values: &[ScalarValue],
    settings: &Settings,
) -> Diagnostic {
    let name = &index.name;
    let parts = index.values.parts().iter();
    let names: Vec<&str> = parts.clone().map(|(name, _)| &**name).collect();
    let printed: Vec<String> = parts
        .zip(values)
        .map(|((_, sql_type), value)| text(value, *sql_type, settings))
        .collect();
    placed(
        Diagnostic::error(
            SqlState::UNIQUE_VIOLATION,
            format!("duplicate key value violates unique constraint \"{name}\""),
        ),
        target,
    )
    .with_constraint(name.as_ref())
    .with_detail(format!(
        "Key ({})=({}) already exists.",
        names.join(", "),
        printed.join(", ")
    ))
}

/// 23503 of a row that points at nothing.
pub fn no_parent(
    target: &Target,
    foreign: &ForeignKey,
    values: &[ScalarValue],
    settings: &Settings,
) -> Diagnostic {
    let table = &target.relation.name;
    let parent = &foreign.parent.relation.name;
    placed(
        Diagnostic::error(
            SqlState::FOREIGN_KEY_VIOLATION,
            format!(
                "insert or update on table \"{table}\" violates foreign key constraint \"{}\"",
                foreign.name
            ),
        ),
        target,
    )
    .with_constraint(foreign.name.as_ref())
    .with_detail(format!(
        "Key {} is not present in table \"{parent}\".",
        key(target.table(), &foreign.columns, values, settings)
    ))
}

/// 23503 of a row that is still pointed at.
pub fn still_referenced(
    target: &Target,
    referencing: &Referencing,
    values: &[ScalarValue],
    settings: &Settings,
) -> Diagnostic {
    let table = &target.relation.name;
    let child = &referencing.relation;
    Diagnostic::error(
        SqlState::FOREIGN_KEY_VIOLATION,
        format!(
            "update or delete on table \"{table}\" violates foreign key constraint \"{}\" on \
             table \"{}\"",
            referencing.name, child.name
        ),
    )
    .with_schema(child.schema.as_ref())
    .with_table(child.name.as_ref())
    .with_constraint(referencing.name.as_ref())
    .with_detail(format!(
        "Key {} is still referenced from table \"{}\".",
        key(target.table(), &referencing.referenced, values, settings),
        child.name
    ))
}

fn placed(diagnostic: Diagnostic, target: &Target) -> Diagnostic {
    diagnostic
        .with_schema(target.relation.schema.as_ref())
        .with_table(target.relation.name.as_ref())
}

/// `(id, name)=(1, x)`
fn key(table: &Table, columns: &[u16], values: &[ScalarValue], settings: &Settings) -> String {
    let column = |position: &u16| &table.columns[usize::from(*position)];
    let names: Vec<&str> = columns.iter().map(|at| &*column(at).name).collect();
    let texts: Vec<String> = columns
        .iter()
        .zip(values)
        .map(|(at, value)| text(value, column(at).sql_type, settings))
        .collect();
    format!("({})=({})", names.join(", "), texts.join(", "))
}

fn failing_row(target: &Target, row: &[ScalarValue], settings: &Settings) -> String {
    let shown = |(column, value): (&Column, &ScalarValue)| {
        let mut text = text(value, column.sql_type, settings);
        if let Some((cut, _)) = text.char_indices().nth(FIELD_CHARACTERS_MAX) {
            text.truncate(cut);
            text.push_str("...");
        }
        text
    };
    let fields: Vec<String> = target
        .columns()
        .iter()
        .zip(row)
        .filter(|(column, _)| !column.dropped)
        .map(shown)
        .collect();
    format!("Failing row contains ({}).", fields.join(", "))
}

fn text(value: &ScalarValue, sql_type: SqlType, settings: &Settings) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut out = BytesMut::new();
    let printed = value
        .to_array()
        .map_err(crate::engine::query::failure::diagnostic)
        .and_then(|array| types::encode_text(&array, 0, sql_type, settings, &mut out));
    match printed {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        // The violation itself matters more than how a value of it is printed.
        Err(_) => value.to_string(),
    }
}
