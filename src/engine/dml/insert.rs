//! INSERT: VALUES, a query, DEFAULT VALUES; ON CONFLICT; RETURNING.

use super::batch::{ColumnValues, ErrorOrder};
use super::conflict::{Conflict, Resolved};
use super::filler::{Filler, input_of};
use super::insert_sink::Sink;
use super::literals::{self, Literals};
use super::returning::{self, Returning};
use super::target::Target;
use super::value::{Row, Value};
use super::values::{Defaulted, Rows, Typed, compile_rows, typed_outputs, typed_values, values_of};
use super::write::{Writer, demand_writable};
use super::{Run, names, xmax};
use crate::catalog::definition::Identity;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Outcome};
use crate::engine::policy::Purpose;
use crate::engine::query::{QueryEngine, QueryPlan};
use crate::engine::uses::Uses;
use crate::sql::literal_rows;
use crate::sql::overriding::{self, Overriding};
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::common::ScalarValue;
use sqlparser::ast;
use std::sync::Arc;

/// Rows of VALUES in a point statement, whose template is kept; more seldom come twice.
pub const POINT_ROWS_MAX: usize = literal_rows::ROWS_MIN - 1;

/// Rows of VALUES from which on they are written by batches.
const BATCHED_ROWS_MIN: usize = 8;

/// Rows of a batch.
const BATCH_ROWS: usize = 1_024;

/// An INSERT, planned.
#[derive(Debug)]
pub struct Insert {
    target: Target,
    source: Source,
    /// For each column of the table the place of its value in the source's rows.
    places: Vec<Option<usize>>,
    /// For each column what fills it where the source does not.
    fillers: Vec<Option<Filler>>,
    conflict: Option<Conflict>,
    returning: Option<Returning>,
    /// Whether it asks for [`xmax`].
    shows_xmax: bool,
}

/// Where the rows come from.
#[derive(Debug)]
enum Source {
    /// VALUES, or one row of defaults. None: DEFAULT.
    Values(Vec<Vec<Option<Value>>>),
    /// VALUES of many rows that are literals.
    Literals(Literals),
    /// A query.
    Query(Selected),
}

/// The query that an INSERT's rows come from.
#[derive(Debug)]
struct Selected {
    plan: Arc<QueryPlan>,
    /// The types of its columns.
    types: Vec<SqlType>,
    /// The columns that are DEFAULT in some rows.
    defaults: Vec<Defaulted>,
}

/// What an INSERT gives: a source, and the columns that its values are for.
struct Given {
    columns: Vec<usize>,
    source: Source,
}

