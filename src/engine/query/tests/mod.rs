//! Queries against PostgreSQL's answers, and what queries must not do.

mod auth_variables;
mod oracle;
mod psql;
mod running;
mod world;

use world::World;
