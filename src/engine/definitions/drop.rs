//! DROP TABLE, VIEW, INDEX, SEQUENCE: with what depends on it, or not at all.

use super::create_table::owned_sequences;
use super::foreign_key;
use super::view;
use super::work::{Work, table_of};
use crate::catalog::Oid;
use crate::catalog::definition::{
    Constraint, ConstraintBody, Index, Relation, RelationBody, Table,
};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::functions::names;
use crate::engine::search_path;
use crate::storage::Use;
use sqlparser::ast::{self, ObjectType};
use std::sync::Arc;

/// The statement's own fields.
pub struct Drop<'a> {
    /// TABLE, VIEW, INDEX, SEQUENCE.
    pub object_type: ObjectType,
    /// IF EXISTS
    pub if_exists: bool,
    /// As given.
    pub names: &'a [ast::ObjectName],
    /// CASCADE
    pub cascade: bool,
}

/// DROP
///
/// # Errors
/// 42P01, 42809, 2BP01, 42501.
pub async fn drop(work: &mut Work<'_>, statement: Drop<'_>) -> Result<&'static str, Diagnostic> {
    let (kind, tag) = match statement.object_type {
        ObjectType::Table => (Kind::Table, "DROP TABLE"),
        ObjectType::View => (Kind::View, "DROP VIEW"),
        ObjectType::Index => (Kind::Index, "DROP INDEX"),
        ObjectType::Sequence => (Kind::Sequence, "DROP SEQUENCE"),
        ObjectType::Schema => {
            let (if_exists, cascade) = (statement.if_exists, statement.cascade);
            super::schema::drop(work, statement.names, if_exists, cascade).await?;
            return Ok("DROP SCHEMA");
        }
        ObjectType::Type => {
            super::drop_type::drop(work, &statement).await?;
            return Ok("DROP TYPE");
        }
        other => return Err(Diagnostic::unsupported(format!("DROP {other}"))),
    };
    let mut taken = Vec::new();
    for name in statement.names {
        let Some(found) = work.look_for(name)? else {
            absent(work, kind, name, statement.if_exists)?;
            continue;
        };
        work.context.rights.may_own(&found)?;
        demand_kind(&found, kind)?;
        let relation = take(work, &found).await?;
        match relation {
            Some(relation) => taken.push(relation),
            None => absent(work, kind, name, statement.if_exists)?,
        }
    }
    taken.sort_by_key(|relation| relation.oid);
    taken.dedup_by_key(|relation| relation.oid);
    drop_taken(work, taken, statement.cascade).await?;
    Ok(tag)
}

/// Drops tables that are taken, with what depends on them.
///
/// # Errors
/// 55006 for one that checks wait for, and what storage gives.
pub async fn drop_relations(
    work: &mut Work<'_>,
    mut taken: Vec<Relation>,
) -> Result<(), Diagnostic> {
    taken.sort_by_key(|relation| relation.oid);
    drop_taken(work, taken, true).await
}

async fn drop_taken(
    work: &mut Work<'_>,
    taken: Vec<Relation>,
    cascade: bool,
) -> Result<(), Diagnostic> {
    let dropping: Vec<Oid> = taken.iter().map(|relation| relation.oid).collect();
    let dependents = dependents_of(work, &taken, &dropping)?;
    if !dependents.is_empty() {
        if !cascade {
            let lines: Vec<String> = dependents.iter().map(Dependent::detail).collect();
            return Err(refused(&described(&taken, work.context), &lines));
        }
        tell(work, &dependents);
        for dependent in &dependents {
            dependent.remove(work).await?;
        }
    }
    for relation in taken {
        work.demand_nothing_waits(&relation, "DROP TABLE").await?;
        remove(work, relation.oid, &dropping).await?;
    }
    Ok(())
}

