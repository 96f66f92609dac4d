//! SELECT of one row, FOR UPDATE or not.

use super::key::PointKey;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::dml::Run;
use crate::engine::dml::assignments::compile_filter;
use crate::engine::dml::filler::input_of;
use crate::engine::dml::returning::Returning;
use crate::engine::dml::selection::Named;
use crate::engine::dml::value::{Row, Value};
use crate::engine::dml::write::{Found, Writer, demand_writable};
use crate::engine::outcome::{CommandTag, Outcome, Rows};
use crate::engine::policy::{Guard, Purpose};
use crate::engine::types;
use crate::engine::uses::Uses;
use crate::storage::{LockMode, Use};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, GroupByExpr, SetExpr};
use std::sync::Arc;

/// A point SELECT, planned.
#[derive(Debug)]
pub struct Select {
    named: Named,
    key: PointKey,
    filter: Option<Value>,
    output: Returning,
    /// Where every output is a column as it is: their positions, and the batch's schema.
    plain: Option<(Vec<u16>, SchemaRef)>,
    lock: Option<LockMode>,
}

impl Select {
    /// Of a query; None where it is no point statement.
    pub fn plan(
        query: &ast::Query,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Option<Select> {
        let select = plain_select(query)?;
        let lock = lock_of(&query.locks)?;
        let [from] = &select.from[..] else {
            return None;
        };
        let named = Named::new(from, context).ok()?;
        let (target, qualifier) = (&named.target, &named.qualifier);
        let selection = select.selection.as_ref()?;
        let key = PointKey::of(selection, target, qualifier, parameters, input_of(context))?;
        let scope = target.scope(qualifier);
        let filter =
            compile_filter(key.rest.as_ref(), &scope, parameters, input_of(context)).ok()?;
        let output = Returning::new(
            &select.projection,
            (target, qualifier),
            &scope,
            parameters,
            input_of(context),
        )
        .ok()
        .filter(|output| !output.asks())?;
        let plain = output
            .plain_columns()
            .filter(|positions| !positions.is_empty());
        let plain = plain.map(|positions| {
            let fields: Vec<_> = positions
                .iter()
                .zip(output.fields.iter())
                .map(|(_, field)| types::arrow_field(field.name.as_str(), field.sql_type, true))
                .collect();
            (positions, Arc::new(Schema::new(fields)))
        });
        Some(Select {
            named,
            key,
            filter,
            output,
            plain,
            lock,
        })
    }

    /// The table, read or (for a lock) written.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        let how = match self.lock {
            None => Use::Shared,
            Some(_) => Use::Writing,
        };
        uses.add(self.named.target.relation.oid, how);
        uses
    }

    /// What it gives.
    pub fn output(&self) -> &Returning {
        &self.output
    }

    /// Whether it locks the row.
    pub fn locks(&self) -> bool {
        self.lock.is_some()
    }

    /// Reads the row.
    ///
    /// # Errors
    /// 42501, lock failures, what the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let (parameters, context) = (run.parameters, run.context);
        let transaction = &mut run.transaction.storage;
        let target = &self.named.target;
        context.rights.may_select(&target.relation)?;
        let input = input_of(context);
        let Some(bytes) = self.key.bytes(parameters, input)? else {
            return Ok(self.nothing());
        };
        let Some(key) = self.key.row_key(bytes, transaction)? else {
            return Ok(self.nothing());
        };
        if let Some(mode) = self.lock {
            return self.locked(&key, mode, run).await;
        }
        let Some(row) = transaction.get(target.store(), &key)? else {
            return Ok(self.nothing());
        };
        let guard = Guard::new(&target.relation, Purpose::Read, context);
        if guard.is_some_and(|guard| !target.shows(&guard, &row, input)) {
            return Ok(self.nothing());
        }
        self.answer(&row, parameters, context)
    }

    async fn locked(
        &self,
        key: &[u8],
        mode: LockMode,
        run: Run<'_>,
    ) -> Result<Outcome, Diagnostic> {
        let (parameters, context) = (run.parameters, run.context);
        let transaction = &mut run.transaction.storage;
        let target = &self.named.target;
        context.rights.may_lock(&target.relation)?;
        demand_writable(context, "SELECT FOR UPDATE")?;
        let mut writer = Writer::new(target, transaction, run.storage, context, Purpose::Lock);
        if !writer.may_lock(key)? {
            return Ok(self.nothing());
        }
        let row = match writer.lock_row(key, mode).await? {
            Found::Gone => return Ok(self.nothing()),
            Found::Unchanged(row) | Found::Changed(row) => row,
        };
        self.answer(&row, parameters, context)
    }

    fn nothing(&self) -> Outcome {
        Outcome::Rows(Rows::ready(
            self.output.fields.clone(),
            CommandTag::Select(0),
            Vec::new(),
        ))
    }

    fn answer(
        &self,
        row: &[u8],
        parameters: &[ScalarValue],
        context: &StatementContext,
    ) -> Result<Outcome, Diagnostic> {
        let layout = &self.named.target.layout;
        if let (Some((positions, schema)), None) = (&self.plain, &self.filter) {
            let mut decoder = layout.decoder(positions, 1);
            decoder.append(row)?;
            let batch = RecordBatch::try_new(schema.clone(), decoder.finish())
                .map_err(|error| Diagnostic::internal(error.to_string()))?;
            return Ok(Outcome::Rows(Rows::ready(
                self.output.fields.clone(),
                CommandTag::Select(1),
                vec![batch],
            )));
        }
        let columns = layout.decode_row(row)?;
        let row = Row {
            columns: &columns,
            parameters,
            input: input_of(context),
        };
        if let Some(filter) = &self.filter
            && !filter.holds(row)?
        {
            return Ok(self.nothing());
        }
        let mut collector = self.output.collector(None);
        collector.add(row)?;
        Ok(Outcome::Rows(collector.finish(CommandTag::Select(1))?))
    }
}

