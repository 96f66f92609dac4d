//! Constraints: as given, and as they become part of a table.

use super::build::{fill_index, indexes_of, rebuild};
use super::foreign_key::{self, Foreign};
use super::name;
use super::verify;
use super::work::{Claim, NewName, Work, column_of, table_of};
use crate::catalog::Oid;
use crate::catalog::definition::{
    Constraint, ConstraintBody, Index, IndexConstraint, Relation, RelationBody, Table,
};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::target::scope_of;
use crate::engine::dml::value;
use crate::engine::query::expression::Scope;
use crate::engine::row::KeyLayout;
use crate::storage::Use;
use sqlparser::ast;
use std::sync::Arc;

/// One constraint, as given.
pub struct Spec {
    name: Option<String>,
    body: SpecBody,
}

enum SpecBody {
    PrimaryKey(Vec<String>),
    Unique(Vec<String>),
    Check(Box<ast::Expr>),
    ForeignKey(Foreign),
}

/// Whether the table may hold rows that the constraint must be checked against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is being made.
    None,
    /// It is there.
    Rows,
    /// It is there, and they are not looked at: NOT VALID.
    Unchecked,
}

fn check_characteristics(given: Option<&ast::ConstraintCharacteristics>) -> Result<(), Diagnostic> {
    match given {
        Some(given) if given.deferrable == Some(true) => {
            Err(Diagnostic::unsupported("a deferrable key")
                .with_hint("Foreign keys can be DEFERRABLE."))
        }
        Some(given) if given.enforced == Some(false) => {
            Err(Diagnostic::unsupported("a constraint that is not enforced"))
        }
        _ => Ok(()),
    }
}

fn plain_columns(columns: &[ast::IndexColumn]) -> Result<Vec<String>, Diagnostic> {
    columns
        .iter()
        .map(|column| match &column.column.expr {
            ast::Expr::Identifier(name) => Ok(name::fold(name)),
            other => Err(Diagnostic::unsupported(format!(
                "expression {other} in a constraint"
            ))),
        })
        .collect()
}

impl Spec {
    /// PRIMARY KEY over these columns.
    ///
    /// # Errors
    /// 0A000 for options that are not there.
    pub fn primary_key(
        name: Option<String>,
        columns: Vec<String>,
        given: &ast::PrimaryKeyConstraint,
    ) -> Result<Spec, Diagnostic> {
        check_characteristics(given.characteristics.as_ref())?;
        let body = SpecBody::PrimaryKey(columns);
        Ok(Spec { name, body })
    }

    /// UNIQUE over these columns.
    ///
    /// # Errors
    /// 0A000 for options that are not there.
    pub fn unique(
        name: Option<String>,
        columns: Vec<String>,
        given: &ast::UniqueConstraint,
    ) -> Result<Spec, Diagnostic> {
        check_characteristics(given.characteristics.as_ref())?;
        if given.nulls_distinct == ast::NullsDistinctOption::NotDistinct {
            return Err(Diagnostic::unsupported("UNIQUE NULLS NOT DISTINCT"));
        }
        let body = SpecBody::Unique(columns);
        Ok(Spec { name, body })
    }

    /// As a CHECK of another table is, under its name.
    ///
    /// # Errors
    /// What parsing its text gives.
    pub fn check_like(name: &str, expression: &str) -> Result<Spec, Diagnostic> {
        let expression = crate::sql::parse::parse_expression(expression)?;
        Ok(Spec {
            name: Some(name.to_owned()),
            body: SpecBody::Check(Box::new(expression)),
        })
    }

    /// As a key of another table is, over these columns; it gets a name of its own.
    pub fn key_like(constraint: IndexConstraint, columns: Vec<String>) -> Spec {
        let body = match constraint {
            IndexConstraint::PrimaryKey => SpecBody::PrimaryKey(columns),
            IndexConstraint::Unique => SpecBody::Unique(columns),
        };
        Spec { name: None, body }
    }

    /// CHECK.
    ///
    /// # Errors
    /// 0A000 for NOT ENFORCED.
    pub fn check(name: Option<String>, given: &ast::CheckConstraint) -> Result<Spec, Diagnostic> {
        if given.enforced == Some(false) {
            return Err(Diagnostic::unsupported("a constraint that is not enforced"));
        }
        let body = SpecBody::Check(given.expr.clone());
        Ok(Spec { name, body })
    }

