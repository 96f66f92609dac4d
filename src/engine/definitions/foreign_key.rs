//! FOREIGN KEY: checked, added to both tables, taken away from both.

use super::constraint::{Existing, choose_constraint};
use super::name;
use super::verify;
use super::work::{Work, missing, table_of};
use crate::catalog::definition::{
    Constraint, ConstraintBody, Deferral, ReferentialAction, Relation, Table,
};
use crate::catalog::schema::is_temporary;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::search_path;
use crate::engine::types::{self, CastContext};
use crate::storage::Use;
use sqlparser::ast;

/// Whether the table's bare name leads to it, which may not be defined yet.
fn is_found_first(work: &mut Work<'_>, relation: &Relation) -> bool {
    if is_temporary(&relation.schema) {
        return true;
    }
    let definitions = work.definitions();
    let database = work.database();
    let path = search_path::in_force(&definitions, work.context);
    let first = path.iter().find(|schema| {
        **schema == relation.schema || definitions.find(database, schema, &relation.name).is_some()
    });
    first == Some(&relation.schema)
}

/// # Errors
/// 42P16: what points at a temporary table goes with it, and the other way round.
fn demand_as_lasting(relation: &Relation, parent: &Relation) -> Result<(), Diagnostic> {
    let of = |relation: &Relation| is_temporary(&relation.schema);
    let what = match (of(relation), of(parent)) {
        (false, true) => "permanent",
        (true, false) => "temporary",
        _ => return Ok(()),
    };
    Err(Diagnostic::error(
        SqlState::INVALID_TABLE_DEFINITION,
        format!("constraints on {what} tables may reference only {what} tables"),
    ))
}

/// FOREIGN KEY, as given.
pub struct Foreign {
    columns: Vec<String>,
    table: ast::ObjectName,
    referenced: Vec<String>,
    on_update: ReferentialAction,
    on_delete: ReferentialAction,
    deferral: Deferral,
}

impl Foreign {
    /// Of these columns.
    ///
    /// # Errors
    /// 42601, 0A000: see [`deferral`].
    pub fn new(
        columns: Vec<String>,
        given: &ast::ForeignKeyConstraint,
    ) -> Result<Foreign, Diagnostic> {
        Ok(Foreign {
            columns,
            table: given.foreign_table.clone(),
            referenced: given.referred_columns.iter().map(name::fold).collect(),
            on_update: action(given.on_update),
            on_delete: action(given.on_delete),
            deferral: deferral(given.characteristics.as_ref())?,
        })
    }

    /// Makes it part of the table, and of the table it points at.
    ///
    /// # Errors
    /// 42703, 42830, 42804, 42710; 23503 by existing rows.
    pub async fn add(
        &self,
        work: &mut Work<'_>,
        relation: &mut Relation,
        name: Option<&str>,
        existing: Existing,
    ) -> Result<(), Diagnostic> {
        let columns = key_positions(table_of(relation)?, &self.columns)?;
        let (parent_schema, parent_name) = name::parts(&self.table)?;
        let to_itself = parent_name == *relation.name
            && match parent_schema {
                Some(schema) => schema == *relation.schema,
                None => is_found_first(work, relation),
            };
        let mut parent = match to_itself {
            true => relation.clone(),
            false => self.parent(work).await?,
        };
        demand_as_lasting(relation, &parent)?;
        work.context.rights.may_reference(&parent)?;
        let referenced = self.referenced_positions(work, &parent, columns.len())?;
        let labels: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let relation_name = relation.name.clone();
        let table = table_of(relation)?.clone();
        let name = choose_constraint(work, &table, &relation_name, name, &labels, "fkey")?;
        check_types(relation, &columns, &parent, &referenced, &name)?;
        if existing == Existing::Rows {
            let reference = verify::Reference {
                constraint: &name,
                columns: &columns,
                parent: &parent,
                referenced: &referenced,
            };
            verify::foreign_key(work, relation, reference).await?;
        }
        let oid = work.new_oid()?;
        let (child_oid, parent_oid) = (relation.oid, parent.oid);
        let constraint = Constraint {
            oid,
            name,
            body: ConstraintBody::ForeignKey {
                columns,
                table: parent_oid,
                referenced,
                on_update: self.on_update,
                on_delete: self.on_delete,
                deferral: self.deferral,
            },
            validated: existing != Existing::Unchecked,
        };
        super::generated::demand_no_action(table_of(relation)?, &constraint)?;
        table_of(relation)?.constraints.push(constraint);
        let parent_table = match to_itself {
            true => table_of(relation)?,
            false => table_of(&mut parent)?,
        };
        if !parent_table.referenced_by.contains(&child_oid) {
            parent_table.referenced_by.push(child_oid);
        }
        if !to_itself {
            table_of(&mut parent)?.layout_version += 1;
            work.define(parent)?;
        }
        Ok(())
    }

