//! SQL types and their values: Arrow, text, binary.
