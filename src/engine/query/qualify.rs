//! The relations and sequences that a stored text names, and their schemas.
//!
//! A view's query and a default mean what they meant when they were made, whatever the search_path of who
//! reads them: a bare name in them is one of `public`, and every other schema is written. What is shown of
//! them names a schema where the reader's search_path does not lead there.

use super::functions::text::quote_ident;
use super::resolve::PG_CATALOG;
use crate::engine::pg_catalog;
use crate::engine::query::rewrite::labels::folded;
use crate::engine::query::rewrite::syntax::last_name;
use crate::sql::parse;
use sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Statement, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Shows each name of a relation to a function, in two parts if it has a schema; what that gives is the
/// schema to write, or that none is to be written. Names that WITH gives are left alone, and the bare names
/// of catalogs, which come first.
pub fn relations(query: &mut Query, schema: impl Fn(Option<&str>, &str) -> Schema) {
    let given = names_of_with(query);
    let _ = VisitMut::visit(query, &mut Relations { given, schema });
}

/// What is to become of the schema before a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It stays, there or not.
    Kept,
    /// None is written.
    Left,
    /// This one is written.
    Written(String),
}

/// The relations that a query names, as `regclass` reads them; those of catalogs and of WITH are left out.
pub fn relations_of(text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let Ok(Statement::Query(query)) = parse::parse_one(text) else {
        return named;
    };
    let given = names_of_with(&query);
    let _ = sqlparser::ast::visit_relations(&query, |name| {
        match bare(name) {
            Some(bare) if given.contains(&bare) || is_catalog(&bare) => {}
            _ => {
                named.insert(name.to_string());
            }
        }
        ControlFlow::<()>::Continue(())
    });
    named
}

/// An expression's text, with the names of sequences in nextval as this writes them. Whatever case its
/// `regclass` was written in, it is printed as PostgreSQL does; a text without a nextval stays as it is.
pub fn sequences(text: &str, written: impl Fn(&str) -> Option<String>) -> String {
    let Ok(mut tree) = parse::parse_expression(text) else {
        return text.to_owned();
    };
    let mut found = false;
    let rewrite = |name: &mut String| {
        found = true;
        if let Some(written) = written(name) {
            *name = written;
        }
    };
    let _ = VisitMut::visit(&mut tree, &mut Sequences(rewrite));
    match found {
        true => tree.to_string(),
        false => text.to_owned(),
    }
}

/// The sequences that an expression's nextval names, as `regclass` reads them.
pub fn sequences_of(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    if let Ok(mut tree) = parse::parse_expression(text) {
        let note = |name: &mut String| named.push(name.clone());
        let _ = VisitMut::visit(&mut tree, &mut Sequences(note));
    }
    named
}

/// Shows each name of a type that a cast or a typed literal has to a function, in two parts if it has a
/// schema; what that gives is written in its place. Whether any was.
pub fn types(
    tree: &mut impl VisitMut,
    written: impl FnMut(Option<&str>, &str) -> Option<(Option<String>, String)>,
) -> bool {
    let mut names = Types {
        written,
        changed: false,
    };
    let _ = VisitMut::visit(tree, &mut names);
    names.changed
}

/// As [`types`], of a stored text: an expression or a query. None where nothing was written.
pub fn types_in(
    text: &str,
    written: impl FnMut(Option<&str>, &str) -> Option<(Option<String>, String)>,
) -> Option<String> {
    if let Ok(mut tree) = parse::parse_expression(text) {
        return types(&mut tree, written).then(|| tree.to_string());
    }
    let mut tree = parse::parse_one(text).ok()?;
    types(&mut tree, written).then(|| tree.to_string())
}

struct Types<W> {
    written: W,
    changed: bool,
}

impl<W: FnMut(Option<&str>, &str) -> Option<(Option<String>, String)>> Types<W> {
    fn see(&mut self, data_type: &mut DataType) {
        match data_type {
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(element, _)
                | ArrayElemTypeDef::AngleBracket(element),
            ) => self.see(element),
            DataType::Custom(name, modifiers) if modifiers.is_empty() => {
                let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident()).collect();
                let written = match parts.unwrap_or_default().as_slice() {
                    [only] => (self.written)(None, &folded(only)),
                    [schema, only] => (self.written)(Some(&folded(schema)), &folded(only)),
                    _ => None,
                };
                if let Some((schema, only)) = written {
                    let parts = schema.as_deref().into_iter().chain([only.as_str()]);
                    *name = ObjectName::from(parts.map(identifier).collect::<Vec<_>>());
                    self.changed = true;
                }
            }
            _ => {}
        }
    }
}

impl<W: FnMut(Option<&str>, &str) -> Option<(Option<String>, String)>> VisitorMut for Types<W> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { data_type, .. } => self.see(data_type),
            Expr::TypedString(typed) => self.see(&mut typed.data_type),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The folded name, if it has no schema.
