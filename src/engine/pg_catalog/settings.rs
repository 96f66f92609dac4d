//! pg_settings: the session's settings as SHOW prints them; pg_timezone_names: what TimeZone takes.

use super::Row;
use super::cell::{Cell, maybe, row, text};
use super::relations::catalog;
use crate::engine::context::StatementContext;

/// Settings that are a time or a size: the unit of the setting column, how many of the smallest of
/// its kind that is.
const UNITS: &[(&str, &str, i64)] = &[
    ("effective_cache_size", "8kB", 8 << 10),
    ("gin_pending_list_limit", "kB", 1 << 10),
    ("idle_in_transaction_session_timeout", "ms", 1_000),
    ("idle_session_timeout", "ms", 1_000),
    ("lock_timeout", "ms", 1_000),
    ("maintenance_work_mem", "kB", 1 << 10),
    ("statement_timeout", "ms", 1_000),
    ("tcp_keepalives_idle", "s", 1_000_000),
    ("tcp_keepalives_interval", "s", 1_000_000),
    ("temp_buffers", "8kB", 8 << 10),
    ("work_mem", "kB", 1 << 10),
];

/// What a number's unit is of the smallest of its kind: microseconds, bytes.
const FACTORS: &[(&str, i64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("kB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("TB", 1 << 40),
    ("B", 1),
];

/// Settings whose values are words of a list.
const ENUMS: &[&str] = &[
    "backslash_quote",
    "bytea_output",
    "client_min_messages",
    "constraint_exclusion",
    "default_toast_compression",
    "default_transaction_isolation",
    "IntervalStyle",
    "log_min_messages",
    "log_statement",
    "password_encryption",
    "plan_cache_mode",
    "session_replication_role",
    "synchronous_commit",
    "transaction_isolation",
    "wal_level",
    "xmloption",
];

/// Settings that are numbers with a fraction.
const REALS: &[&str] = &[
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "hash_mem_multiplier",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "random_page_cost",
    "seq_page_cost",
    "vacuum_cost_delay",
];

/// A value as SHOW prints it, in the unit that pg_settings tells of it.
fn in_unit(value: &str, unit: i64) -> String {
    let digits = value.trim_start_matches('-').bytes();
    let sign = value.len() - value.trim_start_matches('-').len();
    let end = sign + digits.take_while(u8::is_ascii_digit).count();
    let (number, suffix) = value.split_at(end);
    let factor = FACTORS.iter().find(|(name, _)| *name == suffix);
    match (number.parse::<i64>(), factor) {
        (Ok(number), Some((_, factor))) => (number * factor / unit).to_string(),
        _ => value.to_owned(),
    }
}

/// pg_settings
pub fn pg_settings(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_settings");
    let rows = context.settings.values.iter().map(|(name, value)| {
        let unit = UNITS.iter().find(|(known, ..)| *known == &**name);
        let setting = unit.map_or_else(|| value.to_string(), |(_, _, unit)| in_unit(value, *unit));
        let vartype = match &**value {
            _ if ENUMS.contains(&&**name) => "enum",
            _ if REALS.contains(&&**name) => "real",
            _ if name.contains('.') => "string",
            "on" | "off" => "bool",
            _ if setting.parse::<i64>().is_ok() => "integer",
            _ => "string",
        };
        row(
            shape,
            &[
                ("name", text(&**name)),
                ("setting", text(setting.clone())),
                ("unit", maybe(unit.map(|(_, unit, _)| *unit))),
                ("category", text("Session")),
                ("context", text("user")),
                ("vartype", text(vartype)),
                ("source", text("session")),
                ("reset_val", text(setting)),
                ("pending_restart", Cell::Bool(false)),
            ],
        )
    });
    rows.collect()
}

/// pg_timezone_names, without abbreviations and offsets, which depend on the day.
pub fn pg_timezone_names(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_timezone_names");
    chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| row(shape, &[("name", text(zone.name()))]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_told_in_its_base_unit() {
        for (shown, unit, told) in [
            ("5s", 1_000, "5000"),
            ("0", 1_000, "0"),
            ("1min", 1_000_000, "60"),
            ("2MB", 1 << 10, "2048"),
            ("4GB", 8 << 10, "524288"),
            ("-1", 1_000, "-1"),
        ] {
            assert_eq!(in_unit(shown, unit), told, "{shown}");
        }
    }
}
