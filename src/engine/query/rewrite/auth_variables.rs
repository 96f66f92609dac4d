//! `$auth.*` as calls of functions, so that the planner meets no parameter it does not know; and what
//! policies written for PostgreSQL say instead: `current_setting('auth.id')`, `auth.uid()`.

use super::syntax::call_of;
use crate::diagnostic::Diagnostic;
use crate::engine::query::functions::auth_variable;
use crate::sql::auth_variable::Variable;
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Value, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites the variables of a tree.
///
/// # Errors
/// 42704 for one that there is none of.
pub fn rewrite(tree: &mut impl VisitMut) -> Result<(), Diagnostic> {
    visit(
        tree,
        Variables {
            current_user: false,
        },
    )
}

/// As [`rewrite`], for an expression that stands alone, which has no statement to ask for
/// CURRENT_USER.
///
/// # Errors
/// As [`rewrite`]'s.
pub fn rewrite_alone(expression: &mut Expr) -> Result<(), Diagnostic> {
    visit(expression, Variables { current_user: true })
}

fn visit(tree: &mut impl VisitMut, mut variables: Variables) -> Result<(), Diagnostic> {
    match tree.visit(&mut variables) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Variables {
    /// CURRENT_USER is one as well.
    current_user: bool,
}

impl VisitorMut for Variables {
    type Break = Diagnostic;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Diagnostic> {
        let found = match self.current_user {
            true => alone(expr),
            false => Variable::of(expr).or_else(|| of_call(expr).map(Ok)),
        };
        match found {
            Some(Ok(variable)) => *expr = call(&variable),
            Some(Err(error)) => return ControlFlow::Break(error),
            None => {}
        }
        ControlFlow::Continue(())
    }
}

/// The variable that an expression which stands alone is.
///
/// # Errors
/// 42704 for one that there is none of.
pub fn alone(expr: &Expr) -> Option<Result<Variable, Diagnostic>> {
    if is_current_user(expr) {
        return Some(Ok(Variable::CurrentUser));
    }
    Variable::of(expr).or_else(|| of_call(expr).map(Ok))
}

fn call(variable: &Variable) -> Expr {
    let mut call = call_of("", Vec::new());
    if let Expr::Function(function) = &mut call {
        // Quoted: a claim's name keeps its letters.
        let name = Ident::with_quote('"', auth_variable::name_of(variable));
        function.name = ObjectName::from(vec![name]);
    }
    call
}

fn is_current_user(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else {
        return false;
    };
    let [part] = &function.name.0[..] else {
        return false;
    };
    let known = ["current_user", "session_user", "user", "current_role"];
    matches!(function.args, FunctionArguments::None)
        && part
            .as_ident()
            .is_some_and(|name| known.contains(&&*name.value.to_ascii_lowercase()))
}

fn of_call(expr: &Expr) -> Option<Variable> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let mut names = function.name.0.iter().rev().map(|part| part.as_ident());
    let name = names.next()??.value.to_ascii_lowercase();
    let schema = match names.next() {
        Some(schema) => Some(schema?.value.to_ascii_lowercase()),
        None => None,
    };
    let FunctionArguments::List(arguments) = &function.args else {
        return None;
    };
    let argument = match &arguments.args[..] {
        [] => None,
        [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(first))),
            ..,
        ] => {
            let Value::SingleQuotedString(text) = &first.value else {
                return None;
            };
            Some(text.to_ascii_lowercase())
        }
        _ => return None,
    };
    auth_variable::of_call(schema.as_deref(), &name, argument.as_deref())
}
