//! DELETE, with USING and RETURNING.

use super::Run;
use super::assignments::compile_filter;
use super::batch::row_of;
use super::beside::Beside;
use super::filler::input_of;
use super::restart::{Pass, Passes, once, restarting};
use super::returning::{Collector, Returning};
use super::selection::{Named, Parts, Selection, key_of};
use super::target::Target;
use super::value::{Row, Value};
use super::write::{Found, Writer, demand_writable};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Outcome};
use crate::engine::policy::Purpose;
use crate::engine::query::{QueryEngine, QueryPlan};
use crate::engine::uses::Uses;
use crate::storage::LockMode;
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, TableWithJoins};
use std::collections::HashSet;
use std::sync::Arc;

/// A DELETE, planned.
#[derive(Debug)]
pub struct Delete {
    named: Named,
    selection: Selection,
    condition: Condition,
    returning: Option<Returning>,
    reads: bool,
}

/// What a row that has changed meanwhile is asked.
#[derive(Debug)]
enum Condition {
    /// WHERE, on the row alone; None: there is none.
    Row(Option<Value>),
    /// It cannot be asked of the row alone: the statement starts over.
    Query,
}

impl Delete {
    /// Plans it.
    ///
    /// # Errors
    /// What the statement has wrong, in PostgreSQL's words.
    pub async fn plan(
        delete: &ast::Delete,
        with: Option<&ast::With>,
        parameters: &mut Vec<Option<SqlType>>,
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Delete, Diagnostic> {
        let named = Named::new(table_of(delete)?, context)?;
        let using = delete.using.as_deref().unwrap_or(&[]);
        let condition = condition(delete, &named, using, with, parameters, context);
        let beside = match &delete.returning {
            Some(items) => Some(Beside::of(items, &named, using, with, query, context).await?),
            None => None,
        };
        let parts = Parts {
            with,
            values: beside
                .as_ref()
                .map_or(Vec::new(), |beside| beside.values.clone()),
            from: using,
            selection: delete.selection.as_ref(),
        };
        let selection =
            Selection::plan(&named, Purpose::Delete, parts, parameters, query, context).await?;
        let returning = match &beside {
            Some(beside) => Some(Returning::new(
                &beside.items,
                (&named.target, &named.qualifier),
                &beside.scope(&named, &selection.types),
                parameters,
                input_of(context),
            )?),
            None => None,
        };
        let reads = delete.selection.is_some() || returning.is_some() || !using.is_empty();
        Ok(Delete {
            named,
            selection,
            condition,
            returning,
            reads,
        })
    }

    /// The relations it uses.
    pub fn uses(&self) -> Uses {
        let read = self.selection.relations();
        self.named.target.uses().reading(read)
    }

    /// What it writes into.
    pub(super) fn target(&self) -> &Target {
        &self.named.target
    }

    /// The query that finds its rows.
    pub(super) fn query(&self) -> &Arc<QueryPlan> {
        self.selection.query()
    }

    /// What RETURNING gives.
    pub fn returning(&self) -> Option<&Returning> {
        self.returning.as_ref()
    }

    /// Deletes the rows.
    ///
    /// # Errors
    /// 42501, 25006, 23503, lock failures, whatever the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        self.demand_rights(run.context)?;
        let tag = CommandTag::Delete(0);
        restarting(self, self.returning.as_ref(), run, tag).await
    }

    /// As [`Delete::execute`], once; None where the statement is to start over.
    ///
    /// # Errors
    /// As [`Delete::execute`].
    pub async fn execute_part(&self, run: Run<'_>) -> Result<Option<Outcome>, Diagnostic> {
        self.demand_rights(run.context)?;
        let tag = CommandTag::Delete(0);
        once(self, self.returning.as_ref(), run, tag).await
    }

    fn demand_rights(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        self.demand_privileges(context)?;
        demand_writable(context, "DELETE")
    }

    /// 42501 where the rights do not suffice for it.
    pub(super) fn demand_privileges(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        let relation = &self.named.target.relation;
        context.rights.may_delete(relation)?;
        if self.reads {
            context.rights.may_select(relation)?;
        }
        Ok(())
    }
}

