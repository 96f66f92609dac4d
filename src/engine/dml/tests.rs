//! DML that needs more than one row at a time.
