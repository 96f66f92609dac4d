//! What operators and functions of one running statement may reach: its context, its view of the
//! rows, and the engine they run in.
//!
//! It travels twice: as an extension of the task's configuration (scans find it when they start)
//! and as an extension of the planner's options (functions find it when they are called), because
//! DataFusion gives each only one of the two.

use super::Inner;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::pg_catalog::Remembered;
use crate::engine::stop::Stop;
use crate::engine::types::Input;
use crate::storage::{Storage, View};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// One running statement.
pub struct Statement {
    /// Who asks, at which snapshot, with which settings.
    pub context: StatementContext,
    /// The rows as the statement sees them; None where it was planned to read none.
    pub view: Option<View>,
    /// What asks it to stop.
    pub(super) stop: Stop,
    /// The engine, for functions that plan or read by themselves.
    pub(super) engine: Arc<Inner>,
}

impl Statement {
    /// The store, for what is told of it.
    pub fn storage(&self) -> &Storage {
        &self.engine.storage
    }

    /// The catalogs that statements have made.
    pub fn catalogs(&self) -> &Remembered {
        &self.engine.catalogs
    }

    /// What input functions may look at.
    pub fn input(&self) -> Input<'_> {
        self.context.input()
    }

    /// 57014 (or 57P01) once the statement was asked to stop or nobody waits for it.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> std::result::Result<(), Diagnostic> {
        self.stop.check()
    }

    /// The statement that the options belong to.
    ///
    /// # Errors
    /// XX000 where a function that needs it is evaluated outside a statement.
    pub fn of(options: &ConfigOptions) -> Result<Arc<Statement>> {
        options
            .extensions
            .get::<StatementExtension>()
            .and_then(|extension| extension.0.clone())
            .ok_or_else(|| outside("a function"))
    }

    /// The statement that a task belongs to.
    ///
    /// # Errors
    /// XX000 for a task that no statement started.
    pub fn of_task(task: &datafusion::execution::TaskContext) -> Result<Arc<Statement>> {
        task.session_config()
            .get_extension::<Statement>()
            .ok_or_else(|| outside("a scan"))
    }

    /// The view of the rows.
    ///
    /// # Errors
    /// XX000 where the statement was planned without one.
    pub fn view(&self) -> Result<&View> {
        self.view.as_ref().ok_or_else(|| outside("a scan"))
    }
}

fn outside(what: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Diagnostic::internal(format!(
        "{what} was evaluated outside a statement"
    ))))
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Statement")
    }
}

/// [`Statement`] as DataFusion wants extensions of its options.
#[derive(Clone, Debug, Default)]
pub struct StatementExtension(pub Option<Arc<Statement>>);

impl ConfigExtension for StatementExtension {
    const PREFIX: &'static str = "nodedb";
}

impl ExtensionOptions for StatementExtension {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!(
            "nodedb.{key} is not a setting"
        )))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
