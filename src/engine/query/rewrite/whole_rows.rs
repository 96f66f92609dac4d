//! The row of an item in FROM as a value: `row_to_json(t)`, `json_agg(t)`, `count(t)`, `t IS NULL`,
//! `SELECT t FROM t`.
//!
//! A name is a column before it is a row (PostgreSQL 15, §8.16.5), so rows are looked for when the planner
//! has not found a column of that name. A record (`functions::row`) does not know its columns' names: where
//! a row goes into JSON it becomes an object of its columns, and as a column of the result the text that a
//! row prints as.

use super::from_items::{named, written_names};
use super::labels::{folded, label};
use super::rows;
use super::syntax::{call_of, last_name};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::json::record;
use crate::sql::parse;
use sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableFactor, TableWithJoins, Value, VisitMut, VisitorMut, With,
};
use std::ops::ControlFlow;

/// Gives the names of the columns of a query.
pub type ColumnsOf<'c> = dyn FnMut(Query) -> Result<Vec<String>, Diagnostic> + 'c;

/// The name that an error has found no column of.
pub fn missed(error: &Diagnostic) -> Option<String> {
    if error.sqlstate() != SqlState::UNDEFINED_COLUMN {
        return None;
    }
    let name = error.message().strip_prefix("column \"")?;
    name.strip_suffix("\" does not exist").map(str::to_owned)
}

/// Makes values of the rows of this name; false where there is no such row in a place that may have one.
///
/// # Errors
/// Whatever is wrong with the item in FROM.
pub fn rewrite(
    query: &mut Query,
    name: &str,
    columns_of: &mut ColumnsOf<'_>,
) -> Result<bool, Diagnostic> {
    let mut rows = Rows {
        name,
        columns_of,
        queries: 0,
        withs: Vec::new(),
        scopes: Vec::new(),
        changed: false,
    };
    match VisitMut::visit(query, &mut rows) {
        ControlFlow::Continue(()) => Ok(rows.changed),
        ControlFlow::Break(error) => Err(error),
    }
}

/// `f(t.*)` is f(t), and `(t).*` is t.*.
pub fn stars(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Stars);
}

struct Stars;

