//! What a column gets where an INSERT gives it nothing: its default, its sequence, NULL.

use super::target::{Target, sequence_of, steps_of};
use super::value::{self, Row, Value};
use crate::catalog::definition::{Column, Definitions, RelationBody};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{Oid, RelationId};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::query::expression::Scope;
use crate::engine::search_path;
use crate::engine::types::{self, CastContext, Input};
use crate::sql::parse;
use crate::storage::{SequenceSteps, Storage};
use datafusion::common::ScalarValue;
use sqlparser::ast;
use std::sync::Arc;

/// How a column without a given value is filled.
#[derive(Clone, Debug)]
pub enum Filler {
    /// By a value that looks at no column.
    Value(Value),
    /// By the next value of a sequence.
    Sequence(Next),
}

/// nextval of one sequence, for one column.
#[derive(Clone, Debug)]
pub struct Next {
    oid: Oid,
    name: Arc<str>,
    store: RelationId,
    steps: SequenceSteps,
    to: SqlType,
}

impl Filler {
    /// That of the column at this position.
    ///
    /// # Errors
    /// What the default has wrong.
    pub fn of(
        target: &Target,
        position: usize,
        context: &StatementContext,
    ) -> Result<Filler, Diagnostic> {
        let column = &target.columns()[position];
        // What generates a column looks at the others, once they are there ([`Target::generate`]).
        if column.dropped || column.generated {
            return Ok(Filler::Value(Value::null(column.sql_type)));
        }
        if let Some(oid) = column.sequence
            && (column.identity.is_some() || column.default.is_some())
        {
            return Next::new(oid, column, context).map(Filler::Sequence);
        }
        let Some(text) = &column.default else {
            return Ok(Filler::Value(Value::null(column.sql_type)));
        };
        let tree = parse::parse_expression(text)?;
        if let Some(oid) = nextval_of(&tree, &context.snapshot.definitions, context) {
            return Next::new(oid, column, context).map(Filler::Sequence);
        }
        let value = value::compile_asking_for_column(
            &tree,
            &Scope::empty(),
            &mut Vec::new(),
            (&column.name, column.sql_type),
            input_of(context),
        )?;
        value.without_parameters().map(Filler::Value)
    }

    /// The value for one row.
    ///
    /// # Errors
    /// 2200H at a sequence's end; what the default raises.
    pub async fn next(
        &self,
        storage: &Storage,
        context: &StatementContext,
    ) -> Result<ScalarValue, Diagnostic> {
        self.next_of(1, storage, context).await
    }

    /// As [`Filler::next`], where so many rows want a value, this one included.
    ///
    /// # Errors
    /// As there.
    pub async fn next_of(
        &self,
        wanted: usize,
        storage: &Storage,
        context: &StatementContext,
    ) -> Result<ScalarValue, Diagnostic> {
        match self {
            Filler::Value(value) => value.ready(context)?.evaluate(Row {
                columns: &[],
                parameters: &[],
                input: input_of(context),
            }),
            Filler::Sequence(next) => next.take(wanted, storage, context).await,
        }
    }
}

impl Next {
    fn new(oid: Oid, column: &Column, context: &StatementContext) -> Result<Next, Diagnostic> {
        let definitions = &context.snapshot.definitions;
        let (oid, sequence) = sequence_of(definitions, oid)?;
        let name = definitions.get(oid).map(|relation| relation.name.clone());
        Ok(Next {
            oid,
            name: name.unwrap_or_default(),
            store: sequence.store,
            steps: steps_of(sequence),
            to: column.sql_type,
        })
    }

    async fn take(
        &self,
        wanted: usize,
        storage: &Storage,
        context: &StatementContext,
    ) -> Result<ScalarValue, Diagnostic> {
        let next = storage
            .sequence_next_of(self.store, self.steps, wanted)
            .await;
        let value = next.map_err(|error| error.of_sequence(&self.name))?;
        {
            let mut memory = context.effects.sequences.lock();
            memory.values.insert(self.oid, value);
            memory.last = Some(self.oid);
        }
        let from = SqlType::scalar(TypeKind::Int8);
        let value = ScalarValue::Int64(Some(value));
        if self.to.kind == TypeKind::Int8 {
            return Ok(value);
        }
        types::cast(
            value,
            from,
            self.to,
            CastContext::Assignment,
            input_of(context),
        )
    }
}

/// What input functions of the statement look at.
pub fn input_of(context: &StatementContext) -> Input<'_> {
    context.input()
}

/// The sequence of a default that is `nextval('name'::regclass)` and nothing else.
pub fn nextval_of(
    tree: &ast::Expr,
    definitions: &Definitions,
    context: &StatementContext,
) -> Option<Oid> {
    let ast::Expr::Function(call) = tree else {
        return None;
    };
    if !call.name.to_string().eq_ignore_ascii_case("nextval") {
        return None;
    }
    let ast::FunctionArguments::List(arguments) = &call.args else {
        return None;
    };
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(argument))] = &arguments.args[..]
    else {
        return None;
    };
    let literal = match argument {
        ast::Expr::Cast { expr, .. } => expr,
        other => other,
    };
    let ast::Expr::Value(value) = literal else {
        return None;
    };
    let ast::Value::SingleQuotedString(name) = &value.value else {
        return None;
    };
    let names: Vec<String> = name.split('.').map(unquoted).collect();
    let (schema, name) = match &names[..] {
        [schema, name] => (Some(schema.as_str()), name),
        [name] => (None, name),
        _ => return None,
    };
    let found = search_path::find(definitions, schema, name, context)?;
    matches!(found.body, RelationBody::Sequence(_)).then_some(found.oid)
}

fn unquoted(name: &str) -> String {
    match name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}
