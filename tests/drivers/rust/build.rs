//! Makes the tables that sqlx checks its statements against, in the database of `DATABASE_URL`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=schema.sql");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=DATABASE_URL");
    let url =
        std::env::var("DATABASE_URL").expect("DATABASE_URL names a database for these tests alone");
    let made = Command::new("psql")
        .args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &url,
            "-f",
            "schema.sql",
        ])
        .status()
        .expect("psql starts");
    assert!(made.success(), "the tables could not be made");
}