impl Insert {
    /// Plans what can be planned without the query pool: VALUES without subqueries.
    ///
    /// # Errors
    /// What the statement has wrong; 0A000 where it needs [`Insert::plan`].
    pub fn plan_values(
        insert: &ast::Insert,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Result<Insert, Diagnostic> {
        let (target, qualifier) = resolve(insert, context)?;
        let columns = column_list(insert, &target)?;
        let rows = match insert.source.as_deref() {
            None => vec![Vec::new()],
            Some(query) => match values_of(query) {
                Some(rows) => compile_rows(rows, &target, &columns, parameters, context)?,
                None => return Err(Diagnostic::unsupported("INSERT from a query here")),
            },
        };
        let given = rows.first().map_or(0, Vec::len);
        let columns = fit(columns, given, insert)?;
        let given = Given {
            columns,
            source: Source::Values(rows),
        };
        Insert::new(insert, (target, &qualifier), given, parameters, context)
    }

    /// Plans rows that the parser has left as text; None where they have to be read as expressions, and
    /// where something is wrong, which is then told as for those.
    pub fn plan_literals(
        (insert, rows): (&ast::Insert, literal_rows::Rows<'_>),
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Option<Insert> {
        let (target, qualifier) = resolve(insert, context).ok()?;
        let columns = column_list(insert, &target).ok()?;
        let literals = literals::of(rows, &target, &columns, input_of(context))?;
        let columns = fit(columns, literals.columns.len(), insert).ok()?;
        let source = Source::Literals(literals);
        let given = Given { columns, source };
        Insert::new(insert, (target, &qualifier), given, parameters, context).ok()
    }

    /// Plans any INSERT.
    ///
    /// # Errors
    /// What the statement has wrong, in PostgreSQL's words.
    pub async fn plan(
        insert: &ast::Insert,
        parameters: &mut Vec<Option<SqlType>>,
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Insert, Diagnostic> {
        let mut attempt = parameters.clone();
        match Insert::plan_values(insert, &mut attempt, context) {
            Err(error) if error.sqlstate() == SqlState::FEATURE_NOT_SUPPORTED => {}
            done => {
                *parameters = attempt;
                return done;
            }
        }
        let (target, qualifier) = resolve(insert, context)?;
        let columns = column_list(insert, &target)?;
        let Some(source) = insert.source.as_deref() else {
            return Insert::plan_values(insert, parameters, context);
        };
        let typed = match values_of(source) {
            Some(rows) => typed_values(source, rows, &target, &columns)?,
            None => Typed {
                query: typed_outputs(source, &target, &columns)?,
                behind: 0,
                defaults: Vec::new(),
            },
        };
        let statement = ast::Statement::Query(Box::new(typed.query));
        let plan = query
            .analyze_on_pool(statement, parameters.clone(), context)
            .await?;
        super::adopt_parameters(parameters, &plan.parameters);
        let columns = fit(columns, plan.fields.len() - typed.behind, insert)?;
        let types: Vec<SqlType> = plan.fields.iter().map(|field| field.sql_type).collect();
        for (position, from) in columns.iter().zip(&types) {
            let column = &target.columns()[*position];
            Value::null(*from).assigned_to(&column.name, column.sql_type)?;
        }
        let given = Given {
            columns,
            source: Source::Query(Selected {
                plan: Arc::new(plan),
                types,
                defaults: typed.defaults,
            }),
        };
        Insert::new(insert, (target, &qualifier), given, parameters, context)
    }

    fn new(
        insert: &ast::Insert,
        (target, qualifier): (Target, &str),
        Given { columns, source }: Given,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Result<Insert, Diagnostic> {
        let mut places = vec![None; target.columns().len()];
        let (overriding, _) = overriding::of(insert);
        for (place, position) in columns.iter().enumerate() {
            let identity = target.columns()[*position].identity.is_some();
            if !(identity && overriding == Some(Overriding::User)) {
                places[*position] = Some(place);
            }
        }
        refuse_values_for_generated(&target, &places, &source)?;
        if overriding != Some(Overriding::System) {
            refuse_values_for_identity(&target, &places, &source)?;
        }
        let fillers = (0..places.len())
            .map(|position| {
                let always_given = places[position].is_some_and(|place| source.gives(place));
                (!always_given)
                    .then(|| Filler::of(&target, position, context))
                    .transpose()
            })
            .collect::<Result<_, _>>()?;
        let conflict = match &insert.on {
            None => None,
            Some(ast::OnInsert::OnConflict(on)) => {
                Some(Conflict::new(on, &target, qualifier, parameters, context)?)
            }
            Some(_) => return Err(Diagnostic::unsupported("ON DUPLICATE KEY UPDATE")),
        };
        let shows_xmax = insert.returning.as_deref().is_some_and(xmax::is_in);
        let scope = match shows_xmax {
            true => xmax::within(target.scope(qualifier), qualifier),
            false => target.scope(qualifier),
        };
        let returning = match &insert.returning {
            Some(items) => Some(Returning::new(
                items,
                (&target, qualifier),
                &scope,
                parameters,
                input_of(context),
            )?),
            None => None,
        };
        Ok(Insert {
            target,
            source,
            places,
            fillers,
            conflict,
            returning,
            shows_xmax,
        })
    }

    /// The relations it uses.
    pub fn uses(&self) -> Uses {
        let uses = self.target.uses();
        match &self.source {
            Source::Values(_) | Source::Literals(_) => uses,
            Source::Query(selected) => uses.reading(&selected.plan.relations),
        }
    }

    /// What it writes into.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// The query that its rows are of; None for VALUES.
    pub(super) fn query(&self) -> Option<&Arc<QueryPlan>> {
        match &self.source {
            Source::Query(selected) => Some(&selected.plan),
            Source::Values(_) | Source::Literals(_) => None,
        }
    }

    /// Whether it is of VALUES of more than one row.
    pub(super) fn is_of_many_rows(&self) -> bool {
        match &self.source {
            Source::Values(rows) => rows.len() > 1,
            Source::Literals(_) => true,
            Source::Query(..) => false,
        }
    }

    /// What RETURNING gives.
    pub fn returning(&self) -> Option<&Returning> {
        self.returning.as_ref()
    }

    /// Whether it is worked out without asking the statement.
    pub fn stands_alone(&self) -> bool {
        !self.returning.as_ref().is_some_and(Returning::asks)
            && !self.conflict.as_ref().is_some_and(Conflict::asks)
    }

    /// Inserts the rows.
    ///
    /// # Errors
    /// 42501, 25006, constraint violations, whatever the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let Run {
            query,
            storage,
            parameters,
            transaction,
            context,
        } = run;
        self.demand_rights(context)?;
        let rows = match &self.source {
            Source::Values(_) | Source::Literals(_) => None,
            Source::Query(Selected { plan, .. }) => {
                let query = query.ok_or_else(|| {
                    Diagnostic::internal("an INSERT from a query without the query engine")
                })?;
                let used = &parameters[..plan.parameters.len()];
                Some(query.execute(plan, used, transaction, context)?)
            }
        };
        let mut collector = returning::collector(self.returning.as_ref(), query, context)?;
        let ready = match (&self.conflict, query) {
            (Some(conflict), Some(query)) if conflict.asks() => {
                Some(Box::new(conflict.within(&query.statement(context))?))
            }
            _ => None,
        };
        let sink = Sink {
            conflict: ready.as_deref().or(self.conflict.as_ref()),
            resolved: Resolved::default(),
            parameters,
            collector: &mut collector,
            shows_xmax: self.shows_xmax,
        };
        let transaction = &mut transaction.storage;
        let writer = Writer::new(&self.target, transaction, storage, context, self.purpose());
        let count = match (&self.source, rows) {
            (Source::Query(selected), Some(Outcome::Rows(rows))) => {
                // The futures of statements of one row stay small.
                Box::pin(self.insert_selected(writer, rows, selected, sink)).await?
            }
            (Source::Values(rows), _) => self.insert_values(writer, rows, sink).await?,
            (Source::Literals(literals), _) => {
                Box::pin(self.insert_literals(writer, literals)).await?
            }
            (Source::Query(..), _) => {
                return Err(Diagnostic::internal("a query answered without rows"));
            }
        };
        returning::outcome(CommandTag::Insert(count), collector)
    }

    fn purpose(&self) -> Purpose {
        match &self.conflict {
            Some(conflict) if conflict.updates() => Purpose::InsertOrUpdate,
            Some(_) => Purpose::InsertAndRead,
            None if self.returning.is_some() => Purpose::InsertAndRead,
            None => Purpose::Insert,
        }
    }

    fn demand_rights(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        self.demand_privileges(context)?;
        demand_writable(context, "INSERT")
    }

    /// 42501 where the rights do not suffice for it.
    pub(super) fn demand_privileges(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        let relation = &self.target.relation;
        context.rights.may_insert(relation)?;
        if self.returning.is_some() {
            context.rights.may_select(relation)?;
        }
        if self.conflict.as_ref().is_some_and(Conflict::updates) {
            context.rights.may_update(relation)?;
        }
        Ok(())
    }

    async fn insert_values(
        &self,
        mut writer: Writer<'_>,
        rows: &[Vec<Option<Value>>],
        mut sink: Sink<'_, '_>,
    ) -> Result<u64, Diagnostic> {
        let parameters = sink.parameters;
        if !sink.by_rows() && rows.len() >= BATCHED_ROWS_MIN {
            return Box::pin(self.insert_many_values(writer, rows, parameters)).await;
        }
        let mut count = 0;
        for values in rows {
            let mut row = Vec::with_capacity(self.places.len());
            for (place, filler) in self.places.iter().zip(&self.fillers) {
                let given = place.and_then(|place| values.get(place)?.as_ref());
                row.push(match (given, filler) {
                    (Some(value), _) => value.evaluate(Row {
                        columns: &[],
                        parameters,
                        input: writer.input(),
                    })?,
                    (None, Some(filler)) => filler.next(writer.storage, writer.context).await?,
                    (None, None) => {
                        return Err(Diagnostic::internal("a column without a value"));
                    }
                });
            }
            self.target.generate(&mut row, writer.input())?;
            count += sink.write(&mut writer, row).await?;
            writer.step().await?;
        }
        writer.finish().await?;
        Ok(count)
    }

    /// As [`Insert::insert_values`], by batches.
    async fn insert_many_values(
        &self,
        mut writer: Writer<'_>,
        rows: &[Vec<Option<Value>>],
        parameters: &[ScalarValue],
    ) -> Result<u64, Diagnostic> {
        for rows in rows.chunks(BATCH_ROWS) {
            let mut columns: Vec<_> = self
                .places
                .iter()
                .map(|_| Vec::with_capacity(rows.len()))
                .collect();
            for (at, values) in rows.iter().enumerate() {
                let worked_out = self
                    .work_out(values, rows.len() - at, parameters, &writer, &mut columns)
                    .await;
                if let Err(error) = worked_out {
                    // What is wrong with a row before is told first.
                    columns.iter_mut().for_each(|values| values.truncate(at));
                    self.insert_columns(&mut writer, columns, at).await?;
                    return Err(error);
                }
                writer.step().await?;
            }
            self.insert_columns(&mut writer, columns, rows.len())
                .await?;
        }
        writer.finish().await?;
        Ok(rows.len() as u64)
    }

    /// The values of one row, each put to those of its column; `wanted` as [`Filler::next_of`]'s.
    async fn work_out(
        &self,
        values: &[Option<Value>],
        wanted: usize,
        parameters: &[ScalarValue],
        writer: &Writer<'_>,
        columns: &mut [Vec<ScalarValue>],
    ) -> Result<(), Diagnostic> {
        let row = Row {
            columns: &[],
            parameters,
            input: writer.input(),
        };
        for ((place, filler), column) in self.places.iter().zip(&self.fillers).zip(columns) {
            let given = place.and_then(|place| values.get(place)?.as_ref());
            column.push(match (given, filler) {
                (Some(value), _) => value.evaluate(row)?,
                (None, Some(filler)) => {
                    let next = filler.next_of(wanted, writer.storage, writer.context);
                    next.await?
                }
                (None, None) => return Err(Diagnostic::internal("a column without a value")),
            });
        }
        Ok(())
    }

    async fn insert_columns(
        &self,
        writer: &mut Writer<'_>,
        columns: Vec<Vec<ScalarValue>>,
        rows: usize,
    ) -> Result<(), Diagnostic> {
        let columns: Vec<_> = columns
            .into_iter()
            .zip(self.target.columns())
            .map(|(values, column)| super::batch::array_of(values, column.sql_type))
            .collect::<Result<_, _>>()?;
        writer.insert_batch(&columns, rows, ErrorOrder::ByRow).await
    }

    async fn insert_literals(
        &self,
        mut writer: Writer<'_>,
        literals: &Literals,
    ) -> Result<u64, Diagnostic> {
        for first in (0..literals.rows).step_by(BATCH_ROWS) {
            let rows = BATCH_ROWS.min(literals.rows - first);
            let columns: Vec<ArrayRef> = literals
                .columns
                .iter()
                .map(|column| column.slice(first, rows))
                .collect();
            let given: Vec<Option<ColumnValues<'_>>> = self
                .places
                .iter()
                .zip(self.target.columns())
                .map(|(place, column)| {
                    place.map(|place| ColumnValues {
                        values: &columns[place],
                        from: column.sql_type,
                        defaults: None,
                    })
                })
                .collect();
            let columns = writer.fill_columns(&given, &self.fillers, rows).await?;
            writer
                .insert_batch(&columns, rows, ErrorOrder::ByRow)
                .await?;
        }
        writer.finish().await?;
        Ok(literals.rows as u64)
    }

    async fn insert_selected(
        &self,
        mut writer: Writer<'_>,
        mut rows: crate::engine::outcome::Rows,
        selected: &Selected,
        mut sink: Sink<'_, '_>,
    ) -> Result<u64, Diagnostic> {
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let given: Vec<Option<ColumnValues<'_>>> = self
                .places
                .iter()
                .map(|place| place.map(|place| selected.given(&batch, place)))
                .collect();
            let columns = writer
                .fill_columns(&given, &self.fillers, batch.num_rows())
                .await?;
            if !sink.by_rows() {
                let rows = batch.num_rows();
                writer
                    .insert_batch(&columns, rows, ErrorOrder::ByRow)
                    .await?;
                count += batch.num_rows() as u64;
                continue;
            }
            for index in 0..batch.num_rows() {
                let row = super::batch::row_of(&columns, index)?;
                count += sink.write(&mut writer, row).await?;
                writer.step().await?;
            }
        }
        writer.finish().await?;
        Ok(count)
    }
}

impl Selected {
    /// What it has for the column at this place of its rows.
    fn given<'b>(&self, batch: &'b RecordBatch, place: usize) -> ColumnValues<'b> {
        let defaults = self.defaults.iter().find(|of| of.place == place);
        ColumnValues {
            values: batch.column(place),
            from: self.types[place],
            defaults: defaults.and_then(|of| batch.column(of.marker).as_boolean_opt()),
        }
    }
}

