//! Every target over its seeds, over what was once found, and over a fixed number of mutations.

use nodedb_fuzz::mutation::{Chance, mutate};
use nodedb_fuzz::{TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A few seconds altogether without optimisation.
const MUTATIONS_A_TARGET: usize = 3_000;

fn run(target: &Target, input: &[u8]) {
    let survived = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    assert!(
        survived.is_ok(),
        "{} fails on \"{}\"",
        target.name,
        input.escape_ascii()
    );
}

/// What fuzzing once found, by file.
fn findings(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("findings")
        .join(target.name);
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    files
        .map(|file| std::fs::read(file.expect("listed").path()).expect("readable"))
        .collect()
}

#[test]
fn every_target_survives_its_seeds_and_mutations_of_them() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || {
                let mut inputs = (target.seeds)();
                assert!(!inputs.is_empty(), "{} has seeds", target.name);
                inputs.extend(findings(target));
                for input in &inputs {
                    run(target, input);
                }
                let mut chance = Chance::new(0x6e6f_6465_6462);
                for _ in 0..MUTATIONS_A_TARGET {
                    run(target, &mutate(&inputs, &mut chance));
                }
            });
        }
    });
}

#[test]
fn every_finding_belongs_to_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings");
    for kept in std::fs::read_dir(folder).expect("the findings are kept") {
        let name = kept.expect("listed").file_name();
        let known = TARGETS.iter().any(|target| *target.name == *name);
        assert!(known, "no target is called {}", name.display());
    }
}

#[test]
fn mutations_are_the_same_on_every_run() {
    let seeds = [b"SELECT 1".to_vec(), b"COMMIT".to_vec()];
    let some = |seed| -> Vec<Vec<u8>> {
        let mut chance = Chance::new(seed);
        (0..50).map(|_| mutate(&seeds, &mut chance)).collect()
    };
    assert_eq!(some(7), some(7));
    assert_ne!(some(7), some(9));
}
