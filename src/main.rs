//! NodeDB.
fn main() {}
