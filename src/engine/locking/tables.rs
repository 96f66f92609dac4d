//! Which tables a query's locking clauses lock, and what PostgreSQL refuses to lock.
//! Source: PostgreSQL 15, `CheckSelectLocking` and `transformLockingClause`.

use crate::catalog::definition::{Relation, RelationBody};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::dml::names;
use crate::engine::query::functions::set_returning;
use crate::engine::query::resolve::{self, Resolved};
use crate::engine::query::rewrite::known_columns::constraint;
use crate::engine::query::rewrite::subqueries;
use crate::engine::search_path;
use crate::sql::row_locks::{self, Busy, RowLock, Strength};
use sqlparser::ast::{
    self, Expr, GroupByExpr, JoinOperator, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, Visit, Visitor,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A FROM item that is locked.
#[derive(Clone, Debug)]
pub struct Locked {
    /// What the query calls it.
    pub qualifier: String,
    /// The table.
    pub relation: Arc<Relation>,
    /// How strongly.
    pub strength: Strength,
    /// What to do about rows that others have locked.
    pub busy: Busy,
}

/// The tables that the query locks, in the order of FROM.
///
/// # Errors
/// 0A000 where PostgreSQL has none, 42P01 for a name that FROM does not have.
pub fn of(query: &Query, context: &StatementContext) -> Result<Vec<Locked>, Diagnostic> {
    let locks: Vec<RowLock> = query.locks.iter().map(RowLock::of_clause).collect();
    let first = locks
        .first()
        .ok_or_else(|| Diagnostic::internal("a query without locking clauses"))?;
    let select = allowed(query, first.strength)?;
    let mut items = Vec::new();
    for table in &select.from {
        add_items(table, &mut items);
    }
    let mut locked: Vec<Option<Locked>> = vec![None; items.len()];
    for lock in &locks {
        match &lock.of {
            None => {
                for (item, locked) in items.iter().zip(&mut locked) {
                    if item.locks_with_all(query) {
                        add(locked, lock, item.locked(lock, context)?);
                    }
                }
            }
            Some(name) => {
                let place = named(&items, name, lock)?;
                items[place].demand_named(query, lock)?;
                add(
                    &mut locked[place],
                    lock,
                    items[place].locked(lock, context)?,
                );
            }
        }
    }
    Ok(locked.into_iter().flatten().collect())
}

fn add(locked: &mut Option<Locked>, lock: &RowLock, new: Locked) {
    match locked {
        Some(known) => {
            known.strength = known.strength.max(lock.strength);
            known.busy = known.busy.max(lock.busy);
        }
        None => *locked = Some(new),
    }
}

fn refuse(strength: Strength, what: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("{} {what}", strength.name()),
    )
}

/// The plain SELECT whose rows are rows of tables.
fn allowed(query: &Query, strength: Strength) -> Result<&Select, Diagnostic> {
    let not_with = |what: &str| Err(refuse(strength, &format!("is not allowed with {what}")));
    let select = match &*query.body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { .. } => return not_with("UNION/INTERSECT/EXCEPT"),
        SetExpr::Values(_) => return Err(refuse(strength, "cannot be applied to VALUES")),
        _ => return Err(refuse(strength, "of this query is not supported")),
    };
    if select.distinct.is_some() {
        return not_with("DISTINCT clause");
    }
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(by, modifiers) => !by.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    if grouped {
        return not_with("GROUP BY clause");
    }
    if select.having.is_some() {
        return not_with("HAVING clause");
    }
    match select.projection.visit(&mut Calls { depth: 0 }) {
        ControlFlow::Continue(()) => Ok(select),
        ControlFlow::Break(what) => not_with(what),
    }
}

/// Finds calls in an output list whose rows are no table's rows.
struct Calls {
    depth: usize,
}

