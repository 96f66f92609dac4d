//! pg_settings: the session's settings as SHOW prints them; pg_timezone_names: what TimeZone takes.

use super::Row;
use super::cell::{Cell, row, text};
use super::relations::catalog;
use crate::engine::context::StatementContext;

/// pg_settings
pub fn pg_settings(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_settings");
    context
        .settings
        .values
        .iter()
        .map(|(name, value)| {
            let vartype = match &**value {
                "on" | "off" => "bool",
                value if value.parse::<i64>().is_ok() => "integer",
                _ => "string",
            };
            row(
                shape,
                &[
                    ("name", text(&**name)),
                    ("setting", text(&**value)),
                    ("category", text("Session")),
                    ("context", text("user")),
                    ("vartype", text(vartype)),
                    ("source", text("session")),
                    ("reset_val", text(&**value)),
                    ("pending_restart", Cell::Bool(false)),
                ],
            )
        })
        .collect()
}

/// pg_timezone_names, without abbreviations and offsets, which depend on the day.
pub fn pg_timezone_names(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_timezone_names");
    chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| row(shape, &[("name", text(zone.name()))]))
        .collect()
}
