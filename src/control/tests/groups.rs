//! Groups, epochs, late cores, and a store that fails.

use super::*;
use futures::future::join_all;

#[test]
fn requests_that_wait_together_share_an_epoch_and_are_answered_in_order() {
    let mut bench = Bench::new();
    // A control thread that has not begun finds all of them waiting.
    let (handle, inbox) = port::channel();
    let names: Vec<_> = (0..50).map(|number| format!("u{number}")).collect();
    let asks = names
        .iter()
        .map(|name| handle.execute(bench.root.into(), create_user(name, None)));
    let again = handle.execute(bench.root.into(), create_user("u7", None));
    let mut all: Vec<_> = asks
        .map(|ask| Box::pin(ask) as _)
        .collect::<Vec<std::pin::Pin<Box<dyn Future<Output = _>>>>>();
    all.push(Box::pin(again));
    let mut all = Box::pin(join_all(all));
    let waker = futures::task::noop_waker();
    let mut context = std::task::Context::from_waker(&waker);
    assert!(all.as_mut().poll(&mut context).is_pending(), "all are sent");
    let published = bench.cores.0.lock().published;
    let (store, _) = Embedded::open_in(Box::new(bench.directory.clone())).expect("it opens");
    let control = Control {
        store: Box::new(store),
        current: bench.snapshot(),
        publisher: Box::new(bench.cores.clone()),
        rows: Box::new(bench.rows.clone()),
        held: Held::default(),
        usage: Usage::new(KeyUsage::default(), None),
        key_requests: Requests::channel().0,
        reports: Reports::default(),
        revocations: Revocations::default(),
        times: times(),
        audit: bench.audit.clone(),
    };
    let thread = control.spawn(inbox).expect("a thread");
    let answers = block_on(all);
    assert!(answers[..50].iter().all(Result::is_ok));
    let last = answers[50].as_ref().expect_err("the name is taken by now");
    assert_eq!(last.sqlstate(), SqlState::DUPLICATE_OBJECT);
    assert_eq!(bench.cores.0.lock().published, published + 1, "one epoch");
    drop(handle);
    thread.join().expect("it ends with its last handle");
    bench.handle.take();
}

#[test]
fn a_statement_without_effect_makes_no_epoch() {
    let bench = Bench::new();
    let before = bench.snapshot().epoch;
    bench.run(Request::DropUser {
        if_exists: IfExists::Skip,
        name: "nobody".to_owned(),
    });
    bench.refused(bench.root, drop_user("nobody"));
    bench.run(alter_user("nodedb", UserChange::Enable));
    assert_eq!(bench.snapshot().epoch, before);
}

#[test]
fn a_late_core_is_named_in_a_warning_and_the_change_stands() {
    let bench = Bench::new();
    bench.cores.0.lock().late = vec![1, 3];
    let reply = bench.run(create_user("alice", None));
    let warning = &reply.notices[0];
    assert_eq!(warning.sqlstate(), SqlState::WARNING);
    assert_eq!(
        warning.message(),
        "the change has not been adopted yet by core 1, 3"
    );
    assert!(
        bench
            .recovered()
            .principals
            .principal_named("alice")
            .is_some()
    );
    let change = DefinitionChange::Put(Arc::new(table(
        20_000,
        DatabaseId::FIRST,
        PrincipalId::FIRST_SUPERUSER,
        "t",
    )));
    let commit = bench.run(publish(vec![change]));
    assert!(commit.notices.is_empty(), "COMMIT says nothing of cores");
}

#[test]
fn a_change_that_cannot_be_made_durable_is_neither_published_nor_remembered() {
    let bench = Bench::new();
    let before = bench.snapshot().epoch;
    bench.directory.set_faults(Faults {
        bytes_left: Some(3),
        ..Faults::default()
    });
    let (code, _) = bench.refused(bench.root, create_user("alice", None));
    assert_eq!(code, "53100");
    assert_eq!(bench.snapshot().epoch, before);
    let relation = table(20_000, DatabaseId::FIRST, PrincipalId::FIRST_SUPERUSER, "t");
    bench.publish_relation(relation);
    assert_eq!(
        bench.snapshot().definitions.all().count(),
        1,
        "durable before"
    );
    bench.directory.set_faults(Faults::default());
    bench.run(create_user("alice", None));
    assert!(
        bench
            .recovered()
            .principals
            .principal_named("alice")
            .is_some()
    );
}

