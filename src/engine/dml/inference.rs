//! Which unique indexes ON CONFLICT means where its target is more than columns (PostgreSQL 15,
//! INSERT, ON CONFLICT; `infer_arbiter_indexes`).
//!
//! An index fits whose columns and expressions are those of the target, in any order, and whose
//! predicate holds wherever the target's does: each of its conditions is one of the target's.

use super::names;
use super::target::{Target, scope_of};
use super::value;
use super::write::Arbiters;
use crate::catalog::definition::Index;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::expression::Scope;
use crate::sql::parse;
use sqlparser::ast::{self, BinaryOperator, CreateIndex, Expr};
use std::ops::ControlFlow;

/// 42P10
pub fn none_matches() -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_COLUMN_REFERENCE,
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    )
}

/// What a target names.
struct Wanted {
    columns: Vec<u16>,
    expressions: Vec<Expr>,
    conditions: Vec<Expr>,
}

/// The unique indexes that fit a target.
///
/// # Errors
/// 42P10 where none does; 42703 and the like of its expressions; 42P10 for ASC, DESC and NULLS.
pub fn infer(
    given: &CreateIndex,
    target: &Target,
    context: &StatementContext,
) -> Result<Arbiters, Diagnostic> {
    let wanted = Wanted::new(given, target, context)?;
    let key = &target.table().primary_key;
    if wanted.expressions.is_empty() && !key.is_empty() && same(&wanted.columns, key) {
        return Ok(Arbiters::PrimaryKey);
    }
    let mut found = Vec::new();
    for (place, index) in target.indexes.iter().enumerate() {
        let definition = context.snapshot.definitions.get(index.oid);
        let Some(definition) = definition.and_then(|found| found.index()) else {
            continue;
        };
        if index.unique && wanted.fits(definition)? {
            found.push(place);
        }
    }
    match found.is_empty() {
        false => Ok(Arbiters::Indexes(found)),
        true => Err(none_matches()),
    }
}

impl Wanted {
    fn new(
        given: &CreateIndex,
        target: &Target,
        context: &StatementContext,
    ) -> Result<Wanted, Diagnostic> {
        let table = target.table();
        let scope = || scope_of(table, &target.relation.name, Scope::empty());
        let check = |expression: &Expr| {
            value::compile(expression, &scope(), &mut Vec::new(), context.input())?
                .without_parameters()
        };
        let mut wanted = Wanted {
            columns: Vec::new(),
            expressions: Vec::new(),
            conditions: Vec::new(),
        };
        for column in &given.columns {
            let options = &column.column.options;
            let refused = match (options.asc, options.nulls_first) {
                (Some(_), _) => Some("ASC/DESC"),
                (_, Some(_)) => Some("NULLS FIRST/LAST"),
                _ => None,
            };
            if let Some(what) = refused {
                return Err(Diagnostic::error(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("{what} is not allowed in ON CONFLICT clause"),
                ));
            }
            match normal(&column.column.expr) {
                Expr::Identifier(name) => {
                    let name = names::fold(&name);
                    let position = target.column(&name).map_err(|_| {
                        Diagnostic::error(
                            SqlState::UNDEFINED_COLUMN,
                            format!("column \"{name}\" does not exist"),
                        )
                    })?;
                    wanted.columns.push(position as u16);
                }
                expression => {
                    check(&expression)?;
                    wanted.expressions.push(expression);
                }
            }
        }
        if let Some(predicate) = &given.predicate {
            check(predicate)?;
            wanted.conditions = conditions(predicate);
        }
        Ok(wanted)
    }

    fn fits(&self, index: &Index) -> Result<bool, Diagnostic> {
        let columns: Vec<u16> = index
            .columns
            .iter()
            .copied()
            .filter(|position| index.expression(*position).is_none())
            .collect();
        let mut expressions = Vec::new();
        for expression in &index.details.expressions {
            expressions.push(normal(&parse::parse_expression(&expression.text)?));
        }
        let predicate = match &index.details.predicate {
            Some(text) => conditions(&parse::parse_expression(text)?),
            None => Vec::new(),
        };
        let covers = |one: &[Expr], other: &[Expr]| other.iter().all(|it| one.contains(it));
        Ok(same(&self.columns, &columns)
            && covers(&self.expressions, &expressions)
            && covers(&expressions, &self.expressions)
            && covers(&self.conditions, &predicate))
    }
}

fn same(one: &[u16], other: &[u16]) -> bool {
    let within = |one: &[u16], other: &[u16]| one.iter().all(|position| other.contains(position));
    within(one, other) && within(other, one)
}

/// The conditions that AND joins.
fn conditions(predicate: &Expr) -> Vec<Expr> {
    let mut found = Vec::new();
    let mut left = vec![predicate];
    while let Some(next) = left.pop() {
        match next {
            Expr::Nested(inner) => left.push(inner),
            Expr::BinaryOp {
                left: one,
                op: BinaryOperator::And,
                right: other,
            } => left.extend([&**one, &**other]),
            other => found.push(normal(other)),
        }
    }
    found
}

/// An expression without parentheses and qualifiers, its names folded.
fn normal(expression: &Expr) -> Expr {
    let mut tree = expression.clone();
    let _ = ast::visit_expressions_mut(&mut tree, |part| {
        while let Expr::Nested(inner) = part {
            *part = (**inner).clone();
        }
        match part {
            Expr::CompoundIdentifier(parts) => {
                if let Some(last) = parts.last() {
                    *part = Expr::Identifier(ast::Ident::with_quote('"', names::fold(last)));
                }
            }
            Expr::Identifier(name) => {
                *part = Expr::Identifier(ast::Ident::with_quote('"', names::fold(name)));
            }
            Expr::Function(call) => {
                for name in &mut call.name.0 {
                    if let ast::ObjectNamePart::Identifier(ident) = name {
                        *ident = ast::Ident::with_quote('"', names::fold(ident));
                    }
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    tree
}
