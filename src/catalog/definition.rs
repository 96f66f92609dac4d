//! What is defined about rows: databases' schemas, tables, indexes, sequences, views, their grants.
//!
//! These live in the row store and commit with the rows (DESIGN §6 "Two kinds of truth"). A
//! [`Definitions`] is immutable and shared; a change makes the next one in O(log n).

use super::enumeration::{self, UserType};
use super::ids::{DatabaseId, Oid, PrincipalId, RelationId};
use super::row_policy::RowSecurity;
use super::schema::{PUBLIC, Schema};
use super::sql_type::SqlType;
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The columns that PostgreSQL's tables have by themselves (PostgreSQL 15, §5.5). Ours have none, and no column of
/// a user's may be called so.
pub const SYSTEM_COLUMNS: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// Everything defined in every database. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    relations: OrdMap<Oid, Arc<Relation>>,
    by_name: OrdMap<(DatabaseId, Arc<str>, Arc<str>), Oid>,
    /// None: `public`, which is there without a record, has been dropped.
    schemas: OrdMap<(DatabaseId, Arc<str>), Option<Arc<Schema>>>,
    schema_names: OrdMap<(DatabaseId, Oid), Arc<str>>,
    types: OrdMap<Oid, Arc<UserType>>,
    type_names: OrdMap<(DatabaseId, Arc<str>, Arc<str>), Oid>,
}

/// What is left of databases that are gone.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    /// Relations, with their rows.
    pub relations: Vec<Arc<Relation>>,
    /// Schemas, by database and name: also a `public` that was dropped before its database.
    pub schemas: Vec<(DatabaseId, Arc<str>)>,
    /// Types.
    pub types: Vec<Arc<UserType>>,
}

impl Orphans {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty() && self.schemas.is_empty() && self.types.is_empty()
    }
}

/// One step of a change of definitions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum DefinitionChange {
    /// Made, or replaced under the same OID.
    Put(Arc<Relation>),
    /// Gone.
    Drop(Oid),
    /// A schema, made or replaced under the same name.
    PutSchema(Arc<Schema>),
    /// A schema is gone.
    DropSchema(DatabaseId, Arc<str>),
    /// A type, made or replaced under the same OID.
    PutType(Arc<UserType>),
    /// A type is gone.
    DropType(Oid),
}

/// A table, index, sequence or view: what shares one name space in a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// pg_class.oid.
    pub oid: Oid,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// `public` unless created elsewhere.
    pub schema: Arc<str>,
    /// Its name in the schema.
    pub name: Arc<str>,
    /// Who owns it.
    pub owner: PrincipalId,
    /// GRANTs on it.
    pub grants: Vec<Grant>,
    /// COMMENT ON it.
    pub comment: Option<Arc<str>>,
    /// What it is.
    pub body: RelationBody,
    /// Who sees which of its rows.
    pub row_security: RowSecurity,
}

/// What a relation is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RelationBody {
    /// An ordinary table.
    Table(Table),
    /// An index, of a constraint or CREATE INDEX.
    Index(Index),
    /// A sequence.
    Sequence(Sequence),
    /// A view: its text is parsed at use.
    View(View),
}

/// An ordinary table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The prefix of its rows in storage.
    pub store: RelationId,
    /// Grows with every change of layout; rows carry the one they were written under.
    pub layout_version: u32,
    /// In attnum order, dropped ones included (`dropped` is set), so that `attnum` = index + 1.
    pub columns: Vec<Column>,
    /// Positions (into `columns`) of the primary key, in key order; empty: a hidden row number.
    pub primary_key: Vec<u16>,
    /// The PRIMARY KEY constraint's index relation (its name and OID), if there is one.
    pub primary_index: Option<Oid>,
    /// The secondary and unique indexes.
    pub indexes: Vec<Oid>,
    /// CHECK and FOREIGN KEY constraints.
    pub constraints: Vec<Constraint>,
    /// Tables whose foreign keys point here (their OIDs), kept for deletes and updates of keys.
    pub referenced_by: Vec<Oid>,
    /// `fillfactor` and UNLOGGED, kept as they were given for the catalogs and dumps.
    pub options: Vec<(Arc<str>, Arc<str>)>,
    /// COMMENT ON its columns, by their positions.
    pub comments: Vec<(u16, Arc<str>)>,
    /// COMMENT ON its constraints of every kind, by their OIDs.
    pub constraint_comments: Vec<(Oid, Arc<str>)>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// Its type with typmod.
    pub sql_type: SqlType,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT, as SQL text in canonical form; of a generated column the expression over the row.
    pub default: Option<Arc<str>>,
    /// GENERATED ALWAYS AS (`default`) STORED.
    pub generated: bool,
    /// GENERATED … AS IDENTITY.
    pub identity: Option<Identity>,
    /// The sequence that belongs to it (serial, identity).
    pub sequence: Option<Oid>,
    /// The layout version that added it; rows of an older one have `missing` in its place.
    pub added_in: u32,
    /// What rows older than the column hold, as the engine encodes it; None is NULL.
    pub missing: Option<Arc<[u8]>>,
    /// DROP COLUMN leaves the place.
    pub dropped: bool,
}

