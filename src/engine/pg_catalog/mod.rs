//! pg_catalog and information_schema as table providers and functions.
