//! The command's half: asks the server, writes what comes, says how far it is.

use super::destination::{Destination, NewFile};
use super::error::BackupError;
use super::frame::{Frame, Frames, HELLO};
use super::progress::{Progress, rate, size};
use super::service::connect;
use rustix::process::nice;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a command that waits for the server looks whether it was told to stop.
const STOP_LOOK: Duration = Duration::from_millis(200);

/// The server that is backed up comes first.
const NICE: i32 = 10;

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where.
    pub path: PathBuf,
    bytes: u64,
    took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is a backup: {} in {:.1} s, {} a second\n\
             a server starts on it, or on a copy of it, with data_dir = \"{}\"",
            self.path.display(),
            size(self.bytes),
            self.took.as_secs_f64(),
            size(rate(self.bytes, self.took)),
            self.path.display(),
        )
    }
}

/// Makes a backup of the server that runs on `data_dir`, in a directory that is not there or empty.
/// Blocks until it is whole and durable; takes over SIGINT, SIGTERM and SIGHUP for that long.
///
/// # Errors
/// [`BackupError`]; nothing is left of it then.
pub fn run(data_dir: &Path, directory: &Path) -> Result<Outcome, BackupError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(BackupError::io("watch for signals in", directory))?;
    }
    // Refused is refused: it runs as it is.
    let _ = nice(NICE);
    let destination = Destination::make(directory)?;
    let stream = ask(data_dir)?;
    let received = receive(
        Attended {
            stream,
            stop: &stop,
        },
        destination,
    );
    match received {
        Err(_) if stop.load(Ordering::Relaxed) => Err(BackupError::Stopped),
        received => received,
    }
}

fn ask(data_dir: &Path) -> Result<UnixStream, BackupError> {
    let mut stream = connect(data_dir).map_err(|source| BackupError::NoServer {
        data_dir: data_dir.to_owned(),
        source,
    })?;
    stream
        .set_read_timeout(Some(STOP_LOOK))
        .and_then(|()| stream.write_all(&HELLO))
        .map_err(BackupError::BrokenOff)?;
    Ok(stream)
}

/// Reads from the server until the command is told to stop.
struct Attended<'s> {
    stream: UnixStream,
    stop: &'s AtomicBool,
}

impl Read for Attended<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("the command was told to stop"));
            }
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
        }
    }
}

fn receive(input: impl Read, mut destination: Destination) -> Result<Outcome, BackupError> {
    let mut frames = Frames::new(input);
    let mut progress = Progress::new(0);
    let mut file: Option<NewFile> = None;
    loop {
        let frame = frames.next().map_err(BackupError::BrokenOff)?;
        match frame {
            Frame::Begin(bytes) => {
                destination.demand_room(bytes)?;
                progress = Progress::new(bytes);
            }
            Frame::File(name) if file.is_none() => {
                file = Some(destination.file(name)?.ok_or_else(unexpected)?);
            }
            Frame::Data(bytes) => {
                let to = file.as_mut().ok_or_else(unexpected)?;
                to.write(bytes)
                    .map_err(|error| told_full(error, destination.path(), progress.done()))?;
                progress.add(bytes.len() as u64);
            }
            Frame::Close(bytes) => match file.take() {
                Some(whole) if whole.written() == bytes => whole
                    .finish()
                    .map_err(|error| told_full(error, destination.path(), progress.done()))?,
                _ => return Err(unexpected()),
            },
            Frame::End if file.is_none() => break,
            Frame::Refused(why) => return Err(BackupError::Refused(why.to_owned())),
            Frame::File(_) | Frame::End => return Err(unexpected()),
        }
    }
    Ok(Outcome {
        path: destination.finish()?,
        bytes: progress.done(),
        took: progress.elapsed(),
    })
}

fn told_full(error: BackupError, path: &Path, written: u64) -> BackupError {
    match error.is_full() {
        true => BackupError::DiskFull {
            path: path.to_owned(),
            written,
        },
        false => error,
    }
}

fn unexpected() -> BackupError {
    BackupError::BrokenOff(io::Error::new(
        io::ErrorKind::InvalidData,
        "its frames are not in order",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn received(frames: &[Frame<'_>], path: &Path) -> Result<Outcome, BackupError> {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.write(&mut bytes).unwrap();
        }
        receive(bytes.as_slice(), Destination::make(path).unwrap())
    }

    #[test]
    fn what_comes_whole_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("monday");
        let whole = [
            Frame::Begin(3),
            Frame::File("catalog/log"),
            Frame::Data(b"ab"),
            Frame::Data(b"c"),
            Frame::Close(3),
            Frame::File("empty"),
            Frame::Close(0),
            Frame::End,
        ];
        let outcome = received(&whole, &path).unwrap();
        assert_eq!(outcome.bytes, 3);
        assert_eq!(fs::read(path.join("catalog/log")).unwrap(), b"abc");
        assert_eq!(fs::read(path.join("empty")).unwrap(), b"");
    }

    #[test]
    fn nothing_is_kept_of_what_is_refused_broken_off_or_out_of_order() {
        let (file, data) = (Frame::File("a"), Frame::Data(b"ab"));
        let bad: [&[Frame<'_>]; 9] = [
            &[],
            &[Frame::Refused("another backup is under way")],
            &[Frame::Begin(2), file, data],
            &[file, data, Frame::Close(3), Frame::End],
            &[file, file],
            &[data],
            &[file, Frame::End],
            &[Frame::File("../a")],
            &[Frame::Begin(u64::MAX)],
        ];
        for frames in bad {
            let parent = tempfile::tempdir().unwrap();
            let refused = received(frames, &parent.path().join("monday"));
            assert!(refused.is_err(), "{frames:?}");
            let left = fs::read_dir(parent.path()).unwrap().count();
            assert_eq!(left, 0, "{frames:?}");
        }
    }
}
