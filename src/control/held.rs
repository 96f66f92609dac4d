//! The principals that transactions being committed name: between the commit of a definition and
//! its publication only control knows of them, and sees to it that they are not dropped.

use crate::catalog::request::Named;
use crate::catalog::{Change, PrincipalId, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};
use std::collections::BTreeMap;

/// How many transactions hold each.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<PrincipalId, usize>);

impl Held {
    /// Holds those named.
    ///
    /// # Errors
    /// 42704 for an owner that is not there any more; nobody is held then.
    pub fn hold(&mut self, named: &Named, snapshot: &Snapshot) -> Result<(), Diagnostic> {
        let gone = |owner: &&PrincipalId| snapshot.principals.principal(**owner).is_none();
        if let Some(owner) = named.owners.iter().find(gone) {
            return Err(Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("role {owner} was concurrently dropped"),
            ));
        }
        for principal in named.all() {
            *self.0.entry(principal).or_default() += 1;
        }
        Ok(())
    }

    /// Lets them go.
    pub fn release(&mut self, named: &Named) {
        for principal in named.all() {
            if let Some(count) = self.0.get_mut(&principal) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&principal);
                }
            }
        }
    }

    /// 2BP01 where the changes drop somebody who is held.
    ///
    /// # Errors
    /// As said.
    pub fn demand_free(&self, changes: &[Change], before: &Snapshot) -> Result<(), Diagnostic> {
        for change in changes {
            let Change::DropPrincipal(id) = change else {
                continue;
            };
            if self.0.contains_key(id) {
                let principal = before.principals.principal(*id);
                let name = principal.map_or("?", |principal| &principal.name);
                return Err(Diagnostic::error(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("role \"{name}\" cannot be dropped because some objects depend on it"),
                )
                .with_detail("A transaction that is being committed defines them.")
                .with_hint("Try again in a moment."));
            }
        }
        Ok(())
    }
}
