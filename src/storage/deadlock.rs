//! The deadlock search: a walk over the wait-for graph, with the lock table frozen.
//!
//! It runs for a waiter that has waited for deadlock_timeout, as in PostgreSQL, so that ordinary waits
//! pay nothing for it. Whoever finds itself in a cycle gives way. A cycle closes with its last wait, and
//! that waiter's own search finds it.

use super::error::StorageError;
use super::lock_table::{LockTable, Waiter};
use super::transaction::TransactionId;
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

/// Transactions looked at for one waiter, so that a very long queue does not hold the table.
const SEARCH_TRANSACTIONS_MAX: usize = 10_000;

/// What this wait ends with, 40P01, if it is part of a cycle.
pub(super) fn find(table: &LockTable, waiter: &Arc<Waiter>) -> Option<StorageError> {
    let cycle = find_cycle(table, waiter)?;
    let detail = describe(&cycle).into();
    Some(StorageError::Deadlock { detail })
}

/// The waits of a cycle through this one, in order.
fn find_cycle(table: &LockTable, start: &Arc<Waiter>) -> Option<Vec<Arc<Waiter>>> {
    let frozen = table.freeze();
    let current = frozen.wait_of(start.transaction)?;
    if !Arc::ptr_eq(current, start) {
        return None;
    }
    let mut seen: HashSet<TransactionId> = HashSet::new();
    // Depth first; each level is a wait and its blockers still to be looked at.
    let mut path = vec![(start.clone(), frozen.blockers(start))];
    while let Some((_, blockers)) = path.last_mut() {
        let Some(blocker) = blockers.pop() else {
            path.pop();
            continue;
        };
        if frozen.is_same(blocker, start.transaction) {
            return Some(path.into_iter().map(|(waiter, _)| waiter).collect());
        }
        if seen.len() >= SEARCH_TRANSACTIONS_MAX || !seen.insert(blocker) {
            continue;
        }
        if let Some(next) = frozen.wait_of(blocker) {
            path.push((next.clone(), frozen.blockers(next)));
        }
    }
    None
}

fn describe(cycle: &[Arc<Waiter>]) -> String {
    let mut text = String::new();
    for (at, waiter) in cycle.iter().enumerate() {
        let blocker = &cycle[(at + 1) % cycle.len()];
        let separator = if at == 0 { "" } else { "\n" };
        write!(
            text,
            "{separator}Transaction {} waits for {}; blocked by transaction {}.",
            waiter.transaction.0, waiter.mode, blocker.transaction.0
        )
        .expect("a String takes everything");
    }
    text
}
