//! The embedded store under crashes, damage, full disks and failing syncs.

use super::embedded::COMPACTION_LOG_BYTES_MIN;
use super::image::{IMAGE_HEADER_BYTES, Image, decode_image};
use super::memory::{Faults, MemoryDirectory};
use super::older::{OlderChange, OlderKey, OlderPrincipal, OlderTenant};
use super::record::{
    LOG_HEADER_BYTES, RECORD_HEAD_BYTES, contains_intact_record, decode_header, decode_record,
    encode_record,
};
use super::*;
use crate::catalog::key::{ApiKey, PreviousSecret, SecretHash};
use crate::catalog::passwords::Passwords;
use crate::catalog::principal::{Database, Parent, Principal, PrincipalKind, Role, Tenant};
use crate::catalog::provider::{Origin, tests::provider};
use crate::catalog::role::Ladder;
use crate::catalog::verifier::Verifier;
use crate::catalog::{DatabaseId, KeyId, PrincipalId, TenantId};
use proptest::prelude::*;
use std::sync::Arc;

const LOG: &str = "catalog.log";
const SNAPSHOT: &str = "catalog.snapshot";

fn open(directory: &MemoryDirectory) -> Result<(Embedded, Recovered), StoreError> {
    Embedded::open_in(Box::new(directory.clone()))
}

fn user(id: u32, name: &str) -> Change {
    Change::PutPrincipal(Arc::new(Principal {
        id: PrincipalId(id),
        name: Arc::from(name),
        tenant: TenantId::SYSTEM,
        ladder: vec![Ladder::ReadWrite],
        roles: vec![Arc::from("analyst")],
        enabled: true,
        valid_until: Some(1_000_000),
        created_at: 5,
        allowance: Default::default(),
        kind: PrincipalKind::User {
            passwords: Passwords::from(Some(Verifier {
                iterations: 4096,
                salt: vec![7; 16],
                stored_key: [1; 32],
                server_key: [2; 32],
            })),
            default_database: Some(DatabaseId(5)),
            connect: vec![DatabaseId(6)],
        },
    }))
}

/// A key with everything that one can have.
fn key(id: u8, name: &str, owner: u32) -> Change {
    Change::PutKey(Arc::new(ApiKey {
        id: KeyId::new([id; 8]),
        name: Arc::from(name),
        tenant: TenantId::SYSTEM,
        owner: PrincipalId(owner),
        secret: SecretHash([3; 32]),
        generation: 1,
        previous: Some(Box::new(PreviousSecret {
            secret: SecretHash([4; 32]),
            until: 7,
        })),
        role: Some(Parent::Role(Arc::from("analyst"))),
        databases: Some(Box::new([DatabaseId(5), DatabaseId(6)])),
        scopes: Some(Box::new([Arc::from("read:orders")])),
        networks: Some(Box::new(["10.0.0.0/8".parse().expect("a network")])),
        rate_per_second: std::num::NonZeroU32::new(100),
        allowance: Default::default(),
        created_at: 5,
        expires_at: Some(9),
    }))
}

/// Each has an issuer of its own.
fn put_provider(id: u32, name: &str) -> Change {
    let issuer = format!("https://{id}.example/");
    Change::PutProvider(Arc::new(provider(id, name, &issuer)))
}

/// What a state says, in a form that can be compared.
fn content(principals: &Principals) -> String {
    let (tenants, all, roles, databases): (Vec<_>, Vec<_>, Vec<_>, Vec<_>) = (
        principals.tenants().collect(),
        principals.all().collect(),
        principals.roles().collect(),
        principals.databases().collect(),
    );
    let mut keys: Vec<_> = principals.keys().collect();
    keys.sort_by_key(|it| it.id);
    let providers: Vec<_> = principals.providers().collect();
    let marks = principals.marks();
    format!("{tenants:?} {all:?} {roles:?} {databases:?} {keys:?} {providers:?} {marks:?}")
}

