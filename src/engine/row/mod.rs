//! Rows and keys as storage keeps them.