    /// FOREIGN KEY of these columns.
    ///
    /// # Errors
    /// 0A000 for MATCH FULL and PARTIAL, and for NOT ENFORCED; 42601.
    pub fn foreign_key(
        name: Option<String>,
        columns: Vec<String>,
        given: &ast::ForeignKeyConstraint,
    ) -> Result<Spec, Diagnostic> {
        match given.match_kind {
            None | Some(ast::ConstraintReferenceMatchKind::Simple) => {}
            Some(_) => return Err(Diagnostic::unsupported("MATCH FULL or PARTIAL")),
        }
        let body = SpecBody::ForeignKey(Foreign::new(columns, given)?);
        Ok(Spec { name, body })
    }

    /// A constraint that stands by itself.
    ///
    /// # Errors
    /// 0A000 for what is not there.
    pub fn of_table(given: &ast::TableConstraint) -> Result<Spec, Diagnostic> {
        match given {
            ast::TableConstraint::PrimaryKey(key) => Spec::primary_key(
                key.name.as_ref().map(name::fold),
                plain_columns(&key.columns)?,
                key,
            ),
            ast::TableConstraint::Unique(key) => Spec::unique(
                key.name.as_ref().map(name::fold),
                plain_columns(&key.columns)?,
                key,
            ),
            ast::TableConstraint::Check(check) => {
                Spec::check(check.name.as_ref().map(name::fold), check)
            }
            ast::TableConstraint::ForeignKey(key) => Spec::foreign_key(
                key.name.as_ref().map(name::fold),
                key.columns.iter().map(name::fold).collect(),
                key,
            ),
            other => Err(Diagnostic::unsupported(format!("constraint {other}"))),
        }
    }

    /// That it is added NOT VALID.
    ///
    /// # Errors
    /// 0A000 for a key, as in PostgreSQL.
    pub fn unchecked(&self) -> Result<Existing, Diagnostic> {
        let key = match self.body {
            SpecBody::PrimaryKey(_) => "PRIMARY KEY",
            SpecBody::Unique(_) => "UNIQUE",
            SpecBody::Check(_) | SpecBody::ForeignKey(_) => return Ok(Existing::Unchecked),
        };
        Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{key} constraints cannot be marked NOT VALID"),
        ))
    }

    /// Whether it is the primary key, which must come first.
    pub fn is_primary_key(&self) -> bool {
        matches!(self.body, SpecBody::PrimaryKey(_))
    }

    /// Makes it part of the table, which the caller defines afterwards; what else it needs (indexes,
    /// the other end of a foreign key) is defined here.
    ///
    /// # Errors
    /// 42710 and 42P07 for a name that is taken, 42703, 42P16, 42830, 42804; 23505, 23502, 23503
    /// and 23514 by existing rows.
    pub async fn add(
        &self,
        work: &mut Work<'_>,
        relation: &mut Relation,
        existing: Existing,
    ) -> Result<(), Diagnostic> {
        match &self.body {
            SpecBody::PrimaryKey(columns) => {
                let key = Key {
                    name: self.name.as_deref(),
                    columns,
                    constraint: IndexConstraint::PrimaryKey,
                };
                key.add(work, relation, existing).await
            }
            SpecBody::Unique(columns) => {
                let key = Key {
                    name: self.name.as_deref(),
                    columns,
                    constraint: IndexConstraint::Unique,
                };
                key.add(work, relation, existing).await
            }
            SpecBody::Check(expression) => {
                add_check(work, relation, self.name.as_deref(), expression, existing).await
            }
            SpecBody::ForeignKey(foreign) => {
                foreign
                    .add(work, relation, self.name.as_deref(), existing)
                    .await
            }
        }
    }
}

/// Positions of the named columns.
///
/// # Errors
/// 42703 as PostgreSQL words it for a key, 42701 for one named twice.
fn key_positions(table: &Table, columns: &[String], what: &str) -> Result<Vec<u16>, Diagnostic> {
    let mut positions = Vec::with_capacity(columns.len());
    for column in columns {
        let position = super::work::position_of(table, column).ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{column}\" named in key does not exist"),
            )
        })?;
        if positions.contains(&position) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{column}\" appears twice in {what} constraint"),
            ));
        }
        positions.push(position);
    }
    Ok(positions)
}

/// PRIMARY KEY or UNIQUE.
struct Key<'a> {
    name: Option<&'a str>,
    columns: &'a [String],
    constraint: IndexConstraint,
}

