//! Functions in FROM: each row of theirs is a row of the query.
//!
//! A set-returning function gives a list that is unnested; any other gives one row. A long
//! generate_series with constant bounds makes its rows as they are read (`series`).

use super::functions::{json, set_returning};
use super::{Inner, failure, resolve, semantics, series};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::context::StatementContext;
use crate::engine::pg_catalog::{self, SystemProvider};
use crate::engine::types;
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder, lit};
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor,
};
use std::sync::{Arc, Weak};

/// Plans functions in FROM.
pub struct Relations {
    /// Where the functions are.
    pub engine: Weak<Inner>,
    /// For whom.
    pub context: StatementContext,
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
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_ordinality,
                ..
            } => self.plan(
                Call {
                    name: "unnest".to_owned(),
                    args: array_exprs,
                    ordinality: with_ordinality,
                    alias,
                },
                context,
            ),
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
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
        let names = Names::of(&call);
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
        let builder = if let Some(series) = series::of(&call.name, &args, &names.column)? {
            // Plans are the same whose tables have the same names: the bounds are part of it.
            let name = datafusion::common::TableReference::bare(series.name());
            LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(series)), None)?
        } else {
            self.rows(&call.name, args, &names, call.ordinality)?
        };
        let alias = TableAlias {
            explicit: true,
            name: Ident::with_quote('"', names.table),
            columns: names.renamed,
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
        if let Some(set) = json::sets::columns(name) {
            let lists = set.columns.iter().map(|(column, function)| {
                let function = engine.functions.scalar[*function].clone();
                let list = ScalarFunction::new_udf(function, args.clone());
                let list = Expr::ScalarFunction(list);
                // A literal argument is of the type that the function takes.
                let list = semantics::expression(list, &DFSchema::empty(), self.context.input())?;
                Ok((list, (*column).to_owned()))
            });
            return unnested(&engine, lists.collect::<Result<_>>()?, ordinality);
        }
        if name == "unnest" && args.len() > 1 {
            let lists = args.into_iter().enumerate();
            let lists = lists.map(|(place, list)| (list, format!("unnest\u{1f}{place}")));
            return unnested(&engine, lists.collect(), ordinality);
        }
        let is_set = set_returning::is(name) || name == "unnest";
        let schema = DFSchema::empty();
        let value = if name == "unnest" {
            args.into_iter()
                .next()
                .ok_or_else(|| failure::external(failure::no_function(name, &[])))?
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
            semantics::expression(call, &schema, self.context.input())?
        };
        let builder = LogicalPlanBuilder::empty(true);
        if !is_set {
            if ordinality {
                let columns = [value.alias(&names.column), lit(1i64).alias(ORDINALITY)];
                return builder.project(columns);
            }
            return builder.project([value.alias(&names.column)]);
        }
        unnested(&engine, vec![(value, names.column.clone())], ordinality)
    }
}

/// Rows of lists side by side, the shorter ones filled up with NULL, and their numbers.
fn unnested(
    engine: &Inner,
    lists: Vec<(Expr, String)>,
    ordinality: bool,
) -> Result<LogicalPlanBuilder> {
    let scalar = &engine.functions.scalar;
    let mut columns = Vec::with_capacity(lists.len() + 1);
    let mut unnested = Vec::with_capacity(lists.len() + 1);
    if ordinality {
        let lengths = lists
            .iter()
            .map(|(list, _)| scalar["cardinality"].call(vec![list.clone()]));
        let longest = scalar["greatest"].call(lengths.collect());
        let longest =
            datafusion::logical_expr::cast(longest, datafusion::arrow::datatypes::DataType::Int64);
        let numbers = scalar["generate_series"].call(vec![lit(1i64), longest]);
        columns.push(numbers.alias(ORDINALITY));
        unnested.push(Column::from_name(ORDINALITY));
    }
    for (place, (list, name)) in lists.into_iter().enumerate() {
        columns.insert(place, list.alias(&name));
        unnested.insert(place, Column::from_name(&name));
    }
    let nothing = DFSchema::empty();
    let types = columns.iter().map(|list| {
        let (_, field) = list.to_field(&nothing)?;
        types::sql_type(&field).map_err(failure::external)
    });
    let types = types.collect::<Result<Vec<_>>>()?;
    let rows = LogicalPlanBuilder::empty(true)
        .project(columns)?
        .unnest_columns_with_options(unnested.clone(), Default::default())?;
    let is_json = |sql_type: &SqlType| matches!(sql_type.kind, TypeKind::Json | TypeKind::Jsonb);
    if !types.iter().any(is_json) {
        return Ok(rows);
    }
    // An element does not tell json from text.
    let named = unnested.into_iter().zip(&types).map(|(column, sql_type)| {
        let name = column.name.clone();
        let element = SqlType::scalar(sql_type.kind);
        match is_json(sql_type) {
            true => {
                let text = SqlType::scalar(TypeKind::Text);
                super::cast::function(Expr::Column(column), text, element).alias(name)
            }
            false => Expr::Column(column),
        }
    });
    let named: Vec<_> = named.collect();
    rows.project(named)
}

/// WITH ORDINALITY's column.
const ORDINALITY: &str = "ordinality";

/// What the relation and its column are called: a function's only column takes the alias' name.
struct Names {
    table: String,
    column: String,
    renamed: Vec<ast::TableAliasColumnDef>,
}

impl Names {
    fn of(call: &Call) -> Names {
        let fold = super::rewrite::labels::folded;
        match &call.alias {
            None => Names {
                table: call.name.clone(),
                column: call.name.clone(),
                renamed: Vec::new(),
            },
            Some(alias) => Names {
                table: fold(&alias.name),
                column: match alias.columns.first() {
                    // Such a function names its columns itself; a list renames them.
                    _ if json::sets::columns(&call.name).is_some() => String::new(),
                    Some(column) => fold(&column.name),
                    None => fold(&alias.name),
                },
                renamed: alias.columns.clone(),
            },
        }
    }
}
