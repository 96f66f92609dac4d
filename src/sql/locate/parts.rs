//! Parts of trees: types by name, output columns, conditions of joins, aliases of tables.

use super::words::{folded, joined};
use crate::diagnostic::Diagnostic;
use sqlparser::ast::{
    self, DataType, Expr, JoinConstraint, JoinOperator, SelectItem, SetExpr, Spanned, Statement,
    TableFactor,
};
use sqlparser::tokenizer::Location;
use std::ops::ControlFlow;

/// A table that is named by its own name, though FROM has given it another: 42P01 says so.
pub fn aliased(error: Diagnostic, name: &str, statement: &Statement) -> Diagnostic {
    struct Aliases<'n> {
        name: &'n str,
        alias: Option<String>,
    }
    impl ast::Visitor for Aliases<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table {
                name,
                alias: Some(alias),
                ..
            } = factor
                && name
                    .0
                    .last()
                    .and_then(|part| part.as_ident())
                    .map(folded)
                    .as_deref()
                    == Some(self.name)
            {
                self.alias.get_or_insert(folded(&alias.name));
            }
            ControlFlow::Continue(())
        }
    }
    let mut aliases = Aliases { name, alias: None };
    let _ = ast::Visit::visit(statement, &mut aliases);
    match aliases.alias {
        None => error,
        Some(alias) => Diagnostic::error(
            error.sqlstate(),
            format!("invalid reference to FROM-clause entry for table \"{name}\""),
        )
        .with_hint(format!(
            "Perhaps you meant to reference the table alias \"{alias}\"."
        )),
    }
}

/// Where a type of this name is written.
pub fn named(data_type: &DataType, wanted: &str) -> Option<Location> {
    match data_type {
        DataType::Custom(name, _) => (joined(name) == wanted).then(|| name.span().start),
        DataType::Array(
            ast::ArrayElemTypeDef::SquareBracket(inner, _)
            | ast::ArrayElemTypeDef::AngleBracket(inner)
            | ast::ArrayElemTypeDef::Parenthesis(inner),
        ) => named(inner, wanted),
        _ => None,
    }
}

/// The output columns of a SELECT, or of the first row of VALUES.
pub fn outputs(body: &mut SetExpr) -> Vec<&mut Expr> {
    match body {
        SetExpr::Select(select) => select
            .projection
            .iter_mut()
            .filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            })
            .collect(),
        SetExpr::Values(values) => values
            .rows
            .first_mut()
            .map(|row| row.content.iter_mut().collect())
            .unwrap_or_default(),
        SetExpr::SetOperation { left, .. } => outputs(left),
        SetExpr::Query(query) => outputs(&mut query.body),
        _ => Vec::new(),
    }
}

/// The expression after ON.
pub fn join_condition(operator: &mut JoinOperator) -> Option<&mut Expr> {
    match operator {
        JoinOperator::Join(JoinConstraint::On(expr))
        | JoinOperator::Inner(JoinConstraint::On(expr))
        | JoinOperator::Left(JoinConstraint::On(expr))
        | JoinOperator::LeftOuter(JoinConstraint::On(expr))
        | JoinOperator::Right(JoinConstraint::On(expr))
        | JoinOperator::RightOuter(JoinConstraint::On(expr))
        | JoinOperator::FullOuter(JoinConstraint::On(expr)) => Some(expr),
        _ => None,
    }
}
