//! CREATE, ALTER and DROP of row policies, and ALTER TABLE … ROW LEVEL SECURITY.
//!
//! The forms of ours and PostgreSQL's end in the same policies. A statement under way is never caught
//! between two sets of them: whoever changes them takes the table alone, as any definition.

use super::enumeration;
use super::name;
use super::work::Work;
use crate::access::grants;
use crate::catalog::definition::Relation;
use crate::catalog::request::IfExists;
use crate::catalog::row_policy::{Policy, PolicyCommand, PolicyMode, RowSecuritySwitch};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::target::table_of;
use crate::engine::policy::{PREDICATE_BYTES_MAX, compile};
use crate::sql::credential::{NewRowPolicy, TableName};
use crate::sql::parse;
use crate::storage::Use;
use sqlparser::ast::{self, AlterPolicyOperation, AlterTableOperation, Owner};
use std::sync::Arc;

/// Policies of one table at most.
const POLICIES_MAX: usize = 100;

/// CREATE POLICY
///
/// # Errors
/// 42P01, 42809, 42501, 42710, 54000; whatever is wrong with its predicates.
pub async fn create(work: &mut Work<'_>, new: &NewRowPolicy) -> Result<(), Diagnostic> {
    let mut relation = take(work, &new.table).await?;
    if relation.row_security.policy(&new.name).is_some() {
        return Err(exists(&new.name, &relation));
    }
    if relation.row_security.policies.len() >= POLICIES_MAX {
        return Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "table \"{}\" has {POLICIES_MAX} row policies already",
                relation.name
            ),
        ));
    }
    check_clauses(new.command, new.using.is_some(), new.check.is_some())?;
    let policy = Policy {
        oid: work.new_oid()?,
        name: new.name.as_str().into(),
        command: new.command,
        mode: new.mode,
        roles: roles(work, &new.roles)?,
        using: predicate(work, new.using.as_deref(), &relation).await?,
        check: predicate(work, new.check.as_deref(), &relation).await?,
    };
    relation.row_security.policies.push(policy);
    relation
        .row_security
        .policies
        .sort_by(|left, right| left.name.cmp(&right.name));
    tell(work, &relation);
    work.define(relation)
}

/// DROP POLICY
///
/// # Errors
/// 42P01, 42704, 42501.
pub async fn drop(
    work: &mut Work<'_>,
    if_exists: IfExists,
    policy: &str,
    table: &TableName,
) -> Result<(), Diagnostic> {
    let skips = if_exists == IfExists::Skip;
    let mut relation = match take(work, table).await {
        Err(error) if skips && error.sqlstate() == SqlState::UNDEFINED_TABLE => {
            work.notice(format!("{}, skipping", error.message()));
            return Ok(());
        }
        taken => taken?,
    };
    let policies = &mut relation.row_security.policies;
    let before = policies.len();
    policies.retain(|known| *known.name != *policy);
    if policies.len() == before {
        let undefined = undefined(policy, &relation);
        if !skips {
            return Err(undefined);
        }
        work.notice(format!("{}, skipping", undefined.message()));
        return Ok(());
    }
    work.define(relation)
}

/// ALTER POLICY
///
/// # Errors
/// 42P01, 42704, 42710, 42501; whatever is wrong with its predicates.
pub async fn alter(work: &mut Work<'_>, statement: &ast::AlterPolicy) -> Result<(), Diagnostic> {
    let table = table_named(&statement.table_name)?;
    let mut relation = take(work, &table).await?;
    let policy = name::fold(&statement.name);
    let place = relation
        .row_security
        .policies
        .iter()
        .position(|known| *known.name == *policy)
        .ok_or_else(|| undefined(&policy, &relation))?;
    let mut altered = relation.row_security.policies[place].clone();
    match &statement.operation {
        AlterPolicyOperation::Rename { new_name } => {
            let to = name::fold(new_name);
            if relation.row_security.policy(&to).is_some() {
                return Err(exists(&to, &relation));
            }
            altered.name = to.into();
        }
        AlterPolicyOperation::Apply {
            to,
            using,
            with_check,
        } => {
            check_clauses(altered.command, using.is_some(), with_check.is_some())?;
            if let Some(to) = to {
                altered.roles = roles(work, &names_of(work, to)?)?;
            }
            let text = |given: &Option<ast::Expr>| given.as_ref().map(ToString::to_string);
            if let Some(using) = text(using) {
                altered.using = predicate(work, Some(&using), &relation).await?;
            }
            if let Some(check) = text(with_check) {
                altered.check = predicate(work, Some(&check), &relation).await?;
            }
        }
    }
    relation.row_security.policies[place] = altered;
    work.define(relation)
}