impl Passes for Delete {
    async fn pass(
        &self,
        run: Run<'_>,
        collector: &mut Option<Collector<'_>>,
    ) -> Result<Pass, Diagnostic> {
        let target = &self.named.target;
        let Run {
            query,
            storage,
            parameters,
            transaction,
            context,
        } = run;
        let mut rows = self
            .selection
            .start(query, parameters, transaction, context)?;
        let transaction = &mut transaction.storage;
        let mut writer = Writer::new(target, transaction, storage, context, Purpose::Delete);
        // A join may give a row more than once.
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            for index in 0..batch.num_rows() {
                writer.step().await?;
                let key = key_of(&batch, index)?;
                if matches!(self.condition, Condition::Query) && !seen.insert(key.to_vec()) {
                    continue;
                }
                let found = writer.lock_row(key, LockMode::Update).await?;
                let filter = match (&found, &self.condition) {
                    (Found::Changed(_), Condition::Query) => return Ok(Pass::Again),
                    (_, Condition::Query) => None,
                    (_, Condition::Row(filter)) => filter.as_ref(),
                };
                let deletion = Deletion {
                    filter,
                    parameters,
                    beside: row_of(&batch.columns()[1..], index)?,
                };
                count += deletion.of(&mut writer, key, found, collector).await?;
            }
        }
        writer.finish().await?;
        Ok(Pass::Done(count))
    }
}

/// What deleting a row goes by.
pub struct Deletion<'a> {
    /// WHERE, asked again where the row has changed.
    pub filter: Option<&'a Value>,
    /// The statement's.
    pub parameters: &'a [ScalarValue],
    /// Values of other tables for RETURNING.
    pub beside: Vec<ScalarValue>,
}

impl Deletion<'_> {
    /// Deletes one row that has been locked; gives how many that was.
    ///
    /// # Errors
    /// Whatever the expressions raise.
    pub async fn of(
        self,
        writer: &mut Writer<'_>,
        key: &[u8],
        found: Found,
        collector: &mut Option<Collector<'_>>,
    ) -> Result<u64, Diagnostic> {
        let (bytes, ask_again) = match found {
            Found::Gone => return Ok(0),
            Found::Unchanged(bytes) => (bytes, false),
            Found::Changed(bytes) => (bytes, true),
        };
        let mut old = writer.target.layout.decode_row(&bytes)?;
        if let (true, Some(filter)) = (ask_again, self.filter)
            && !filter.holds(self.row(&old, writer))?
        {
            return Ok(0);
        }
        writer.delete(key, &old).await?;
        if let Some(collector) = collector {
            old.extend_from_slice(&self.beside);
            collector.add(self.row(&old, writer))?;
        }
        Ok(1)
    }

    fn row<'r>(&'r self, columns: &'r [ScalarValue], writer: &'r Writer<'_>) -> Row<'r> {
        Row {
            columns,
            parameters: self.parameters,
            input: writer.input(),
        }
    }
}

/// The one table of a DELETE.
///
/// # Errors
/// 0A000 for forms that are not PostgreSQL's.
pub fn table_of(delete: &ast::Delete) -> Result<&TableWithJoins, Diagnostic> {
    let unsupported = || Diagnostic::unsupported("this form of DELETE");
    if !delete.tables.is_empty() || !delete.order_by.is_empty() || delete.limit.is_some() {
        return Err(unsupported());
    }
    match &delete.from {
        ast::FromTable::WithFromKeyword(tables) => match &tables[..] {
            [table] => Ok(table),
            _ => Err(unsupported()),
        },
        ast::FromTable::WithoutKeyword(_) => Err(unsupported()),
    }
}

fn condition(
    delete: &ast::Delete,
    named: &Named,
    using: &[TableWithJoins],
    with: Option<&ast::With>,
    parameters: &mut Vec<Option<SqlType>>,
    context: &StatementContext,
) -> Condition {
    if !using.is_empty() || with.is_some() {
        return Condition::Query;
    }
    let mut attempt = parameters.clone();
    let scope = named.target.scope(&named.qualifier);
    match compile_filter(
        delete.selection.as_ref(),
        &scope,
        &mut attempt,
        input_of(context),
    ) {
        Ok(filter) => {
            *parameters = attempt;
            Condition::Row(filter)
        }
        // What is wrong with it, if anything, is left for the query to say.
        Err(_) => Condition::Query,
    }
}
