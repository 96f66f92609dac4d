//! Text: lexer, syntax tree, credential statements, templates.

pub mod absent;
pub mod advisory;
pub mod alter;
pub mod auth_variable;
pub mod comment;
pub mod conflict_target;
pub mod constraint_timing;
pub mod copy;
pub mod create_as;
pub mod credential;
pub mod depth;
pub mod dialect;
mod expressions;
pub mod fetch;
pub mod lexer;
pub mod like;
pub mod literal_rows;
pub mod locate;
pub mod overriding;
pub mod parse;
pub mod row_locks;
pub mod scrolls;
pub mod sequence;
mod table_command;
pub mod template;
pub mod utility;
pub mod without_literals;
