//! The options of EXPLAIN (PostgreSQL 15, EXPLAIN).

use crate::diagnostic::{Diagnostic, SqlState};
use sqlparser::ast::{Statement, UtilityOption};

/// What EXPLAIN is to do and to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Whether the statement runs.
    pub run: Run,
    /// VERBOSE: what each operator gives.
    pub verbose: Shown,
    /// How the plan is written.
    pub format: ExplainFormat,
    /// TIMING: the time of each operator.
    pub timing: Shown,
    /// SUMMARY: planning and execution time.
    pub summary: Shown,
}

/// Whether the statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It is only planned.
    No,
    /// ANALYZE
    Analyze,
}

/// FORMAT
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainFormat {
    /// A line an operator.
    Text,
    /// One JSON document.
    Json,
}

/// Whether something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl ExplainOptions {
    /// Those of an EXPLAIN; None of another statement.
    ///
    /// # Errors
    /// As [`ExplainOptions::of`].
    pub fn of_statement(statement: &Statement) -> Result<Option<ExplainOptions>, Diagnostic> {
        match statement {
            Statement::Explain {
                analyze,
                verbose,
                options,
                ..
            } => {
                let options = options.as_deref().unwrap_or_default();
                ExplainOptions::of(*analyze, *verbose, options).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads them. COSTS, SETTINGS and their like have nothing to show here. The first two are those that
    /// stand without parentheses.
    ///
    /// # Errors
    /// 0A000 for BUFFERS, WAL and the formats XML and YAML; 42601 for what is no option, 22023 for
    /// options that need ANALYZE.
    pub fn of(
        analyze: bool,
        verbose: bool,
        options: &[UtilityOption],
    ) -> Result<ExplainOptions, Diagnostic> {
        let mut run = match analyze {
            true => Run::Analyze,
            false => Run::No,
        };
        let mut verbose = match verbose {
            true => Shown::Yes,
            false => Shown::No,
        };
        let mut format = ExplainFormat::Text;
        let (mut timing, mut summary) = (None, None);
        for option in options {
            let name = option.name.value.to_lowercase();
            let value = option.arg.as_ref().map(ToString::to_string);
            let value = value.map(|value| value.trim_matches('\'').to_lowercase());
            if name == "format" {
                format = self::format(value.as_deref())?;
                continue;
            }
            let shown = switch(&name, value.as_deref())?;
            match (name.as_str(), shown) {
                ("analyze", Shown::Yes) => run = Run::Analyze,
                ("analyze", Shown::No) => run = Run::No,
                ("timing", shown) => timing = Some(shown),
                ("summary", shown) => summary = Some(shown),
                ("buffers", Shown::Yes) => {
                    return Err(Diagnostic::unsupported("EXPLAIN with BUFFERS"));
                }
                ("wal", Shown::Yes) => return Err(Diagnostic::unsupported("EXPLAIN with WAL")),
                ("verbose", shown) => verbose = shown,
                ("buffers" | "wal" | "costs" | "settings", _) => {}
                _ => {
                    return Err(Diagnostic::error(
                        SqlState::SYNTAX_ERROR,
                        format!("unrecognized EXPLAIN option \"{name}\""),
                    ));
                }
            }
        }
        if timing == Some(Shown::Yes) && run == Run::No {
            return Err(Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                "EXPLAIN option TIMING requires ANALYZE",
            ));
        }
        let by_default = match run {
            Run::Analyze => Shown::Yes,
            Run::No => Shown::No,
        };
        Ok(ExplainOptions {
            run,
            verbose,
            format,
            timing: timing.unwrap_or(by_default),
            summary: summary.unwrap_or(by_default),
        })
    }
}

fn format(value: Option<&str>) -> Result<ExplainFormat, Diagnostic> {
    match value {
        Some("text") => Ok(ExplainFormat::Text),
        Some("json") => Ok(ExplainFormat::Json),
        Some(other @ ("xml" | "yaml")) => Err(Diagnostic::unsupported(format!(
            "EXPLAIN in FORMAT {}",
            other.to_uppercase()
        ))),
        other => Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "unrecognized value for EXPLAIN option \"format\": \"{}\"",
                other.unwrap_or_default()
            ),
        )),
    }
}

fn switch(name: &str, value: Option<&str>) -> Result<Shown, Diagnostic> {
    match value {
        None | Some("true" | "on" | "1") => Ok(Shown::Yes),
        Some("false" | "off" | "0") => Ok(Shown::No),
        Some(_) => Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!("{name} requires a Boolean value"),
        )),
    }
}