impl Source {
    /// Whether every row has a value, not DEFAULT, at this place.
    fn gives(&self, place: usize) -> bool {
        match self {
            Source::Literals(_) => true,
            Source::Query(selected) => selected.defaults.iter().all(|of| of.place != place),
            Source::Values(rows) => rows
                .iter()
                .all(|row| row.get(place).is_some_and(Option::is_some)),
        }
    }

    fn ever_gives(&self, place: usize) -> bool {
        match self {
            Source::Literals(_) => true,
            Source::Query(selected) => selected
                .defaults
                .iter()
                .all(|of| of.place != place || of.rows == Rows::Some),
            Source::Values(rows) => rows
                .iter()
                .any(|row| row.get(place).is_some_and(Option::is_some)),
        }
    }
}

fn resolve(
    insert: &ast::Insert,
    context: &StatementContext,
) -> Result<(Target, String), Diagnostic> {
    let foreign = insert.or.is_some()
        || insert.ignore
        || insert.overwrite
        || insert.replace_into
        || insert.format_clause.is_some()
        || insert.settings.is_some()
        || !insert.assignments.is_empty()
        || !insert.after_columns.is_empty()
        || insert.partitioned.is_some() && overriding::of(insert).0.is_none();
    if foreign {
        return Err(Diagnostic::unsupported("this form of INSERT"));
    }
    let ast::TableObject::TableName(name) = &insert.table else {
        return Err(Diagnostic::unsupported("INSERT into a function"));
    };
    let relation = names::relation(name, context)?;
    let target = Target::new(&relation, &context.snapshot.definitions, input_of(context))?;
    let qualifier = match &insert.table_alias {
        Some(alias) => names::fold(&alias.alias),
        None => relation.name.to_string(),
    };
    Ok((target, qualifier))
}

