//! A session's settings: SET, SET LOCAL, RESET, SHOW, transactional as in PostgreSQL.
//!
//! The values themselves are [`Settings`], immutable and shared: sessions that say the same at
//! start-up point at the same ones ([`Shared`]), and SET makes new ones. `current` is what is in
//! force, `kept` what remains once a transaction has committed: SET changes both, SET LOCAL the
//! first; a rollback brings back both as they were.

pub mod known;
mod shared;
pub mod value;

pub use shared::Shared;

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::settings::Settings;
use known::{Kind, Known, Report, Unit};
use std::sync::Arc;
use std::time::Duration;

/// The most settings of an extension's own (`my.setting`) a session may make.
const CUSTOM_SETTINGS_MAX: usize = 256;

/// For how long a SET holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Until the session ends (if the transaction commits).
    Session,
    /// Until the transaction ends.
    Local,
}

/// What a session's settings are, and what they were.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    current: Arc<Settings>,
    kept: Arc<Settings>,
    initial: Arc<Settings>,
    timeouts: Timeouts,
}

/// Where a transaction or savepoint can come back to.
#[derive(Clone, Debug)]
pub struct Mark {
    current: Arc<Settings>,
    kept: Arc<Settings>,
}

/// The timeouts, read out of the settings once when they change; in milliseconds, 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Timeouts {
    statement_ms: u32,
    lock_ms: u32,
    idle_in_transaction_ms: u32,
    idle_session_ms: u32,
}

impl SessionSettings {
    /// A session that begins with these, which RESET comes back to.
    pub fn new(initial: Arc<Settings>) -> SessionSettings {
        SessionSettings {
            timeouts: Timeouts::of(&initial),
            current: initial.clone(),
            kept: initial.clone(),
            initial,
        }
    }

    /// What is in force.
    pub fn current(&self) -> &Arc<Settings> {
        &self.current
    }

    /// As they are, to come back to.
    pub fn mark(&self) -> Mark {
        Mark {
            current: self.current.clone(),
            kept: self.kept.clone(),
        }
    }

    /// After a rollback to the mark.
    pub fn roll_back(&mut self, mark: &Mark) {
        self.kept = mark.kept.clone();
        self.put_in_force(mark.current.clone());
    }

    /// After COMMIT: what SET LOCAL did is over.
    pub fn commit(&mut self) {
        if !Arc::ptr_eq(&self.current, &self.kept) {
            self.put_in_force(self.kept.clone());
        }
    }

    /// SET, with the value as it was given; None is DEFAULT.
    ///
    /// # Errors
    /// As [`value::canonical`]; 42704 for a setting that does not exist.
    pub fn set(&mut self, name: &str, given: Option<&str>, scope: Scope) -> Result<(), Diagnostic> {
        let (name, text) = match (lookup(name)?, given) {
            (Setting::Known(known), Some(given)) => {
                (known.name.to_owned(), Some(value::canonical(known, given)?))
            }
            (Setting::Known(known), None) => {
                (known.name.to_owned(), Some(self.initial_of(known.name)))
            }
            (Setting::Custom(name), Some(given)) => {
                self.admit_custom(&name)?;
                (name, Some(given.to_owned()))
            }
            (Setting::Custom(name), None) => (name, None),
        };
        self.put(&name, text.as_deref(), scope);
        Ok(())
    }

    /// What the server itself sets, past the rules for clients (`transaction_isolation` and its
    /// like, `is_superuser`).
    pub fn put(&mut self, name: &str, text: Option<&str>, scope: Scope) {
        // The usual case: nothing is local, and one copy serves both.
        let shared = Arc::ptr_eq(&self.kept, &self.current);
        if scope == Scope::Session && !shared {
            apply(Arc::make_mut(&mut self.kept), name, text);
        }
        let mut next = self.current.clone();
        apply(Arc::make_mut(&mut next), name, text);
        if scope == Scope::Session && shared {
            self.kept = next.clone();
        }
        self.put_in_force(next);
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        self.kept = self.initial.clone();
        self.put_in_force(self.initial.clone());
    }

    /// SHOW: the value of a setting, with the name it is known by.
    ///
    /// # Errors
    /// 42704 when it does not exist.
    pub fn show(&self, name: &str) -> Result<(String, String), Diagnostic> {
        let canonical = match lookup(name)? {
            Setting::Known(known) => known.name.to_owned(),
            Setting::Custom(name) => name,
        };
        match self.current.values.get(canonical.as_str()) {
            Some(value) => Ok((canonical, value.to_string())),
            None => Err(unrecognized(name)),
        }
    }

