//! What the planner asks while it plans: tables, functions, types.

use super::functions::definition::Missing;
use super::functions::{AGGREGATES, Functions, auth_variable, set_returning};
use super::operators::Operators;
use super::relations::Relations;
use super::resolve::{self, PG_CATALOG, Resolved};
use super::returned::{RETURNED_SCHEMA, ReturnedTable};
use super::table::{KEYED_SCHEMA, Keyed, UserTable, keyed_target};
use super::{Inner, failure, plan};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody, View};
use crate::engine::context::StatementContext;
use crate::engine::pg_catalog::SystemProvider;
use crate::engine::search_path;
use crate::engine::types;
use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::TableReference;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// The planner's view of one statement's catalog.
pub struct Provider<'a> {
    engine: &'a Arc<Inner>,
    context: &'a StatementContext,
    reader: Reader,
    depth: usize,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    used: Mutex<Used>,
}

/// With whose rights relations are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The session's.
    Session,
    /// Those of a view's owner, who was allowed when the view was made.
    ViewOwner,
}

/// Views within views at most.
const VIEW_DEPTH_MAX: usize = 32;

/// What a plan has touched.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// The relations it reads, those behind views too.
    pub relations: Vec<Oid>,
    /// Of them those that the session itself must be allowed to read.
    pub named: Vec<Oid>,
    /// Whether its value depends on more than its rows and parameters: it calls functions of the
    /// statement.
    pub statement: bool,
    /// Whether it reads catalogs, whose rows are the statement's.
    pub catalogs: bool,
}

impl<'a> Provider<'a> {
    /// For one statement.
    pub fn new(engine: &'a Arc<Inner>, context: &'a StatementContext) -> Provider<'a> {
        let mut expr_planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Operators {
            settings: context.settings.clone(),
            transaction_time: context.transaction_time,
            types: Some(context.user_types().keep()),
        })];
        expr_planners.extend(engine.expr_planners.iter().cloned());
        Provider {
            engine,
            context,
            reader: Reader::Session,
            depth: 0,
            expr_planners,
            relation_planners: vec![Arc::new(Relations {
                engine: Arc::downgrade(engine),
                context: context.clone(),
                asked: Default::default(),
            })],
            used: Mutex::new(Used::default()),
        }
    }

    /// What has been touched so far.
    pub fn used(&self) -> Used {
        self.used.lock().clone()
    }

    /// A view's query, planned with its owner's rights, its columns named and typed as declared.
    fn view(&self, name: &str, view: &View) -> Result<Arc<dyn TableSource>> {
        if self.depth >= VIEW_DEPTH_MAX {
            return Err(failure::error(
                crate::diagnostic::SqlState::STATEMENT_TOO_COMPLEX,
                format!("views are nested too deeply at \"{name}\""),
            ));
        }
        let mut inner = Provider::new(self.engine, self.context);
        inner.reader = Reader::ViewOwner;
        inner.depth = self.depth + 1;
        let plan = plan::view(view, &inner)?;
        let used = inner.used();
        let mut own = self.used.lock();
        own.statement |= used.statement;
        own.catalogs |= used.catalogs;
        for oid in used.relations {
            if !own.relations.contains(&oid) {
                own.relations.push(oid);
            }
        }
        drop(own);
        Ok(provider_as_source(Arc::new(ViewTable::new(plan, None))))
    }

    /// What all statements share.
    pub fn engine(&self) -> &Arc<Inner> {
        self.engine
    }

    /// What statements are planned for.
    pub fn context(&self) -> &StatementContext {
        self.context
    }

    fn functions(&self) -> &Functions {
        &self.engine.functions
    }

    fn note(&self, relation: &Relation) {
        let mut used = self.used.lock();
        // Which of its rows there are depends on who asks.
        used.statement |= relation.row_security.in_force();
        let relation = relation.oid;
        if !used.relations.contains(&relation) {
            used.relations.push(relation);
        }
        if self.reader == Reader::Session && !used.named.contains(&relation) {
            used.named.push(relation);
        }
    }
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        if name.schema() == Some(KEYED_SCHEMA) {
            let target = keyed_target(name.table()).and_then(|(oid, purpose)| {
                let relation = self.context.snapshot.definitions.get(oid)?;
                Some((relation, purpose))
            });
            let Some((relation, purpose)) = target else {
                return Err(failure::external(crate::diagnostic::Diagnostic::internal(
                    "no such target",
                )));
            };
            self.note(relation);
            let keyed = Keyed::For(purpose);
            let table = UserTable::new(relation.clone(), keyed, &self.context.snapshot)
                .map_err(failure::external)?;
            return Ok(provider_as_source(Arc::new(table)));
        }
        if name.schema() == Some(RETURNED_SCHEMA) {
            let parts = self.context.parts.as_ref();
            let returned = parts.map_or(&[][..], |parts| &parts.returned);
            let table = ReturnedTable::new(name.table(), returned)?;
            return Ok(provider_as_source(Arc::new(table)));
        }
        if let Some(schema) = name.schema()
            && self.reader == Reader::Session
        {
            search_path::demand_usage(schema, self.context).map_err(failure::external)?;
        }
        let resolved = resolve::relation(name.schema(), name.table(), self.context)
            .map_err(failure::external)?;
        match resolved {
            Resolved::System(table) => {
                self.used.lock().catalogs = true;
                Ok(provider_as_source(Arc::new(SystemProvider::new(table))))
            }
            Resolved::Relation(relation) => {
                if matches!(relation.body, RelationBody::Index(_)) {
                    return Err(resolve::not_readable(&relation));
                }
                self.note(&relation);
                if let RelationBody::View(view) = &relation.body {
                    return self.view(&relation.name, view);
                }
                let table = UserTable::new(relation, Keyed::No, &self.context.snapshot)
                    .map_err(failure::external)?;
                Ok(provider_as_source(Arc::new(table)))
            }
        }
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(
            name, schema,
        ))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if let Some(variable) = auth_variable::named(name) {
            self.used.lock().statement = true;
            return Some(variable);
        }
        let name = bare(name);
        if let Some(function) = self.functions().scalar.get(name) {
            if function.signature().volatility != datafusion::logical_expr::Volatility::Immutable {
                self.used.lock().statement = true;
            }
            return Some(function.clone());
        }
        let elsewhere = AGGREGATES.contains(&name)
            || self.functions().window.contains_key(name)
            || name == "unnest";
        (!elsewhere).then(|| Missing::function(name))
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions().aggregate.get(bare(name)).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions().window.get(bare(name)).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.engine.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn get_table_function_source(
        &self,
        name: &str,
        _args: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        // `Relations` plans the ones there are.
        let _ = set_returning::is(name);
        Err(failure::external(failure::no_function(name, &[])))
    }
}

/// Functions live in pg_catalog.
fn bare(name: &str) -> &str {
    name.strip_prefix(PG_CATALOG)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(name)
}

/// SQL types by `engine::types`, their names kept in field metadata.
#[derive(Debug)]
pub(super) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &sqlparser::ast::DataType) -> Result<Option<FieldRef>> {
        // `rewrite::casts` has turned every cast with a name of a user's type into a call.
        let sql_type = types::built_in(sql_type).map_err(failure::external)?;
        Ok(Some(Arc::new(types::arrow_field("cast", sql_type, true))))
    }
}
