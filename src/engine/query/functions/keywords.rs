//! `pg_get_keywords()`: the words of the grammar, as PostgreSQL 15 lists them (`keywords.txt` has a line for
//! each: word, class, whether it can be a bare label).

use super::definition::{Call, Function};
use crate::catalog::sql_type::{SqlType, TypeKind};
use datafusion::arrow::array::{ArrayRef, BooleanBuilder, ListBuilder, StringBuilder};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

const KEYWORDS: &str = include_str!("keywords.txt");

/// The columns of the function, and what gives the list of each.
pub const COLUMNS: &[(&str, &str)] = &[
    ("word", "pg_keywords_word"),
    ("catcode", "pg_keywords_catcode"),
    ("barelabel", "pg_keywords_barelabel"),
    ("catdesc", "pg_keywords_catdesc"),
    ("baredesc", "pg_keywords_baredesc"),
];

/// The functions, each giving the list of its column.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let text = SqlType::array_of(TypeKind::Text);
    vec![
        Function::immutable("pg_keywords_word", &[&[]], text, |call| {
            texts(call, |keyword| keyword.word)
        }),
        Function::immutable("pg_keywords_catcode", &[&[]], text, |call| {
            texts(call, |keyword| keyword.class)
        }),
        Function::immutable("pg_keywords_catdesc", &[&[]], text, |call| {
            texts(call, Keyword::description)
        }),
        Function::immutable("pg_keywords_baredesc", &[&[]], text, |call| {
            texts(call, |keyword| match keyword.bare_label {
                true => "can be bare label",
                false => "requires AS",
            })
        }),
        Function::immutable(
            "pg_keywords_barelabel",
            &[&[]],
            SqlType::array_of(TypeKind::Bool),
            |call| {
                let mut out = ListBuilder::new(BooleanBuilder::new());
                for _ in 0..call.rows {
                    keywords().for_each(|keyword| out.values().append_value(keyword.bare_label));
                    out.append(true);
                }
                Ok(Arc::new(out.finish()))
            },
        ),
    ]
}

#[derive(Clone, Copy)]
struct Keyword {
    word: &'static str,
    class: &'static str,
    bare_label: bool,
}

impl Keyword {
    fn description(self) -> &'static str {
        match self.class {
            "C" => "unreserved (cannot be function or type name)",
            "R" => "reserved",
            "T" => "reserved (can be function or type name)",
            _ => "unreserved",
        }
    }
}

fn keywords() -> impl Iterator<Item = Keyword> {
    KEYWORDS.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(Keyword {
            word: words.next()?,
            class: words.next()?,
            bare_label: words.next()? == "t",
        })
    })
}

fn texts(call: &Call<'_>, column: fn(Keyword) -> &'static str) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(StringBuilder::new());
    for _ in 0..call.rows {
        keywords().for_each(|keyword| out.values().append_value(column(keyword)));
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}
