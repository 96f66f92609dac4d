//! One definition statement at work: what it looks names up in, locks, and writes to.
//!
//! Two rules keep concurrent definitions apart. A name is claimed by locking its key in storage
//! relation 1 before anything of that name is made. A relation is changed only after its use is
//! taken, and then from its newest committed definition, never from the statement's snapshot.

use super::codec;
use super::name;
use crate::access::denied;
use crate::catalog::definition::{DefinitionChange, Definitions, Relation, RelationBody, Table};
use crate::catalog::enumeration::UserType;
use crate::catalog::schema::Schema;
use crate::catalog::{DatabaseId, Oid, RelationId};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::Engine;
use crate::engine::context::StatementContext;
use crate::engine::dml::deferred;
use crate::engine::dml::pace::Pace;
use crate::engine::search_path;
use crate::engine::transaction::Transaction;
use crate::engine::types::Input;
use crate::storage::{
    ALL_KEYS, DEFINITIONS_RELATION, Direction, Isolation, LockMode, LockWait, Storage,
    StorageError, Use,
};
use sqlparser::ast;
use std::ops::Bound;
use std::sync::Arc;

/// Rows of a table that are looked at together.
const ROWS_A_LOOK: usize = 64;

/// A statement at work.
pub struct Work<'a> {
    /// For views' queries, and the store.
    pub engine: &'a Engine,
    /// What it changes.
    pub transaction: &'a mut Transaction,
    /// Who asks.
    pub context: &'a StatementContext,
    /// How long it has held its core.
    pub pace: Pace,
    /// What others have made since the statement began, and it has found behind a lock.
    pub found: Vec<Arc<Relation>>,
    /// As [`Work::found`], of types.
    pub found_types: Vec<Arc<UserType>>,
}

/// Where a new relation is to stand.
pub struct NewName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

/// What came of claiming a name.
pub enum Claim {
    /// It is this transaction's to give.
    Free,
    /// A relation that the statement sees has it.
    Taken(Arc<Relation>),
}