impl Key<'_> {
    async fn add(
        &self,
        work: &mut Work<'_>,
        relation: &mut Relation,
        existing: Existing,
    ) -> Result<(), Diagnostic> {
        let primary = self.constraint == IndexConstraint::PrimaryKey;
        let table = table_of(relation)?;
        let what = if primary { "primary key" } else { "unique" };
        let positions = key_positions(table, self.columns, what)?;
        if primary && table.primary_index.is_some() {
            return Err(Diagnostic::error(
                SqlState::INVALID_TABLE_DEFINITION,
                format!(
                    "multiple primary keys for table \"{}\" are not allowed",
                    relation.name
                ),
            ));
        }
        let name = self.claim_name(work, relation).await?;
        let oid = work.new_oid()?;
        let mut index = Index {
            store: table_of(relation)?.store,
            table: relation.oid,
            descending: vec![false; positions.len()],
            columns: positions.clone(),
            unique: true,
            constraint: Some(self.constraint),
            details: Default::default(),
        };
        if primary {
            for position in &positions {
                table_of(relation)?.columns[usize::from(*position)].not_null = true;
            }
            self.key_the_table(work, relation, positions, &name, existing)
                .await?;
            let table = table_of(relation)?;
            table.primary_index = Some(oid);
            index.store = table.store;
        } else {
            index.store = work.transaction.storage.create_relation()?;
            // Refuses types without an order whether or not there are rows.
            KeyLayout::of_index(table_of(relation)?, &index)?;
            if existing == Existing::Rows {
                fill_index(work, relation, &index, &name).await?;
            }
            table_of(relation)?.indexes.push(oid);
        }
        define_index(work, relation, oid, name, index)
    }

    async fn key_the_table(
        &self,
        work: &mut Work<'_>,
        relation: &mut Relation,
        positions: Vec<u16>,
        name: &str,
        existing: Existing,
    ) -> Result<(), Diagnostic> {
        if existing == Existing::None {
            let table = table_of(relation)?;
            table.primary_key = positions;
            KeyLayout::of_table(table)?;
            return Ok(());
        }
        let mut indexes = indexes_of(work, table_of(relation)?)?;
        rebuild(work, relation, positions, name, &mut indexes).await?;
        for index in indexes {
            work.define(index)?;
        }
        Ok(())
    }

    async fn claim_name(
        &self,
        work: &mut Work<'_>,
        relation: &Relation,
    ) -> Result<String, Diagnostic> {
        let schema = relation.schema.to_string();
        if let Some(name) = self.name {
            let new = NewName {
                schema,
                name: name.to_owned(),
            };
            return match work.claim(&new).await? {
                Claim::Free => Ok(new.name),
                Claim::Taken(_) => Err(super::exists(name)),
            };
        }
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        match self.constraint {
            IndexConstraint::PrimaryKey => {
                choose_relation(work, &schema, &relation.name, &[], "pkey").await
            }
            IndexConstraint::Unique => {
                choose_relation(work, &schema, &relation.name, &columns, "key").await
            }
        }
    }
}

/// Chooses and claims the name of an index or sequence.
///
/// # Errors
/// 23505 where a concurrent transaction took it, as in PostgreSQL.
pub async fn choose_relation(
    work: &mut Work<'_>,
    schema: &str,
    table: &str,
    columns: &[&str],
    label: &str,
) -> Result<String, Diagnostic> {
    let definitions = work.definitions();
    let database = work.database();
    let name = name::choose(table, columns, label, |name| {
        definitions.find(database, schema, name).is_some()
    });
    let new = NewName {
        schema: schema.to_owned(),
        name,
    };
    match work.claim(&new).await? {
        Claim::Free => Ok(new.name),
        Claim::Taken(_) => Err(super::exists(&new.name)),
    }
}

/// Defines an index of the table.
///
/// # Errors
/// What storage gives.
pub fn define_index(
    work: &mut Work<'_>,
    relation: &Relation,
    oid: Oid,
    name: String,
    index: Index,
) -> Result<(), Diagnostic> {
    work.define(Relation {
        oid,
        database: relation.database,
        schema: relation.schema.clone(),
        name: name.into(),
        owner: relation.owner,
        grants: Vec::new(),
        comment: None,
        body: RelationBody::Index(index),
        row_security: Default::default(),
    })
}

/// The name of a CHECK or FOREIGN KEY constraint, as given or chosen.
///
/// # Errors
/// 42710
pub fn choose_constraint(
    work: &mut Work<'_>,
    table: &Table,
    relation: &str,
    given: Option<&str>,
    columns: &[&str],
    label: &str,
) -> Result<Arc<str>, Diagnostic> {
    let definitions = work.definitions();
    let indexes = table.indexes.iter().chain(&table.primary_index);
    let keys: Vec<&Arc<Relation>> = indexes
        .filter_map(|oid| definitions.get(*oid))
        .filter(|index| {
            index
                .index()
                .is_some_and(|index| index.constraint.is_some())
        })
        .collect();
    let taken = |name: &str| {
        let mut constraints = table.constraints.iter();
        constraints.any(|constraint| &*constraint.name == name)
            || keys.iter().any(|key| &*key.name == name)
    };
    match given {
        None => Ok(name::choose(relation, columns, label, taken).into()),
        Some(name) if taken(name) => Err(Diagnostic::error(
            SqlState::DUPLICATE_OBJECT,
            format!("constraint \"{name}\" for relation \"{relation}\" already exists"),
        )),
        Some(name) => Ok(Arc::from(name)),
    }
}

