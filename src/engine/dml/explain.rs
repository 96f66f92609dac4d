//! EXPLAIN of INSERT, UPDATE and DELETE: the plan of the query that finds what is written, below a node of
//! the statement's own.

use super::selection::{self, Named, Parts};
use super::values::values_of;
use super::{Statement, delete, names, take_apart, update};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::policy::Purpose;
use crate::engine::query::{QueryEngine, QueryPlan};
use crate::sql::parse;
use sqlparser::ast;

/// Whether the statement explains one that this room answers.
pub fn answers(statement: &ast::Statement) -> bool {
    matches!(statement, ast::Statement::Explain { statement, .. } if Statement::answers(statement))
}

/// Plans it, the statement that is explained, too: what is wrong with that is said. Awaits the query pool.
///
/// # Errors
/// As [`Statement::plan`]; 42501 where the statement itself may not be; 0A000 for ANALYZE, by which it
/// would write.
pub async fn plan(
    statement: &ast::Statement,
    declared: &[Option<SqlType>],
    query: &QueryEngine,
    context: &StatementContext,
) -> Result<QueryPlan, Diagnostic> {
    let mut explain = statement.clone();
    let ast::Statement::Explain {
        statement: explained,
        analyze,
        options,
        ..
    } = &mut explain
    else {
        return Err(Diagnostic::internal("an EXPLAIN that is none"));
    };
    let options = options.iter().flatten();
    let mut names = options.map(|option| option.name.value.as_str());
    if *analyze || names.any(|name| name.eq_ignore_ascii_case("analyze")) {
        return Err(Diagnostic::unsupported(
            "EXPLAIN ANALYZE of a statement that changes rows",
        ));
    }
    let planned = Statement::plan(explained, declared, query, context).await?;
    let (written, with) = take_apart(explained);
    let (above, below) = found_by(written, with, context)?;
    **explained = below;
    let declared: Vec<_> = planned.parameters.iter().copied().map(Some).collect();
    let mut plan = query.analyze_on_pool(explain, declared, context).await?;
    plan.above = Some(above);
    Ok(plan)
}

/// What the statement is called in its plan, and the query below it.
fn found_by(
    written: &ast::Statement,
    with: Option<&ast::With>,
    context: &StatementContext,
) -> Result<(String, ast::Statement), Diagnostic> {
    match written {
        ast::Statement::Insert(insert) => {
            let ast::TableObject::TableName(name) = &insert.table else {
                return Err(Diagnostic::unsupported("INSERT into a function"));
            };
            let relation = names::relation(name, context)?;
            context.rights.may_insert(&relation)?;
            let source = insert.source.as_ref();
            let mut source = match source.filter(|source| values_of(source).is_none()) {
                Some(source) => ast::Statement::Query(source.clone()),
                None => parse::parse_one("SELECT 1")?,
            };
            if let (ast::Statement::Query(source), Some(with)) = (&mut source, with) {
                source.with = Some(with.clone());
            }
            Ok((format!("Insert on {}", relation.name), source))
        }
        ast::Statement::Update(update) => {
            let named = Named::new(&update.table, context)?;
            context.rights.may_update(&named.target.relation)?;
            let parts = Parts {
                with,
                values: Vec::new(),
                from: update::from_of(update)?,
                selection: update.selection.as_ref(),
            };
            let found = selection::statement(&named, Purpose::Update, parts)?;
            Ok((format!("Update on {}", named.target.relation.name), found))
        }
        ast::Statement::Delete(delete) => {
            let named = Named::new(delete::table_of(delete)?, context)?;
            context.rights.may_delete(&named.target.relation)?;
            let parts = Parts {
                with,
                values: Vec::new(),
                from: delete.using.as_deref().unwrap_or(&[]),
                selection: delete.selection.as_ref(),
            };
            let found = selection::statement(&named, Purpose::Delete, parts)?;
            Ok((format!("Delete on {}", named.target.relation.name), found))
        }
        _ => Err(Diagnostic::unsupported("EXPLAIN of this statement")),
    }
}
