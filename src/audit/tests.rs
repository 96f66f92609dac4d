//! The log under those who change it, under crashes, and under disks that are full or slow.

use super::chain::KEY_BYTES;
use super::journal::{FILE_BYTES_MAX, Journal};
use super::medium::{Disk, Medium};
use super::queue::{QUEUE_ENTRIES_MAX, RESERVED_ENTRIES_MAX};
use super::verify::{self, End, Report};
use super::*;
use crate::catalog::TenantId;
use futures::executor::block_on;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn key() -> ChainKey {
    ChainKey::new(&[1; KEY_BYTES])
}

/// A log at level full whose thread goes on until the test's process ends.
pub fn audit(directory: &Path) -> Audit {
    let started = Audit::start(directory, key(), Level::Full, Options::default());
    started.expect("the log opens").0
}

fn entry(number: u64) -> Entry {
    Entry::new(Event::LoginRefused, Source::Server)
        .of_tenant(Some(TenantId(42)))
        .with("number", number.to_string())
}

/// Small files, so that a test has several.
const SMALL: Options = Options {
    files_max: 0,
    file_bytes_max: 1_000,
};

/// A log with so many entries of a caller, in groups of three, in files of about four entries.
fn written(entries: u64) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut journal, notes) = open(directory.path(), SMALL);
    assert!(notes.is_empty());
    let all: Vec<Entry> = (1..=entries).map(entry).collect();
    for group in all.chunks(3) {
        let (durable, outcome) = journal.append(group);
        outcome.expect("the disk takes it");
        assert_eq!(durable, group.len());
    }
    directory
}

fn open(directory: &Path, options: Options) -> (Journal, Vec<Entry>) {
    Journal::open(directory, key(), options).expect("it opens")
}

fn verified(directory: &Path) -> Report {
    verify::directory(directory, &key(), End::Stored, &|| false).expect("it is read")
}

fn is_whole(directory: &Path) -> bool {
    let report = verified(directory);
    report.fault.is_none()
}

fn first_bad(directory: &Path) -> Option<u64> {
    verified(directory).fault.map(|fault| fault.seq)
}

/// What callers have recorded and can be read, the oldest first.
fn numbers(directory: &Path) -> Vec<u64> {
    let (journal, _) = open(directory, SMALL);
    let mut found = Vec::new();
    let complete = newest(directory, journal.head(), |row| {
        if row.event == Event::LoginRefused.as_str() {
            let detail: serde_json::Value = serde_json::from_str(&row.detail).expect("JSON");
            let number = detail["number"].as_str().expect("a text");
            found.push(number.parse().expect("a number"));
        }
        ControlFlow::Continue(())
    });
    assert!(complete.expect("it is read"));
    found.reverse();
    found
}

/// The lines of all files in order: path, and place of the line in it.
fn lines(directory: &Path) -> Vec<(std::path::PathBuf, usize)> {
    let names = files(directory).expect("it is read");
    let paths = names.into_iter().map(|name| directory.join(name));
    let placed = paths.flat_map(|path| {
        let count = fs::read_to_string(&path).expect("a text").lines().count();
        (0..count).map(move |place| (path.clone(), place))
    });
    placed.collect()
}

fn change_lines(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(path).expect("a text");
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    change(&mut lines);
    fs::write(path, lines.concat()).expect("it is written");
}