/// A store with these epochs, and the state after each.
fn with_epochs(count: u32) -> (MemoryDirectory, Embedded, Vec<String>) {
    let directory = MemoryDirectory::default();
    let (mut store, recovered) = open(&directory).expect("a new store opens");
    let mut principals = recovered.principals;
    let mut states = vec![content(&principals)];
    for number in 1..=count {
        let change = user(20_000 + number, &format!("user{number}"));
        store
            .append(Epoch(u64::from(number)), std::slice::from_ref(&change))
            .expect("the disk takes it");
        principals.apply(&change);
        states.push(content(&principals));
    }
    (directory, store, states)
}

#[test]
fn a_new_store_is_empty_and_reopens_empty() {
    let directory = MemoryDirectory::default();
    for _ in 0..2 {
        let (_, recovered) = open(&directory).expect("it opens");
        assert!(recovered.principals.is_empty());
        assert_eq!(recovered.epoch, Epoch(0));
        assert_eq!(recovered.torn, None);
    }
}

#[test]
fn everything_appended_is_there_after_reopening() {
    let (directory, _, states) = with_epochs(5);
    let (_, recovered) = open(&directory).expect("it opens");
    assert_eq!(recovered.epoch, Epoch(5));
    assert_eq!(content(&recovered.principals), states[5]);
}

#[test]
fn a_crash_at_every_byte_of_the_tail_leaves_what_was_acknowledged() {
    let (directory, mut store, states) = with_epochs(3);
    let acknowledged = directory.bytes(LOG).len();
    directory.set_faults(Faults {
        syncs_fail: true,
        ..Faults::default()
    });
    let lost = store.append(Epoch(4), &[user(20_004, "user4")]);
    assert!(lost.is_err(), "nothing is acknowledged without its sync");
    let tail = directory.bytes(LOG).len() - acknowledged;
    assert!(tail > RECORD_HEAD_BYTES);
    for kept in 0..tail {
        let crashed = directory.after_crash(kept);
        let (mut store, recovered) = open(&crashed).expect("a torn tail is cut");
        assert_eq!(content(&recovered.principals), states[3], "kept {kept}");
        let torn = TornTail {
            offset: acknowledged as u64,
            bytes: kept as u64,
        };
        assert_eq!(recovered.torn, Some(torn).filter(|torn| torn.bytes > 0));
        assert_eq!(crashed.bytes(LOG).len(), acknowledged);
        store
            .append(Epoch(4), &[user(20_005, "user5")])
            .expect("the cut log goes on");
        let (_, again) = open(&crashed).expect("it opens");
        assert_eq!(again.epoch, Epoch(4));
        assert_eq!(again.torn, None);
    }
}

#[test]
fn a_tail_of_blocks_that_were_never_written_is_cut() {
    let (directory, _, states) = with_epochs(2);
    let mut bytes = directory.bytes(LOG);
    let intact = bytes.len();
    bytes.extend_from_slice(&[0; 4096]);
    directory.put(LOG, bytes);
    let (_, recovered) = open(&directory).expect("zeros are a torn tail");
    assert_eq!(content(&recovered.principals), states[2]);
    assert_eq!(recovered.torn.expect("it was cut").offset, intact as u64);
}

#[test]
fn damage_before_the_last_record_refuses_to_start_and_says_where() {
    let (directory, _, _) = with_epochs(4);
    let bytes = directory.bytes(LOG);
    let record = (bytes.len() - LOG_HEADER_BYTES) / 4;
    for at in LOG_HEADER_BYTES..LOG_HEADER_BYTES + 3 * record {
        let damaged = MemoryDirectory::default();
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        damaged.put(LOG, flipped);
        let begins = LOG_HEADER_BYTES + (at - LOG_HEADER_BYTES) / record * record;
        match open(&damaged).map(|_| ()) {
            Err(StoreError::Damaged { path, offset, .. }) => {
                assert_eq!(offset, begins as u64, "flipped {at}");
                assert!(path.ends_with(LOG));
            }
            other => panic!("flipping byte {at} gave {other:?}"),
        }
        assert_eq!(damaged.bytes(LOG).len(), bytes.len(), "nothing was cut");
    }
}

#[test]
fn damage_of_the_header_refuses_to_start() {
    let (directory, _, _) = with_epochs(1);
    let bytes = directory.bytes(LOG);
    for at in 0..LOG_HEADER_BYTES {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        directory.put(LOG, flipped);
        let refused = open(&directory).map(|_| ()).expect_err("it is damaged");
        assert_eq!(refused.sqlstate(), SqlState::DATA_CORRUPTED);
    }
}

