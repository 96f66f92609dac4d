//! Text: lexer, syntax tree, credential statements, templates.

pub mod copy;
pub mod credential;
pub mod depth;
pub mod dialect;
pub mod lexer;
pub mod parse;
pub mod template;
pub mod utility;
