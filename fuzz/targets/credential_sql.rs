//! The credential statements of REFERENCE §1, as a client sends them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| nodedb::sql::credential::fuzz(text));
