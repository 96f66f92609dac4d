//! Whether a change takes something from somebody who may be using it right now.
//!
//! A statement under way keeps the snapshot it began with; when an epoch narrows what its session
//! may do, it is cancelled rather than left to finish on rights that are gone (DESIGN §2).

use super::rights::{Rights, rights};
use super::row_policy;
use crate::auth::identity::Identity;
use crate::catalog::Snapshot;
use crate::catalog::definition::Relation;

/// Whether the identity may do less under the newer snapshot: a lower rung, a role less, a privilege
/// less on a table that is still there, or other row policies on one that it may use. A dropped table is the business of whoever
/// uses it, not of its rights.
///
/// Costs the two sets of rights, and the relations that differ.
pub fn narrows(old: &Snapshot, new: &Snapshot, identity: &Identity) -> bool {
    let (before, after) = (rights(old, identity), rights(new, identity));
    if after.lost_since(&before) {
        return true;
    }
    old.definitions
        .replaced_in(&new.definitions)
        .any(|(was, is)| loses(&before, was, &after, is))
}

fn loses(before: &Rights, was: &Relation, after: &Rights, is: &Relation) -> bool {
    let had = before.privileges(was);
    let other_rows = was.row_security != is.row_security && row_policy::binds(is, after);
    if other_rows && !had.is_empty() {
        return true;
    }
    !had.without(after.privileges(is)).is_empty()
}