impl VisitorMut for Stars {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(kind, _) = item
                && let SelectItemQualifiedWildcardKind::Expr(Expr::Nested(row)) = kind
                && let Expr::Identifier(row) = &**row
            {
                let row = ObjectName::from(vec![row.clone()]);
                *kind = SelectItemQualifiedWildcardKind::ObjectName(row);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && !rows::is_constructor(function)
            && let FunctionArguments::List(list) = &mut function.args
        {
            for argument in &mut list.args {
                if let FunctionArg::Unnamed(argument) = argument
                    && let FunctionArgExpr::QualifiedWildcard(name) = argument
                    && let [part] = name.0.as_slice()
                    && let Some(name) = part.as_ident()
                {
                    *argument = FunctionArgExpr::Expr(Expr::Identifier(name.clone()));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The only column of the functions that take an array of JSON apart.
const VALUE: &str = "value";

/// Whether it is a call of one of them, and its column has no other name.
fn gives_values(factor: &TableFactor) -> bool {
    let (name, alias, with_ordinality) = match factor {
        TableFactor::Table {
            name,
            alias,
            args: Some(_),
            with_ordinality,
            ..
        }
        | TableFactor::Function {
            name,
            alias,
            with_ordinality,
            ..
        } => (name, alias, *with_ordinality),
        _ => return false,
    };
    let elements = [
        "json_array_elements",
        "json_array_elements_text",
        "jsonb_array_elements",
        "jsonb_array_elements_text",
    ];
    let own_name = alias.as_ref().is_none_or(|alias| alias.columns.is_empty());
    let known = last_name(name).is_some_and(|name| elements.contains(&name.as_str()));
    known && own_name && !with_ordinality
}

struct Rows<'r, 'c> {
    name: &'r str,
    columns_of: &'r mut ColumnsOf<'c>,
    /// Queries around; the outermost is one.
    queries: usize,
    /// WITH of each of them.
    withs: Vec<Option<With>>,
    /// FROM of each SELECT around.
    scopes: Vec<Vec<TableWithJoins>>,
    changed: bool,
}

/// A row, taken apart.
struct Row {
    /// The columns' names and values.
    columns: Vec<(String, Expr)>,
    /// Whether an outer join may give it where there is none.
    may_be_absent: bool,
}

type Found<T> = Result<Option<T>, Diagnostic>;

impl VisitorMut for Rows<'_, '_> {
    type Break = Diagnostic;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Diagnostic> {
        self.queries += 1;
        self.withs.push(query.with.clone());
        let Query { body, order_by, .. } = query;
        let (SetExpr::Select(select), Some(order_by)) = (&**body, order_by) else {
            return ControlFlow::Continue(());
        };
        let OrderByKind::Expressions(items) = &mut order_by.kind else {
            return ControlFlow::Continue(());
        };
        let output = |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == self.name);
        if select.projection.iter().any(output) {
            return ControlFlow::Continue(());
        }
        // ORDER BY sees the items of its SELECT's FROM.
        self.scopes.push(select.from.clone());
        for item in items {
            if let Some(value) = self.scalar(&item.expr) {
                item.expr = value;
            }
        }
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
        self.queries -= 1;
        self.withs.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Diagnostic> {
        self.scopes.push(select.from.clone());
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some(value) = self.scalar(expr)
            {
                let alias = Ident::with_quote('"', self.name);
                *item = SelectItem::ExprWithAlias { expr: value, alias };
            }
        }
        // The call may go, or become one of ours: its name stays.
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::Function(_)) = item {
                let alias = Ident::with_quote('"', label(expr));
                let expr = expr.clone();
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        if self.queries > 1 {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, Ident::with_quote('"', self.name)),
                SelectItem::ExprWithAlias { expr, alias } => (expr, alias.clone()),
                _ => continue,
            };
            match self.row(expr) {
                Ok(None) => {}
                Ok(Some(row)) => {
                    let expr = self.made(&row, record::TEXT);
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Diagnostic> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Diagnostic> {
        if let Some(value) = self.scalar(expr) {
            *expr = value;
            return ControlFlow::Continue(());
        }
        match self.replaced(expr) {
            Ok(Some(replaced)) => *expr = replaced,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Rows<'_, '_> {
    fn replaced(&mut self, expr: &mut Expr) -> Found<Expr> {
        match expr {
            Expr::IsNull(tested) | Expr::IsNotNull(tested) => {
                let Some(row) = self.row(tested)? else {
                    return Ok(None);
                };
                self.changed = true;
                let columns = row.columns.into_iter().map(|(_, value)| value);
                let null = matches!(expr, Expr::IsNull(_));
                Ok(Some(rows::null_test(columns.collect(), null)))
            }
            Expr::Cast {
                expr: value,
                data_type: DataType::Text | DataType::Varchar(None),
                ..
            } => {
                if let Some(row) = self.row(value)? {
                    **value = self.made(&row, record::TEXT);
                }
                Ok(None)
            }
            Expr::Function(function) => self.call(function),
            _ => Ok(None),
        }
    }

    /// A call with rows among its arguments.
    fn call(&mut self, function: &mut Function) -> Found<Expr> {
        let name = last_name(&function.name).unwrap_or_default();
        let form = match name.as_str() {
            "row_to_json" | "to_json" | "json_agg" | "json_build_array" | "json_build_object"
            | "json_object_agg" | "jsonb_build_array" | "jsonb_build_object" => record::JSON,
            "to_jsonb" | "jsonb_agg" | "jsonb_object_agg" => record::JSONB,
            "count" => record::TEXT,
            _ => return Ok(None),
        };
        let FunctionArguments::List(list) = &mut function.args else {
            return Ok(None);
        };
        let mut found = false;
        for argument in &mut list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                continue;
            };
            if let Some(row) = self.row(argument)? {
                *argument = self.made(&row, form);
                found = true;
            } else if let Expr::Subquery(query) = argument {
                found |= self.of_subquery(query, form)?;
            }
        }
        let whole = matches!(name.as_str(), "row_to_json" | "to_json" | "to_jsonb");
        match (found, list.args.as_slice()) {
            (true, [FunctionArg::Unnamed(FunctionArgExpr::Expr(made))]) if whole => {
                Ok(Some(made.clone()))
            }
            (true, [_, _]) if whole => Err(Diagnostic::unsupported(
                "row_to_json() with line feeds between the columns",
            )),
            (true, _) if name == "json_agg" => {
                function.name = ObjectName::from(vec![Ident::new(record::JSON_AGG)]);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// `(SELECT t FROM …)` in the place of a row.
    fn of_subquery(&mut self, query: &mut Query, form: &str) -> Result<bool, Diagnostic> {
        let with = query.with.clone();
        let SetExpr::Select(select) = &mut *query.body else {
            return Ok(false);
        };
        let [item] = select.projection.as_mut_slice() else {
            return Ok(false);
        };
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            return Ok(false);
        };
        self.withs.push(with);
        self.scopes.push(select.from.clone());
        let row = self.row(expr);
        self.scopes.pop();
        self.withs.pop();
        let Some(row) = row? else {
            return Ok(false);
        };
        *expr = self.made(&row, form);
        Ok(true)
    }

    /// The item in FROM that an expression names, and whether an outer join may give nothing for it.
    fn item(&self, expr: &Expr) -> Option<(TableFactor, bool)> {
        let name = match expr {
            Expr::Nested(inner) => return self.item(inner),
            Expr::Identifier(name) => name,
            _ => return None,
        };
        if folded(name) != self.name {
            return None;
        }
        self.scopes.iter().rev().find_map(|from| {
            let mut items = from.iter();
            items.find_map(|item| named(item, self.name))
        })
    }

    /// The value that an expression names by a function in FROM: the row of one that gives values of one type
    /// is the value itself.
    fn scalar(&mut self, expr: &Expr) -> Option<Expr> {
        let (factor, _) = self.item(expr)?;
        if !gives_values(&factor) {
            return None;
        }
        self.changed = true;
        let of = |name: &str| Ident::with_quote('"', name);
        Some(Expr::CompoundIdentifier(vec![of(self.name), of(VALUE)]))
    }

    /// The row that an expression is.
    fn row(&mut self, expr: &Expr) -> Found<Row> {
        let Some((factor, may_be_absent)) = self.item(expr) else {
            return Ok(None);
        };
        if gives_values(&factor) {
            return Ok(None);
        }
        let names = match written_names(&factor) {
            Some(names) => names,
            None => {
                let query = self.all_of(factor)?;
                (self.columns_of)(query)?
            }
        };
        let of = |name: &str| Ident::with_quote('"', name);
        let column = |name: String| {
            let value = Expr::CompoundIdentifier(vec![of(self.name), of(&name)]);
            (name, value)
        };
        Ok(Some(Row {
            columns: names.into_iter().map(column).collect(),
            may_be_absent,
        }))
    }

    /// `SELECT * FROM item`, with the tables of WITH that it may name.
    fn all_of(&self, factor: TableFactor) -> Result<Query, Diagnostic> {
        let Statement::Query(mut query) = parse::parse_one("SELECT * FROM item")? else {
            return Err(Diagnostic::internal("a query of ours is none"));
        };
        if let SetExpr::Select(select) = &mut *query.body
            && let Some(item) = select.from.first_mut()
        {
            item.relation = factor;
        }
        let mut all: Option<With> = None;
        for with in self.withs.iter().flatten() {
            match &mut all {
                None => all = Some(with.clone()),
                Some(all) => all.cte_tables.extend(with.cte_tables.iter().cloned()),
            }
        }
        query.with = all;
        Ok(*query)
    }

    /// The call that makes a value of the row's columns.
    fn made(&mut self, row: &Row, form: &str) -> Expr {
        self.changed = true;
        let mut args = vec![Expr::value(Value::Boolean(row.may_be_absent))];
        for (name, value) in &row.columns {
            args.push(Expr::value(Value::SingleQuotedString(name.clone())));
            args.push(value.clone());
        }
        call_of(form, args)
    }
}
