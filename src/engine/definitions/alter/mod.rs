//! ALTER TABLE, VIEW, INDEX and SEQUENCE.

mod column;
mod column_type;
mod rename;
mod view_text;

use super::constraint::{self, Existing, Spec};
use super::create_table::options_of;
use super::work::{Work, column_of, missing, table_of};
use super::{foreign_key, name, policy, sequence};
use crate::catalog::PrincipalId;
use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::principal::PrincipalKind;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::alter::{Kind, Special, kind};
use crate::sql::sequence::Extra;
use crate::storage::Use;
use sqlparser::ast::{self, AlterColumnOperation, AlterTableOperation};

pub use rename::{move_relation, rename_relation};

/// ALTER TABLE, VIEW, INDEX, SEQUENCE
///
/// # Errors
/// 42P01, 42809, 42501 and what each operation is refused for.
pub async fn relation(work: &mut Work<'_>, statement: &ast::AlterTable) -> Result<(), Diagnostic> {
    let found = match statement.if_exists {
        true => work.look_for(&statement.name)?,
        false => work.find(&statement.name)?,
    };
    let Some(found) = found else {
        let missing = missing("relation", &statement.name);
        if !statement.if_exists {
            return Err(missing);
        }
        work.notice(format!("{}, skipping", missing.message()));
        return Ok(());
    };
    demand_kind(&found, kind(statement))?;
    work.context.rights.may_own(&found)?;
    if let Some(index) = found.index() {
        work.take(index.table, Use::Exclusive).await?;
    }
    let taken = work.take(found.oid, Use::Exclusive).await?;
    let mut relation = taken.ok_or_else(|| missing("relation", &statement.name))?;
    let operations = &statement.operations;
    if !operations.iter().all(is_rename) {
        work.demand_nothing_waits(&relation, "ALTER TABLE").await?;
    }
    let mut passes: Vec<u8> = operations.iter().map(pass).collect();
    passes.sort_unstable();
    passes.dedup();
    for current in passes {
        let in_pass: Vec<&AlterTableOperation> = operations
            .iter()
            .filter(|operation| pass(operation) == current)
            .collect();
        if current == TYPE_PASS {
            demand_table(&relation, in_pass[0])?;
            column_type::change(work, &mut relation, &in_pass).await?;
            settle(work, &mut relation)?;
            continue;
        }
        for operation in in_pass {
            if let AlterTableOperation::RenameTable { table_name } = operation {
                let (ast::RenameTableNameKind::As(new) | ast::RenameTableNameKind::To(new)) =
                    table_name;
                let (_, new) = name::parts(new)?;
                return rename_relation(work, relation, &new).await;
            }
            if let Some(Special::SetSchema(schema)) = Special::of(operation) {
                return super::schema::set(work, relation, &schema).await;
            }
            apply(work, &mut relation, operation).await?;
        }
    }
    work.define(relation)
}

/// Drops a column of a table that is taken, with what depends on it.
///
/// # Errors
/// As ALTER TABLE … DROP COLUMN … CASCADE.
pub async fn drop_column(
    work: &mut Work<'_>,
    relation: &mut Relation,
    column: &str,
) -> Result<(), Diagnostic> {
    let mut change = column::Change { work, relation };
    change.drop_column(column, true, true).await
}

/// Names can change whatever waits.
fn is_rename(operation: &AlterTableOperation) -> bool {
    matches!(
        operation,
        AlterTableOperation::RenameTable { .. }
            | AlterTableOperation::RenameColumn { .. }
            | AlterTableOperation::RenameConstraint { .. }
    )
}

/// Others of the statement's operations look the table up, as it is now.
fn settle(work: &mut Work<'_>, relation: &mut Relation) -> Result<(), Diagnostic> {
    table_of(relation)?.layout_version += 1;
    work.define(relation.clone())
}

/// The pass of changed types.
const TYPE_PASS: u8 = 1;

/// When an operation's turn is, wherever it stands: PostgreSQL's passes (tablecmds.c, AT_PASS_*), so that
/// a column can be dropped and made anew in one statement.
fn pass(operation: &AlterTableOperation) -> u8 {
    match operation {
        AlterTableOperation::DropColumn { .. } | AlterTableOperation::DropConstraint { .. } => 0,
        AlterTableOperation::AddColumn { .. } => 4,
        AlterTableOperation::AddConstraint { constraint, .. } => match constraint {
            ast::TableConstraint::PrimaryKey(_) | ast::TableConstraint::Unique(_) => 7,
            ast::TableConstraint::ForeignKey(_) => 8,
            _ => 5,
        },
        AlterTableOperation::AlterColumn { op, .. } => match op {
            AlterColumnOperation::DropNotNull | AlterColumnOperation::DropDefault => 0,
            AlterColumnOperation::SetDataType { .. } => TYPE_PASS,
            AlterColumnOperation::SetNotNull => 6,
            AlterColumnOperation::SetDefault { .. } => 8,
            AlterColumnOperation::AddGenerated {
                sequence_options, ..
            } => {
                let first = sequence_options.as_deref().and_then(|given| given.first());
                match first.and_then(Extra::of) {
                    Some(Extra::Dropped { .. }) => 0,
                    Some(Extra::Altered) => 6,
                    _ => 8,
                }
            }
        },
        _ => 9,
    }
}

