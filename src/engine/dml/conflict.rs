//! ON CONFLICT: what INSERT does where a row is in the way.

use super::assignments::Assignments;
use super::filler::input_of;
use super::inference;
use super::target::Target;
use super::value::{self, Row, Value};
use super::write::{Arbiters, Found, Writer};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::policy::hidden_conflict;
use crate::engine::query::expression::Scope;
use crate::engine::query::statement::Statement;
use crate::sql::conflict_target;
use crate::storage::LockMode;
use datafusion::common::ScalarValue;
use sqlparser::ast;
use std::collections::HashSet;
use std::sync::Arc;

use super::names;
use super::target::scope_of;

/// ON CONFLICT, planned.
#[derive(Clone, Debug)]
pub struct Conflict {
    arbiters: Arbiters,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Nothing,
    Update {
        assignments: Assignments,
        filter: Option<Value>,
    },
}

/// Rows that this statement has written: it may not write one twice.
#[derive(Debug, Default)]
pub struct Resolved(HashSet<Vec<u8>>);

/// What came of a conflict.
#[derive(Debug)]
pub enum Resolution {
    /// Nothing was written.
    Skipped,
    /// The row in the way is now this.
    Updated(Vec<ScalarValue>),
    /// The row in the way has gone: insert again.
    Retry,
}

impl Conflict {
    /// Of a clause.
    ///
    /// # Errors
    /// 42P10 where no unique key matches, and what the expressions have wrong.
    pub fn new(
        on: &ast::OnConflict,
        target: &Target,
        qualifier: &str,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Result<Conflict, Diagnostic> {
        let arbiters = match &on.conflict_target {
            None => Arbiters::All,
            Some(given) => match conflict_target::of(given)? {
                Some(index) => inference::infer(&index, target, context)?,
                None => arbiters(given, target)?,
            },
        };
        let action = match &on.action {
            ast::OnConflictAction::DoNothing => Action::Nothing,
            ast::OnConflictAction::DoUpdate(_) if arbiters == Arbiters::All => {
                return Err(Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                )
                .with_hint("For example, ON CONFLICT (column_name)."));
            }
            ast::OnConflictAction::DoUpdate(update) => {
                let own = target.scope(qualifier);
                let scope = scope_of(target.table(), "excluded", own);
                Action::Update {
                    assignments: Assignments::asking(
                        &update.assignments,
                        target,
                        &scope,
                        parameters,
                        context,
                    )?,
                    filter: filter(update.selection.as_ref(), &scope, parameters, context)?,
                }
            }
        };
        Ok(Conflict { arbiters, action })
    }

    /// The unique keys that it looks at.
    pub fn arbiters(&self) -> &Arbiters {
        &self.arbiters
    }

    /// Whether it must be made ready by [`Conflict::within`].
    pub fn asks(&self) -> bool {
        match &self.action {
            Action::Nothing => false,
            Action::Update {
                assignments,
                filter,
            } => assignments.asks() || filter.as_ref().is_some_and(Value::asks),
        }
    }

    /// The same, its functions asking this statement.
    ///
    /// # Errors
    /// 0A000 for functions that do something besides giving a value.
    pub fn within(&self, statement: &Arc<Statement>) -> Result<Conflict, Diagnostic> {
        let mut ready = self.clone();
        if let Action::Update {
            assignments,
            filter,
        } = &mut ready.action
        {
            assignments.within(statement)?;
            if let Some(filter) = filter {
                *filter = filter.within(statement)?;
            }
        }
        Ok(ready)
    }

    /// Whether it may update rows.
    pub fn updates(&self) -> bool {
        matches!(self.action, Action::Update { .. })
    }

    /// A row that the statement has inserted is not to be updated by it.
    pub fn remember_inserted(&self, key: Vec<u8>, resolved: &mut Resolved) {
        if self.updates() {
            resolved.0.insert(key);
        }
    }

