//! What a statement asks of the session itself, told from what it asks of the engine.

use super::settings::Scope;
use super::transaction::{Access, ModesGiven};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::storage::Isolation;
use sqlparser::ast::{
    self, CloseCursor, ContextModifier, DataType, DiscardObject, Expr, Ident, ObjectName, Reset,
    Set, Statement, TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
    UnaryOperator,
};

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
    /// SET TRANSACTION
    SetTransaction(ModesGiven),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION
    SetCharacteristics(ModesGiven),
    /// RESET ALL
    ResetAll,
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
    /// DEALLOCATE; None is ALL.
    Deallocate(Option<String>),
    /// CLOSE; None is ALL.
    CloseCursor(Option<String>),
    /// UNLISTEN: nothing is ever listened to (LISTEN is 0A000), so that there is nothing to stop.
    Unlisten,
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
            Statement::Reset(reset) => of_reset(reset.reset),
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
            Statement::Deallocate { name, .. } => {
                let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
                Ok(Command::Deallocate((!all).then(|| folded(&name))))
            }
            Statement::Close { cursor } => Ok(Command::CloseCursor(match cursor {
                CloseCursor::All => None,
                CloseCursor::Specific { name } => Some(folded(&name)),
            })),
            Statement::UNLISTEN { .. } => Ok(Command::Unlisten),
            copy @ Statement::Copy { .. } => Ok(Command::Copy(Box::new(copy))),
            other => unsupported(&other).map_or_else(
                || Ok(Command::Engine(Box::new(other))),
                |feature| Err(Diagnostic::unsupported(feature)),
            ),
        }
    }
}

/// What belongs to the session and is not there.
fn unsupported(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::LISTEN { .. } => Some("LISTEN"),
        Statement::NOTIFY { .. } => Some("NOTIFY"),
        Statement::Declare { .. } => Some("DECLARE CURSOR"),
        Statement::Fetch { .. } => Some("FETCH"),
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

fn modes_given(modes: &[TransactionMode]) -> Result<ModesGiven, Diagnostic> {
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

fn isolation(level: TransactionIsolationLevel) -> Result<Isolation, Diagnostic> {
    match level {
        // As in PostgreSQL: nothing dirty is ever read.
        TransactionIsolationLevel::ReadUncommitted | TransactionIsolationLevel::ReadCommitted => {
            Ok(Isolation::ReadCommitted)
        }
        TransactionIsolationLevel::RepeatableRead => Ok(Isolation::RepeatableRead),
        // Never silently weaker.
        TransactionIsolationLevel::Serializable => {
            Err(Diagnostic::unsupported("isolation level SERIALIZABLE"))
        }
        TransactionIsolationLevel::Snapshot => {
            Err(Diagnostic::unsupported("isolation level SNAPSHOT"))
        }
    }
}

/// The isolation level that a setting's canonical text names.
pub fn isolation_of(text: &str) -> Isolation {
    match text {
        "repeatable read" => Isolation::RepeatableRead,
        _ => Isolation::ReadCommitted,
    }
}

fn of_set(set: Set) -> Result<Command, Diagnostic> {
    let tag = "SET";
    match set {
        Set::SingleAssignment {
            scope,
            hivevar: false,
            variable,
            values,
        } => Ok(Command::Set {
            name: object_name(&variable),
            value: set_value(&values)?,
            scope: scope_of(scope)?,
            tag,
        }),
        Set::SetTimeZone { local, value } => Ok(Command::Set {
            name: "TimeZone".to_owned(),
            value: set_value(std::slice::from_ref(&value))?,
            scope: if local { Scope::Local } else { Scope::Session },
            tag,
        }),
        Set::SetNames {
            charset_name,
            collation_name: None,
        } => Ok(Command::Set {
            name: "client_encoding".to_owned(),
            value: Some(charset_name.value),
            scope: Scope::Session,
            tag,
        }),
        Set::SetNamesDefault {} => Ok(Command::Set {
            name: "client_encoding".to_owned(),
            value: None,
            scope: Scope::Session,
            tag,
        }),
        Set::SetTransaction {
            modes,
            snapshot: None,
            session,
        } => {
            let modes = modes_given(&modes)?;
            Ok(if session {
                Command::SetCharacteristics(modes)
            } else {
                Command::SetTransaction(modes)
            })
        }
        Set::SetTransaction { .. } => Err(Diagnostic::unsupported("SET TRANSACTION SNAPSHOT")),
        Set::SetSessionAuthorization(_) => {
            Err(Diagnostic::unsupported("SET SESSION AUTHORIZATION"))
        }
        Set::SetRole { .. } => Err(Diagnostic::unsupported("SET ROLE")),
        Set::SingleAssignment { .. }
        | Set::ParenthesizedAssignments { .. }
        | Set::MultipleAssignments { .. }
        | Set::SetSessionParam(_)
        | Set::SetNames { .. } => Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "syntax error in SET",
        )),
    }
}

