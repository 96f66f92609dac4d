//! What columns the tables of a query have, before it is planned: those of its WITH before the catalog's.

use super::from_items::name_of;
use super::labels::{folded, label};
use sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, SelectItem, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Value,
};

/// The columns of the relation of a name; None where there is none.
pub type ColumnsOf<'a> = &'a dyn Fn(&ObjectName) -> Option<Vec<String>>;

/// A column that `*` stands for.
pub struct StarColumn {
    /// What it is qualified by; one that USING has made of several goes by its name alone.
    pub relation: Option<String>,
    /// Its name.
    pub name: String,
}

/// What columns tables have: those of WITH, query by query, before those of the catalog.
pub struct KnownColumns<'a> {
    columns_of: ColumnsOf<'a>,
    tables: Vec<Vec<(String, Option<Vec<String>>)>>,
}

impl<'a> KnownColumns<'a> {
    /// Those of the catalog alone.
    pub fn new(columns_of: ColumnsOf<'a>) -> KnownColumns<'a> {
        KnownColumns {
            columns_of,
            tables: Vec::new(),
        }
    }

    /// The columns of a table, a WITH query or a subquery; None where they are not known.
    pub fn columns(&self, factor: &TableFactor) -> Option<Vec<String>> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
        else {
            return self.of_subquery(factor);
        };
        let of_with = single(name).and_then(|name| {
            let mut tables = self.tables.iter().rev().flatten();
            tables.find(|(table, _)| *table == folded(&name))
        });
        let mut columns = match of_with {
            Some((_, columns)) => columns.clone()?,
            None => (self.columns_of)(name)?,
        };
        let renamed = alias.iter().flat_map(|alias| &alias.columns);
        for (column, new) in columns.iter_mut().zip(renamed) {
            *column = folded(&new.name);
        }
        Some(columns)
    }

    fn of_subquery(&self, factor: &TableFactor) -> Option<Vec<String>> {
        let TableFactor::Derived {
            subquery,
            alias: Some(alias),
            ..
        } = factor
        else {
            return None;
        };
        self.of_query(subquery, alias)
    }

    /// What a query gives, by the names that it is given.
    fn of_query(&self, query: &Query, alias: &TableAlias) -> Option<Vec<String>> {
        let mut columns = self.of_body(&query.body)?;
        for (column, new) in columns.iter_mut().zip(&alias.columns) {
            *column = folded(&new.name);
        }
        // Its own WITH may hide what is meant here.
        query.with.is_none().then_some(columns)
    }

    fn of_body(&self, body: &SetExpr) -> Option<Vec<String>> {
        let select = match body {
            SetExpr::Select(select) => select,
            SetExpr::Query(query) if query.with.is_none() => return self.of_body(&query.body),
            SetExpr::SetOperation { left, .. } => return self.of_body(left),
            _ => return None,
        };
        let mut columns = Vec::new();
        for output in &select.projection {
            match output {
                SelectItem::UnnamedExpr(expr) => columns.push(label(expr)),
                SelectItem::ExprWithAlias { alias, .. } => columns.push(folded(alias)),
                SelectItem::Wildcard(_) => {
                    for item in &select.from {
                        let star = self.star(item)?.into_iter();
                        columns.extend(star.map(|column| column.name));
                    }
                }
                _ => return None,
            }
        }
        Some(columns)
    }

    /// The columns of an item of FROM, as `*` has them; None where they are not known.
    pub fn star(&self, item: &TableWithJoins) -> Option<Vec<StarColumn>> {
        let mut columns = self.star_of(&item.relation)?;
        for join in &item.joins {
            let right = self.star_of(&join.relation)?;
            let merged = merged(constraint(&join.join_operator), &columns, &right)?;
            columns = joined(merged, columns, right);
        }
        Some(columns)
    }

    /// Those of one table, a WITH query or a subquery.
    pub fn star_of(&self, factor: &TableFactor) -> Option<Vec<StarColumn>> {
        let relation = name_of(factor)?;
        let columns = self.columns(factor)?.into_iter();
        let columns = columns.map(|name| StarColumn {
            relation: Some(relation.clone()),
            name,
        });
        Some(columns.collect())
    }

    /// Puts USING in the place of NATURAL, where it is known which columns both sides have.
    pub fn name_natural(&self, item: &mut TableWithJoins) {
        let Some(mut columns) = self.star_of(&item.relation) else {
            return;
        };
        for join in &mut item.joins {
            let Some(right) = self.star_of(&join.relation) else {
                return;
            };
            let Some(merged) = merged(constraint(&join.join_operator), &columns, &right) else {
                return;
            };
            if let Some(constraint) = constraint_mut(&mut join.join_operator)
                && *constraint == JoinConstraint::Natural
            {
                let name = |name: &String| ObjectName::from(vec![Ident::with_quote('"', name)]);
                *constraint = match merged.is_empty() {
                    true => JoinConstraint::On(Expr::value(Value::Boolean(true))),
                    false => JoinConstraint::Using(merged.iter().map(name).collect()),
                };
            }
            columns = joined(merged, columns, right);
        }
    }

    /// The tables of a query's WITH are known behind it, until [`KnownColumns::leave`].
    pub fn enter(&mut self, query: &Query) {
        self.tables.push(Vec::new());
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = self.of_query(&table.query, &table.alias);
            let table = (folded(&table.alias.name), columns);
            if let Some(tables) = self.tables.last_mut() {
                tables.push(table);
            }
        }
    }

    /// Behind a query.
    pub fn leave(&mut self) {
        self.tables.pop();
    }
}

/// The columns that a join makes one of; None where one is there twice.
fn merged(
    constraint: Option<&JoinConstraint>,
    left: &[StarColumn],
    right: &[StarColumn],
) -> Option<Vec<String>> {
    match constraint {
        Some(JoinConstraint::Using(names)) => names
            .iter()
            .map(|name| single(name).map(|name| folded(&name)))
            .collect(),
        Some(JoinConstraint::Natural) => {
            let count = |side: &[StarColumn], name: &str| {
                side.iter().filter(|column| column.name == name).count()
            };
            let common: Vec<_> = left
                .iter()
                .map(|column| &column.name)
                .filter(|name| count(right, name) > 0)
                .collect();
            let mut all = common.iter();
            all.all(|name| count(left, name) == 1 && count(right, name) == 1)
                .then(|| common.into_iter().cloned().collect())
        }
        _ => Some(Vec::new()),
    }
}

/// The columns of a join: those that it has made one of first, then what else each side has.
fn joined(merged: Vec<String>, left: Vec<StarColumn>, right: Vec<StarColumn>) -> Vec<StarColumn> {
    let rest = left.into_iter().chain(right);
    let rest: Vec<_> = rest
        .filter(|column| !merged.contains(&column.name))
        .collect();
    let merged = merged.into_iter().map(|name| StarColumn {
        relation: None,
        name,
    });
    merged.chain(rest).collect()
}

/// The condition of a join that has one.
pub fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// The name, where it is of one part.
pub fn single(name: &ObjectName) -> Option<Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident().cloned(),
        _ => None,
    }
}
