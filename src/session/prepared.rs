//! Prepared statements and portals: what a session keeps by name, and their limits.
//!
//! The maps are made when the first one is; a session that never prepares keeps none. A portal
//! lives until its transaction ends, a statement until it is deallocated.

use super::cursor::Cursor;
use super::format::ResultFormats;
use super::scroll::Scroll;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::objects::{ListedCursor, ListedStatement, SharedObjects};
use crate::engine::outcome::{CommandTag, ResultField};
use crate::engine::plan::Plan;
use crate::engine::search_path::Standpoint;
use datafusion::common::ScalarValue;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A prepared statement.
pub struct Prepared {
    /// What it does.
    pub body: Body,
    /// Types of its parameters.
    pub parameters: Box<[SqlType]>,
    /// What its result looks like; None: no rows.
    pub fields: Option<Arc<[ResultField]>>,
    /// The protocol's own encoding of `fields`, kept so that it is written once.
    pub described: OnceCell<Box<[u8]>>,
}

/// What a prepared statement does.
pub enum Body {
    /// Nothing: an empty text.
    Empty,
    /// Something of the session's own, such as BEGIN; told apart anew at each execution.
    Session(Box<sqlparser::ast::Statement>),
    /// DECLARE of a cursor, and its query.
    Declare(Box<sqlparser::ast::Statement>, Box<Prepared>),
    /// A credential statement; parsed anew at each execution, since it may hold a password.
    Credential(Zeroizing<String>),
    /// COPY; told apart anew at each execution.
    Copy(Box<sqlparser::ast::Statement>),
    /// A statement of the engine's.
    Engine {
        /// For planning it again after a change of definitions or settings.
        source: Source,
        /// What Parse declared.
        declared: Box<[Option<SqlType>]>,
        /// The plan in force.
        planned: RefCell<Planned>,
    },
}

impl Body {
    /// Its text, as far as it is kept; None for an empty one.
    pub fn text(&self) -> Option<Zeroizing<String>> {
        let text = match self {
            Body::Empty => return None,
            Body::Session(statement) | Body::Copy(statement) | Body::Declare(statement, _) => {
                statement.to_string()
            }
            Body::Credential(text) => return Some(text.clone()),
            Body::Engine { source, .. } => source.text.to_string(),
        };
        Some(Zeroizing::new(text))
    }
}

/// A statement and the text that its spans point into.
#[derive(Clone)]
pub struct Source {
    /// The tree.
    pub statement: Box<sqlparser::ast::Statement>,
    /// The text.
    pub text: Arc<str>,
}

/// A plan, and what it was made under.
#[derive(Clone)]
pub struct Planned {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Where the session stood.
    pub standpoint: Standpoint,
}

impl Planned {
    /// Whether it still says what the statement's text says.
    pub fn holds(&self, context: &StatementContext) -> bool {
        self.plan.is_current(&context.snapshot.definitions) && self.standpoint.is(context)
    }
}

/// A statement with its parameters, ready to run or half run.
pub struct Portal {
    /// Of which statement.
    pub prepared: Rc<Prepared>,
    /// Its parameters.
    pub parameters: Vec<ScalarValue>,
    /// How its result is written.
    pub formats: ResultFormats,
    /// How far it has come.
    pub progress: Progress,
    /// How many savepoints there were when it was made: it goes with the one after them.
    pub level: usize,
    /// What DECLARE said of it; None for one that Bind made.
    pub declared: Option<Declared>,
}

/// What DECLARE said of a cursor.
pub struct Declared {
    /// The message that it stood in.
    pub statement: Arc<str>,
    /// WITH HOLD
    pub hold: Hold,
    /// Whether it goes back.
    pub scrolls: bool,
    /// When, Unix microseconds.
    pub at: i64,
}

/// Whether a cursor outlives its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It does not.
    No,
    /// It will, once that is committed.
    WhenCommitted,
    /// It has.
    Held,
}

impl Portal {
    fn is_held(&self) -> bool {
        self.declared
            .as_ref()
            .is_some_and(|declared| declared.hold == Hold::Held)
    }
}

/// How far a portal has come.
pub enum Progress {
    /// Not begun.
    Bound,
    /// Some rows sent, more to come.
    Suspended(Cursor),
    /// A cursor of SQL's.
    Scrolling(Box<Scroll>),
    /// It can only be closed.
    Failed,
    /// At its end, with the tag of an execution that finds nothing more.
    Finished(Option<CommandTag>),
}

/// What a session keeps by name.
#[derive(Default)]
pub struct Named(Option<Box<Maps>>);

#[derive(Default)]
struct Maps {
    statements: HashMap<Box<str>, Rc<Prepared>>,
    portals: HashMap<Box<str>, Portal>,
    /// What of these is listed by pg_cursors and pg_prepared_statements.
    listed: SharedObjects,
}

