//! UPDATE, with FROM and RETURNING.

use super::assignments::{self, Assignments, compile_filter, is_default, lock_for};
use super::batch::row_of;
use super::beside::Beside;
use super::filler::{Filler, input_of};
use super::restart::{Pass, Passes, once, restarting};
use super::returning::{Collector, Returning};
use super::selection::{Named, Parts, Selection, key_of};
use super::target::Target;
use super::value::{Row, Value};
use super::write::{Found, Writer, demand_writable};
use super::{Run, cast_to};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Outcome, Rows};
use crate::engine::policy::Purpose;
use crate::engine::query::{QueryEngine, QueryPlan};
use crate::engine::types;
use crate::engine::uses::Uses;
use crate::storage::LockMode;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, Expr, TableWithJoins};
use std::collections::HashSet;
use std::sync::Arc;

/// An UPDATE, planned.
#[derive(Debug)]
pub struct Update {
    named: Named,
    selection: Selection,
    new: New,
    /// How many of the selection's values are new ones; the others are for RETURNING.
    assigned: usize,
    returning: Option<Returning>,
    reads: bool,
}

/// How the new values come about.
#[derive(Debug)]
enum New {
    /// From the row alone: worked out on its newest version, the condition too where it changed.
    Row {
        assignments: Assignments,
        filter: Option<Value>,
    },
    /// By the query, beside the key; a row that has changed meanwhile starts the statement over.
    Query {
        columns: Vec<(usize, Source)>,
        lock: LockMode,
    },
}

#[derive(Debug)]
enum Source {
    /// The value at this place beside the key.
    Selected(usize),
    /// DEFAULT
    Default(Filler),
}