#[test]
fn a_newer_format_is_refused_with_both_numbers() {
    let (directory, mut store, _) = with_epochs(1);
    compact(&mut store, &directory, 2);
    for (name, place) in [(SNAPSHOT, 8), (LOG, 8)] {
        let bytes = directory.bytes(name);
        let mut newer = bytes.clone();
        newer[place] = 9;
        directory.put(name, newer);
        let refused = open(&directory).map(|_| ()).expect_err("it is newer");
        let message = refused.to_string();
        assert!(message.contains("format 9"), "{message}");
        assert!(message.contains("format 4"), "{message}");
        assert!(message.contains(name), "{message}");
        directory.put(name, bytes);
    }
}

/// The file as a server before limits and second passwords (3), identity providers (2) or API keys (1)
/// wrote it: its objects without the fields, and its snapshot without the lists, that came later.
fn as_format(format: u32, name: &str, bytes: &[u8]) -> Vec<u8> {
    let config = bincode::config::standard();
    if name == LOG {
        let mut older = bytes[..LOG_HEADER_BYTES].to_vec();
        older[8..12].copy_from_slice(&format.to_le_bytes());
        let head = crc32fast::hash(&older[..20]);
        older[20..24].copy_from_slice(&head.to_le_bytes());
        let mut rest = &bytes[LOG_HEADER_BYTES..];
        while !rest.is_empty() {
            let record = decode_record(rest).expect("it is intact");
            let changes: Vec<OlderChange> = record.changes.iter().map(OlderChange::from).collect();
            let payload = bincode::serde::encode_to_vec(changes, config).expect("plain data");
            let mut head = (payload.len() as u32).to_le_bytes().to_vec();
            head.extend(record.epoch.0.to_le_bytes());
            head.extend(crc32fast::hash(&head).to_le_bytes());
            head.extend(crc32fast::hash(&payload).to_le_bytes());
            older.extend(head);
            older.extend(payload);
            rest = &rest[record.bytes..];
        }
        return older;
    }
    let Image::State(_, principals) = decode_image(bytes) else {
        panic!("it is a snapshot");
    };
    let tenants: Vec<OlderTenant> = principals.tenants().map(|it| (&**it).into()).collect();
    let all: Vec<OlderPrincipal> = principals.all().map(|it| (&**it).into()).collect();
    let roles: Vec<_> = principals.roles().cloned().collect();
    let databases: Vec<_> = principals.databases().cloned().collect();
    let keys: Vec<OlderKey> = principals.keys().map(|it| (&**it).into()).collect();
    let providers: Vec<_> = principals.providers().cloned().collect();
    let first = (principals.marks(), tenants, all, roles, databases);
    let mut payload = bincode::serde::encode_to_vec(first, config).expect("plain data");
    if format > 1 {
        payload.extend(bincode::serde::encode_to_vec(keys, config).expect("plain data"));
    }
    if format > 2 {
        payload.extend(bincode::serde::encode_to_vec(providers, config).expect("plain data"));
    }
    let mut bytes = [&bytes[..IMAGE_HEADER_BYTES], &payload].concat();
    bytes[8..12].copy_from_slice(&format.to_le_bytes());
    let length = (bytes.len() - IMAGE_HEADER_BYTES) as u64;
    bytes[20..28].copy_from_slice(&length.to_le_bytes());
    let body = crc32fast::hash(&bytes[IMAGE_HEADER_BYTES..]);
    bytes[28..32].copy_from_slice(&body.to_le_bytes());
    let head = crc32fast::hash(&bytes[..32]);
    bytes[32..36].copy_from_slice(&head.to_le_bytes());
    bytes
}

#[test]
fn the_files_of_an_older_format_are_read_and_the_log_is_taken_over() {
    for format in [1, 2, 3] {
        read_and_take_over(format);
    }
}

