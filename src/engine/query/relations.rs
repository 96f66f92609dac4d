//! What stands in FROM. Functions: each row of theirs is a row of the query.
//!
//! A set-returning function gives a list that is unnested; any other gives one row. A long
//! generate_series with constant bounds makes its rows as they are read (`series`).

use super::functions::{json, set_returning};
use super::rewrite::records::{EXPAND_ARRAY, EXPANDED};
use super::{Inner, dependencies, failure, resolve, semantics, series};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::context::StatementContext;
use crate::engine::pg_catalog::{self, SystemProvider};
use crate::engine::types;
use datafusion::common::{Column, DFSchema, UnnestOptions};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder, lit};
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Plans what stands in FROM: functions, and queries that unnest.
pub struct Relations {
    /// Where the functions are.
    pub engine: Weak<Inner>,
    /// For whom.
    pub context: StatementContext,
    /// Whether the next relation is one that the library is asked for.
    pub asked: AtomicBool,
}

impl std::fmt::Debug for Relations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Relations")
    }
}

/// A function in FROM.
struct Call {
    name: String,
    args: Vec<ast::Expr>,
    ordinality: bool,
    alias: Option<TableAlias>,
}

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::Derived { ref alias, .. }
            | TableFactor::Table {
                args: None,
                ref alias,
                ..
            } if alias.as_ref().is_none_or(|alias| alias.columns.is_empty()) => {
                self.without_keys(relation, context)
            }
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                with_ordinality,
                ..
            } => self.plan(
                Call {
                    name: function_name(&name),
                    args: positional(args.args)?,
                    ordinality: with_ordinality,
                    alias,
                },
                context,
            ),
            TableFactor::Function {
                name,
                args,
                with_ordinality,
                alias,
                ..
            } => self.plan(
                Call {
                    name: function_name(&name),
                    args: positional(args)?,
                    ordinality: with_ordinality,
                    alias,
                },
                context,
            ),
            other => renamed(other, context),
        }
    }
}

/// A table or subquery whose alias names its columns, maybe not all of them.
///
/// # Errors
/// 42P10 where it names more than there are.
fn renamed(
    mut relation: TableFactor,
    context: &mut dyn RelationPlannerContext,
) -> Result<RelationPlanning> {
    let (TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. }) = &mut relation
    else {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    };
    let names_columns = |alias: &mut TableAlias| !alias.columns.is_empty();
    let Some(mut alias) = alias.take_if(names_columns) else {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    };
    let plan = context.plan(relation)?;
    let columns = plan.schema().fields();
    if alias.columns.len() > columns.len() {
        let table = super::rewrite::labels::folded(&alias.name);
        return Err(too_many(&table, columns.len(), alias.columns.len()));
    }
    let kept = columns.iter().skip(alias.columns.len());
    let kept: Vec<_> = kept
        .map(|field| ast::TableAliasColumnDef {
            name: Ident::with_quote('"', field.name()),
            data_type: None,
        })
        .collect();
    alias.columns.extend(kept);
    let planned = PlannedRelation::new(plan, Some(alias));
    Ok(RelationPlanning::Planned(Box::new(planned)))
}

fn function_name(name: &ObjectName) -> String {
    super::rewrite::syntax::last_name(name).unwrap_or_default()
}

fn positional(args: Vec<FunctionArg>) -> Result<Vec<ast::Expr>> {
    args.into_iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
            _ => Err(failure::unsupported(
                "a named argument of a function in FROM",
            )),
        })
        .collect()
}

