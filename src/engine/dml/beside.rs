//! RETURNING beside FROM and USING: columns of their tables, which the selection gives with the key.

use super::names::{self, fold};
use super::selection::Named;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::QueryEngine;
use crate::engine::query::expression::Scope;
use crate::engine::query::rewrite::labels::label;
use crate::engine::query::rewrite::named_arguments::into_order;
use crate::sql::auth_variable::Variable;
use crate::sql::parse;
use sqlparser::ast::{
    self, Expr, Ident, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor,
    TableWithJoins, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The qualifier of the columns that come from the selection; nobody can write it.
const QUALIFIER: &str = "\u{1}beside";

/// A RETURNING list whose foreign columns have been taken out of it.
#[derive(Debug, Default)]
pub struct Beside {
    /// The list over the target's columns and those taken out.
    pub items: Vec<SelectItem>,
    /// What the selection is to give for those taken out, in their order.
    pub values: Vec<Expr>,
}

impl Beside {
    /// Of a list; `from` are the tables of FROM or USING, maybe none.
    ///
    /// # Errors
    /// 42P01 for a wildcard of a table that is not there; whatever is wrong with `from`.
    pub async fn of(
        items: &[SelectItem],
        named: &Named,
        from: &[TableWithJoins],
        with: Option<&ast::With>,
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Beside, Diagnostic> {
        if from.is_empty() {
            let items = items.to_vec();
            return Ok(Beside {
                items,
                ..Beside::default()
            });
        }
        let mut taken = Beside::default();
        let beside = relations(from);
        for item in items {
            match item {
                SelectItem::Wildcard(_) => {
                    let own = ast::ObjectName::from(vec![quoted(&named.qualifier)]);
                    let own = SelectItemQualifiedWildcardKind::ObjectName(own);
                    let options = ast::WildcardAdditionalOptions::default();
                    taken
                        .items
                        .push(SelectItem::QualifiedWildcard(own, options));
                    for relation in &beside {
                        let columns = columns(relation, from, with, query, context).await?;
                        taken.take_columns(relation, columns);
                    }
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) if names::column(name).is_ok_and(|name| name != named.qualifier) => {
                    let relation = names::column(name)?;
                    if !beside.contains(&relation) {
                        return Err(Diagnostic::error(
                            SqlState::UNDEFINED_TABLE,
                            format!("missing FROM-clause entry for table \"{relation}\""),
                        ));
                    }
                    let columns = columns(&relation, from, with, query, context).await?;
                    taken.take_columns(&relation, columns);
                }
                other => taken.take(other, named, &beside),
            }
        }
        Ok(taken)
    }

    /// The scope of the list: the target's columns, then those taken out, of these types.
    pub fn scope(&self, named: &Named, types: &[SqlType]) -> Scope {
        let own = named.target.scope(&named.qualifier);
        let names: Vec<String> = (0..self.values.len()).map(name).collect();
        let columns = names.iter().map(String::as_str).zip(types.iter().copied());
        own.with(QUALIFIER, columns)
    }

    fn take(&mut self, item: &SelectItem, named: &Named, beside: &[String]) {
        let (expr, label) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, label(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr, fold(alias)),
            // Refused where the list is planned.
            other => return self.items.push(other.clone()),
        };
        let mut expr = expr.clone();
        let mut lift = Lift {
            named,
            beside,
            values: &mut self.values,
            inside_variables: 0,
            inside_queries: 0,
        };
        let _ = expr.visit(&mut lift);
        let alias = quoted(&label);
        self.items.push(SelectItem::ExprWithAlias { expr, alias });
    }

    fn take_columns(&mut self, relation: &str, columns: Vec<String>) {
        for column in columns {
            let taken = Expr::CompoundIdentifier(vec![quoted(relation), quoted(&column)]);
            let expr =
                Expr::CompoundIdentifier(vec![quoted(QUALIFIER), quoted(&name(self.values.len()))]);
            self.values.push(taken);
            self.items.push(SelectItem::ExprWithAlias {
                expr,
                alias: quoted(&column),
            });
        }
    }
}

fn name(place: usize) -> String {
    format!("beside{place}")
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// Takes the columns that are not the target's out of an expression.
struct Lift<'a> {
    named: &'a Named,
    /// The names of the other tables.
    beside: &'a [String],
    values: &'a mut Vec<Expr>,
    /// How many `$auth.*` are around: what is inside them are no columns.
    inside_variables: usize,
    /// How many subqueries are around: there a column may be one of their own.
    inside_queries: usize,
}

impl VisitorMut for Lift<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<()> {
        self.inside_queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<()> {
        self.inside_queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if Variable::of(expr).is_some() {
            self.inside_variables += 1;
        }
        // Names of arguments are no columns; what is wrong with them is told where the list is planned.
        if let Expr::Function(function) = expr {
            let mut ordered = function.clone();
            if into_order(&mut ordered).is_ok() {
                *function = ordered;
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if Variable::of(expr).is_some() {
            self.inside_variables -= 1;
        } else if self.inside_variables == 0 {
            self.lift(expr);
        }
        ControlFlow::Continue(())
    }
}

impl Lift<'_> {
    fn lift(&mut self, expr: &mut Expr) {
        let own = match &*expr {
            Expr::Identifier(column) => self.named.target.column(&fold(column)).is_ok(),
            Expr::CompoundIdentifier(parts) => {
                parts.len() == 2 && fold(&parts[0]) == self.named.qualifier
            }
            _ => return,
        };
        let qualifier = match &*expr {
            Expr::CompoundIdentifier(parts) => parts.first().map(fold),
            _ => None,
        };
        if self.inside_queries > 0 && !qualifier.is_some_and(|name| self.beside.contains(&name)) {
            return;
        }
        let qualified = matches!(expr, Expr::CompoundIdentifier(_));
        if own && qualified {
            return;
        }
        // The target's by name alone is asked for, too: the planner says where it is ambiguous.
        self.values.push(expr.clone());
        if !own {
            let taken = quoted(&name(self.values.len() - 1));
            *expr = Expr::CompoundIdentifier(vec![quoted(QUALIFIER), taken]);
        }
    }
}

/// The names of the tables, in their order.
fn relations(from: &[TableWithJoins]) -> Vec<String> {
    let mut found = Vec::new();
    for table in from {
        relation(&table.relation, &mut found);
        for join in &table.joins {
            relation(&join.relation, &mut found);
        }
    }
    found
}

fn relation(factor: &TableFactor, found: &mut Vec<String>) {
    let alias = match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias,
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => return found.extend(relations(std::slice::from_ref(table_with_joins))),
        TableFactor::NestedJoin { alias, .. } => alias,
        _ => return,
    };
    match (alias, factor) {
        (Some(alias), _) => found.push(fold(&alias.name)),
        (None, TableFactor::Table { name, .. } | TableFactor::Function { name, .. }) => {
            found.extend(name.0.last().and_then(|part| part.as_ident()).map(fold))
        }
        _ => {}
    }
}

/// The columns of one of the tables.
async fn columns(
    relation: &str,
    from: &[TableWithJoins],
    with: Option<&ast::With>,
    query: &QueryEngine,
    context: &StatementContext,
) -> Result<Vec<String>, Diagnostic> {
    let relation = relation.replace('"', "\"\"");
    let mut statement = parse::parse_one(&format!("SELECT \"{relation}\".* FROM t"))?;
    if let ast::Statement::Query(query) = &mut statement {
        query.with = with.cloned();
        if let SetExpr::Select(select) = &mut *query.body {
            select.from = from.to_vec();
        }
    }
    let plan = query
        .analyze_on_pool(statement, Vec::new(), context)
        .await?;
    let names = plan.fields.iter().map(|field| field.name.clone());
    Ok(names.collect())
}