#[test]
fn definitions_and_statements_share_one_sequence_of_epochs() {
    let bench = Bench::new();
    let first = bench.snapshot().epoch;
    bench.publish_relation(table(
        20_000,
        DatabaseId::FIRST,
        PrincipalId::FIRST_SUPERUSER,
        "t",
    ));
    bench.run(create_user("alice", None));
    assert_eq!(bench.snapshot().epoch, Epoch(first.0 + 2));
    assert_eq!(bench.recovered().epoch, Epoch(first.0 + 2));
    assert_eq!(bench.snapshot().definitions.all().count(), 1);
}

#[test]
fn past_the_limit_of_waiting_statements_the_next_is_53300_and_definitions_are_not() {
    let (handle, inbox) = port::channel();
    let caller = Caller {
        principal: PrincipalId::FIRST_SUPERUSER,
        key: None,
        tenant: TenantId::SYSTEM,
        database: DatabaseId::FIRST,
    };
    let waker = futures::task::noop_waker();
    let mut context = std::task::Context::from_waker(&waker);
    let mut waiting = Vec::new();
    for _ in 0..port::WAITING_REQUESTS_MAX {
        let mut ask = Box::pin(handle.execute(caller.into(), drop_user("x")));
        assert!(ask.as_mut().poll(&mut context).is_pending());
        waiting.push(ask);
    }
    let refused = block_on(handle.execute(caller.into(), drop_user("x"))).expect_err("it is full");
    assert_eq!(refused.sqlstate(), SqlState::TOO_MANY_CONNECTIONS);
    let mut commit = Box::pin(handle.execute(caller.into(), publish(Vec::new())));
    assert!(commit.as_mut().poll(&mut context).is_pending());
    inbox.try_iter().take(1).for_each(|errand| match errand {
        Errand::Ask(ask) => ask.answer(Err(Diagnostic::internal("x"))),
        Errand::KeysUsed(_) | Errand::AtRest(_) => panic!("nobody sent one"),
    });
    let mut next = Box::pin(handle.execute(caller.into(), drop_user("x")));
    assert!(
        next.as_mut().poll(&mut context).is_pending(),
        "there is room"
    );
    drop(inbox);
}

/// DROP USER between the commit of a CREATE TABLE and its publication found nothing that the user
/// owned, and left a table without an owner. Now whoever definitions name is held meanwhile.
#[test]
fn the_owner_of_what_is_being_committed_cannot_be_dropped_and_one_who_was_fails_the_commit() {
    let bench = Bench::new();
    bench.run(create_user("alice", None));
    let alice = bench
        .snapshot()
        .principals
        .principal_named("alice")
        .map(|alice| alice.id);
    let alice = alice.expect("she was created");
    let relation = table(20_000, DatabaseId::FIRST, alice, "t");
    let changes = vec![DefinitionChange::Put(Arc::new(relation))];
    let held = Named::by(&changes);
    bench.run(Request::HoldPrincipals(held.clone()));
    let (code, _) = bench.refused(bench.root, drop_user("alice"));
    assert_eq!(code, "2BP01");

    // The commit fails: she is free again.
    bench.run(Request::PublishDefinitions {
        changes: Vec::new(),
        held: held.clone(),
    });
    bench.run(drop_user("alice"));
    let (code, message) = bench.refused(bench.root, Request::HoldPrincipals(held));
    assert_eq!(code, "42704");
    assert_eq!(message, format!("role {alice} was concurrently dropped"));
}

/// A backup takes principals and rows together: between the two nobody comes or goes.
#[test]
fn whoever_looks_at_rest_sees_every_answered_change_and_holds_up_those_behind() {
    let bench = Bench::new();
    bench.run(create_user("alice", None));
    let (looked, look) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel();
    assert!(bench.handle().at_rest(move |catalog| {
        let principals = &catalog.principals;
        let there = ["alice", "bob"].map(|name| principals.principal_named(name).is_some());
        looked.send(there).expect("the test listens");
        wait.recv().expect("the test lets go");
    }));
    assert_eq!(look.recv().expect("it is called"), [true, false]);
    std::thread::scope(|scope| {
        let bob = scope.spawn(|| bench.run(create_user("bob", None)));
        std::thread::sleep(std::time::Duration::from_millis(50));
        let published = bench.snapshot();
        assert!(published.principals.principal_named("bob").is_none());
        go_on.send(()).expect("it waits");
        bob.join().expect("it is answered");
    });
    assert!(bench.snapshot().principals.principal_named("bob").is_some());
}
