//! Early lock release, as clients see it: a commit that is ordered has let its row locks go, and
//! what others take from it they are told only once it is on disk.

use crate::held_commits::HeldCommits;
use crate::server::TestServer;
use crate::wire::{Wire, query, summary};

/// Waits until somebody else holds the lock of the row, by trying to get it.
fn until_locked(probe: &mut Wire, id: u32) {
    probe.run("SET lock_timeout = '20ms'");
    loop {
        probe.run("BEGIN");
        let tried = probe.run(&format!("DELETE FROM hot WHERE id = {id}"));
        probe.run("ROLLBACK");
        if tried.starts_with("E:55P03") {
            return;
        }
    }
}

/// A hot row is worth an fsync a group, not one an update: whoever updates it next waits for
/// nothing but its lock.
#[test]
fn an_update_of_what_is_not_yet_durable_is_answered_at_once_and_its_values_are_not_told() {
    let server = TestServer::start();
    let mut first = Wire::log_in(&server);
    let [mut tag, mut returning, mut refused, mut probe] =
        std::array::from_fn(|_| Wire::log_in(&server));
    first.run("CREATE TABLE hot (id int PRIMARY KEY, n int)");
    first.run("INSERT INTO hot VALUES (1, 0), (2, 0)");
    first.run("BEGIN");
    first.run("UPDATE hot SET n = 1; INSERT INTO hot VALUES (3, 1)");
    tag.run("BEGIN");
    returning.run("BEGIN");
    let held = HeldCommits::hold(&server);
    first.send(&query("COMMIT"));

    assert_eq!(
        tag.run("UPDATE hot SET n = n + 1 WHERE id = 1"),
        "C:UPDATE 1 Z:T"
    );
    assert!(first.is_silent(), "its commit is not on disk");
    returning.send(&query("UPDATE hot SET n = n + 1 WHERE id = 2 RETURNING n"));
    until_locked(&mut probe, 2);
    refused.send(&query("INSERT INTO hot VALUES (3, 2)"));
    until_locked(&mut probe, 3);
    tag.send(&query("COPY (SELECT n FROM hot WHERE id = 1) TO STDOUT"));
    probe.run("SELECT count(*) FROM hot");
    for waiting in [&first, &returning, &refused, &tag] {
        assert!(waiting.is_silent());
    }

    held.release();
    assert_eq!(summary(&first.until_ready()), "C:COMMIT Z:I");
    let told = returning.until_ready();
    assert_eq!(summary(&told), "T D C:UPDATE 1 Z:T");
    assert_eq!(told[1].row(), [Some("2".to_owned())]);
    let told = refused.until_ready();
    assert_eq!(summary(&told), "E:23505 Z:I");
    let detail = told[0].field(b'D').unwrap_or_default();
    assert_eq!(detail, "Key (id)=(3) already exists.");
    let told = tag.until_ready();
    assert_eq!(summary(&told), "H d c C:COPY 1 Z:T");
    assert_eq!(told[1].text(), "2\n");
}
