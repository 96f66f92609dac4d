//! CREATE, ALTER and DROP of tables and what belongs to them.
