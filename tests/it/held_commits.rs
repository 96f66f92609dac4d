//! A disk that takes its time: while it is held, the server's commits are ordered and none of them
//! becomes durable.

use crate::server::TestServer;
use lmdb_master_sys as ffi;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::ptr::{self, NonNull};

/// Holds the writer's lock of the server's store from this process: its commit thread waits for it
/// as it would for a slow disk. Dropping it lets the commits go on.
pub struct HeldCommits {
    environment: NonNull<ffi::MDB_env>,
    writer: NonNull<ffi::MDB_txn>,
}

impl HeldCommits {
    /// Waits for the group being written, and lets no further one begin.
    pub fn hold(server: &TestServer) -> HeldCommits {
        let path = server.data_dir().join("rows");
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path without NUL");
        let (mut environment, mut writer) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the places are ours; the handle is opened before it is used, and only once in this
        // process; the transaction ends before it, both on this thread.
        unsafe {
            assert_eq!(ffi::mdb_env_create(&mut environment), 0);
            let opened = ffi::mdb_env_open(environment, path.as_ptr(), ffi::MDB_NOTLS, 0o600);
            assert_eq!(opened, 0, "the server's store can be opened beside it");
            assert_eq!(
                ffi::mdb_txn_begin(environment, ptr::null_mut(), 0, &mut writer),
                0
            );
        }
        HeldCommits {
            environment: NonNull::new(environment).expect("it was made"),
            writer: NonNull::new(writer).expect("it was begun"),
        }
    }

    /// Lets the commits go on.
    pub fn release(self) {}
}

impl Drop for HeldCommits {
    fn drop(&mut self) {
        // SAFETY: both are live, and used no more.
        unsafe {
            ffi::mdb_txn_abort(self.writer.as_ptr());
            ffi::mdb_env_close(self.environment.as_ptr());
        }
    }
}