fn read_and_take_over(format: u32) {
    let (directory, mut store, _) = with_epochs(3);
    let principals = compact(&mut store, &directory, 4);
    let epoch = Epoch(open(&directory).expect("it opens").1.epoch.0 + 1);
    let last = user(20_009, "last");
    store
        .append(epoch, std::slice::from_ref(&last))
        .expect("it is kept");
    drop(store);
    for name in [LOG, SNAPSHOT] {
        directory.put(name, as_format(format, name, &directory.bytes(name)));
    }
    let mut expected = principals;
    expected.apply(&last);
    for _ in 0..2 {
        let (_, recovered) = open(&directory).expect("an older format is read");
        assert_eq!(content(&recovered.principals), content(&expected));
        assert_eq!(recovered.epoch, epoch);
        // An older server does not take it up any more.
        assert_eq!(directory.bytes(LOG)[8], 4);
    }
    let (mut store, _) = open(&directory).expect("it opens");
    let new = [key(1, "ci", 20_009), put_provider(20_010, "acme")];
    let next = Epoch(epoch.0 + 1);
    store.append(next, &new).expect("it is kept");
    new.iter().for_each(|change| expected.apply(change));
    let (_, recovered) = open(&directory).expect("it opens");
    assert_eq!(content(&recovered.principals), content(&expected));
}

#[test]
fn a_torn_tail_of_an_older_log_is_cut_as_well() {
    let (directory, _, states) = with_epochs(2);
    let intact = directory.bytes(LOG).len();
    let mut bytes = as_format(1, LOG, &directory.bytes(LOG));
    assert!(bytes.len() < intact, "limits take room");
    bytes.extend_from_slice(&[0; 100]);
    directory.put(LOG, bytes);
    let (_, recovered) = open(&directory).expect("it opens");
    assert_eq!(content(&recovered.principals), states[2]);
    assert_eq!(directory.bytes(LOG).len(), intact);
}

/// Fills the log past the limit, so that settling compacts it. Gives the state.
fn compact(store: &mut Embedded, directory: &MemoryDirectory, first_epoch: u64) -> Principals {
    let (_, recovered) = open(directory).expect("it opens");
    let mut principals = recovered.principals;
    let mut epoch = first_epoch;
    while (directory.bytes(LOG).len() as u64) < COMPACTION_LOG_BYTES_MIN {
        let changes: Vec<_> = (0..1_000).map(|_| user(30_000, "again")).collect();
        store
            .append(Epoch(epoch), &changes)
            .expect("the disk takes it");
        changes.iter().for_each(|change| principals.apply(change));
        epoch += 1;
    }
    // The catalog's epoch may be ahead of the log's: definitions leave no record.
    store
        .settle(Epoch(epoch + 5), &principals)
        .expect("it compacts");
    principals
}

#[test]
fn compaction_keeps_the_state_and_empties_the_log() {
    let (directory, mut store, _) = with_epochs(3);
    let principals = compact(&mut store, &directory, 4);
    assert_eq!(directory.bytes(LOG).len(), LOG_HEADER_BYTES);
    let (mut store, recovered) = open(&directory).expect("it opens");
    assert_eq!(content(&recovered.principals), content(&principals));
    let next = Epoch(recovered.epoch.0 + 1);
    store
        .append(next, &[Change::DropPrincipal(PrincipalId(20_001))])
        .expect("it goes on");
    let (_, again) = open(&directory).expect("it opens");
    assert_eq!(again.epoch, next);
    assert!(again.principals.principal(PrincipalId(20_001)).is_none());
}

#[test]
fn ids_of_the_dropped_are_not_given_again_after_compaction() {
    let (directory, mut store, _) = with_epochs(1);
    let last = user(u32::MAX - 2, "last");
    store.append(Epoch(2), &[last]).expect("it is kept");
    store
        .append(
            Epoch(3),
            &[Change::DropPrincipal(PrincipalId(u32::MAX - 2))],
        )
        .expect("it is kept");
    compact(&mut store, &directory, 4);
    let (_, recovered) = open(&directory).expect("it opens");
    assert_eq!(recovered.principals.marks().next_principal, u32::MAX - 1);
}

