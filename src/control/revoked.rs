//! What the statements of a group have taken from whom: told to whoever sent them, and remembered for SHOW
//! REVOCATIONS.

use super::adoption::Adoption;
use super::group::Outcome;
use crate::catalog::Snapshot;
use crate::catalog::revocation::{Ended, Revocation, Revocations};
use crate::diagnostic::Diagnostic;
use std::time::Duration;

/// Tells each statement what it has ended, and remembers those that revoke.
///
/// A session that ended by a change of a role is nobody's subject: it counts for the first statement that
/// could have done it.
pub fn tell(
    outcomes: &mut [Outcome],
    adoption: &mut Adoption,
    before: &Snapshot,
    now: i64,
    revocations: &Revocations,
) {
    let mut made: Vec<&mut Outcome> = outcomes
        .iter_mut()
        .filter(|it| it.result.is_ok() && it.ask.request.is_statement())
        .collect();
    let mut ended: Vec<Ended> = (made.iter())
        .map(|it| adoption.ended.take(&it.subjects))
        .collect();
    let left = adoption.ended.take_all();
    let narrowing = made.iter().position(|it| it.ask.request.revokes());
    if let Some(first) = narrowing.or((made.len() == 1).then_some(0)) {
        ended[first] = ended[first].and(left);
    }
    for (outcome, ended) in made.iter_mut().zip(ended) {
        let request = &outcome.ask.request;
        if ended.is_nothing() && !request.revokes() {
            continue;
        }
        if let (Ok(reply), Some(notice)) = (&mut outcome.result, notice(ended, adoption)) {
            reply.notices.push(notice);
        }
        revocations.add(Revocation {
            at: now,
            event: request.title(),
            subject: request.about(),
            by: before
                .principals
                .called(outcome.ask.by.principal)
                .map(|it| it.name.into()),
            tenant: outcome.ask.by.tenant,
            epoch: Some(adoption.epoch.0),
            ended,
            cores: adoption.cores.clone(),
            late: adoption.late.clone(),
            took: adoption.took,
        });
    }
}

fn notice(ended: Ended, adoption: &Adoption) -> Option<Diagnostic> {
    let counted = |count: u64, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let statements = counted(ended.statements, "statement").map(|it| format!("{it} cancelled"));
    let sessions = counted(ended.sessions, "session").map(|it| format!("{it} ended"));
    let what: Vec<String> = sessions.into_iter().chain(statements).collect();
    if what.is_empty() {
        return None;
    }
    let cores = counted(adoption.cores.len() as u64, "core").unwrap_or("no core".to_owned());
    let (what, took) = (what.join(", "), milliseconds(adoption.took));
    Some(Diagnostic::notice(format!("{what} on {cores} in {took}")))
}

/// As psql's \timing says it, with as many places as matter.
fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Epoch;
    use crate::catalog::revocation::Counts;

    #[test]
    fn the_notice_says_how_many_on_how_many_cores_and_how_long_it_took() {
        let adoption = |cores: usize| Adoption {
            epoch: Epoch(7),
            cores: vec![(0, Duration::from_micros(900)); cores],
            late: Vec::new(),
            took: Duration::from_micros(1_849),
            ended: Counts::default(),
        };
        let told = |sessions, statements, cores| {
            let ended = Ended {
                sessions,
                statements,
            };
            notice(ended, &adoption(cores)).map(|it| it.message().to_owned())
        };
        assert_eq!(told(0, 0, 2), None);
        for (told, expected) in [
            (told(37, 0, 2), "37 sessions ended on 2 cores in 1.8 ms"),
            (told(1, 0, 1), "1 session ended on 1 core in 1.8 ms"),
            (told(0, 2, 2), "2 statements cancelled on 2 cores in 1.8 ms"),
            (
                told(3, 1, 2),
                "3 sessions ended, 1 statement cancelled on 2 cores in 1.8 ms",
            ),
        ] {
            assert_eq!(told.as_deref(), Some(expected));
        }
    }
}
