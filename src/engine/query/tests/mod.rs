//! Queries against PostgreSQL's answers, and what queries must not do.

mod oracle;
mod psql;
mod running;
mod world;

use world::World;
