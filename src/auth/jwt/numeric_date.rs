//! NumericDate (RFC 7519 §2): seconds since 1970 as a number, a fraction allowed.

use serde_json::{Number, Value};

/// The end of the year 9999: later dates are typing errors or attacks.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Unix microseconds. None for whatever is not a number from 1970 to 9999.
pub fn microseconds(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else {
        return None;
    };
    match number.as_i64() {
        Some(seconds) => (0..=SECONDS_MAX)
            .contains(&seconds)
            .then(|| seconds * 1_000_000),
        None => fraction(number),
    }
}

fn fraction(number: &Number) -> Option<i64> {
    let seconds = number.as_f64()?;
    // In this range a double tells microseconds apart well enough: to a 32,768th of a second.
    (0.0..=SECONDS_MAX as f64)
        .contains(&seconds)
        .then_some((seconds * 1e6) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_and_broken_seconds_are_dates() {
        assert_eq!(microseconds(&json!(0)), Some(0));
        assert_eq!(
            microseconds(&json!(1_300_819_380)),
            Some(1_300_819_380_000_000)
        );
        assert_eq!(
            microseconds(&json!(1_300_819_380.5)),
            Some(1_300_819_380_500_000)
        );
        assert_eq!(microseconds(&json!(1.3e9)), Some(1_300_000_000_000_000));
        assert_eq!(
            microseconds(&json!(SECONDS_MAX)),
            Some(SECONDS_MAX * 1_000_000)
        );
    }

    #[test]
    fn texts_and_numbers_outside_of_the_calendar_are_not() {
        let others = [
            json!("1300819380"),
            json!(null),
            json!([1_300_819_380]),
            json!(true),
            json!(-1),
            json!(-0.5),
            json!(SECONDS_MAX + 1),
            json!(u64::MAX),
            json!(1e300),
            json!(i64::MIN),
        ];
        for other in others {
            assert_eq!(microseconds(&other), None, "{other}");
        }
    }
}
