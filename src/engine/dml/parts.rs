//! A statement whose WITH writes: its parts run in their order on one snapshot, and none sees what
//! another has written, only what it returns (PostgreSQL 15 §7.8.4).

use super::restart::{RESTARTS_MAX, Start, give_up};
use super::{Run, Statement, settled};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::{Parts, Returned, StatementContext};
use crate::engine::outcome::{Outcome, ResultField};
use crate::engine::query::{QueryEngine, QueryPlan, returned};
use crate::engine::uses::Uses;
use crate::sql::parse;
use crate::storage::Used;
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, SetExpr, visit_relations};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A statement with data-modifying statements in its WITH, planned.
pub struct Parted {
    /// The types of $1, $2, ….
    pub parameters: Vec<SqlType>,
    /// The result's columns; None where it returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
    parts: Vec<Statement>,
    /// What they return, without rows yet.
    returned: Vec<Returned>,
    main: Main,
    /// Whose tag the statement ends with.
    told_as: ToldAs,
    uses: Uses,
}

/// Whose tag a statement ends with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ToldAs {
    /// The statement's behind WITH.
    Main,
    /// That of the last part, whose rows the statement behind WITH gives one by one.
    LastPart,
}

/// The statement behind WITH.
enum Main {
    Query(Arc<QueryPlan>),
    Writes(Box<Statement>),
}

/// How one pass over the parts ended.
enum Pass {
    Done(Outcome),
    /// A row was changed meanwhile: the whole statement starts over.
    Again,
}

impl Parted {
    /// Whether the statement has such a WITH.
    pub fn answers(statement: &ast::Statement) -> bool {
        match statement {
            ast::Statement::Query(query) => query
                .with
                .iter()
                .flat_map(|with| &with.cte_tables)
                .any(|table| writes(&table.query)),
            _ => false,
        }
    }

    /// Plans it. Awaits the query pool.
    ///
    /// # Errors
    /// What the statement has wrong, in PostgreSQL's words; 0A000 for what is not there.
    pub async fn plan(
        statement: &ast::Statement,
        declared: &[Option<SqlType>],
        engine: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Parted, Diagnostic> {
        let ast::Statement::Query(query) = statement else {
            return Err(Diagnostic::internal("a WITH that writes without a query"));
        };
        let mut query = query.clone();
        let mut context = context.clone();
        let mut parameters = declared.to_vec();
        let (mut parts, mut returned) = (Vec::new(), Vec::new());
        let mut uses = Uses::default();
        let mut place = 0;
        while let Some(with) = &mut query.with
            && place < with.cte_tables.len()
        {
            if !writes(&with.cte_tables[place].query) {
                place += 1;
                continue;
            }
            let replaced = reading(parts.len())?;
            let written = std::mem::replace(&mut with.cte_tables[place].query, replaced);
            let before = ast::With {
                cte_tables: with.cte_tables[..place].to_vec(),
                ..with.clone()
            };
            let part = ast::Statement::Query(behind(before, written)?);
            let part = Statement::plan_part(&part, &mut parameters, engine, &context).await?;
            uses = uses.and(&part.uses);
            let name = super::names::fold(&with.cte_tables[place].alias.name);
            returned.push(Returned {
                fields: part.fields().cloned().unwrap_or_default(),
                batches: Vec::new(),
                memory: None,
            });
            if part.fields().is_some() {
                place += 1;
            } else {
                with.cte_tables.remove(place);
                demand_unread(&query, &name)?;
            }
            parts.push(part);
            context.parts = Some(Arc::new(Parts {
                view: None,
                returned: returned.clone(),
            }));
        }
        if query
            .with
            .as_ref()
            .is_some_and(|with| with.cte_tables.is_empty())
        {
            query.with = None;
        }
        let statement = ast::Statement::Query(query);
        let (fields, main) = if Statement::answers(&statement) {
            let main = Statement::plan_part(&statement, &mut parameters, engine, &context).await?;
            uses = uses.and(&main.uses);
            (main.fields().cloned(), Main::Writes(Box::new(main)))
        } else {
            let plan = engine
                .analyze_on_pool(statement, parameters.clone(), &context)
                .await?;
            super::adopt_parameters(&mut parameters, &plan.parameters);
            uses = uses.reading(&plan.relations);
            (Some(plan.fields.clone()), Main::Query(Arc::new(plan)))
        };
        Ok(Parted {
            parameters: settled(&parameters),
            fields,
            parts,
            returned,
            main,
            told_as: ToldAs::Main,
            uses,
        })
    }

    /// Makes the last part's tag the statement's.
    pub fn told_as_its_last_part(&mut self) {
        self.told_as = ToldAs::LastPart;
    }

    /// Executes it.
    ///
    /// # Errors
    /// As its parts.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let storage = &mut run.transaction.storage;
        if self.uses.take(storage, run.context).await? == Used::AfterWaiting {
            return Ok(Outcome::Stale);
        }
        let start = Start::of(run.transaction, run.context);
        for _ in 0..=RESTARTS_MAX {
            let again = Run {
                transaction: &mut *run.transaction,
                ..run
            };
            match self.pass(again).await? {
                Pass::Done(outcome) => {
                    start.release(run.transaction);
                    return Ok(outcome);
                }
                Pass::Again => start.over(run.transaction, run.context).await?,
            }
        }
        Err(give_up())
    }

