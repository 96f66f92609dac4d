//! Which identity providers' keys are to be at hand: whoever fetches them is told when one comes or goes.

use crate::auth::jwks::{Followed, Requests};
use crate::catalog::provider::Provider;
use crate::catalog::snapshot::Principals;
use crate::catalog::{Change, Snapshot};

/// Follows every provider there is: at the start.
pub fn follow_all(requests: &Requests, principals: &Principals) {
    principals.providers().for_each(|it| follow(requests, it));
}

/// After an epoch with these changes: what came, and what went. Where keys lie never changes.
pub(super) fn tell(requests: &Requests, changes: &[Change], before: &Snapshot) {
    for change in changes {
        match change {
            Change::PutProvider(provider) if before.principals.provider(provider.id).is_none() => {
                follow(requests, provider);
            }
            Change::DropProvider(id) => requests.forget(*id),
            _ => {}
        }
    }
}

fn follow(requests: &Requests, provider: &Provider) {
    requests.follow(Followed {
        id: provider.id,
        name: provider.name.to_string(),
        issuer: provider.issuer.to_string(),
        jwks_url: provider.jwks_url.as_ref().map(|url| url.to_string()),
    });
}