impl Work<'_> {
    /// The session's database.
    pub fn database(&self) -> DatabaseId {
        self.context.identity.database
    }

    /// The store.
    pub fn storage(&self) -> &Storage {
        self.engine.storage()
    }

    /// What input functions look at.
    pub fn input(&self) -> Input<'_> {
        self.context.input()
    }

    /// The definitions as the statement sees them, with its own changes.
    pub fn definitions(&mut self) -> Definitions {
        let snapshot = self.transaction.snapshot(&self.context.snapshot);
        let seen = snapshot.definitions.clone();
        let relations = self.found.iter().cloned().map(DefinitionChange::Put);
        let types = self.found_types.iter().cloned();
        let found = relations.chain(types.map(DefinitionChange::PutType));
        found.fold(seen, |seen, change| seen.with(&change))
    }

    /// The relations of a schema that is taken alone, by OID: also those that others have made in it since
    /// the statement began, and committed before they let it go. Its types are among the definitions then.
    ///
    /// # Errors
    /// What storage gives; XX001 for damage.
    pub async fn relations_in(&mut self, schema: &Schema) -> Result<Vec<Oid>, Diagnostic> {
        let known = self.definitions();
        let from = codec::name_key(schema.database, &schema.name, "");
        let mut to = from.clone();
        if let Some(last) = to.last_mut() {
            // Behind all names: a name has no byte 0, which ends the schema's.
            *last = 1;
        }
        let mut oids = Vec::new();
        let mut after = Bound::Included(from);
        loop {
            let from = after.as_ref().map(Vec::as_slice);
            let range = (from, Bound::Excluded(to.as_slice()));
            let storage = &mut self.transaction.storage;
            let names = storage.newest_range(DEFINITIONS_RELATION, range, ROWS_A_LOOK)?;
            let Some(last) = names.last() else {
                break;
            };
            after = Bound::Excluded(last.key.clone());
            for name in &names {
                if codec::is_type_key(&name.key) {
                    let known = codec::decode_type(&name.row)?;
                    if self.definitions().user_type(known.type_id.oid).is_none() {
                        self.found_types.push(Arc::new(known));
                    }
                    continue;
                }
                let oid = codec::oid_of(&name.row)?;
                oids.push(oid);
                if known.get(oid).is_some() {
                    continue;
                }
                let key = codec::oid_key(oid);
                let newest = self
                    .transaction
                    .storage
                    .newest(DEFINITIONS_RELATION, &key)?;
                if let Some(row) = newest.row {
                    self.found.push(Arc::new(codec::decode(&row)?));
                }
            }
            self.pause().await?;
        }
        oids.sort_unstable();
        Ok(oids)
    }

    /// Has the definitions of the database's relations be those that were last committed, and the transaction's
    /// own: before something is done to all that have a type, which has been waited for. Looks at every
    /// relation of the database, some in each slice.
    ///
    /// # Errors
    /// What storage gives; XX001 for damage.
    pub async fn renew(&mut self) -> Result<(), Diagnostic> {
        let known = self.definitions();
        let (mut after, to) = codec::names_of(self.database());
        loop {
            let range = (
                after.as_ref().map(Vec::as_slice),
                to.as_ref().map(Vec::as_slice),
            );
            let storage = &mut self.transaction.storage;
            let names = storage.newest_range(DEFINITIONS_RELATION, range, ROWS_A_LOOK)?;
            let Some(last) = names.last() else {
                return Ok(());
            };
            after = Bound::Excluded(last.key.clone());
            for name in &names {
                if codec::is_type_key(&name.key) || codec::schema_of_key(&name.key).is_some() {
                    continue;
                }
                let oid = codec::oid_of(&name.row)?;
                let storage = &mut self.transaction.storage;
                let newest = storage.newest(DEFINITIONS_RELATION, &codec::oid_key(oid))?;
                let Some(row) = newest.row else {
                    continue;
                };
                let relation = codec::decode(&row)?;
                if known.get(oid).is_none_or(|known| **known != relation) {
                    self.found.push(Arc::new(relation));
                }
            }
            self.pause().await?;
        }
    }

    /// How long a lock is waited for.
    pub fn wait(&self) -> LockWait {
        match self.context.lock_timeout {
            None => LockWait::Block,
            Some(bound) => LockWait::Timeout(bound),
        }
    }

    /// Where a relation to be made stands.
    ///
    /// # Errors
    /// 3F000 for a schema that is not there, 42501 for the system's and where nothing may be made.
    pub fn new_name(&mut self, given: &ast::ObjectName) -> Result<NewName, Diagnostic> {
        let (schema, name) = name::parts(given)?;
        let definitions = self.definitions();
        let schema = match schema {
            Some(schema) => schema,
            None => search_path::for_new(&definitions, self.context)
                .map(|schema| schema.to_string())
                .ok_or_else(|| {
                    Diagnostic::error(
                        SqlState::INVALID_SCHEMA_NAME,
                        "no schema has been selected to create in",
                    )
                })?,
        };
        if schema == search_path::PG_CATALOG {
            let message = format!("permission denied to create \"{schema}.{name}\"");
            return Err(denied(message)
                .with_detail("System catalog modifications are currently disallowed."));
        }
        let found = self.schema(&schema)?;
        self.context.rights.may_define(&found)?;
        Ok(NewName { schema, name })
    }

    /// The schema of this name, for something to be made in.
    ///
    /// # Errors
    /// 3F000 for one that is not there, 42501 for the system's.
    pub fn schema(&mut self, name: &str) -> Result<Arc<Schema>, Diagnostic> {
        if search_path::is_system(name) {
            return Err(denied(format!("permission denied for schema {name}")));
        }
        let (definitions, database) = (self.definitions(), self.database());
        let found = definitions.schema(database, name);
        found.ok_or_else(|| search_path::no_schema(name))
    }

    /// Takes the schema for this use and gives it as it was last committed; None when it is gone.
    ///
    /// # Errors
    /// What waiting for a lock ends with.
    pub async fn take_schema(
        &mut self,
        schema: &Schema,
        how: Use,
    ) -> Result<Option<Schema>, Diagnostic> {
        let wait = self.wait();
        let storage = &mut self.transaction.storage;
        storage.use_relation(schema.oid, how, wait).await?;
        let key = codec::schema_key(schema.database, &schema.name);
        match storage.newest(DEFINITIONS_RELATION, &key)?.row {
            Some(row) => codec::decode_schema(&row),
            // `public`, of which nothing is written until something has become of it.
            None => {
                Ok((*schema.name == *search_path::PUBLIC).then(|| Schema::public(schema.database)))
            }
        }
    }

    /// Makes the schema part of the transaction: a new one, or one changed under its name.
    ///
    /// # Errors
    /// What storage gives.
    pub fn define_schema(&mut self, schema: Schema) -> Result<(), Diagnostic> {
        let key = codec::schema_key(schema.database, &schema.name);
        let bytes = codec::encode_schema(Some(&schema))?;
        let storage = &mut self.transaction.storage;
        storage.put(DEFINITIONS_RELATION, &key, &bytes)?;
        self.transaction
            .define(DefinitionChange::PutSchema(Arc::new(schema)));
        Ok(())
    }

    /// Ends a schema, which is empty.
    ///
    /// # Errors
    /// What storage gives.
    pub fn undefine_schema(&mut self, schema: &Schema) -> Result<(), Diagnostic> {
        let key = codec::schema_key(schema.database, &schema.name);
        let storage = &mut self.transaction.storage;
        if *schema.name == *search_path::PUBLIC {
            let gone = codec::encode_schema(None)?;
            storage.put(DEFINITIONS_RELATION, &key, &gone)?;
        } else {
            storage.delete(DEFINITIONS_RELATION, &key)?;
        }
        let change = DefinitionChange::DropSchema(schema.database, schema.name.clone());
        self.transaction.define(change);
        Ok(())
    }

    /// The relation of this name, along search_path where no schema is named.
    ///
    /// # Errors
    /// As [`Work::look_for`]; 3F000 for a schema that is not there.
    pub fn find(&mut self, given: &ast::ObjectName) -> Result<Option<Arc<Relation>>, Diagnostic> {
        let found = self.look_for(given)?;
        if let (None, (Some(schema), _)) = (&found, name::parts(given)?)
            && !search_path::is_system(&schema)
        {
            self.schema(&schema)?;
        }
        Ok(found)
    }

    /// As [`Work::find`], where nothing need be there.
    ///
    /// # Errors
    /// As [`name::parts`]; 42501 for a schema that the session may not use.
    pub fn look_for(
        &mut self,
        given: &ast::ObjectName,
    ) -> Result<Option<Arc<Relation>>, Diagnostic> {
        let (schema, name) = name::parts(given)?;
        if let Some(schema) = &schema {
            search_path::demand_usage(schema, self.context)?;
        }
        Ok(self.lookup(schema.as_deref(), &name))
    }

    /// As [`Work::find`], of folded names.
    pub fn lookup(&mut self, schema: Option<&str>, name: &str) -> Option<Arc<Relation>> {
        let definitions = self.definitions();
        search_path::find(&definitions, schema, name, self.context).cloned()
    }

    /// Takes the relation for this use and gives its newest definition; None when it is gone.
    ///
    /// # Errors
    /// What waiting for a lock ends with.
    pub async fn take(&mut self, oid: Oid, how: Use) -> Result<Option<Relation>, Diagnostic> {
        let wait = self.wait();
        self.transaction
            .storage
            .use_relation(oid, how, wait)
            .await?;
        let newest = self
            .transaction
            .storage
            .newest(DEFINITIONS_RELATION, &codec::oid_key(oid))?;
        newest.row.as_deref().map(codec::decode).transpose()
    }

    /// Claims a name for a relation to be made.
    ///
    /// # Errors
    /// 23505 where a transaction that committed meanwhile has it, as PostgreSQL's catalog index
    /// reports it; 3F000 where one has dropped the schema.
    pub async fn claim(&mut self, new: &NewName) -> Result<Claim, Diagnostic> {
        if let Some(relation) = self.lookup(Some(&new.schema), &new.name) {
            return Ok(Claim::Taken(relation));
        }
        let schema = self.schema(&new.schema)?;
        if self.take_schema(&schema, Use::Shared).await?.is_none() {
            return Err(search_path::no_schema(&new.schema));
        }
        let key = codec::name_key(self.database(), &new.schema, &new.name);
        let wait = self.wait();
        let storage = &mut self.transaction.storage;
        storage
            .lock(DEFINITIONS_RELATION, &key, LockMode::Update, wait)
            .await?;
        if storage.newest(DEFINITIONS_RELATION, &key)?.row.is_none() {
            return Ok(Claim::Free);
        }
        Err(Diagnostic::error(
            SqlState::UNIQUE_VIOLATION,
            "duplicate key value violates unique constraint \"pg_class_relname_nsp_index\"",
        )
        .with_detail(format!(
            "Key (relname, relnamespace)=({}, {}) already exists.",
            new.name, schema.oid
        ))
        .with_constraint("pg_class_relname_nsp_index"))
    }

    /// Takes a type for this use and gives it as it was last committed; None when it is gone.
    ///
    /// # Errors
    /// What waiting for a lock ends with.
    pub async fn take_type(
        &mut self,
        known: &UserType,
        how: Use,
    ) -> Result<Option<UserType>, Diagnostic> {
        let wait = self.wait();
        let storage = &mut self.transaction.storage;
        storage.use_relation(known.type_id.oid, how, wait).await?;
        let key = codec::type_key(known.database, &known.schema, &known.name);
        let newest = storage.newest(DEFINITIONS_RELATION, &key)?.row;
        let newest = newest.as_deref().map(codec::decode_type).transpose()?;
        Ok(newest.filter(|newest| newest.type_id == known.type_id))
    }

    /// Claims a name for a type to be made.
    ///
    /// # Errors
    /// 23505 where a transaction that committed meanwhile has it; 3F000 where one has dropped the schema.
    pub async fn claim_type(&mut self, new: &NewName) -> Result<(), Diagnostic> {
        let schema = self.schema(&new.schema)?;
        if self.take_schema(&schema, Use::Shared).await?.is_none() {
            return Err(search_path::no_schema(&new.schema));
        }
        let key = codec::type_key(self.database(), &new.schema, &new.name);
        let wait = self.wait();
        let storage = &mut self.transaction.storage;
        storage
            .lock(DEFINITIONS_RELATION, &key, LockMode::Update, wait)
            .await?;
        if storage.newest(DEFINITIONS_RELATION, &key)?.row.is_none() {
            return Ok(());
        }
        Err(Diagnostic::error(
            SqlState::UNIQUE_VIOLATION,
            "duplicate key value violates unique constraint \"pg_type_typname_nsp_index\"",
        )
        .with_detail(format!(
            "Key (typname, typnamespace)=({}, {}) already exists.",
            new.name, schema.oid
        ))
        .with_constraint("pg_type_typname_nsp_index"))
    }

    /// Makes the type part of the transaction: a new one, or one changed under its name.
    ///
    /// # Errors
    /// What storage gives.
    pub fn define_type(&mut self, known: UserType) -> Result<(), Diagnostic> {
        let key = codec::type_key(known.database, &known.schema, &known.name);
        let bytes = codec::encode_type(&known)?;
        self.forget_found(&known);
        let storage = &mut self.transaction.storage;
        storage.put(DEFINITIONS_RELATION, &key, &bytes)?;
        self.transaction
            .define(DefinitionChange::PutType(Arc::new(known)));
        Ok(())
    }

    /// Ends a type, of which nothing has values any more.
    ///
    /// # Errors
    /// What storage gives.
    pub fn undefine_type(&mut self, known: &UserType) -> Result<(), Diagnostic> {
        self.release_type_name(known)?;
        self.forget_found(known);
        self.transaction
            .define(DefinitionChange::DropType(known.type_id.oid));
        Ok(())
    }

    /// Gives a type's name up, before a rename.
    ///
    /// # Errors
    /// What storage gives.
    pub fn release_type_name(&mut self, known: &UserType) -> Result<(), Diagnostic> {
        let key = codec::type_key(known.database, &known.schema, &known.name);
        let storage = &mut self.transaction.storage;
        storage.delete(DEFINITIONS_RELATION, &key)?;
        Ok(())
    }

    fn forget_found(&mut self, known: &UserType) {
        self.found_types
            .retain(|found| found.type_id != known.type_id);
    }

    /// A fresh OID.
    ///
    /// # Errors
    /// 54000 when there is none left.
    pub fn new_oid(&self) -> Result<Oid, Diagnostic> {
        Ok(self.storage().allocate_oid()?)
    }

    /// Makes the definition part of the transaction: a new relation, or one changed under its name.
    ///
    /// # Errors
    /// What storage gives.
    pub fn define(&mut self, relation: Relation) -> Result<(), Diagnostic> {
        let name = codec::name_key(relation.database, &relation.schema, &relation.name);
        let oid = codec::oid_key(relation.oid);
        let bytes = codec::encode(&relation)?;
        self.found.retain(|found| found.oid != relation.oid);
        let storage = &mut self.transaction.storage;
        storage.put(DEFINITIONS_RELATION, &oid, &bytes)?;
        storage.put(DEFINITIONS_RELATION, &name, &oid)?;
        if let RelationBody::Table(table) = &relation.body {
            storage.set_layout(relation.oid, table.layout_version);
        }
        self.transaction
            .define(DefinitionChange::Put(Arc::new(relation)));
        Ok(())
    }

    /// Ends a relation's definition and gives up its rows.
    ///
    /// # Errors
    /// What storage gives.
    pub fn undefine(&mut self, relation: &Relation) -> Result<(), Diagnostic> {
        self.release_name(relation)?;
        self.found.retain(|found| found.oid != relation.oid);
        let storage = &mut self.transaction.storage;
        storage.delete(DEFINITIONS_RELATION, &codec::oid_key(relation.oid))?;
        if let Some(store) = own_store(&relation.body) {
            storage.drop_relation(store);
        }
        if let RelationBody::Table(table) = &relation.body {
            // A write set planned before the drop must not commit after it.
            storage.set_layout(relation.oid, table.layout_version + 1);
        }
        self.transaction
            .define(DefinitionChange::Drop(relation.oid));
        Ok(())
    }

    /// Gives a name up, before a rename.
    ///
    /// # Errors
    /// What storage gives.
    pub fn release_name(&mut self, relation: &Relation) -> Result<(), Diagnostic> {
        let name = codec::name_key(relation.database, &relation.schema, &relation.name);
        self.transaction
            .storage
            .delete(DEFINITIONS_RELATION, &name)?;
        Ok(())
    }

    /// Sees what was committed, or loaded in bulk, until now: before rows are read that a lock has
    /// just been taken on. REPEATABLE READ keeps its snapshot.
    ///
    /// # Errors
    /// 40001 in REPEATABLE READ, where such a change would go by the rows of an old snapshot.
    pub async fn refresh(&mut self, relation: &Relation) -> Result<(), Diagnostic> {
        let storage = &mut self.transaction.storage;
        storage.bulk_finish().await?;
        match storage.isolation() {
            Isolation::ReadCommitted => {
                storage.end_statement();
                storage.begin_statement()?;
                Ok(())
            }
            Isolation::RepeatableRead => self.demand_unchanged(relation).await,
        }
    }

    /// In REPEATABLE READ a table that others have written since the snapshot cannot be rebuilt: no
    /// row may be newer than the snapshot, and none that the snapshot has may be gone.
    async fn demand_unchanged(&mut self, relation: &Relation) -> Result<(), Diagnostic> {
        let Some(table) = relation.table() else {
            return Ok(());
        };
        let (mut there, mut seen) = (0_u64, 0_u64);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let from = match &after {
                Some(key) => Bound::Excluded(key.as_slice()),
                None => Bound::Unbounded,
            };
            let storage = &mut self.transaction.storage;
            let range = (from, Bound::Unbounded);
            let rows = storage.newest_range(table.store, range, ROWS_A_LOOK)?;
            for entry in &rows {
                if storage.changed_since_snapshot(entry.commit)? {
                    return Err(StorageError::ConcurrentUpdate.into());
                }
            }
            there += rows.len() as u64;
            match rows.into_iter().next_back() {
                Some(last) => after = Some(last.key),
                None => break,
            }
            self.pause().await?;
        }
        let storage = &self.transaction.storage;
        let mut rows = storage.scan(table.store, ALL_KEYS, Direction::Forward)?;
        while rows.next()?.is_some() {
            seen += 1;
            self.step().await?;
        }
        match seen == there {
            true => Ok(()),
            false => Err(StorageError::ConcurrentUpdate.into()),
        }
    }

    /// Lets the core go when the slice is used up; between pieces of some dozen rows.
    ///
    /// # Errors
    /// 57014 and 57P01 once the statement is to stop.
    pub async fn pause(&mut self) -> Result<(), Diagnostic> {
        self.pace.look().await
    }

    /// As [`Work::pause`], once a row.
    ///
    /// # Errors
    /// As there.
    pub async fn step(&mut self) -> Result<(), Diagnostic> {
        self.pace.step().await
    }

    /// Nothing of a table may change that checks still wait for.
    ///
    /// # Errors
    /// 55006 in PostgreSQL's words, where one does.
    pub async fn demand_nothing_waits(
        &self,
        relation: &Relation,
        statement: &str,
    ) -> Result<(), Diagnostic> {
        if !deferred::waits_for(relation.oid, self.context).await? {
            return Ok(());
        }
        let name = &relation.name;
        Err(Diagnostic::error(
            SqlState::OBJECT_IN_USE,
            format!("cannot {statement} \"{name}\" because it has pending trigger events"),
        )
        .with_hint("SET CONSTRAINTS ALL IMMEDIATE checks what waits for the transaction's end."))
    }

    /// Says something that does not fail the statement.
    pub fn notice(&self, message: impl Into<String>) {
        self.context.notices.push(Diagnostic::notice(message));
    }
}

