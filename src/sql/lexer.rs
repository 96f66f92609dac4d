//! A small lexer that lifts literals out of a statement's text.