/// GENERATED … AS IDENTITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// GENERATED ALWAYS
    Always,
    /// GENERATED BY DEFAULT
    ByDefault,
}

/// An index on a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// The prefix of its entries in storage; for the primary key's index that of the table.
    pub store: RelationId,
    /// The table.
    pub table: Oid,
    /// Positions into the table's columns, in index order; from [`Index::EXPRESSIONS`] on they are
    /// those of expressions.
    pub columns: Vec<u16>,
    /// Per column: DESC.
    pub descending: Vec<bool>,
    /// UNIQUE (two NULLs are distinct).
    pub unique: bool,
    /// Of a PRIMARY KEY or UNIQUE constraint rather than CREATE INDEX.
    pub constraint: Option<IndexConstraint>,
    /// What goes beyond columns in order.
    pub details: IndexDetails,
}

/// What an index may have besides columns in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexDetails {
    /// The expressions among its columns, in order.
    pub expressions: Vec<IndexExpression>,
    /// WHERE, as canonical SQL text: only rows for which it holds have entries.
    pub predicate: Option<Arc<str>>,
    /// INCLUDE: positions of columns that are named and of no effect.
    pub include: Vec<u16>,
    /// Per column: NULLS FIRST; where it is empty, as DESC has it. Entries keep their own order of NULLs.
    pub nulls_first: Vec<bool>,
    /// Per column: the operator class that was named.
    pub operator_classes: Vec<Option<Arc<str>>>,
}

/// An expression that an index has in a column's place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexExpression {
    /// As canonical SQL text over the table's columns.
    pub text: Arc<str>,
    /// Its type.
    pub sql_type: SqlType,
    /// pg_attribute.attname: the function's name, or `expr`.
    pub name: Arc<str>,
}

impl Index {
    /// Positions from here on are of expressions; no table has so many columns.
    pub const EXPRESSIONS: u16 = 1 << 15;

    /// The expression at this position of [`Index::columns`]; None for a column.
    pub fn expression(&self, position: u16) -> Option<&IndexExpression> {
        let place = position.checked_sub(Index::EXPRESSIONS)?;
        self.details.expressions.get(usize::from(place))
    }

    /// Whether every row has an entry, of columns alone.
    pub fn is_plain(&self) -> bool {
        self.details.expressions.is_empty() && self.details.predicate.is_none()
    }

    /// The type at this position of [`Index::columns`].
    pub fn type_at(&self, table: &Table, position: u16) -> Option<SqlType> {
        match self.expression(position) {
            Some(expression) => Some(expression.sql_type),
            None => Some(table.columns.get(usize::from(position))?.sql_type),
        }
    }

    /// Whether column order puts NULLs first at this place.
    pub fn nulls_first(&self, place: usize) -> bool {
        let by_default = || self.descending.get(place).copied().unwrap_or(false);
        let given = self.details.nulls_first.get(place).copied();
        given.unwrap_or_else(by_default)
    }
}

/// Which constraint an index serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexConstraint {
    /// PRIMARY KEY
    PrimaryKey,
    /// UNIQUE
    Unique,
}

/// A CHECK or FOREIGN KEY constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// pg_constraint.oid.
    pub oid: Oid,
    /// Unique in the table.
    pub name: Arc<str>,
    /// What it demands.
    pub body: ConstraintBody,
    /// Whether every row is known to be as it demands; false since NOT VALID.
    pub validated: bool,
}

