//! A query whose rows are locked before they are told.
//!
//! The query is run with the storage keys of the locked tables beside its own columns; each row's
//! are locked and looked at in their newest version. A row that is gone, or no longer fits the
//! WHERE of a single table, is left out. Where a row was changed otherwise, the query is run again on a
//! snapshot that has the change, with all locks kept: what is locked does not change any more, so
//! each run gets further. The result is kept within the statement's memory until all its rows are
//! locked. LIMIT and OFFSET are counted here, after rows that are skipped.

use super::tables::{self, Locked};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::dml::assignments::compile_filter;
use crate::engine::dml::filler::input_of;
use crate::engine::dml::pace::Pace;
use crate::engine::dml::target::Target;
use crate::engine::dml::value::{Row, Value as Compiled};
use crate::engine::dml::write::{Found, demand_writable, lock_wait, newest};
use crate::engine::dml::{Run, cast_to};
use crate::engine::outcome::{CommandTag, Outcome, ResultField, Rows};
use crate::engine::policy::{Guard, Purpose};
use crate::engine::query::{KEY_COLUMN, KEYED_SCHEMA, QueryEngine, QueryPlan, failure, keyed_name};
use crate::engine::uses::Uses;
use crate::sql::parse;
use crate::sql::row_locks::{Busy, Strength};
use crate::storage::{LockMode, LockWait, Locked as Granted, Used};
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::MemoryReservation;
use sqlparser::ast::{
    Expr, Ident, LimitClause, ObjectName, Query, SelectItem, SetExpr, Statement as SyntaxTree,
    TableAlias, TableFactor, Value,
};
use std::sync::Arc;

/// Runs of one statement at most.
const RUNS_MAX: u32 = 100;

/// Rows beyond LIMIT and OFFSET that the first run reads, for those that others have taken.
const NEAR_ROWS: u64 = 256;

/// A locking query, planned.
pub struct Select {
    /// Its own columns.
    pub fields: Arc<[ResultField]>,
    plan: Arc<QueryPlan>,
    /// The same query with a limit, for the first run of one with ORDER BY and LIMIT: sorting all
    /// rows to lock a few is for when those few were taken by others.
    near: Option<(Arc<QueryPlan>, u64)>,
    locked: Vec<Locked>,
    /// Of the locked tables, in their order, the columns that hold keys.
    keys: Vec<usize>,
    limit: Option<usize>,
    offset: Option<usize>,
    /// The query's own columns.
    shown: Vec<usize>,
    /// WHERE over the row of the only table, where it can be asked of that alone.
    recheck: Option<Recheck>,
}

struct Recheck {
    target: Target,
    filter: Option<Compiled>,
}

/// How a run ended.
enum Ran {
    /// With these rows, locked.
    Through(Vec<RecordBatch>),
    /// With fewer than are wanted, though there may be more.
    Short,
    /// At a row that others have changed.
    IntoChange,
}

/// What becomes of a row.
enum Verdict {
    Keep,
    Drop,
    Again,
}