/// Positions of the columns that the statement names, or of all.
fn column_list(insert: &ast::Insert, target: &Target) -> Result<Vec<usize>, Diagnostic> {
    let (_, named) = overriding::of(insert);
    if named.is_empty() {
        let live = target.columns().iter().enumerate();
        return Ok(live
            .filter(|(_, column)| !column.dropped)
            .map(|(position, _)| position)
            .collect());
    }
    let mut positions = Vec::with_capacity(named.len());
    for name in named {
        let name = names::column(name)?;
        let position = target.column(&name)?;
        if positions.contains(&position) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            ));
        }
        positions.push(position);
    }
    Ok(positions)
}

/// The columns that a source of so many expressions fills.
fn fit(
    mut columns: Vec<usize>,
    given: usize,
    insert: &ast::Insert,
) -> Result<Vec<usize>, Diagnostic> {
    let wrong = |what: &str| Err(Diagnostic::error(SqlState::SYNTAX_ERROR, what));
    if insert.source.is_none() {
        return Ok(Vec::new());
    }
    if given > columns.len() {
        return wrong("INSERT has more expressions than target columns");
    }
    if given < columns.len() && !overriding::of(insert).1.is_empty() {
        return wrong("INSERT has more target columns than expressions");
    }
    columns.truncate(given);
    Ok(columns)
}

