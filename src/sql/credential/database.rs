//! CREATE DATABASE and DROP DATABASE.

use super::cursor::Cursor;
use super::statement::CredentialStatement;
use crate::catalog::Request;
use crate::diagnostic::Diagnostic;

type Parsed = Result<CredentialStatement, Diagnostic>;

/// After CREATE DATABASE: `[IF NOT EXISTS] name`, and those of PostgreSQL's options that say
/// what is so anyway (UTF8, the C collation, an empty template).
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    cursor.take(&["with"]);
    while !cursor.at_end() {
        option(cursor)?;
    }
    Ok(CredentialStatement::Change(Request::CreateDatabase {
        if_exists,
        name,
    }))
}

fn option(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    const ALLOWED: [(&str, &[&str]); 5] = [
        ("encoding", &["utf8", "utf-8"]),
        ("lc_collate", &["c"]),
        ("lc_ctype", &["c"]),
        ("locale", &["c"]),
        ("template", &["template0", "template1"]),
    ];
    let Some((keyword, values)) = ALLOWED.iter().find(|(keyword, _)| cursor.at(keyword)) else {
        return Err(cursor.unsupported_option("CREATE DATABASE"));
    };
    cursor.expect(&[keyword])?;
    cursor.take_symbol('=');
    let value = cursor.name()?;
    if values.iter().any(|it| value.eq_ignore_ascii_case(it)) {
        return Ok(());
    }
    let keyword = keyword.to_ascii_uppercase();
    Err(Diagnostic::unsupported(format!(
        "CREATE DATABASE with {keyword} \"{value}\""
    )))
}

/// After DROP DATABASE: `[IF EXISTS] name [[WITH] (FORCE)]`. Sessions are ended with and without
/// FORCE (`control::exec::drop_database`).
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    let with = cursor.take(&["with"]);
    if with || cursor.take_symbol('(') {
        if with {
            cursor.expect_symbol('(')?;
        }
        cursor.expect(&["force"])?;
        cursor.expect_symbol(')')?;
    }
    Ok(CredentialStatement::Change(Request::DropDatabase {
        if_exists,
        name,
    }))
}
