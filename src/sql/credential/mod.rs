//! The credential statements of REFERENCE §1, from text to a syntax tree.
