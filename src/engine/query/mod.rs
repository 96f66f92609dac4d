//! Everything else: DataFusion on the query pool.