impl Visitor for Calls {
    type Break = &'static str;

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        let Expr::Function(call) = expr else {
            return ControlFlow::Continue(());
        };
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let name = call.name.0.last().and_then(|part| part.as_ident());
        if call.over.is_some() {
            ControlFlow::Break("window functions")
        } else if subqueries::is_aggregate(call) {
            ControlFlow::Break("aggregate functions")
        } else if name.is_some_and(|name| set_returning::is(&names::fold(name))) {
            ControlFlow::Break("set-returning functions in the target list")
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A FROM item.
struct Item<'q> {
    factor: &'q TableFactor,
    /// Whether an outer join may put NULLs in its place.
    nullable: bool,
}

fn add_items<'q>(table: &'q TableWithJoins, items: &mut Vec<Item<'q>>) {
    let first = items.len();
    add_factor(&table.relation, items);
    for join in &table.joins {
        let right = items.len();
        add_factor(&join.relation, items);
        let (left_nullable, right_nullable) = match &join.join_operator {
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
            JoinOperator::FullOuter(_) => (true, true),
            _ => (false, false),
        };
        for item in &mut items[first..right] {
            item.nullable |= left_nullable;
        }
        for item in &mut items[right..] {
            item.nullable |= right_nullable;
        }
    }
}

fn add_factor<'q>(factor: &'q TableFactor, items: &mut Vec<Item<'q>>) {
    match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => add_items(table_with_joins, items),
        _ => items.push(Item {
            factor,
            nullable: false,
        }),
    }
}

fn named(items: &[Item<'_>], name: &ast::ObjectName, lock: &RowLock) -> Result<usize, Diagnostic> {
    let strength = lock.strength.name();
    let Some(name) = row_locks::unqualified(name).map(names::fold) else {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!("{strength} must specify unqualified relation names"),
        ));
    };
    let found = items
        .iter()
        .position(|item| item.qualifier().as_ref() == Some(&name));
    found.ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{name}\" in {strength} clause not found in FROM clause"),
        )
    })
}

impl Item<'_> {
    fn qualifier(&self) -> Option<String> {
        let (name, alias) = match self.factor {
            TableFactor::Table { name, alias, .. } => (Some(name), alias),
            TableFactor::Derived { alias, .. } | TableFactor::NestedJoin { alias, .. } => {
                (None, alias)
            }
            TableFactor::Function { name, alias, .. } => (Some(name), alias),
            _ => return None,
        };
        let alias = alias.as_ref().map(|alias| names::fold(&alias.name));
        alias.or_else(|| {
            let last = name?.0.last()?.as_ident()?;
            Some(names::fold(last))
        })
    }

    /// Whether it names a query of WITH.
    fn is_common_table(&self, query: &Query) -> bool {
        let TableFactor::Table { name, .. } = self.factor else {
            return false;
        };
        let (Some(with), Some(name)) = (&query.with, row_locks::unqualified(name)) else {
            return false;
        };
        let name = names::fold(name);
        with.cte_tables
            .iter()
            .any(|table| names::fold(&table.alias.name) == name)
    }

    /// Whether a clause without OF concerns it: functions and queries of WITH it passes by.
    fn locks_with_all(&self, query: &Query) -> bool {
        match self.factor {
            TableFactor::Table { args: None, .. } => !self.is_common_table(query),
            TableFactor::Derived { .. } => true,
            _ => false,
        }
    }

    fn demand_named(&self, query: &Query, lock: &RowLock) -> Result<(), Diagnostic> {
        let to = match self.factor {
            TableFactor::Table { args: None, .. } if self.is_common_table(query) => "a WITH query",
            TableFactor::Table { args: None, .. } | TableFactor::Derived { .. } => return Ok(()),
            TableFactor::NestedJoin { .. } => "a join",
            _ => "a function",
        };
        Err(refuse(lock.strength, &format!("cannot be applied to {to}")))
    }

    fn locked(&self, lock: &RowLock, context: &StatementContext) -> Result<Locked, Diagnostic> {
        let unsupported =
            |what: &str| refuse(lock.strength, &format!("of {what} is not supported"));
        let TableFactor::Table { name, .. } = self.factor else {
            return Err(unsupported("a subquery in FROM"));
        };
        let parts: Vec<String> = name
            .0
            .iter()
            .filter_map(|part| part.as_ident().map(names::fold))
            .collect();
        let (schema, table) = match parts.as_slice() {
            [table] => (None, table),
            [schema, table] => (Some(schema.as_str()), table),
            _ => return Err(Diagnostic::unsupported("a reference to another database")),
        };
        if let Some(schema) = schema {
            search_path::demand_usage(schema, context)?;
        }
        let relation = match resolve::relation(schema, table, context)? {
            Resolved::Relation(relation) => relation,
            Resolved::System(_) => return Err(unsupported("a catalog")),
        };
        match &relation.body {
            RelationBody::Table(_) => {}
            RelationBody::View(_) => return Err(unsupported("a view")),
            RelationBody::Sequence(_) => {
                return Err(Diagnostic::error(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("cannot lock rows in sequence \"{}\"", relation.name),
                ));
            }
            RelationBody::Index(_) => {
                return Err(Diagnostic::error(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is an index", relation.name),
                ));
            }
        }
        if self.nullable {
            return Err(refuse(
                lock.strength,
                "cannot be applied to the nullable side of an outer join",
            ));
        }
        Ok(Locked {
            qualifier: self
                .qualifier()
                .unwrap_or_else(|| relation.name.to_string()),
            relation,
            strength: lock.strength,
            busy: lock.busy,
        })
    }
}

