//! How long a provider lets its keys be kept (RFC 9111 §5.2.2).

/// `max-age` of a Cache-Control header in microseconds; 0 where it may not be kept at all, None where
/// nothing is said.
pub fn max_age(header: &str) -> Option<i64> {
    let mut age = None;
    for directive in header.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(0);
        }
        if name.eq_ignore_ascii_case("max-age") {
            // §1.2.2: a number too large is as good as very large.
            let digits = value.trim_matches('"');
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let seconds = || digits.parse::<i64>().unwrap_or(i64::MAX);
            age = is_number.then(|| seconds().saturating_mul(1_000_000));
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::max_age;

    #[test]
    fn max_age_is_read_and_a_ban_on_keeping_is_zero() {
        let cases = [
            ("max-age=600", Some(600_000_000)),
            (
                "public, max-age=86400, must-revalidate",
                Some(86_400_000_000),
            ),
            ("Public,Max-Age=\"15\"", Some(15_000_000)),
            ("max-age=99999999999999999999", Some(i64::MAX)),
            ("max-age=600, no-store", Some(0)),
            ("no-cache", Some(0)),
            ("max-age=-5", None),
            ("max-age=soon", None),
            ("max-age=", None),
            ("s-maxage=600", None),
            ("", None),
        ];
        for (header, expected) in cases {
            assert_eq!(max_age(header), expected, "{header}");
        }
    }
}
