//! The settings that exist: PostgreSQL's that drivers and dumps send, and `tenant`.
//!
//! A setting whose effect is not there is either absent (42704), takes only the value that says
//! what the server does (0A000 for another), or concerns performance alone and is kept as given.
//! Source: PostgreSQL 15, chapter 20 and pg_settings.

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// on or off, and PostgreSQL's other spellings.
    Bool,
    /// A whole number, with a unit where it has one.
    Integer {
        /// What a bare number means.
        unit: Unit,
        /// Inclusive.
        min: i64,
        /// Inclusive.
        max: i64,
    },
    /// A number with a fraction.
    Real,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// Any text.
    Text,
    /// A list of names.
    SearchPath,
    /// A time zone.
    TimeZone,
    /// `ISO, MDY` and what says the same.
    DateStyle,
    /// UTF8 and what says the same.
    Encoding,
    /// One of the isolation levels.
    Isolation,
    /// The number of a tenant (REFERENCE §7); the session carries the change out.
    Tenant,
}

/// The unit of a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// KiB.
    Kilobytes,
    /// Pages of 8 KiB.
    Pages,
}

/// Who may change a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Every session.
    Anybody,
    /// It tells what the server is (55P02).
    Nobody,
    /// Only the value it has (0A000 for another): what it would switch does not exist.
    OnlyThis,
}

/// Whether a change is told by ParameterStatus (PostgreSQL's GUC_REPORT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// As SHOW ALL prints it; looked up without regard to case.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value in a session that says nothing.
    pub default: &'static str,
    /// Who may change it.
    pub change: Change,
    /// Whether changes are reported.
    pub report: Report,
}

const fn known(name: &'static str, kind: Kind, default: &'static str) -> Known {
    Known {
        name,
        kind,
        default,
        change: Change::Anybody,
        report: Report::No,
    }
}

impl Known {
    const fn reported(self) -> Known {
        Known {
            report: Report::Yes,
            ..self
        }
    }

    const fn fixed(self) -> Known {
        Known {
            change: Change::Nobody,
            ..self
        }
    }

    const fn only(self) -> Known {
        Known {
            change: Change::OnlyThis,
            ..self
        }
    }
}

const MILLISECONDS: Kind = Kind::Integer {
    unit: Unit::Milliseconds,
    min: 0,
    max: i32::MAX as i64,
};
const SECONDS: Kind = Kind::Integer {
    unit: Unit::Seconds,
    min: 0,
    max: i32::MAX as i64,
};
const KILOBYTES: Kind = Kind::Integer {
    unit: Unit::Kilobytes,
    min: 64,
    max: i32::MAX as i64,
};
const PAGES: Kind = Kind::Integer {
    unit: Unit::Pages,
    min: 0,
    max: i32::MAX as i64,
};
const COUNT: Kind = Kind::Integer {
    unit: Unit::None,
    min: 0,
    max: i32::MAX as i64,
};
const LEVELS: Kind = Kind::Enum(&[
    "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
]);

/// `15.0 (NodeDB x.y)` (REFERENCE §8).
pub const SERVER_VERSION: &str = concat!(
    "15.0 (NodeDB ",
    env!("CARGO_PKG_VERSION_MAJOR"),
    ".",
    env!("CARGO_PKG_VERSION_MINOR"),
    ")"
);

