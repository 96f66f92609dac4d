//! A target under libFuzzer; `fuzz/run` builds and starts it. NODEDB_FUZZ_TARGET names the target,
//! NODEDB_FUZZ_SEEDS the corpus directory that its seeds are put into.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nodedb_fuzz::{TARGETS, Target, find};
use std::sync::OnceLock;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(init: choose(), |data: &[u8]| {
    let target = TARGET.get().expect("chosen before the first input");
    (target.run)(data);
});

fn choose() {
    let name = std::env::var("NODEDB_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = find(&name) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        std::process::exit(i32::from(name != "list"));
    };
    if let Ok(corpus) = std::env::var("NODEDB_FUZZ_SEEDS") {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            std::fs::write(format!("{corpus}/seed-{number}"), seed)
                .expect("the corpus is writable");
        }
    }
    TARGET.get_or_init(|| target);
}
