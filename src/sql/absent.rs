//! Commands of PostgreSQL that nothing here reads: 0A000 with their name, not a syntax error.
//! Source: PostgreSQL 15, part VI "SQL Commands".

use crate::diagnostic::Diagnostic;

/// Commands of which nothing is read.
const COMMANDS: &[&str] = &[
    "CHECKPOINT",
    "CLUSTER",
    "COMMIT PREPARED",
    "DO",
    "IMPORT FOREIGN SCHEMA",
    "PREPARE TRANSACTION",
    "REASSIGN OWNED",
    "REFRESH MATERIALIZED VIEW",
    "REINDEX",
    "ROLLBACK PREPARED",
    "SECURITY LABEL",
];

/// What CREATE, ALTER and DROP may be followed by.
const OBJECTS: &[&str] = &[
    "ACCESS METHOD",
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONVERSION",
    "DEFAULT PRIVILEGES",
    "EVENT TRIGGER",
    "EXTENSION",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "GROUP",
    "LANGUAGE",
    "LARGE OBJECT",
    "MATERIALIZED VIEW",
    "OPERATOR",
    "POLICY",
    "PROCEDURE",
    "PUBLICATION",
    "RECURSIVE VIEW",
    "ROUTINE",
    "RULE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "SYSTEM",
    "TABLESPACE",
    "TEXT SEARCH",
    "TRANSFORM",
    "TRIGGER",
    "TYPE",
    "USER MAPPING",
];

/// What ALTER may be followed by, of which CREATE and DROP are there.
const ALTERED: &[&str] = &["INDEX", "SEQUENCE", "VIEW", "DATABASE"];

/// Words between CREATE and its object.
const PASSED_OVER: &[&str] = &["OR", "REPLACE", "TRUSTED", "PROCEDURAL", "CONSTRAINT"];

/// 0A000 for a statement that is a command of PostgreSQL's and could not be read.
pub fn command(statement: &str) -> Option<Diagnostic> {
    let words: Vec<String> = statement
        .split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .take(6)
        .map(str::to_ascii_uppercase)
        .collect();
    let name = name(&words).or_else(|| clause(statement))?;
    Some(Diagnostic::unsupported(name))
}

/// Clauses of which nothing is read: the words they are told by, and what they are called.
const CLAUSES: &[(&[&str], &str)] = &[
    (&["where", "current", "of"], "WHERE CURRENT OF"),
    (&["with", "check", "option"], "WITH CHECK OPTION"),
    (&["with", "local", "check", "option"], "WITH CHECK OPTION"),
    (
        &["with", "cascaded", "check", "option"],
        "WITH CHECK OPTION",
    ),
    (&["exclude", "using"], "EXCLUDE"),
    (&["rows", "from"], "ROWS FROM"),
    (&["search", "depth", "first"], "SEARCH"),
    (&["search", "breadth", "first"], "SEARCH"),
    (&["exclude", "current", "row"], "EXCLUDE in a window"),
    (&["exclude", "group"], "EXCLUDE in a window"),
    (&["exclude", "ties"], "EXCLUDE in a window"),
    (&["exclude", "no", "others"], "EXCLUDE in a window"),
    (&["no", "inherit"], "NO INHERIT"),
    (&["set", "statistics"], "SET STATISTICS"),
    (&["set", "storage"], "SET STORAGE"),
    (&["variadic"], "VARIADIC"),
    (&["with", "ties"], "WITH TIES"),
];

fn clause(statement: &str) -> Option<String> {
    if assigns_part(statement) {
        return Some("assignment to a part of a column".to_owned());
    }
    let words: Vec<&str> = statement
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let stands = |wanted: &[&str]| {
        words.windows(wanted.len()).any(|found| {
            let mut pairs = found.iter().zip(wanted);
            pairs.all(|(word, wanted)| word.eq_ignore_ascii_case(wanted))
        })
    };
    let found = CLAUSES.iter().find(|(wanted, _)| stands(wanted))?;
    Some(found.1.to_owned())
}

