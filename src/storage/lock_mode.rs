//! What locks may be held together: PostgreSQL's row locks, the uses of a relation, advisory locks.
//! Source: PostgreSQL 15, table 13.3 "Conflicting Row-Level Locks".

use super::advisory::AdvisoryMode;
use std::fmt;

/// PostgreSQL's four row locks, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// FOR KEY SHARE: foreign-key checks take it on the parent.
    KeyShare,
    /// FOR SHARE
    Share,
    /// FOR NO KEY UPDATE: an UPDATE that leaves the keys alone.
    NoKeyUpdate,
    /// FOR UPDATE: DELETE, and an UPDATE of a key.
    Update,
}

/// How a transaction uses a relation, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Reads it.
    Shared,
    /// Writes rows of it.
    Writing,
    /// Keeps writers out and readers in: CREATE INDEX. One at a time.
    BlockWriters,
    /// Alone: ALTER, DROP, TRUNCATE.
    Exclusive,
}

impl Use {
    /// Whether it is taken on every core, so as to meet the users of all.
    pub(super) fn is_on_every_core(self) -> bool {
        self >= Use::BlockWriters
    }
}

/// The strength of a lock of any kind. In each kind a stronger one conflicts with all that a
/// weaker one conflicts with, so holding the stronger covers the weaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Mode {
    /// On a key.
    Row(LockMode),
    /// On a relation.
    Use(Use),
    /// On what sessions have agreed on.
    Advisory(AdvisoryMode),
}

impl Mode {
    /// A bit for each mode of a kind.
    pub(super) fn bit(self) -> u8 {
        1 << self.strength()
    }

    fn strength(self) -> u8 {
        match self {
            Mode::Row(mode) => mode as u8,
            Mode::Use(how) => how as u8,
            Mode::Advisory(mode) => mode as u8,
        }
    }

    /// The bits of the modes that may not be held by others beside it.
    pub(super) fn conflicts(self) -> u8 {
        match self {
            Mode::Row(LockMode::KeyShare) => 0b1000,
            Mode::Row(LockMode::Share) => 0b1100,
            Mode::Row(LockMode::NoKeyUpdate) => 0b1110,
            Mode::Row(LockMode::Update) => 0b1111,
            Mode::Use(Use::Shared) => 0b1000,
            Mode::Use(Use::Writing) => 0b1100,
            Mode::Use(Use::BlockWriters) => 0b1110,
            Mode::Use(Use::Exclusive) => 0b1111,
            Mode::Advisory(AdvisoryMode::Shared) => 0b10,
            Mode::Advisory(AdvisoryMode::Exclusive) => 0b11,
        }
    }

    /// Whether two transactions may not hold these together.
    pub(super) fn conflicts_with(self, other: Mode) -> bool {
        self.conflicts() & other.bit() != 0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Row(LockMode::KeyShare) => "a key share lock on a row",
            Mode::Row(LockMode::Share) => "a share lock on a row",
            Mode::Row(LockMode::NoKeyUpdate) => "a no key update lock on a row",
            Mode::Row(LockMode::Update) => "an update lock on a row",
            Mode::Use(Use::Shared) => "reading a relation",
            Mode::Use(Use::Writing) => "writing a relation",
            Mode::Use(Use::BlockWriters) => "a relation without writers",
            Mode::Use(Use::Exclusive) => "a relation of its own",
            Mode::Advisory(AdvisoryMode::Shared) => "a shared advisory lock",
            Mode::Advisory(AdvisoryMode::Exclusive) => "an advisory lock",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_locks_conflict_as_in_postgresql_table_13_3() {
        use LockMode::{KeyShare, NoKeyUpdate, Share, Update};
        let conflicting = [
            (KeyShare, Update),
            (Share, NoKeyUpdate),
            (Share, Update),
            (NoKeyUpdate, NoKeyUpdate),
            (NoKeyUpdate, Update),
            (Update, Update),
        ];
        let all = [KeyShare, Share, NoKeyUpdate, Update];
        for a in all {
            for b in all {
                let expected = conflicting.contains(&(a, b)) || conflicting.contains(&(b, a));
                assert_eq!(
                    Mode::Row(a).conflicts_with(Mode::Row(b)),
                    expected,
                    "{a:?} {b:?}"
                );
            }
        }
    }

    #[test]
    fn a_change_of_definition_meets_every_user_and_an_index_build_only_writers() {
        use Use::{BlockWriters, Exclusive, Shared, Writing};
        let conflict = |a, b| Mode::Use(a).conflicts_with(Mode::Use(b));
        for how in [Shared, Writing, BlockWriters, Exclusive] {
            assert!(conflict(Exclusive, how) && conflict(how, Exclusive));
        }
        assert!(conflict(BlockWriters, Writing) && conflict(Writing, BlockWriters));
        assert!(!conflict(BlockWriters, Shared) && !conflict(Writing, Writing));
        assert!(conflict(BlockWriters, BlockWriters));
    }
}
