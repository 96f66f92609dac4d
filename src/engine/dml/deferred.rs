//! Foreign keys that are checked when the transaction ends, or when SET CONSTRAINTS … IMMEDIATE is said.
//!
//! Each check looks at the newest rows, and holds what it finds as an immediate one would: a row that
//! points at something is looked up again, since it may be gone or point elsewhere by now; whoever
//! deletes the parent waits for this transaction, and this one for whoever has.

use super::target::Target;
use super::violation;
use super::write::{Writer, project};
use crate::catalog::Oid;
use crate::catalog::definition::{ConstraintBody, Deferral};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::deferred::{Check, Next, Place, Settled, Sought, Timing};
use crate::engine::dml::pace::Pace;
use crate::engine::policy::Purpose;
use crate::engine::search_path;
use crate::engine::transaction::Transaction;
use crate::storage::{Storage, Used};
use datafusion::common::ScalarValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Checks that are passed over before others have a turn.
const LOOKED_AT: usize = 256;

/// What SET CONSTRAINTS names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// ALL
    All,
    /// Constraints, each with the schema that was given.
    Named(Vec<(Option<String>, String)>),
}

/// SET CONSTRAINTS: those named are checked when the transaction ends, or now and with every statement.
///
/// # Errors
/// 42704, 42809; 3F000 for a schema that is not there; what a check that waited finds.
pub async fn set(
    which: &Which,
    timing: Timing,
    storage: &Storage,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<(), Diagnostic> {
    let constraints = match which {
        Which::All => None,
        Which::Named(names) => Some(resolve(names, timing, context).await?),
    };
    if timing == Timing::Immediate {
        let only = constraints.iter().flatten().copied().collect();
        let only: Option<HashSet<Oid>> = constraints.is_some().then_some(only);
        check(only.as_ref(), storage, transaction, context).await?;
    }
    let mut deferred = context.effects.deferred.lock();
    deferred.order(constraints.as_deref(), timing)
}

/// The constraints of these names: of every table of the first schema in the search_path that has any.
async fn resolve(
    names: &[(Option<String>, String)],
    timing: Timing,
    context: &StatementContext,
) -> Result<Vec<Oid>, Diagnostic> {
    let mut pace = Pace::new(context.cancel.clone());
    let mut all = Vec::new();
    for (schema, name) in names {
        let path: Vec<Arc<str>> = match schema {
            Some(schema) if search_path::exists(schema, context) => vec![schema.as_str().into()],
            Some(schema) => return Err(search_path::no_schema(schema)),
            None => search_path::of(context),
        };
        let mut found = None;
        for schema in path {
            found = of_schema(&schema, name, context, &mut pace).await?;
            if found.is_some() {
                break;
            }
        }
        match found {
            None => {
                return Err(Diagnostic::error(
                    SqlState::UNDEFINED_OBJECT,
                    format!("constraint \"{name}\" does not exist"),
                ));
            }
            Some(Named { fixed: true, .. }) if timing == Timing::Deferred => {
                return Err(Diagnostic::error(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("constraint \"{name}\" is not deferrable"),
                ));
            }
            Some(mut named) => all.append(&mut named.deferrable),
        }
    }
    Ok(all)
}

/// Constraints of one name in one schema.
#[derive(Default)]
struct Named {
    deferrable: Vec<Oid>,
    /// Whether one of them cannot be deferred.
    fixed: bool,
}

async fn of_schema(
    schema: &str,
    name: &str,
    context: &StatementContext,
    pace: &mut Pace,
) -> Result<Option<Named>, Diagnostic> {
    let mut named = Named::default();
    let database = context.identity.database;
    for relation in context.snapshot.definitions.of_database(database) {
        pace.step().await?;
        if &*relation.schema != schema {
            continue;
        }
        let is_key = relation.index().is_some_and(|it| it.constraint.is_some());
        named.fixed |= is_key && &*relation.name == name;
        let constraints = relation.table().map(|table| table.constraints.as_slice());
        for constraint in constraints.unwrap_or_default() {
            match &constraint.body {
                _ if &*constraint.name != name => {}
                ConstraintBody::ForeignKey { deferral, .. } if *deferral != Deferral::None => {
                    named.deferrable.push(constraint.oid);
                }
                ConstraintBody::ForeignKey { .. } | ConstraintBody::Check { .. } => {
                    named.fixed = true;
                }
            }
        }
    }
    let found = named.fixed || !named.deferrable.is_empty();
    Ok(found.then_some(named))
}

/// Carries out what waits, of all constraints or of these only. Lets the core go in between; what it locks
/// stays locked until the transaction ends.
///
/// # Errors
/// 23503; 40P01, 55P03 and the like of the locks it waits for.
pub async fn check(
    only: Option<&HashSet<Oid>>,
    storage: &Storage,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<(), Diagnostic> {
    let mut waiting = Waiting::new(only, context);
    let mut tables: HashMap<Oid, Option<Arc<Target>>> = HashMap::new();
    let mut next = waiting.next().await?;
    while let Some(first) = next {
        let oid = first.table;
        let target = match tables.get(&oid) {
            Some(known) => known.clone(),
            None => {
                let made = target_of(oid, context)?;
                tables.insert(oid, made.clone());
                made
            }
        };
        // A table that is gone has nothing to be checked.
        let Some(target) = target else {
            next = waiting.next().await?;
            continue;
        };
        let rows = &mut transaction.storage;
        // The transaction uses them since it wrote the row.
        if target.uses().take(rows, context).await? == Used::AfterWaiting {
            return Err(Diagnostic::internal("a written table was not in use"));
        }
        let mut writer = Writer::new(&target, rows, storage, context, Purpose::KeepReferences);
        let mut current = Some(first);
        while let Some(check) = current.take_if(|check| check.table == oid) {
            writer.carry_out_deferred(check).await?;
            current = waiting.next().await?;
        }
        next = current;
    }
    Ok(())
}

fn target_of(oid: Oid, context: &StatementContext) -> Result<Option<Arc<Target>>, Diagnostic> {
    let definitions = &context.snapshot.definitions;
    let Some(relation) = definitions.get(oid) else {
        return Ok(None);
    };
    let target = Target::new(relation, definitions, context.input())?;
    Ok(Some(Arc::new(target)))
}

/// Whether a check of a row of this table waits. Lets the core go in between.
///
/// # Errors
/// 57014 and 57P01 once the statement is to stop.
pub async fn waits_for(table: Oid, context: &StatementContext) -> Result<bool, Diagnostic> {
    if context.effects.deferred.lock().is_empty() {
        return Ok(false);
    }
    let mut waiting = Waiting::new(None, context);
    while let Some(check) = waiting.next().await? {
        if check.table == table {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The checks that wait, one after the other.
struct Waiting<'c> {
    only: Option<&'c HashSet<Oid>>,
    context: &'c StatementContext,
    settled: Settled,
    place: Place,
    pace: Pace,
}

impl<'c> Waiting<'c> {
    fn new(only: Option<&'c HashSet<Oid>>, context: &'c StatementContext) -> Waiting<'c> {
        Waiting {
            only,
            context,
            settled: context.effects.deferred.lock().settled(),
            place: Place::default(),
            pace: Pace::new(context.cancel.clone()),
        }
    }

    async fn next(&mut self) -> Result<Option<Check>, Diagnostic> {
        loop {
            self.pace.step().await?;
            let deferred = &self.context.effects.deferred;
            let next = deferred
                .lock()
                .next(&mut self.place, &self.settled, LOOKED_AT);
            match next {
                Next::Check(check) if self.is_wanted(&check) => return Ok(Some(check)),
                Next::Check(_) => {}
                Next::Passed => self.pace.look().await?,
                Next::End => return Ok(None),
            }
        }
    }

    fn is_wanted(&self, check: &Check) -> bool {
        self.only
            .is_none_or(|only| only.contains(&check.constraint))
    }
}

impl Writer<'_> {
    /// Makes one check. A constraint that is gone has nothing to say.
    async fn carry_out_deferred(&mut self, check: Check) -> Result<(), Diagnostic> {
        let target = self.target;
        match check.sought {
            Sought::Parent(key) => {
                let mut foreign_keys = target.foreign_keys.iter();
                let place = foreign_keys.position(|foreign| foreign.oid == check.constraint);
                let row = self.transaction.newest(target.store(), &key)?.row;
                let (Some(place), Some(row)) = (place, row) else {
                    return Ok(());
                };
                let row = target.layout.decode_row(&row)?;
                let values = project(&row, &target.foreign_keys[place].columns);
                if values.iter().any(ScalarValue::is_null) {
                    return Ok(());
                }
                self.check_parent(place, &values).await
            }
            Sought::Children(row) => {
                let mut referencing = target.referencing.iter();
                let found = referencing.find(|it| it.oid == check.constraint);
                let Some(referencing) = found else {
                    return Ok(());
                };
                let row = target.layout.decode_row(&row)?;
                let values = project(&row, &referencing.referenced);
                if self.key_is_there_again(target, referencing, &values)?
                    || self.children(referencing, &values, 1).await?.is_empty()
                {
                    return Ok(());
                }
                let settings = &self.context.settings;
                Err(violation::still_referenced(
                    target,
                    referencing,
                    &values,
                    settings,
                ))
            }
        }
    }
}