    /// SHOW ALL: name and value of each.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.current
            .values
            .iter()
            .map(|(name, value)| (&**name, &**value))
    }

    /// The value of a setting that exists.
    pub fn value(&self, name: &'static str) -> &str {
        self.current
            .values
            .get(name)
            .map(|value| &**value)
            .expect("every known setting has a value")
    }

    /// statement_timeout
    pub fn statement_timeout(&self) -> Option<Duration> {
        duration(self.timeouts.statement_ms)
    }

    /// lock_timeout
    pub fn lock_timeout(&self) -> Option<Duration> {
        duration(self.timeouts.lock_ms)
    }

    /// idle_in_transaction_session_timeout
    pub fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        duration(self.timeouts.idle_in_transaction_ms)
    }

    /// idle_session_timeout
    pub fn idle_session_timeout(&self) -> Option<Duration> {
        duration(self.timeouts.idle_session_ms)
    }

    fn put_in_force(&mut self, mut settings: Arc<Settings>) {
        // As in PostgreSQL, an extension's own setting that has been made stays, and is empty.
        let values = &settings.values;
        let made = self.current.values.keys();
        let gone = made.filter(|name| name.contains('.') && !values.contains_key(*name));
        let gone: Vec<Arc<str>> = gone.cloned().collect();
        if !gone.is_empty() {
            let settings = Arc::make_mut(&mut settings);
            for name in gone {
                settings.values.insert(name, Arc::from(""));
            }
        }
        self.timeouts = Timeouts::of(&settings);
        self.current = settings;
    }

    fn initial_of(&self, name: &str) -> String {
        self.initial
            .values
            .get(name)
            .map(|value| value.to_string())
            .expect("every known setting has a value")
    }

    fn admit_custom(&self, name: &str) -> Result<(), Diagnostic> {
        // `auth.*` is who the session is for, which no client says (REFERENCE §3).
        if name
            .split_once('.')
            .is_some_and(|(class, _)| class == "auth")
        {
            return Err(Diagnostic::error(
                SqlState::CANT_CHANGE_RUNTIME_PARAM,
                format!("parameter \"{name}\" cannot be changed"),
            ));
        }
        let values = &self.current.values;
        let known = known::KNOWN.len();
        if !values.contains_key(name) && values.len() >= known + CUSTOM_SETTINGS_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("more than {CUSTOM_SETTINGS_MAX} custom parameters in one session"),
            ));
        }
        Ok(())
    }
}

/// The settings whose change is reported and that differ between the two, with their new values.
pub fn reports<'a>(
    before: &'a Settings,
    now: &'a Settings,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    known::KNOWN
        .iter()
        .filter(|known| known.report == Report::Yes)
        .filter(|known| before.values.get(known.name) != now.values.get(known.name))
        .filter_map(|known| Some((known.name, &**now.values.get(known.name)?)))
}

/// All settings that a new session is told, with their values.
pub fn reported(settings: &Settings) -> impl Iterator<Item = (&'static str, &str)> {
    known::KNOWN
        .iter()
        .filter(|known| known.report == Report::Yes)
        .filter_map(|known| Some((known.name, &**settings.values.get(known.name)?)))
}

enum Setting {
    Known(&'static Known),
    Custom(String),
}

fn lookup(name: &str) -> Result<Setting, Diagnostic> {
    if let Some(known) = known::find(name) {
        return Ok(Setting::Known(known));
    }
    match name.split_once('.') {
        Some((class, rest)) if is_identifier(class) && is_identifier(rest) => {
            Ok(Setting::Custom(name.to_ascii_lowercase()))
        }
        _ => Err(unrecognized(name)),
    }
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .chars()
            .all(|character| character.is_alphanumeric() || "_$.".contains(character))
}

/// 42704 for a setting that does not exist.
fn unrecognized(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

fn apply(settings: &mut Settings, name: &str, text: Option<&str>) {
    let Some(text) = text else {
        settings.values.remove(name);
        return;
    };
    match name {
        "TimeZone" => {
            settings.time_zone = value::time_zone(text).unwrap_or(chrono_tz::Tz::UTC);
        }
        "search_path" => settings.search_path = search_path(text),
        "extra_float_digits" => settings.extra_float_digits = text.parse().unwrap_or(1),
        "bytea_output" => settings.bytea_escape = text == "escape",
        _ => {}
    }
    settings.values.insert(Arc::from(name), Arc::from(text));
}

/// The names of a search_path; `$user` is one of them, whoever that is.
fn search_path(text: &str) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((name, after)) => (name.to_owned(), after),
                None => (quoted.to_owned(), ""),
            },
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        if !name.is_empty() {
            names.push(Arc::from(name.as_str()));
        }
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    names
}