    /// The table pointed at, kept from changing.
    async fn parent(&self, work: &mut Work<'_>) -> Result<Relation, Diagnostic> {
        let absent = || missing("relation", &self.table);
        let found = work.find(&self.table)?.ok_or_else(absent)?;
        let mut parent = work
            .take(found.oid, Use::BlockWriters)
            .await?
            .ok_or_else(absent)?;
        if parent.table().is_none() {
            return Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("referenced relation \"{}\" is not a table", parent.name),
            ));
        }
        table_of(&mut parent)?;
        Ok(parent)
    }

    /// The columns pointed at: the primary key where none are named.
    fn referenced_positions(
        &self,
        work: &mut Work<'_>,
        parent: &Relation,
        count: usize,
    ) -> Result<Vec<u16>, Diagnostic> {
        let table = parent
            .table()
            .ok_or_else(|| Diagnostic::internal("a foreign key to what is no table"))?;
        if self.referenced.is_empty() && table.primary_key.is_empty() {
            return Err(Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!(
                    "there is no primary key for referenced table \"{}\"",
                    parent.name
                ),
            ));
        }
        let positions = match &self.referenced[..] {
            [] => table.primary_key.clone(),
            named => key_positions(table, named)?,
        };
        if positions.len() != count {
            return Err(Diagnostic::error(
                SqlState::INVALID_FOREIGN_KEY,
                "number of referencing and referenced columns for foreign key disagree",
            ));
        }
        if !is_unique(work, table, &positions) {
            return Err(Diagnostic::error(
                SqlState::INVALID_FOREIGN_KEY,
                format!(
                    "there is no unique constraint matching given keys for referenced table \"{}\"",
                    parent.name
                ),
            ));
        }
        Ok(positions)
    }
}

/// 42703 as PostgreSQL words it for foreign keys.
fn key_positions(table: &Table, columns: &[String]) -> Result<Vec<u16>, Diagnostic> {
    columns
        .iter()
        .map(|column| {
            super::work::position_of(table, column).ok_or_else(|| {
                Diagnostic::error(
                    SqlState::UNDEFINED_COLUMN,
                    format!(
                        "column \"{column}\" referenced in foreign key constraint does not exist"
                    ),
                )
            })
        })
        .collect()
}

fn same_columns(left: &[u16], right: &[u16]) -> bool {
    left.len() == right.len() && left.iter().all(|position| right.contains(position))
}

fn is_unique(work: &mut Work<'_>, table: &Table, positions: &[u16]) -> bool {
    if same_columns(&table.primary_key, positions) {
        return true;
    }
    let definitions = work.definitions();
    table
        .indexes
        .iter()
        .filter_map(|oid| definitions.get(*oid)?.index())
        .any(|index| index.unique && index.is_plain() && same_columns(&index.columns, positions))
}

/// Whether an index over one of the types finds values of the other (PostgreSQL 15, §11.10 "Operator Classes and Operator Families").
fn of_one_family(one: SqlType, other: SqlType) -> bool {
    use TypeKind::{
        Date, Float4, Float8, Int2, Int4, Int8, Name, Text, Timestamp, Timestamptz, Varchar,
    };
    let families: [&[TypeKind]; 4] = [
        &[Int2, Int4, Int8],
        &[Float4, Float8],
        &[Date, Timestamp, Timestamptz],
        &[Text, Varchar, Name],
    ];
    let has_both =
        |family: &&[TypeKind]| family.contains(&one.kind) && family.contains(&other.kind);
    one.array == other.array && families.iter().any(has_both)
}

