//! A table as DML sees it: layouts of its rows and keys, its indexes and constraints, worked out
//! once a plan.

use super::index_values::IndexValues;
use super::value::{self, Row, Value};
use crate::catalog::definition::{
    Column, Constraint, ConstraintBody, Deferral, Definitions, Index, IndexConstraint,
    ReferentialAction, Relation, RelationBody, Sequence, Table,
};
use crate::catalog::sql_type::SqlType;
use crate::catalog::{Oid, RelationId};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::policy::{self, Guard};
use crate::engine::query::expression::Scope;
use crate::engine::row::{KeyLayout, RowLayout};
use crate::engine::types::Input;
use crate::engine::uses::Uses;
use crate::sql::parse;
use crate::storage::{SequenceSteps, Use};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// What a statement needs of a table it writes.
#[derive(Debug)]
pub struct Target {
    /// The table's relation.
    pub relation: Arc<Relation>,
    /// Its rows.
    pub layout: Arc<RowLayout>,
    /// Its key; None: a hidden row number.
    pub key: Option<KeyLayout>,
    /// The name of the PRIMARY KEY constraint.
    pub key_name: Arc<str>,
    /// Its other indexes.
    pub indexes: Vec<TargetIndex>,
    /// Its generated columns, and what generates them.
    pub generated: Vec<(usize, Value)>,
    /// Its CHECK constraints.
    pub checks: Vec<Check>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Foreign keys of other tables (or itself) that point here.
    pub referencing: Vec<Referencing>,
}

/// A secondary index of a target.
#[derive(Debug)]
pub struct TargetIndex {
    /// pg_class.oid
    pub oid: Oid,
    /// Its name, which is the constraint's too.
    pub name: Arc<str>,
    /// Where its entries are.
    pub store: RelationId,
    /// The indexed columns.
    pub key: KeyLayout,
    /// What it has of a row.
    pub values: IndexValues,
    /// Whether two rows may not have the same values.
    pub unique: bool,
    /// The constraint it serves.
    pub constraint: Option<IndexConstraint>,
}

/// A CHECK constraint.
#[derive(Debug)]
pub struct Check {
    /// Its name.
    pub name: Arc<str>,
    /// The expression over the table's columns.
    pub expression: Value,
}

/// A foreign key of a target.
#[derive(Debug)]
pub struct ForeignKey {
    /// pg_constraint.oid
    pub oid: Oid,
    /// The constraint's name.
    pub name: Arc<str>,
    /// Positions of the referencing columns.
    pub columns: Vec<u16>,
    /// Where the rows pointed at are.
    pub parent: Parent,
    /// When it is checked.
    pub deferral: Deferral,
}

/// The table a foreign key points at.
#[derive(Debug)]
pub struct Parent {
    /// The table.
    pub relation: Arc<Relation>,
    /// Positions of the referenced columns, in the order of the referencing ones.
    pub columns: Vec<u16>,
    /// The key that is looked up.
    pub key: KeyLayout,
    /// For each key column, which referencing column holds its value.
    pub order: Vec<usize>,
    /// The unique index to look in; None: the primary key.
    pub index: Option<RelationId>,
}

/// A foreign key that points at a target.
#[derive(Debug)]
pub struct Referencing {
    /// pg_constraint.oid
    pub oid: Oid,
    /// The constraint's name.
    pub name: Arc<str>,
    /// The referencing table.
    pub relation: Arc<Relation>,
    /// Its rows.
    pub layout: Arc<RowLayout>,
    /// Positions of its referencing columns.
    pub columns: Vec<u16>,
    /// Positions of the target's referenced columns, in the same order.
    pub referenced: Vec<u16>,
    /// Where to look for referencing rows.
    pub search: Search,
    /// ON UPDATE
    pub on_update: ReferentialAction,
    /// ON DELETE
    pub on_delete: ReferentialAction,
    /// When it is checked.
    pub deferral: Deferral,
}