/// Gives each locked table in FROM to `change`, with its place among the locked.
pub fn change_factors(
    from: &mut [TableWithJoins],
    locked: &[Locked],
    change: &mut impl FnMut(&mut TableFactor, usize),
) {
    for table in from {
        change_factor(&mut table.relation, locked, change);
        for join in &mut table.joins {
            change_factor(&mut join.relation, locked, change);
        }
    }
}

fn change_factor(
    factor: &mut TableFactor,
    locked: &[Locked],
    change: &mut impl FnMut(&mut TableFactor, usize),
) {
    if let TableFactor::NestedJoin {
        table_with_joins,
        alias: None,
    } = factor
    {
        change_factors(
            std::slice::from_mut(&mut **table_with_joins),
            locked,
            change,
        );
        return;
    }
    if !matches!(factor, TableFactor::Table { args: None, .. }) {
        return;
    }
    let qualifier = Item {
        factor,
        nullable: false,
    }
    .qualifier();
    let place = locked
        .iter()
        .position(|locked| Some(&locked.qualifier) == qualifier.as_ref());
    if let Some(place) = place {
        change(factor, place);
    }
}

/// The FROM items that `*` stands for, each with its place among the locked; None where columns
/// are merged by USING, or NATURAL, so that `*` is more than theirs one after the other.
pub fn star(select: &Select, locked: &[Locked]) -> Option<Vec<(String, Option<usize>)>> {
    let mut items = Vec::new();
    for table in &select.from {
        add_items(table, &mut items);
        let merges = table.joins.iter().any(|join| merges(&join.join_operator));
        let nested = |factor: &TableFactor| matches!(factor, TableFactor::NestedJoin { .. });
        if merges
            || nested(&table.relation)
            || table.joins.iter().any(|join| nested(&join.relation))
        {
            return None;
        }
    }
    items
        .iter()
        .map(|item| {
            let qualifier = item.qualifier()?;
            let place = locked.iter().position(|one| one.qualifier == qualifier);
            Some((qualifier, place))
        })
        .collect()
}

fn merges(operator: &JoinOperator) -> bool {
    use ast::JoinConstraint::{Natural, Using};
    matches!(constraint(operator), Some(Natural | Using(_)))
}

/// Whether the list has `*` by itself.
pub fn has_star(select: &Select) -> bool {
    select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_)))
}
