//! The server's half: listens at the socket in the data directory, one backup at a time.
//!
//! A thread accepts; another, at nice 10, sends. Nothing of it runs on a session core. A command that
//! takes nothing for [`STALL_MAX`] is let go, since its snapshot keeps freed pages from being used.

use super::SOCKET_FILE;
use super::contents::{SendError, Source};
use super::frame::{Frame, HELLO};
use crate::audit::{self, Entry, Event};
use parking_lot::Mutex;
use rustix::net::sockopt::socket_peercred;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A command says its hello at once.
const HELLO_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a command may take nothing: it syncs 64 MiB at a time, on whatever disk.
const STALL_MAX: Duration = Duration::from_secs(120);

/// Session cores come first.
const NICE: i32 = 10;

/// The longest path that fits into an address of a socket, without its NUL.
const ADDRESS_BYTES_MAX: usize = 107;

/// Listens until it is stopped.
pub struct Service {
    listener: Arc<UnixListener>,
    under_way: Arc<Mutex<UnderWay>>,
    thread: JoinHandle<()>,
    path: PathBuf,
}

/// The backup that is being sent, if one is.
#[derive(Default)]
enum UnderWay {
    #[default]
    None,
    Since(Instant, UnixStream),
    /// No more: the server ends.
    Stopped,
}

impl Service {
    /// Takes the socket's place in the data directory, which is locked by this process, and listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(source: Source) -> io::Result<Service> {
        let path = source.data_dir.join(SOCKET_FILE);
        let listener = Arc::new(listen(&source.data_dir)?);
        let under_way = Arc::new(Mutex::new(UnderWay::None));
        let acceptor = Acceptor {
            listener: listener.clone(),
            under_way: under_way.clone(),
            source,
        };
        let thread = thread::Builder::new()
            .name("backup".to_owned())
            .spawn(move || acceptor.run())?;
        Ok(Service {
            listener,
            under_way,
            thread,
            path,
        })
    }

    /// Ends a backup under way, and takes no more. Blocks for a moment.
    pub fn stop(self) {
        let under_way = std::mem::replace(&mut *self.under_way.lock(), UnderWay::Stopped);
        if let UnderWay::Since(_, stream) = under_way {
            // It may have gone by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let woken = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        match woken {
            Ok(()) if self.thread.join().is_err() => {
                tracing::error!("the backup's thread had panicked");
            }
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the backup's socket could not be closed"),
        }
        // A start takes the place of one that is left.
        let _ = fs::remove_file(&self.path);
    }
}

struct Acceptor {
    listener: Arc<UnixListener>,
    under_way: Arc<Mutex<UnderWay>>,
    source: Source,
}

impl Acceptor {
    fn run(&self) {
        thread::scope(|scope| {
            while !matches!(*self.under_way.lock(), UnderWay::Stopped) {
                let Ok((stream, _)) = self.listener.accept() else {
                    continue;
                };
                match self.admit(&stream) {
                    Ok(()) => {
                        let sender = thread::Builder::new().name("backup-send".to_owned());
                        if let Err(error) = sender.spawn_scoped(scope, || self.serve(stream)) {
                            tracing::error!(%error, "no thread for a backup");
                            self.over();
                        }
                    }
                    Err(why) => refuse(&stream, &why),
                }
            }
        });
    }

    /// Takes the one place there is.
    fn admit(&self, stream: &UnixStream) -> Result<(), String> {
        stream
            .set_write_timeout(Some(STALL_MAX))
            .and_then(|()| stream.set_read_timeout(Some(HELLO_WAIT_MAX)))
            .map_err(|error| error.to_string())?;
        let mut hello = [0; HELLO.len()];
        let mut input = stream;
        match input.read_exact(&mut hello) {
            Ok(()) if hello == HELLO => {}
            _ => return Err("the command is of another version".to_owned()),
        }
        let mut under_way = self.under_way.lock();
        match &*under_way {
            UnderWay::None => {
                let own = stream.try_clone().map_err(|error| error.to_string())?;
                *under_way = UnderWay::Since(Instant::now(), own);
                Ok(())
            }
            UnderWay::Since(since, _) => {
                let seconds = since.elapsed().as_secs();
                Err(format!(
                    "another backup is under way, since {seconds} seconds; wait for its end"
                ))
            }
            UnderWay::Stopped => Err(SendError::ShuttingDown.to_string()),
        }
    }

    fn serve(&self, stream: UnixStream) {
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::warn!(%error, "the backup's thread keeps the ordinary priority");
        }
        let (uid, pid) = peer(&stream);
        tracing::info!(uid, pid, "a backup has begun");
        let begun = Instant::now();
        let mut output = BufWriter::new(&stream);
        let sent = self.source.send(&mut output).and_then(|bytes| {
            let flushed = output.flush().map(|()| bytes);
            flushed.map_err(SendError::Gone)
        });
        let milliseconds = begun.elapsed().as_millis();
        self.record((uid, pid), &sent);
        match sent {
            Ok(bytes) => tracing::info!(uid, pid, bytes, milliseconds, "a backup was sent"),
            Err(error) => {
                tracing::warn!(uid, pid, %error, milliseconds, "a backup was given up");
                drop(output);
                refuse(&stream, &error.to_string());
            }
        }
        self.over();
    }

    /// Whoever has a backup has all data.
    fn record(&self, (uid, pid): (Option<u32>, Option<i32>), sent: &Result<u64, SendError>) {
        let entry = Entry::new(Event::Backup, audit::Source::Server)
            .with_some("uid", uid.map(|it| it.to_string()))
            .with_some("pid", pid.map(|it| it.to_string()));
        self.source.audit.record_own(match sent {
            Ok(bytes) => entry
                .with("outcome", "sent")
                .with("bytes", bytes.to_string()),
            Err(error) => entry
                .with("outcome", "given up")
                .with("reason", error.to_string()),
        });
    }

    /// Whoever stops the service has taken the place for good.
    fn over(&self) {
        let mut under_way = self.under_way.lock();
        if matches!(&*under_way, UnderWay::Since(..)) {
            *under_way = UnderWay::None;
        }
    }
}

/// Tells the command why not; one that has gone is told nothing.
fn refuse(mut stream: &UnixStream, why: &str) {
    let _ = Frame::Refused(why).write(&mut stream);
}

/// Who asks, for the log: the system's numbers of its user and process.
fn peer(stream: &UnixStream) -> (Option<u32>, Option<i32>) {
    match socket_peercred(stream) {
        Ok(peer) => (
            Some(peer.uid.as_raw()),
            Some(peer.pid.as_raw_nonzero().get()),
        ),
        Err(_) => (None, None),
    }
}

fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let path = data_dir.join(SOCKET_FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = at_address(data_dir, UnixListener::bind)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A connection to the server that runs on a data directory.
///
/// # Errors
/// Nobody listens there, or not for this user.
pub fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    at_address(data_dir, UnixStream::connect)
}

/// A path that is too long for an address is led there through its open directory.
fn at_address<T>(data_dir: &Path, open: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let path = data_dir.join(SOCKET_FILE);
    if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return open(path);
    }
    let directory = File::open(data_dir)?;
    let short = format!("/proc/self/fd/{}", directory.as_raw_fd());
    open(Path::new(&short).join(SOCKET_FILE))
}
