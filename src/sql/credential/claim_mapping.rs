//! The claim mapping of an identity provider, in both of the forms that REFERENCE §1 has for it.

use super::cursor::Cursor;
use super::grant::LIST_NAMES_MAX;
use crate::catalog::provider::{ClaimValue, RULES_MAX};
use crate::catalog::provider_request::RuleWanted;
use crate::diagnostic::{Diagnostic, SqlState};

/// `[ {claim_name = '…', claim_value = '…', effect = {…}}, … ]`; `[]` has no rules.
pub fn list(cursor: &mut Cursor<'_>) -> Result<Vec<RuleWanted>, Diagnostic> {
    bracketed(cursor, RULES_MAX, rule)
}

/// `WHEN claim = 'v'|'*' [SET DEFAULT_DATABASE = d] [ADD DATABASES [d,…]] [ADD ROLES ['r',…]] …`, at
/// least one, to the end of the statement.
pub fn clauses(cursor: &mut Cursor<'_>) -> Result<Vec<RuleWanted>, Diagnostic> {
    let mut rules = Vec::new();
    loop {
        let here = cursor.clone();
        cursor.expect(&["when"])?;
        if rules.len() == RULES_MAX {
            return Err(too_many(&here));
        }
        rules.push(when(cursor)?);
        if !cursor.at("when") {
            return Ok(rules);
        }
    }
}

/// One of the words that may stand here, each once.
///
/// # Errors
/// 42601, which names the nearest one.
pub fn option(
    cursor: &mut Cursor<'_>,
    known: &[&'static str],
    seen: &mut Vec<&'static str>,
) -> Result<&'static str, Diagnostic> {
    let Some(word) = cursor.word() else {
        return Err(cursor.unexpected());
    };
    let Some(found) = known.iter().find(|known| **known == word) else {
        let nearest = known
            .iter()
            .min_by_key(|known| strsim::damerau_levenshtein(known, &word));
        let nearest = nearest.map_or("", |nearest| *nearest);
        let message = format!("unknown option \"{word}\"; did you mean \"{nearest}\"?");
        return Err(cursor.error(SqlState::SYNTAX_ERROR, &message));
    };
    if seen.contains(found) {
        return Err(cursor.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
    }
    cursor.expect(&[found])?;
    seen.push(found);
    Ok(found)
}

fn rule(cursor: &mut Cursor<'_>) -> Result<RuleWanted, Diagnostic> {
    const OPTIONS: [&str; 3] = ["claim_name", "claim_value", "effect"];
    let (mut claim, mut value, mut effect) = (None, None, None);
    braced(cursor, &OPTIONS, |cursor, option| {
        match option {
            "claim_name" => claim = Some((*cursor.literal()?).clone()),
            "claim_value" => value = Some(claim_value(cursor)?),
            _ => effect = Some(self::effect(cursor)?),
        }
        Ok(())
    })?;
    let (Some(claim), Some(value), Some(effect)) = (claim, value, effect) else {
        return Err(cursor.error(
            SqlState::SYNTAX_ERROR,
            "a rule of the claim mapping has a claim_name, a claim_value and an effect",
        ));
    };
    Ok(effect.of(claim, value))
}

/// What a rule gives.
#[derive(Default)]
struct Effect {
    default_database: Option<String>,
    add_databases: Vec<String>,
    add_roles: Vec<String>,
}

impl Effect {
    fn of(self, claim: String, value: ClaimValue) -> RuleWanted {
        RuleWanted {
            claim,
            value,
            default_database: self.default_database,
            add_databases: self.add_databases,
            add_roles: self.add_roles,
        }
    }
}

fn effect(cursor: &mut Cursor<'_>) -> Result<Effect, Diagnostic> {
    const OPTIONS: [&str; 3] = ["default_database", "add_databases", "add_roles"];
    let mut effect = Effect::default();
    braced(cursor, &OPTIONS, |cursor, option| {
        match option {
            "default_database" => effect.default_database = Some(cursor.name()?),
            "add_databases" => effect.add_databases = names(cursor)?,
            _ => effect.add_roles = names(cursor)?,
        }
        Ok(())
    })?;
    Ok(effect)
}

/// `claim = 'v' [SET …] [ADD …] …`, each once.
fn when(cursor: &mut Cursor<'_>) -> Result<RuleWanted, Diagnostic> {
    let claim = claim_path(cursor)?;
    cursor.expect_symbol('=')?;
    let value = claim_value(cursor)?;
    let mut effect = Effect::default();
    loop {
        let here = cursor.clone();
        let again = if cursor.take(&["set"]) {
            cursor.expect(&["default_database"])?;
            cursor.expect_symbol('=')?;
            effect.default_database.replace(cursor.name()?).is_some()
        } else if cursor.take(&["add", "databases"]) {
            let before = std::mem::replace(&mut effect.add_databases, names(cursor)?);
            !before.is_empty()
        } else if cursor.take(&["add"]) {
            cursor.expect(&["roles"])?;
            let before = std::mem::replace(&mut effect.add_roles, names(cursor)?);
            !before.is_empty()
        } else {
            return Ok(effect.of(claim, value));
        };
        if again {
            return Err(here.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
    }
}

/// A claim's name; a path to one inside others may be bare as well: `realm_access.roles`.
fn claim_path(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    let is_bare = cursor.word().is_some();
    let mut path = cursor.name()?;
    while is_bare && cursor.take_symbol('.') {
        path.push('.');
        path.push_str(&cursor.name()?);
    }
    Ok(path)
}

fn claim_value(cursor: &mut Cursor<'_>) -> Result<ClaimValue, Diagnostic> {
    let value = cursor.literal()?;
    Ok(match value.as_str() {
        "*" => ClaimValue::Any,
        value => ClaimValue::Is(value.into()),
    })
}

fn names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Diagnostic> {
    bracketed(cursor, LIST_NAMES_MAX, |cursor| cursor.name())
}

/// `[item, …]`, none too.
fn bracketed<T>(
    cursor: &mut Cursor<'_>,
    items_max: usize,
    item: impl Fn(&mut Cursor<'_>) -> Result<T, Diagnostic>,
) -> Result<Vec<T>, Diagnostic> {
    let mut items = Vec::new();
    cursor.expect_symbol('[')?;
    if cursor.take_symbol(']') {
        return Ok(items);
    }
    loop {
        if items.len() == items_max {
            return Err(too_many(cursor));
        }
        items.push(item(cursor)?);
        if !cursor.take_symbol(',') {
            cursor.expect_symbol(']')?;
            return Ok(items);
        }
    }
}

/// `{option = …, …}`, each once.
fn braced(
    cursor: &mut Cursor<'_>,
    known: &[&'static str],
    mut value: impl FnMut(&mut Cursor<'_>, &'static str) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    let mut seen = Vec::new();
    cursor.expect_symbol('{')?;
    loop {
        let option = option(cursor, known, &mut seen)?;
        cursor.expect_symbol('=')?;
        value(cursor, option)?;
        if !cursor.take_symbol(',') {
            return cursor.expect_symbol('}');
        }
    }
}

fn too_many(cursor: &Cursor<'_>) -> Diagnostic {
    cursor.error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "too many items in one list",
    )
}