/// What a constraint demands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConstraintBody {
    /// CHECK (expression), as canonical SQL text.
    Check {
        /// The expression.
        expression: Arc<str>,
    },
    /// FOREIGN KEY (columns) REFERENCES table (referenced).
    ForeignKey {
        /// Positions into this table's columns.
        columns: Vec<u16>,
        /// The table pointed at.
        table: Oid,
        /// Positions into its columns: a primary key or unique index of it.
        referenced: Vec<u16>,
        /// ON UPDATE
        on_update: ReferentialAction,
        /// ON DELETE
        on_delete: ReferentialAction,
        /// DEFERRABLE
        deferral: Deferral,
    },
}

/// When a foreign key is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deferral {
    /// NOT DEFERRABLE: when the statement ends.
    #[default]
    None,
    /// DEFERRABLE INITIALLY IMMEDIATE: when the statement ends, unless SET CONSTRAINTS puts it off.
    InitiallyImmediate,
    /// DEFERRABLE INITIALLY DEFERRED: at COMMIT, unless SET CONSTRAINTS says otherwise.
    InitiallyDeferred,
}

/// What a foreign key does when the row pointed at goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// NO ACTION
    NoAction,
    /// RESTRICT
    Restrict,
    /// CASCADE
    Cascade,
    /// SET NULL
    SetNull,
    /// SET DEFAULT
    SetDefault,
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// Where its counter is kept.
    pub store: RelationId,
    /// int2, int4 or int8.
    pub sql_type: SqlType,
    /// START
    pub start: i64,
    /// INCREMENT
    pub increment: i64,
    /// MINVALUE
    pub min: i64,
    /// MAXVALUE
    pub max: i64,
    /// CYCLE
    pub cycle: bool,
    /// OWNED BY: table and column position.
    pub owned_by: Option<(Oid, u16)>,
}

/// A view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The query, as SQL text.
    pub query: Arc<str>,
    /// Names and types of its columns.
    pub columns: Vec<(Arc<str>, SqlType)>,
    /// COMMENT ON its columns, by their positions.
    pub comments: Vec<(u16, Arc<str>)>,
}

/// GRANT … ON TABLE … TO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// A user, service account or custom role. By id, which is never reused, so that a grant to
    /// a dropped name says nothing about the next holder of that name.
    pub grantee: PrincipalId,
    /// Which statements.
    pub privileges: Privileges,
}

/// A set of table privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    /// SELECT
    pub select: bool,
    /// INSERT
    pub insert: bool,
    /// UPDATE
    pub update: bool,
    /// DELETE
    pub delete: bool,
}

impl Privileges {
    /// ALL
    pub const ALL: Privileges = Privileges {
        select: true,
        insert: true,
        update: true,
        delete: true,
    };

    /// What either gives.
    #[must_use]
    pub fn union(self, other: Privileges) -> Privileges {
        Privileges {
            select: self.select || other.select,
            insert: self.insert || other.insert,
            update: self.update || other.update,
            delete: self.delete || other.delete,
        }
    }

    /// What both give.
    #[must_use]
    pub fn intersection(self, other: Privileges) -> Privileges {
        Privileges {
            select: self.select && other.select,
            insert: self.insert && other.insert,
            update: self.update && other.update,
            delete: self.delete && other.delete,
        }
    }

    /// What this gives and the other does not.
    #[must_use]
    pub fn without(self, other: Privileges) -> Privileges {
        Privileges {
            select: self.select && !other.select,
            insert: self.insert && !other.insert,
            update: self.update && !other.update,
            delete: self.delete && !other.delete,
        }
    }

    /// Whether it gives nothing.
    pub fn is_empty(self) -> bool {
        self == Privileges::default()
    }

    /// The names of those given, in PostgreSQL's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (self.insert, "INSERT"),
            (self.select, "SELECT"),
            (self.update, "UPDATE"),
            (self.delete, "DELETE"),
        ]
        .into_iter()
        .filter_map(|(given, name)| given.then_some(name))
    }
}

impl Definitions {
    /// The relation with this OID.
    pub fn get(&self, oid: Oid) -> Option<&Arc<Relation>> {
        self.relations.get(&oid)
    }

