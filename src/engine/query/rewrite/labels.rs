//! Output names as PostgreSQL gives them (`FigureColname`), and unique ones for the planner.
//!
//! The planner wants every output name of a SELECT to differ; PostgreSQL does not. Where two would
//! be the same the later one gets a suffix that [`visible`] takes off again.

use super::from_items::may_have;
use crate::diagnostic::Diagnostic;
use crate::sql::auth_variable::Variable;
use sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Distinct, Expr, Function, Ident, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableWithJoins, TrimWhereField, VisitMut,
    VisitorMut, visit_expressions,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Stands before the suffix of a name that was made unique; no client can write it (it is a
/// control character, which names do not hold).
const SUFFIX_MARK: char = '\u{1f}';

/// What a name is called when nothing gives it one.
const NAMELESS: &str = "?column?";

/// Names every output column of the query and of those inside it.
///
/// # Errors
/// 0A000 where ORDER BY of an inner query works on a column that its select list hides.
pub fn assign(query: &mut Query) -> Result<(), Diagnostic> {
    let renamed = name_body(&mut query.body, Level::Top);
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::Expressions(items) = &mut order_by.kind
    {
        items
            .iter_mut()
            .for_each(|item| follow(&mut item.expr, &renamed));
    }
    let _ = query.visit(&mut Inner);
    let mut levels = Ordered { depth: 0 };
    match query.visit(&mut levels) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// In ORDER BY a name alone is an output column, and one inside an expression an input column
/// (PostgreSQL 15, SELECT, "ORDER BY Clause"). The planner takes the output column for both, so one
/// that hides an input column gets a name that nobody can write.
struct Ordered {
    depth: usize,
}

impl VisitorMut for Ordered {
    type Break = Diagnostic;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Diagnostic> {
        self.depth += 1;
        let Some(order_by) = &mut query.order_by else {
            return ControlFlow::Continue(());
        };
        let (OrderByKind::Expressions(items), SetExpr::Select(select)) =
            (&mut order_by.kind, &mut *query.body)
        else {
            return ControlFlow::Continue(());
        };
        for (index, output) in select.projection.iter_mut().enumerate() {
            let SelectItem::ExprWithAlias { expr, alias } = output else {
                continue;
            };
            let name = folded(alias);
            // The output's own expression is the output: `date_trunc('day', at) AS at … ORDER BY date_trunc('day', at)`. But a
            // number is an output's place, whatever the list has: `SELECT 2, name … ORDER BY 2`.
            let same = |item: &&mut OrderByExpr| {
                !matches!(item.expr, Expr::Identifier(_) | Expr::Value(_)) && item.expr == *expr
            };
            for item in items.iter_mut().filter(same) {
                item.expr = Expr::Identifier(Ident::with_quote('"', &name));
            }
            let itself = matches!(expr, Expr::Identifier(column) if folded(column) == name);
            let hides = |item: &OrderByExpr| {
                !matches!(item.expr, Expr::Identifier(_)) && mentions(&item.expr, &name, expr)
            };
            if itself || !items.iter().any(hides) {
                continue;
            }
            if self.depth > 1 {
                return ControlFlow::Break(Diagnostic::unsupported(
                    "ORDER BY an expression of a column that the select list hides",
                ));
            }
            let hidden = Ident::with_quote('"', format!("{name}{SUFFIX_MARK}{index}"));
            for item in items.iter_mut() {
                if let Expr::Identifier(column) = &mut item.expr
                    && folded(column) == name
                {
                    *column = hidden.clone();
                }
            }
            *alias = hidden;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// Whether a column of this name is mentioned, its table's name before it or not, that is another than the output.
fn mentions(expr: &Expr, name: &str, output: &Expr) -> bool {
    let mentioned = visit_expressions(expr, |expr| match expr {
        Expr::Identifier(column) if folded(column) == name => ControlFlow::Break(()),
        Expr::CompoundIdentifier(parts)
            if parts.last().is_some_and(|column| folded(column) == name) && expr != output =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    mentioned.is_break()
}

/// The name a client sees.
pub fn visible(name: &str) -> &str {
    name.split(SUFFIX_MARK).next().unwrap_or(name)
}

/// The name of an expression in a select list, as a client sees it.
pub fn label(expr: &Expr) -> String {
    figure(expr).1
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Nobody refers to its columns by name but ORDER BY.
    Top,
    /// Its columns may be referred to.
    Nested,
}

struct Inner;

impl VisitorMut for Inner {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        name_select(select, Level::Nested);
        ControlFlow::Continue(())
    }
}

/// An output column that no longer has the name that ORDER BY knows it by.
struct Renamed {
    name: String,
    alias: Ident,
}

/// A name alone that means an output column means it by its new name.
fn follow(expr: &mut Expr, renamed: &[Renamed]) {
    if let Expr::Identifier(column) = expr
        && let Some(found) = renamed.iter().find(|it| it.name == folded(column))
    {
        *column = found.alias.clone();
    }
}

/// Gives the columns of the first SELECT that were renamed: those whose names ORDER BY may say.
fn name_body(body: &mut SetExpr, level: Level) -> Vec<Renamed> {
    match body {
        SetExpr::Select(select) => name_select(select, level),
        SetExpr::Query(query) => name_body(&mut query.body, level),
        SetExpr::SetOperation { left, right, .. } => {
            let renamed = name_body(left, level);
            name_body(right, level);
            renamed
        }
        _ => Vec::new(),
    }
}

fn name_select(select: &mut Select, level: Level) -> Vec<Renamed> {
    let expands = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    // A wildcard's names are not known yet; at the top any name may be made unique.
    let suspicious = expands && level == Level::Top;
    let mut used = HashSet::new();
    let mut renamed = Vec::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (expr, name, plain) = match &*item {
            SelectItem::UnnamedExpr(expr) => {
                let plain = is_column(expr) && !is_of_query_around(expr, &select.from);
                (expr, figure(expr).1, plain)
            }
            SelectItem::ExprWithAlias { expr, alias } => (expr, folded(alias), false),
            _ => continue,
        };
        if name.contains(SUFFIX_MARK) {
            used.insert(name);
            continue;
        }
        let first = used.insert(name.clone());
        let taken = !first || suspicious;
        if plain && !taken {
            continue;
        }
        let alias = match taken {
            true => format!("{name}{SUFFIX_MARK}{index}"),
            false => name.clone(),
        };
        let alias = Ident::with_quote('"', alias);
        // A column's own name is one of the wildcard's, or of the row below.
        if first && taken && !plain {
            let alias = alias.clone();
            renamed.push(Renamed { name, alias });
        }
        let expr = expr.clone();
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
    if let Some(Distinct::On(items)) = &mut select.distinct {
        items.iter_mut().for_each(|item| follow(item, &renamed));
    }
    renamed
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => !is_current_schema(name),
        Expr::CompoundIdentifier(_) => true,
        _ => false,
    }
}

/// Whether a column's item is not in this FROM: beside LATERAL it is an output as any other, which the planner would not name so.
fn is_of_query_around(column: &Expr, from: &[TableWithJoins]) -> bool {
    match column {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [item, _] => !from.iter().any(|it| may_have(it, &folded(item))),
            _ => false,
        },
        _ => false,
    }
}

/// A reserved word of PostgreSQL's that the parser does not know, and takes for a column.
pub fn is_current_schema(name: &Ident) -> bool {
    name.quote_style.is_none() && name.value.eq_ignore_ascii_case("current_schema")
}

/// An identifier as PostgreSQL folds it.
pub fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// How much a name counts: a cast keeps the name below it only when that is `Good`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    None,
    Weak,
    Good,
}

fn good(name: impl Into<String>) -> (Strength, String) {
    (Strength::Good, name.into())
}

fn figure(expr: &Expr) -> (Strength, String) {
    if let Some(Ok(variable)) = Variable::of(expr) {
        return good(variable.label());
    }
    match expr {
        Expr::Identifier(ident) => good(folded(ident)),
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(last) => good(folded(last)),
            None => (Strength::None, NAMELESS.to_owned()),
        },
        Expr::Function(function) => good(function_name(function)),
        Expr::Cast {
            expr, data_type, ..
        } => or_weak(figure(expr), type_name(data_type)),
        Expr::TypedString(typed) => (Strength::Weak, type_name(&typed.data_type)),
        Expr::Interval(_) => (Strength::Weak, "interval".to_owned()),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        // Of `t.a[1]` and `(row).a` the field, however deep its subscripts.
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(field) => Some(figure(field)),
                AccessExpr::Subscript(_) => None,
            });
            field.unwrap_or_else(|| figure(root))
        }
        Expr::BinaryOp {
            op: BinaryOperator::Overlaps,
            ..
        } => good("overlaps"),
        Expr::Case { else_result, .. } => {
            let below = else_result.as_ref().map(|result| figure(result));
            or_weak(
                below.unwrap_or((Strength::None, String::new())),
                "case".to_owned(),
            )
        }
        Expr::Exists { negated: false, .. } => good("exists"),
        Expr::Subquery(query) => subquery_name(query),
        Expr::Array(_) => good("array"),
        Expr::Tuple(_) => good("row"),
        Expr::Extract { .. } => good("extract"),
        Expr::Ceil { .. } => good("ceil"),
        Expr::Floor { .. } => good("floor"),
        Expr::Position { .. } => good("position"),
        Expr::Substring { shorthand, .. } => good(match shorthand {
            true => "substr",
            false => "substring",
        }),
        Expr::Overlay { .. } => good("overlay"),
        Expr::AtTimeZone { .. } => good("timezone"),
        Expr::Trim { trim_where, .. } => good(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            Some(TrimWhereField::Both) | None => "btrim",
        }),
        _ => (Strength::None, NAMELESS.to_owned()),
    }
}