/// How the rows that reference a key are found.
#[derive(Debug)]
pub enum Search {
    /// In the key order of the table itself, whose key begins with the referencing columns.
    Primary {
        /// The table's key.
        key: KeyLayout,
        /// Which referencing column each leading key column is.
        order: Vec<usize>,
    },
    /// In an index that begins with the referencing columns.
    Index {
        /// The index's entries.
        store: RelationId,
        /// Its key.
        key: KeyLayout,
        /// Which referencing column each leading key column is.
        order: Vec<usize>,
    },
    /// By reading the whole table, as PostgreSQL would.
    Whole,
}

impl Target {
    /// That of a table, at this state of the definitions.
    ///
    /// # Errors
    /// 42809 for a relation that is no table; 0A000 for a constraint that cannot be enforced.
    pub fn new(
        relation: &Arc<Relation>,
        definitions: &Definitions,
        input: Input<'_>,
    ) -> Result<Target, Diagnostic> {
        let table = table_of(relation)?;
        policy::prepare(relation, definitions);
        let named = |oid: Option<Oid>| oid.and_then(|oid| definitions.get(oid));
        let mut target = Target {
            relation: relation.clone(),
            layout: RowLayout::new(table),
            key: KeyLayout::of_table(table)?,
            key_name: named(table.primary_index).map_or_else(
                || Arc::from(format!("{}_pkey", relation.name)),
                |index| index.name.clone(),
            ),
            indexes: Vec::new(),
            generated: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            referencing: Vec::new(),
        };
        for oid in &table.indexes {
            if Some(*oid) == table.primary_index {
                continue;
            }
            let (index_relation, index) = index_of(definitions, *oid)?;
            target.indexes.push(TargetIndex {
                oid: *oid,
                name: index_relation.name.clone(),
                store: index.store,
                key: KeyLayout::of_index(table, index)?,
                values: IndexValues::new(relation, table, index, input)?,
                unique: index.unique,
                constraint: index.constraint,
            });
        }
        for (position, column) in table.columns.iter().enumerate() {
            if let Some(text) = column.default.as_deref().filter(|_| column.generated) {
                let scope = target.scope(&relation.name);
                let tree = parse::parse_expression(text)?;
                let to = (&*column.name, column.sql_type);
                let value = value::compile_for_column(&tree, &scope, &mut Vec::new(), to, input)?;
                let value = value.without_parameters()?;
                target.generated.push((position, value));
            }
        }
        for constraint in &table.constraints {
            target.add_constraint(constraint, definitions, input)?;
        }
        for oid in &table.referenced_by {
            target.add_referencing(*oid, definitions)?;
        }
        Ok(target)
    }

    /// Works out the generated columns of a row whose other columns are as they will be.
    ///
    /// # Errors
    /// What their expressions raise.
    pub fn generate(&self, row: &mut [ScalarValue], input: Input<'_>) -> Result<(), Diagnostic> {
        for (position, value) in &self.generated {
            row[*position] = value.evaluate(Row {
                columns: row,
                parameters: &[],
                input,
            })?;
        }
        Ok(())
    }

