//! What can be wrong with a configuration, said so that it can be mended at once.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a configuration is not taken. `Display` names file, line and key.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML:\n{message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words, with the line.
        message: String,
    },
    /// A key or section that does not exist.
    #[error("{at}: unknown key `{key}`; did you mean `{nearest}`?")]
    UnknownKey {
        /// Where.
        at: Position,
        /// With its section.
        key: String,
        /// The nearest one that exists there.
        nearest: String,
    },
    /// A key that its section needs.
    #[error("{}: `{key}` is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// With its section.
        key: String,
    },
    /// A key that means nothing without another.
    #[error("{}: `{key}` needs `{needed}` beside it", path.display())]
    Needs {
        /// The file.
        path: PathBuf,
        /// With its section.
        key: String,
        /// With its section.
        needed: String,
    },
    /// A value of the wrong type or out of range.
    #[error("{at}: `{key}` {expected}")]
    BadValue {
        /// Where.
        at: Position,
        /// With its section.
        key: String,
        /// What it must be, as in "must be a whole number from 1 to 9".
        expected: String,
    },
    /// An environment variable with such a value.
    #[error("environment variable {name} {expected}")]
    BadVariable {
        /// The variable.
        name: &'static str,
        /// What it must be.
        expected: String,
    },
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub path: PathBuf,
    /// 1-based.
    pub line: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}", self.path.display(), self.line)
    }
}