    async fn pass(&self, run: Run<'_>) -> Result<Pass, Diagnostic> {
        let Run {
            query,
            storage,
            parameters,
            transaction,
            context,
        } = run;
        let mut parts = Parts {
            view: Some(transaction.storage.view(1)?),
            returned: self.returned.clone(),
        };
        let mut context = context.clone();
        let mut last_tag = None;
        for (place, part) in self.parts.iter().enumerate() {
            context.parts = Some(Arc::new(parts.clone()));
            let run = Run {
                query,
                storage,
                parameters: used(parameters, &part.parameters),
                transaction: &mut *transaction,
                context: &context,
            };
            let Some(outcome) = part.execute_part(run).await? else {
                return Ok(Pass::Again);
            };
            if let Outcome::Rows(mut rows) = outcome {
                last_tag = Some(rows.tag);
                let returned = &mut parts.returned[place];
                while let Some(batch) = rows.next().await {
                    returned.batches.push(batch?);
                }
                returned.memory = rows.memory.take().map(Arc::new);
            }
        }
        context.parts = Some(Arc::new(parts));
        match &self.main {
            Main::Writes(main) => {
                let run = Run {
                    query,
                    storage,
                    parameters: used(parameters, &main.parameters),
                    transaction,
                    context: &context,
                };
                let outcome = main.execute_part(run).await?;
                Ok(outcome.map_or(Pass::Again, Pass::Done))
            }
            Main::Query(plan) => {
                let engine = query.ok_or_else(|| {
                    Diagnostic::internal("a WITH that writes without the query engine")
                })?;
                let used = used(parameters, &plan.parameters);
                let mut outcome = engine.execute(plan, used, transaction, &context)?;
                if let (ToldAs::LastPart, Outcome::Rows(rows), Some(tag)) =
                    (self.told_as, &mut outcome, last_tag)
                {
                    rows.tag = tag;
                }
                Ok(Pass::Done(outcome))
            }
        }
    }
}

/// The parameters that a part knows of.
fn used<'p>(parameters: &'p [ScalarValue], types: &[SqlType]) -> &'p [ScalarValue] {
    &parameters[..types.len()]
}

/// A part without RETURNING is no table.
fn demand_unread(query: &ast::Query, name: &str) -> Result<(), Diagnostic> {
    let read = visit_relations(query, |relation| match &relation.0[..] {
        [part]
            if part
                .as_ident()
                .is_some_and(|ident| super::names::fold(ident) == name) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    match read {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("WITH query \"{name}\" does not have a RETURNING clause"),
        )),
    }
}

fn writes(query: &ast::Query) -> bool {
    matches!(
        *query.body,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)
    )
}

/// The query that stands for a part in what comes after it.
fn reading(part: usize) -> Result<Box<ast::Query>, Diagnostic> {
    match parse::parse_one(&returned::query(part))? {
        ast::Statement::Query(query) => Ok(query),
        _ => Err(Diagnostic::internal("a query of ours is none")),
    }
}

/// The statement of a part, with the tables of WITH that stand before it.
fn behind(before: ast::With, mut part: Box<ast::Query>) -> Result<Box<ast::Query>, Diagnostic> {
    let mut with = before;
    if let Some(own) = part.with.take() {
        let nested = own.cte_tables.iter().any(|table| writes(&table.query));
        if nested {
            return Err(Diagnostic::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH clause containing a data-modifying statement must be at the top level",
            ));
        }
        with.cte_tables.extend(own.cte_tables);
    }
    part.with = (!with.cte_tables.is_empty()).then_some(with);
    Ok(part)
}
