//! The promise of DESIGN §2 on real cores and a real file: after a credential statement has
//! returned, no core serves the old state (invariant 1).

use super::*;
use crate::access;
use crate::auth::identity::{Identity, Method};
use shards::{CoreContext, ListenerId, Options, Publisher, Replica, Runtime, Shard, Stream};
use std::rc::Rc;
use std::sync::mpsc;

/// Asks a core about a login name: whether it is there, and whether this identity may go on.
struct Question {
    name: String,
    identity: Option<Identity>,
    answer: mpsc::Sender<(bool, bool)>,
}

struct Core {
    replica: Replica<Snapshot>,
}

impl Shard for Core {
    type Message = Question;

    fn accepted(self: &Rc<Self>, _: ListenerId, _: Stream) {
        unreachable!("nothing listens")
    }

    fn message(self: &Rc<Self>, question: Question) {
        let snapshot = self.replica.current();
        let known = snapshot
            .principals
            .principal_named(&question.name)
            .is_some();
        let goes_on = question
            .identity
            .is_some_and(|it| access::still_valid(&snapshot, &it, 100).is_ok());
        question
            .answer
            .send((known, goes_on))
            .expect("it is awaited");
    }

    fn drain(self: &Rc<Self>) {}
}

/// Looks the catalog up over and over, as busy sessions do.
async fn busy(replica: Replica<Snapshot>) {
    loop {
        for _ in 0..200 {
            assert!(
                replica
                    .current()
                    .principals
                    .principal_named("nodedb")
                    .is_some()
            );
        }
        shards::yield_now().await;
    }
}

#[test]
fn every_core_has_the_change_when_the_statement_returns_under_load() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut store, _) = Embedded::open(directory.path()).expect("it opens");
    let first = FirstStart {
        superuser_name: "nodedb".to_owned(),
        verifier: verifier(),
        now: 1,
    };
    let (epoch, principals) = first_start(&mut store, first).expect("it is kept");
    let current = Arc::new(Snapshot {
        epoch,
        principals,
        ..Snapshot::default()
    });
    let options = Options {
        cores: Some(2),
        ..Options::default()
    };
    let cores = Runtime::<Question>::cores_of(&options);
    let publisher = Publisher::new(cores, (epoch.0, current.clone()));
    let seed = publisher.clone();
    let runtime = Runtime::start(options, move |_: CoreContext<Question>| {
        let replica = seed.replica();
        shards::spawn(busy(replica.clone()));
        Core { replica }
    })
    .expect("the runtime starts");
    let (handle, inbox) = port::channel();
    let audit_directory = tempfile::tempdir().expect("a directory");
    let control = Control {
        store: Box::new(store),
        current: current.clone(),
        publisher: Box::new(publisher.clone()),
        rows: Box::new(Rows::default()),
        held: Held::default(),
        usage: Usage::new(KeyUsage::default(), None),
        key_requests: Requests::channel().0,
        reports: Reports::default(),
        revocations: Revocations::default(),
        times: times(),
        audit: crate::audit::tests::audit(audit_directory.path()),
    };
    let thread = control.spawn(inbox).expect("a thread");
    let root = Caller {
        principal: PrincipalId::FIRST_SUPERUSER,
        key: None,
        tenant: TenantId::SYSTEM,
        database: DatabaseId::FIRST,
    };
    let ask_all = |name: &str, identity: Option<Identity>| -> Vec<(bool, bool)> {
        (0..cores)
            .map(|core| {
                let (answer, answers) = mpsc::channel();
                let core = shards::CoreId(u16::try_from(core).expect("few cores"));
                let question = Question {
                    name: name.to_owned(),
                    identity: identity.clone(),
                    answer,
                };
                assert!(runtime.mesh().send(core, question).is_ok());
                answers.recv().expect("the core answers")
            })
            .collect()
    };
    for round in 0..50 {
        let name = format!("user{round}");
        let made =
            block_on(handle.execute(root.into(), create_user(&name, None))).expect("it is made");
        assert!(made.notices.is_empty(), "no core was late: {made:?}");
        let user = publisher.latest().1;
        let user = user.principals.principal_named(&name).expect("just made");
        let identity = Identity {
            principal: user.id,
            name: user.name.clone(),
            tenant: user.tenant,
            database: DatabaseId::FIRST,
            method: Method::Scram,
            key: None,
            claims: None,
            ends_at: None,
        };
        assert_eq!(
            ask_all(&name, Some(identity.clone())),
            vec![(true, true); cores]
        );
        block_on(handle.execute(root.into(), drop_user(&name))).expect("it is dropped");
        assert_eq!(ask_all(&name, Some(identity)), vec![(false, false); cores]);
    }
    drop(handle);
    thread.join().expect("it ends with its last handle");
    assert_eq!(runtime.drain(Duration::ZERO), 0);
    runtime.join();
    let (_, recovered) = Embedded::open(directory.path()).expect("it opens");
    assert_eq!(recovered.principals.all().count(), 1);
    assert_eq!(recovered.epoch, Epoch(epoch.0 + 100));
}