    /// What writing its rows uses: the table, and those that its foreign keys join it to.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        uses.add(self.relation.oid, Use::Writing);
        for foreign in &self.foreign_keys {
            uses.add(foreign.parent.relation.oid, Use::Shared);
        }
        for referencing in &self.referencing {
            uses.add(referencing.relation.oid, Use::Shared);
        }
        uses
    }

    fn add_constraint(
        &mut self,
        constraint: &Constraint,
        definitions: &Definitions,
        input: Input<'_>,
    ) -> Result<(), Diagnostic> {
        match &constraint.body {
            ConstraintBody::Check { expression } => {
                let scope = self.scope(&self.relation.name);
                let expression =
                    value::compile_asking_text(expression, &scope, input)?.without_parameters()?;
                self.checks.push(Check {
                    name: constraint.name.clone(),
                    expression,
                });
            }
            ConstraintBody::ForeignKey {
                columns,
                table,
                referenced,
                deferral,
                ..
            } => self.foreign_keys.push(ForeignKey {
                oid: constraint.oid,
                name: constraint.name.clone(),
                columns: columns.clone(),
                parent: Parent::new(definitions, *table, referenced)?,
                deferral: *deferral,
            }),
        }
        Ok(())
    }

    fn add_referencing(&mut self, oid: Oid, definitions: &Definitions) -> Result<(), Diagnostic> {
        let Some(child) = definitions.get(oid) else {
            return Ok(());
        };
        let child_table = table_of(child)?;
        for constraint in &child_table.constraints {
            let ConstraintBody::ForeignKey {
                columns,
                table,
                referenced,
                on_update,
                on_delete,
                deferral,
            } = &constraint.body
            else {
                continue;
            };
            if *table != self.relation.oid {
                continue;
            }
            self.referencing.push(Referencing {
                oid: constraint.oid,
                name: constraint.name.clone(),
                relation: child.clone(),
                layout: RowLayout::new(child_table),
                columns: columns.clone(),
                referenced: referenced.clone(),
                search: Search::new(child_table, columns, definitions)?,
                on_update: *on_update,
                on_delete: *on_delete,
                deferral: *deferral,
            });
        }
        Ok(())
    }

    /// The table.
    pub fn table(&self) -> &Table {
        self.relation
            .table()
            .expect("a target is only made of a table")
    }

    /// Where its rows are.
    pub fn store(&self) -> RelationId {
        self.table().store
    }

    /// Its columns, dropped ones too.
    pub fn columns(&self) -> &[Column] {
        &self.table().columns
    }

    /// Whether row policies show a row of it; one that cannot be read is shown to nobody.
    pub fn shows(&self, guard: &Guard, row: &[u8], input: Input<'_>) -> bool {
        let row = self
            .layout
            .decode_columns(row, |column| guard.looks_at(column));
        row.is_ok_and(|row| guard.shows(&row, input))
    }

    /// Its columns under this qualifier; dropped ones keep their place under a name that nobody can
    /// write.
    pub fn scope(&self, qualifier: &str) -> Scope {
        scope_of(self.table(), qualifier, Scope::empty())
    }

    /// The position of the column of this name.
    ///
    /// # Errors
    /// 42703 in PostgreSQL's words.
    pub fn column(&self, name: &str) -> Result<usize, Diagnostic> {
        let found = self
            .columns()
            .iter()
            .position(|column| !column.dropped && &*column.name == name);
        found.ok_or_else(|| {
            let table = &self.relation.name;
            Diagnostic::error(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" of relation \"{table}\" does not exist"),
            )
        })
    }

    /// Whether a foreign key of it points at itself.
    pub fn references_itself(&self) -> bool {
        self.foreign_keys
            .iter()
            .any(|key| key.parent.relation.oid == self.relation.oid)
    }

    /// Whether the column is part of a key that a foreign key may point at.
    pub fn is_key_column(&self, position: usize) -> bool {
        let position = position as u16;
        self.table().primary_key.contains(&position)
            || self
                .indexes
                .iter()
                .any(|index| index.is_key() && index.key.columns().contains(&position))
    }
}

impl TargetIndex {
    /// Whether no two rows have the same values in its columns: neither an expression nor a part of the
    /// rows makes a key of the table.
    pub fn is_key(&self) -> bool {
        self.unique && self.values.is_plain()
    }
}

/// The columns of a table added to a scope.
pub fn scope_of(table: &Table, qualifier: &str, scope: Scope) -> Scope {
    let dropped: Vec<String> = (0..table.columns.len())
        .map(|position| format!("........pg.dropped.{}........", position + 1))
        .collect();
    let columns = table.columns.iter().zip(&dropped).map(|(column, gone)| {
        let name = if column.dropped { gone } else { &*column.name };
        (name, column.sql_type)
    });
    scope.with(qualifier, columns)
}

/// The table that a relation is.
///
/// # Errors
/// 42809 in PostgreSQL's words.
pub fn table_of(relation: &Relation) -> Result<&Table, Diagnostic> {
    let what = match &relation.body {
        RelationBody::Table(table) => return Ok(table),
        RelationBody::View(_) => "view",
        RelationBody::Sequence(_) => "sequence",
        RelationBody::Index(_) => "index",
    };
    let name = &relation.name;
    Err(match &relation.body {
        RelationBody::Index(_) => Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is an index"),
        ),
        _ => Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot change {what} \"{name}\""),
        ),
    })
}

