//! What a statement asks of the session itself, told from what it asks of the engine.

use super::cursors::{self, Declaration};
use super::notification::Listening;
use super::scroll::Direction;
use super::set_command::{of_reset, of_set, of_show};
use super::settings::Scope;
use super::transaction::{Access, Level, ModesGiven};
use crate::diagnostic::Diagnostic;
use crate::engine::deferred::Timing;
use crate::engine::dml::deferred::Which;
use crate::sql::code_block::{self, Given};
use crate::sql::fetch::{self, Verb};
use sqlparser::ast::{
    CloseCursor, DataType, DiscardObject, Expr, Ident, ObjectName, Statement,
    TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};
use std::sync::Arc;

/// One statement, told apart.
#[derive(Debug)]
pub enum Command {
    /// BEGIN, START TRANSACTION
    Begin(ModesGiven, &'static str),
    /// COMMIT, END
    Commit(Chain),
    /// ROLLBACK, ABORT
    Rollback(Chain),
    /// SAVEPOINT
    Savepoint(String),
    /// RELEASE
    Release(String),
    /// ROLLBACK TO
    RollbackTo(String),
    /// SET, SET LOCAL and RESET of one setting; None is its default.
    Set {
        /// The setting.
        name: String,
        /// As given.
        value: Option<String>,
        /// SET or SET LOCAL.
        scope: Scope,
        /// `SET` or `RESET`.
        tag: &'static str,
    },
    /// SET CONSTRAINTS
    SetConstraints(Which, Timing),
    /// SET TRANSACTION
    SetTransaction(ModesGiven),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION
    SetCharacteristics(ModesGiven),
    /// RESET ALL
    ResetAll,
    /// SET ROLE NONE, SET SESSION AUTHORIZATION DEFAULT and their RESETs: as it is.
    StayWhoeverItIs(&'static str),
    /// SHOW
    Show(String),
    /// SHOW ALL
    ShowAll,
    /// DISCARD
    Discard(Discard),
    /// PREPARE
    Prepare {
        /// Its name.
        name: String,
        /// Types of parameters, as declared.
        types: Vec<DataType>,
        /// What it prepares.
        statement: Box<Statement>,
    },
    /// EXECUTE
    Execute {
        /// Its name.
        name: String,
        /// Its parameters.
        parameters: Vec<Expr>,
    },
    /// EXPLAIN of an EXECUTE
    ExplainExecute {
        /// The EXPLAIN.
        explain: Box<Statement>,
        /// The prepared statement's name.
        name: String,
        /// Its parameters.
        parameters: Vec<Expr>,
    },
    /// DO, with its code.
    Do(Given),
    /// DEALLOCATE; None is ALL.
    Deallocate(Option<String>),
    /// DECLARE
    Declare(Declaration),
    /// FETCH and MOVE
    Fetch {
        /// The cursor.
        name: String,
        /// Where to.
        direction: Direction,
        /// Which of the two.
        verb: Verb,
    },
    /// CLOSE; None is ALL.
    CloseCursor(Option<String>),
    /// LISTEN and UNLISTEN
    Listen(Listening),
    /// NOTIFY
    Notify {
        /// The channel.
        channel: String,
        /// What is told.
        payload: Option<String>,
    },
    /// COPY
    Copy(Box<Statement>),
    /// Everything else.
    Engine(Box<Statement>),
}

/// AND CHAIN
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Begin another with the same modes.
    Yes,
    /// Do not.
    No,
}

/// DISCARD's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// ALL
    All,
    /// PLANS
    Plans,
    /// SEQUENCES
    Sequences,
    /// TEMP
    Temporary,
}

impl Discard {
    /// The command's tag.
    pub fn tag(self) -> &'static str {
        match self {
            Discard::All => "DISCARD ALL",
            Discard::Plans => "DISCARD PLANS",
            Discard::Sequences => "DISCARD SEQUENCES",
            Discard::Temporary => "DISCARD TEMP",
        }
    }
}

impl Command {
    /// Whether a failed block lets it through: what ends the block or comes back to a savepoint.
    pub fn ends_failed_block(&self) -> bool {
        matches!(
            self,
            Command::Commit(_) | Command::Rollback(_) | Command::RollbackTo(_)
        )
    }

