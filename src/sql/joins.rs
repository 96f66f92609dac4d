//! JOIN without ON or USING, which sqlparser takes and PostgreSQL does not: only CROSS and NATURAL joins
//! have no condition.

use sqlparser::ast::{
    JoinConstraint, JoinOperator, Select, Spanned, Statement, TableFactor, TableWithJoins, Visit,
    Visitor,
};
use sqlparser::tokenizer::Location;
use std::ops::ControlFlow;

/// Where the condition is missed: behind the joins that lack one.
pub fn without_condition(statement: &Statement) -> Option<Location> {
    match statement.visit(&mut Joins) {
        ControlFlow::Break(end) => Some(end),
        ControlFlow::Continue(()) => None,
    }
}

struct Joins;

impl Visitor for Joins {
    type Break = Location;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Location> {
        select.from.iter().try_for_each(look)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Location> {
        match factor {
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => look(table_with_joins),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn look(item: &TableWithJoins) -> ControlFlow<Location> {
    let lacks = |operator: &JoinOperator| {
        matches!(
            operator,
            JoinOperator::Join(JoinConstraint::None)
                | JoinOperator::Inner(JoinConstraint::None)
                | JoinOperator::Left(JoinConstraint::None)
                | JoinOperator::LeftOuter(JoinConstraint::None)
                | JoinOperator::Right(JoinConstraint::None)
                | JoinOperator::RightOuter(JoinConstraint::None)
                | JoinOperator::FullOuter(JoinConstraint::None)
        )
    };
    match item.joins.iter().any(|join| lacks(&join.join_operator)) {
        true => ControlFlow::Break(item.span().end),
        false => ControlFlow::Continue(()),
    }
}