#[test]
fn a_crash_at_every_step_of_compaction_loses_nothing() {
    for calls in 0..8 {
        let (directory, mut store, _) = with_epochs(2);
        let mut principals = open(&directory).expect("it opens").1.principals;
        let changes: Vec<_> = (0..9_000).map(|_| user(30_000, "again")).collect();
        store.append(Epoch(3), &changes).expect("it is kept");
        changes.iter().for_each(|change| principals.apply(change));
        directory.set_faults(Faults {
            calls_left: Some(calls),
            ..Faults::default()
        });
        // Six calls make a compaction: two writes, two syncs, two renames.
        let compacted = store.settle(Epoch(3), &principals);
        assert_eq!(compacted.is_ok(), calls >= 6, "after {calls} calls");
        let crashed = directory.after_crash(0);
        let (_, recovered) = open(&crashed).expect("it opens");
        assert_eq!(
            content(&recovered.principals),
            content(&principals),
            "after {calls} calls"
        );
        assert_eq!(recovered.epoch, Epoch(3));
    }
}

#[test]
fn a_full_disk_fails_the_change_and_takes_the_next_one() {
    let (directory, mut store, states) = with_epochs(2);
    let before = directory.bytes(LOG);
    directory.set_faults(Faults {
        bytes_left: Some(10),
        ..Faults::default()
    });
    let refused = store
        .append(Epoch(3), &[user(20_003, "user3")])
        .expect_err("the disk is full");
    assert_eq!(refused.sqlstate(), SqlState::DISK_FULL);
    assert_eq!(directory.bytes(LOG), before, "the part written is gone");
    directory.set_faults(Faults::default());
    let (_, recovered) = open(&directory.after_crash(0)).expect("it opens");
    assert_eq!(content(&recovered.principals), states[2]);
    store
        .append(Epoch(3), &[user(20_003, "user3")])
        .expect("there is room again");
}

#[test]
fn after_a_failed_sync_no_change_is_taken_until_a_restart() {
    let (directory, mut store, _) = with_epochs(1);
    directory.set_faults(Faults {
        syncs_fail: true,
        ..Faults::default()
    });
    let failed = store.append(Epoch(2), &[user(20_002, "user2")]);
    assert_eq!(
        failed.expect_err("the sync failed").sqlstate(),
        SqlState::IO_ERROR
    );
    directory.set_faults(Faults::default());
    let refused = store.append(Epoch(2), &[user(20_002, "user2")]);
    assert!(matches!(refused, Err(StoreError::Poisoned(_))));
}

#[test]
fn a_group_past_the_limit_of_a_record_is_refused_whole() {
    let directory = MemoryDirectory::default();
    let (mut store, _) = open(&directory).expect("it opens");
    let name = "n".repeat(1024 * 1024);
    let changes: Vec<_> = (0..65).map(|_| user(20_000, &name)).collect();
    let refused = store
        .append(Epoch(1), &changes)
        .expect_err("it is too large");
    assert_eq!(refused.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    assert_eq!(directory.bytes(LOG).len(), LOG_HEADER_BYTES);
}

#[test]
fn a_snapshot_without_its_log_is_damage() {
    let (directory, mut store, _) = with_epochs(1);
    compact(&mut store, &directory, 2);
    let alone = MemoryDirectory::default();
    alone.put(SNAPSHOT, directory.bytes(SNAPSHOT));
    assert!(open(&alone).is_err());
    let other = MemoryDirectory::default();
    other.put(LOG, directory.bytes(LOG));
    assert!(
        open(&other).is_err(),
        "and so is a log without its snapshot"
    );
}

#[test]
fn a_provider_of_the_configuration_is_not_kept() {
    let directory = MemoryDirectory::default();
    let (mut store, _) = open(&directory).expect("it opens");
    let mut principals = Principals::default();
    principals.apply(&put_provider(20_001, "kept"));
    let mut configured = provider(20_002, "configured", "https://other.example/");
    configured.origin = Origin::File;
    principals.apply(&Change::PutProvider(Arc::new(configured)));
    store.compact_at(0);
    store.settle(Epoch(1), &principals).expect("it compacts");
    let (_, recovered) = open(&directory).expect("it opens");
    let names: Vec<_> = (recovered.principals.providers())
        .map(|it| it.name.to_string())
        .collect();
    assert_eq!(names, ["kept"]);
}

#[test]
fn every_flipped_bit_of_a_snapshot_is_seen() {
    let directory = MemoryDirectory::default();
    let (mut store, _) = open(&directory).expect("it opens");
    let mut principals = Principals::default();
    principals.apply(&user(20_001, "alice"));
    principals.apply(&key(1, "ci", 20_001));
    principals.apply(&put_provider(20_002, "acme"));
    store.compact_at(0);
    store.settle(Epoch(1), &principals).expect("it compacts");
    let bytes = directory.bytes(SNAPSHOT);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        directory.put(SNAPSHOT, flipped);
        assert!(open(&directory).is_err(), "byte {at}");
    }
}

