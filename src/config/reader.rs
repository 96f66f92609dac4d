//! Reading one TOML table key by key, so that what nobody asked for can be named.
//!
//! serde's own message for an unknown key lists every key there is; this names the line and the
//! nearest one.

use super::error::{ConfigError, Position};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file being read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    fn position(&self, byte: usize) -> Position {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        let newlines = before.iter().filter(|byte| **byte == b'\n').count();
        Position {
            path: self.path.to_owned(),
            line: newlines + 1,
        }
    }
}

/// One table of the file, or an absent one (all of it defaults).
pub(super) struct Section<'a> {
    source: Source<'a>,
    /// `server.ports`; empty for the file itself.
    name: String,
    table: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn root(source: Source<'a>, table: &'a DeTable<'a>) -> Section<'a> {
        Section {
            source,
            name: String::new(),
            table: Some(table),
            known: Vec::new(),
        }
    }

    /// Reads a key into its place; leaves the default there when the key is absent.
    ///
    /// `convert` gives what the value must be when it is not that.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        convert: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Result<(), ConfigError> {
        let Some(value) = self.take(key) else {
            return Ok(());
        };
        *place = convert(value.get_ref()).map_err(|expected| ConfigError::BadValue {
            at: self.source.position(value.span().start),
            key: self.qualified(key),
            expected,
        })?;
        Ok(())
    }

    /// Whether the file has this table.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Reads a key that a table must have.
    pub(super) fn demand<T>(
        &mut self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let mut place = None;
        self.read(key, &mut place, |value| convert(value).map(Some))?;
        place.ok_or_else(|| ConfigError::Missing {
            path: self.source.path.to_owned(),
            key: self.qualified(key),
        })
    }

    /// An error when there is the one key and not the other.
    pub(super) fn needs(&self, key: &'static str, needed: &'static str) -> Result<(), ConfigError> {
        let has = |key| self.table.is_some_and(|table| table.contains_key(key));
        match has(key) && !has(needed) {
            false => Ok(()),
            true => Err(ConfigError::Needs {
                path: self.source.path.to_owned(),
                key: self.qualified(key),
                needed: self.qualified(needed),
            }),
        }
    }

    /// Opens each table of a list, such as `providers = [{ … }, …]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Result<Vec<Section<'a>>, ConfigError> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        let bad = |at: usize| ConfigError::BadValue {
            at: self.source.position(at),
            key: self.qualified(key),
            expected: "must be a list of sections such as [{ … }]".to_owned(),
        };
        let list = value.get_ref().as_array();
        let list = list.ok_or_else(|| bad(value.span().start))?;
        let sections = list.iter().map(|each| match each.get_ref() {
            DeValue::Table(table) => Ok(Section {
                source: self.source,
                name: self.qualified(key),
                table: Some(table),
                known: Vec::new(),
            }),
            _ => Err(bad(each.span().start)),
        });
        sections.collect()
    }

    /// What is wrong with this section as a whole.
    pub(super) fn unfit(&self, expected: String) -> ConfigError {
        let first = self.table.into_iter().flat_map(|table| table.keys()).next();
        ConfigError::BadValue {
            at: self
                .source
                .position(first.map_or(0, |key| key.span().start)),
            key: self.name.clone(),
            expected,
        }
    }

    /// Opens a table below this one.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Section<'a>, ConfigError> {
        let value = self.take(key);
        let table = match value.map(|value| (value, value.get_ref())) {
            None => None,
            Some((_, DeValue::Table(table))) => Some(table),
            Some((value, _)) => {
                return Err(ConfigError::BadValue {
                    at: self.source.position(value.span().start),
                    key: self.qualified(key),
                    expected: "must be a section".to_owned(),
                });
            }
        };
        Ok(Section {
            source: self.source,
            name: self.qualified(key),
            table,
            known: Vec::new(),
        })
    }

    /// The end of the section: an error for the first key that nobody asked for.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let keys = self.table.into_iter().flat_map(|table| table.keys());
        let unknown = keys
            .filter(|key| !self.known.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        match unknown {
            None => Ok(()),
            Some(key) => Err(ConfigError::UnknownKey {
                at: self.source.position(key.span().start),
                key: self.qualified(key.get_ref()),
                nearest: self.qualified(self.nearest(key.get_ref())),
            }),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table?.get(key)
    }

    fn nearest(&self, unknown: &str) -> &'static str {
        self.known
            .iter()
            .min_by_key(|known| strsim::damerau_levenshtein(known, unknown))
            .expect("every section has keys")
    }

    fn qualified(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }
}