impl Relations {
    fn plan(
        &self,
        call: Call,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let schema = DFSchema::empty();
        let input = self.context.input();
        let args = call
            .args
            .iter()
            .map(|arg| {
                let arg = context.sql_to_expr(arg.clone(), &schema)?;
                semantics::expression(arg, &schema, input)
            })
            .collect::<Result<Vec<_>>>()?;
        let names = Names::of(&call)?;
        if let Some(table) = pg_catalog::table(resolve::PG_CATALOG, &call.name)
            .filter(|table| table.is_view && args.is_empty())
        {
            // pg_timezone_names() and its like: PostgreSQL's views of them are all they give.
            let source = provider_as_source(Arc::new(SystemProvider::new(table)));
            let plan = LogicalPlanBuilder::scan(names.table.clone(), source, None)?.build()?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
                plan, call.alias,
            ))));
        }
        let series = match call.ordinality {
            true => None,
            false => series::of(&call.name, &args, &names.columns[0])?,
        };
        let builder = if let Some(series) = series {
            // Plans are the same whose tables have the same names: the bounds are part of it.
            let name = datafusion::common::TableReference::bare(series.name());
            LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(series)), None)?
        } else {
            self.rows(&call.name, args, &names, call.ordinality)?
        };
        let alias = TableAlias {
            explicit: true,
            name: Ident::with_quote('"', names.table),
            columns: Vec::new(),
            at: None,
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            builder.build()?,
            Some(alias),
        ))))
    }

    fn rows(
        &self,
        name: &str,
        args: Vec<Expr>,
        names: &Names,
        ordinality: bool,
    ) -> Result<LogicalPlanBuilder> {
        let engine = self.engine.upgrade().ok_or_else(|| {
            failure::external(crate::diagnostic::Diagnostic::internal("no engine"))
        })?;
        let set = json::sets::columns(name);
        let is_set =
            set_returning::is(name) || matches!(name, "unnest" | EXPAND_ARRAY) || set.is_some();
        let schema = DFSchema::empty();
        let values = if name == "unnest" {
            args
        } else if name == EXPAND_ARRAY {
            let [array] = <[Expr; 1]>::try_from(args)
                .map_err(|_| failure::external(failure::no_function(name, &[])))?;
            let length = engine.functions.scalar["cardinality"].call(vec![array.clone()]);
            let length = datafusion::logical_expr::cast(
                length,
                datafusion::arrow::datatypes::DataType::Int32,
            );
            let places =
                engine.functions.scalar["generate_series_int4"].call(vec![lit(1i32), length]);
            vec![array, places]
        } else if let Some(set) = set {
            let lists = set.columns.iter().map(|(_, function)| {
                let function = engine.functions.scalar[*function].clone();
                let list = ScalarFunction::new_udf(function, args.clone());
                // A literal argument is of the type that the function takes.
                semantics::expression(Expr::ScalarFunction(list), &schema, self.context.input())
            });
            lists.collect::<Result<Vec<_>>>()?
        } else {
            let narrow = name == "generate_series"
                && args.iter().all(|arg| {
                    matches!(
                        arg.get_type(&schema),
                        Ok(datafusion::arrow::datatypes::DataType::Int32
                            | datafusion::arrow::datatypes::DataType::Int16)
                    )
                });
            let name = if narrow { "generate_series_int4" } else { name };
            let function = engine.functions.scalar.get(name).cloned();
            let function =
                function.unwrap_or_else(|| super::functions::definition::Missing::function(name));
            let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
            vec![semantics::expression(call, &schema, self.context.input())?]
        };
        let builder = LogicalPlanBuilder::empty(true);
        let mut columns: Vec<Expr> = values
            .iter()
            .zip(&names.columns)
            .map(|(value, name)| value.clone().alias(name))
            .collect();
        let number = names.columns.last().filter(|_| ordinality);
        if !is_set {
            columns.extend(number.map(|name| lit(1i64).alias(name)));
            return builder.project(columns);
        }
        let elements = values.iter().map(|list| element_of(list, &schema));
        let elements = elements.collect::<Result<Vec<_>>>()?;
        if let Some(name) = number {
            let lengths = values.into_iter().map(|value| {
                let length = engine.functions.scalar["cardinality"].call(vec![value]);
                datafusion::logical_expr::cast(
                    length,
                    datafusion::arrow::datatypes::DataType::Int64,
                )
            });
            let longest = engine.functions.scalar["greatest"].call(lengths.collect());
            let numbers = engine.functions.scalar["generate_series"].call(vec![lit(1i64), longest]);
            columns.push(numbers.alias(name));
        }
        // The shorter ones are filled with NULL.
        let unnested = names.columns.iter().map(Column::from_name).collect();
        let rows = builder
            .project(columns)?
            // A NULL array has no elements: no row comes of it.
            .unnest_columns_with_options(
                unnested,
                UnnestOptions::new().with_preserve_nulls(false),
            )?;
        if elements.iter().all(Option::is_none) {
            return Ok(rows);
        }
        let typed = names.columns.iter().enumerate().map(|(place, name)| {
            let column = Expr::Column(Column::from_name(name));
            match elements.get(place).copied().flatten() {
                Some(to) if matches!(to.kind, TypeKind::Enum(_)) => {
                    super::functions::label::as_type(column, to).alias(name)
                }
                Some(to) => {
                    let text = SqlType::scalar(TypeKind::Text);
                    super::cast::function(column, text, to).alias(name)
                }
                None => column,
            }
        });
        rows.project(typed.collect::<Vec<_>>())
    }
}

