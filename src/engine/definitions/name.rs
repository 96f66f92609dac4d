//! Names in definitions: as given, as chosen where none is given.

use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types::text::NAME_BYTES_MAX;
use sqlparser::ast;

/// A name as PostgreSQL folds it: unquoted ones in lower case.
pub fn fold(name: &ast::Ident) -> String {
    let folded = match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    };
    truncate(&folded, NAME_BYTES_MAX).to_owned()
}

/// The folded parts of a qualified name.
///
/// # Errors
/// 0A000 for what is no plain name, 42601 for too many parts.
pub fn parts(name: &ast::ObjectName) -> Result<(Option<String>, String), Diagnostic> {
    let folded = name
        .0
        .iter()
        .map(|part| match part {
            ast::ObjectNamePart::Identifier(name) => Ok(fold(name)),
            ast::ObjectNamePart::Function(_) => {
                Err(Diagnostic::unsupported("a function as a name"))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    match <[String; 1]>::try_from(folded) {
        Ok([name]) => Ok((None, name)),
        Err(folded) => match <[String; 2]>::try_from(folded) {
            Ok([schema, name]) => Ok((Some(schema), name)),
            Err(_) => Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                format!("improper qualified name (too many dotted names): {name}"),
            )),
        },
    }
}

/// The name as it is to be written, in quotes where it needs them.
pub fn quoted(name: &str) -> String {
    let plain = name
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && name.starts_with(|first: char| !first.is_ascii_digit());
    match plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn truncate(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    &text[..end]
}

/// `table_column_label`, the longer of the first two cut so that the whole is a name: PostgreSQL's
/// makeObjectName.
fn make(table: &str, columns: &str, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(!columns.is_empty());
    let available = NAME_BYTES_MAX - overhead;
    let (mut left, mut right) = (table.len(), columns.len());
    while left + right > available {
        if left > right {
            left -= 1;
        } else {
            right -= 1;
        }
    }
    let (table, columns) = (truncate(table, left), truncate(columns, right));
    match columns {
        "" => format!("{table}_{label}"),
        _ => format!("{table}_{columns}_{label}"),
    }
}

/// The first name of the kind that nothing has yet: `t_a_key`, `t_a_key1`, ….
pub fn choose(
    table: &str,
    columns: &[&str],
    label: &str,
    mut taken: impl FnMut(&str) -> bool,
) -> String {
    let columns = columns.join("_");
    let first = make(table, &columns, label);
    if !taken(&first) {
        return first;
    }
    (1u32..)
        .map(|number| make(table, &columns, &format!("{label}{number}")))
        .find(|name| !taken(name))
        .expect("there are more numbers than names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_chosen_as_postgresql_chooses_them() {
        assert_eq!(choose("t", &["a", "b"], "key", |_| false), "t_a_b_key");
        assert_eq!(choose("t", &[], "pkey", |_| false), "t_pkey");
        assert_eq!(
            choose("t", &["a"], "key", |name| name == "t_a_key"),
            "t_a_key1"
        );
        let long = "x".repeat(63);
        let chosen = choose(&long, &["column"], "seq", |_| false);
        assert_eq!(chosen.len(), 63);
        assert_eq!(chosen, format!("{}_column_seq", "x".repeat(52)));
    }
}
