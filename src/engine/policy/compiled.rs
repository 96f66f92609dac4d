//! The predicates of a table's policies, compiled.

use crate::catalog::definition::{Definitions, Relation};
use crate::catalog::row_policy::Policy;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::dml::target::{scope_of, table_of};
use crate::engine::dml::value::{self, Row, Value};
use crate::engine::query::expression::Scope;
use crate::engine::query::functions::auth_variable;
use crate::engine::query::rewrite::auth_variables;
use crate::engine::settings::Settings;
use crate::engine::types::{Input, UserTypes};
use crate::sql::auth_variable::Variable;
use crate::sql::parse;
use datafusion::common::ScalarValue;
use sqlparser::ast::{BinaryOperator, Expr, Ident};
use std::sync::Arc;

/// The longest predicate, as text.
pub const PREDICATE_BYTES_MAX: usize = 16 << 10;

/// All predicates of a table's policies, in the policies' order.
pub struct Compiled {
    using: Vec<Arc<Predicate>>,
    check: Vec<Arc<Predicate>>,
}

/// One predicate over a row.
#[derive(Debug)]
pub enum Predicate {
    /// `column = $auth.x`, what most policies are, or `column = current_setting('app.x')`: compared without
    /// a batch, and looked up in an index.
    Owned {
        /// The column's position.
        column: usize,
        /// Whose the row must be.
        owner: Owner,
    },
    /// Any other.
    General(Value),
    /// One that cannot be compiled any more, or is not there.
    Never,
}

/// What a column is compared with: the same for all rows of a statement.
#[derive(Debug)]
pub enum Owner {
    /// `$auth.x` as a value of the column's type, without its modifier.
    Variable(Variable, SqlType),
    /// A value that asks the statement, of the column's type.
    Asked(Value),
}

impl Compiled {
    /// Those of a relation, worked out once for its definition: some 100 µs each then.
    pub fn of(relation: &Relation, definitions: &Definitions) -> Arc<Compiled> {
        let security = &relation.row_security;
        security.compiled.get_or_make(|| {
            let predicate = |text: Option<&Arc<str>>| {
                let compiled = text.map(|text| compile(text, relation, definitions));
                Arc::new(compiled.and_then(Result::ok).unwrap_or(Predicate::Never))
            };
            let policies = security.policies.iter();
            let using: Vec<_> = policies
                .map(|policy| predicate(policy.using.as_ref()))
                .collect();
            let of_new = |(place, policy): (usize, &Policy)| match &policy.check {
                Some(check) => predicate(Some(check)),
                None => using[place].clone(),
            };
            Compiled {
                check: security.policies.iter().enumerate().map(of_new).collect(),
                using,
            }
        })
    }

    /// What a policy asks of a row that is there.
    pub fn using(&self, policy: usize) -> &Arc<Predicate> {
        &self.using[policy]
    }

    /// What a policy asks of a new row.
    pub fn check(&self, policy: usize) -> &Arc<Predicate> {
        &self.check[policy]
    }
}

/// Compiles the policies of a relation, where they count and have not been: a plan's business, which is
/// made off the session cores, so that no statement of theirs has to.
pub fn prepare(relation: &Relation, definitions: &Definitions) {
    if relation.row_security.in_force() {
        Compiled::of(relation, definitions);
    }
}

/// Compiles a predicate over a table's columns. Texts in it are read by the server's settings, not by a
/// client's; its functions may ask the statement ([`Predicate::within`]). The definitions are for the types
/// that it names.
///
/// # Errors
/// What the expression has wrong: 42703, 42804, 42883, …; 0A000 for subqueries and whatever else
/// cannot be asked of one row.
pub fn compile(
    text: &str,
    relation: &Relation,
    definitions: &Definitions,
) -> Result<Predicate, Diagnostic> {
    let tree = parse::parse_expression(text)?;
    let table = table_of(relation)?;
    let scope = scope_of(table, &relation.name, Scope::empty());
    let settings = Settings::default();
    let input = Input {
        settings: &settings,
        transaction_time: 0,
        variables: None,
        types: Some(UserTypes {
            definitions,
            database: relation.database,
        }),
    };
    let compiled = value::compile_asking(&tree, &scope, &mut Vec::new(), input)?;
    let compiled = compiled.without_parameters()?;
    value::demand_boolean(&compiled, "POLICY")?;
    Ok(owned(&tree, relation, input).unwrap_or(Predicate::General(compiled)))
}