/// # Errors
/// 42809: ALTER TABLE takes every relation, the others their own kind.
fn demand_kind(relation: &Relation, kind: Kind) -> Result<(), Diagnostic> {
    let (fits, what) = match kind {
        Kind::Table => return Ok(()),
        Kind::View => (matches!(relation.body, RelationBody::View(_)), "a view"),
        Kind::Index => (relation.index().is_some(), "an index"),
        Kind::Sequence => (
            matches!(relation.body, RelationBody::Sequence(_)),
            "a sequence",
        ),
    };
    if fits {
        return Ok(());
    }
    let name = &relation.name;
    Err(Diagnostic::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is not {what}"),
    ))
}

/// # Errors
/// 42809 in PostgreSQL's words for an operation on what is no table.
fn demand_table(relation: &Relation, operation: &AlterTableOperation) -> Result<(), Diagnostic> {
    let what = match relation.body {
        RelationBody::Table(_) => return Ok(()),
        RelationBody::View(_) => "views",
        RelationBody::Index(_) => "indexes",
        RelationBody::Sequence(_) => "sequences",
    };
    let action = match operation {
        AlterTableOperation::AddColumn { .. } => "ADD COLUMN",
        AlterTableOperation::DropColumn { .. } => "DROP COLUMN",
        AlterTableOperation::AddConstraint { .. } => "ADD CONSTRAINT",
        AlterTableOperation::DropConstraint { .. } => "DROP CONSTRAINT",
        AlterTableOperation::ValidateConstraint { .. } => "VALIDATE CONSTRAINT",
        AlterTableOperation::EnableRowLevelSecurity => "ENABLE ROW SECURITY",
        AlterTableOperation::DisableRowLevelSecurity => "DISABLE ROW SECURITY",
        AlterTableOperation::AlterColumn { op, .. } => match op {
            AlterColumnOperation::SetNotNull => "ALTER COLUMN ... SET NOT NULL",
            AlterColumnOperation::DropNotNull => "ALTER COLUMN ... DROP NOT NULL",
            AlterColumnOperation::SetDataType { .. } => "ALTER COLUMN ... SET DATA TYPE",
            AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault => {
                if matches!(relation.body, RelationBody::View(_)) {
                    return Err(Diagnostic::unsupported("a default of a view's column"));
                }
                "ALTER COLUMN ... SET DEFAULT"
            }
            AlterColumnOperation::AddGenerated { .. } => "ALTER COLUMN ... ADD IDENTITY",
        },
        _ => "this",
    };
    let name = &relation.name;
    Err(Diagnostic::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!("ALTER action {action} cannot be performed on relation \"{name}\""),
    )
    .with_detail(format!("This operation is not supported for {what}.")))
}

/// One operation on a relation that is taken.
async fn apply(
    work: &mut Work<'_>,
    relation: &mut Relation,
    operation: &AlterTableOperation,
) -> Result<(), Diagnostic> {
    match Special::of(operation) {
        Some(Special::Kind(_)) => return Ok(()),
        Some(Special::OwnedBy(column)) => return sequence::belong(work, relation, &column).await,
        Some(Special::Sequence(options)) => return sequence::alter(work, relation, &options).await,
        Some(Special::Constraint {
            name,
            characteristics,
        }) => {
            demand_table(relation, operation)?;
            let name = name::fold(&name);
            foreign_key::alter(work, relation, &name, &characteristics)?;
            return settle(work, relation);
        }
        Some(Special::SetSchema(_)) | None => {}
    }
    match operation {
        AlterTableOperation::OwnerTo { new_owner } => {
            return change_owner(work, relation, new_owner);
        }
        AlterTableOperation::RenameColumn {
            old_column_name,
            new_column_name,
        } => {
            let (from, to) = (name::fold(old_column_name), name::fold(new_column_name));
            return rename::column(work, relation, &from, &to).await;
        }
        _ => demand_table(relation, operation)?,
    }
    if let Some(switch) = policy::switch(operation) {
        if let Some(switch) = switch? {
            relation.row_security.switch = switch;
            table_of(relation)?.layout_version += 1;
        }
        return Ok(());
    }
    let mut change = column::Change {
        work: &mut *work,
        relation: &mut *relation,
    };
    change.apply(operation).await?;
    settle(work, relation)
}

fn change_owner(
    work: &Work<'_>,
    relation: &mut Relation,
    owner: &ast::Owner,
) -> Result<(), Diagnostic> {
    relation.owner = owner_named(work, &role_of(work, owner), "tables")?;
    Ok(())
}

/// The name of a role in OWNER TO.
pub fn role_of(work: &Work<'_>, owner: &ast::Owner) -> String {
    match owner {
        ast::Owner::Ident(name) => name::fold(name),
        ast::Owner::CurrentRole | ast::Owner::CurrentUser | ast::Owner::SessionUser => {
            work.context.identity.name.to_string()
        }
    }
}

/// Who is to own something.
///
/// # Errors
/// 42704, 42809 for who owns nothing.
pub fn owner_named(
    work: &Work<'_>,
    owner_name: &str,
    what: &str,
) -> Result<PrincipalId, Diagnostic> {
    let principal = work
        .context
        .snapshot
        .principals
        .principal_named(owner_name)
        .filter(|principal| principal.tenant == work.context.rights.tenant())
        .ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("role \"{owner_name}\" does not exist"),
            )
        })?;
    if matches!(principal.kind, PrincipalKind::ServiceAccount { .. }) {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("service account \"{owner_name}\" cannot own {what}"),
        ));
    }
    Ok(principal.id)
}
