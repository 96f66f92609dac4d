//! One session: state, settings, transaction, prepared statements, portals, COPY, its end.

pub mod settings;