/// The predicate as `column = owner`, where comparing the values is what `=` does.
fn owned(tree: &Expr, relation: &Relation, input: Input<'_>) -> Option<Predicate> {
    let (left, right) = match tree {
        Expr::Nested(inner) => return owned(inner, relation, input),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => (&**left, &**right),
        _ => return None,
    };
    let (left, right) = (bare(left), bare(right));
    let column_of = |side: &Expr| match side {
        Expr::Identifier(name) => position(relation, name),
        _ => None,
    };
    let (column, other) = match (column_of(left), column_of(right)) {
        (Some(column), None) => (column, right),
        (None, Some(column)) => (column, left),
        _ => return None,
    };
    let sql_type = relation.table()?.columns[column].sql_type;
    let sql_type = SqlType {
        typmod: -1,
        ..sql_type
    };
    let owner = owner(other, sql_type, input)?;
    Some(Predicate::Owned { column, owner })
}

fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

fn position(relation: &Relation, name: &Ident) -> Option<usize> {
    let name = crate::engine::dml::names::fold(name);
    let mut columns = relation.table()?.columns.iter();
    columns.position(|column| !column.dropped && *column.name == name)
}

/// What a column of this type is compared with, if it is no column itself and of the type, too.
fn owner(tree: &Expr, sql_type: SqlType, input: Input<'_>) -> Option<Owner> {
    use TypeKind::{Int2, Int4, Int8, Name, Text, Uuid, Varchar};
    let plain = matches!(sql_type.kind, Text | Varchar | Uuid | Int2 | Int4 | Int8);
    if !plain || sql_type.array {
        return None;
    }
    if let Some(variable) = auth_variables::alone(tree) {
        let variable = variable.ok().filter(|variable| !variable.is_list())?;
        return Some(Owner::Variable(variable, sql_type));
    }
    let compiled = value::compile_asking(tree, &Scope::empty(), &mut Vec::new(), input);
    let value = compiled.ok().filter(Value::asks)?;
    let text = |kind| matches!(kind, Text | Varchar | Name);
    let same =
        value.sql_type.kind == sql_type.kind || text(value.sql_type.kind) && text(sql_type.kind);
    (same && !value.sql_type.array).then_some(Owner::Asked(value))
}

impl Predicate {
    /// Adds the positions of the columns that it looks at.
    pub fn add_columns(&self, columns: &mut Vec<usize>) {
        let mut add = |position: usize| {
            if !columns.contains(&position) {
                columns.push(position);
            }
        };
        match self {
            Predicate::Owned { column, .. } => add(*column),
            Predicate::General(value) => value.columns().for_each(add),
            Predicate::Never => {}
        }
    }

    /// Whether it looks at the column of this position.
    pub fn looks_at(&self, column: usize) -> bool {
        match self {
            Predicate::Owned { column: owned, .. } => *owned == column,
            Predicate::General(value) => value.columns().any(|it| it == column),
            Predicate::Never => false,
        }
    }

    /// For [`Predicate::Owned`] the value that its column must have; None for any other, and where nobody
    /// can say whose the row must be: then it does not hold. Some ten microseconds where the statement is
    /// asked.
    pub fn owner(&self, context: &StatementContext) -> Option<ScalarValue> {
        let Predicate::Owned { owner, .. } = self else {
            return None;
        };
        let input = context.input();
        match owner {
            Owner::Variable(variable, sql_type) => {
                Some(auth_variable::value(variable, *sql_type, input))
            }
            Owner::Asked(value) => {
                let nothing = Row {
                    columns: &[],
                    parameters: &[],
                    input,
                };
                let ready = value.ready(context).ok()?;
                ready.evaluate(nothing).ok()
            }
        }
    }

    /// That its functions only give values: what is asked when a policy is made.
    ///
    /// # Errors
    /// 0A000 for functions that do something besides.
    pub fn demand_askable(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        match self {
            Predicate::General(value)
            | Predicate::Owned {
                owner: Owner::Asked(value),
                ..
            } => value.ready(context).map(drop),
            _ => Ok(()),
        }
    }

    /// The predicate as its functions find it in a statement, where they ask it. Some ten microseconds then.
    ///
    /// # Errors
    /// 0A000 for functions that do something besides giving a value.
    pub fn within(&self, context: &StatementContext) -> Result<Option<Predicate>, Diagnostic> {
        match self {
            Predicate::General(value) if value.asks() => {
                let ready = value.ready(context)?.into_owned();
                Ok(Some(Predicate::General(ready)))
            }
            _ => Ok(None),
        }
    }
}