impl Relations {
    /// A table or query as the library plans it, but for keys that are none any more: GROUP BY would take what they decide for
    /// grouped.
    fn without_keys(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if self.asked.swap(false, Ordering::Relaxed) {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        self.asked.store(true, Ordering::Relaxed);
        let plan = dependencies::mend(context.plan(relation)?)?;
        let planned = PlannedRelation::new(plan, None);
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}

/// The type of a list's elements where that is json, jsonb or an enumeration: an element does not tell it.
fn element_of(list: &Expr, schema: &DFSchema) -> Result<Option<SqlType>> {
    let (_, field) = list.to_field(schema)?;
    let sql_type = types::sql_type(&field).map_err(failure::external)?;
    let untold = matches!(
        sql_type.kind,
        TypeKind::Json | TypeKind::Jsonb | TypeKind::Enum(_)
    );
    Ok(untold.then(|| SqlType::scalar(sql_type.kind)))
}

/// WITH ORDINALITY's column.
const ORDINALITY: &str = "ordinality";

/// What the relation and its columns are called: a function's only column takes the alias' name.
struct Names {
    table: String,
    columns: Vec<String>,
}

impl Names {
    fn of(call: &Call) -> Result<Names> {
        let fold = super::rewrite::labels::folded;
        let values = match call.name.as_str() {
            "unnest" => call.args.len(),
            _ => 1,
        };
        if values == 0 {
            return Err(failure::external(failure::no_function(&call.name, &[])));
        }
        let alias = call.alias.as_ref();
        let table = alias.map_or_else(|| call.name.clone(), |alias| fold(&alias.name));
        let own = match values {
            1 => &table,
            _ => &call.name,
        };
        // Later ones of the same name must differ for the planner; nobody sees how.
        let mut columns: Vec<String> = match json::sets::columns(&call.name) {
            // Such a function names its columns itself; a list renames them.
            Some(set) => set
                .columns
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            None if call.name == EXPAND_ARRAY => EXPANDED.map(str::to_owned).to_vec(),
            None => (0..values)
                .map(|place| match place {
                    0 => own.clone(),
                    _ => format!("{own}\u{1f}{place}"),
                })
                .collect(),
        };
        columns.extend(call.ordinality.then(|| ORDINALITY.to_owned()));
        let given = alias.map_or(&[][..], |alias| &alias.columns[..]);
        if given.len() > columns.len() {
            return Err(too_many(&table, columns.len(), given.len()));
        }
        for (column, given) in columns.iter_mut().zip(given) {
            *column = fold(&given.name);
        }
        Ok(Names { table, columns })
    }
}

/// An alias that names more columns than there are.
fn too_many(table: &str, available: usize, specified: usize) -> DataFusionError {
    failure::error(
        SqlState::INVALID_COLUMN_REFERENCE,
        format!(
            "table \"{table}\" has {available} columns available but {specified} columns specified"
        ),
    )
}