async fn add_check(
    work: &mut Work<'_>,
    relation: &mut Relation,
    name: Option<&str>,
    expression: &ast::Expr,
    existing: Existing,
) -> Result<(), Diagnostic> {
    let relation_name = relation.name.clone();
    let table = table_of(relation)?;
    let scope = scope_of(table, &relation_name, Scope::empty());
    let compiled = value::compile_asking(expression, &scope, &mut Vec::new(), work.input())?
        .without_parameters()?;
    value::demand_boolean(&compiled, "CHECK")?;
    let compiled = compiled.ready(work.context)?.into_owned();
    let columns = columns_named(table, expression);
    let label_columns: Vec<&str> = match &columns[..] {
        [only] => vec![only],
        _ => Vec::new(),
    };
    let table = table.clone();
    let name = choose_constraint(work, &table, &relation_name, name, &label_columns, "check")
        .map_err(|error| match existing {
            Existing::Rows | Existing::Unchecked => error,
            Existing::None => Diagnostic::error(
                SqlState::DUPLICATE_OBJECT,
                format!(
                    "check constraint \"{}\" already exists",
                    name.unwrap_or_default()
                ),
            ),
        })?;
    if existing == Existing::Rows {
        verify::check(work, relation, &name, &compiled).await?;
    }
    let oid = work.new_oid()?;
    table_of(relation)?.constraints.push(Constraint {
        oid,
        name,
        body: ConstraintBody::Check {
            expression: expression.to_string().into(),
        },
        validated: existing != Existing::Unchecked,
    });
    Ok(())
}

/// VALIDATE CONSTRAINT: looks at the rows that were there before it.
///
/// # Errors
/// 42704, 42809; 23514 and 23503 by a row.
pub async fn validate(
    work: &mut Work<'_>,
    relation: &mut Relation,
    name: &str,
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let relation_name = relation.name.clone();
    let table = table_of(relation)?.clone();
    let Some(constraint) = table.constraints.iter().find(|it| &*it.name == name) else {
        let mut keys = table.indexes.iter().chain(&table.primary_index);
        let is_key = keys.any(|oid| definitions.get(*oid).is_some_and(|key| &*key.name == name));
        let constraint = format!("constraint \"{name}\" of relation \"{relation_name}\"");
        return Err(match is_key {
            true => Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{constraint} is not a foreign key or check constraint"),
            ),
            false => Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("{constraint} does not exist"),
            ),
        });
    };
    if constraint.validated {
        return Ok(());
    }
    match &constraint.body {
        ConstraintBody::Check { expression } => {
            let tree = crate::sql::parse::parse_expression(expression)?;
            let scope = scope_of(&table, &relation_name, Scope::empty());
            let compiled = value::compile_asking(&tree, &scope, &mut Vec::new(), work.input())?
                .without_parameters()?;
            let compiled = compiled.ready(work.context)?.into_owned();
            verify::check(work, relation, name, &compiled).await?;
        }
        ConstraintBody::ForeignKey {
            columns,
            table: parent,
            referenced,
            ..
        } => {
            let parent = match *parent == relation.oid {
                true => Some(relation.clone()),
                false => work.take(*parent, Use::BlockWriters).await?,
            };
            let gone = || Diagnostic::internal("a foreign key to nothing");
            let reference = verify::Reference {
                constraint: name,
                columns,
                parent: &parent.ok_or_else(gone)?,
                referenced,
            };
            verify::foreign_key(work, relation, reference).await?;
        }
    }
    let mut constraints = table_of(relation)?.constraints.iter_mut();
    if let Some(constraint) = constraints.find(|it| &*it.name == name) {
        constraint.validated = true;
    }
    Ok(())
}