/// `SET column[…]`
fn assigns_part(statement: &str) -> bool {
    let mut words = statement.split_ascii_whitespace();
    let is_update = words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("update"));
    let assigned = words
        .skip_while(|word| !word.eq_ignore_ascii_case("set"))
        .nth(1);
    is_update && assigned.is_some_and(|assigned| assigned.contains('['))
}

fn name(words: &[String]) -> Option<String> {
    let begins = |words: &[String], name: &str| {
        name.split(' ')
            .enumerate()
            .all(|(place, part)| words.get(place).is_some_and(|word| word == part))
    };
    if let Some(found) = COMMANDS.iter().find(|name| begins(words, name)) {
        return Some((*found).to_owned());
    }
    let (verb, rest) = words.split_first()?;
    if begins(words, "CREATE SCHEMA") && rest.iter().any(|word| word == "CREATE" || word == "GRANT")
    {
        return Some("CREATE SCHEMA with what it has".to_owned());
    }
    if !matches!(verb.as_str(), "CREATE" | "ALTER" | "DROP") {
        return None;
    }
    let passed = rest
        .iter()
        .take_while(|word| PASSED_OVER.contains(&word.as_str()))
        .count();
    let rest = &rest[passed..];
    let altered = if verb == "ALTER" { ALTERED } else { &[] };
    let object = OBJECTS.iter().chain(altered);
    let found = object.into_iter().find(|name| begins(rest, name))?;
    Some(format!("{verb} {found}"))
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::SqlState;
    use crate::sql::parse;

    #[test]
    fn commands_that_are_not_there_are_named() {
        for (text, name) in [
            ("reassign owned by a to b", "REASSIGN OWNED"),
            ("SELECT 1; ALTER SEQUENCE s SET LOGGED", "ALTER SEQUENCE"),
            (
                "create or replace rule r as on insert to t do nothing",
                "CREATE RULE",
            ),
            (
                "create text search configuration c (copy = simple)",
                "CREATE TEXT SEARCH",
            ),
            ("alter view v set (security_barrier)", "ALTER VIEW"),
            ("delete from t where current of c", "WHERE CURRENT OF"),
            (
                "create view v as select 1 with check option",
                "WITH CHECK OPTION",
            ),
            (
                "create table t (a int, exclude using gist (a with =))",
                "EXCLUDE",
            ),
            (
                "with recursive t as (select 1) search depth first by a set b select 1",
                "SEARCH",
            ),
            (
                "select sum(a) over (order by a rows 1 preceding exclude ties) from t",
                "EXCLUDE in a window",
            ),
            (
                "update t set a = 1 where current\n of c",
                "WHERE CURRENT OF",
            ),
            ("copy t from stdin where id > 1", "COPY FROM … WHERE"),
            ("vacuum t, u", "VACUUM of several tables"),
            (
                "create schema s create table t (a int)",
                "CREATE SCHEMA with what it has",
            ),
            (
                "create recursive view v (n) as select 1",
                "CREATE RECURSIVE VIEW",
            ),
            (
                "update t set a['k'] = '1' where id = 1",
                "assignment to a part of a column",
            ),
            ("alter table t alter a set storage plain", "SET STORAGE"),
            ("alter table t add check (a > 0) no inherit", "NO INHERIT"),
            ("select jsonb_build_array(variadic array[1])", "VARIADIC"),
            ("analyze t (a), u", "ANALYZE of several tables"),
        ] {
            let error = parse::parse(text).expect_err(text);
            assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED, "{text}");
            assert_eq!(
                error.message(),
                format!("{name} is not supported"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_command_of_postgresql_stays_a_syntax_error() {
        for text in [
            "create nonsense x",
            "selec 1",
            "drop rules",
            "create schema",
            "update t set a = 1 wher b[1] = 2",
        ] {
            let error = parse::parse(text).expect_err(text);
            assert_eq!(error.sqlstate(), SqlState::SYNTAX_ERROR, "{text}");
        }
    }
}
