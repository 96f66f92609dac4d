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

/// Statements kept of one text: of databases, declared types, and search_paths of one schema each. The one
/// kept first goes.
const STANDPOINTS_MAX: usize = 16;

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
        let shared = texts.get(text)?.iter().find(|shared| {
            shared.is(context.identity.database, declared) && holds(&shared.prepared, context)
        });
        shared.map(|shared| shared.prepared.clone())
    }

    /// Keeps a statement for others; one of the same text and types gives way, unless sessions that stand
    /// elsewhere go on with it.
    pub fn keep(&self, text: &str, declared: &[u32], database: DatabaseId, new: &Rc<Prepared>) {
        if text.len() > TEXT_BYTES_MAX || !matches!(new.body, Body::Engine { .. }) {
            return;
        }
        let mut texts = self.texts.borrow_mut();
        if texts.len() >= TEXTS_MAX && !texts.contains_key(text) {
            texts.clear();
        }
        let shared = texts.entry(text.into()).or_default();
        shared.retain(|old| {
            let other = !old.is(database, declared);
            other || stays(&old.prepared, new)
        });
        if shared.len() == STANDPOINTS_MAX {
            shared.remove(0);
        }
        shared.push(Shared {
            database,
            declared: declared.into(),
            prepared: new.clone(),
        });
    }
}

fn holds(prepared: &Prepared, context: &StatementContext) -> bool {
    match &prepared.body {
        Body::Engine { planned, .. } => planned.borrow().holds(context),
        _ => false,
    }
}

/// Whether a statement is kept beside a new one of its text: it is as new, and of another standpoint.
fn stays(old: &Prepared, new: &Prepared) -> bool {
    let (Body::Engine { planned: old, .. }, Body::Engine { planned: new, .. }) =
        (&old.body, &new.body)
    else {
        return false;
    };
    let (old, new) = (old.borrow(), new.borrow());
    old.plan.is_current(&new.plan.definitions) && !old.standpoint.same(&new.standpoint)
}
