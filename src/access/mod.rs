//! What may you: the ladder, grants, database scope (REFERENCE §2, §7).