impl Timeouts {
    fn of(settings: &Settings) -> Timeouts {
        let read = |name: &str| {
            settings.values.get(name).map_or(0, |text| {
                u32::try_from(value::base_units(text, Unit::Milliseconds)).unwrap_or(u32::MAX)
            })
        };
        Timeouts {
            statement_ms: read("statement_timeout"),
            lock_ms: read("lock_timeout"),
            idle_in_transaction_ms: read("idle_in_transaction_session_timeout"),
            idle_session_ms: read("idle_session_timeout"),
        }
    }
}

fn duration(milliseconds: u32) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(u64::from(milliseconds)))
}

/// Every known setting at its default.
pub fn defaults() -> Settings {
    let mut settings = Settings::default();
    for known in known::KNOWN {
        apply(&mut settings, known.name, Some(known.default));
    }
    settings
}

/// How SHOW ALL describes its columns.
pub fn show_columns() -> [(&'static str, SqlType); 3] {
    let text = SqlType::scalar(TypeKind::Text);
    [("name", text), ("setting", text), ("description", text)]
}

/// Whether the setting is one that only `SET TRANSACTION` and its like change.
pub fn is_transaction_setting(name: &str) -> bool {
    matches!(
        known::find(name),
        Some(Known {
            name: "transaction_isolation" | "transaction_read_only" | "transaction_deferrable",
            ..
        })
    )
}

/// Whether the setting is `tenant`, which moves the session.
pub fn is_tenant(name: &str) -> bool {
    matches!(
        known::find(name),
        Some(Known {
            kind: Kind::Tenant,
            ..
        })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionSettings {
        SessionSettings::new(Arc::new(defaults()))
    }

    fn shown(settings: &SessionSettings, name: &str) -> String {
        settings.show(name).expect("the setting exists").1
    }

    #[test]
    fn set_is_undone_by_a_rollback_and_kept_by_a_commit() {
        let mut settings = session();
        let mark = settings.mark();
        settings
            .set("timezone", Some("Asia/Tokyo"), Scope::Session)
            .expect("valid");
        assert_eq!(shown(&settings, "TimeZone"), "Asia/Tokyo");
        settings.roll_back(&mark);
        assert_eq!(shown(&settings, "TimeZone"), "UTC");
        settings
            .set("timezone", Some("Asia/Tokyo"), Scope::Session)
            .expect("valid");
        settings.commit();
        assert_eq!(shown(&settings, "TimeZone"), "Asia/Tokyo");
    }

    #[test]
    fn set_local_is_over_at_commit_and_set_beside_it_is_not() {
        let mut settings = session();
        settings
            .set("timezone", Some("Asia/Tokyo"), Scope::Local)
            .expect("valid");
        settings
            .set("geqo", Some("off"), Scope::Session)
            .expect("valid");
        assert_eq!(shown(&settings, "timezone"), "Asia/Tokyo");
        settings.commit();
        assert_eq!(shown(&settings, "timezone"), "UTC");
        assert_eq!(shown(&settings, "geqo"), "off");
    }

    #[test]
    fn reset_comes_back_to_what_the_client_said_at_startup() {
        let shared = Shared::default();
        let client = [("statement_timeout".to_owned(), "5s".to_owned())];
        let mut settings = shared.settings(&client, &[]).expect("valid");
        settings
            .set("statement_timeout", Some("1s"), Scope::Session)
            .expect("valid");
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(1)));
        settings
            .set("statement_timeout", None, Scope::Session)
            .expect("valid");
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn only_reported_settings_that_changed_are_told() {
        let mut settings = session();
        let before = settings.current().clone();
        settings
            .set("geqo", Some("off"), Scope::Session)
            .expect("valid");
        settings
            .set("application_name", Some("a"), Scope::Session)
            .expect("valid");
        let told: Vec<_> = reports(&before, settings.current()).collect();
        assert_eq!(told, [("application_name", "a")]);
    }

    #[test]
    fn custom_settings_need_a_class_and_have_no_value_until_set() {
        let mut settings = session();
        assert!(settings.show("my.flag").is_err());
        settings
            .set("My.Flag", Some("x"), Scope::Session)
            .expect("valid");
        assert_eq!(shown(&settings, "my.flag"), "x");
        let error = settings
            .set("flag", Some("x"), Scope::Session)
            .expect_err("no class");
        assert_eq!(error.sqlstate(), SqlState::UNDEFINED_OBJECT);
    }

    #[test]
    fn search_paths_are_lists_of_names() {
        let names = |text: &str| {
            search_path(text)
                .iter()
                .map(|name| name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("\"$user\", public"), ["$user", "public"]);
        assert_eq!(names("A, \"B c\" ,d"), ["a", "B c", "d"]);
        assert_eq!(names(""), Vec::<String>::new());
    }
}