impl Named {
    /// The prepared statement.
    ///
    /// # Errors
    /// 26000
    pub fn statement(&self, name: &str) -> Result<&Rc<Prepared>, Diagnostic> {
        self.0
            .as_ref()
            .and_then(|maps| maps.statements.get(name))
            .ok_or_else(|| {
                let message = if name.is_empty() {
                    "unnamed prepared statement does not exist".to_owned()
                } else {
                    format!("prepared statement \"{name}\" does not exist")
                };
                Diagnostic::error(SqlState::INVALID_SQL_STATEMENT_NAME, message)
            })
    }

    /// Whether a named statement could be added.
    ///
    /// # Errors
    /// 42P05 for a name that is taken (the unnamed one is replaced), 54000 past the limit.
    pub fn admit_statement(&self, name: &str, statements_max: usize) -> Result<(), Diagnostic> {
        let Some(maps) = &self.0 else { return Ok(()) };
        if !name.is_empty() && maps.statements.contains_key(name) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if maps.statements.len() >= statements_max && !maps.statements.contains_key(name) {
            return Err(too_many("prepared statements", statements_max)
                .with_hint("DEALLOCATE those that are no longer used."));
        }
        Ok(())
    }

    /// Adds a statement that was admitted. `now` in Unix microseconds.
    pub fn add_statement(&mut self, name: &str, prepared: Rc<Prepared>, made_by: MadeBy, now: i64) {
        let maps = self.0.get_or_insert_default();
        // A credential statement may hold a password, and is listed nowhere.
        if !name.is_empty()
            && !matches!(prepared.body, Body::Credential(_))
            && let Some(text) = prepared.body.text()
        {
            let listed = ListedStatement {
                text: Arc::from(text.as_str()),
                prepared_at: now,
                parameters: prepared.parameters.clone(),
                from_sql: made_by == MadeBy::Sql,
            };
            maps.listed.lock().statements.insert(name.into(), listed);
        }
        maps.statements.insert(name.into(), prepared);
    }

    /// What is listed of it all; None where there has never been anything.
    pub fn listed(&self) -> Option<&SharedObjects> {
        self.0.as_ref().map(|maps| &maps.listed)
    }

    /// Drops a statement; gives whether it was there.
    pub fn remove_statement(&mut self, name: &str) -> bool {
        self.0.as_mut().is_some_and(|maps| {
            let removed = maps.statements.remove(name).is_some();
            if removed && !name.is_empty() {
                maps.listed.lock().statements.remove(name);
            }
            removed
        })
    }

    /// Drops all statements.
    pub fn clear_statements(&mut self) {
        if let Some(maps) = &mut self.0 {
            maps.statements.clear();
            maps.listed.lock().statements.clear();
        }
    }

    /// The channels that are listened to.
    pub fn channels(&self) -> BTreeSet<Arc<str>> {
        let listed = self.listed();
        listed.map_or_else(BTreeSet::new, |listed| listed.lock().channels.clone())
    }

    /// A channel is listened to.
    pub fn listen(&mut self, channel: Arc<str>) {
        let maps = self.0.get_or_insert_default();
        maps.listed.lock().channels.insert(channel);
    }

    /// A channel is listened to no more; None: none is.
    pub fn unlisten(&mut self, channel: Option<&str>) {
        if let Some(maps) = &mut self.0 {
            let mut listed = maps.listed.lock();
            match channel {
                Some(channel) => {
                    listed.channels.remove(channel);
                }
                None => listed.channels.clear(),
            }
        }
    }

    /// The portal.
    ///
    /// # Errors
    /// 34000
    pub fn portal(&mut self, name: &str) -> Result<&mut Portal, Diagnostic> {
        self.0
            .as_mut()
            .and_then(|maps| maps.portals.get_mut(name))
            .ok_or_else(|| no_portal(name))
    }

