//! The places of a statement that an error may be about.

use super::message::Culprit;
use super::parts::{join_condition, named, outputs};
use super::words::{Words, folded, joined, start};
use sqlparser::ast::{
    self, AssignmentTarget, DataType, Expr, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned, Statement, TableFactor, Value,
    ValueWithSpan, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::Location;
use std::ops::ControlFlow;

/// The usual aggregates, for errors that name none.
const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "max",
    "min",
    "stddev",
    "string_agg",
    "sum",
    "variance",
];

/// The places of a statement that are what an error is about.
pub fn find(culprit: &Culprit, statement: &Statement, text: &str) -> Vec<Location> {
    walk(culprit, statement, text, None).0
}

/// The statement with NULL at one of these places.
pub fn without(culprit: &Culprit, statement: &Statement, text: &str, place: usize) -> Statement {
    walk(culprit, statement, text, Some(place)).1
}

fn walk(
    culprit: &Culprit,
    statement: &Statement,
    text: &str,
    taken: Option<usize>,
) -> (Vec<Location>, Statement) {
    let mut statement = statement.clone();
    let mut sites = Sites {
        culprit,
        words: Words::new(text),
        taken,
        found: Vec::new(),
    };
    let _ = statement.visit(&mut sites);
    (sites.found, statement)
}

/// Walks the tree in the order in which PostgreSQL analyses it, by and large: what is inside before
/// what is around it.
struct Sites<'s> {
    culprit: &'s Culprit,
    words: Words,
    taken: Option<usize>,
    found: Vec<Location>,
}

