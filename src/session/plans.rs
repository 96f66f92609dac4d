//! Prepared statements that sessions of one core share, by their text.
//!
//! A driver that parses the same text for each call, and a thousand sessions that prepare the same
//! statements, plan them once. What a plan was made under is looked at again at each use
//! ([`Planned::holds`](super::prepared::Planned::holds)); rights are checked at each execution.

use super::prepared::{Body, Prepared};
use crate::catalog::DatabaseId;
use crate::engine::context::StatementContext;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Texts kept by one core; past it all are forgotten, which costs their planning once more.
pub const TEXTS_MAX: usize = 1_024;

/// Longer texts are planned each time.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// One core's shared statements.
#[derive(Default)]
pub struct Plans {
    texts: RefCell<HashMap<Box<str>, Vec<Shared>>>,
}

struct Shared {
    database: DatabaseId,
    declared: Box<[u32]>,
    prepared: Rc<Prepared>,
}

impl Shared {
    fn is(&self, database: DatabaseId, declared: &[u32]) -> bool {
        self.database == database && *self.declared == *declared
    }
}

impl Plans {
    /// Whether the text has been planned at all: cheaper than a statement's context.
    pub fn knows(&self, text: &str) -> bool {
        self.texts.borrow().contains_key(text)
    }

    /// The statement of this text and these declared types, if its plan still holds.
    pub fn find(
        &self,
        text: &str,
        declared: &[u32],
        context: &StatementContext,
    ) -> Option<Rc<Prepared>> {
        let texts = self.texts.borrow();
        let shared = texts
            .get(text)?
            .iter()
            .find(|shared| shared.is(context.identity.database, declared))?;
        let Body::Engine { planned, .. } = &shared.prepared.body else {
            return None;
        };
        let holds = planned.borrow().holds(context);
        holds.then(|| shared.prepared.clone())
    }

    /// Keeps a statement for others; another one of the same text and types gives way.
    pub fn keep(&self, text: &str, declared: &[u32], database: DatabaseId, new: &Rc<Prepared>) {
        if text.len() > TEXT_BYTES_MAX || !matches!(new.body, Body::Engine { .. }) {
            return;
        }
        let mut texts = self.texts.borrow_mut();
        if texts.len() >= TEXTS_MAX && !texts.contains_key(text) {
            texts.clear();
        }
        let shared = texts.entry(text.into()).or_default();
        shared.retain(|old| !old.is(database, declared));
        shared.push(Shared {
            database,
            declared: declared.into(),
            prepared: new.clone(),
        });
    }
}