    /// Tells a statement apart.
    ///
    /// # Errors
    /// 0A000 for what the session would have to do and does not.
    pub fn of(statement: Statement) -> Result<Command, Diagnostic> {
        match statement {
            Statement::StartTransaction {
                modes,
                begin,
                modifier: None,
                statements,
                exception: None,
                ..
            } if statements.is_empty() => {
                let tag = if begin { "BEGIN" } else { "START TRANSACTION" };
                Ok(Command::Begin(modes_given(&modes)?, tag))
            }
            Statement::Commit {
                chain,
                modifier: None,
                ..
            } => Ok(Command::Commit(chain_of(chain))),
            Statement::Rollback { chain, savepoint } => Ok(match savepoint {
                None => Command::Rollback(chain_of(chain)),
                Some(name) => Command::RollbackTo(folded(&name)),
            }),
            Statement::Savepoint { name } => Ok(Command::Savepoint(folded(&name))),
            Statement::ReleaseSavepoint { name } => Ok(Command::Release(folded(&name))),
            Statement::Set(set) => of_set(set),
            Statement::Reset(reset) => Ok(of_reset(reset.reset)),
            Statement::ShowVariable { variable } => Ok(of_show(&variable)),
            Statement::Discard { object_type } => Ok(Command::Discard(match object_type {
                DiscardObject::ALL => Discard::All,
                DiscardObject::PLANS => Discard::Plans,
                DiscardObject::SEQUENCES => Discard::Sequences,
                DiscardObject::TEMP => Discard::Temporary,
            })),
            Statement::Prepare {
                name,
                data_types,
                statement,
            } => Ok(Command::Prepare {
                name: folded(&name),
                types: data_types,
                statement,
            }),
            Statement::Execute {
                name: Some(name),
                parameters,
                immediate: false,
                ..
            } => Ok(Command::Execute {
                name: object_name(&name),
                parameters,
            }),
            Statement::Call(call) => match code_block::of(&call) {
                Some(given) => Ok(Command::Do(given)),
                None => Ok(Command::Engine(Box::new(Statement::Call(call)))),
            },
            explain @ Statement::Explain { .. } => Ok(of_explain(explain)),
            Statement::Deallocate { name, .. } => {
                let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
                Ok(Command::Deallocate((!all).then(|| folded(&name))))
            }
            Statement::Declare { stmts } => cursors::declaration(stmts).map(Command::Declare),
            Statement::Fetch {
                name,
                direction,
                into,
                ..
            } => Ok(Command::Fetch {
                name: folded(&name),
                direction: cursors::direction(&direction)?,
                verb: fetch::verb(into.as_ref()),
            }),
            Statement::Close { cursor } => Ok(Command::CloseCursor(match cursor {
                CloseCursor::All => None,
                CloseCursor::Specific { name } => Some(folded(&name)),
            })),
            Statement::LISTEN { channel } => {
                let channel = Arc::from(folded(&channel));
                Ok(Command::Listen(Listening::To(channel)))
            }
            Statement::UNLISTEN { channel } => {
                let all = channel.quote_style.is_none() && channel.value == "*";
                Ok(Command::Listen(match all {
                    true => Listening::ToNothing,
                    false => Listening::NotTo(Arc::from(folded(&channel))),
                }))
            }
            Statement::NOTIFY { channel, payload } => Ok(Command::Notify {
                channel: folded(&channel),
                payload,
            }),
            copy @ Statement::Copy { .. } => Ok(Command::Copy(Box::new(copy))),
            other => unsupported(&other).map_or_else(
                || Ok(Command::Engine(Box::new(other))),
                |feature| Err(Diagnostic::unsupported(feature)),
            ),
        }
    }
}

/// EXPLAIN EXECUTE is the session's, which knows what is prepared.
fn of_explain(explain: Statement) -> Command {
    let executed = match &explain {
        Statement::Explain { statement, .. } => match &**statement {
            Statement::Execute {
                name: Some(name),
                parameters,
                immediate: false,
                ..
            } => Some((object_name(name), parameters.clone())),
            _ => None,
        },
        _ => None,
    };
    let explain = Box::new(explain);
    match executed {
        Some((name, parameters)) => Command::ExplainExecute {
            explain,
            name,
            parameters,
        },
        None => Command::Engine(explain),
    }
}

/// What belongs to the session and is not there.
fn unsupported(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::StartTransaction { .. } => Some("BEGIN with a modifier"),
        Statement::Commit { .. } => Some("COMMIT with a modifier"),
        Statement::Execute { .. } => Some("EXECUTE IMMEDIATE"),
        Statement::Load { .. } => Some("LOAD"),
        _ => None,
    }
}

fn chain_of(chain: bool) -> Chain {
    if chain { Chain::Yes } else { Chain::No }
}