#[test]
fn a_log_goes_on_over_files_and_restarts() {
    let directory = written(10);
    let files_before = files(directory.path()).expect("it is read").len();
    assert!(files_before >= 3, "{files_before}");
    let (mut journal, notes) = open(directory.path(), SMALL);
    assert!(notes.is_empty());
    let (_, outcome) = journal.append(&[entry(11), entry(12)]);
    outcome.expect("the disk takes it");
    let report = verified(directory.path());
    assert_eq!(report.fault, None);
    let all = lines(directory.path()).len() as u64;
    assert_eq!((report.entries, report.first, report.last), (all, 1, all));
    assert_eq!(numbers(directory.path()), (1..=12).collect::<Vec<_>>());
    for name in files(directory.path()).expect("it is read") {
        let path = directory.path().join(name);
        let length = fs::metadata(&path).expect("it is there").len();
        assert!(length <= SMALL.file_bytes_max, "{length}");
        let alone = verify::file(&path, &key()).expect("it is read");
        assert_eq!(alone.fault, None, "each file by itself");
    }
    assert!(FILE_BYTES_MAX > u64::try_from(LINE_BYTES_MAX).expect("a size"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_byte_that_is_changed_is_found_in_its_own_line(place in 0_usize..100_000, bit in 0_u8..8) {
        let directory = written(12);
        let all = lines(directory.path());
        let total: Vec<(std::path::PathBuf, usize)> = all
            .iter()
            .flat_map(|(path, line)| {
                let text = fs::read_to_string(path).expect("a text");
                let length = text.lines().nth(*line).expect("it is there").len() + 1;
                let before: usize = text.lines().take(*line).map(|line| line.len() + 1).sum();
                (before..before + length).map(move |at| (path.clone(), at))
            })
            .collect();
        let (path, at) = &total[place % total.len()];
        let mut bytes = fs::read(path).expect("it is there");
        let line_in_file = bytes[..*at].iter().filter(|byte| **byte == b'\n').count();
        let line = all.iter().position(|it| it == &(path.clone(), line_in_file)).expect("it is one");
        bytes[*at] ^= 1 << bit;
        fs::write(path, bytes).expect("it is written");
        let fault = first_bad(directory.path());
        prop_assert_eq!(fault, Some(line as u64 + 1), "{} at {}", path.display(), at);
    }

    #[test]
    fn lines_that_are_taken_out_swapped_or_put_in_are_found_at_their_place(
        at in 0_usize..100, other in 0_usize..100, kind in 0_u8..3,
    ) {
        let directory = written(12);
        let all = lines(directory.path());
        let (path, line) = all[at % all.len()].clone();
        let (from, its_line) = all[other % all.len()].clone();
        let text = fs::read_to_string(&from).expect("a text");
        let foreign = format!("{}\n", text.lines().nth(its_line).expect("it is there"));
        let (at, other) = (at % all.len(), other % all.len());
        let expected = match kind {
            0 => {
                change_lines(&path, |lines| drop(lines.remove(line)));
                at
            }
            1 => {
                change_lines(&path, |lines| lines.insert(line, foreign));
                // Behind itself it stands where it was, and the one behind it does not.
                if at == other { at + 1 } else { at }
            }
            _ => {
                prop_assume!(at != other);
                change_lines(&path, |lines| lines[line] = foreign);
                at
            }
        };
        let fault = verified(directory.path()).fault.expect("it is found");
        prop_assert_eq!(fault.seq, expected as u64 + 1, "{}", fault.what);
    }

    #[test]
    fn a_tail_that_is_cut_off_is_found_and_the_missing_entries_are_named(cut in 1_usize..4_000) {
        let directory = written(12);
        let mut rest = cut;
        // From the newest file backwards, whole files and a part of one.
        for name in files(directory.path()).expect("it is read").iter().rev() {
            let path = directory.path().join(name);
            let length = fs::metadata(&path).expect("it is there").len() as usize;
            if rest >= length {
                fs::remove_file(&path).expect("it is removed");
            } else {
                let file = fs::OpenOptions::new().write(true).open(&path).expect("it opens");
                file.set_len((length - rest) as u64).expect("it is cut");
            }
            rest = rest.saturating_sub(length);
            if rest == 0 {
                break;
            }
        }
        let whole = lines_that_are_whole(directory.path());
        prop_assert_eq!(first_bad(directory.path()), Some(whole + 1));
    }
}

fn lines_that_are_whole(directory: &Path) -> u64 {
    let names = files(directory).expect("it is read");
    let ends = names.iter().map(|name| {
        let bytes = fs::read(directory.join(name)).expect("it is there");
        bytes.iter().filter(|byte| **byte == b'\n').count() as u64
    });
    ends.sum()
}

#[test]
fn files_that_are_swapped_put_in_twice_or_missing_are_found() {
    let names = |directory: &TempDir| files(directory.path()).expect("it is read");
    let path = |directory: &TempDir, name: &str| directory.path().join(name);
    let directory = written(12);
    let all = names(&directory);
    let second = names::first_of(&all[1]).expect("a number");
    let (one, two) = (path(&directory, &all[1]), path(&directory, &all[2]));
    let aside = path(&directory, "aside");
    fs::rename(&one, &aside).expect("it is renamed");
    fs::rename(&two, &one).expect("it is renamed");
    fs::rename(&aside, &two).expect("it is renamed");
    assert_eq!(first_bad(directory.path()), Some(second), "swapped");

    let directory = written(12);
    fs::copy(path(&directory, &all[0]), path(&directory, &all[1])).expect("it is copied");
    assert_eq!(
        first_bad(directory.path()),
        Some(second),
        "replayed in the place of another"
    );

    let directory = written(12);
    let last = verified(directory.path()).last;
    fs::copy(
        path(&directory, &all[0]),
        path(&directory, &names::of(last + 1)),
    )
    .expect("it is copied");
    assert_eq!(
        first_bad(directory.path()),
        Some(last + 1),
        "replayed at the end"
    );

    let directory = written(12);
    fs::remove_file(path(&directory, &all[1])).expect("it is removed");
    assert_eq!(
        first_bad(directory.path()),
        Some(second),
        "one of them is missing"
    );

    let directory = written(12);
    fs::remove_file(path(&directory, &all[0])).expect("it is removed");
    assert_eq!(
        first_bad(directory.path()),
        Some(1),
        "the oldest is missing"
    );

    let directory = written(12);
    fs::remove_file(path(&directory, names::HEAD)).expect("it is removed");
    assert!(!is_whole(directory.path()), "the anchor is missing");
    let (mut journal, notes) = open(directory.path(), SMALL);
    assert_eq!(notes[0].event(), Event::ChainBroken);
    journal.append(&notes).1.expect("the disk takes it");
    assert!(
        !is_whole(directory.path()),
        "and a restart does not hide it"
    );
}

#[test]
fn who_has_not_the_key_cannot_write_a_chain() {
    let directory = written(3);
    let other = ChainKey::new(&[2; KEY_BYTES]);
    let forged = tempfile::tempdir().expect("a directory");
    let (mut journal, _) = Journal::open(forged.path(), other.clone(), SMALL).expect("it opens");
    journal.append(&[entry(1)]).1.expect("the disk takes it");
    let own = verify::directory(forged.path(), &other, End::Stored, &|| false);
    assert_eq!(own.expect("it is read").fault, None);
    for name in [names::HEAD.to_owned(), names::of(1)] {
        fs::copy(forged.path().join(&name), directory.path().join(&name)).expect("it is copied");
    }
    assert_eq!(first_bad(directory.path()), Some(1));
}

#[test]
fn a_crash_loses_nothing_that_was_durable_and_what_it_tore_is_set_aside() {
    for torn in [1, 40, 200] {
        let directory = written(5);
        let newest_file = files(directory.path())
            .expect("it is read")
            .pop()
            .expect("one");
        let path = directory.path().join(&newest_file);
        let last = verified(directory.path()).last;
        // A group that was being written when the machine went down: part of the next line.
        let whole = fs::read(&path).expect("it is there");
        let line = whole.split(|byte| *byte == b'\n').next().expect("a line");
        let bytes = [&whole[..], &line[..torn]].concat();
        fs::write(&path, bytes).expect("it is written");
        let report = verified(directory.path());
        assert_eq!(report.fault, None);
        assert!(report.notes[0].contains("never durable"), "{report:?}");
        let (mut journal, notes) = open(directory.path(), SMALL);
        assert_eq!(notes[0].event(), Event::Repaired);
        journal.append(&notes).1.expect("the disk takes it");
        let kept = directory.path().join(names::torn(last + 1));
        assert_eq!(fs::read(kept).expect("it is kept"), &line[..torn]);
        assert_eq!(numbers(directory.path()), [1, 2, 3, 4, 5]);
        assert!(is_whole(directory.path()));
    }
}

#[test]
fn entries_behind_an_anchor_that_a_crash_left_behind_are_kept() {
    let directory = written(3);
    let anchor = fs::read(directory.path().join(names::HEAD)).expect("it is there");
    let (mut journal, _) = open(directory.path(), SMALL);
    let all: Vec<Entry> = (4..=9).map(entry).collect();
    journal.append(&all).1.expect("the disk takes it");
    drop(journal);
    fs::write(directory.path().join(names::HEAD), anchor).expect("it is written");
    let (_, notes) = open(directory.path(), SMALL);
    assert!(notes.is_empty());
    assert_eq!(numbers(directory.path()), (1..=9).collect::<Vec<_>>());
    assert!(is_whole(directory.path()));
}

#[test]
fn a_start_after_a_tail_was_cut_off_goes_on_and_says_so() {
    let directory = written(5);
    let newest_file = files(directory.path())
        .expect("it is read")
        .pop()
        .expect("one");
    change_lines(&directory.path().join(newest_file), |lines| {
        lines.pop();
    });
    let missing = lines_that_are_whole(directory.path()) + 1;
    let (mut journal, notes) = open(directory.path(), SMALL);
    assert_eq!(notes[0].event(), Event::ChainBroken);
    journal.append(&notes).1.expect("the disk takes it");
    assert_eq!(first_bad(directory.path()), Some(missing));
}

#[test]
fn old_files_go_as_they_are_told_to_and_the_log_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options {
        files_max: 2,
        ..SMALL
    };
    let (mut journal, _) = open(directory.path(), options);
    for number in 1..=30 {
        journal
            .append(&[entry(number)])
            .1
            .expect("the disk takes it");
        if let Some(removed) = journal.remove_old_files() {
            journal.append(&[removed]).1.expect("the disk takes it");
        }
    }
    let left = files(directory.path()).expect("it is read");
    assert!(left.len() <= 3, "{left:?}");
    let report = verified(directory.path());
    assert_eq!(report.fault, None);
    assert!(
        report.first > 1 && report.notes[0].contains("removed"),
        "{report:?}"
    );
}

/// A disk that does as it is told.
struct Moody {
    disk: Disk,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Default)]