impl Update {
    /// Plans it.
    ///
    /// # Errors
    /// What the statement has wrong, in PostgreSQL's words.
    pub async fn plan(
        update: &ast::Update,
        with: Option<&ast::With>,
        parameters: &mut Vec<Option<SqlType>>,
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Update, Diagnostic> {
        let from = from_of(update)?;
        let named = Named::new(&update.table, context)?;
        let local = local(update, &named, from, with, parameters, context);
        let (new, mut values) = match local {
            Some(new) => (new, Vec::new()),
            None => by_query(update, &named.target, context)?,
        };
        let assigned = values.len();
        let beside = match &update.returning {
            Some(items) => {
                let beside = Beside::of(items, &named, from, with, query, context).await?;
                values.extend(beside.values.iter().cloned());
                Some(beside)
            }
            None => None,
        };
        let parts = Parts {
            with,
            values,
            from,
            selection: update.selection.as_ref(),
        };
        let selection =
            Selection::plan(&named, Purpose::Update, parts, parameters, query, context).await?;
        check_types(&new, &selection, &named.target)?;
        let returning = match &beside {
            Some(beside) => Some(Returning::new(
                &beside.items,
                (&named.target, &named.qualifier),
                &beside.scope(&named, &selection.types[assigned..]),
                parameters,
                input_of(context),
            )?),
            None => None,
        };
        let reads = update.selection.is_some()
            || returning.is_some()
            || match &new {
                New::Row { assignments, .. } => assignments.reads_columns(),
                New::Query { .. } => true,
            };
        Ok(Update {
            named,
            selection,
            new,
            assigned,
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

    /// Updates the rows.
    ///
    /// # Errors
    /// 42501, 25006, constraint violations, lock failures, whatever the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        self.demand_rights(run.context)?;
        let tag = CommandTag::Update(0);
        restarting(self, self.returning.as_ref(), run, tag).await
    }

    /// As [`Update::execute`], once; None where the statement is to start over.
    ///
    /// # Errors
    /// As [`Update::execute`].
    pub async fn execute_part(&self, run: Run<'_>) -> Result<Option<Outcome>, Diagnostic> {
        self.demand_rights(run.context)?;
        let tag = CommandTag::Update(0);
        once(self, self.returning.as_ref(), run, tag).await
    }

    fn demand_rights(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        self.demand_privileges(context)?;
        demand_writable(context, "UPDATE")
    }

    /// 42501 where the rights do not suffice for it.
    pub(super) fn demand_privileges(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        let relation = &self.named.target.relation;
        context.rights.may_update(relation)?;
        if self.reads {
            context.rights.may_select(relation)?;
        }
        Ok(())
    }

    async fn selected(
        &self,
        writer: &mut Writer<'_>,
        mut rows: Rows,
        (columns, lock): (&[(usize, Source)], LockMode),
        parameters: &[ScalarValue],
        collector: &mut Option<Collector<'_>>,
    ) -> Result<Pass, Diagnostic> {
        // A join may give a row more than once; the first one counts, as in PostgreSQL.
        let mut written: HashSet<Vec<u8>> = HashSet::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let values = self.assigned(&batch, columns, writer)?;
            for index in 0..batch.num_rows() {
                writer.step().await?;
                let key = key_of(&batch, index)?;
                if !written.insert(key.to_vec()) {
                    continue;
                }
                let bytes = match writer.lock_row(key, lock).await? {
                    Found::Unchanged(bytes) => bytes,
                    Found::Changed(_) => return Ok(Pass::Again),
                    Found::Gone => {
                        written.remove(key);
                        continue;
                    }
                };
                let old = writer.target.layout.decode_row(&bytes)?;
                let selected = row_of(&values, index)?;
                let mut new = old.clone();
                for (position, source) in columns {
                    new[*position] = match source {
                        Source::Selected(place) => selected[*place].clone(),
                        Source::Default(filler) => {
                            filler.next(writer.storage, writer.context).await?
                        }
                    };
                }
                writer.target.generate(&mut new, writer.input())?;
                writer.update(key, &old, &new).await?;
                new.extend_from_slice(&selected[self.assigned..]);
                collect(collector, &new, parameters, writer)?;
            }
        }
        Ok(Pass::Done(written.len() as u64))
    }

    /// The values beside the key, each as its column keeps it.
    fn assigned(
        &self,
        batch: &RecordBatch,
        columns: &[(usize, Source)],
        writer: &Writer<'_>,
    ) -> Result<Vec<ArrayRef>, Diagnostic> {
        let mut values = batch.columns()[1..].to_vec();
        for (position, source) in columns {
            if let Source::Selected(place) = source {
                let to = self.named.target.columns()[*position].sql_type;
                let from = self.selection.types[*place];
                values[*place] = types::assign_array(&values[*place], from, to, writer.input())?;
            }
        }
        Ok(values)
    }
}

impl Passes for Update {
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
        let rows = self
            .selection
            .start(query, parameters, transaction, context)?;
        let transaction = &mut transaction.storage;
        let mut writer = Writer::new(target, transaction, storage, context, Purpose::Update);
        let pass = match &self.new {
            New::Row {
                assignments,
                filter,
            } => {
                let change = Change {
                    assignments,
                    filter: filter.as_ref(),
                    parameters,
                };
                Pass::Done(change.all(&mut writer, rows, collector).await?)
            }
            New::Query { columns, lock } => {
                self.selected(&mut writer, rows, (columns, *lock), parameters, collector)
                    .await?
            }
        };
        if let Pass::Done(_) = pass {
            writer.finish().await?;
        }
        Ok(pass)
    }
}

/// New values that are worked out on the newest version of each row.
pub struct Change<'a> {
    /// SET
    pub assignments: &'a Assignments,
    /// WHERE, asked again where a row has changed.
    pub filter: Option<&'a Value>,
    /// The statement's.
    pub parameters: &'a [ScalarValue],
}

