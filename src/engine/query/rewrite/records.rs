//! Rows as values, as far as drivers ask the catalogs with them: `information_schema._pg_expandarray` in a
//! select list, `(function(…)).field`, `(column).field` of what that function gave, `(alias).column`.
//!
//! No value here has parts of its own. The function's row is the two columns that it has, side by side under
//! names that nobody can write; its fields are those. Source: PostgreSQL 15, section 4.2.4 "Field Selection".

use super::labels::folded;
use super::rows;
use super::syntax::{call_of, last_name};
use crate::diagnostic::Diagnostic;
use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Subscript, TableFactor, Value,
    Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// The function that gives the elements of an array with their places.
pub const EXPAND_ARRAY: &str = "_pg_expandarray";
/// What its columns are called.
pub const EXPANDED: [&str; 2] = ["x", "n"];

/// Vectors of catalogs, whose places count from 0, by the names that they and drivers give them.
const VECTORS: &[&str] = &[
    "indclass",
    "indcollation",
    "indkey",
    "indoption",
    "i_indoption",
];

const SUBSCRIPTS: &str = "generate_subscripts";

/// Rewrites field selections, and the function that they are of.
///
/// # Errors
/// 0A000 for other rows as values, and for one as a column of the result.
pub fn rewrite(query: &mut Query) -> Result<(), Diagnostic> {
    let mut asks = Asks::default();
    let _ = Visit::visit(&*query, &mut asks);
    // What the expansion counts begins at 1, of vectors, too.
    if asks.indexes && asks.subscripts {
        let _ = VisitMut::visit(query, &mut FromZero);
    }
    if asks.expands {
        let mut expand = Expand {
            queries: 0,
            named: BTreeSet::new(),
        };
        broken(VisitMut::visit(query, &mut expand))?;
        asks.named = expand.named;
    }
    if asks.selects || asks.expands {
        let mut fields = Fields(asks.named);
        broken(VisitMut::visit(query, &mut fields))?;
    }
    if asks.stars {
        super::whole_rows::stars(query);
    }
    Ok(())
}

fn broken(flow: ControlFlow<Diagnostic>) -> Result<(), Diagnostic> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// What of this a query has.
#[derive(Default)]
struct Asks {
    expands: bool,
    selects: bool,
    subscripts: bool,
    indexes: bool,
    /// `f(t.*)`, `(t).*`
    stars: bool,
    named: BTreeSet<String>,
}

impl Visitor for Asks {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = last_name(relation);
        self.indexes |= name.as_deref() == Some("pg_index");
        // A function in FROM is a relation to the parser.
        self.subscripts |= name.as_deref() == Some(SUBSCRIPTS);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let of_row = |item: &SelectItem| {
            matches!(
                item,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _)
            )
        };
        self.stars |= select.projection.iter().any(of_row);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                self.expands |= is_expansion(function);
                self.subscripts |= last_name(&function.name).as_deref() == Some(SUBSCRIPTS);
                self.stars |= takes_star(function);
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                self.selects |= matches!(access_chain.first(), Some(AccessExpr::Dot(_)));
                let subscript = |access: &AccessExpr| matches!(access, AccessExpr::Subscript(_));
                self.subscripts |= access_chain.iter().any(subscript);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn takes_star(function: &Function) -> bool {
    let star = |argument: &FunctionArg| {
        matches!(
            argument,
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_))
        )
    };
    match &function.args {
        // ROW(t.*) is of the columns, not of the row.
        FunctionArguments::List(list) if !rows::is_constructor(function) => {
            list.args.iter().any(star)
        }
        _ => false,
    }
}

fn is_expansion(function: &Function) -> bool {
    last_name(&function.name).as_deref() == Some(EXPAND_ARRAY)
}

/// Puts the columns of the function where it stands in a select list.
struct Expand {
    /// Those around a SELECT; the outermost is one.
    queries: usize,
    /// What the rows are called that it gave.
    named: BTreeSet<String>,
}

