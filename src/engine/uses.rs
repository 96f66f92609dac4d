//! The relations that a plan uses, taken before it runs.
//!
//! Whoever changes a definition takes the relation alone, and lets it go once every core has the
//! new definition. So a plan whose uses are granted at once is of the definitions in force; one
//! that had to wait may be of older ones, and its session plans again.

use super::context::StatementContext;
use super::dml::write::lock_wait;
use crate::catalog::Oid;
use crate::diagnostic::Diagnostic;
use crate::storage::{Transaction, Use, Used};
use smallvec::SmallVec;

/// Relations, and how each is used. Of a point statement they need no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses(SmallVec<[(Oid, Use); 4]>);

impl Uses {
    /// Adds a use; of two of one relation the stronger is kept.
    pub fn add(&mut self, relation: Oid, how: Use) {
        match self.0.iter_mut().find(|(known, _)| *known == relation) {
            Some((_, known)) => *known = how.max(*known),
            None => self.0.push((relation, how)),
        }
    }

    /// With those of another part of the statement.
    #[must_use]
    pub fn and(mut self, other: &Uses) -> Uses {
        for (relation, how) in &other.0 {
            self.add(*relation, *how);
        }
        self
    }

    /// With these relations read.
    #[must_use]
    pub fn reading(mut self, relations: &[Oid]) -> Uses {
        for relation in relations {
            self.add(*relation, Use::Shared);
        }
        self
    }

    /// Takes them all, until the transaction ends. [`Used::AfterWaiting`]: nothing may be done by
    /// the plan unless it proves to be current; its uses stay, so that the next one waits less.
    ///
    /// # Errors
    /// 55P03 past lock_timeout, 40P01, 57014.
    pub async fn take(
        &self,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Used, Diagnostic> {
        let mut outcome = Used::AtOnce;
        for (relation, how) in &self.0 {
            let used = transaction.use_relation(*relation, *how, lock_wait(context));
            if used.await? == Used::AfterWaiting {
                outcome = Used::AfterWaiting;
            }
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_uses_of_one_relation_the_stronger_is_kept() {
        let mut uses = Uses::default();
        uses.add(Oid(1), Use::Writing);
        let uses = uses.reading(&[Oid(1), Oid(2)]);
        let expected = [(Oid(1), Use::Writing), (Oid(2), Use::Shared)];
        assert_eq!(uses.0.as_slice(), expected);
    }
}