/// All of them, by name as `sort` without regard to case has it.
pub const KNOWN: &[Known] = &[
    known("application_name", Kind::Text, "").reported(),
    known("array_nulls", Kind::Bool, "on").only(),
    known(
        "backslash_quote",
        Kind::Enum(&["safe_encoding", "on", "off"]),
        "safe_encoding",
    ),
    known("block_size", COUNT, "8192").fixed(),
    known("bytea_output", Kind::Enum(&["hex", "escape"]), "hex"),
    known("check_function_bodies", Kind::Bool, "on"),
    known("client_encoding", Kind::Encoding, "UTF8").reported(),
    known("client_min_messages", LEVELS, "notice"),
    known(
        "constraint_exclusion",
        Kind::Enum(&["partition", "on", "off"]),
        "partition",
    ),
    known("cpu_index_tuple_cost", Kind::Real, "0.005"),
    known("cpu_operator_cost", Kind::Real, "0.0025"),
    known("cpu_tuple_cost", Kind::Real, "0.01"),
    known("cursor_tuple_fraction", Kind::Real, "0.1"),
    known("DateStyle", Kind::DateStyle, "ISO, MDY").reported(),
    known("default_statistics_target", COUNT, "100"),
    known("default_table_access_method", Kind::Enum(&["heap"]), "heap").only(),
    known("default_tablespace", Kind::Text, "").only(),
    known(
        "default_text_search_config",
        Kind::Text,
        "pg_catalog.simple",
    ),
    known("default_toast_compression", Kind::Enum(&["pglz"]), "pglz"),
    known("default_transaction_deferrable", Kind::Bool, "off"),
    known(
        "default_transaction_isolation",
        Kind::Isolation,
        "read committed",
    ),
    known("default_transaction_read_only", Kind::Bool, "off").reported(),
    known("effective_cache_size", PAGES, "524288"),
    known("effective_io_concurrency", COUNT, "1"),
    known("enable_bitmapscan", Kind::Bool, "on"),
    known("enable_hashagg", Kind::Bool, "on"),
    known("enable_hashjoin", Kind::Bool, "on"),
    known("enable_indexonlyscan", Kind::Bool, "on"),
    known("enable_indexscan", Kind::Bool, "on"),
    known("enable_material", Kind::Bool, "on"),
    known("enable_memoize", Kind::Bool, "on"),
    known("enable_mergejoin", Kind::Bool, "on"),
    known("enable_nestloop", Kind::Bool, "on"),
    known("enable_partitionwise_aggregate", Kind::Bool, "off"),
    known("enable_partitionwise_join", Kind::Bool, "off"),
    known("enable_seqscan", Kind::Bool, "on"),
    known("enable_sort", Kind::Bool, "on"),
    known("enable_tidscan", Kind::Bool, "on"),
    known("escape_string_warning", Kind::Bool, "on"),
    known(
        "extra_float_digits",
        Kind::Integer {
            unit: Unit::None,
            min: -15,
            max: 3,
        },
        "1",
    ),
    known("from_collapse_limit", COUNT, "8"),
    known("geqo", Kind::Bool, "on"),
    known("geqo_threshold", COUNT, "12"),
    known("gin_pending_list_limit", KILOBYTES, "4096"),
    known("hash_mem_multiplier", Kind::Real, "2"),
    known("idle_in_transaction_session_timeout", MILLISECONDS, "0"),
    known("idle_session_timeout", MILLISECONDS, "0"),
    known("in_hot_standby", Kind::Bool, "off")
        .reported()
        .fixed(),
    known("integer_datetimes", Kind::Bool, "on")
        .reported()
        .fixed(),
    known("IntervalStyle", Kind::Enum(&["postgres"]), "postgres")
        .reported()
        .only(),
    known("is_superuser", Kind::Bool, "off").reported().fixed(),
    known("jit", Kind::Bool, "off"),
    known("join_collapse_limit", COUNT, "8"),
    known("lc_collate", Kind::Text, "C").fixed(),
    known("lc_ctype", Kind::Text, "C").fixed(),
    known("lc_messages", Kind::Text, "C").only(),
    known("lc_monetary", Kind::Text, "C").only(),
    known("lc_numeric", Kind::Text, "C").only(),
    known("lc_time", Kind::Text, "C").only(),
    known("lock_timeout", MILLISECONDS, "0"),
    known("log_duration", Kind::Bool, "off"),
    known("log_min_duration_statement", Kind::Text, "-1"),
    known("log_min_messages", LEVELS, "warning"),
    known(
        "log_statement",
        Kind::Enum(&["none", "ddl", "mod", "all"]),
        "none",
    ),
    known("maintenance_work_mem", KILOBYTES, "65536"),
    known("max_connections", COUNT, "10000").fixed(),
    known("max_identifier_length", COUNT, "63").fixed(),
    known("max_index_keys", COUNT, "32").fixed(),
    known("max_parallel_maintenance_workers", COUNT, "2"),
    known("max_parallel_workers_per_gather", COUNT, "2"),
    known("max_prepared_transactions", COUNT, "0").fixed(),
    known("parallel_setup_cost", Kind::Real, "1000"),
    known("parallel_tuple_cost", Kind::Real, "0.1"),
    known(
        "password_encryption",
        Kind::Enum(&["scram-sha-256"]),
        "scram-sha-256",
    )
    .only(),
    known(
        "plan_cache_mode",
        Kind::Enum(&["auto", "force_generic_plan", "force_custom_plan"]),
        "auto",
    ),
    known("quote_all_identifiers", Kind::Bool, "off"),
    known("random_page_cost", Kind::Real, "4"),
    known("row_security", Kind::Bool, "on"),
    known("search_path", Kind::SearchPath, "\"$user\", public"),
    known("seq_page_cost", Kind::Real, "1"),
    known("server_encoding", Kind::Encoding, "UTF8")
        .reported()
        .fixed(),
    known("server_version", Kind::Text, SERVER_VERSION)
        .reported()
        .fixed(),
    known("server_version_num", COUNT, "150000").fixed(),
    known("session_authorization", Kind::Text, "")
        .reported()
        .fixed(),
    known(
        "session_replication_role",
        Kind::Enum(&["origin"]),
        "origin",
    )
    .only(),
    known("ssl", Kind::Bool, "off").fixed(),
    known("standard_conforming_strings", Kind::Bool, "on")
        .reported()
        .only(),
    known("statement_timeout", MILLISECONDS, "0"),
    known("synchronize_seqscans", Kind::Bool, "on"),
    known(
        "synchronous_commit",
        Kind::Enum(&["on", "off", "local", "remote_write", "remote_apply"]),
        "on",
    ),
    known("tcp_keepalives_count", COUNT, "0"),
    known("tcp_keepalives_idle", SECONDS, "0"),
    known("tcp_keepalives_interval", SECONDS, "0"),
    known("temp_buffers", PAGES, "1024"),
    known("tenant", Kind::Tenant, ""),
    known("TimeZone", Kind::TimeZone, "UTC").reported(),
    known(
        "timezone_abbreviations",
        Kind::Enum(&["Default"]),
        "Default",
    )
    .only(),
    known("track_activities", Kind::Bool, "on"),
    known("transaction_deferrable", Kind::Bool, "off"),
    known("transaction_isolation", Kind::Isolation, "read committed"),
    known("transaction_read_only", Kind::Bool, "off"),
    known("transform_null_equals", Kind::Bool, "off").only(),
    known("vacuum_cost_delay", Kind::Real, "0"),
    known("vacuum_cost_limit", COUNT, "200"),
    known("wal_level", Kind::Enum(&["replica"]), "replica").fixed(),
    known("work_mem", KILOBYTES, "4096"),
    known("xmloption", Kind::Enum(&["content", "document"]), "content"),
];

/// The setting of this name, without regard to case.
pub fn find(name: &str) -> Option<&'static Known> {
    KNOWN
        .binary_search_by(|known| compare(known.name, name))
        .ok()
        .map(|index| &KNOWN[index])
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_every_setting_is_found() {
        for known in KNOWN {
            let found = find(&known.name.to_uppercase());
            assert_eq!(found.map(|found| found.name), Some(known.name));
        }
        assert!(find("no_such_setting").is_none());
    }

    #[test]
    fn the_reported_settings_are_those_of_postgres_15() {
        let reported: Vec<&str> = KNOWN
            .iter()
            .filter(|known| known.report == Report::Yes)
            .map(|known| known.name)
            .collect();
        assert_eq!(
            reported,
            [
                "application_name",
                "client_encoding",
                "DateStyle",
                "default_transaction_read_only",
                "in_hot_standby",
                "integer_datetimes",
                "IntervalStyle",
                "is_superuser",
                "server_encoding",
                "server_version",
                "session_authorization",
                "standard_conforming_strings",
                "TimeZone",
            ]
        );
    }
}