    /// The relation of this name.
    pub fn find(&self, database: DatabaseId, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        let key = (database, Arc::from(schema), Arc::from(name));
        self.by_name
            .get(&key)
            .and_then(|oid| self.relations.get(oid))
    }

    /// How many relations there are.
    pub fn count(&self) -> usize {
        self.relations.len()
    }

    /// All relations of all databases, by OID.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.values()
    }

    /// All relations of one database, by schema and name.
    pub fn of_database(&self, database: DatabaseId) -> impl Iterator<Item = &Arc<Relation>> {
        let from = (database, Arc::from(""), Arc::from(""));
        self.by_name
            .range(from..)
            .take_while(move |((of, _, _), _)| *of == database)
            .filter_map(|(_, oid)| self.relations.get(oid))
    }

    /// All relations of one schema, by name.
    pub fn within(
        &self,
        database: DatabaseId,
        schema: &Arc<str>,
    ) -> impl Iterator<Item = &Arc<Relation>> {
        let from = (database, schema.clone(), Arc::from(""));
        self.by_name
            .range(from..)
            .take_while(move |((of, within, _), _)| *of == database && within == schema)
            .filter_map(|(_, oid)| self.relations.get(oid))
    }

    /// Whether both are one and the same state. Constant time; two equal states that came about
    /// separately count as different.
    pub fn same(&self, other: &Definitions) -> bool {
        self.relations.ptr_eq(&other.relations)
            && self.schemas.ptr_eq(&other.schemas)
            && self.types.ptr_eq(&other.types)
    }

    /// The relations that are other ones in a newer state, as they were and as they are.
    ///
    /// In proportion to what differs: the two share the rest.
    pub fn replaced_in<'a>(
        &'a self,
        newer: &'a Definitions,
    ) -> impl Iterator<Item = (&'a Arc<Relation>, &'a Arc<Relation>)> {
        self.relations
            .diff(&newer.relations)
            .filter_map(|difference| match difference {
                DiffItem::Update { old, new } => Some((old.1, new.1)),
                DiffItem::Add(..) | DiffItem::Remove(..) => None,
            })
    }

    /// The type with this OID.
    pub fn user_type(&self, oid: Oid) -> Option<&Arc<UserType>> {
        self.types.get(&oid)
    }

    /// The type of this name.
    pub fn find_type(
        &self,
        database: DatabaseId,
        schema: &str,
        name: &str,
    ) -> Option<&Arc<UserType>> {
        let key = (database, Arc::from(schema), Arc::from(name));
        let oid = self.type_names.get(&key)?;
        self.types.get(oid)
    }

    /// All types of all databases, by OID.
    pub fn all_types(&self) -> impl Iterator<Item = &Arc<UserType>> {
        self.types.values()
    }

    /// The types of one database, by schema and name.
    pub fn types_of(&self, database: DatabaseId) -> impl Iterator<Item = &Arc<UserType>> {
        let from = (database, Arc::from(""), Arc::from(""));
        self.type_names
            .range(from..)
            .take_while(move |((of, _, _), _)| *of == database)
            .filter_map(|(_, oid)| self.types.get(oid))
    }

    /// The schema of this name; None for those of catalogs, which nobody defines.
    pub fn schema(&self, database: DatabaseId, name: &str) -> Option<Arc<Schema>> {
        match self.schemas.get(&(database, Arc::from(name))) {
            Some(known) => known.clone(),
            None => (name == PUBLIC).then(|| Arc::new(Schema::public(database))),
        }
    }

    /// The name of the schema with this OID.
    pub fn schema_name(&self, database: DatabaseId, oid: Oid) -> Option<Arc<str>> {
        if let Some(name) = self.schema_names.get(&(database, oid)) {
            return Some(name.clone());
        }
        let public = self.schema(database, PUBLIC)?;
        (public.oid == oid).then(|| public.name.clone())
    }

    /// Whether anything is kept of a schema of the database: there may be others than it began with.
    /// Asked before every statement: without an allocation.
    pub fn has_schemas(&self, database: DatabaseId) -> bool {
        let mut names = self.schema_names.range((database, Oid(0))..);
        names.next().is_some_and(|((of, _), _)| *of == database)
    }

    /// The schemas of one database, by name.
    pub fn schemas_of(&self, database: DatabaseId) -> Vec<Arc<Schema>> {
        let kept = self
            .schemas
            .range((database, Arc::from(""))..)
            .take_while(|((of, _), _)| *of == database);
        let mut found: Vec<_> = kept.filter_map(|(_, schema)| schema.clone()).collect();
        if !self.schemas.contains_key(&(database, Arc::from(PUBLIC))) {
            let before = found.partition_point(|schema| &*schema.name < PUBLIC);
            found.insert(before, Arc::new(Schema::public(database)));
        }
        found
    }

    /// What is kept of schemas, of all databases: by name, None for a `public` that was dropped.
    pub fn kept_schemas(
        &self,
    ) -> impl Iterator<Item = (DatabaseId, &Arc<str>, Option<&Arc<Schema>>)> {
        self.schemas
            .iter()
            .map(|((database, name), schema)| (*database, name, schema.as_ref()))
    }

    /// This without anything of a schema being kept: for a database that is gone.
    #[must_use]
    pub fn without_record_of(&self, database: DatabaseId, schema: &Arc<str>) -> Definitions {
        let mut next = self.clone();
        if let Some(Some(old)) = next.schemas.remove(&(database, schema.clone())) {
            next.schema_names.remove(&(database, old.oid));
        }
        next
    }

    /// This with one step applied.
    #[must_use]
    pub fn with(&self, change: &DefinitionChange) -> Definitions {
        let mut next = self.clone();
        match change {
            DefinitionChange::Put(relation) => {
                let replaced = next.relations.insert(relation.oid, relation.clone());
                next.forget_name(replaced.as_deref());
                let name = (
                    relation.database,
                    relation.schema.clone(),
                    relation.name.clone(),
                );
                next.by_name.insert(name, relation.oid);
            }
            DefinitionChange::Drop(oid) => {
                let removed = next.relations.remove(oid);
                next.forget_name(removed.as_deref());
            }
            DefinitionChange::PutSchema(schema) => {
                next = next.without_record_of(schema.database, &schema.name);
                let name = (schema.database, schema.name.clone());
                next.schemas.insert(name, Some(schema.clone()));
                next.schema_names
                    .insert((schema.database, schema.oid), schema.name.clone());
            }
            DefinitionChange::DropSchema(database, name) => {
                next = next.without_record_of(*database, name);
                if **name == *PUBLIC {
                    next.schemas.insert((*database, name.clone()), None);
                }
            }
            DefinitionChange::PutType(known) => {
                enumeration::note_name(known);
                let replaced = next.types.insert(known.type_id.oid, known.clone());
                next.forget_type_name(replaced.as_deref());
                let name = (known.database, known.schema.clone(), known.name.clone());
                next.type_names.insert(name, known.type_id.oid);
            }
            DefinitionChange::DropType(oid) => {
                let removed = next.types.remove(oid);
                next.forget_type_name(removed.as_deref());
            }
        }
        next
    }

    fn forget_type_name(&mut self, old: Option<&UserType>) {
        if let Some(old) = old {
            self.type_names
                .remove(&(old.database, old.schema.clone(), old.name.clone()));
        }
    }

    fn forget_name(&mut self, old: Option<&Relation>) {
        if let Some(old) = old {
            self.by_name
                .remove(&(old.database, old.schema.clone(), old.name.clone()));
        }
    }
}

impl Relation {
    /// The table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        match &self.body {
            RelationBody::Table(table) => Some(table),
            RelationBody::Index(_) | RelationBody::Sequence(_) | RelationBody::View(_) => None,
        }
    }

    /// COMMENT ON its columns, by their positions.
    pub fn column_comments(&self) -> &[(u16, Arc<str>)] {
        match &self.body {
            RelationBody::Table(table) => &table.comments,
            RelationBody::View(view) => &view.comments,
            RelationBody::Index(_) | RelationBody::Sequence(_) => &[],
        }
    }

    /// The index, if it is one.
    pub fn index(&self) -> Option<&Index> {
        match &self.body {
            RelationBody::Index(index) => Some(index),
            RelationBody::Table(_) | RelationBody::Sequence(_) | RelationBody::View(_) => None,
        }
    }
}
