//! The first packets of a PostgreSQL connection, CancelRequest among them, up to what they ask for.

use bytes::BytesMut;
use nodedb::session::cancel_key::BackendPid;
use nodedb::wire::pgwire::authentication::{AfterStartup, AwaitStartup};
use nodedb::wire::pgwire::startup::{StartupPacket, parse};

/// One packet of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let packet = |code: i32, body: &[u8]| {
        let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(&code.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    };
    vec![
        packet(80_877_103, b""),
        packet(80_877_104, b""),
        packet(80_877_102, b"\0\0\0\x07abcd"),
        packet(80_877_102, &[7; 36]),
        packet(3 << 16, b"user\0alice\0database\0nodedb\0\0"),
        packet(
            (3 << 16) | 2,
            b"user\0alice\0options\0-c tenant=42 --geqo=off -cDateStyle=ISO\\,\\ MDY\0_pq_.x\0y\0\0",
        ),
        packet((3 << 16) | 99, b"user\0a\0replication\0false\0\0"),
        packet(2 << 16, b"user\0alice\0\0"),
        b"\x16\x03\x01\x02\x00\x01".to_vec(),
    ]
}

/// What follows a packet changes nothing, a part of one is none, and what it asks for is bounded.
pub fn run(data: &[u8]) {
    let Ok(Some((packet, length))) = parse(data) else {
        return;
    };
    assert!(length <= data.len(), "consumed at most what was given");
    let alone = parse(&data[..length]);
    assert_eq!(
        alone,
        Ok(Some((packet, length))),
        "what follows changes nothing"
    );
    for end in 0..length.min(64) {
        assert!(
            !matches!(parse(&data[..end]), Ok(Some(_))),
            "a part is no packet"
        );
    }
    if let StartupPacket::Cancel { backend_pid, .. } = packet
        && let Some(pid) = BackendPid::from_number(backend_pid)
    {
        assert_eq!(pid.number(), backend_pid);
    }
    let mut outbox = BytesMut::new();
    if let Ok(AfterStartup::Asked(asked)) = AwaitStartup::default().receive(packet, &mut outbox) {
        let request = asked.request;
        assert!(!request.user.is_empty());
        let settings: usize = request
            .settings
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        assert!(settings <= length, "nothing grows");
    }
}
