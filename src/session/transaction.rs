//! The transaction of a session: which block it is in, its modes, its savepoints.
//!
//! ```text
//!            statement                BEGIN
//!   None ──────────────▶ Implicit ──────────▶ Explicit ──error──▶ Failed
//!    ▲  ◀──end of message, Sync──┘               │  ▲               │
//!    │                                           │  └─ROLLBACK TO───┤
//!    └──────────────COMMIT, ROLLBACK─────────────┴──────────────────┘
//! ```
//!
//! An implicit block that fails is rolled back at once; an explicit one stays failed until its
//! client ends it, or comes back to a savepoint (25P02 until then).

use super::notification::Listening;
use super::settings::Mark;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine;
use crate::engine::context::EffectsMark;
use crate::storage::Isolation;

/// The most savepoints that a transaction may hold at once.
const SAVEPOINTS_MAX: usize = 100_000;

/// Which block the session is in.
pub enum Block {
    /// No transaction is open.
    None,
    /// Around statements outside a block: one, or those of one message or pipeline.
    Implicit(Box<Open>),
    /// After BEGIN.
    Explicit(Box<Open>),
    /// After BEGIN and an error.
    Failed(Box<Failed>),
}

/// What ReadyForQuery tells of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No block.
    Idle,
    /// In a block.
    InBlock,
    /// In a block that has failed.
    Failed,
}

/// Whether a transaction may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    ReadWrite,
    /// 25006 when it tries.
    ReadOnly,
}

/// An isolation level, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Shown as such; nothing dirty is ever read, as in PostgreSQL.
    ReadUncommitted,
    /// READ COMMITTED
    ReadCommitted,
    /// REPEATABLE READ
    RepeatableRead,
}

impl Level {
    /// What it comes to.
    pub fn isolation(self) -> Isolation {
        match self {
            Level::ReadUncommitted | Level::ReadCommitted => Isolation::ReadCommitted,
            Level::RepeatableRead => Isolation::RepeatableRead,
        }
    }

    /// As SHOW prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::ReadUncommitted => "read uncommitted",
            Level::ReadCommitted => "read committed",
            Level::RepeatableRead => "repeatable read",
        }
    }

    /// The level that a setting's canonical text names.
    pub fn named(text: &str) -> Level {
        match text {
            "repeatable read" => Level::RepeatableRead,
            "read uncommitted" => Level::ReadUncommitted,
            _ => Level::ReadCommitted,
        }
    }
}

/// What a transaction was begun as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// ISOLATION LEVEL
    pub isolation: Level,
    /// READ WRITE or READ ONLY.
    pub access: Access,
}

/// Modes as a statement gives them; what it does not say stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModesGiven {
    /// ISOLATION LEVEL
    pub isolation: Option<Level>,
    /// READ WRITE, READ ONLY
    pub access: Option<Access>,
}

/// An open transaction.
pub struct Open {
    /// The engine's half.
    pub transaction: engine::transaction::Transaction,
    /// What it was begun as.
    pub modes: Modes,
    /// now(), in Unix microseconds.
    pub started_at: i64,
    /// The settings to come back to.
    pub settings: Mark,
    /// LISTEN and UNLISTEN, in force with COMMIT.
    pub listenings: Vec<Listening>,
    savepoints: Vec<Named>,
    begun: Begun,
}

/// A transaction that can only be ended, or come back to a savepoint.
pub struct Failed {
    /// Kept while it has savepoints to come back to; without, it has been rolled back already.
    open: Option<Open>,
    /// What COMMIT AND CHAIN would begin again.
    pub modes: Modes,
    /// The settings to come back to.
    pub settings: Mark,
}

/// Whether a statement has run: modes are decided then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Fresh,
    StatementRan,
}

struct Named {
    name: String,
    savepoint: engine::transaction::Savepoint,
    settings: Mark,
    /// How far the effects of its functions and NOTIFYs had come.
    effects: EffectsMark,
    listenings: usize,
}

impl ModesGiven {
    /// These over those of `default`.
    pub fn over(self, default: Modes) -> Modes {
        Modes {
            isolation: self.isolation.unwrap_or(default.isolation),
            access: self.access.unwrap_or(default.access),
        }
    }
}

impl Block {
    /// What ReadyForQuery tells.
    pub fn status(&self) -> Status {
        match self {
            Block::None | Block::Implicit(_) => Status::Idle,
            Block::Explicit(_) => Status::InBlock,
            Block::Failed(_) => Status::Failed,
        }
    }

    /// The open transaction, if there is one that can run statements.
    pub fn open(&mut self) -> Option<&mut Open> {
        match self {
            Block::Implicit(open) | Block::Explicit(open) => Some(open),
            Block::None | Block::Failed(_) => None,
        }
    }

    /// How many savepoints there are to come back to.
    pub fn savepoints(&self) -> usize {
        let open = match self {
            Block::Implicit(open) | Block::Explicit(open) => Some(&**open),
            Block::Failed(failed) => failed.open.as_ref(),
            Block::None => None,
        };
        open.map_or(0, |open| open.savepoints.len())
    }

    /// The modes in force, if a transaction is open or failed.
    pub fn modes(&self) -> Option<Modes> {
        match self {
            Block::Implicit(open) | Block::Explicit(open) => Some(open.modes),
            Block::Failed(failed) => Some(failed.modes),
            Block::None => None,
        }
    }

