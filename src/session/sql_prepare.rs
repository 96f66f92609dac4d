//! SQL's PREPARE and EXECUTE.

use super::prepared::{Body, MadeBy};
use super::services::now_microseconds;
use super::{Answer, Session};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::CommandTag;
use crate::engine::types;
use sqlparser::ast::{self, Statement};
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
        let statements_max = self.services.parts.limits.prepared_statements_max;
        self.named.admit_statement(name, statements_max)?;
        let declared = data_types
            .iter()
            .map(|data_type| types::from_ast(data_type).map(Some))
            .collect::<Result<Box<[_]>, _>>()?;
        let prepared = self
            .prepare_statement(statement, text.clone(), declared)
            .await?;
        if !matches!(prepared.body, Body::Engine { .. }) {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                "only SELECT, INSERT, UPDATE, DELETE and VALUES can be prepared",
            ));
        }
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
        let Body::Engine {
            source,
            declared,
            planned,
        } = &prepared.body
        else {
            return Err(Diagnostic::unsupported("EXECUTE of such a statement"));
        };
        let transaction_time = self.open()?.started_at;
        let input = types::decode::Input {
            settings: self.settings.current(),
            transaction_time,
            variables: None,
        };
        let parameters = arguments
            .iter()
            .zip(&prepared.parameters)
            .map(|(argument, sql_type)| match constant(argument)? {
                Some(text) => types::decode_text(&text, *sql_type, input),
                None => Ok(types::null_scalar(*sql_type)),
            })
            .collect::<Result<Vec<_>, Diagnostic>>()?;
        self.execute_engine(&prepared, source, declared, planned, &parameters)
            .await
    }
}

/// An argument of EXECUTE as text; None is NULL. Only constants are taken.
fn constant(argument: &ast::Expr) -> Result<Option<String>, Diagnostic> {
    match argument {
        ast::Expr::Value(literal) => match &literal.value {
            ast::Value::Null => Ok(None),
            ast::Value::Number(number, _) => Ok(Some(number.clone())),
            ast::Value::Boolean(true) => Ok(Some("true".to_owned())),
            ast::Value::Boolean(false) => Ok(Some("false".to_owned())),
            other => other
                .clone()
                .into_string()
                .map(Some)
                .ok_or_else(not_constant),
        },
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => Ok(constant(expr)?.map(|number| format!("-{number}"))),
        ast::Expr::Nested(inner) => constant(inner),
        ast::Expr::Cast { expr, .. } => constant(expr),
        ast::Expr::TypedString(typed) => typed
            .value
            .value
            .clone()
            .into_string()
            .map(Some)
            .ok_or_else(not_constant),
        _ => Err(not_constant()),
    }
}

fn not_constant() -> Diagnostic {
    Diagnostic::unsupported("EXECUTE with an expression that is not a constant")
}