/// Whether the columns of both ends can be compared: the referenced one's index finds what the other one has.
///
/// # Errors
/// 42804 in PostgreSQL's words.
pub fn check_types(
    child: &Relation,
    columns: &[u16],
    parent: &Relation,
    referenced: &[u16],
    constraint: &str,
) -> Result<(), Diagnostic> {
    let column = |relation: &Relation, position: u16| {
        relation
            .table()
            .map(|table| table.columns[usize::from(position)].clone())
            .ok_or_else(|| Diagnostic::internal("a foreign key of what is no table"))
    };
    for (from, to) in columns.iter().zip(referenced) {
        let (from, to) = (column(child, *from)?, column(parent, *to)?);
        if !types::can_cast(from.sql_type, to.sql_type, CastContext::Implicit)
            && !of_one_family(from.sql_type, to.sql_type)
        {
            return Err(Diagnostic::error(
                SqlState::DATATYPE_MISMATCH,
                format!("foreign key constraint \"{constraint}\" cannot be implemented"),
            )
            .with_detail(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                from.name,
                to.name,
                types::format_type(from.sql_type),
                types::format_type(to.sql_type)
            )));
        }
    }
    Ok(())
}

fn action(given: Option<ast::ReferentialAction>) -> ReferentialAction {
    match given {
        None | Some(ast::ReferentialAction::NoAction) => ReferentialAction::NoAction,
        Some(ast::ReferentialAction::Restrict) => ReferentialAction::Restrict,
        Some(ast::ReferentialAction::Cascade) => ReferentialAction::Cascade,
        Some(ast::ReferentialAction::SetNull) => ReferentialAction::SetNull,
        Some(ast::ReferentialAction::SetDefault) => ReferentialAction::SetDefault,
    }
}

/// When a foreign key is checked, as its definition says.
///
/// # Errors
/// 42601 where it contradicts itself, 0A000 for NOT ENFORCED.
pub fn deferral(given: Option<&ast::ConstraintCharacteristics>) -> Result<Deferral, Diagnostic> {
    let Some(given) = given else {
        return Ok(Deferral::None);
    };
    if given.enforced == Some(false) {
        return Err(Diagnostic::unsupported("a constraint that is not enforced"));
    }
    let deferred = given.initially == Some(ast::DeferrableInitial::Deferred);
    match (given.deferrable, deferred) {
        (Some(false), true) => Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
        )),
        (_, true) => Ok(Deferral::InitiallyDeferred),
        (Some(true), false) => Ok(Deferral::InitiallyImmediate),
        (Some(false) | None, false) => Ok(Deferral::None),
    }
}

/// ALTER CONSTRAINT: when the foreign key is checked from now on.
///
/// # Errors
/// 42704, 42809; as [`deferral`].
pub fn alter(
    work: &mut Work<'_>,
    relation: &mut Relation,
    name: &str,
    given: &ast::ConstraintCharacteristics,
) -> Result<(), Diagnostic> {
    let new = deferral(Some(given))?;
    let relation_name = relation.name.clone();
    let definitions = work.definitions();
    let table = table_of(relation)?;
    let mut keys = table.indexes.iter().chain(&table.primary_index);
    let is_key = keys.any(|oid| definitions.get(*oid).is_some_and(|key| &*key.name == name));
    let mut constraints = table.constraints.iter_mut();
    let found = constraints.find(|constraint| &*constraint.name == name);
    match found.map(|constraint| &mut constraint.body) {
        Some(ConstraintBody::ForeignKey { deferral, .. }) => {
            *deferral = new;
            Ok(())
        }
        None if !is_key => Err(super::constraint::undefined(name, &relation_name)),
        Some(ConstraintBody::Check { .. }) | None => Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!(
                "constraint \"{name}\" of relation \"{relation_name}\" is not a foreign key constraint"
            ),
        )),
    }
}

/// The other end of a foreign key forgets it, unless another one of this table points there.
pub async fn forget_parent(
    work: &mut Work<'_>,
    relation: &mut Relation,
    constraint: &Constraint,
) -> Result<(), Diagnostic> {
    let ConstraintBody::ForeignKey { table: parent, .. } = &constraint.body else {
        return Ok(());
    };
    let child = relation.oid;
    let table = table_of(relation)?;
    let still = table.constraints.iter().any(
        |other| matches!(&other.body, ConstraintBody::ForeignKey { table, .. } if table == parent),
    );
    if still {
        return Ok(());
    }
    if *parent == child {
        table.referenced_by.retain(|oid| *oid != child);
        return Ok(());
    }
    if let Some(mut parent) = work.take(*parent, Use::BlockWriters).await? {
        let parent_table = table_of(&mut parent)?;
        parent_table.referenced_by.retain(|oid| *oid != child);
        parent_table.layout_version += 1;
        work.define(parent)?;
    }
    Ok(())
}
