//! SQL's PREPARE and EXECUTE.

use super::prepared::{Body, MadeBy, Prepared, Source};
use super::run::{PLANS_MAX, definitions_keep_changing};
use super::services::now_microseconds;
use super::{Answer, Session};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Rows};
use crate::engine::query::explain;
use crate::engine::query::explain_options::ExplainOptions;
use crate::engine::types::{self, CastContext};
use crate::sql::parse;
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, Statement};
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

impl Session {
    /// SQL's PREPARE.
    pub(super) async fn run_prepare(
        &mut self,
        name: &str,
        data_types: &[ast::DataType],
        statement: Statement,
        text: &Arc<str>,
    ) -> Result<Answer, Diagnostic> {
        check_preparable(&statement)?;
        let statements_max = self.services.parts.limits.prepared_statements_max;
        self.named.admit_statement(name, statements_max)?;
        let declared = {
            let names = self.lookup_context()?;
            let named = |data_type| types::from_ast(data_type, names.input()).map(Some);
            data_types
                .iter()
                .map(named)
                .collect::<Result<Box<[_]>, _>>()?
        };
        let prepared = self
            .prepare_statement(statement, text.clone(), declared)
            .await?;
        let now = now_microseconds();
        self.named
            .add_statement(name, Rc::new(prepared), MadeBy::Sql, now);
        Ok(Answer::Done(CommandTag::Plain("PREPARE")))
    }

    /// SQL's EXECUTE.
    pub(super) async fn run_execute(
        &mut self,
        name: &str,
        arguments: &[ast::Expr],
    ) -> Result<Answer, Diagnostic> {
        let prepared = self.named.statement(name)?.clone();
        let parameters = self.arguments(name, &prepared, arguments).await?;
        if !matches!(prepared.body, Body::Engine { .. }) {
            return Err(Diagnostic::unsupported("EXECUTE of such a statement"));
        }
        self.execute_engine(&prepared, &parameters).await
    }

    /// EXPLAIN of EXECUTE: the prepared statement's plan with these values. What is no statement of the engine's
    /// has none, and says so as PostgreSQL does.
    ///
    /// # Errors
    /// 26000, 42601, and what EXPLAIN of the statement itself fails with.
    pub(super) async fn run_explain_execute(
        &mut self,
        mut explain: Statement,
        name: &str,
        arguments: &[ast::Expr],
    ) -> Result<Answer, Diagnostic> {
        let prepared = self.named.statement(name)?.clone();
        let parameters = self.arguments(name, &prepared, arguments).await?;
        let Body::Engine { source, .. } = &prepared.body else {
            let options = ExplainOptions::of_statement(&explain)?
                .ok_or_else(|| Diagnostic::internal("an EXPLAIN without options"))?;
            let told = explain::without_plan(options)?;
            let tag = CommandTag::Plain("EXPLAIN");
            let rows = Rows::ready(explain::fields(options), tag, vec![told]);
            return Ok(Answer::rows(rows));
        };
        if let Statement::Explain { statement, .. } = &mut explain {
            *statement = source.statement.clone();
        }
        let source = Source {
            statement: Box::new(explain),
            text: source.text.clone(),
        };
        let declared: Vec<_> = prepared.parameters.iter().copied().map(Some).collect();
        for _ in 0..PLANS_MAX {
            let (planned, context) = self.plan(&source, &declared).await?;
            let told = self.execute_plan(&planned.plan, &parameters, &context);
            if let Some(answer) = told.await? {
                return Ok(answer);
            }
        }
        Err(definitions_keep_changing())
    }

