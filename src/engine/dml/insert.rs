//! INSERT: VALUES, a query, DEFAULT VALUES; ON CONFLICT; RETURNING.

use super::assignments::is_default;
use super::conflict::{Conflict, Resolution, Resolved};
use super::filler::{Filler, input_of};
use super::returning::{Collector, Returning};
use super::target::Target;
use super::value::{self, Row, Value};
use super::write::{Arbiters, Insertion, Writer, demand_writable};
use super::{Run, names};
use crate::catalog::definition::Identity;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Outcome};
use crate::engine::query::expression::Scope;
use crate::engine::query::{QueryEngine, QueryPlan};
use crate::sql::{depth, parse};
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, Expr, SetExpr};
use std::sync::Arc;

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
}

/// Where the rows come from.
#[derive(Debug)]
enum Source {
    /// VALUES, or one row of defaults. None: DEFAULT.
    Values(Vec<Vec<Option<Value>>>),
    /// A query; its columns' types.
    Query(Arc<QueryPlan>, Vec<SqlType>),
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
        Insert::new(
            insert,
            target,
            &qualifier,
            columns,
            Source::Values(rows),
            parameters,
            context,
        )
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
        let source = match values_of(source) {
            Some(rows) => typed_values(source, rows, &target, &columns)?,
            None => source.clone(),
        };
        let statement = ast::Statement::Query(Box::new(source));
        let plan = query
            .analyze_on_pool(statement, parameters.clone(), context)
            .await?;
        super::adopt_parameters(parameters, &plan.parameters);
        let columns = fit(columns, plan.fields.len(), insert)?;
        let types: Vec<SqlType> = plan.fields.iter().map(|field| field.sql_type).collect();
        for (position, from) in columns.iter().zip(&types) {
            let column = &target.columns()[*position];
            Value::null(*from).assigned_to(&column.name, column.sql_type)?;
        }
        let source = Source::Query(Arc::new(plan), types);
        Insert::new(
            insert, target, &qualifier, columns, source, parameters, context,
        )
    }

    fn new(
        insert: &ast::Insert,
        target: Target,
        qualifier: &str,
        columns: Vec<usize>,
        source: Source,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Result<Insert, Diagnostic> {
        let mut places = vec![None; target.columns().len()];
        for (place, position) in columns.iter().enumerate() {
            places[*position] = Some(place);
        }
        refuse_values_for_identity(&target, &places, &source)?;
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
        let returning = match &insert.returning {
            Some(items) => Some(Returning::new(
                items,
                &target,
                qualifier,
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
        })
    }

    /// What RETURNING gives.
    pub fn returning(&self) -> Option<&Returning> {
        self.returning.as_ref()
    }

    /// How many rows VALUES has; None for a query.
    pub fn rows_given(&self) -> Option<usize> {
        match &self.source {
            Source::Values(rows) => Some(rows.len()),
            Source::Query(..) => None,
        }
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
            Source::Values(_) => None,
            Source::Query(plan, _) => {
                let query = query.ok_or_else(|| {
                    Diagnostic::internal("an INSERT from a query without the query engine")
                })?;
                let used = &parameters[..plan.parameters.len()];
                Some(query.execute(plan, used, transaction, context)?)
            }
        };
        let mut collector = self.returning.as_ref().map(Returning::collector);
        let transaction = &mut transaction.storage;
        let writer = Writer::begin(&self.target, transaction, storage, context).await?;
        let count = match (&self.source, rows) {
            (Source::Query(_, types), Some(Outcome::Rows(rows))) => {
                self.from_query(writer, rows, types, parameters, &mut collector)
                    .await?
            }
            (Source::Values(rows), _) => {
                self.from_values(writer, rows, parameters, &mut collector)
                    .await?
            }
            (Source::Query(..), _) => {
                return Err(Diagnostic::internal("a query answered without rows"));
            }
        };
        match collector {
            None => Ok(Outcome::Done(CommandTag::Insert(count))),
            Some(collector) => {
                transaction.durable().await?;
                let rows = collector.finish(CommandTag::Insert(count))?;
                Ok(Outcome::Rows(rows))
            }
        }
    }

    fn demand_rights(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        let relation = &self.target.relation;
        context.rights.may_insert(relation)?;
        if self.returning.is_some() {
            context.rights.may_select(relation)?;
        }
        if self.conflict.as_ref().is_some_and(Conflict::updates) {
            context.rights.may_update(relation)?;
        }
        demand_writable(context, "INSERT")
    }

    async fn from_values(
        &self,
        mut writer: Writer<'_>,
        rows: &[Vec<Option<Value>>],
        parameters: &[ScalarValue],
        collector: &mut Option<Collector<'_>>,
    ) -> Result<u64, Diagnostic> {
        let mut count = 0;
        let mut resolved = Resolved::default();
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
            count += self
                .write(&mut writer, row, parameters, &mut resolved, collector)
                .await?;
            writer.step().await?;
        }
        writer.finish().await?;
        Ok(count)
    }

    async fn from_query(
        &self,
        mut writer: Writer<'_>,
        mut rows: crate::engine::outcome::Rows,
        types: &[SqlType],
        parameters: &[ScalarValue],
        collector: &mut Option<Collector<'_>>,
    ) -> Result<u64, Diagnostic> {
        let mut count = 0;
        let mut resolved = Resolved::default();
        let by_rows = self.conflict.is_some() || collector.is_some();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let given: Vec<Option<(&datafusion::arrow::array::ArrayRef, SqlType)>> = self
                .places
                .iter()
                .map(|place| place.map(|place| (batch.column(place), types[place])))
                .collect();
            let columns = writer
                .fill_columns(&given, &self.fillers, batch.num_rows())
                .await?;
            if !by_rows {
                writer.insert_batch(&columns, batch.num_rows()).await?;
                count += batch.num_rows() as u64;
                continue;
            }
            for index in 0..batch.num_rows() {
                let row = super::batch::row_of(&columns, index)?;
                count += self
                    .write(&mut writer, row, parameters, &mut resolved, collector)
                    .await?;
                writer.step().await?;
            }
        }
        writer.finish().await?;
        Ok(count)
    }

    /// Writes one row, or resolves its conflict; gives how many rows that concerned.
    async fn write(
        &self,
        writer: &mut Writer<'_>,
        row: Vec<ScalarValue>,
        parameters: &[ScalarValue],
        resolved: &mut Resolved,
        collector: &mut Option<Collector<'_>>,
    ) -> Result<u64, Diagnostic> {
        let arbiters = self
            .conflict
            .as_ref()
            .map_or(&Arbiters::None, Conflict::arbiters);
        loop {
            let written = match writer.insert(&row, arbiters).await? {
                Insertion::Done => {
                    if let Some(conflict) = &self.conflict {
                        conflict.remember_inserted(writer, &row, resolved)?;
                    }
                    Some(row)
                }
                Insertion::Conflict(key) => {
                    let Some(conflict) = &self.conflict else {
                        return Err(Diagnostic::internal("a conflict that nobody asked for"));
                    };
                    match conflict
                        .resolve(writer, &key, &row, parameters, resolved)
                        .await?
                    {
                        Resolution::Skipped => None,
                        Resolution::Updated(new) => Some(new),
                        // The row in the way has gone meanwhile.
                        Resolution::Retry => continue,
                    }
                }
            };
            let Some(row) = written else {
                return Ok(0);
            };
            if let Some(collector) = collector {
                collector.add(Row {
                    columns: &row,
                    parameters,
                    input: writer.input(),
                })?;
            }
            return Ok(1);
        }
    }
}

