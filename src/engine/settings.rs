//! The settings of a session that values and names depend on.

use imbl::OrdMap;
use std::sync::Arc;

/// The session's settings that change how a statement is answered. Immutable; SET makes a new one.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TimeZone, by its IANA name.
    pub time_zone: chrono_tz::Tz,
    /// The schemas unqualified names are looked up in, besides pg_catalog which comes first.
    pub search_path: Vec<Arc<str>>,
    /// extra_float_digits; 1 and more print the shortest exact digits.
    pub extra_float_digits: i32,
    /// bytea_output = escape.
    pub bytea_escape: bool,
    /// Every setting by its canonical name as SHOW prints it, for current_setting and pg_settings.
    pub values: OrdMap<Arc<str>, Arc<str>>,
}

impl Settings {
    /// Whether a text means the same, and prints the same, under both: what plans are kept by. The
    /// further settings are looked up as statements run.
    pub fn reads_alike(&self, other: &Settings) -> bool {
        self.search_path == other.search_path
            && self.time_zone == other.time_zone
            && self.extra_float_digits == other.extra_float_digits
            && self.bytea_escape == other.bytea_escape
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            time_zone: chrono_tz::Tz::UTC,
            search_path: vec![Arc::from("public")],
            extra_float_digits: 1,
            bytea_escape: false,
            values: OrdMap::new(),
        }
    }
}
