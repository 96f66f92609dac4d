//! Which row policies have a say in what somebody does to a table (REFERENCE §3 "Row policies").

use super::rights::Rights;
use crate::catalog::definition::Relation;
use crate::catalog::row_policy::{Policy, PolicyMode, RowAccess};
use smallvec::SmallVec;

/// Places of policies; more than a few are on the heap.
pub type Places = SmallVec<[usize; 4]>;

/// The policies that apply, by their places among the table's. One of the permissive ones must hold,
/// and all of the restrictive ones: without a permissive one nothing is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applying {
    /// OR-ed.
    pub permissive: Places,
    /// AND-ed.
    pub restrictive: Places,
}

/// Whether the rows of a relation are hidden from whoever no policy shows them. A superuser is bound
/// by none.
pub fn binds(relation: &Relation, rights: &Rights) -> bool {
    relation.row_security.in_force() && !rights.is_superuser()
}

/// The policies of a relation that [`binds`] somebody, for one kind of access.
pub fn applying(relation: &Relation, rights: &Rights, access: RowAccess) -> Applying {
    let mut applying = Applying::default();
    for (place, policy) in relation.row_security.policies.iter().enumerate() {
        if !policy.command.is_about(access) || !is_for(policy, rights) {
            continue;
        }
        match policy.mode {
            PolicyMode::Permissive => applying.permissive.push(place),
            PolicyMode::Restrictive => applying.restrictive.push(place),
        }
    }
    applying
}

/// Whether TO names somebody. An API key with a role of its own has less of its owner: a policy that
/// shows rows counts only for what both have, one that hides them for what either has.
fn is_for(policy: &Policy, rights: &Rights) -> bool {
    let mut roles = policy.roles.iter();
    match policy.mode {
        _ if policy.roles.is_empty() => true,
        PolicyMode::Permissive => roles.any(|role| rights.has_role(*role)),
        PolicyMode::Restrictive => roles.any(|role| rights.counts(*role)),
    }
}