struct Mood {
    /// Bytes that still fit.
    bytes_left: Option<usize>,
    syncs_fail: bool,
    sync_takes: Duration,
}

impl Medium for Moody {
    fn open(&mut self, name: &str) -> io::Result<()> {
        self.disk.open(name)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = self.mood.lock().bytes_left.unwrap_or(usize::MAX);
        self.disk.append(&bytes[..bytes.len().min(fits)])?;
        match fits < bytes.len() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let (fails, takes) = {
            let mood = self.mood.lock();
            (mood.syncs_fail, mood.sync_takes)
        };
        std::thread::sleep(takes);
        match fails {
            true => Err(io::Error::other("the disk has failed")),
            false => self.disk.sync(),
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.disk.truncate(length)
    }
}

fn moody(directory: &Path) -> (Audit, Thread, Arc<Mutex<Mood>>) {
    let mood = Arc::<Mutex<Mood>>::default();
    let medium = Box::new(Moody {
        disk: Disk::new(directory),
        mood: mood.clone(),
    });
    let opened = Journal::open_on(directory, key(), Options::default(), medium);
    let (journal, _) = opened.expect("it opens");
    let audit = Audit::of(directory, key(), Level::Standard, &journal);
    let thread = audit.spawn(journal).expect("a thread");
    (audit, thread, mood)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_disk_that_is_full_refuses_and_loses_nothing_and_the_log_says_how_much_was_refused() {
    for fails_at_sync in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let (audit, thread, mood) = moody(directory.path());
        block_on(audit.record_durably(entry(1))).expect("there is room");
        match fails_at_sync {
            false => mood.lock().bytes_left = Some(100),
            true => mood.lock().syncs_fail = true,
        }
        block_on(audit.record(entry(2))).expect("nobody knows yet");
        until("it is noticed", || audit.unwritable().is_some());
        let refused = block_on(audit.record(entry(3)));
        let error = crate::diagnostic::Diagnostic::from(refused.expect_err("it is full"));
        assert_eq!(error.sqlstate().as_str(), "53100");
        assert!(error.fields().hint.is_some());
        let ticket = audit.submit(vec![entry(4)]);
        assert!(ticket.wait().is_err(), "a thread does not wait for ever");
        audit.record_reserved(entry(5)).expect("a superuser's");
        *mood.lock() = Mood::default();
        until("it is tried again", || audit.unwritable().is_none());
        block_on(audit.record_durably(entry(6))).expect("there is room");
        thread.close();
        assert_eq!(numbers(directory.path()), [1, 2, 4, 5, 6]);
        assert!(is_whole(directory.path()));
        let mut interrupted = Vec::new();
        let (journal, _) = open(directory.path(), SMALL);
        let _ = newest(directory.path(), journal.head(), |row| {
            if row.event == Event::Interrupted.as_str() {
                interrupted.push(row.detail);
            }
            ControlFlow::Continue(())
        });
        assert_eq!(interrupted.len(), 1);
        assert!(
            interrupted[0].contains("\"refused\":\"1\""),
            "{interrupted:?}"
        );
    }
}

#[test]
fn superusers_find_a_bounded_number_of_places_while_the_disk_is_full() {
    let directory = tempfile::tempdir().expect("a directory");
    let (audit, thread, mood) = moody(directory.path());
    mood.lock().syncs_fail = true;
    block_on(audit.record(entry(0))).expect("nobody knows yet");
    until("it is noticed", || audit.unwritable().is_some());
    // As many again may be in the hands of the thread, which tries once a second.
    let bound = 2 * (QUEUE_ENTRIES_MAX + RESERVED_ENTRIES_MAX);
    let all = 0..2 * bound as u64;
    let taken = all.filter(|number| audit.record_reserved(entry(*number)).is_ok());
    let taken = taken.count();
    assert!(taken <= bound, "{taken}");
    assert!(taken >= RESERVED_ENTRIES_MAX, "{taken}");
    *mood.lock() = Mood::default();
    until("it is tried again", || audit.unwritable().is_none());
    thread.close();
}

#[test]
fn a_slow_disk_makes_whoever_records_wait_for_a_place_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (audit, thread, mood) = moody(directory.path());
    mood.lock().sync_takes = Duration::from_millis(100);
    let total = 3 * QUEUE_ENTRIES_MAX as u64;
    let recording = {
        let audit = audit.clone();
        std::thread::spawn(move || {
            for number in 1..=total {
                block_on(audit.record(entry(number))).expect("it is only slow");
            }
        })
    };
    let mut most = 0;
    while !recording.is_finished() {
        most = most.max(audit.waiting());
        std::thread::sleep(Duration::from_micros(200));
    }
    recording.join().expect("it ends");
    assert!(most <= QUEUE_ENTRIES_MAX, "{most}");
    assert!(audit.groups() < total / 100, "groups, not one fsync each");
    thread.close();
    assert_eq!(numbers(directory.path()).len() as u64, total);
    assert!(is_whole(directory.path()));
}

#[test]
fn a_level_keeps_what_it_says_and_nothing_else_costs_a_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let started = Audit::start(directory.path(), key(), Level::Minimal, Options::default());
    let (audit, thread) = started.expect("it opens");
    block_on(audit.record_durably(Entry::new(Event::Login, Source::Server))).expect("passed over");
    assert_eq!(audit.entries(), 0);
    block_on(audit.record_durably(entry(1))).expect("there is room");
    assert_eq!(audit.entries(), 1);
    thread.close();
    assert_eq!(numbers(directory.path()), [1]);
}