fn or_weak(below: (Strength, String), otherwise: String) -> (Strength, String) {
    match below.0 {
        Strength::Good => below,
        Strength::Weak | Strength::None => (Strength::Weak, otherwise),
    }
}

fn function_name(function: &Function) -> String {
    let last = function.name.0.last().and_then(|part| part.as_ident());
    match last {
        Some(ident) => folded(ident),
        None => NAMELESS.to_owned(),
    }
}

fn subquery_name(query: &Query) -> (Strength, String) {
    let mut body = &*query.body;
    loop {
        match body {
            SetExpr::Select(select) => {
                return match select.projection.first() {
                    Some(SelectItem::UnnamedExpr(expr)) => figure(expr),
                    Some(SelectItem::ExprWithAlias { alias, .. }) => good(visible(&folded(alias))),
                    _ => (Strength::None, NAMELESS.to_owned()),
                };
            }
            SetExpr::Query(inner) => body = &inner.body,
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Values(_) => return good("column1"),
            _ => return (Strength::None, NAMELESS.to_owned()),
        }
    }
}

/// The name PostgreSQL knows a written type by, without modifier and schema.
fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4",
        DataType::BigInt(_) | DataType::Int8(_) => "int8",
        DataType::SmallInt(_) | DataType::Int2(_) => "int2",
        DataType::Boolean | DataType::Bool => "bool",
        DataType::Real | DataType::Float4 => "float4",
        DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 => "float8",
        DataType::Float(_) => "float8",
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric",
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => {
            "varchar"
        }
        DataType::Char(_) | DataType::Character(_) => "bpchar",
        DataType::Text => "text",
        DataType::Bytea => "bytea",
        DataType::Date => "date",
        DataType::Uuid => "uuid",
        DataType::JSON => "json",
        DataType::JSONB => "jsonb",
        DataType::Interval { .. } => "interval",
        DataType::Regclass => "regclass",
        DataType::Timestamp(_, zone) => match zone {
            sqlparser::ast::TimezoneInfo::WithTimeZone | sqlparser::ast::TimezoneInfo::Tz => {
                "timestamptz"
            }
            _ => "timestamp",
        },
        DataType::Time(_, zone) => match zone {
            sqlparser::ast::TimezoneInfo::WithTimeZone | sqlparser::ast::TimezoneInfo::Tz => {
                "timetz"
            }
            _ => "time",
        },
        DataType::Array(element) => {
            return match element {
                sqlparser::ast::ArrayElemTypeDef::SquareBracket(inner, _)
                | sqlparser::ast::ArrayElemTypeDef::AngleBracket(inner)
                | sqlparser::ast::ArrayElemTypeDef::Parenthesis(inner) => type_name(inner),
                sqlparser::ast::ArrayElemTypeDef::None => "array".to_owned(),
            };
        }
        DataType::Custom(name, _) => {
            return match name.0.last().and_then(|part| part.as_ident()) {
                Some(ident) => folded(ident),
                None => NAMELESS.to_owned(),
            };
        }
        other => return other.to_string().to_ascii_lowercase(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::ast::Statement;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    fn names(sql: &str) -> Vec<String> {
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("parses");
        let Statement::Query(query) = &mut statements[0] else {
            panic!("not a query")
        };
        assign(query).expect("nothing is hidden");
        let SetExpr::Select(select) = &*query.body else {
            panic!("not a select")
        };
        let name = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) => label(expr),
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            _ => "*".to_owned(),
        };
        select.projection.iter().map(name).collect()
    }

    /// Each as PostgreSQL 15 names it.
    #[test]
    fn output_columns_are_named_as_postgresql_names_them() {
        for (sql, expected) in [
            ("select 1", "?column?"),
            ("select 'x'::text", "text"),
            ("select 5::int", "int4"),
            ("select id::text from t", "id"),
            ("select COUNT(*) from t", "count"),
            ("select pg_catalog.version()", "version"),
            ("select a + b from t", "?column?"),
            ("select case when true then 1 else 2 end", "case"),
            ("select case when true then 1 else a end from t", "a"),
            ("select coalesce(a, b) from t", "coalesce"),
            ("select (select max(x) from u)", "max"),
            ("select exists (select 1)", "exists"),
            ("select array[1,2]", "array"),
            ("select current_date", "current_date"),
            ("select extract(year from now())", "extract"),
            ("select date '2020-01-01'", "date"),
            ("select interval '1 day'", "interval"),
            ("select trim(a) from t", "btrim"),
            ("select -a from t", "?column?"),
            ("select \"A\".\"B\" from \"A\"", "B"),
            ("select x as \"Y\" from t", "Y"),
        ] {
            assert_eq!(names(sql), [expected], "{sql}");
        }
    }

    #[test]
    fn equal_names_are_made_unique_and_shown_as_they_were() {
        let names = names("select 1, 2, a.id, b.id from a, b");
        assert_eq!(names[2], "id");
        let unique: HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), 4);
        let shown: Vec<_> = names.iter().map(|name| visible(name)).collect();
        assert_eq!(shown, ["?column?", "?column?", "id", "id"]);
    }
}
