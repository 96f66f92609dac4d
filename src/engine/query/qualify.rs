//! The relations and sequences that a stored text names, and their schema where it must be written.
//!
//! A view's query and a default are kept as they were written, and mean what they meant then, whatever
//! the search_path of who reads them: a bare name is one of `public`, the one schema there is.

use super::resolve::{PG_CATALOG, PUBLIC};
use crate::engine::pg_catalog;
use crate::engine::query::rewrite::labels::folded;
use crate::engine::query::rewrite::syntax::last_name;
use crate::sql::parse;
use sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Query, Statement, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Writes `public` before each bare name of a relation for which this says so. Names that WITH gives are
/// none, nor are those of catalogs, which come first.
pub fn relations(query: &mut Query, wanted: impl Fn(&str) -> bool) {
    let given = names_of_with(query);
    let _ = VisitMut::visit(query, &mut Relations { given, wanted });
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

/// An expression's text, with `public` before the bare names of sequences in nextval for which this says
/// so. Whatever case its `regclass` was written in, it is printed as PostgreSQL does; a text without a nextval
/// stays as it is.
pub fn sequences(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    let Ok(mut tree) = parse::parse_expression(text) else {
        return text.to_owned();
    };
    let mut found = false;
    let qualify = |name: &mut String| {
        found = true;
        if !name.contains('.') && wanted(name) {
            *name = format!("{PUBLIC}.{name}");
        }
    };
    let _ = VisitMut::visit(&mut tree, &mut Sequences(qualify));
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

struct Relations<W> {
    given: BTreeSet<String>,
    wanted: W,
}

impl<W: Fn(&str) -> bool> VisitorMut for Relations<W> {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
        if let Some(bare) = bare(name)
            && !self.given.contains(&bare)
            && !is_catalog(&bare)
            && (self.wanted)(&bare)
        {
            let schema = ObjectNamePart::Identifier(Ident::new(PUBLIC));
            name.0.insert(0, schema);
        }
        ControlFlow::Continue(())
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

    #[test]
    fn bare_names_of_relations_get_their_schema_and_no_others_do() {
        let text = "WITH w AS (SELECT * FROM t) SELECT (SELECT max(a) FROM u) FROM w, s.v, \
                    pg_class JOIN \"T\" ON true WHERE EXISTS (SELECT 1 FROM x)";
        let Ok(Statement::Query(mut query)) = parse::parse_one(text) else {
            panic!("no query");
        };
        relations(&mut query, |name| name != "x");
        assert_eq!(
            query.to_string(),
            "WITH w AS (SELECT * FROM public.t) SELECT (SELECT max(a) FROM public.u) FROM w, s.v, \
             pg_class JOIN public.\"T\" ON true WHERE EXISTS (SELECT 1 FROM x)"
        );
        let named = relations_of(text);
        let expected = ["\"T\"", "s.v", "t", "u", "x"];
        assert_eq!(
            named.iter().map(String::as_str).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_sequence_in_a_default_gets_its_schema() {
        let qualified = |text| sequences(text, |_| true);
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