impl VisitorMut for Expand {
    type Break = Diagnostic;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Diagnostic> {
        let mut items = Vec::with_capacity(select.projection.len());
        for item in select.projection.drain(..) {
            match self.expanded(item) {
                Ok(columns) => items.extend(columns),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        select.projection = items;
        ControlFlow::Continue(())
    }
}

impl Expand {
    fn expanded(&mut self, item: SelectItem) -> Result<Vec<SelectItem>, Diagnostic> {
        let (expr, alias) = match &item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
            _ => return Ok(vec![item]),
        };
        if let Some((array, field)) = field_of_expansion(expr)? {
            let alias = alias.cloned().unwrap_or_else(|| Ident::new(field));
            let expr = column(field, array);
            return Ok(vec![SelectItem::ExprWithAlias { expr, alias }]);
        }
        let Some(array) = expansion(expr) else {
            return Ok(vec![item]);
        };
        if self.queries == 1 {
            return Err(Diagnostic::unsupported("a row as a column of the result"));
        }
        let name = alias.map_or_else(|| EXPAND_ARRAY.to_owned(), folded);
        let columns = EXPANDED.map(|field| SelectItem::ExprWithAlias {
            expr: column(field, array.clone()),
            alias: part(&name, field),
        });
        self.named.insert(name);
        Ok(columns.to_vec())
    }
}

/// The column of a row, under a name that nobody can write.
fn part(row: &str, field: &str) -> Ident {
    Ident::with_quote('"', format!("{row}\u{1f}{field}"))
}

/// The elements of the array, or their places.
fn column(field: &str, array: Expr) -> Expr {
    match field == EXPANDED[0] {
        true => call_of("unnest", vec![array]),
        false => {
            let first = Expr::value(Value::Number("1".to_owned(), false));
            call_of("generate_subscripts", vec![array, first])
        }
    }
}

/// The array that the function takes apart, if it is that.
fn expansion(expr: &Expr) -> Option<Expr> {
    let Expr::Function(function) = bare(expr) else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] if is_expansion(function) => {
            Some(array.clone())
        }
        _ => None,
    }
}

/// The array and the field of `(information_schema._pg_expandarray(array)).field`.
fn field_of_expansion(expr: &Expr) -> Result<Option<(Expr, &'static str)>, Diagnostic> {
    let Expr::CompoundFieldAccess { root, access_chain } = bare(expr) else {
        return Ok(None);
    };
    let (Some(array), Some(field)) = (expansion(root), field(access_chain)) else {
        return Ok(None);
    };
    let known = EXPANDED.into_iter().find(|known| *known == field);
    let known = known.ok_or_else(|| no_field(&field))?;
    Ok(Some((array, known)))
}

/// 42703
fn no_field(field: &str) -> Diagnostic {
    Diagnostic::error(
        crate::diagnostic::SqlState::UNDEFINED_COLUMN,
        format!("column \"{field}\" not found in data type record"),
    )
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

/// The one field that is selected.
fn field(access: &[AccessExpr]) -> Option<String> {
    match access {
        [AccessExpr::Dot(Expr::Identifier(field))] => Some(folded(field)),
        _ => None,
    }
}

/// Has `(row).field` name the column that it is; of which rows the names are known.
struct Fields(BTreeSet<String>);

impl VisitorMut for Fields {
    type Break = Diagnostic;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Diagnostic> {
        let Expr::CompoundFieldAccess { root, access_chain } = &*expr else {
            return ControlFlow::Continue(());
        };
        let Some(field) = field(access_chain) else {
            return ControlFlow::Continue(());
        };
        // `$auth.claims.name` has no parentheses.
        if !matches!(**root, Expr::Nested(_)) {
            return ControlFlow::Continue(());
        }
        let mut parts = match bare(root) {
            Expr::Identifier(only) => vec![only.clone()],
            Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => {
                let what = "selecting a field of this expression";
                return ControlFlow::Break(Diagnostic::unsupported(what));
            }
        };
        let row = parts.last().map(folded).unwrap_or_default();
        if self.0.contains(&row) {
            if !EXPANDED.contains(&field.as_str()) {
                return ControlFlow::Break(no_field(&field));
            }
            parts.pop();
            parts.push(part(&row, &field));
        } else if parts.len() == 1 {
            // The row of an item in FROM, whose fields are its columns.
            parts.push(Ident::with_quote('"', field));
        } else {
            let what = "selecting a field of a column";
            return ControlFlow::Break(Diagnostic::unsupported(what));
        }
        *expr = match parts.as_slice() {
            [only] => Expr::Identifier(only.clone()),
            _ => Expr::CompoundIdentifier(parts),
        };
        ControlFlow::Continue(())
    }
}

/// Vectors of pg_index, which are arrays here, have their first element at 0.
struct FromZero;

impl VisitorMut for FromZero {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::CompoundFieldAccess { root, access_chain } = expr else {
            return ControlFlow::Continue(());
        };
        let vector = match &**root {
            Expr::Identifier(only) => folded(only),
            Expr::CompoundIdentifier(parts) => parts.last().map(folded).unwrap_or_default(),
            _ => return ControlFlow::Continue(()),
        };
        // The parser takes `t.a[1]` as a field of t with a subscript as well.
        let (vector, access) = match access_chain.as_mut_slice() {
            [access] => (vector, access),
            [AccessExpr::Dot(Expr::Identifier(column)), access] => (folded(column), access),
            _ => return ControlFlow::Continue(()),
        };
        if let AccessExpr::Subscript(Subscript::Index { index }) = access
            && VECTORS.contains(&vector.as_str())
        {
            let place = std::mem::replace(index, Expr::value(Value::Null));
            *index = Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(place))),
                op: sqlparser::ast::BinaryOperator::Plus,
                right: Box::new(Expr::value(Value::Number("1".to_owned(), false))),
            };
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            from_zero(&mut function.name, &mut function.args);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            args: Some(args),
            ..
        } = factor
        {
            let mut list = std::mem::take(&mut args.args);
            count_from_zero(name, &mut list);
            args.args = list;
        }
        ControlFlow::Continue(())
    }
}

