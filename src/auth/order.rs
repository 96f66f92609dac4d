//! Which of several credentials says who somebody is (REFERENCE §3 "Order"): the one place that knows.
//!
//! Certificate, then token, then API key, then password. Every credential that is presented is
//! verified before this is asked, and a bad one has failed the attempt, whatever its place.

use super::authenticated::Authenticated;
use super::identity::Method;

/// The outcome.
#[derive(Debug)]
pub struct Decision {
    /// Who it is.
    pub identity: Authenticated,
    /// A credential further back is of another login: for the audit.
    pub contradicted_by: Option<Authenticated>,
}

/// Decides between credentials that have all been verified. None: there is none.
pub fn decide(verified: impl IntoIterator<Item = Authenticated>) -> Option<Decision> {
    let mut verified: Vec<_> = verified.into_iter().collect();
    verified.sort_by_key(|it| rank(it.method()));
    let mut verified = verified.into_iter();
    let identity = verified.next()?;
    let contradicted_by = verified.find(|it| it.principal() != identity.principal());
    Some(Decision {
        identity,
        contradicted_by,
    })
}

fn rank(method: Method) -> u8 {
    match method {
        Method::Certificate => 1,
        Method::Jwt => 2,
        Method::ApiKey => 3,
        Method::Scram | Method::Password => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PrincipalId;

    fn proved(method: Method, principal: u32) -> Authenticated {
        Authenticated::new(PrincipalId(principal), method, None)
    }

    #[test]
    fn the_first_in_order_says_who_it_is_whichever_came_first() {
        let order = [
            Method::Certificate,
            Method::Jwt,
            Method::ApiKey,
            Method::Password,
        ];
        for (place, first) in order.into_iter().enumerate() {
            for later in &order[place + 1..] {
                for credentials in [[first, *later], [*later, first]] {
                    let same = decide(credentials.map(|it| proved(it, 7))).expect("one");
                    assert_eq!(same.identity.method(), first);
                    assert!(same.contradicted_by.is_none());
                    let other = credentials.map(|it| proved(it, u32::from(it == first)));
                    let other = decide(other).expect("one");
                    assert_eq!(other.identity.principal(), PrincipalId(1));
                    let contradicted = other.contradicted_by.expect("another login");
                    assert_eq!(contradicted.method(), *later);
                }
            }
        }
    }

    #[test]
    fn nothing_presented_decides_nothing() {
        assert!(decide([]).is_none());
    }
}