/// What each is, in the words of a message.
pub fn described(relations: &[Relation], context: &StatementContext) -> Vec<String> {
    let shown = |relation: &Relation| {
        let word = Kind::of(relation).word();
        format!("{word} {}", names::shown(relation, context))
    };
    relations.iter().map(shown).collect()
}

/// What DROP drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Table,
    View,
    Index,
    Sequence,
}

impl Kind {
    fn of(relation: &Relation) -> Kind {
        match relation.body {
            RelationBody::Table(_) => Kind::Table,
            RelationBody::View(_) => Kind::View,
            RelationBody::Index(_) => Kind::Index,
            RelationBody::Sequence(_) => Kind::Sequence,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::View => "view",
            Kind::Index => "index",
            Kind::Sequence => "sequence",
        }
    }
}

fn absent(
    work: &mut Work<'_>,
    kind: Kind,
    name: &ast::ObjectName,
    if_exists: bool,
) -> Result<(), Diagnostic> {
    let missing = match super::name::parts(name)? {
        (Some(schema), _) if !search_path::exists(&schema, work.context) => {
            search_path::no_schema(&schema)
        }
        (_, bare) => Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("{} \"{bare}\" does not exist", kind.word()),
        ),
    };
    if !if_exists {
        return Err(missing);
    }
    work.notice(format!("{}, skipping", missing.message()));
    Ok(())
}

fn demand_kind(relation: &Relation, kind: Kind) -> Result<(), Diagnostic> {
    let found = Kind::of(relation);
    if found == kind {
        return Ok(());
    }
    let article = |kind: Kind| if kind == Kind::Index { "an" } else { "a" };
    Err(Diagnostic::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!(
            "\"{}\" is not {} {}",
            relation.name,
            article(kind),
            kind.word()
        ),
    )
    .with_hint(format!(
        "Use DROP {} to remove {} {}.",
        found.word().to_uppercase(),
        article(found),
        found.word()
    )))
}

/// Takes the relation, or for an index its table, alone.
async fn take(work: &mut Work<'_>, found: &Relation) -> Result<Option<Relation>, Diagnostic> {
    if let RelationBody::Index(index) = &found.body {
        work.take(index.table, Use::Exclusive).await?;
        return work.take(found.oid, Use::Shared).await;
    }
    work.take(found.oid, Use::Exclusive).await
}

/// Something that cannot stay when what it depends on goes.
pub enum Dependent {
    ForeignKey {
        table: Oid,
        table_name: String,
        constraint: Constraint,
        on: String,
    },
    View {
        relation: Arc<Relation>,
        name: String,
        on: String,
    },
    Default {
        table: Oid,
        table_name: String,
        column: Arc<str>,
        on: String,
    },
    KeyConstraint {
        index: Arc<Relation>,
        table_name: String,
    },
}

impl Dependent {
    /// What it is.
    pub fn describe(&self) -> String {
        match self {
            Dependent::ForeignKey {
                table_name,
                constraint,
                ..
            } => format!("constraint {} on table {table_name}", constraint.name),
            Dependent::View { name, .. } => format!("view {name}"),
            Dependent::Default {
                table_name, column, ..
            } => format!("default value for column {column} of table {table_name}"),
            Dependent::KeyConstraint { index, table_name } => {
                format!("constraint {} on table {table_name}", index.name)
            }
        }
    }

    /// What it is, and on what it depends.
    pub fn detail(&self) -> String {
        match self {
            Dependent::ForeignKey { on, .. } => {
                format!("{} depends on table {on}", self.describe())
            }
            Dependent::View { on, .. } => format!("{} depends on {on}", self.describe()),
            Dependent::Default { on, .. } => {
                format!("{} depends on sequence {on}", self.describe())
            }
            Dependent::KeyConstraint { index, .. } => {
                format!("{} requires index {}", self.describe(), index.name)
            }
        }
    }

