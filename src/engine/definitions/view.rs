//! CREATE VIEW, and which relations a view reads.
//!
//! A view's query is kept as text, its stars written out, so that a column that is added later is none of the view's.

use super::enumeration;
use super::name;
use super::work::{Claim, NewName, Work};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody, View};
use crate::catalog::schema::is_temporary;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::parts::Parted;
use crate::engine::query::qualify;
use crate::engine::search_path;
use crate::engine::types;
use crate::sql::dialect::NodeDialect;
use crate::sql::parse;
use crate::storage::Use;
use sqlparser::ast::{self, VisitMut, VisitorMut};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, Tokenizer};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

/// CREATE [OR REPLACE] VIEW
///
/// # Errors
/// 42P07, 42809, 42P16 for a replacement that changes columns, what analysing the query gives.
pub async fn create(work: &mut Work<'_>, statement: &ast::CreateView) -> Result<(), Diagnostic> {
    refuse_unsupported(statement)?;
    let new = work.new_name(&statement.name)?;
    enumeration::demand_free(work, &new)?;
    let columns = columns_of(work, statement, &statement.query).await?;
    for (_, sql_type) in &columns {
        enumeration::hold(work, *sql_type).await?;
    }
    let mut query = statement.query.clone();
    super::stars::write_out(work, &mut query);
    // A name may be one thing in WITH and another behind it.
    let written = columns_of(work, statement, &query).await;
    if !written.is_ok_and(|written| written == columns) {
        query = statement.query.clone();
    }
    write_schemas(work, &mut query)?;
    let view = View {
        query: Arc::from(query.to_string()),
        columns,
        comments: Vec::new(),
    };
    if let Claim::Taken(existing) = work.claim(&new).await? {
        if !statement.or_replace {
            return super::already_exists(work, &existing, statement.if_not_exists);
        }
        return replace(work, &existing, view).await;
    }
    let oid = work.new_oid()?;
    work.define(Relation {
        oid,
        database: work.database(),
        schema: new.schema.into(),
        name: new.name.into(),
        owner: work.context.owner_of_new(),
        grants: Vec::new(),
        comment: None,
        body: RelationBody::View(view),
        row_security: Default::default(),
    })
}

/// The schema of each relation that is not in `public`, so that the text means the same to everybody.
///
/// # Errors
/// 0A000 for a temporary relation: the view would have to go with it.
fn write_schemas(work: &mut Work<'_>, query: &mut ast::Query) -> Result<(), Diagnostic> {
    let (definitions, context) = (work.definitions(), work.context);
    let seen = Cell::new(false);
    qualify::relations(query, |schema, name| {
        let found = search_path::find(&definitions, schema, name, context);
        seen.set(seen.get() || found.is_some_and(|found| is_temporary(&found.schema)));
        match found.filter(|_| schema.is_none()) {
            Some(found) if *found.schema != *search_path::PUBLIC => {
                qualify::Schema::Written(found.schema.to_string())
            }
            _ => qualify::Schema::Kept,
        }
    });
    match seen.get() {
        true => Err(Diagnostic::unsupported("a view of a temporary table")),
        false => Ok(()),
    }
}

fn refuse_unsupported(statement: &ast::CreateView) -> Result<(), Diagnostic> {
    let refused = [
        (statement.materialized, "CREATE MATERIALIZED VIEW"),
        (statement.temporary, "CREATE TEMPORARY VIEW"),
        (
            !matches!(statement.options, ast::CreateTableOptions::None),
            "an option of CREATE VIEW",
        ),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, feature)) => Err(Diagnostic::unsupported(feature)),
        None => Ok(()),
    }
}

/// The columns of the view if this is its query.
async fn columns_of(
    work: &mut Work<'_>,
    statement: &ast::CreateView,
    query: &ast::Query,
) -> Result<Vec<(Arc<str>, SqlType)>, Diagnostic> {
    let text: Arc<str> = Arc::from(query.to_string());
    let query = ast::Statement::Query(Box::new(query.clone()));
    if Parted::answers(&query) {
        return Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "views must not contain data-modifying statements in WITH",
        ));
    }
    let plan = work.engine.analyze(query, text, &[], work.context).await?;
    if !plan.parameters.is_empty() {
        return Err(Diagnostic::error(
            SqlState::UNDEFINED_PARAMETER,
            "there is no parameter $1",
        ));
    }
    let fields = plan.fields.as_deref().unwrap_or_default();
    let given = &statement.columns;
    if given.len() > fields.len() {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "CREATE VIEW specifies more column names than columns",
        ));
    }
    let mut columns: Vec<(Arc<str>, SqlType)> = Vec::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        let column = match given.get(at) {
            Some(given) => name::fold(&given.name),
            None => field.name.clone(),
        };
        if columns.iter().any(|(seen, _)| **seen == *column) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{column}\" specified more than once"),
            ));
        }
        // An untyped literal is text in a view, as in a table made from it.
        let sql_type = match field.sql_type.kind {
            TypeKind::Unknown => SqlType::scalar(TypeKind::Text),
            _ => field.sql_type,
        };
        columns.push((Arc::from(column), sql_type));
    }
    Ok(columns)
}

async fn replace(work: &mut Work<'_>, existing: &Relation, view: View) -> Result<(), Diagnostic> {
    work.context.rights.may_own(existing)?;
    let taken = work.take(existing.oid, Use::Exclusive).await?;
    let mut relation = taken.ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{}\" does not exist", existing.name),
        )
    })?;
    let RelationBody::View(old) = &relation.body else {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a view", relation.name),
        ));
    };
    check_columns(old, &view)?;
    let comments = old.comments.clone();
    relation.body = RelationBody::View(View { comments, ..view });
    work.define(relation)
}

