//! The directory that a backup is made in: under another name and without `lock` until it is whole, and
//! gone again when it never is.

use super::error::BackupError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

const OWNER_ONLY_DIRECTORY: u32 = 0o700;
const OWNER_ONLY_FILE: u32 = 0o600;

/// What makes a directory one that a server starts on ([`crate::data_dir`]).
const LOCK_FILE: &str = "lock";

/// Written bytes are synced in such portions: all at the end would hold up the commits of a server on
/// the same disk.
const SYNC_BYTES: u64 = 64 << 20;

/// A directory in the making. Dropping it removes it.
pub struct Destination {
    /// Where it will be.
    path: PathBuf,
    parent: PathBuf,
    /// Where it is; None once it has its name.
    unfinished: Option<PathBuf>,
    /// Those in it, to be synced.
    directories: Vec<PathBuf>,
}

/// A file being written.
pub struct NewFile {
    path: PathBuf,
    file: File,
    written: u64,
    unsynced: u64,
}

impl Destination {
    /// Makes the directory beside its place, which must be free: not there, or an empty directory.
    ///
    /// # Errors
    /// [`BackupError`]; nothing has been made then.
    pub fn make(path: &Path) -> Result<Destination, BackupError> {
        let path = match fs::canonicalize(path) {
            Ok(path) => demand_empty(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_place(path)?,
            Err(error) => return Err(BackupError::io("look at", path)(error)),
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(BackupError::NoDirectory(path));
        };
        let mut unfinished = name.to_owned();
        unfinished.push(format!(".unfinished-{}", std::process::id()));
        let unfinished = parent.join(unfinished);
        make_directory(&unfinished)?;
        Ok(Destination {
            parent: parent.to_owned(),
            path,
            directories: vec![unfinished.clone()],
            unfinished: Some(unfinished),
        })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn unfinished(&self) -> &Path {
        let unfinished = self.unfinished.as_deref();
        unfinished.expect("a finished directory is consumed")
    }

    /// Whether so many bytes find room.
    ///
    /// # Errors
    /// [`BackupError::NoRoom`]
    pub fn demand_room(&self, needed: u64) -> Result<(), BackupError> {
        let disk = rustix::fs::statvfs(self.unfinished())
            .map_err(|error| BackupError::io("ask for the room of", &self.path)(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        match needed <= free {
            true => Ok(()),
            false => Err(BackupError::NoRoom {
                path: self.path.clone(),
                needed,
                free,
            }),
        }
    }

    /// A new file in it, by its relative path; None for a path that leads out of it.
    ///
    /// # Errors
    /// The disk's.
    pub fn file(&mut self, name: &str) -> Result<Option<NewFile>, BackupError> {
        let name = Path::new(name);
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.file_name().is_none() || !name.components().all(inside) {
            return Ok(None);
        }
        let path = self.unfinished().join(name);
        let above: Vec<&Path> = name.ancestors().skip(1).collect();
        for directory in above.into_iter().rev() {
            let directory = self.unfinished().join(directory);
            if !self.directories.contains(&directory) {
                make_directory(&directory)?;
                self.directories.push(directory);
            }
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(OWNER_ONLY_FILE);
        let file = options
            .open(&path)
            .map_err(BackupError::io("make", &path))?;
        Ok(Some(NewFile {
            path,
            file,
            written: 0,
            unsynced: 0,
        }))
    }

    /// Everything has been written: makes it durable, then what a server starts on, and gives it its
    /// name. Gives its path.
    ///
    /// # Errors
    /// The disk's, and a place that has been taken meanwhile; nothing is left then.
    pub fn finish(mut self) -> Result<PathBuf, BackupError> {
        let lock = self.file(LOCK_FILE)?;
        lock.expect("a plain name").finish()?;
        for directory in self.directories.iter().rev() {
            sync_directory(directory)?;
        }
        fs::rename(self.unfinished(), &self.path).map_err(|error| {
            use io::ErrorKind::{AlreadyExists, CrossesDevices, DirectoryNotEmpty, ResourceBusy};
            match error.kind() {
                ResourceBusy | CrossesDevices => BackupError::MountPoint(self.path.clone()),
                DirectoryNotEmpty | AlreadyExists => BackupError::NotEmpty(self.path.clone()),
                _ => BackupError::io("give the backup its name", &self.path)(error),
            }
        })?;
        self.unfinished = None;
        sync_directory(&self.parent)?;
        Ok(self.path.clone())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        let Some(unfinished) = &self.unfinished else {
            return;
        };
        if let Err(error) = fs::remove_dir_all(unfinished) {
            let name = unfinished.display();
            eprintln!("nodedb: {name} is no backup and could not be removed: {error}");
        }
    }
}

impl NewFile {
    /// Writes more.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let failed = BackupError::io("write", &self.path);
        self.file.write_all(bytes).map_err(failed)?;
        self.written += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            let failed = BackupError::io("sync", &self.path);
            self.file.sync_data().map_err(failed)?;
        }
        Ok(())
    }

    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// It is whole: makes it durable.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(self) -> Result<(), BackupError> {
        let failed = BackupError::io("sync", &self.path);
        self.file.sync_all().map_err(failed)
    }
}

/// The full path of a place that is not there, in a directory that is.
fn new_place(path: &Path) -> Result<PathBuf, BackupError> {
    let name = path.file_name();
    let name = name.ok_or_else(|| BackupError::NoDirectory(path.to_owned()))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = fs::canonicalize(parent).map_err(BackupError::io("find", parent))?;
    Ok(parent.join(name))
}

fn demand_empty(path: PathBuf) -> Result<PathBuf, BackupError> {
    if !path.is_dir() {
        return Err(BackupError::NoDirectory(path));
    }
    let mut entries = fs::read_dir(&path).map_err(BackupError::io("read", &path))?;
    match entries.next() {
        None => Ok(path),
        Some(_) => Err(BackupError::NotEmpty(path)),
    }
}

fn make_directory(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .mode(OWNER_ONLY_DIRECTORY)
        .create(path)
        .map_err(BackupError::io("make", path))
}

fn sync_directory(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(BackupError::io("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::{DataDir, DataDirError};
    use std::os::unix::fs::PermissionsExt;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn it_has_its_name_only_when_it_is_whole_and_is_its_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("monday");
        let mut made = Destination::make(&path).unwrap();
        let mut file = made.file("rows/data").unwrap().unwrap();
        file.write(b"abc").unwrap();
        assert_eq!(file.written(), 3);
        file.finish().unwrap();
        assert!(!path.exists());
        assert_eq!(made.finish().unwrap(), path.canonicalize().unwrap());
        assert_eq!(names(parent.path()), ["monday"]);
        assert_eq!(names(&path), ["lock", "rows"]);
        assert_eq!(fs::read(path.join("rows/data")).unwrap(), b"abc");
        for (name, mode) in [
            ("", 0o700),
            ("rows", 0o700),
            ("rows/data", 0o600),
            ("lock", 0o600),
        ] {
            let metadata = fs::metadata(path.join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
        }
    }

    #[test]
    fn one_that_is_given_up_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let mut made = Destination::make(&parent.path().join("monday")).unwrap();
        made.file("rows/data")
            .unwrap()
            .unwrap()
            .write(b"abc")
            .unwrap();
        drop(made);
        assert_eq!(names(parent.path()), [""; 0]);
    }

    #[test]
    fn one_that_was_killed_is_no_data_directory() {
        let parent = tempfile::tempdir().unwrap();
        let mut made = Destination::make(&parent.path().join("monday")).unwrap();
        made.file("rows/data").unwrap().unwrap().finish().unwrap();
        let left = made.unfinished.take().unwrap();
        let refused = DataDir::open(&left).unwrap_err();
        assert!(matches!(refused, DataDirError::NotOurs { .. }), "{refused}");
    }

    #[test]
    fn an_empty_directory_is_taken_and_one_that_is_not_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("monday");
        fs::create_dir(&path).unwrap();
        Destination::make(&path).unwrap().finish().unwrap();
        assert_eq!(names(&path), ["lock"]);
        let refused = Destination::make(&path).err().unwrap();
        assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");
        let file = path.join("lock");
        let refused = Destination::make(&file).err().unwrap();
        assert!(matches!(refused, BackupError::NoDirectory(_)), "{refused}");
        assert_eq!(names(parent.path()), ["monday"]);
    }

    #[test]
    fn a_place_that_was_filled_meanwhile_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("monday");
        let made = Destination::make(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("letter"), "dear").unwrap();
        let refused = made.finish().unwrap_err();
        assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");
        assert_eq!(names(parent.path()), ["monday"]);
        assert_eq!(names(&path), ["letter"]);
    }

    #[test]
    fn no_name_leads_out_of_it() {
        let parent = tempfile::tempdir().unwrap();
        let mut made = Destination::make(&parent.path().join("monday")).unwrap();
        for name in ["../x", "/x", "a/../../x", ".", ""] {
            assert!(made.file(name).unwrap().is_none(), "{name}");
        }
    }

    #[test]
    fn more_than_the_disk_has_is_refused_before_anything_is_written() {
        let parent = tempfile::tempdir().unwrap();
        let made = Destination::make(&parent.path().join("monday")).unwrap();
        made.demand_room(1).unwrap();
        let refused = made.demand_room(u64::MAX).unwrap_err();
        assert!(matches!(refused, BackupError::NoRoom { .. }), "{refused}");
    }
}
