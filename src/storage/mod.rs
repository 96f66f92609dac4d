//! What is kept: LMDB, snapshots, write sets, overlay, locks, the commit thread (DESIGN §6).