/// The primary key's index has no entries of its own: the table is kept in its order.
pub fn shares_store(constraint: Option<crate::catalog::definition::IndexConstraint>) -> bool {
    constraint == Some(crate::catalog::definition::IndexConstraint::PrimaryKey)
}

/// 42P01 with PostgreSQL's word for what was looked for.
pub fn missing(what: &str, given: &ast::ObjectName) -> Diagnostic {
    let name = match name::parts(given) {
        Ok((Some(schema), name)) => format!("{schema}.{name}"),
        Ok((None, name)) => name,
        Err(error) => return error,
    };
    Diagnostic::error(
        SqlState::UNDEFINED_TABLE,
        format!("{what} \"{name}\" does not exist"),
    )
}

/// The table in a relation that is one.
///
/// # Errors
/// 42809 in PostgreSQL's words.
pub fn table_of(relation: &mut Relation) -> Result<&mut Table, Diagnostic> {
    let name = relation.name.clone();
    match &mut relation.body {
        RelationBody::Table(table) => Ok(table),
        RelationBody::Index(_) | RelationBody::Sequence(_) | RelationBody::View(_) => {
            Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{name}\" is not a table"),
            ))
        }
    }
}

/// The position of a column that is not dropped.
pub fn position_of(table: &Table, column: &str) -> Option<u16> {
    table
        .columns
        .iter()
        .position(|found| !found.dropped && &*found.name == column)
        .map(|position| position as u16)
}

/// As [`position_of`].
///
/// # Errors
/// 42703 `column "c" of relation "t" does not exist`.
pub fn column_of(table: &Table, relation: &str, column: &str) -> Result<u16, Diagnostic> {
    position_of(table, column).ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{relation}\" does not exist"),
        )
    })
}

/// The range of keys that is this relation's alone: a primary key's index is its table.
pub fn own_store(body: &RelationBody) -> Option<RelationId> {
    match body {
        RelationBody::Table(table) => Some(table.store),
        RelationBody::Index(index) if !shares_store(index.constraint) => Some(index.store),
        RelationBody::Sequence(sequence) => Some(sequence.store),
        RelationBody::Index(_) | RelationBody::View(_) => None,
    }
}