    /// After an error: an explicit block becomes a failed one, an implicit one is over. Gives the
    /// settings to come back to, and how far its other effects stand.
    pub fn fail(&mut self) -> Option<(Mark, EffectsMark)> {
        match std::mem::replace(self, Block::None) {
            Block::None => None,
            Block::Implicit(open) => Some((open.settings, EffectsMark::default())),
            Block::Explicit(open) => {
                let settings = match open.savepoints.last() {
                    Some(last) => (last.settings.clone(), last.effects),
                    None => (open.settings.clone(), EffectsMark::default()),
                };
                *self = Block::Failed(Box::new((*open).into_failed()));
                Some(settings)
            }
            failed @ Block::Failed(_) => {
                *self = failed;
                None
            }
        }
    }

    /// 25P02 in a failed block.
    ///
    /// # Errors
    /// The block has failed.
    pub fn check_usable(&self) -> Result<(), Diagnostic> {
        match self {
            Block::Failed(_) => Err(Diagnostic::error(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )),
            Block::None | Block::Implicit(_) | Block::Explicit(_) => Ok(()),
        }
    }

    /// SAVEPOINT
    ///
    /// # Errors
    /// Outside a block, or past the limit.
    pub fn savepoint(
        &mut self,
        name: &str,
        settings: Mark,
        effects: EffectsMark,
    ) -> Result<(), Diagnostic> {
        let Block::Explicit(open) = self else {
            return Err(only_in_a_block("SAVEPOINT"));
        };
        if open.savepoints.len() >= SAVEPOINTS_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("more than {SAVEPOINTS_MAX} savepoints in one transaction"),
            ));
        }
        let savepoint = open.transaction.savepoint();
        open.savepoints.push(Named {
            name: name.to_owned(),
            savepoint,
            settings,
            effects,
            listenings: open.listenings.len(),
        });
        Ok(())
    }

    /// RELEASE: the savepoint and those after it are forgotten, their changes stay.
    ///
    /// # Errors
    /// Outside a block, or there is no such savepoint.
    pub fn release(&mut self, name: &str) -> Result<(), Diagnostic> {
        let Block::Explicit(open) = self else {
            return Err(only_in_a_block("RELEASE SAVEPOINT"));
        };
        let at = open.find(name)?;
        open.savepoints.truncate(at);
        Ok(())
    }

    /// ROLLBACK TO: gives the settings to come back to, and how far the other
    /// effects stand. The savepoint stays.
    ///
    /// # Errors
    /// Outside a block, or there is no such savepoint.
    pub fn rollback_to(&mut self, name: &str) -> Result<(Mark, EffectsMark), Diagnostic> {
        match self {
            Block::Explicit(open) => open.rollback_to(name),
            Block::Failed(failed) => {
                let open = failed.open.as_mut().ok_or_else(|| no_savepoint(name))?;
                let settings = open.rollback_to(name)?;
                let open = failed.open.take().expect("it was there a line ago");
                *self = Block::Explicit(Box::new(open));
                Ok(settings)
            }
            Block::None | Block::Implicit(_) => Err(only_in_a_block("ROLLBACK TO SAVEPOINT")),
        }
    }
}

impl Open {
    /// A transaction that has done nothing yet.
    pub fn new(
        transaction: engine::transaction::Transaction,
        modes: Modes,
        started_at: i64,
        settings: Mark,
    ) -> Open {
        Open {
            transaction,
            modes,
            started_at,
            settings,
            listenings: Vec::new(),
            savepoints: Vec::new(),
            begun: Begun::Fresh,
        }
    }

    /// A statement runs: the modes are decided.
    pub fn statement_ran(&mut self) {
        self.begun = Begun::StatementRan;
    }

    /// SET TRANSACTION: `make` begins the storage transaction anew where the isolation changes,
    /// which is possible because nothing has been read or written.
    ///
    /// # Errors
    /// 25001 when a statement has run.
    pub fn set_modes(
        &mut self,
        given: ModesGiven,
        make: impl FnOnce(Isolation) -> engine::transaction::Transaction,
    ) -> Result<(), Diagnostic> {
        let modes = given.over(self.modes);
        let ran = self.begun == Begun::StatementRan || !self.savepoints.is_empty();
        if modes.isolation != self.modes.isolation {
            if ran {
                return Err(Diagnostic::error(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                ));
            }
            self.transaction = make(modes.isolation.isolation());
        }
        if modes.access == Access::ReadWrite && self.modes.access == Access::ReadOnly && ran {
            return Err(Diagnostic::error(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "transaction read-write mode must be set before any query",
            ));
        }
        self.modes = modes;
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, Diagnostic> {
        self.savepoints
            .iter()
            .rposition(|named| named.name == name)
            .ok_or_else(|| no_savepoint(name))
    }

    fn rollback_to(&mut self, name: &str) -> Result<(Mark, EffectsMark), Diagnostic> {
        let at = self.find(name)?;
        self.savepoints.truncate(at + 1);
        let named = &self.savepoints[at];
        self.transaction.rollback_to(&named.savepoint);
        self.listenings.truncate(named.listenings);
        Ok((named.settings.clone(), named.effects))
    }

    /// What the last savepoint does not cover is undone, and its locks are given back.
    fn into_failed(mut self) -> Failed {
        let modes = self.modes;
        let settings = self.settings.clone();
        let open = match self.savepoints.last() {
            Some(last) => {
                self.transaction.rollback_to(&last.savepoint);
                Some(self)
            }
            None => None,
        };
        Failed {
            open,
            modes,
            settings,
        }
    }
}

/// 25P01 for a statement that means something only in a block.
pub fn only_in_a_block(statement: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::NO_ACTIVE_SQL_TRANSACTION,
        format!("{statement} can only be used in transaction blocks"),
    )
}

/// 25001 for a statement that must stand alone.
pub fn not_in_a_block(statement: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::ACTIVE_SQL_TRANSACTION,
        format!("{statement} cannot run inside a transaction block"),
    )
}

fn no_savepoint(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_SAVEPOINT_SPECIFICATION,
        format!("savepoint \"{name}\" does not exist"),
    )
}