/// The one plain SELECT of a query, without anything around it.
fn plain_select(query: &ast::Query) -> Option<&ast::Select> {
    let alone = query_is_plain(query) && query.order_by.is_none() && query.limit_clause.is_none();
    plain_body(query).filter(|_| alone)
}

/// Whether nothing but ORDER BY, LIMIT and locks is around the SELECT.
pub(super) fn query_is_plain(query: &ast::Query) -> bool {
    query.with.is_none()
        && query.fetch.is_none()
        && query.for_clause.is_none()
        && query.settings.is_none()
        && query.format_clause.is_none()
        && query.pipe_operators.is_empty()
}

/// The query's SELECT, where that has nothing but its columns, one table and a WHERE.
pub(super) fn plain_body(query: &ast::Query) -> Option<&ast::Select> {
    let SetExpr::Select(select) = &*query.body else {
        return None;
    };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, modifiers)
        if by.is_empty() && modifiers.is_empty());
    let plain = ungrouped
        && select.distinct.is_none()
        && select.top.is_none()
        && select.exclude.is_none()
        && select.into.is_none()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none()
        && select.having.is_none()
        && select.named_window.is_empty()
        && select.qualify.is_none()
        && select.cluster_by.is_empty()
        && select.distribute_by.is_empty()
        && select.sort_by.is_empty()
        && select.connect_by.is_empty()
        && select.value_table_mode.is_none();
    plain.then_some(select)
}

/// The row lock that is asked for; the outer None: in a form that is no point statement.
fn lock_of(locks: &[ast::LockClause]) -> Option<Option<LockMode>> {
    match locks {
        [] => Some(None),
        [lock] if lock.of.is_none() && lock.nonblock.is_none() => {
            Some(Some(match lock.lock_type {
                ast::LockType::Share => LockMode::Share,
                ast::LockType::Update => LockMode::Update,
            }))
        }
        _ => None,
    }
}
