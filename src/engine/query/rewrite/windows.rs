//! A window made of a named one: `OVER (w ROWS 2 PRECEDING)`, `WINDOW w2 AS (w1 ORDER BY x)`. It has the partitions and the order
//! of the other (PostgreSQL 15, SELECT, "WINDOW Clause"); the planner forgets them.

use super::labels::folded;
use crate::diagnostic::{Diagnostic, SqlState};
use sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, VisitMut,
    VisitorMut, WindowSpec, WindowType,
};
use std::ops::ControlFlow;

/// Gives each such window what it takes of the other.
///
/// # Errors
/// 42704 for a window that is not there, 42P20 for one whose clauses may not be taken or changed.
pub fn rewrite(query: &mut Query) -> Result<(), Diagnostic> {
    let mut windows = Windows { scopes: Vec::new() };
    match VisitMut::visit(query, &mut windows) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

type Named = Vec<(String, WindowSpec)>;

struct Windows {
    /// Those of each SELECT around, and of each query around by its SELECT, which ORDER BY sees.
    scopes: Vec<Named>,
}

impl VisitorMut for Windows {
    type Break = Diagnostic;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Diagnostic> {
        let named = match &mut *query.body {
            SetExpr::Select(select) => of_select(select),
            _ => Ok(Named::new()),
        };
        self.entered(named)
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Diagnostic> {
        self.entered(of_select(select))
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Diagnostic> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Diagnostic> {
        let (Expr::Function(function), Some(named)) = (expr, self.scopes.last()) else {
            return ControlFlow::Continue(());
        };
        let taken = match &mut function.over {
            Some(WindowType::WindowSpec(window)) => take(window, named),
            Some(WindowType::NamedWindow(name)) => found(name, named).map(|_| ()),
            None => Ok(()),
        };
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Windows {
    fn entered(&mut self, named: Result<Named, Diagnostic>) -> ControlFlow<Diagnostic> {
        match named {
            Ok(named) => {
                self.scopes.push(named);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The windows of WINDOW, each with what it takes of those before it.
fn of_select(select: &mut Select) -> Result<Named, Diagnostic> {
    let mut named = Named::new();
    for NamedWindowDefinition(name, window) in &mut select.named_window {
        let spec = match window {
            NamedWindowExpr::WindowSpec(window) => {
                take(window, &named)?;
                window.clone()
            }
            NamedWindowExpr::NamedWindow(other) => found(other, &named)?.clone(),
        };
        named.push((folded(name), spec));
    }
    Ok(named)
}

fn found<'n>(name: &Ident, named: &'n Named) -> Result<&'n WindowSpec, Diagnostic> {
    let name = folded(name);
    let found = named.iter().find(|(known, _)| *known == name);
    found.map(|(_, window)| window).ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("window \"{name}\" does not exist"),
        )
    })
}

fn take(window: &mut WindowSpec, named: &Named) -> Result<(), Diagnostic> {
    let Some(name) = window.window_name.take() else {
        return Ok(());
    };
    let of = found(&name, named)?;
    let refused = |message: String| Err(Diagnostic::error(SqlState::WINDOWING_ERROR, message));
    let name = folded(&name);
    if !window.partition_by.is_empty() {
        return refused(format!(
            "cannot override PARTITION BY clause of window \"{name}\""
        ));
    }
    if !window.order_by.is_empty() && !of.order_by.is_empty() {
        return refused(format!(
            "cannot override ORDER BY clause of window \"{name}\""
        ));
    }
    if of.window_frame.is_some() {
        return refused(format!(
            "cannot copy window \"{name}\" because it has a frame clause"
        ));
    }
    window.partition_by = of.partition_by.clone();
    if window.order_by.is_empty() {
        window.order_by = of.order_by.clone();
    }
    Ok(())
}