    /// Takes it away.
    ///
    /// # Errors
    /// What locking and storage give.
    pub async fn remove(&self, work: &mut Work<'_>) -> Result<(), Diagnostic> {
        match self {
            Dependent::ForeignKey {
                table, constraint, ..
            } => {
                if let Some(mut child) = work.take(*table, Use::Exclusive).await? {
                    let child_table = table_of(&mut child)?;
                    child_table
                        .constraints
                        .retain(|kept| kept.oid != constraint.oid);
                    child_table.layout_version += 1;
                    work.define(child)?;
                }
                Ok(())
            }
            Dependent::View { relation, .. } => {
                if let Some(view) = work.take(relation.oid, Use::Exclusive).await? {
                    work.undefine(&view)?;
                }
                Ok(())
            }
            Dependent::Default { table, column, .. } => {
                if let Some(mut owner) = work.take(*table, Use::Exclusive).await? {
                    let owner_table = table_of(&mut owner)?;
                    for found in &mut owner_table.columns {
                        if found.name == *column && !found.dropped {
                            found.default = None;
                            found.sequence = None;
                        }
                    }
                    owner_table.layout_version += 1;
                    work.define(owner)?;
                }
                Ok(())
            }
            Dependent::KeyConstraint { .. } => Err(Diagnostic::internal(
                "an index of a constraint is dropped with the constraint",
            )),
        }
    }
}

/// What depends on relations that are taken, and is not dropped with them.
///
/// # Errors
/// 2BP01 for what cannot be without one of them.
pub fn dependents_of(
    work: &mut Work<'_>,
    taken: &[Relation],
    dropping: &[Oid],
) -> Result<Vec<Dependent>, Diagnostic> {
    let (definitions, context) = (work.definitions(), work.context);
    let mut found = Vec::new();
    for relation in taken {
        match &relation.body {
            RelationBody::Table(table) => {
                for child in table
                    .referenced_by
                    .iter()
                    .filter(|oid| !dropping.contains(oid))
                {
                    if let Some(child) = definitions.get(*child) {
                        foreign_keys_to(relation, child, context, &mut found);
                    }
                }
                for sequence in owned_sequences(work, relation.oid) {
                    let mut counting = Vec::new();
                    defaults_of(&sequence, &definitions, context, &mut counting);
                    counting.retain(|dependent| match dependent {
                        Dependent::Default { table, .. } => !dropping.contains(table),
                        _ => true,
                    });
                    found.extend(counting);
                }
            }
            RelationBody::Sequence(_) => {
                demand_no_identity(relation, &definitions)?;
                defaults_of(relation, &definitions, context, &mut found);
            }
            RelationBody::Index(index) if index.constraint.is_some() => {
                let table = definitions.get(index.table);
                return Err(constraint_needs(relation, table, context));
            }
            RelationBody::Index(_) | RelationBody::View(_) => {}
        }
    }
    views_over(work, taken, dropping, &mut found)?;
    Ok(found)
}

fn foreign_keys_to(
    parent: &Relation,
    child: &Arc<Relation>,
    context: &StatementContext,
    found: &mut Vec<Dependent>,
) {
    let constraints = child.table().map(|table| table.constraints.as_slice());
    for constraint in constraints.unwrap_or_default() {
        if matches!(&constraint.body, ConstraintBody::ForeignKey { table, .. } if *table == parent.oid)
        {
            found.push(Dependent::ForeignKey {
                table: child.oid,
                table_name: names::shown(child, context),
                constraint: constraint.clone(),
                on: names::shown(parent, context),
            });
        }
    }
}

/// # Errors
/// 2BP01: an identity column cannot be without its sequence.
fn demand_no_identity(
    sequence: &Relation,
    definitions: &crate::catalog::definition::Definitions,
) -> Result<(), Diagnostic> {
    for relation in definitions.of_database(sequence.database) {
        let columns = relation.table().map(|table| table.columns.as_slice());
        for column in columns.unwrap_or_default() {
            let identity = column.identity.is_some() && !column.dropped;
            if identity && column.sequence == Some(sequence.oid) {
                let column = format!("column {} of table {}", column.name, relation.name);
                return Err(Diagnostic::error(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!(
                        "cannot drop sequence {} because {column} requires it",
                        sequence.name
                    ),
                )
                .with_hint(format!("You can drop {column} instead.")));
            }
        }
    }
    Ok(())
}