    /// Does what the clause says about the row in the way.
    ///
    /// # Errors
    /// 21000 for a row that the statement has written already; constraint violations; 40001.
    pub async fn resolve(
        &self,
        writer: &mut Writer<'_>,
        key: &[u8],
        excluded: &[ScalarValue],
        parameters: &[ScalarValue],
        resolved: &mut Resolved,
    ) -> Result<Resolution, Diagnostic> {
        let Action::Update {
            assignments,
            filter,
        } = &self.action
        else {
            return Ok(Resolution::Skipped);
        };
        if resolved.0.contains(key) {
            return Err(Diagnostic::error(
                SqlState::CARDINALITY_VIOLATION,
                "ON CONFLICT DO UPDATE command cannot affect row a second time",
            )
            .with_hint(
                "Ensure that no rows proposed for insertion within the same command have \
                 duplicate constrained values.",
            ));
        }
        let bytes = match writer.lock_any_row(key, LockMode::Update).await? {
            Found::Gone => return Ok(Resolution::Retry),
            Found::Unchanged(bytes) | Found::Changed(bytes) => bytes,
        };
        let old = writer.target.layout.decode_row(&bytes)?;
        if !writer.sees(&old) {
            return Err(hidden_conflict(&writer.target.relation));
        }
        let both: Vec<ScalarValue> = old.iter().chain(excluded).cloned().collect();
        let row = Row {
            columns: &both,
            parameters,
            input: writer.input(),
        };
        if let Some(filter) = filter
            && !filter.holds(row)?
        {
            return Ok(Resolution::Skipped);
        }
        let new = assignments.apply(&old, row, writer).await?;
        writer.update(key, &old, &new).await?;
        resolved.0.insert(key.to_vec());
        Ok(Resolution::Updated(new))
    }
}

/// WHERE of DO UPDATE, whose functions may ask the statement.
fn filter(
    selection: Option<&ast::Expr>,
    scope: &Scope,
    parameters: &mut Vec<Option<SqlType>>,
    context: &StatementContext,
) -> Result<Option<Value>, Diagnostic> {
    let Some(selection) = selection else {
        return Ok(None);
    };
    let filter = value::compile_asking(selection, scope, parameters, input_of(context))?;
    value::demand_boolean(&filter, "WHERE")?;
    Ok(Some(filter))
}

fn arbiters(target: &ast::ConflictTarget, table: &Target) -> Result<Arbiters, Diagnostic> {
    match target {
        ast::ConflictTarget::Columns(columns) => {
            let mut wanted = columns
                .iter()
                .map(|name| {
                    let name = names::fold(name);
                    let at = table.column(&name).map_err(|_| {
                        Diagnostic::error(
                            SqlState::UNDEFINED_COLUMN,
                            format!("column \"{name}\" does not exist"),
                        )
                    })?;
                    Ok::<u16, Diagnostic>(at as u16)
                })
                .collect::<Result<Vec<u16>, _>>()?;
            wanted.sort_unstable();
            wanted.dedup();
            let is = |columns: &[u16]| {
                let mut columns = columns.to_vec();
                columns.sort_unstable();
                columns == wanted
            };
            if !wanted.is_empty() && is(&table.table().primary_key) {
                return Ok(Arbiters::PrimaryKey);
            }
            let index = table
                .indexes
                .iter()
                .position(|index| index.is_key() && is(index.key.columns()));
            let index = index.map(|index| Arbiters::Indexes(vec![index]));
            index.ok_or_else(inference::none_matches)
        }
        ast::ConflictTarget::OnConstraint(name) => {
            let name = names::column(name)?;
            if !table.table().primary_key.is_empty() && *table.key_name == *name {
                return Ok(Arbiters::PrimaryKey);
            }
            let index = table
                .indexes
                .iter()
                .position(|index| index.constraint.is_some() && *index.name == *name);
            let index = index.map(|index| Arbiters::Indexes(vec![index]));
            index.ok_or_else(|| {
                Diagnostic::error(
                    SqlState::UNDEFINED_OBJECT,
                    format!(
                        "constraint \"{name}\" for table \"{}\" does not exist",
                        table.relation.name
                    ),
                )
            })
        }
    }
}