    /// The values of EXECUTE's arguments, each of its parameter's type.
    ///
    /// # Errors
    /// 42601 for too many or too few, what they are wrong in.
    async fn arguments(
        &mut self,
        name: &str,
        prepared: &Prepared,
        arguments: &[ast::Expr],
    ) -> Result<Vec<ScalarValue>, Diagnostic> {
        let expected = prepared.parameters.len();
        if arguments.len() != expected {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .with_detail(format!(
                "Expected {expected} parameters but got {}.",
                arguments.len()
            )));
        }
        let mut parameters = Vec::with_capacity(expected);
        for (place, argument) in arguments.iter().enumerate() {
            let sql_type = prepared.parameters[place];
            let value = match constant(argument, sql_type) {
                Some(Some(text)) => {
                    let context = self.execute_context()?;
                    types::decode_text(&text, sql_type, context.input())?
                }
                Some(None) => types::null_scalar(sql_type),
                None => Box::pin(self.evaluated(place + 1, argument, sql_type)).await?,
            };
            parameters.push(value);
        }
        Ok(parameters)
    }

    /// What the texts of arguments are read by.
    fn execute_context(&mut self) -> Result<StatementContext, Diagnostic> {
        self.open()?;
        self.lookup_context()
    }

    /// An argument of EXECUTE, worked out by a query of its own and assigned to the parameter.
    ///
    /// # Errors
    /// 0A000 for a subquery, 42804 where there is no assignment cast, what the expression fails with.
    async fn evaluated(
        &mut self,
        number: usize,
        argument: &ast::Expr,
        to: SqlType,
    ) -> Result<ScalarValue, Diagnostic> {
        if has_subquery(argument) {
            return Err(Diagnostic::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot use subquery in EXECUTE parameter",
            ));
        }
        let text: Arc<str> = Arc::from(format!("SELECT {argument}"));
        let source = Source {
            statement: Box::new(parse::parse_one(&text)?),
            text,
        };
        // A place in a text that the client has not sent would only mislead.
        let (planned, context) = self
            .plan(&source, &[])
            .await
            .map_err(Diagnostic::without_position)?;
        let plan = &planned.plan;
        let from = plan
            .fields
            .as_ref()
            .and_then(|fields| fields.first())
            .map(|field| field.sql_type)
            .ok_or_else(|| Diagnostic::internal("an expression has no type"))?;
        if !types::can_cast(from, to, CastContext::Assignment) {
            let name = |of: SqlType| types::format_type(SqlType { typmod: -1, ..of });
            return Err(Diagnostic::error(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "parameter ${number} of type {} cannot be coerced to the expected type {}",
                    name(from),
                    name(to)
                ),
            )
            .with_hint("You will need to rewrite or cast the expression."));
        }
        let Some(Answer::Rows(mut cursor)) = self.execute_plan(plan, &[], &context).await? else {
            return Err(Diagnostic::internal("an expression gave no row"));
        };
        let first = async { cursor.next(1).await.transpose() };
        let Some((batch, rows)) = self.interruptible(pin!(first)).await? else {
            return Err(Diagnostic::internal("an expression gave no row"));
        };
        let value = ScalarValue::try_from_array(batch.column(0), rows.start)
            .map_err(|error| Diagnostic::internal(error.to_string()))?;
        types::assign(value, from, to, self.execute_context()?.input())
    }
}

/// An argument that is read as the parameter's type reads a text: unknown literals, and whole
/// numbers for types that are numbers; the inner None is NULL. None: it is an expression.
fn constant(argument: &ast::Expr, sql_type: SqlType) -> Option<Option<String>> {
    let ast::Expr::Value(literal) = argument else {
        return None;
    };
    match &literal.value {
        ast::Value::Null => Some(None),
        ast::Value::Number(digits, _)
            if types::data_type(sql_type).is_numeric()
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some(Some(digits.clone()))
        }
        ast::Value::Number(..) | ast::Value::Boolean(_) | ast::Value::Placeholder(_) => None,
        text => text.clone().into_string().map(Some),
    }
}

fn has_subquery(argument: &ast::Expr) -> bool {
    let found = ast::visit_expressions(argument, |expression: &ast::Expr| match expression {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// 42601 for what PREPARE does not take.
fn check_preparable(statement: &Statement) -> Result<(), Diagnostic> {
    match statement {
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_) => Ok(()),
        other => {
            let text = other.to_string();
            let word = text.split_whitespace().next().unwrap_or_default();
            Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                format!("syntax error at or near \"{word}\""),
            ))
        }
    }
}