impl Change<'_> {
    async fn all(
        &self,
        writer: &mut Writer<'_>,
        mut rows: Rows,
        collector: &mut Option<Collector<'_>>,
    ) -> Result<u64, Diagnostic> {
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            for index in 0..batch.num_rows() {
                writer.step().await?;
                let key = key_of(&batch, index)?;
                let found = writer.lock_row(key, self.assignments.lock).await?;
                count += self.one(writer, key, found, collector).await?;
            }
        }
        Ok(count)
    }

    /// Changes one row that has been locked; gives how many that was.
    ///
    /// # Errors
    /// Constraint violations; whatever the expressions raise.
    pub async fn one(
        &self,
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
        let old = writer.target.layout.decode_row(&bytes)?;
        let row = Row {
            columns: &old,
            parameters: self.parameters,
            input: writer.input(),
        };
        if let (true, Some(filter)) = (ask_again, self.filter)
            && !filter.holds(row)?
        {
            return Ok(0);
        }
        let new = self.assignments.apply(&old, row, writer).await?;
        writer.update(key, &old, &new).await?;
        collect(collector, &new, self.parameters, writer)?;
        Ok(1)
    }
}

fn collect(
    collector: &mut Option<Collector<'_>>,
    row: &[ScalarValue],
    parameters: &[ScalarValue],
    writer: &Writer<'_>,
) -> Result<(), Diagnostic> {
    match collector {
        None => Ok(()),
        Some(collector) => collector.add(Row {
            columns: row,
            parameters,
            input: writer.input(),
        }),
    }
}

/// The tables of FROM.
///
/// # Errors
/// 0A000 for what PostgreSQL does not have.
pub fn from_of(update: &ast::Update) -> Result<&[TableWithJoins], Diagnostic> {
    if update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some() {
        return Err(Diagnostic::unsupported("this form of UPDATE"));
    }
    match &update.from {
        None => Ok(&[]),
        Some(ast::UpdateTableFromKind::AfterSet(from)) => Ok(from),
        Some(ast::UpdateTableFromKind::BeforeSet(_)) => {
            Err(Diagnostic::unsupported("FROM before SET"))
        }
    }
}

/// The values from the row alone, if they can be: without FROM, subqueries and the like. What is
/// wrong with the expressions is left for the query to say.
fn local(
    update: &ast::Update,
    named: &Named,
    from: &[TableWithJoins],
    with: Option<&ast::With>,
    parameters: &mut Vec<Option<SqlType>>,
    context: &StatementContext,
) -> Option<New> {
    if !from.is_empty() || with.is_some() {
        return None;
    }
    let mut attempt = parameters.clone();
    let scope = named.target.scope(&named.qualifier);
    let assignments = Assignments::new(
        &update.assignments,
        &named.target,
        &scope,
        &mut attempt,
        context,
    )
    .ok()?;
    let filter = compile_filter(
        update.selection.as_ref(),
        &scope,
        &mut attempt,
        input_of(context),
    )
    .ok()?;
    *parameters = attempt;
    Some(New::Row {
        assignments,
        filter,
    })
}

fn by_query(
    update: &ast::Update,
    target: &Target,
    context: &StatementContext,
) -> Result<(New, Vec<Expr>), Diagnostic> {
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for written in assignments::written(&update.assignments, target)? {
        let source = if is_default(&written.value) {
            Source::Default(Filler::of(target, written.position, context)?)
        } else {
            let to = target.columns()[written.position].sql_type;
            values.push(typed(&written.value, to)?);
            Source::Selected(values.len() - 1)
        };
        columns.push((written.position, source));
    }
    let changed = columns.iter().map(|(position, _)| *position);
    let lock = lock_for(changed, target);
    Ok((New::Query { columns, lock }, values))
}

/// What has no type by itself takes that of its column.
fn typed(value: &Expr, to: SqlType) -> Result<Expr, Diagnostic> {
    match value {
        Expr::Value(ast::ValueWithSpan {
            value: ast::Value::Placeholder(_) | ast::Value::SingleQuotedString(_) | ast::Value::Null,
            ..
        }) => cast_to(value.clone(), to),
        _ => Ok(value.clone()),
    }
}

fn check_types(new: &New, selection: &Selection, target: &Target) -> Result<(), Diagnostic> {
    let New::Query { columns, .. } = new else {
        return Ok(());
    };
    for (position, source) in columns {
        if let Source::Selected(place) = source {
            let column = &target.columns()[*position];
            Value::null(selection.types[*place]).assigned_to(&column.name, column.sql_type)?;
        }
    }
    Ok(())
}