impl Source {
    /// Whether every row has a value, not DEFAULT, at this place.
    fn gives(&self, place: usize) -> bool {
        match self {
            Source::Query(..) => true,
            Source::Values(rows) => rows
                .iter()
                .all(|row| row.get(place).is_some_and(Option::is_some)),
        }
    }

    fn ever_gives(&self, place: usize) -> bool {
        match self {
            Source::Query(..) => true,
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
    if insert.or.is_some() || insert.ignore || insert.overwrite || insert.replace_into {
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
    if insert.columns.is_empty() {
        let live = target.columns().iter().enumerate();
        return Ok(live
            .filter(|(_, column)| !column.dropped)
            .map(|(position, _)| position)
            .collect());
    }
    let mut positions = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
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
    if given < columns.len() && !insert.columns.is_empty() {
        return wrong("INSERT has more target columns than expressions");
    }
    columns.truncate(given);
    Ok(columns)
}

fn values_of(query: &ast::Query) -> Option<&[ast::Parens<Vec<Expr>>]> {
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty();
    match &*query.body {
        SetExpr::Values(values) if plain => Some(&values.rows),
        _ => None,
    }
}

fn compile_rows(
    rows: &[ast::Parens<Vec<Expr>>],
    target: &Target,
    columns: &[usize],
    parameters: &mut Vec<Option<SqlType>>,
    context: &StatementContext,
) -> Result<Vec<Vec<Option<Value>>>, Diagnostic> {
    let scope = Scope::empty();
    let width = rows.first().map_or(0, |row| row.content.len());
    let mut compiled = Vec::with_capacity(rows.len());
    for row in rows {
        if row.content.len() != width {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                "VALUES lists must all be the same length",
            ));
        }
        let mut values = Vec::with_capacity(width);
        for (place, expression) in row.content.iter().enumerate() {
            let Some(position) = columns.get(place) else {
                return Err(Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    "INSERT has more expressions than target columns",
                ));
            };
            if is_default(expression) {
                values.push(None);
                continue;
            }
            let column = &target.columns()[*position];
            values.push(Some(value::compile_for_column(
                expression,
                &scope,
                parameters,
                (&column.name, column.sql_type),
                input_of(context),
            )?));
        }
        compiled.push(values);
    }
    Ok(compiled)
}

