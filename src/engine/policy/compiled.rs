//! The predicates of a table's policies, compiled.

use crate::catalog::definition::{Definitions, Relation};
use crate::catalog::row_policy::Policy;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::dml::target::{scope_of, table_of};
use crate::engine::dml::value::{self, Value};
use crate::engine::query::expression::Scope;
use crate::engine::query::rewrite::auth_variables;
use crate::engine::settings::Settings;
use crate::engine::types::{Input, UserTypes};
use crate::sql::auth_variable::Variable;
use crate::sql::parse;
use datafusion::common::ScalarValue;
use sqlparser::ast::{BinaryOperator, Expr};
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
    /// `column = $auth.x`, what most policies are: compared without a batch, and looked up in an index.
    Owned {
        /// The column's position.
        column: usize,
        /// The variable.
        variable: Variable,
        /// The column's type, without its modifier.
        sql_type: SqlType,
    },
    /// Any other.
    General(Value),
    /// One that cannot be compiled any more, or is not there.
    Never,
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

/// Compiles a predicate over a table's columns. It means the same in every session: texts in it are
/// read by the server's settings, not by a client's. The definitions are for the types that it names.
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
    let compiled = value::compile(&tree, &scope, &mut Vec::new(), input)?.without_parameters()?;
    value::demand_boolean(&compiled, "POLICY")?;
    Ok(owned(&tree, relation).unwrap_or(Predicate::General(compiled)))
}

/// The predicate as `column = $auth.x`, where comparing the values is what `=` does.
fn owned(tree: &Expr, relation: &Relation) -> Option<Predicate> {
    let (left, right) = match tree {
        Expr::Nested(inner) => return owned(inner, relation),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => (&**left, &**right),
        _ => return None,
    };
    let (column, variable) = match (auth_variables::alone(left), auth_variables::alone(right)) {
        (None, Some(Ok(variable))) => (left, variable),
        (Some(Ok(variable)), None) => (right, variable),
        _ => return None,
    };
    let Expr::Identifier(name) = column else {
        return None;
    };
    let name = crate::engine::dml::names::fold(name);
    let columns = &relation.table()?.columns;
    let column = columns
        .iter()
        .position(|column| !column.dropped && *column.name == name)?;
    let sql_type = columns[column].sql_type;
    let plain = matches!(
        sql_type.kind,
        TypeKind::Text
            | TypeKind::Varchar
            | TypeKind::Uuid
            | TypeKind::Int2
            | TypeKind::Int4
            | TypeKind::Int8
    );
    (plain && !sql_type.array && !variable.is_list()).then_some(Predicate::Owned {
        column,
        variable,
        sql_type: SqlType {
            typmod: -1,
            ..sql_type
        },
    })
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

    /// For [`Predicate::Owned`] the value that its column must have; None for any other.
    pub fn owner(&self, input: Input<'_>) -> Option<ScalarValue> {
        match self {
            Predicate::Owned {
                variable, sql_type, ..
            } => {
                let value = crate::engine::query::functions::auth_variable::value;
                Some(value(variable, *sql_type, input))
            }
            _ => None,
        }
    }
}