/// A replacement may only add columns at the end.
fn check_columns(old: &View, new: &View) -> Result<(), Diagnostic> {
    let changed = |message| {
        Err(Diagnostic::error(
            SqlState::INVALID_TABLE_DEFINITION,
            message,
        ))
    };
    if new.columns.len() < old.columns.len() {
        return changed("cannot drop columns from view".to_owned());
    }
    for ((old_name, old_type), (new_name, new_type)) in old.columns.iter().zip(&new.columns) {
        if old_name != new_name {
            return changed(format!(
                "cannot change name of view column \"{old_name}\" to \"{new_name}\""
            ));
        }
        if old_type != new_type {
            return changed(format!(
                "cannot change data type of view column \"{old_name}\" from {} to {}",
                types::format_type(*old_type),
                types::format_type(*new_type)
            ));
        }
    }
    Ok(())
}

/// Whether the relation is a view whose query names that other relation.
///
/// # Errors
/// What parsing the view's text gives.
pub fn reads(work: &mut Work<'_>, relation: &Relation, other: Oid) -> Result<bool, Diagnostic> {
    let RelationBody::View(view) = &relation.body else {
        return Ok(false);
    };
    for name in named(&view.query)? {
        if leads_to(work, &name, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The relations that a view's text names.
///
/// # Errors
/// What parsing it gives.
pub fn named(query: &str) -> Result<Vec<ast::ObjectName>, Diagnostic> {
    let mut named = Vec::new();
    for statement in parse::parse(query)? {
        let _ = ast::visit_relations(&statement.ast, |name| {
            named.push(name.clone());
            ControlFlow::<()>::Continue(())
        });
    }
    Ok(named)
}

fn leads_to(work: &mut Work<'_>, name: &ast::ObjectName, other: Oid) -> Result<bool, Diagnostic> {
    let (schema, name) = name::parts(name)?;
    let schema = schema.as_deref().unwrap_or(search_path::PUBLIC);
    let found = work.lookup(Some(schema), &name);
    Ok(found.is_some_and(|found| found.oid == other))
}

/// Whether it is a view that may need this column of that other relation: its text has the column's name,
/// or a star whose columns were not written out.
///
/// # Errors
/// What parsing the view's text gives.
pub fn reads_column(
    work: &mut Work<'_>,
    relation: &Relation,
    other: Oid,
    column: &str,
) -> Result<bool, Diagnostic> {
    if !reads(work, relation, other)? {
        return Ok(false);
    }
    let RelationBody::View(view) = &relation.body else {
        return Ok(false);
    };
    let tokens = Tokenizer::new(&NodeDialect, &view.query).tokenize();
    let mut before = None;
    for token in tokens.unwrap_or_default() {
        match &token {
            Token::Whitespace(_) => continue,
            Token::Word(word) => {
                let ident = ast::Ident {
                    value: word.value.clone(),
                    quote_style: word.quote_style,
                    span: Span::empty(),
                };
                if name::fold(&ident) == column {
                    return Ok(true);
                }
            }
            Token::Mul => {
                let selects = match &before {
                    Some(Token::Word(word)) => {
                        matches!(
                            word.keyword,
                            Keyword::SELECT | Keyword::DISTINCT | Keyword::ALL
                        )
                    }
                    Some(Token::Period | Token::Comma) => true,
                    _ => false,
                };
                if selects {
                    return Ok(true);
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    Ok(false)
}

/// Before a relation is renamed or moved: the views that read it say the new name from then on, and the old one for
/// what their texts qualify by it.
///
/// # Errors
/// What parsing a view's text gives, and storage.
pub async fn follow(
    work: &mut Work<'_>,
    relation: &Relation,
    new: &NewName,
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    for other in definitions.of_database(relation.database) {
        if !reads(work, other, relation.oid)? {
            continue;
        }
        let Some(mut view) = work.take(other.oid, Use::Exclusive).await? else {
            continue;
        };
        let RelationBody::View(body) = &mut view.body else {
            continue;
        };
        let mut statement = parse::parse_one(&body.query)?;
        let mut renamed = Renamed {
            from: (&relation.schema, &relation.name),
            to: new,
        };
        let _ = VisitMut::visit(&mut statement, &mut renamed);
        body.query = Arc::from(statement.to_string());
        work.define(view)?;
    }
    Ok(())
}

/// Puts a relation's new name where its old one was.
struct Renamed<'a> {
    from: (&'a str, &'a str),
    to: &'a NewName,
}

impl VisitorMut for Renamed<'_> {
    type Break = ();

    /// What is qualified by schema and relation goes by the relation alone from then on.
    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::CompoundIdentifier(parts) = expr
            && let [schema, relation, _] = parts.as_slice()
            && (name::fold(schema).as_str(), name::fold(relation).as_str()) == self.from
        {
            parts.remove(0);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut ast::TableFactor) -> ControlFlow<()> {
        let ast::TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let Ok((schema, bare)) = name::parts(name) else {
            return ControlFlow::Continue(());
        };
        let schema = schema.as_deref().unwrap_or(search_path::PUBLIC);
        if (schema, bare.as_str()) != self.from {
            return ControlFlow::Continue(());
        }
        if alias.is_none() {
            *alias = Some(ast::TableAlias {
                explicit: true,
                name: identifier(&bare),
                columns: Vec::new(),
                at: None,
            });
        }
        let parts = [&self.to.schema, &self.to.name].map(|part| identifier(part));
        *name = ast::ObjectName::from(parts.to_vec());
        ControlFlow::Continue(())
    }
}

/// The name as it is to be written.
pub fn identifier(name: &str) -> ast::Ident {
    match name::quoted(name) {
        plain if plain == name => ast::Ident::new(plain),
        _ => ast::Ident::with_quote('"', name),
    }
}