fn scope_of(scope: Option<ContextModifier>) -> Result<Scope, Diagnostic> {
    match scope {
        None | Some(ContextModifier::Session) => Ok(Scope::Session),
        Some(ContextModifier::Local) => Ok(Scope::Local),
        Some(ContextModifier::Global) => Err(Diagnostic::unsupported("SET GLOBAL")),
    }
}

fn of_reset(reset: Reset) -> Result<Command, Diagnostic> {
    match reset {
        Reset::ALL => Ok(Command::ResetAll),
        Reset::ConfigurationParameter(name) => Ok(Command::Set {
            name: object_name(&name),
            value: None,
            scope: Scope::Session,
            tag: "RESET",
        }),
    }
}

fn of_show(words: &[Ident]) -> Command {
    let name = words
        .iter()
        .map(|word| word.value.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    match name.to_ascii_lowercase().as_str() {
        "all" => Command::ShowAll,
        "time zone" => Command::Show("TimeZone".to_owned()),
        "transaction isolation level" => Command::Show("transaction_isolation".to_owned()),
        "session authorization" => Command::Show("session_authorization".to_owned()),
        "names" => Command::Show("client_encoding".to_owned()),
        // `my.flag` comes as its parts.
        _ => Command::Show(
            words
                .iter()
                .map(|word| word.value.as_str())
                .filter(|word| *word != ".")
                .collect::<Vec<_>>()
                .join("."),
        ),
    }
}

/// The list of values as the text of a setting; None is DEFAULT.
fn set_value(values: &[Expr]) -> Result<Option<String>, Diagnostic> {
    if let [Expr::Identifier(word)] = values
        && word.quote_style.is_none()
        && word.value.eq_ignore_ascii_case("default")
    {
        return Ok(None);
    }
    let parts = values
        .iter()
        .map(|value| set_word(value, values.len() > 1))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(parts.join(", ")))
}

