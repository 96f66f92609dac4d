//! SET, RESET and SHOW, told apart: which setting, its value as text, for how long.

use super::command::{Command, folded, modes_given, object_name};
use super::settings::Scope;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::deferred::Timing;
use crate::engine::dml::deferred::Which;
use crate::sql::constraint_timing::SetConstraints;
use sqlparser::ast::{
    self, ContextModifier, Expr, Ident, Reset, Set, SetSessionAuthorizationParam,
    SetSessionAuthorizationParamKind, UnaryOperator,
};

/// SET, in all its forms.
///
/// # Errors
/// 0A000 for what cannot be set, 42601.
pub(super) fn of_set(set: Set) -> Result<Command, Diagnostic> {
    let tag = "SET";
    if let Some(given) = SetConstraints::of(&set) {
        return of_constraints(given);
    }
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
        Set::SetTimeZone {
            value: Expr::Interval(_),
            ..
        } => Err(Diagnostic::unsupported("SET TIME ZONE INTERVAL")),
        Set::SetTimeZone {
            local,
            value: Expr::Identifier(word),
        } if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("local") => {
            Ok(Command::Set {
                name: "TimeZone".to_owned(),
                value: None,
                scope: if local { Scope::Local } else { Scope::Session },
                tag,
            })
        }
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
        Set::SetRole {
            role_name: None, ..
        } => Ok(Command::StayWhoeverItIs(tag)),
        Set::SetSessionAuthorization(SetSessionAuthorizationParam {
            kind: SetSessionAuthorizationParamKind::Default,
            ..
        }) => Ok(Command::StayWhoeverItIs(tag)),
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

fn of_constraints(given: SetConstraints) -> Result<Command, Diagnostic> {
    let timing = match given.deferred {
        true => Timing::Deferred,
        false => Timing::Immediate,
    };
    let Some(names) = given.names else {
        return Ok(Command::SetConstraints(Which::All, timing));
    };
    let named = names.iter().map(|parts| match parts.as_slice() {
        [name] => Ok((None, folded(name))),
        [schema, name] => Ok((Some(folded(schema)), folded(name))),
        _ => Err(Diagnostic::unsupported(
            "a constraint's name of three parts",
        )),
    });
    let named = named.collect::<Result<_, _>>()?;
    Ok(Command::SetConstraints(Which::Named(named), timing))
}

fn scope_of(scope: Option<ContextModifier>) -> Result<Scope, Diagnostic> {
    match scope {
        None | Some(ContextModifier::Session) => Ok(Scope::Session),
        Some(ContextModifier::Local) => Ok(Scope::Local),
        Some(ContextModifier::Global) => Err(Diagnostic::unsupported("SET GLOBAL")),
    }
}

/// RESET, of one setting or all.
pub(super) fn of_reset(reset: Reset) -> Command {
    match reset {
        Reset::ALL => Command::ResetAll,
        Reset::ConfigurationParameter(name)
            if matches!(
                object_name(&name).as_str(),
                "role" | "session_authorization"
            ) =>
        {
            Command::StayWhoeverItIs("RESET")
        }
        Reset::ConfigurationParameter(name) => Command::Set {
            name: object_name(&name),
            value: None,
            scope: Scope::Session,
            tag: "RESET",
        },
    }
}

/// SHOW, of one setting or all.
pub(super) fn of_show(words: &[Ident]) -> Command {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    fn command(text: &str) -> Result<Command, Diagnostic> {
        Command::of(parse::parse_one(text).expect("the text parses"))
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
