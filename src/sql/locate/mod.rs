//! Where in a statement's text an error of analysis lies, which psql points at with `^`.
//!
//! Analysis works on trees that rewriting has changed, and the planner below keeps no places. So
//! the place is looked for when an error is there, at no cost to statements without one: the words
//! of the message, which are PostgreSQL's and so fixed, say what to look for in the tree as it was
//! written. Where several places qualify, the caller tries them ([`Search::attempt`]): the one
//! without which the error is gone is the culprit. What is not found has no position.

mod message;
mod parts;
mod sites;
mod words;

use crate::diagnostic::Diagnostic;
use message::Culprit;
use sqlparser::ast::Statement;
use sqlparser::tokenizer::Location;
use std::sync::Arc;

/// Places that are tried at most; past them the first one is taken.
const ATTEMPTS_MAX: usize = 16;

/// An error and the places it may be about.
pub struct Search {
    error: Diagnostic,
    culprit: Option<Culprit>,
    statement: Arc<Statement>,
    text: Arc<str>,
    places: Vec<Location>,
    tried: usize,
    found: Option<usize>,
}

impl Search {
    /// Walks the statement, whose spans point into the text: on long texts this takes long.
    pub fn new(error: Diagnostic, statement: Arc<Statement>, text: Arc<str>) -> Search {
        let culprit = match error.fields().position {
            Some(_) => None,
            None => message::culprit(error.message()),
        };
        let places = culprit
            .as_ref()
            .map(|culprit| sites::find(culprit, &statement, &text))
            .unwrap_or_default();
        let error = match &culprit {
            Some(Culprit::Qualifier(name)) => parts::aliased(error, name, &statement),
            _ => error,
        };
        Search {
            error,
            culprit,
            statement,
            text,
            places,
            tried: 0,
            found: None,
        }
    }

    /// The text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The statement without the next place that may be meant; None once it is settled.
    pub fn attempt(&mut self) -> Option<Arc<Statement>> {
        let settled = self.found.is_some()
            || self.places.len() < 2
            || self.tried >= self.places.len().min(ATTEMPTS_MAX);
        let culprit = self.culprit.as_ref().filter(|_| !settled)?;
        let without = sites::without(culprit, &self.statement, &self.text, self.tried);
        self.tried += 1;
        Some(Arc::new(without))
    }

    /// Takes down what analysing the last attempt failed with.
    pub fn note(&mut self, error: Option<&Diagnostic>) {
        let same = error.is_some_and(|error| error.fields() == self.error.fields());
        if !same && self.tried > 0 {
            self.found = Some(self.tried - 1);
        }
    }

    /// The error, with the position of what it is about.
    pub fn finish(self) -> Diagnostic {
        let place = self.places.get(self.found.unwrap_or(0));
        match place.and_then(|place| position(&self.text, *place)) {
            Some(position) => self.error.with_position(position),
            None => self.error,
        }
    }
}

/// Whether an error that a definition met has a place: of most that PostgreSQL finds when it
/// carries one out, it tells none.
pub fn has_place(statement: &Statement, error: &Diagnostic) -> bool {
    match statement {
        Statement::CreateView(_) => true,
        _ => matches!(message::culprit(error.message()), Some(Culprit::Type(_))),
    }
}

/// PostgreSQL's position of a place: 1-based, in characters; None for no place of the text.
fn position(text: &str, place: Location) -> Option<u32> {
    let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let mut lines = text.split_inclusive('\n').map(|line| line.chars().count());
    let before: usize = lines.by_ref().take(line).sum();
    let column = usize::try_from(place.column).ok()?;
    // A tree that was not written has no places in this text.
    (column >= 1 && column <= lines.next()?).then_some(())?;
    u32::try_from(before + column).ok()
}
