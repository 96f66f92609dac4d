//! Parameters of type void among the arguments of a function, which are none: JDBC's `{? = call f(?)}` sends
//! the place of the result as one. Source: PostgreSQL 15, `parse_func.c` (ParseFuncOrColumn).

use crate::catalog::sql_type::{SqlType, TypeKind};
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, TableFactor, Value, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

/// Leaves them out, if the client has declared any.
pub fn leave_out(query: &mut Query, declared: &[Option<SqlType>]) {
    let void = SqlType::scalar(TypeKind::Void);
    if declared.contains(&Some(void)) {
        let _ = VisitMut::visit(query, &mut Void(declared));
    }
}

struct Void<'a>(&'a [Option<SqlType>]);

impl Void<'_> {
    fn is(&self, argument: &FunctionArg) -> bool {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else {
            return false;
        };
        let Value::Placeholder(name) = &value.value else {
            return false;
        };
        let number = name
            .strip_prefix('$')
            .and_then(|it| it.parse::<usize>().ok());
        let place = number.and_then(|number| number.checked_sub(1));
        let declared = place.and_then(|place| self.0.get(place).copied().flatten());
        declared.is_some_and(|declared| declared.kind == TypeKind::Void)
    }
}

impl VisitorMut for Void<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                args: Some(args), ..
            } => args.args.retain(|argument| !self.is(argument)),
            TableFactor::Function { args, .. } => args.retain(|argument| !self.is(argument)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let FunctionArguments::List(list) = &mut function.args
        {
            list.args.retain(|argument| !self.is(argument));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;
    use sqlparser::ast::Statement;

    #[test]
    fn parameters_of_type_void_are_no_arguments() {
        let text = "SELECT lower($1, $2) FROM upper($1, $2) AS result";
        let Ok(Statement::Query(mut query)) = parse::parse_one(text) else {
            panic!("no query");
        };
        let declared = [TypeKind::Void, TypeKind::Varchar].map(|kind| Some(SqlType::scalar(kind)));
        leave_out(&mut query, &declared);
        assert_eq!(
            query.to_string(),
            "SELECT lower($2) FROM upper($2) AS result"
        );
    }
}