impl Select {
    /// Plans it on the pool.
    ///
    /// # Errors
    /// As PostgreSQL: 0A000 for queries whose rows are no table's, 42P01; whatever else is wrong.
    pub async fn plan(
        query: &Query,
        declared: &[Option<SqlType>],
        engine: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Select, Diagnostic> {
        let locked = tables::of(query, context)?;
        let (keyed, hidden) = keyed(query, &locked)?;
        let near = match near_limit(query) {
            Some(rows) => {
                let mut near = keyed.clone();
                near.limit_clause = Some(LimitClause::LimitOffset {
                    limit: Some(number(rows)),
                    offset: None,
                    limit_by: Vec::new(),
                });
                let tree = SyntaxTree::Query(Box::new(near));
                let plan = engine.analyze_on_pool(tree, declared.to_vec(), context);
                Some((Arc::new(plan.await?), rows))
            }
            None => None,
        };
        let tree = SyntaxTree::Query(Box::new(keyed));
        let plan = engine
            .analyze_on_pool(tree, declared.to_vec(), context)
            .await?;
        let first_hidden = plan.fields.len().saturating_sub(hidden.count(&locked));
        let shown: Vec<usize> = (0..first_hidden)
            .filter(|place| plan.fields[*place].name != KEY_COLUMN)
            .collect();
        let keys: Vec<usize> = (first_hidden..first_hidden + locked.len()).collect();
        let mut next = first_hidden + locked.len();
        let mut place_of = |given: bool| {
            given.then(|| {
                next += 1;
                next - 1
            })
        };
        Ok(Select {
            fields: shown
                .iter()
                .map(|place| plan.fields[*place].clone())
                .collect(),
            limit: place_of(hidden.limit),
            offset: place_of(hidden.offset),
            recheck: recheck(query, &locked, &plan, context),
            plan: Arc::new(plan),
            near,
            locked,
            keys,
            shown,
        })
    }

    /// The types of $1, $2, ….
    pub fn parameters(&self) -> &[SqlType] {
        &self.plan.parameters
    }

    /// Locks the rows and gives them.
    ///
    /// # Errors
    /// 42501, 25006, 55P03, 40P01; 40001 under REPEATABLE READ; whatever the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let (transaction, context) = (run.transaction, run.context);
        let engine = run
            .query
            .ok_or_else(|| Diagnostic::internal("a locking query without the query engine"))?;
        for locked in &self.locked {
            context.rights.may_lock(&locked.relation)?;
            demand_writable(context, &format!("SELECT {}", locked.strength.name()))?;
        }
        let uses = Uses::default().reading(&self.plan.relations);
        if uses.take(&mut transaction.storage, context).await? == Used::AfterWaiting {
            return Ok(Outcome::Stale);
        }
        let mut near = self.near.as_ref();
        for _ in 0..RUNS_MAX {
            let (plan, rows_max) = match near {
                Some((plan, rows)) => (plan, *rows),
                None => (&self.plan, u64::MAX),
            };
            let parameters = &run.parameters[..plan.parameters.len()];
            let Outcome::Rows(rows) = engine.execute(plan, parameters, transaction, context)?
            else {
                return Err(Diagnostic::internal("a query answered without rows"));
            };
            let mut memory = engine.reservation();
            let mut pass = Pass::new(self, &mut transaction.storage, run.parameters, context);
            match pass.run(rows, rows_max, &mut memory).await? {
                Ran::Through(batches) => {
                    let (fields, tag) = (self.fields.clone(), CommandTag::Select(0));
                    return Ok(Outcome::Rows(Rows {
                        memory: Some(memory),
                        ..Rows::ready(fields, tag, batches)
                    }));
                }
                Ran::Short => near = None,
                Ran::IntoChange => {}
            }
            // The snapshot is to have the change that was met.
            transaction.storage.durable().await?;
            transaction.storage.end_statement();
            transaction.storage.begin_statement()?;
        }
        Err(Diagnostic::error(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize access due to concurrent update",
        ))
    }
}

/// One run over the rows.
struct Pass<'a> {
    select: &'a Select,
    transaction: &'a mut crate::storage::Transaction,
    parameters: &'a [datafusion::common::ScalarValue],
    context: &'a StatementContext,
    pace: Pace,
    skip: u64,
    left: u64,
}