#[test]
fn the_files_of_a_real_directory_are_mapped_and_go_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("catalog");
    let (mut store, _) = Embedded::open(&path).expect("it opens");
    store
        .append(Epoch(1), &[user(20_001, "alice")])
        .expect("it is kept");
    let mut principals = Principals::default();
    principals.apply(&user(20_001, "alice"));
    store.compact_at(0);
    store.settle(Epoch(1), &principals).expect("it compacts");
    store
        .append(Epoch(2), &[user(20_002, "bob")])
        .expect("it is kept");
    drop(store);
    let (_, recovered) = Embedded::open(&path).expect("it opens");
    assert_eq!(recovered.epoch, Epoch(2));
    assert!(recovered.principals.principal_named("alice").is_some());
    assert!(recovered.principals.principal_named("bob").is_some());
}

/// Random changes among few ids and names, so that they meet.
fn any_change() -> impl Strategy<Value = Change> {
    let id = 16_384..16_390_u32;
    let tenant = 0..3_u32;
    prop_oneof![
        (id.clone(), tenant.clone()).prop_map(|(id, tenant)| {
            Change::PutDatabase(Arc::new(Database {
                id: DatabaseId(id),
                name: Arc::from(format!("d{id}")),
                tenant: TenantId(tenant),
                owner: PrincipalId(id),
            }))
        }),
        (id.clone(), tenant.clone()).prop_map(|(id, tenant)| {
            Change::PutRole(Arc::new(Role {
                id: PrincipalId(id + 100),
                name: Arc::from(format!("r{id}")),
                tenant: TenantId(tenant),
                parent: None,
            }))
        }),
        (id.clone(), "[a-c]{1,2}").prop_map(|(id, name)| user(id, &format!("{name}{id}"))),
        tenant.clone().prop_map(|id| {
            Change::PutTenant(Arc::new(Tenant {
                id: TenantId(id),
                name: Arc::from(format!("t{id}")),
                default_database: DatabaseId(5),
                allowance: Default::default(),
            }))
        }),
        id.clone()
            .prop_map(|id| Change::DropPrincipal(PrincipalId(id))),
        id.clone()
            .prop_map(|id| Change::DropRole(PrincipalId(id + 100))),
        (0..4_u8, "[a-c]{1,2}", id.clone()).prop_map(|(number, name, owner)| key(
            number,
            &format!("{name}{number}"),
            owner
        )),
        (0..4_u8).prop_map(|number| Change::DropKey(KeyId::new([number; 8]))),
        (id.clone(), "[a-c]{1,2}")
            .prop_map(|(id, name)| put_provider(id + 200, &format!("{name}{id}"))),
        id.clone()
            .prop_map(|id| Change::DropProvider(PrincipalId(id + 200))),
        id.prop_map(|id| Change::DropDatabase(DatabaseId(id))),
        tenant.prop_map(|id| Change::DropTenant(TenantId(id))),
    ]
}

/// The principals' half as maps that anybody can follow.
#[derive(Default)]
struct Model {
    objects: std::collections::BTreeMap<(u8, String), Change>,
}