fn defaults_of(
    sequence: &Relation,
    definitions: &crate::catalog::definition::Definitions,
    context: &StatementContext,
    found: &mut Vec<Dependent>,
) {
    for relation in definitions.of_database(sequence.database) {
        let columns = relation.table().map(|table| table.columns.as_slice());
        for column in columns.unwrap_or_default() {
            if column.sequence == Some(sequence.oid) && !column.dropped {
                found.push(Dependent::Default {
                    table: relation.oid,
                    table_name: names::shown(relation, context),
                    column: column.name.clone(),
                    on: names::shown(sequence, context),
                });
            }
        }
    }
}

/// Views over what goes, views over those views, and so on.
fn views_over(
    work: &mut Work<'_>,
    taken: &[Relation],
    dropping: &[Oid],
    found: &mut Vec<Dependent>,
) -> Result<(), Diagnostic> {
    let gone: Vec<(Oid, String)> = taken
        .iter()
        .filter(|relation| matches!(Kind::of(relation), Kind::Table | Kind::View))
        .map(|relation| {
            let word = Kind::of(relation).word();
            let name = names::shown(relation, work.context);
            (relation.oid, format!("{word} {name}"))
        })
        .collect();
    views_over_all(work, gone, dropping, found)
}

fn views_over_all(
    work: &mut Work<'_>,
    mut gone: Vec<(Oid, String)>,
    dropping: &[Oid],
    found: &mut Vec<Dependent>,
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let mut at = 0;
    while at < gone.len() {
        let (oid, described) = gone[at].clone();
        at += 1;
        for relation in definitions.of_database(work.database()) {
            if dropping.contains(&relation.oid)
                || gone.iter().any(|(seen, _)| *seen == relation.oid)
            {
                continue;
            }
            if view::reads(work, relation, oid)? {
                let name = names::shown(relation, work.context);
                gone.push((relation.oid, format!("view {name}")));
                found.push(Dependent::View {
                    relation: relation.clone(),
                    name,
                    on: described.clone(),
                });
            }
        }
    }
    Ok(())
}

fn constraint_needs(
    index: &Relation,
    table: Option<&Arc<Relation>>,
    context: &StatementContext,
) -> Diagnostic {
    let table_name = table.map_or_else(|| "?".to_owned(), |table| names::shown(table, context));
    let dependent = Dependent::KeyConstraint {
        index: Arc::new(index.clone()),
        table_name,
    };
    Diagnostic::error(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!(
            "cannot drop index {} because {} requires it",
            index.name,
            dependent.describe()
        ),
    )
    .with_hint(format!("You can drop {} instead.", dependent.describe()))
}

