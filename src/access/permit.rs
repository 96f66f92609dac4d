//! Proof that a check was made (STYLE habit 5): only `access::rights` builds one.

use crate::catalog::Oid;
use std::marker::PhantomData;

/// SELECT, and COPY TO.
#[derive(Clone, Copy, Debug)]
pub enum Select {}
/// INSERT, and COPY FROM.
#[derive(Clone, Copy, Debug)]
pub enum Insert {}
/// UPDATE, and row locks.
#[derive(Clone, Copy, Debug)]
pub enum Update {}
/// DELETE.
#[derive(Clone, Copy, Debug)]
pub enum Delete {}
/// TRUNCATE.
#[derive(Clone, Copy, Debug)]
pub enum Truncate {}
/// ALTER, DROP, CREATE INDEX ON, COMMENT ON, VACUUM: what PostgreSQL asks the owner for.
#[derive(Clone, Copy, Debug)]
pub enum Own {}
/// REFERENCES: a foreign key that points at it.
#[derive(Clone, Copy, Debug)]
pub enum References {}

/// The holder may do `What` to one relation, at the epoch it was checked at.
#[derive(Clone, Copy, Debug)]
pub struct Permit<What> {
    relation: Oid,
    what: PhantomData<What>,
}

impl<What> Permit<What> {
    pub(super) fn new(relation: Oid) -> Permit<What> {
        Permit {
            relation,
            what: PhantomData,
        }
    }

    /// The relation it is for.
    pub fn relation(&self) -> Oid {
        self.relation
    }
}

/// The holder may define new relations in the session's database.
#[derive(Clone, Copy, Debug)]
pub struct DefinePermit(pub(super) ());