fn from_zero(name: &mut ObjectName, arguments: &mut FunctionArguments) {
    if let FunctionArguments::List(list) = arguments {
        count_from_zero(name, &mut list.args);
    }
}

/// `generate_subscripts(indkey, 1)` is `generate_series(0, cardinality(indkey) - 1)`.
fn count_from_zero(name: &mut ObjectName, arguments: &mut Vec<FunctionArg>) {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(vector)), _] = arguments.as_slice() else {
        return;
    };
    let column = match vector {
        Expr::Identifier(only) => folded(only),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded).unwrap_or_default(),
        _ => return,
    };
    if last_name(name).as_deref() != Some(SUBSCRIPTS) || !VECTORS.contains(&column.as_str()) {
        return;
    }
    let number = |number: &str| Expr::value(Value::Number(number.to_owned(), false));
    let last = Expr::BinaryOp {
        left: Box::new(call_of("cardinality", vec![vector.clone()])),
        op: sqlparser::ast::BinaryOperator::Minus,
        right: Box::new(number("1")),
    };
    *name = ObjectName::from(vec![Ident::new("generate_series")]);
    let bounds =
        [number("0"), last].map(|bound| FunctionArg::Unnamed(FunctionArgExpr::Expr(bound)));
    *arguments = bounds.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;
    use sqlparser::ast::Statement;

    fn rewritten(text: &str) -> Result<String, String> {
        let Ok(Statement::Query(mut query)) = parse::parse_one(text) else {
            panic!("no query: {text}");
        };
        match rewrite(&mut query) {
            Ok(()) => Ok(query.to_string().replace('\u{1f}', "·")),
            Err(error) => Err(format!("{}: {}", error.sqlstate(), error.message())),
        }
    }

    #[test]
    fn an_expanded_array_is_its_two_columns() {
        let keys = "SELECT r.a FROM (SELECT a, (information_schema._pg_expandarray(k)).n, \
                    information_schema._pg_expandarray(k) AS KEYS FROM t) r WHERE r.a = (r.KEYS).x";
        assert_eq!(
            rewritten(keys).as_deref(),
            Ok(
                "SELECT r.a FROM (SELECT a, generate_subscripts(k, 1) AS n, unnest(k) AS \"keys·x\", \
                generate_subscripts(k, 1) AS \"keys·n\" FROM t) r WHERE r.a = r.\"keys·x\""
            )
        );
        let row = "SELECT information_schema._pg_expandarray(k) FROM t";
        assert!(rewritten(row).is_err_and(|error| error.starts_with("0A000")));
        let field = "SELECT (information_schema._pg_expandarray(k)).y FROM t";
        assert!(rewritten(field).is_err_and(|error| error.starts_with("42703")));
    }

    #[test]
    fn a_field_of_an_items_row_is_its_column() {
        assert_eq!(
            rewritten("SELECT (t).a, ((u).B) FROM t, u").as_deref(),
            Ok("SELECT t.\"a\", (u.\"b\") FROM t, u")
        );
        let other = "SELECT (f(1)).a";
        assert!(rewritten(other).is_err_and(|error| error.starts_with("0A000")));
    }

    #[test]
    fn vectors_of_indexes_begin_at_zero_where_indexes_are_asked_for() {
        let asked = "SELECT o.indoption[n - 1] FROM pg_index o";
        assert!(rewritten(asked).is_ok_and(|text| text.contains("[(n - 1) + 1]")));
        let alone = "SELECT indkey[0] FROM pg_index";
        assert!(rewritten(alone).is_ok_and(|text| text.contains("[(0) + 1]")));
        let own = "SELECT o.indoption[n - 1] FROM mine o";
        assert!(rewritten(own).is_ok_and(|text| text.contains("[n - 1]")));
    }
}