/// VALUES for the query engine: what has no type by itself takes that of its column.
fn typed_values(
    query: &ast::Query,
    rows: &[ast::Parens<Vec<Expr>>],
    target: &Target,
    columns: &[usize],
) -> Result<ast::Query, Diagnostic> {
    if rows.len() > depth::TREE_DEPTH_MAX {
        return Err(Diagnostic::unsupported(
            "a subquery or volatile function in VALUES of so many rows",
        ));
    }
    let mut rows = rows.to_vec();
    for expression in rows
        .iter_mut()
        .flat_map(|row| row.content.iter_mut().enumerate())
    {
        let (place, expression) = expression;
        if is_default(expression) {
            return Err(Diagnostic::unsupported(
                "DEFAULT beside a subquery or volatile function in VALUES",
            ));
        }
        let untyped = matches!(
            expression,
            Expr::Value(ast::ValueWithSpan {
                value: ast::Value::Placeholder(_)
                    | ast::Value::SingleQuotedString(_)
                    | ast::Value::Null,
                ..
            })
        );
        if let (true, Some(position)) = (untyped, columns.get(place)) {
            let to = target.columns()[*position].sql_type;
            *expression = super::cast_to(expression.clone(), to)?;
        }
    }
    let mut typed = query.clone();
    *typed.body = union_of(rows)?;
    Ok(typed)
}

/// The rows as SELECTs, because subqueries are worked out in those, and not in VALUES.
fn union_of(rows: Vec<ast::Parens<Vec<Expr>>>) -> Result<SetExpr, Diagnostic> {
    let selects = rows
        .into_iter()
        .map(|row| {
            let ast::Statement::Query(mut query) = parse::parse_one("SELECT 1")? else {
                return Err(Diagnostic::internal("a SELECT is no query"));
            };
            if let SetExpr::Select(select) = &mut *query.body {
                select.projection = row
                    .content
                    .into_iter()
                    .enumerate()
                    .map(|(place, expr)| ast::SelectItem::ExprWithAlias {
                        expr,
                        alias: ast::Ident::with_quote('"', format!("column{}", place + 1)),
                    })
                    .collect();
            }
            Ok(*query.body)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let all = selects
        .into_iter()
        .reduce(|left, right| SetExpr::SetOperation {
            op: ast::SetOperator::Union,
            set_quantifier: ast::SetQuantifier::All,
            left: Box::new(left),
            right: Box::new(right),
        });
    all.ok_or_else(|| Diagnostic::error(SqlState::SYNTAX_ERROR, "VALUES without a row"))
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