/// 428C9 for a value given to a generated column, which nothing overrides.
fn refuse_values_for_generated(
    target: &Target,
    places: &[Option<usize>],
    source: &Source,
) -> Result<(), Diagnostic> {
    for (position, _) in &target.generated {
        if places[*position].is_some_and(|place| source.ever_gives(place)) {
            let name = &target.columns()[*position].name;
            return Err(Diagnostic::error(
                SqlState::new("428C9"),
                format!("cannot insert a non-DEFAULT value into column \"{name}\""),
            )
            .with_detail(format!("Column \"{name}\" is a generated column.")));
        }
    }
    Ok(())
}

/// 428C9 for a value given to GENERATED ALWAYS AS IDENTITY.
fn refuse_values_for_identity(
    target: &Target,
    places: &[Option<usize>],
    source: &Source,
) -> Result<(), Diagnostic> {
    for (column, place) in target.columns().iter().zip(places) {
        let given = place.is_some_and(|place| source.ever_gives(place));
        if column.identity == Some(Identity::Always) && given {
            let name = &column.name;
            return Err(Diagnostic::error(
                SqlState::new("428C9"),
                format!("cannot insert a non-DEFAULT value into column \"{name}\""),
            )
            .with_detail(format!(
                "Column \"{name}\" is an identity column defined as GENERATED ALWAYS."
            ))
            .with_hint("Use OVERRIDING SYSTEM VALUE to override."));
        }
    }
    Ok(())
}
