//! The names of PostgreSQL 15's own functions, so that one we do not have is called unsupported
//! (0A000) rather than unknown (42883).
//!
//! `postgresql_15.txt` is `SELECT DISTINCT proname FROM pg_proc` of its pg_catalog, in byte order.

use std::sync::OnceLock;

const NAMES: &str = include_str!("postgresql_15.txt");

/// Whether PostgreSQL 15 has functions of this name.
pub fn has(name: &str) -> bool {
    static SORTED: OnceLock<Vec<&str>> = OnceLock::new();
    let sorted = SORTED.get_or_init(|| NAMES.lines().collect());
    sorted.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_byte_order_and_without_duplicates() {
        let names: Vec<&str> = NAMES.lines().collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(names.len() > 2_000);
        for name in ["abs", "xpath", "pg_get_viewdef", "ts_rank", "zero_or_more"] {
            assert_eq!(has(name), names.contains(&name), "{name}");
        }
        assert!(has("abs") && has("xpath") && !has("nope"));
    }
}
