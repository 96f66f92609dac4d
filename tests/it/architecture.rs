//! Keeps the map true: imports run downwards, every path that ARCHITECTURE.md names exists, every
//! file says what it is, and no file or function outgrows what a reader can hold (STYLE §2).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What each room may import; a room may always import itself and `diagnostic`.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let below_session = vec![
        "engine", "storage", "access", "sql", "catalog", "auth", "audit",
    ];
    BTreeMap::from([
        ("catalog", vec![]),
        ("auth", vec!["catalog"]),
        ("audit", vec!["catalog"]),
        ("sql", vec!["catalog", "auth"]),
        ("access", vec!["sql", "catalog", "auth"]),
        ("storage", vec!["catalog"]),
        (
            "engine",
            vec!["storage", "access", "sql", "catalog", "auth"],
        ),
        (
            "session",
            [&["telemetry"], below_session.as_slice()].concat(),
        ),
        (
            "control",
            vec!["access", "catalog", "auth", "sql", "audit", "telemetry"],
        ),
        (
            "wire",
            [&["session", "telemetry"], below_session.as_slice()].concat(),
        ),
        ("backup", vec!["storage", "catalog", "audit", "data_dir"]),
        ("telemetry", vec!["config"]),
        ("config", vec!["auth", "catalog", "audit"]),
        ("diagnostic", vec![]),
    ])
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a source directory is readable") {
            let path = entry.expect("its entries too").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn room_of(path: &Path) -> String {
    let inside = path
        .strip_prefix(root().join("src"))
        .expect("a file of src");
    let first = inside.components().next().expect("a file name").as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_string()
}

#[test]
fn imports_run_downwards() {
    let allowed = allowed();
    let mut upwards = Vec::new();
    for path in rust_files(&root().join("src")) {
        let room = room_of(&path);
        let Some(below) = allowed.get(room.as_str()) else {
            continue;
        };
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for piece in line.split("crate::").skip(1) {
                let target: String = piece
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let fine = target.is_empty()
                    || target == room
                    || target == "diagnostic"
                    || below.contains(&target.as_str());
                if !fine {
                    upwards.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(
        upwards.is_empty(),
        "imports that run upwards:\n{}",
        upwards.join("\n")
    );
}

#[test]
fn glommio_and_io_uring_stay_in_shards() {
    for path in rust_files(&root().join("src")) {
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            let leaks = line.contains("glommio::") || line.contains("io_uring::");
            assert!(!leaks, "{}: {line}", path.display());
        }
    }
}

#[test]
fn every_path_that_the_map_names_exists() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map is there");
    let mut named = 0;
    for piece in map.split('`').skip(1).step_by(2) {
        let is_path = piece.contains('/') && !piece.contains(' ') && !piece.contains("::");
        if is_path && !piece.starts_with("http") {
            named += 1;
            assert!(
                root().join(piece).exists(),
                "ARCHITECTURE.md names {piece}, which is not there"
            );
        }
    }
    assert!(named > 20, "the map names the rooms by their paths");
}

#[test]
fn every_file_says_what_it_is() {
    let mut silent = Vec::new();
    for directory in ["src", "shards/src", "tests/it", "benches"] {
        for path in rust_files(&root().join(directory)) {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            if !text.starts_with("//!") {
                silent.push(path.display().to_string());
            }
        }
    }
    assert!(
        silent.is_empty(),
        "files without a header:\n{}",
        silent.join("\n")
    );
}

#[test]
fn no_file_holds_more_than_a_reader_can() {
    const LINES_MAX: usize = 800;
    let mut long = Vec::new();
    for directory in ["src", "shards/src"] {
        for path in rust_files(&root().join(directory)) {
            let lines = fs::read_to_string(&path)
                .expect("a source file is UTF-8")
                .lines()
                .count();
            if lines > LINES_MAX {
                long.push(format!("{} ({lines} lines)", path.display()));
            }
        }
    }
    assert!(
        long.is_empty(),
        "files past {LINES_MAX} lines:\n{}",
        long.join("\n")
    );
}
