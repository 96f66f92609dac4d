//! The requests that one fsync and one epoch carry, worked out one after the other.

use super::authority::Authority;
use super::draft::Draft;
use super::exec;
use super::held::Held;
use crate::catalog::definition::{DefinitionChange, Orphans};
use crate::catalog::port::{Ask, Reply};
use crate::catalog::request::Request;
use crate::catalog::revocation::Subject;
use crate::catalog::{Change, DatabaseId, Epoch, Snapshot};
use crate::diagnostic::Diagnostic;

/// A group under way: its requests with what became of each, and the catalog they lead to.
pub struct Group {
    snapshot: Snapshot,
    changes: Vec<Change>,
    outcomes: Vec<Outcome>,
    orphans: Orphans,
    has_definitions: bool,
}

/// One request and what became of it.
pub struct Outcome {
    /// The request, to be answered once the epoch is adopted.
    pub ask: Ask,
    /// Its answer.
    pub result: Result<Reply, Diagnostic>,
    /// Whose sessions its changes may end.
    pub subjects: Vec<Subject>,
}

impl Group {
    /// An empty group on the newest catalog.
    pub fn new(current: &Snapshot) -> Group {
        let mut snapshot = current.clone();
        snapshot.epoch = Epoch(current.epoch.0 + 1);
        Group {
            snapshot,
            changes: Vec::new(),
            outcomes: Vec::new(),
            orphans: Orphans::default(),
            has_definitions: false,
        }
    }

    /// The catalog with the group's changes, at the next epoch.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What the store has to keep.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there is anything to publish.
    pub fn has_effect(&self) -> bool {
        !self.changes.is_empty() || self.has_definitions
    }

    /// What is left of databases that are gone: it can go when no core uses it any more.
    pub fn orphans(&self) -> &Orphans {
        &self.orphans
    }

    /// The requests with what became of each so far, in order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The requests with their answers, in order.
    pub fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }

    /// Works one request out on top of those before it.
    pub fn add(&mut self, ask: Ask, now: i64, held: &mut Held) {
        let done = || Reply {
            tag: "COMMIT",
            notices: Vec::new(),
        };
        let made_before = self.changes.len();
        let result = match &ask.request {
            Request::HoldPrincipals(named) => held.hold(named, &self.snapshot).map(|()| done()),
            Request::PublishDefinitions {
                changes,
                held: named,
            } => {
                held.release(named);
                self.define(changes);
                Ok(done())
            }
            request => self.statement(&ask, request.clone(), now, held),
        };
        let own = self.changes[made_before..].iter();
        let subjects = own.filter_map(Change::subject).collect();
        self.outcomes.push(Outcome {
            ask,
            result,
            subjects,
        });
    }

    /// The store has refused the group's changes: its statements fail with that, and only what
    /// was durable before, the definitions, is still to be published.
    pub fn fail(&mut self, current: &Snapshot, error: &Diagnostic) {
        let failed = std::mem::replace(self, Group::new(current));
        for mut outcome in failed.outcomes {
            match &outcome.ask.request {
                Request::PublishDefinitions { changes, .. } => self.define(changes),
                // Nothing of it has to be kept.
                Request::HoldPrincipals(_) => {}
                _ => outcome.result = outcome.result.and_then(|_| Err(error.clone())),
            }
            self.outcomes.push(outcome);
        }
    }

    fn statement(
        &mut self,
        ask: &Ask,
        request: Request,
        now: i64,
        held: &Held,
    ) -> Result<Reply, Diagnostic> {
        let by = Authority::of(&self.snapshot, &ask.by, now)?;
        let mut draft = Draft::new(by, self.snapshot.clone(), now);
        let tag = exec::carry_out(&mut draft, request)?;
        let (snapshot, changes, notices) = draft.finish();
        held.demand_free(&changes, &self.snapshot)?;
        let before = std::mem::replace(&mut self.snapshot, snapshot);
        self.take_orphans(&before, &changes);
        self.changes.extend(changes);
        Ok(Reply { tag, notices })
    }

    /// What was in the databases that these changes drop.
    fn take_orphans(&mut self, before: &Snapshot, changes: &[Change]) {
        for change in changes {
            if let Change::DropDatabase(id) = change {
                let relations = before.definitions.of_database(*id).cloned();
                self.orphans.relations.extend(relations);
                let schemas = before.definitions.kept_schemas();
                let schemas = schemas.filter(|(database, ..)| database == id);
                let schemas = schemas.map(|(database, name, _)| (database, name.clone()));
                self.orphans.schemas.extend(schemas);
                let types = before.definitions.types_of(*id).cloned();
                self.orphans.types.extend(types);
            }
        }
    }

    /// Definitions of a transaction that has committed. Its database may have been dropped
    /// meanwhile: then they are removed again rather than published.
    fn define(&mut self, changes: &[DefinitionChange]) {
        for change in changes {
            match change {
                DefinitionChange::Put(relation) if !self.is_known(relation.database) => {
                    self.orphans.relations.push(relation.clone());
                }
                DefinitionChange::PutSchema(schema) if !self.is_known(schema.database) => {
                    let orphan = (schema.database, schema.name.clone());
                    self.orphans.schemas.push(orphan);
                }
                DefinitionChange::DropSchema(database, name) if !self.is_known(*database) => {
                    self.orphans.schemas.push((*database, name.clone()));
                }
                DefinitionChange::PutType(known) if !self.is_known(known.database) => {
                    self.orphans.types.push(known.clone());
                }
                DefinitionChange::Put(_)
                | DefinitionChange::Drop(_)
                | DefinitionChange::PutSchema(_)
                | DefinitionChange::DropSchema(..)
                | DefinitionChange::PutType(_)
                | DefinitionChange::DropType(_) => {
                    self.snapshot.definitions = self.snapshot.definitions.with(change);
                    self.has_definitions = true;
                }
            }
        }
    }

    fn is_known(&self, database: DatabaseId) -> bool {
        self.snapshot.principals.database(database).is_some()
    }

    /// Drops the relations, schemas and types whose database is not there.
    pub fn drop_orphans(&mut self) {
        let orphans: Vec<_> = self
            .snapshot
            .definitions
            .all()
            .filter(|relation| !self.is_known(relation.database))
            .cloned()
            .collect();
        for relation in &orphans {
            let change = DefinitionChange::Drop(relation.oid);
            self.snapshot.definitions = self.snapshot.definitions.with(&change);
            self.has_definitions = true;
        }
        self.orphans.relations.extend(orphans);
        let kept = self.snapshot.definitions.kept_schemas();
        let schemas: Vec<_> = kept
            .filter(|(database, ..)| !self.is_known(*database))
            .map(|(database, name, _)| (database, name.clone()))
            .collect();
        for (database, name) in &schemas {
            let definitions = &self.snapshot.definitions;
            self.snapshot.definitions = definitions.without_record_of(*database, name);
            self.has_definitions = true;
        }
        self.orphans.schemas.extend(schemas);
        let types: Vec<_> = self
            .snapshot
            .definitions
            .all_types()
            .filter(|known| !self.is_known(known.database))
            .cloned()
            .collect();
        for known in &types {
            let change = DefinitionChange::DropType(known.type_id.oid);
            self.snapshot.definitions = self.snapshot.definitions.with(&change);
            self.has_definitions = true;
        }
        self.orphans.types.extend(types);
    }
}