/// What PostgreSQL's CREATE POLICY asks for.
///
/// # Errors
/// 42601 for a name with too many parts.
pub fn of_postgresql(
    work: &Work<'_>,
    statement: &ast::CreatePolicy,
) -> Result<NewRowPolicy, Diagnostic> {
    use ast::{CreatePolicyCommand as Command, CreatePolicyType as Type};
    let text = |given: &Option<ast::Expr>| given.as_ref().map(ToString::to_string);
    Ok(NewRowPolicy {
        name: name::fold(&statement.name),
        table: table_named(&statement.table_name)?,
        command: match statement.command {
            None | Some(Command::All) => PolicyCommand::All,
            Some(Command::Select) => PolicyCommand::Read,
            Some(Command::Insert) => PolicyCommand::Insert,
            Some(Command::Update) => PolicyCommand::Update,
            Some(Command::Delete) => PolicyCommand::Delete,
        },
        mode: match statement.policy_type {
            None | Some(Type::Permissive) => PolicyMode::Permissive,
            Some(Type::Restrictive) => PolicyMode::Restrictive,
        },
        roles: names_of(work, statement.to.as_deref().unwrap_or_default())?,
        using: text(&statement.using),
        check: text(&statement.with_check),
    })
}

/// The table that a syntax tree names.
///
/// # Errors
/// 42601 for a name with too many parts.
pub fn table_named(given: &ast::ObjectName) -> Result<TableName, Diagnostic> {
    let (schema, name) = name::parts(given)?;
    Ok(TableName { schema, name })
}

/// ALTER TABLE … ENABLE, DISABLE, FORCE ROW LEVEL SECURITY; None for any other operation.
pub fn switch(
    operation: &AlterTableOperation,
) -> Option<Result<Option<RowSecuritySwitch>, Diagnostic>> {
    Some(match operation {
        AlterTableOperation::EnableRowLevelSecurity => Ok(Some(RowSecuritySwitch::Enabled)),
        AlterTableOperation::DisableRowLevelSecurity => Ok(Some(RowSecuritySwitch::Disabled)),
        // A table's owner is bound here in any case.
        AlterTableOperation::ForceRowLevelSecurity => Ok(None),
        AlterTableOperation::NoForceRowLevelSecurity => Err(Diagnostic::unsupported(
            "ALTER TABLE … NO FORCE ROW LEVEL SECURITY",
        )
        .with_hint("Row policies bind everybody but a superuser, a table's owner too.")),
        _ => return None,
    })
}

/// The names of the policies that name a column.
///
/// # Errors
/// 42601 for one whose text does not parse any more.
pub fn naming(relation: &Relation, column: &str) -> Result<Vec<Arc<str>>, Diagnostic> {
    let table = table_of(relation)?;
    let mut found = Vec::new();
    for policy in &relation.row_security.policies {
        for text in policy.using.iter().chain(&policy.check) {
            let tree = parse::parse_expression(text)?;
            let named = super::constraint::columns_named(table, &tree);
            if named.iter().any(|named| named == column) && !found.contains(&policy.name) {
                found.push(policy.name.clone());
            }
        }
    }
    Ok(found)
}