impl VisitorMut for Sites<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(place) = self.of_expr(expr) {
            self.expr(Some(place), expr);
        }
        self.conditions(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        let found = match (self.culprit, &value.value) {
            (Culprit::Literal(wanted), Value::SingleQuotedString(text)) => text == wanted,
            (Culprit::Parameter(wanted), Value::Placeholder(name)) => name == wanted,
            _ => false,
        };
        if found && self.site(value.span.start) {
            value.value = Value::Null;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
        if matches!(self.culprit, Culprit::Relation(wanted) if joined(name) == *wanted) {
            self.site(name.span().start);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let call = match factor {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } => Some((name, args.args.len())),
            TableFactor::Function { name, args, .. } => Some((name, args.len())),
            _ => None,
        };
        if let Some((name, count)) = call
            && self.is_call(name, count)
        {
            self.site(name.span().start);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            match (self.culprit, item) {
                (Culprit::Star, SelectItem::Wildcard(star)) if select.from.is_empty() => {
                    self.site(star.wildcard_token.0.span.start);
                }
                (
                    Culprit::Qualifier(wanted),
                    SelectItem::QualifiedWildcard(
                        SelectItemQualifiedWildcardKind::ObjectName(name),
                        _,
                    ),
                ) if joined(name) == *wanted => {
                    self.site(name.span().start);
                }
                _ => {}
            }
        }
        for item in &mut select.from {
            for join in &mut item.joins {
                self.condition("JOIN/ON", join_condition(&mut join.join_operator));
            }
        }
        self.condition("WHERE", select.selection.as_mut());
        self.condition("HAVING", select.having.as_mut());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.body(&mut query.body);
        for lock in &query.locks {
            if let (Culprit::Locked(wanted), Some(name)) = (self.culprit, &lock.of)
                && joined(name) == *wanted
            {
                self.site(name.span().start);
            }
        }
        let order = query.order_by.as_ref().map(|order| &order.kind);
        if let (Culprit::OrderPosition(wanted), Some(ast::OrderByKind::Expressions(keys))) =
            (self.culprit, order)
        {
            for key in keys {
                if key.expr.to_string() == *wanted {
                    self.site(key.expr.span().start);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => {
                self.assignments(&mut update.assignments);
                self.condition("WHERE", update.selection.as_mut());
            }
            Statement::Delete(delete) => self.condition("WHERE", delete.selection.as_mut()),
            Statement::CreateTable(table) => {
                for column in &table.columns {
                    self.data_type(&column.data_type);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Sites<'_> {
    /// Notes a place; true where it is the one to take away.
    fn site(&mut self, place: Location) -> bool {
        self.found.push(place);
        self.taken == Some(self.found.len() - 1)
    }

    fn expr(&mut self, place: Option<Location>, expr: &mut Expr) {
        let place = place.unwrap_or_else(|| start(expr, &self.words));
        if self.site(place) {
            *expr = Expr::value(Value::Null);
        }
    }

    /// The place of an expression that is itself what is looked for.
    fn of_expr(&self, expr: &Expr) -> Option<Location> {
        match (self.culprit, expr) {
            (Culprit::Column { name, .. }, Expr::Identifier(ident)) => {
                (folded(ident) == *name).then_some(ident.span.start)
            }
            (Culprit::Column { qualifier, name }, Expr::CompoundIdentifier(parts)) => {
                let [.., table, column] = parts.as_slice() else {
                    return None;
                };
                let same = folded(column) == *name
                    && qualifier
                        .as_ref()
                        .is_some_and(|wanted| folded(table) == *wanted);
                same.then_some(parts[0].span.start)
            }
            (Culprit::Qualifier(wanted), Expr::CompoundIdentifier(parts)) => {
                let [.., table, _] = parts.as_slice() else {
                    return None;
                };
                (folded(table) == *wanted).then_some(parts[0].span.start)
            }
            (Culprit::Function { .. }, Expr::Function(call)) => {
                let count = match &call.args {
                    ast::FunctionArguments::List(list) => list.args.len(),
                    _ => 0,
                };
                self.is_call(&call.name, count)
                    .then(|| call.name.span().start)
            }
            (Culprit::Aggregate, Expr::Function(call)) => {
                let name = call.name.0.last().and_then(|part| part.as_ident());
                let name = name.map(folded)?;
                let is_one = AGGREGATES.contains(&name.as_str());
                is_one.then(|| call.name.span().start)
            }
            (Culprit::Operator { symbol, prefix }, _) => self.operator(expr, symbol, *prefix),
            (Culprit::Type(wanted), Expr::Cast { data_type, .. }) => named(data_type, wanted),
            _ => None,
        }
    }

    fn is_call(&self, name: &ObjectName, count: usize) -> bool {
        let Culprit::Function {
            name: wanted,
            arguments,
        } = self.culprit
        else {
            return false;
        };
        let own = name.0.last().and_then(|part| part.as_ident()).map(folded);
        own.as_ref() == Some(wanted) && arguments.is_none_or(|wanted| wanted == count)
    }

    fn operator(&self, expr: &Expr, wanted: &str, prefix: bool) -> Option<Location> {
        let after = |left: &Expr, word: &str| self.words.after(left.span().end, &[word, "NOT"]);
        match expr {
            Expr::UnaryOp { op, expr } if prefix && op.to_string() == wanted => {
                self.words.before(start(expr, &self.words), wanted)
            }
            _ if prefix => None,
            Expr::BinaryOp { left, op, .. } if op.to_string() == wanted => {
                self.words.after(left.span().end, &[wanted])
            }
            Expr::Like { expr, .. } if wanted.ends_with("~~") => after(expr, "LIKE"),
            Expr::ILike { expr, .. } if wanted.ends_with("~~*") => after(expr, "ILIKE"),
            Expr::Between { expr, .. } if matches!(wanted, "<=" | ">=" | "<" | ">") => {
                after(expr, "BETWEEN")
            }
            Expr::InList { expr, .. } | Expr::InSubquery { expr, .. }
                if matches!(wanted, "=" | "<>") =>
            {
                after(expr, "IN")
            }
            Expr::AnyOp {
                left, compare_op, ..
            }
            | Expr::AllOp {
                left, compare_op, ..
            } if compare_op.to_string() == wanted => self.words.after(left.span().end, &[wanted]),
            _ => None,
        }
    }

    /// Operands of `expr` that must be boolean.
    fn conditions(&mut self, expr: &mut Expr) {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                let name = op.to_string();
                self.condition(&name, Some(left));
                self.condition(&name, Some(right));
            }
            Expr::UnaryOp { op, expr } => {
                let name = op.to_string();
                self.condition(&name, Some(expr));
            }
            Expr::Case {
                operand: None,
                conditions,
                ..
            } => {
                for when in conditions {
                    self.condition("CASE/WHEN", Some(&mut when.condition));
                }
            }
            _ => {}
        }
    }

    fn condition(&mut self, place: &str, expr: Option<&mut Expr>) {
        if let (Culprit::Condition(wanted), Some(expr)) = (self.culprit, expr)
            && wanted == place
        {
            self.expr(None, expr);
        }
    }

    fn body(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left);
                self.body(right);
                if *self.culprit == Culprit::SetOperation {
                    for expr in outputs(right) {
                        self.expr(None, expr);
                    }
                }
            }
            SetExpr::Values(values) if *self.culprit == Culprit::Row => {
                let width = values.rows.first().map_or(0, |row| row.len());
                let other = values.rows.iter().find(|row| row.len() != width);
                if let Some(first) = other.and_then(|row| row.first()) {
                    self.site(start(first, &self.words));
                }
            }
            _ => {}
        }
    }

    fn insert(&mut self, insert: &mut ast::Insert) {
        if let Culprit::Target { name, last } = self.culprit {
            let mut named = insert
                .columns
                .iter()
                .filter(|column| joined(column) == *name);
            let place = if *last {
                named.next_back()
            } else {
                named.next()
            };
            if let Some(place) = place {
                self.site(place.span().start);
            }
        }
        let wanted = match self.culprit {
            Culprit::Assigned(name) => insert.columns.iter().position(|one| joined(one) == *name),
            _ => None,
        };
        let width = insert.columns.len();
        if let Some(source) = &mut insert.source {
            self.inserted(&mut source.body, wanted, width);
            if *self.culprit == Culprit::ExcessColumn
                && let Some(first) = insert.columns.get(outputs(&mut source.body).len())
            {
                self.site(first.span().start);
            }
        }
        if let Some(ast::OnInsert::OnConflict(conflict)) = &mut insert.on {
            if let (Culprit::Column { name, .. }, Some(ast::ConflictTarget::Columns(columns))) =
                (self.culprit, &conflict.conflict_target)
                && let Some(column) = columns.iter().find(|column| folded(column) == *name)
            {
                // PostgreSQL points at the parenthesis before it.
                let place = self.words.before(column.span.start, "(");
                self.site(place.unwrap_or(column.span.start));
            }
            if let ast::OnConflictAction::DoUpdate(update) = &mut conflict.action {
                self.assignments(&mut update.assignments);
            }
        }
    }

    /// The values of an INSERT: those of one column, where it is listed, or any.
    fn inserted(&mut self, body: &mut SetExpr, wanted: Option<usize>, width: usize) {
        let rows: Vec<Vec<&mut Expr>> = match body {
            SetExpr::Values(values) => values
                .rows
                .iter_mut()
                .map(|row| row.content.iter_mut().collect())
                .collect(),
            other => vec![outputs(other)],
        };
        for mut row in rows {
            match self.culprit {
                Culprit::Assigned(_) => {
                    for (place, expr) in row.into_iter().enumerate() {
                        if wanted.is_none_or(|wanted| wanted == place) {
                            self.expr(None, expr);
                        }
                    }
                }
                Culprit::ExcessExpression if width > 0 && row.len() > width => {
                    let place = start(row.swap_remove(width), &self.words);
                    self.site(place);
                }
                _ => {}
            }
        }
    }

    fn assignments(&mut self, assignments: &mut [ast::Assignment]) {
        for assignment in assignments {
            let AssignmentTarget::ColumnName(column) = &assignment.target else {
                continue;
            };
            match self.culprit {
                Culprit::Target { name, .. } if joined(column) == *name => {
                    self.site(column.span().start);
                }
                Culprit::Assigned(name) if joined(column) == *name => {
                    self.expr(None, &mut assignment.value);
                }
                _ => {}
            }
        }
    }

    fn data_type(&mut self, data_type: &DataType) {
        if let Culprit::Type(wanted) = self.culprit
            && let Some(place) = named(data_type, wanted)
        {
            self.site(place);
        }
    }
}