    /// Adds a portal.
    ///
    /// # Errors
    /// 42P03 for a name that is taken (the unnamed one is replaced), 54000 past the limit.
    pub fn add_portal(
        &mut self,
        name: &str,
        portal: Portal,
        portals_max: usize,
    ) -> Result<(), Diagnostic> {
        let maps = self.0.get_or_insert_default();
        let taken = maps.portals.contains_key(name);
        if taken && !name.is_empty() {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if maps.portals.len() >= portals_max && !taken {
            return Err(too_many("portals", portals_max));
        }
        if let Some(declared) = &portal.declared {
            let listed = ListedCursor {
                statement: declared.statement.clone(),
                holdable: declared.hold != Hold::No,
                scrollable: declared.scrolls,
                declared_at: declared.at,
            };
            maps.listed.lock().cursors.insert(name.into(), listed);
        }
        maps.portals.insert(name.into(), portal);
        Ok(())
    }

    /// Takes a portal out, to run it.
    ///
    /// # Errors
    /// 34000
    pub fn take_portal(&mut self, name: &str) -> Result<Portal, Diagnostic> {
        self.0
            .as_mut()
            .and_then(|maps| maps.portals.remove(name))
            .ok_or_else(|| no_portal(name))
    }

    /// Puts back a portal that was taken out.
    pub fn put_portal_back(&mut self, name: &str, portal: Portal) {
        let maps = self.0.get_or_insert_default();
        maps.portals.insert(name.into(), portal);
    }

    /// Drops a portal; gives whether it was there.
    pub fn remove_portal(&mut self, name: &str) -> bool {
        let before = self.portals();
        self.retain_portals(|portal, _| portal != name);
        self.portals() < before
    }

    /// Drops all portals.
    pub fn clear_portals(&mut self) {
        self.retain_portals(|_, _| false);
    }

    /// Their transaction has ended: what is not held goes.
    pub fn end_portals(&mut self) {
        self.retain_portals(|_, portal| portal.is_held());
    }

    /// What is after so many savepoints has been rolled back: what was made there goes.
    pub fn roll_back_portals(&mut self, savepoints: usize) {
        self.retain_portals(|_, portal| portal.is_held() || portal.level <= savepoints);
    }

    /// RELEASE has left so many savepoints: what was made after them is of the last now.
    pub fn release_portals(&mut self, savepoints: usize) {
        if let Some(maps) = &mut self.0 {
            for portal in maps.portals.values_mut() {
                portal.level = portal.level.min(savepoints);
            }
        }
    }

    /// The cursors that COMMIT has to keep.
    pub fn portals_to_hold(&self) -> Vec<Box<str>> {
        let portals = self.0.iter().flat_map(|maps| &maps.portals);
        let to_hold = portals.filter(|(_, portal)| {
            let declared = portal.declared.as_ref();
            declared.is_some_and(|declared| declared.hold == Hold::WhenCommitted)
        });
        to_hold.map(|(name, _)| name.clone()).collect()
    }

    fn portals(&self) -> usize {
        self.0.as_ref().map_or(0, |maps| maps.portals.len())
    }

    fn retain_portals(&mut self, stays: impl Fn(&str, &Portal) -> bool) {
        let Some(maps) = &mut self.0 else { return };
        let Maps {
            portals, listed, ..
        } = &mut **maps;
        portals.retain(|name, portal| {
            let stays = stays(name, portal);
            if !stays && portal.declared.is_some() {
                listed.lock().cursors.remove(name);
            }
            stays
        });
    }
}

/// Who has made a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBy {
    /// PREPARE
    Sql,
    /// Parse
    Protocol,
}

fn no_portal(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_CURSOR_NAME,
        format!("portal \"{name}\" does not exist"),
    )
}

fn too_many(what: &str, max: usize) -> Diagnostic {
    Diagnostic::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("more than {max} {what} in one session"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared() -> Rc<Prepared> {
        Rc::new(Prepared {
            body: Body::Empty,
            parameters: Box::default(),
            fields: None,
            described: OnceCell::new(),
        })
    }

    fn portal() -> Portal {
        Portal {
            prepared: prepared(),
            parameters: Vec::new(),
            formats: ResultFormats::Text,
            progress: Progress::Bound,
            level: 0,
            declared: None,
        }
    }

    #[test]
    fn names_are_taken_once_and_the_unnamed_one_is_replaced() {
        let mut named = Named::default();
        for name in ["", "s"] {
            named.admit_statement(name, 2).expect("free");
            named.add_statement(name, prepared(), MadeBy::Protocol, 0);
        }
        named.admit_statement("", 2).expect("replaced");
        let error = named.admit_statement("s", 2).expect_err("taken");
        assert_eq!(error.sqlstate(), SqlState::DUPLICATE_PREPARED_STATEMENT);
        let error = named.admit_statement("t", 2).expect_err("past the limit");
        assert_eq!(error.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        assert!(named.remove_statement("s"));
        assert!(!named.remove_statement("s"));
        let error = named.statement("s").err().expect("gone");
        assert_eq!(error.sqlstate(), SqlState::INVALID_SQL_STATEMENT_NAME);
    }

    #[test]
    fn portals_have_names_and_a_limit_of_their_own() {
        let mut named = Named::default();
        named.add_portal("", portal(), 1).expect("free");
        named.add_portal("", portal(), 1).expect("replaced");
        let error = named
            .add_portal("p", portal(), 1)
            .expect_err("past the limit");
        assert_eq!(error.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        named.clear_portals();
        named.add_portal("p", portal(), 1).expect("free again");
        let error = named.add_portal("p", portal(), 1).expect_err("taken");
        assert_eq!(error.sqlstate(), SqlState::DUPLICATE_CURSOR);
        let error = named.portal("q").err().expect("none");
        assert_eq!(error.sqlstate(), SqlState::INVALID_CURSOR_NAME);
    }
}
