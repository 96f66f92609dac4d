//! What the native port answers to those who do not keep to its protocol.

use crate::native_wire::{CLIENT_CAPABILITIES, Native, frame, hello};
use crate::server::TestServer;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_refused_handshake_says_why_and_closes() {
    let server = TestServer::start();
    for (bytes, code) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 0),
        (b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), 0),
        (b"X".to_vec(), 0),
        (hello(2, 3, 0), 1),
        (hello(0, 0, 0), 1),
        (hello(3, 2, 0), 2),
    ] {
        let mut client = Native::silent(&server);
        client.send(&bytes);
        let refusal = client.rest();
        assert_eq!(&refusal[..4], b"NDBE", "{bytes:?}");
        assert_eq!(refusal[4], code, "{bytes:?}");
        assert_eq!(usize::from(refusal[5]), refusal.len() - 6);
    }
}

#[test]
fn a_hello_that_takes_too_long_is_refused_and_a_login_that_does_is_cut_off() {
    let server = TestServer::start_configured("[server]\nlogin_deadline = \"7s\"\n");
    let started = Instant::now();
    let mut half = Native::silent(&server);
    half.send(&hello(1, 1, 0)[..7]);
    let mut greeted = Native::greeted(&server, 0);
    let refusal = half.rest();
    assert_eq!(&refusal[..5], b"NDBE\x02");
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert!(greeted.payload().is_none(), "nothing is said");
    assert!(started.elapsed() >= Duration::from_secs(7));
}

#[test]
fn frames_are_bounded_and_have_a_payload() {
    let server = TestServer::start();
    let ended = |client: &mut Native, code: &str| {
        let reply = client.reply();
        assert_eq!((&reply["seq"], &reply["status"]), (&json!(0), &json!(2)));
        assert_eq!(reply["error"]["code"], code, "{reply}");
        assert!(client.payload().is_none(), "the connection is closed");
    };
    for (length, code) in [
        (0_u32, "08P01"),
        ((16 << 20) + 1, "54000"),
        (u32::MAX, "54000"),
    ] {
        let mut client = Native::connect(&server);
        client.send(&length.to_be_bytes());
        ended(&mut client, code);
    }
    // Strangers may send less.
    let mut stranger = Native::greeted(&server, CLIENT_CAPABILITIES);
    stranger.send(&(64_u32 * 1024 + 1).to_be_bytes());
    ended(&mut stranger, "54000");

    // A frame of the full length is a request.
    let mut client = Native::connect(&server);
    let text = "x".repeat((16 << 20) - 60);
    let payload = json!({"op": 0x20, "seq": 9, "sql": format!("SELECT '{text}'")}).to_string();
    assert!(payload.len() <= 16 << 20 && payload.len() > (16 << 20) - 64);
    client.send(&frame(payload.as_bytes()));
    let reply = client.reply();
    assert_eq!(
        (&reply["seq"], &reply["error"]["code"]),
        (&json!(9), &json!("54000")),
        "{}",
        reply["error"]
    );
    assert_eq!(client.rows("SELECT 1"), json!([[1]]));
}

#[test]
fn frames_arrive_in_any_pieces() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    let payload = json!({"op": 0x20, "seq": 5, "sql": "SELECT 'whole'"}).to_string();
    for byte in frame(payload.as_bytes()) {
        client.send(&[byte]);
    }
    assert_eq!(client.reply()["rows"], json!([["whole"]]));
}

#[test]
fn what_is_no_request_is_an_error_and_the_session_goes_on() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    let deep_array = [&b"\x93\x20\x07\x92\x01\x81\x54"[..], &[0x91; 60_000]].concat();
    let deep_unknown = [&b"\x93\x02\x07\x92\x01\x81\x05"[..], &[0x91; 60_000]].concat();
    let deep_value = [
        &b"\x93\x20\x07\x92\x01\x81\x54\x91"[..],
        &b"\x92\x06\x91".repeat(33)[..],
    ]
    .concat();
    let many = [
        &b"\x93\x20\x07\x92\x01\x81\x54\xdd\0\x01\0\0"[..],
        &b"\x91\0".repeat(65_536)[..],
    ]
    .concat();
    let deep_json = format!(
        "{{\"op\":32,\"seq\":7,\"sql_params\":{}",
        "[".repeat(60_000)
    );
    for (payload, seq, code) in [
        (&b"\xc1"[..], 0, "08P01"),
        (b"\x93\x20\x07\x92\x01\x81\x02\x05", 7, "08P01"),
        (b"\x93\x20\x07\x92\x01\x81\x02\xa2\xff\xff", 7, "22021"),
        (b"\x93\x20\x07\x92\x01\xdf\xff\xff\xff\xff", 7, "08P01"),
        (b"\x93\x20\x07\x92\x01\x81\x54\x91\x92\x14\xc0", 7, "0A000"),
        (&deep_array, 7, "08P01"),
        (&deep_unknown, 7, "08P01"),
        (&deep_value, 7, "54001"),
        (&many, 7, "54000"),
        (b"{\"op\":32,\"seq\":\"x\"}", 0, "08P01"),
        (b"{\"seq\":7,\"op\":999}", 7, "08P01"),
        (deep_json.as_bytes(), 7, "54001"),
    ] {
        client.send(&frame(payload));
        let reply = client.reply();
        assert_eq!(reply["error"]["code"], code, "{reply}");
        assert_eq!(reply["seq"], seq, "{reply}");
        assert_eq!(reply["status"], 2);
    }
    assert_eq!(client.rows("SELECT 1"), json!([[1]]));
}

#[test]
fn a_stranger_s_bad_request_ends_the_connection() {
    let server = TestServer::start();
    let mut stranger = Native::greeted(&server, CLIENT_CAPABILITIES);
    stranger.send(&frame(b"\x93\x01\x05\x92\x01\x81\x01\x92\xa5Magic\x90"));
    let reply = stranger.reply();
    assert_eq!(
        (&reply["seq"], &reply["error"]["code"]),
        (&json!(5), &json!("08P01"))
    );
    assert!(stranger.payload().is_none(), "the connection is closed");
}

#[test]
fn a_client_that_does_not_read_its_answers_costs_bounded_memory() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    let mut other = Native::connect(&server);
    client.request(
        0x20,
        json!({"sql": "SELECT repeat('x', 1000) FROM generate_series(1, 500000)"}),
    );
    let sent = || server.metric("sent_bytes_total{core=\"0\"}");
    // It stops when the client's and the server's socket buffers are full.
    let mut before = u64::MAX;
    while sent() != before {
        before = sent();
        std::thread::sleep(Duration::from_millis(500));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident: u64 = resident
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("a size");
    assert!(resident < 400_000, "{resident} KiB");
    assert_eq!(other.rows("SELECT 1"), json!([[1]]));
    let mut rows = 0;
    loop {
        let reply = client.reply();
        rows += reply["rows"].as_array().expect("rows").len();
        if reply["status"] == 0 {
            break;
        }
    }
    assert_eq!(rows, 500_000);
}