impl Model {
    fn apply(&mut self, change: &Change) {
        let key = match change {
            Change::PutTenant(it) => (0, it.id.to_string()),
            Change::DropTenant(id) => (0, id.to_string()),
            Change::PutPrincipal(it) => (1, it.id.to_string()),
            Change::DropPrincipal(id) => (1, id.to_string()),
            Change::PutRole(it) => (2, it.id.to_string()),
            Change::DropRole(id) => (2, id.to_string()),
            Change::PutDatabase(it) => (3, it.id.to_string()),
            Change::DropDatabase(id) => (3, id.to_string()),
            Change::PutKey(it) => (4, it.id.to_string()),
            Change::DropKey(id) => (4, id.to_string()),
            Change::PutProvider(it) => (5, it.id.to_string()),
            Change::DropProvider(id) => (5, id.to_string()),
        };
        match change {
            Change::PutTenant(_)
            | Change::PutPrincipal(_)
            | Change::PutRole(_)
            | Change::PutDatabase(_)
            | Change::PutKey(_)
            | Change::PutProvider(_) => self.objects.insert(key, change.clone()),
            Change::DropTenant(_)
            | Change::DropPrincipal(_)
            | Change::DropRole(_)
            | Change::DropDatabase(_)
            | Change::DropKey(_)
            | Change::DropProvider(_) => self.objects.remove(&key),
        };
    }

    fn check(&self, principals: &Principals) {
        let count = principals.tenants().count()
            + principals.all().count()
            + principals.roles().count()
            + principals.databases().count()
            + principals.keys().count()
            + principals.providers().count();
        assert_eq!(count, self.objects.len());
        for change in self.objects.values() {
            match change {
                Change::PutTenant(it) => {
                    assert_eq!(principals.tenant(it.id), Some(it));
                    assert_eq!(principals.tenant_named(&it.name), Some(it));
                }
                Change::PutPrincipal(it) => {
                    assert_eq!(principals.principal(it.id), Some(it));
                    assert_eq!(principals.principal_named(&it.name), Some(it));
                }
                Change::PutRole(it) => {
                    assert_eq!(principals.role_by_id(it.id), Some(it));
                    assert_eq!(principals.role(it.tenant, &it.name), Some(it));
                }
                Change::PutDatabase(it) => {
                    assert_eq!(principals.database(it.id), Some(it));
                    assert_eq!(principals.database_named(it.tenant, &it.name), Some(it));
                }
                Change::PutKey(it) => {
                    assert_eq!(principals.key(it.id), Some(it));
                    assert_eq!(principals.key_named(it.tenant, &it.name), Some(it));
                    assert!(principals.keys_of(it.owner).any(|key| key == it));
                }
                Change::PutProvider(it) => {
                    assert_eq!(principals.provider(it.id), Some(it));
                    assert_eq!(principals.provider_named(it.tenant, &it.name), Some(it));
                    let of_issuer: Vec<_> = principals.providers_of(&it.issuer).collect();
                    assert_eq!(of_issuer, [it]);
                }
                _ => unreachable!("the model keeps what was put"),
            }
        }
    }
}

/// Whatever the bytes, no panic, and what was read can be read again.
fn read_anything(bytes: &[u8]) {
    if let Ok(record) = decode_record(bytes) {
        let again = encode_record(record.epoch, &record.changes);
        let again = decode_record(&again.expect("it is within the limit")).expect("it is read");
        assert_eq!(record.changes, again.changes);
    }
    contains_intact_record(bytes);
    decode_header(bytes);
    decode_image(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_recovers_to_what_a_model_says(
        groups in prop::collection::vec(prop::collection::vec(any_change(), 1..4), 1..20),
        restarts in prop::collection::vec(0..3_u8, 20),
    ) {
        let directory = MemoryDirectory::default();
        let (mut store, mut recovered) = open(&directory).expect("it opens");
        let mut model = Model::default();
        for (number, group) in groups.iter().enumerate() {
            let epoch = Epoch(number as u64 + 1);
            store.append(epoch, group).expect("the disk takes it");
            for change in group {
                recovered.principals.apply(change);
                model.apply(change);
            }
            match restarts[number] {
                0 => (store, recovered) = open(&directory).expect("it opens"),
                1 => {
                    store.compact_at(0);
                    store.settle(epoch, &recovered.principals).expect("it compacts");
                }
                _ => {}
            }
            model.check(&recovered.principals);
            let (_, crashed) = open(&directory.after_crash(0)).expect("it opens");
            model.check(&crashed.principals);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        flip in any::<prop::sample::Index>(),
    ) {
        read_anything(&bytes);
        let mut record = encode_record(Epoch(3), &[user(20_001, "alice")]).expect("it fits");
        read_anything(&record);
        let at = flip.index(record.len());
        record[at] ^= 1;
        read_anything(&record);
    }
}
