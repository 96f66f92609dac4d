//! `RETURNING (xmax = 0)`: which rows an INSERT has made, and which it has found and updated (PostgreSQL 15, §5.5 "System
//! Columns": xmax is 0 of a row that no transaction has locked, deleted or replaced).

use super::names::fold;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::expression::Scope;
use crate::storage::TransactionId;
use datafusion::common::ScalarValue;
use sqlparser::ast::{Expr, SelectItem, Visit, Visitor};
use std::ops::ControlFlow;

const NAME: &str = "xmax";

/// Whether it is asked for.
pub fn is_in(items: &[SelectItem]) -> bool {
    items.iter().any(|item| item.visit(&mut Asked).is_break())
}

struct Asked;

impl Visitor for Asked {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let column = match expr {
            Expr::Identifier(column) => Some(column),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        match column.is_some_and(|column| fold(column) == NAME) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// The scope with the column behind the table's own.
pub fn within(scope: Scope, qualifier: &str) -> Scope {
    let column = (NAME, SqlType::scalar(TypeKind::Oid));
    scope.with(qualifier, std::iter::once(column))
}

/// Its value: that of the transaction that has locked the row to update it.
pub fn value(updated_by: Option<TransactionId>) -> ScalarValue {
    // Transaction numbers that users see have 32 bits, and 0 is none's.
    let number = updated_by.map_or(0, |transaction| (transaction.0 as u32).max(1));
    ScalarValue::UInt32(Some(number))
}
