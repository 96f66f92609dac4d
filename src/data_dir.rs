//! The data directory: made with mode 0700, locked by one server at a time (REFERENCE §6).
//!
//! ```text
//! <data_dir>/lock                 flock'ed for the life of the process; holds its number
//! <data_dir>/mock_key             32 random bytes: the key of mock challenges (auth::scram::mock)
//! <data_dir>/superuser_password   made at first start, unless the password was given
//! <data_dir>/audit_key            32 random bytes: the key of the audit log's chain
//! <data_dir>/audit/               the audit log (audit)
//! <data_dir>/catalog/             the principals' log (catalog::store)
//! <data_dir>/rows/                the row store (storage)
//! <data_dir>/backup.socket        where `nodedb backup` asks (backup), while the server runs
//! ```
//!
//! An existing directory is taken only when it
//! is empty or has been ours before: a wrong `data_dir` must not change the mode of somebody's
//! home.

use crate::audit::ChainKey;
use crate::auth::secret::MockKey;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

const LOCK_FILE: &str = "lock";
/// The key of mock challenges.
pub const MOCK_KEY_FILE: &str = "mock_key";
/// Where the principals are.
pub const CATALOG_DIRECTORY: &str = "catalog";
/// Where the rows are.
pub const ROWS_DIRECTORY: &str = "rows";
/// The key of the audit log's chain.
pub const AUDIT_KEY_FILE: &str = "audit_key";
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
const OWNER_ONLY_FILE: u32 = 0o600;

/// The most that is read of another server's lock file: a process number.
const LOCK_BYTES_MAX: u64 = 20;

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another server has it.
    #[error(
        "the data directory {} is in use by process {holder}; \
         stop that server first, or choose another data_dir",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the lock file says of its holder.
        holder: String,
    },
    /// It holds other things.
    #[error(
        "{} is neither empty nor a NodeDB data directory; choose another data_dir",
        path.display()
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// A file in it is not what was written.
    #[error("{} is damaged: it has {found} bytes in place of {expected}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: usize,
        /// What it must be.
        expected: usize,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The data directory of this process. Dropping it gives the lock back.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held for its lock.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, and takes it for this process.
    ///
    /// # Errors
    ///
    /// [`DataDirError`]; [`DataDirError::InUse`] names the process that has it.
    pub fn open(path: &Path) -> Result<DataDir, DataDirError> {
        DirBuilder::new()
            .recursive(true)
            .mode(OWNER_ONLY_DIRECTORY)
            .create(path)
            .map_err(failed("make", path))?;
        let lock_path = path.join(LOCK_FILE);
        if !lock_path.exists() && !is_empty(path)? {
            return Err(DataDirError::NotOurs {
                path: path.to_owned(),
            });
        }
        fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY_DIRECTORY))
            .map_err(failed("set the permissions of", path))?;
        let lock = take_lock(path, &lock_path)?;
        Ok(DataDir {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the principals' log is.
    pub fn catalog(&self) -> PathBuf {
        self.path.join(CATALOG_DIRECTORY)
    }

    /// Where the row store is.
    pub fn rows(&self) -> PathBuf {
        self.path.join(ROWS_DIRECTORY)
    }

    /// The key of mock challenges; made when it is not there.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Damaged`] or `Io`.
    ///
    /// # Panics
    ///
    /// If the kernel gives no random bytes.
    pub fn mock_key(&self) -> Result<MockKey, DataDirError> {
        self.key(MOCK_KEY_FILE).map(MockKey::new)
    }

    /// Where the audit log is.
    pub fn audit(&self) -> PathBuf {
        self.path.join("audit")
    }

    /// The key of the audit log's chain; made when it is not there.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Damaged`] or `Io`.
    ///
    /// # Panics
    ///
    /// If the kernel gives no random bytes.
    pub fn audit_key(&self) -> Result<ChainKey, DataDirError> {
        let key = Zeroizing::new(self.key(AUDIT_KEY_FILE)?);
        Ok(ChainKey::new(&key))
    }

    fn key(&self, name: &str) -> Result<[u8; 32], DataDirError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => key_of(path, bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                SystemRandom::new()
                    .fill(&mut key)
                    .expect("the kernel's random generator answers");
                self.write(name, &key)?;
                Ok(key)
            }
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes a small file, readable by its owner only: afterwards it is there whole, or as it was
    /// before, whatever happens meanwhile. Gives its path.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Io`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        let fresh = self.path.join(format!("{name}.new"));
        // A leftover of a crash may have any mode.
        self.remove(&format!("{name}.new"))?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(OWNER_ONLY_FILE)
            .open(&fresh)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            })
            .map_err(failed("write", &fresh))?;
        fs::rename(&fresh, &path).map_err(failed("rename", &fresh))?;
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("sync", &self.path))?;
        Ok(path)
    }

    /// Removes a small file, if it is there.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Io`].
    pub fn remove(&self, name: &str) -> Result<(), DataDirError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The key of an audit log's chain from its file, whoever has the data directory.
