//! A file of the audit log: an operator verifies what somebody has given them.

/// Lines that are some, and that are none.
pub fn seeds() -> Vec<Vec<u8>> {
    let hash = "0123456789abcdef".repeat(4);
    let line = format!(
        "{{\"seq\":7,\"timestamp\":\"2026-11-29T13:00:00.000000Z\",\"event\":\"login\",\"tenant_id\":0,\
         \"database\":\"nodedb\",\"source\":\"server\",\"detail\":{{\"user\":\"al\"}},\"hash\":\"{hash}\"}}\n"
    );
    vec![
        line.clone().into_bytes(),
        line.repeat(3).into_bytes(),
        line.replace("\"seq\":7", "\"seq\":18446744073709551616")
            .into_bytes(),
        line.trim_end().as_bytes().to_vec(),
        b"\n\n".to_vec(),
    ]
}

/// No panic; what is read is in the line, and a line that was changed does not follow what it followed.
pub fn run(data: &[u8]) {
    nodedb::audit::fuzz(data);
}