impl<'a> Pass<'a> {
    fn new(
        select: &'a Select,
        transaction: &'a mut crate::storage::Transaction,
        parameters: &'a [datafusion::common::ScalarValue],
        context: &'a StatementContext,
    ) -> Pass<'a> {
        Pass {
            select,
            transaction,
            parameters,
            context,
            pace: Pace::new(context.cancel.clone()),
            skip: 0,
            left: u64::MAX,
        }
    }

    async fn run(
        &mut self,
        mut rows: Rows,
        rows_max: u64,
        memory: &mut MemoryReservation,
    ) -> Result<Ran, Diagnostic> {
        let mut batches = Vec::new();
        let mut first = true;
        let mut seen = 0;
        while self.left > 0
            && let Some(batch) = rows.next().await
        {
            let batch = batch?;
            if first {
                self.count_from(&batch)?;
                first = false;
            }
            seen += batch.num_rows() as u64;
            let mut kept = vec![false; batch.num_rows()];
            for (row, kept) in kept.iter_mut().enumerate() {
                if self.left == 0 {
                    break;
                }
                self.pace.step().await?;
                match self.lock(&batch, row).await? {
                    Verdict::Again => return Ok(Ran::IntoChange),
                    Verdict::Drop => {}
                    Verdict::Keep if self.skip > 0 => self.skip -= 1,
                    Verdict::Keep => {
                        *kept = true;
                        self.left -= 1;
                    }
                }
            }
            let shown = batch
                .project(&self.select.shown)
                .and_then(|shown| filter_record_batch(&shown, &BooleanArray::from(kept)))
                .map_err(|error| failure::diagnostic(error.into()))?;
            memory
                .try_grow(shown.get_array_memory_size())
                .map_err(failure::diagnostic)?;
            if shown.num_rows() > 0 {
                batches.push(shown);
            }
        }
        if self.left > 0 && seen >= rows_max {
            return Ok(Ran::Short);
        }
        Ok(Ran::Through(batches))
    }

    /// LIMIT and OFFSET, the same in every row.
    fn count_from(&mut self, batch: &RecordBatch) -> Result<(), Diagnostic> {
        let value = |place: Option<usize>| {
            let column = batch.column(place?).as_primitive_opt::<Int64Type>()?;
            column.is_valid(0).then(|| column.value(0))
        };
        if let Some(limit) = value(self.select.limit) {
            self.left = u64::try_from(limit)
                .map_err(|_| negative("2201W", "LIMIT must not be negative"))?;
        }
        if let Some(offset) = value(self.select.offset) {
            self.skip = u64::try_from(offset)
                .map_err(|_| negative("2201X", "OFFSET must not be negative"))?;
        }
        Ok(())
    }

    async fn lock(&mut self, batch: &RecordBatch, row: usize) -> Result<Verdict, Diagnostic> {
        let mut verdict = Verdict::Keep;
        for (locked, column) in self.select.locked.iter().zip(&self.select.keys) {
            let keys = batch
                .column(*column)
                .as_binary_opt::<i32>()
                .filter(|keys| keys.is_valid(row))
                .ok_or_else(|| Diagnostic::internal("a locked row without a key"))?;
            match self.lock_one(locked, keys.value(row)).await? {
                Verdict::Keep => {}
                Verdict::Drop => return Ok(Verdict::Drop),
                Verdict::Again => verdict = Verdict::Again,
            }
        }
        Ok(verdict)
    }

    async fn lock_one(&mut self, locked: &Locked, key: &[u8]) -> Result<Verdict, Diagnostic> {
        let Some(table) = locked.relation.table() else {
            return Err(Diagnostic::internal("a locked relation is no table"));
        };
        let wait = match locked.busy {
            Busy::Wait => lock_wait(self.context),
            Busy::Skip => LockWait::SkipLocked,
            Busy::Fail => LockWait::NoWait,
        };
        let mode = match locked.strength {
            Strength::KeyShare => LockMode::KeyShare,
            Strength::Share => LockMode::Share,
            Strength::NoKeyUpdate => LockMode::NoKeyUpdate,
            Strength::Update => LockMode::Update,
        };
        let granted = self.transaction.lock(table.store, key, mode, wait).await;
        match granted {
            Ok(Granted::Granted) => {}
            Ok(Granted::Skipped) => return Ok(Verdict::Drop),
            Err(crate::storage::StorageError::LockNotAvailable) => {
                return Err(Diagnostic::error(
                    SqlState::LOCK_NOT_AVAILABLE,
                    format!(
                        "could not obtain lock on row in relation \"{}\"",
                        locked.relation.name
                    ),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        match newest(self.transaction, table.store, key)? {
            Found::Unchanged(_) => Ok(Verdict::Keep),
            Found::Gone => Ok(Verdict::Drop),
            Found::Changed(bytes) => self.ask_again(&bytes),
        }
    }

    /// A row that no longer fits is left out; for another the statement starts over.
    fn ask_again(&self, bytes: &[u8]) -> Result<Verdict, Diagnostic> {
        let Some(recheck) = &self.select.recheck else {
            return Ok(Verdict::Again);
        };
        let columns = recheck.target.layout.decode_row(bytes)?;
        let row = Row {
            columns: &columns,
            parameters: self.parameters,
            input: input_of(self.context),
        };
        let guard = Guard::new(&recheck.target.relation, Purpose::Lock, self.context);
        if guard.is_some_and(|guard| !guard.shows(&columns, row.input)) {
            return Ok(Verdict::Drop);
        }
        match &recheck.filter {
            Some(filter) if !filter.holds(row)? => Ok(Verdict::Drop),
            _ => Ok(Verdict::Again),
        }
    }
}

fn negative(code: &str, message: &str) -> Diagnostic {
    Diagnostic::error(SqlState::new(code), message)
}

/// WHERE, where it is about the one table alone.
fn recheck(
    query: &Query,
    locked: &[Locked],
    plan: &QueryPlan,
    context: &StatementContext,
) -> Option<Recheck> {
    let (SetExpr::Select(select), [only]) = (&*query.body, locked) else {
        return None;
    };
    let alone = matches!(&select.from[..], [table] if table.joins.is_empty());
    if !alone || query.with.is_some() {
        return None;
    }
    let input = input_of(context);
    let target = Target::new(&only.relation, &context.snapshot.definitions, input).ok()?;
    let mut parameters: Vec<_> = plan.parameters.iter().copied().map(Some).collect();
    let scope = target.scope(&only.qualifier);
    let filter = compile_filter(select.selection.as_ref(), &scope, &mut parameters, input).ok()?;
    Some(Recheck { target, filter })
}

/// What stands after the query's own columns: a key for each locked table, then these.
struct Hidden {
    limit: bool,
    offset: bool,
}

impl Hidden {
    fn count(&self, locked: &[Locked]) -> usize {
        locked.len() + usize::from(self.limit) + usize::from(self.offset)
    }
}

/// The query without its clauses that are carried out here, with keys beside its columns.
fn keyed(query: &Query, locked: &[Locked]) -> Result<(Query, Hidden), Diagnostic> {
    let mut keyed = query.clone();
    keyed.locks.clear();
    let (limit, offset) = take_limits(&mut keyed)?;
    let SetExpr::Select(select) = &mut *keyed.body else {
        return Err(Diagnostic::internal("a locking query is no SELECT"));
    };
    if tables::has_star(select)
        && let Some(star) = tables::star(select, locked)
    {
        expand_star(&mut select.projection, &star, locked)?;
    }
    tables::change_factors(&mut select.from, locked, &mut |factor, place| {
        name_by_oid(factor, &locked[place]);
    });
    let mut hidden = Vec::new();
    for (place, locked) in locked.iter().enumerate() {
        let key = format!("{}.{}", quoted(&locked.qualifier), quoted(KEY_COLUMN));
        hidden.push((parse::parse_expression(&key)?, format!("\u{1}lock{place}")));
    }
    let given = Hidden {
        limit: limit.is_some(),
        offset: offset.is_some(),
    };
    for (count, name) in [(limit, "\u{1}limit"), (offset, "\u{1}offset")] {
        if let Some(count) = count {
            let count = cast_to(count, SqlType::scalar(TypeKind::Int8))?;
            hidden.push((count, name.to_owned()));
        }
    }
    let hidden = hidden
        .into_iter()
        .map(|(expr, name)| SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', name),
        });
    select.projection.extend(hidden);
    Ok((keyed, given))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

type Count = Option<Expr>;

fn number(value: u64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

/// How many rows the first run reads; None where all are read anyway, or the text does not say.
fn near_limit(query: &Query) -> Option<u64> {
    query.order_by.as_ref()?;
    let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause else {
        return None;
    };
    let written = |expr: &Expr| match expr {
        Expr::Value(value) => value.value.to_string().parse::<u64>().ok(),
        _ => None,
    };
    let offset = match offset {
        Some(offset) => written(&offset.value)?,
        None => 0,
    };
    written(limit.as_ref()?)?
        .checked_add(offset)?
        .checked_add(NEAR_ROWS)
        .filter(|rows| i64::try_from(*rows).is_ok())
}

/// LIMIT (or FETCH FIRST) and OFFSET, taken out of the query.
fn take_limits(query: &mut Query) -> Result<(Count, Count), Diagnostic> {
    let (mut limit, offset) = match query.limit_clause.take() {
        None => (None, None),
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            (limit, offset.map(|offset| offset.value))
        }
        Some(LimitClause::OffsetCommaLimit { .. }) => {
            return Err(Diagnostic::unsupported("LIMIT with a comma"));
        }
    };
    if let Some(fetch) = query.fetch.take() {
        if fetch.with_ties || fetch.percent {
            return Err(Diagnostic::unsupported("FETCH FIRST WITH TIES"));
        }
        limit = Some(fetch.quantity.unwrap_or_else(|| number(1)));
    }
    Ok((limit, offset))
}

/// `*` as the columns it stands for: the keyed table below has one more.
fn expand_star(
    projection: &mut Vec<SelectItem>,
    star: &[(String, Option<usize>)],
    locked: &[Locked],
) -> Result<(), Diagnostic> {
    let mut expanded = Vec::new();
    for item in projection.drain(..) {
        if !matches!(item, SelectItem::Wildcard(_)) {
            expanded.push(item);
            continue;
        }
        for (qualifier, place) in star {
            let qualifier = quoted(qualifier);
            let table = place.and_then(|place| locked[place].relation.table());
            let Some(table) = table else {
                expanded.push(item_of(&format!("{qualifier}.*"))?);
                continue;
            };
            for column in table.columns.iter().filter(|column| !column.dropped) {
                expanded.push(item_of(&format!("{qualifier}.{}", quoted(&column.name)))?);
            }
        }
    }
    *projection = expanded;
    Ok(())
}

/// An output column from its text.
fn item_of(text: &str) -> Result<SelectItem, Diagnostic> {
    let broken = || Diagnostic::internal("an output column that does not parse");
    let SyntaxTree::Query(query) = parse::parse_one(&format!("SELECT {text}"))? else {
        return Err(broken());
    };
    match *query.body {
        SetExpr::Select(mut select) => select.projection.pop().ok_or_else(broken),
        _ => Err(broken()),
    }
}

/// The table with its keys, under the name it had.
fn name_by_oid(factor: &mut TableFactor, locked: &Locked) {
    if let TableFactor::Table { name, alias, .. } = factor {
        *name = ObjectName::from(vec![
            Ident::with_quote('"', KEYED_SCHEMA),
            Ident::with_quote('"', keyed_name(locked.relation.oid, Purpose::Lock)),
        ]);
        alias.get_or_insert(TableAlias {
            explicit: true,
            name: Ident::with_quote('"', &locked.qualifier),
            columns: Vec::new(),
            at: None,
        });
    }
}