fn set_word(value: &Expr, in_list: bool) -> Result<String, Diagnostic> {
    let quoted = |text: &str| {
        let plain = text.chars().all(|character| {
            character.is_ascii_lowercase() || character == '_' || character.is_ascii_digit()
        });
        if !in_list || plain {
            text.to_owned()
        } else {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
    };
    match value {
        Expr::Identifier(word) => Ok(quoted(&folded(word))),
        Expr::CompoundIdentifier(words) => {
            Ok(words.iter().map(folded).collect::<Vec<_>>().join("."))
        }
        Expr::Value(literal) => match &literal.value {
            ast::Value::Number(number, _) => Ok(number.clone()),
            ast::Value::Boolean(true) => Ok("true".to_owned()),
            ast::Value::Boolean(false) => Ok("false".to_owned()),
            other => match other.clone().into_string() {
                Some(text) => Ok(quoted(&text)),
                None => Err(not_a_value(value)),
            },
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => Ok(format!("-{}", set_word(expr, in_list)?)),
        Expr::UnaryOp {
            op: UnaryOperator::Plus,
            expr,
        } => set_word(expr, in_list),
        other => Err(not_a_value(other)),
    }
}

fn not_a_value(value: &Expr) -> Diagnostic {
    Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        format!("syntax error at or near \"{value}\""),
    )
}

/// An identifier as PostgreSQL folds it: lower case unless quoted.
pub fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

fn object_name(name: &ObjectName) -> String {
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
    use crate::sql::parse;

    fn command(text: &str) -> Result<Command, Diagnostic> {
        let mut statements = parse::parse(text).expect("the text parses");
        assert_eq!(statements.len(), 1, "{text}");
        Command::of(statements.remove(0).ast)
    }

    fn set(text: &str) -> (String, Option<String>, Scope) {
        match command(text) {
            Ok(Command::Set {
                name, value, scope, ..
            }) => (name, value, scope),
            other => panic!("{text}: {other:?}"),
        }
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
            isolation: Some(Isolation::RepeatableRead),
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
    fn serializable_is_0a000_and_read_uncommitted_is_read_committed() {
        let error = command("BEGIN ISOLATION LEVEL SERIALIZABLE").expect_err("not there");
        assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED);
        assert!(matches!(command("BEGIN ISOLATION LEVEL READ UNCOMMITTED"),
                Ok(Command::Begin(modes, _)) if modes.isolation == Some(Isolation::ReadCommitted)));
    }

    #[test]
    fn set_takes_words_texts_numbers_and_lists() {
        let session = Scope::Session;
        for (text, name, value, scope) in [
            (
                "SET statement_timeout = 5000",
                "statement_timeout",
                Some("5000"),
                session,
            ),
            (
                "SET statement_timeout TO '5s'",
                "statement_timeout",
                Some("5s"),
                session,
            ),
            ("SET LOCAL geqo = off", "geqo", Some("off"), Scope::Local),
            ("SET SESSION geqo TO true", "geqo", Some("true"), session),
            (
                "SET extra_float_digits = -3",
                "extra_float_digits",
                Some("-3"),
                session,
            ),
            (
                "SET search_path = public, \"B c\"",
                "search_path",
                Some("public, \"B c\""),
                session,
            ),
            ("SET geqo TO DEFAULT", "geqo", None, session),
            ("SET TIME ZONE 'UTC'", "TimeZone", Some("UTC"), session),
            ("SET NAMES 'utf8'", "client_encoding", Some("utf8"), session),
            ("SET my.flag = 'x'", "my.flag", Some("x"), session),
            ("RESET geqo", "geqo", None, session),
        ] {
            let expected = (name.to_owned(), value.map(str::to_owned), scope);
            assert_eq!(set(text), expected, "{text}");
        }
    }

    #[test]
    fn what_the_session_does_not_do_is_named() {
        for (text, feature) in [
            ("LISTEN x", "LISTEN"),
            ("SET ROLE x", "SET ROLE"),
            ("SET SESSION AUTHORIZATION x", "SET SESSION AUTHORIZATION"),
        ] {
            let error = command(text).expect_err(text);
            assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED, "{text}");
            assert!(error.message().starts_with(feature), "{error}");
        }
    }

    #[test]
    fn show_and_its_two_word_forms() {
        for (text, name) in [
            ("SHOW timezone", "timezone"),
            ("SHOW TIME ZONE", "TimeZone"),
            ("SHOW TRANSACTION ISOLATION LEVEL", "transaction_isolation"),
            ("SHOW server_version", "server_version"),
        ] {
            assert!(
                matches!(command(text), Ok(Command::Show(shown)) if shown == name),
                "{text}"
            );
        }
        assert!(matches!(command("SHOW ALL"), Ok(Command::ShowAll)));
    }
}