fn bare(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(only)] => Some(folded(only)),
        _ => None,
    }
}

fn is_catalog(name: &str) -> bool {
    pg_catalog::table(PG_CATALOG, name).is_some()
}

/// The names that WITH gives, anywhere in a query.
fn names_of_with(query: &Query) -> BTreeSet<String> {
    let mut given = Given::default();
    let _ = Visit::visit(query, &mut given);
    given.0
}

#[derive(Default)]
struct Given(BTreeSet<String>);

impl Visitor for Given {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(tables.map(|table| folded(&table.alias.name)));
        ControlFlow::Continue(())
    }
}

struct Relations<S> {
    given: BTreeSet<String>,
    schema: S,
}

impl<S: Fn(Option<&str>, &str) -> Schema> VisitorMut for Relations<S> {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
        let folds = |part: &ObjectNamePart| part.as_ident().map(folded);
        let schema = match name.0.as_slice() {
            [only] => match folds(only) {
                Some(only) if !self.given.contains(&only) && !is_catalog(&only) => {
                    (self.schema)(None, &only)
                }
                _ => Schema::Kept,
            },
            [schema, only] => match (folds(schema), folds(only)) {
                (Some(schema), Some(only)) => (self.schema)(Some(&schema), &only),
                _ => Schema::Kept,
            },
            _ => Schema::Kept,
        };
        let last = name.0.pop();
        match schema {
            Schema::Kept => {}
            Schema::Left => name.0.clear(),
            Schema::Written(schema) => {
                name.0 = vec![ObjectNamePart::Identifier(identifier(&schema))];
            }
        }
        name.0.extend(last);
        ControlFlow::Continue(())
    }
}

/// The name as it is to be written.
fn identifier(name: &str) -> Ident {
    match quote_ident(name) {
        plain if plain == name => Ident::new(plain),
        _ => Ident::with_quote('"', name),
    }
}

/// Shows the name in each nextval('name') to a function.
struct Sequences<F>(F);

impl<F: FnMut(&mut String)> VisitorMut for Sequences<F> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && last_name(&function.name).as_deref() == Some("nextval")
            && let FunctionArguments::List(list) = &mut function.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] =
                list.args.as_mut_slice()
            && let Some(name) = literal(argument)
        {
            (self.0)(name);
        }
        ControlFlow::Continue(())
    }
}

/// The text of a literal, cast or not.
fn literal(expr: &mut Expr) -> Option<&mut String> {
    match expr {
        Expr::Cast {
            expr, data_type, ..
        } => {
            if *data_type == DataType::Regclass {
                // In PostgreSQL's own letters, small ones.
                *data_type = DataType::Custom(Ident::new("regclass").into(), Vec::new());
            }
            literal(expr)
        }
        Expr::Nested(expr) => literal(expr),
        Expr::Value(value) => match &mut value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Box<Query> {
        match parse::parse_one(text) {
            Ok(Statement::Query(query)) => query,
            other => panic!("no query: {other:?}"),
        }
    }

    #[test]
    fn names_of_relations_get_and_lose_their_schemas_and_no_others_do() {
        let text = "WITH w AS (SELECT * FROM t) SELECT (SELECT max(a) FROM u) FROM w, s.v, \
                    pg_class JOIN \"T\" ON true WHERE EXISTS (SELECT 1 FROM x)";
        let mut written = query(text);
        relations(&mut written, |schema, name| match (schema, name) {
            (None, "x") => Schema::Kept,
            (None, _) => Schema::Written("A".to_owned()),
            (Some(_), _) => Schema::Left,
        });
        assert_eq!(
            written.to_string(),
            "WITH w AS (SELECT * FROM \"A\".t) SELECT (SELECT max(a) FROM \"A\".u) FROM w, v, \
             pg_class JOIN \"A\".\"T\" ON true WHERE EXISTS (SELECT 1 FROM x)"
        );
        let named = relations_of(text);
        let expected = ["\"T\"", "s.v", "t", "u", "x"];
        assert_eq!(
            named.iter().map(String::as_str).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_sequence_in_a_default_is_written_as_it_is_found() {
        let qualified = |text| {
            sequences(text, |name| {
                (!name.contains('.')).then(|| format!("public.{name}"))
            })
        };
        assert_eq!(
            qualified("nextval('a_seq'::regclass)"),
            "nextval('public.a_seq'::regclass)"
        );
        assert_eq!(qualified("nextval('s.a') + 1"), "nextval('s.a') + 1");
        assert_eq!(
            qualified("nextval('s.a'::REGCLASS)"),
            "nextval('s.a'::regclass)"
        );
        assert_eq!(qualified("'nextval(''a'')'"), "'nextval(''a'')'");
        assert_eq!(sequences_of("1 + nextval('\"A\"')"), ["\"A\""]);
    }
}