/// The table's columns that an expression names.
pub fn columns_named(table: &Table, expression: &ast::Expr) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let _ = ast::visit_expressions(expression, |part| {
        let last = match part {
            ast::Expr::Identifier(name) => Some(name),
            ast::Expr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        if let Some(name) = last.map(name::fold)
            && super::work::position_of(table, &name).is_some()
            && !found.contains(&name)
        {
            found.push(name);
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    found
}

/// Whether an index has the column of this position, in an expression or its predicate too.
pub fn index_names(table: &Table, index: &Index, position: u16) -> bool {
    let details = &index.details;
    if index.columns.contains(&position) || details.include.contains(&position) {
        return true;
    }
    let column = &table.columns[usize::from(position)].name;
    let expressions = details.expressions.iter();
    let mut texts = expressions.map(|it| &it.text).chain(&details.predicate);
    texts.any(|text| match crate::sql::parse::parse_expression(text) {
        Ok(tree) => columns_named(table, &tree)
            .iter()
            .any(|named| **named == **column),
        Err(_) => true,
    })
}

/// Takes a constraint away from the table, with what belongs to it.
///
/// # Errors
/// 42704 where there is none of this name; 2BP01 where foreign keys need it.
pub async fn drop(
    work: &mut Work<'_>,
    relation: &mut Relation,
    name: &str,
    cascade: bool,
) -> Result<bool, Diagnostic> {
    let table = table_of(relation)?;
    if let Some(at) = table
        .constraints
        .iter()
        .position(|constraint| &*constraint.name == name)
    {
        let constraint = table.constraints.remove(at);
        table
            .constraint_comments
            .retain(|(commented, _)| *commented != constraint.oid);
        if let ConstraintBody::ForeignKey { table: parent, .. } = &constraint.body
            && let Some(parent) = work.definitions().get(*parent)
        {
            work.demand_nothing_waits(parent, "ALTER TABLE").await?;
        }
        foreign_key::forget_parent(work, relation, &constraint).await?;
        return Ok(true);
    }
    let definitions = work.definitions();
    let table = table_of(relation)?;
    let candidates = table.indexes.iter().chain(&table.primary_index);
    let found = candidates
        .filter_map(|oid| definitions.get(*oid))
        .find(|index| &*index.name == name && index.index().is_some_and(|i| i.constraint.is_some()))
        .cloned();
    let Some(index_relation) = found else {
        return Ok(false);
    };
    drop_key(work, relation, &index_relation, cascade).await?;
    Ok(true)
}

async fn drop_key(
    work: &mut Work<'_>,
    relation: &mut Relation,
    index_relation: &Arc<Relation>,
    cascade: bool,
) -> Result<(), Diagnostic> {
    let index = index_relation
        .index()
        .ok_or_else(|| Diagnostic::internal("an index that is none"))?
        .clone();
    super::drop::free_key(work, relation, index_relation, &index, cascade).await?;
    let table = table_of(relation)?;
    table
        .constraint_comments
        .retain(|(commented, _)| *commented != index_relation.oid);
    if table.primary_index == Some(index_relation.oid) {
        table.primary_index = None;
        let mut indexes = indexes_of(work, table_of(relation)?)?;
        rebuild(
            work,
            relation,
            Vec::new(),
            &index_relation.name,
            &mut indexes,
        )
        .await?;
        for index in indexes {
            work.define(index)?;
        }
    } else {
        table.indexes.retain(|oid| *oid != index_relation.oid);
    }
    work.undefine(index_relation)
}

/// RENAME CONSTRAINT
///
/// # Errors
/// 42704, 42710.
pub async fn rename(
    work: &mut Work<'_>,
    relation: &mut Relation,
    from: &str,
    to: &str,
) -> Result<(), Diagnostic> {
    let relation_name = relation.name.clone();
    let definitions = work.definitions();
    let table = table_of(relation)?;
    let new = choose_constraint(work, &table.clone(), &relation_name, Some(to), &[], "")?;
    if let Some(constraint) = table
        .constraints
        .iter_mut()
        .find(|constraint| &*constraint.name == from)
    {
        constraint.name = new;
        return Ok(());
    }
    let mut candidates = table.indexes.iter().chain(&table.primary_index);
    let index = candidates
        .find_map(|oid| definitions.get(*oid).filter(|index| &*index.name == from))
        .cloned();
    match index {
        Some(index) => super::alter::rename_relation(work, Relation::clone(&index), to).await,
        None => Err(Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("constraint \"{from}\" for table \"{relation_name}\" does not exist"),
        )),
    }
}

/// 42704
pub fn undefined(constraint: &str, relation: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("constraint \"{constraint}\" of relation \"{relation}\" does not exist"),
    )
}

/// Positions for CREATE INDEX, whose columns are told missing in other words than a key's.
///
/// # Errors
/// 42703.
pub fn index_position(table: &Table, relation: &str, column: &str) -> Result<u16, Diagnostic> {
    column_of(table, relation, column).map_err(|_| {
        Diagnostic::error(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" does not exist"),
        )
    })
}
