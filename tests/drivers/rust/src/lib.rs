//! Where the tests connect to: the database of `DATABASE_URL`, for them alone.

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// The database, as drivers take it.
///
/// # Panics
/// When `DATABASE_URL` is not set.
pub fn url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL names the database")
}

/// A pool of twenty connections.
///
/// # Panics
/// When the server does not let it in.
pub async fn pool() -> PgPool {
    let options = PgPoolOptions::new().max_connections(20);
    options
        .connect(&url())
        .await
        .expect("the server lets it in")
}