fn index_of(definitions: &Definitions, oid: Oid) -> Result<(&Arc<Relation>, &Index), Diagnostic> {
    definitions
        .get(oid)
        .and_then(|relation| Some((relation, relation.index()?)))
        .ok_or_else(|| Diagnostic::internal(format!("index {oid} is not defined")))
}

/// The sequence of a serial or identity column.
///
/// # Errors
/// XX000 where the catalog does not hold it.
pub fn sequence_of(definitions: &Definitions, oid: Oid) -> Result<(Oid, &Sequence), Diagnostic> {
    match definitions.get(oid).map(|relation| &relation.body) {
        Some(RelationBody::Sequence(sequence)) => Ok((oid, sequence)),
        _ => Err(Diagnostic::internal(format!(
            "sequence {oid} is not defined"
        ))),
    }
}

/// How storage counts a sequence.
pub fn steps_of(sequence: &Sequence) -> SequenceSteps {
    SequenceSteps {
        start: sequence.start,
        increment: sequence.increment,
        min: sequence.min,
        max: sequence.max,
        cycle: sequence.cycle,
    }
}

/// Which of `columns` each of the key's leading columns is, if those are the same columns.
fn leading_order(key: &[u16], columns: &[u16]) -> Option<Vec<usize>> {
    let leading = key.get(..columns.len())?;
    leading
        .iter()
        .map(|wanted| columns.iter().position(|column| column == wanted))
        .collect()
}

impl Parent {
    fn new(definitions: &Definitions, oid: Oid, columns: &[u16]) -> Result<Parent, Diagnostic> {
        let relation = definitions
            .get(oid)
            .ok_or_else(|| Diagnostic::internal(format!("relation {oid} is not defined")))?;
        let table = table_of(relation)?;
        let parent = |key: KeyLayout, order, index| Parent {
            relation: relation.clone(),
            columns: columns.to_vec(),
            key,
            order,
            index,
        };
        if let Some(order) = exact_order(&table.primary_key, columns)
            && let Some(key) = KeyLayout::of_table(table)?
        {
            return Ok(parent(key, order, None));
        }
        for oid in &table.indexes {
            let (_, index) = index_of(definitions, *oid)?;
            if index.unique
                && index.is_plain()
                && Some(*oid) != table.primary_index
                && let Some(order) = exact_order(&index.columns, columns)
            {
                let key = KeyLayout::of_index(table, index)?;
                return Ok(parent(key, order, Some(index.store)));
            }
        }
        Err(Diagnostic::error(
            SqlState::INVALID_FOREIGN_KEY,
            format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                relation.name
            ),
        ))
    }

    /// The types of the key's columns, in key order.
    pub fn key_types(&self) -> impl Iterator<Item = SqlType> + '_ {
        let columns = &self
            .relation
            .table()
            .expect("a parent is only made of a table")
            .columns;
        self.key
            .columns()
            .iter()
            .map(|position| columns[usize::from(*position)].sql_type)
    }
}

fn exact_order(key: &[u16], columns: &[u16]) -> Option<Vec<usize>> {
    if key.is_empty() || key.len() != columns.len() {
        return None;
    }
    leading_order(key, columns)
}

impl Search {
    fn new(
        child: &Table,
        columns: &[u16],
        definitions: &Definitions,
    ) -> Result<Search, Diagnostic> {
        if !child.primary_key.is_empty()
            && let Some(order) = leading_order(&child.primary_key, columns)
            && let Some(key) = KeyLayout::of_table(child)?
        {
            return Ok(Search::Primary { key, order });
        }
        for oid in &child.indexes {
            let (_, index) = index_of(definitions, *oid)?;
            if Some(*oid) != child.primary_index
                && index.details.predicate.is_none()
                && let Some(order) = leading_order(&index.columns, columns)
            {
                let key = KeyLayout::of_index(child, index)?;
                return Ok(Search::Index {
                    store: index.store,
                    key,
                    order,
                });
            }
        }
        Ok(Search::Whole)
    }
}