///
/// # Errors
///
/// [`DataDirError::Damaged`] or `Io`.
pub fn read_audit_key(path: &Path) -> Result<ChainKey, DataDirError> {
    let bytes = fs::read(path).map_err(failed("read", path))?;
    let key = Zeroizing::new(key_of(path.to_owned(), bytes)?);
    Ok(ChainKey::new(&key))
}

fn key_of(path: PathBuf, bytes: Vec<u8>) -> Result<[u8; 32], DataDirError> {
    let bytes = Zeroizing::new(bytes);
    <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| DataDirError::Damaged {
        path,
        found: bytes.len(),
        expected: 32,
    })
}

fn take_lock(directory: &Path, path: &Path) -> Result<File, DataDirError> {
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_ONLY_FILE)
        .open(path)
        .map_err(failed("open", path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            lock.take(LOCK_BYTES_MAX)
                .read_to_string(&mut holder)
                .map_err(failed("read", path))?;
            let holder = match holder.trim() {
                "" => "(still starting)".to_owned(),
                number => number.to_owned(),
            };
            return Err(DataDirError::InUse {
                path: directory.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
    }
    lock.set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(failed("write", path))?;
    Ok(lock)
}

fn is_empty(path: &Path) -> Result<bool, DataDirError> {
    let mut entries = fs::read_dir(path).map_err(failed("read", path))?;
    Ok(entries.next().is_none())
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_made_for_its_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let data_dir = DataDir::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        let file = data_dir.write("secret", b"x").unwrap();
        assert_eq!(mode(&file), 0o600);
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }

    #[test]
    fn an_empty_directory_is_taken_and_closed_to_others() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("volume");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        DataDir::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn somebody_elses_directory_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(home.path().join("letter"), "dear").unwrap();
        let error = DataDir::open(home.path()).unwrap_err();
        assert!(matches!(error, DataDirError::NotOurs { .. }), "{error}");
        assert_eq!(mode(home.path()), 0o755);
    }

    #[test]
    fn a_second_server_is_refused_and_told_who_has_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        let holder = format!("is in use by process {};", std::process::id());
        assert!(error.contains(&holder), "{error}");
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn the_mock_key_stays_the_same_over_restarts() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataDir::open(&path).unwrap().mock_key().unwrap();
        let again = DataDir::open(&path).unwrap().mock_key().unwrap();
        assert_eq!(first, again);
        assert_eq!(mode(&path.join(MOCK_KEY_FILE)), 0o600);
    }

    #[test]
    fn a_damaged_mock_key_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&parent.path().join("data")).unwrap();
        data_dir.write(MOCK_KEY_FILE, b"short").unwrap();
        let error = data_dir.mock_key().unwrap_err().to_string();
        assert!(error.contains("mock_key is damaged"), "{error}");
    }

    #[test]
    fn removing_a_file_that_is_not_there_is_no_error() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&parent.path().join("data")).unwrap();
        data_dir.remove("nothing").unwrap();
    }
}