/// 2BP01
pub fn refused(dropped: &[String], details: &[String]) -> Diagnostic {
    let message = match dropped {
        [only] => format!("cannot drop {only} because other objects depend on it"),
        _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
    };
    Diagnostic::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .with_detail(details.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

fn tell(work: &Work<'_>, dependents: &[Dependent]) {
    let lines: Vec<String> = dependents.iter().map(Dependent::describe).collect();
    tell_lines(work, &lines);
}

/// Says what goes with what is dropped.
pub fn tell_lines(work: &Work<'_>, dependents: &[String]) {
    match dependents {
        [only] => work.notice(format!("drop cascades to {only}")),
        several => {
            let lines: Vec<String> = several
                .iter()
                .map(|dependent| format!("drop cascades to {dependent}"))
                .collect();
            let notice =
                Diagnostic::notice(format!("drop cascades to {} other objects", several.len()))
                    .with_detail(lines.join("\n"));
            work.context.notices.push(notice);
        }
    }
}

/// Ends the definition of a relation that nothing depends on any more.
///
/// # Errors
/// What locking and storage give.
pub async fn remove(work: &mut Work<'_>, oid: Oid, dropping: &[Oid]) -> Result<(), Diagnostic> {
    let Some(mut relation) = work.take(oid, Use::Shared).await? else {
        return Ok(());
    };
    match &relation.body {
        RelationBody::Table(table) => {
            let table = table.clone();
            remove_belongings(work, &mut relation, &table, dropping).await?;
        }
        RelationBody::Index(index) => {
            let table = index.table;
            if let Some(mut owner) = work.take(table, Use::Exclusive).await? {
                let owner_table = table_of(&mut owner)?;
                owner_table.indexes.retain(|kept| *kept != oid);
                owner_table.layout_version += 1;
                work.define(owner)?;
            }
        }
        RelationBody::Sequence(_) | RelationBody::View(_) => {}
    }
    work.undefine(&relation)
}

/// A table's indexes, sequences and ends of foreign keys go with it.
async fn remove_belongings(
    work: &mut Work<'_>,
    relation: &mut Relation,
    table: &Table,
    dropping: &[Oid],
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let indexes = table.indexes.iter().chain(&table.primary_index);
    let indexes: Vec<_> = indexes
        .filter_map(|index| definitions.get(*index).cloned())
        .collect();
    for index in indexes {
        work.undefine(&index)?;
    }
    for sequence in owned_sequences(work, relation.oid) {
        work.undefine(&sequence)?;
    }
    let constraints = std::mem::take(&mut table_of(relation)?.constraints);
    for constraint in &constraints {
        let goes_too = matches!(
            &constraint.body,
            ConstraintBody::ForeignKey { table, .. } if dropping.contains(table)
        );
        if !goes_too {
            foreign_key::forget_parent(work, relation, constraint).await?;
        }
    }
    Ok(())
}

/// The foreign keys that point at these columns of the table.
fn references_to_key(
    work: &mut Work<'_>,
    relation: &mut Relation,
    index: &Index,
) -> Result<Vec<Dependent>, Diagnostic> {
    let (definitions, context) = (work.definitions(), work.context);
    let mut dependents = Vec::new();
    let children = table_of(relation)?.referenced_by.clone();
    for child in children {
        let child = match child == relation.oid {
            true => Some(Arc::new(relation.clone())),
            false => definitions.get(child).cloned(),
        };
        if let Some(child) = child {
            foreign_keys_to(relation, &child, context, &mut dependents);
        }
    }
    dependents.retain(|dependent| match dependent {
        Dependent::ForeignKey { constraint, .. } => match &constraint.body {
            ConstraintBody::ForeignKey { referenced, .. } => {
                referenced.len() == index.columns.len()
                    && referenced
                        .iter()
                        .all(|column| index.columns.contains(column))
            }
            ConstraintBody::Check { .. } => false,
        },
        Dependent::View { .. } | Dependent::Default { .. } | Dependent::KeyConstraint { .. } => {
            false
        }
    });
    Ok(dependents)
}

/// Before a key goes: foreign keys that point at it go with CASCADE, or it stays.
///
/// # Errors
/// 2BP01
pub async fn free_key(
    work: &mut Work<'_>,
    relation: &mut Relation,
    index_relation: &Relation,
    index: &Index,
    cascade: bool,
) -> Result<(), Diagnostic> {
    let dependents = references_to_key(work, relation, index)?;
    if dependents.is_empty() {
        return Ok(());
    }
    if !cascade {
        let details: Vec<String> = dependents
            .iter()
            .map(|dependent| {
                format!(
                    "{} depends on index {}",
                    dependent.describe(),
                    index_relation.name
                )
            })
            .collect();
        return Err(Diagnostic::error(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!(
                "cannot drop constraint {} on table {} because other objects depend on it",
                index_relation.name, relation.name
            ),
        )
        .with_detail(details.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    tell(work, &dependents);
    for dependent in &dependents {
        match dependent {
            Dependent::ForeignKey {
                table, constraint, ..
            } if *table == relation.oid => {
                let (own, oid) = (relation.oid, constraint.oid);
                let own_table = table_of(relation)?;
                own_table.constraints.retain(|kept| kept.oid != oid);
                own_table.referenced_by.retain(|child| *child != own);
            }
            _ => {
                dependent.remove(work).await?;
                if let Dependent::ForeignKey { table, .. } = dependent {
                    table_of(relation)?
                        .referenced_by
                        .retain(|child| child != table);
                }
            }
        }
    }
    Ok(())
}

/// Before a column goes: the views that need it go with CASCADE, or it stays.
///
/// # Errors
/// 2BP01
pub async fn free_column(
    work: &mut Work<'_>,
    relation: &Relation,
    column: &str,
    cascade: bool,
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let on = format!(
        "column {column} of table {}",
        names::shown(relation, work.context)
    );
    let (mut dependents, mut gone) = (Vec::new(), Vec::new());
    for other in definitions.of_database(relation.database) {
        if view::reads_column(work, other, relation.oid, column)? {
            let name = names::shown(other, work.context);
            gone.push((other.oid, format!("view {name}")));
            dependents.push(Dependent::View {
                relation: other.clone(),
                name,
                on: on.clone(),
            });
        }
    }
    views_over_all(work, gone, &[], &mut dependents)?;
    go_with_column(work, column, relation, &dependents, cascade).await
}

/// The sequences that belong to a column, which go with it; another column's default that counts with one
/// goes with CASCADE, or all stay.
///
/// # Errors
/// 2BP01
pub async fn sequences_of_column(
    work: &mut Work<'_>,
    relation: &mut Relation,
    position: u16,
    cascade: bool,
) -> Result<Vec<Arc<Relation>>, Diagnostic> {
    let definitions = work.definitions();
    let column = table_of(relation)?.columns[usize::from(position)]
        .name
        .clone();
    let mut owned = owned_sequences(work, relation.oid);
    owned.retain(|sequence| match &sequence.body {
        RelationBody::Sequence(body) => body.owned_by == Some((relation.oid, position)),
        _ => false,
    });
    let mut dependents = Vec::new();
    for sequence in &owned {
        defaults_of(sequence, &definitions, work.context, &mut dependents);
    }
    dependents.retain(|dependent| match dependent {
        Dependent::Default {
            table,
            column: counting,
            ..
        } => *table != relation.oid || *counting != column,
        _ => true,
    });
    let own: Vec<Arc<str>> = dependents
        .iter()
        .filter_map(|dependent| match dependent {
            Dependent::Default { table, column, .. } if *table == relation.oid => {
                Some(column.clone())
            }
            _ => None,
        })
        .collect();
    go_with_column(work, &column, relation, &dependents, cascade).await?;
    // The table itself is at hand, and is defined by who changes it.
    for found in &mut table_of(relation)?.columns {
        if own.contains(&found.name) {
            found.default = None;
            found.sequence = None;
        }
    }
    Ok(owned)
}

async fn go_with_column(
    work: &mut Work<'_>,
    column: &str,
    relation: &Relation,
    dependents: &[Dependent],
    cascade: bool,
) -> Result<(), Diagnostic> {
    if dependents.is_empty() {
        return Ok(());
    }
    if !cascade {
        let details: Vec<String> = dependents.iter().map(Dependent::detail).collect();
        return Err(Diagnostic::error(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!(
                "cannot drop column {column} of table {} because other objects depend on it",
                relation.name
            ),
        )
        .with_detail(details.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    tell(work, dependents);
    for dependent in dependents {
        let own = matches!(dependent, Dependent::Default { table, .. } if *table == relation.oid);
        if !own {
            dependent.remove(work).await?;
        }
    }
    Ok(())
}
