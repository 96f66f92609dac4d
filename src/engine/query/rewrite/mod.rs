//! Passes over the syntax tree that turn PostgreSQL's meaning into what the planner understands.
//!
//! They run in this order, before the planner sees the tree: `records` (fields of rows), `using`
//! (columns of both sides), `refusals` (what would half-work),
//! `windows` (made of named ones), `frames` (intervals as offsets), `join_subqueries` (subqueries in conditions of joins),
//! `labels` (output names as PostgreSQL gives them), `with_columns` (names that WITH leaves out), `recursion` (WITH RECURSIVE), `set_lists` (names and orders beside sets), `filters` (arguments that FILTER leaves out), `lag_defaults` (defaults of the row), `auth_variables` ($auth.*), `syntax` (catalog notation, set-returning
//! functions), `having`, `values`, `casts`, `exists` (EXISTS and IN as values), `subqueries` (scalar and ARRAY
//! subqueries), `literals` (int4 and numeric).
//! The tree's depth has been bounded already (`sql::depth`).

pub mod auth_variables;
pub mod casts;
mod catalogs;
mod column_definitions;
pub mod exists;
mod filters;
pub mod frames;
pub mod from_items;
mod having;
mod join_subqueries;
pub mod known_columns;
pub mod labels;
mod lag_defaults;
pub mod literals;
pub mod named_arguments;
mod named_joins;
mod ordered_sets;
pub mod outer_names;
mod patterns;
mod populated;
pub mod records;
mod recursion;
pub mod refusals;
mod rows;
mod set_lists;
pub mod subqueries;
mod subscripts;
pub mod syntax;
pub mod using;
pub mod values;
pub mod void_arguments;
pub mod whole_rows;
mod windows;
mod with_columns;

use crate::diagnostic::Diagnostic;
use crate::engine::types::Input;
use sqlparser::ast::{Expr, Query};

/// Rewrites a whole query; `types_of` tells the columns of relations.
///
/// # Errors
/// 0A000 for what is not supported, naming it.
pub fn query(
    query: &mut Query,
    input: Input<'_>,
    types_of: populated::TypesOf<'_>,
) -> Result<(), Diagnostic> {
    records::rewrite(query)?;
    named_joins::rewrite(query);
    populated::rewrite(query, types_of)?;
    using::rewrite(query, &|name| {
        let columns = types_of(name)?.into_iter();
        Some(columns.map(|(name, _)| name).collect())
    });
    refusals::check(query)?;
    windows::rewrite(query)?;
    frames::rewrite(query, input);
    join_subqueries::rewrite(query);
    labels::assign(query)?;
    with_columns::rewrite(query);
    recursion::rewrite(query)?;
    set_lists::rewrite(query);
    filters::rewrite(query);
    lag_defaults::rewrite(query);
    auth_variables::rewrite(query)?;
    exists::rewrite(query);
    syntax::rewrite(query)?;
    having::rewrite(query);
    values::rewrite(query, input);
    casts::rewrite(query, input)?;
    subqueries::rewrite(query);
    literals::rewrite(query);
    Ok(())
}

/// Rewrites an expression that stands alone (a default, a constraint, a point statement's part).
///
/// # Errors
/// 0A000 for what is not supported, naming it.
pub fn expression(expr: &mut Expr, input: Input<'_>) -> Result<(), Diagnostic> {
    refusals::check(expr)?;
    refusals::check_alone(expr)?;
    auth_variables::rewrite_alone(expr)?;
    syntax::rewrite(expr)?;
    casts::rewrite(expr, input)?;
    subqueries::rewrite(expr);
    literals::rewrite(expr);
    Ok(())
}