/// The modes of BEGIN and SET TRANSACTION.
///
/// # Errors
/// 0A000 for SERIALIZABLE.
pub(super) fn modes_given(modes: &[TransactionMode]) -> Result<ModesGiven, Diagnostic> {
    let mut given = ModesGiven::default();
    for mode in modes {
        match mode {
            TransactionMode::AccessMode(TransactionAccessMode::ReadOnly) => {
                given.access = Some(Access::ReadOnly);
            }
            TransactionMode::AccessMode(TransactionAccessMode::ReadWrite) => {
                given.access = Some(Access::ReadWrite);
            }
            TransactionMode::IsolationLevel(level) => given.isolation = Some(isolation(*level)?),
        }
    }
    Ok(given)
}

fn isolation(level: TransactionIsolationLevel) -> Result<Level, Diagnostic> {
    match level {
        TransactionIsolationLevel::ReadUncommitted => Ok(Level::ReadUncommitted),
        TransactionIsolationLevel::ReadCommitted => Ok(Level::ReadCommitted),
        TransactionIsolationLevel::RepeatableRead => Ok(Level::RepeatableRead),
        // Never silently weaker.
        TransactionIsolationLevel::Serializable => {
            Err(Diagnostic::unsupported("isolation level SERIALIZABLE"))
        }
        TransactionIsolationLevel::Snapshot => {
            Err(Diagnostic::unsupported("isolation level SNAPSHOT"))
        }
    }
}

/// An identifier as PostgreSQL folds it: lower case unless quoted.
pub fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// A name of several parts, each folded, with dots between.
pub(super) fn object_name(name: &ObjectName) -> String {
    name.0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => folded(ident),
            None => part.to_string(),
        })
        .collect::<Vec<_>>()
        .join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SqlState;
    use crate::sql::parse;
    use crate::storage::Isolation;

    fn command(text: &str) -> Result<Command, Diagnostic> {
        let mut statements = parse::parse(text).expect("the text parses");
        assert_eq!(statements.len(), 1, "{text}");
        Command::of(statements.remove(0).ast)
    }

    #[test]
    fn transaction_statements_in_all_their_spellings() {
        for begin in ["BEGIN", "BEGIN WORK", "BEGIN TRANSACTION"] {
            assert!(
                matches!(command(begin), Ok(Command::Begin(modes, "BEGIN")) if modes == ModesGiven::default()),
                "{begin}"
            );
        }
        let modes = ModesGiven {
            isolation: Some(Level::RepeatableRead),
            access: Some(Access::ReadOnly),
        };
        for begin in [
            "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            "START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        ] {
            assert!(
                matches!(command(begin), Ok(Command::Begin(given, "START TRANSACTION")) if given == modes),
                "{begin}"
            );
        }
        for rollback in ["ABORT", "ABORT WORK", "abort transaction and no chain"] {
            assert!(
                matches!(command(rollback), Ok(Command::Rollback(Chain::No))),
                "{rollback}"
            );
        }
        for commit in ["COMMIT", "END", "COMMIT WORK", "END TRANSACTION"] {
            assert!(
                matches!(command(commit), Ok(Command::Commit(Chain::No))),
                "{commit}"
            );
        }
        assert!(matches!(
            command("COMMIT AND CHAIN"),
            Ok(Command::Commit(Chain::Yes))
        ));
        assert!(matches!(
            command("ROLLBACK"),
            Ok(Command::Rollback(Chain::No))
        ));
        assert!(
            matches!(command("ROLLBACK TO SAVEPOINT A"), Ok(Command::RollbackTo(name)) if name == "a")
        );
        assert!(matches!(command("RELEASE \"A\""), Ok(Command::Release(name)) if name == "A"));
    }

    #[test]
    fn serializable_is_0a000_and_read_uncommitted_comes_to_read_committed() {
        let error = command("BEGIN ISOLATION LEVEL SERIALIZABLE").expect_err("not there");
        assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED);
        assert!(matches!(command("BEGIN ISOLATION LEVEL READ UNCOMMITTED"),
                Ok(Command::Begin(modes, _)) if modes.isolation.map(Level::isolation) == Some(Isolation::ReadCommitted)));
    }

    #[test]
    fn what_the_session_does_not_do_is_named() {
        for (text, feature) in [
            ("SET ROLE x", "SET ROLE"),
            (
                "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE",
                "SET TIME ZONE INTERVAL",
            ),
            ("SET SESSION AUTHORIZATION x", "SET SESSION AUTHORIZATION"),
        ] {
            let error = command(text).expect_err(text);
            assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED, "{text}");
            assert!(error.message().starts_with(feature), "{error}");
        }
    }
}
