//! INSERT, UPDATE and DELETE: lock, re-check, write.