async fn take(work: &mut Work<'_>, table: &TableName) -> Result<Relation, Diagnostic> {
    let absent = || super::grant::undefined(table);
    let found = work
        .lookup(table.schema.as_deref(), &table.name)
        .ok_or_else(absent)?;
    if found.table().is_none() {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a table", found.name),
        ));
    }
    work.context.rights.may_own(&found)?;
    let mut relation = work
        .take(found.oid, Use::Exclusive)
        .await?
        .ok_or_else(absent)?;
    // Whoever writes by what was before is late.
    super::work::table_of(&mut relation)?.layout_version += 1;
    Ok(relation)
}

fn exists(policy: &str, relation: &Relation) -> Diagnostic {
    let table = &relation.name;
    Diagnostic::error(
        SqlState::DUPLICATE_OBJECT,
        format!("policy \"{policy}\" for table \"{table}\" already exists"),
    )
}

fn undefined(policy: &str, relation: &Relation) -> Diagnostic {
    let table = &relation.name;
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("policy \"{policy}\" for table \"{table}\" does not exist"),
    )
}

/// In PostgreSQL's words.
fn check_clauses(command: PolicyCommand, using: bool, check: bool) -> Result<(), Diagnostic> {
    let message = match command {
        PolicyCommand::Insert if using => "only WITH CHECK expression allowed for INSERT",
        PolicyCommand::Read | PolicyCommand::Delete if check => {
            "WITH CHECK cannot be applied to SELECT or DELETE"
        }
        _ => return Ok(()),
    };
    Err(Diagnostic::error(SqlState::SYNTAX_ERROR, message))
}

/// The canonical text of a predicate that compiles. Worked out on the pool: a long one takes longer than
/// a slice.
async fn predicate(
    work: &Work<'_>,
    text: Option<&str>,
    relation: &Relation,
) -> Result<Option<Arc<str>>, Diagnostic> {
    let Some(text) = text else {
        return Ok(None);
    };
    if text.len() > PREDICATE_BYTES_MAX {
        return Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("the predicate of a row policy is longer than {PREDICATE_BYTES_MAX} bytes"),
        ));
    }
    let (text, relation, context) = (text.to_owned(), relation.clone(), work.context.clone());
    let compiling = work.engine.query().pool().run(async move {
        let mut tree = parse::parse_expression(&text)?;
        enumeration::qualify(&mut tree, &context);
        let canonical = tree.to_string();
        let compiled = compile(&canonical, &relation, &context.snapshot.definitions)?;
        compiled.demand_askable(&context)?;
        Ok(Some(canonical.into()))
    });
    compiling.await?
}

fn roles(
    work: &Work<'_>,
    names: &[String],
) -> Result<Vec<crate::catalog::PrincipalId>, Diagnostic> {
    let (snapshot, rights) = (&work.context.snapshot, &work.context.rights);
    let named = names.iter();
    named
        .map(|name| grants::resolve(snapshot, rights, name))
        .collect()
}

/// The names behind TO; none for PUBLIC, which is everybody.
fn names_of(work: &Work<'_>, to: &[Owner]) -> Result<Vec<String>, Diagnostic> {
    let mut names = Vec::new();
    for owner in to {
        match owner {
            Owner::Ident(ident) if ident.value.eq_ignore_ascii_case("public") => {
                return Ok(Vec::new());
            }
            Owner::Ident(ident) => names.push(name::fold(ident)),
            Owner::CurrentRole | Owner::CurrentUser | Owner::SessionUser => {
                names.push(work.context.identity.name.to_string());
            }
        }
    }
    Ok(names)
}

/// What its maker may not expect of a policy.
fn tell(work: &Work<'_>, relation: &Relation) {
    if relation.row_security.switch == RowSecuritySwitch::Disabled {
        let table = &relation.name;
        work.context.notices.push(
            Diagnostic::warning(
                SqlState::WARNING,
                format!("row-level security is disabled for table \"{table}\""),
            )
            .with_hint(format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")),
        );
    }
    if work.context.rights.is_superuser() {
        work.notice("row policies do not bind superusers: this session goes on seeing all rows");
    }
}
