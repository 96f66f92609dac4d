//! Values worked out by PostgreSQL 15, and laws.

use super::*;
use crate::engine::types::name::{ANY_NUMERIC, numeric_type};
use bytes::BytesMut;

fn number(text: &str) -> Number {
    Number::parse(text, ANY_NUMERIC).expect(text)
}

fn told(result: Result<Number, Diagnostic>) -> String {
    match result {
        Ok(number) => number.to_string(),
        Err(error) => error.message().to_owned(),
    }
}

#[test]
fn what_is_read_is_printed_with_its_own_scale() {
    for (input, printed) in [
        ("1.50", "1.50"),
        ("-0.001", "-0.001"),
        ("1e3", "1000"),
        ("1.5e-3", "0.0015"),
        (".5", "0.5"),
        (" 007 ", "7"),
        ("-0.00", "0.00"),
        ("12345678.90120", "12345678.90120"),
        ("100000000", "100000000"),
        ("1e-9", "0.000000001"),
        ("nan", "NaN"),
        ("-INF", "-Infinity"),
        ("+infinity", "Infinity"),
    ] {
        assert_eq!(number(input).to_string(), printed, "{input}");
    }
    for input in ["", ".", "e1", "1e", "1.2.3", "x", "1 2", "--1", "+nan"] {
        assert!(Number::parse(input, ANY_NUMERIC).is_err(), "{input}");
    }
}

#[test]
fn quotients_have_the_scale_that_postgresql_gives_them() {
    for (left, right, quotient) in [
        ("1.0", "3", "0.33333333333333333333"),
        ("10", "3.0", "3.3333333333333333"),
        (
            "1",
            "3.00000000000000000000000",
            "0.33333333333333333333333",
        ),
        ("100000000.0", "3", "33333333.333333333333"),
        ("1.0", "30000000", "0.000000033333333333333333"),
        ("2.0", "4", "0.50000000000000000000"),
        ("1e20", "3", "33333333333333333333"),
        ("-1", "8.0", "-0.12500000000000000000"),
        ("1", "Infinity", "0"),
        ("1", "0.0", "division by zero"),
        ("99999999", "9999.9999", "10000.0000000000000000"),
    ] {
        assert_eq!(
            told(number(left).over(&number(right))),
            quotient,
            "{left} / {right}"
        );
    }
}

#[test]
fn roots_powers_and_logarithms_are_those_of_postgresql() {
    let of = |function: fn(&Number) -> Result<Number, Diagnostic>, text: &str| {
        told(function(&number(text)))
    };
    for (text, root) in [
        ("2.0", "1.414213562373095"),
        ("4", "2.000000000000000"),
        ("0", "0.000000000000000"),
        ("-1", "cannot take square root of a negative number"),
    ] {
        assert_eq!(of(Number::square_root, text), root, "{text}");
    }
    assert_eq!(of(Number::exponential, "1.0"), "2.7182818284590452");
    assert_eq!(of(Number::natural_logarithm, "2.0"), "0.6931471805599453");
    let ten = number("10");
    assert_eq!(told(number("2.0").logarithm(&ten)), "0.3010299956639812");
    for (base, exponent, power) in [
        ("2.0", "3", "8.0000000000000000"),
        ("2.0", "0.5", "1.4142135623730950"),
        ("2.0", "-1", "0.5000000000000000"),
        ("0", "-1", "zero raised to a negative power is undefined"),
        (
            "-8",
            "0.5",
            "a negative number raised to a non-integer power yields a complex result",
        ),
    ] {
        let told = told(number(base).to_the_power(&number(exponent)));
        assert_eq!(told, power, "{base} ^ {exponent}");
    }
}

#[test]
fn a_modifier_rounds_half_away_from_zero_and_refuses_what_does_not_fit() {
    let fit = |text: &str, precision, scale| told(number(text).fit(numeric_type(precision, scale)));
    assert_eq!(fit("1.005", 5, 2), "1.01");
    assert_eq!(fit("-1.005", 5, 2), "-1.01");
    assert_eq!(fit("999.995", 5, 2), "numeric field overflow");
    assert_eq!(fit("12345", 3, -2), "12300");
    assert_eq!(fit("NaN", 5, 2), "NaN");
    assert_eq!(fit("Infinity", 5, 2), "numeric field overflow");
}

#[test]
fn more_digits_than_there_may_be_are_refused_and_named() {
    let long = "9".repeat(DIGITS_MAX);
    assert!(Number::parse(&long, ANY_NUMERIC).is_ok());
    let error = Number::parse(&format!("{long}9"), ANY_NUMERIC).expect_err("one more");
    assert_eq!(error.sqlstate().as_str(), "0A000");
    assert!(number(&long).times(&number(&long)).is_err());
    assert!(number("1e130000").over(&number("3")).is_err());
    assert!(number("1e130000").plus(&number("1e-16000")).is_err());
    assert_eq!(
        told(Number::parse("1e131073", ANY_NUMERIC)),
        "value overflows numeric format"
    );
}

proptest::proptest! {
    #[test]
    fn text_binary_and_ordered_bytes_read_back_the_same(
        unscaled in -10i128.pow(37)..10i128.pow(37), scale in 0i8..=30, inverted: bool,
    ) {
        let value = Number::of_decimal(unscaled, scale);
        proptest::prop_assert_eq!(&number(&value.to_string()), &value);
        let mut out = BytesMut::new();
        value.write_binary(&mut out);
        proptest::prop_assert_eq!(parse_binary(&out, ANY_NUMERIC).expect("a numeric"), Ok(value.clone()));
        let ordered = value.to_ordered();
        proptest::prop_assert_eq!(Number::of_ordered(&ordered), Some(value.clone()));
        let mut key = order::key_of(&ordered).to_vec();
        let length = key.len();
        key.extend([7, 7, 7]);
        if inverted {
            key.iter_mut().for_each(|byte| *byte = !*byte);
        }
        proptest::prop_assert_eq!(order::key_length(&key, inverted), Some(length));
        let decimal = value.to_decimal().expect("37 digits");
        proptest::prop_assert_eq!((decimal.unscaled, decimal.scale), (unscaled, scale as u8));
    }

    #[test]
    fn keys_are_in_the_order_of_their_numbers(
        left in -10i128.pow(20)..10i128.pow(20), left_scale in 0i8..=12,
        right in -10i128.pow(20)..10i128.pow(20), right_scale in 0i8..=12,
    ) {
        let (a, b) = (Number::of_decimal(left, left_scale), Number::of_decimal(right, right_scale));
        let (key_a, key_b) = (a.to_ordered(), b.to_ordered());
        let by_key = order::key_of(&key_a).cmp(order::key_of(&key_b));
        proptest::prop_assert_eq!(by_key, a.compare(&b));
        let exact = (left * 10i128.pow(right_scale as u32)).cmp(&(right * 10i128.pow(left_scale as u32)));
        proptest::prop_assert_eq!(a.compare(&b), exact);
    }

    #[test]
    fn arithmetic_agrees_with_integers(left in -10i128.pow(18)..10i128.pow(18), right in -10i128.pow(18)..10i128.pow(18)) {
        let (a, b) = (Number::of_integer(left), Number::of_integer(right));
        proptest::prop_assert_eq!(a.plus(&b).expect("a sum").to_integer(), Some(left + right));
        proptest::prop_assert_eq!(a.minus(&b).expect("a difference").to_integer(), Some(left - right));
        proptest::prop_assert_eq!(a.times(&b).expect("a product").to_integer(), Some(left * right));
        if right != 0 {
            proptest::prop_assert_eq!(a.modulo(&b).expect("a rest").to_integer(), Some(left % right));
            proptest::prop_assert_eq!(a.whole_quotient(&b).expect("a quotient").to_integer(), Some(left / right));
        }
    }

    #[test]
    fn rounding_agrees_with_integers(value in -10i128.pow(15)..10i128.pow(15), scale in 0i8..=8, to in -3i32..=6) {
        let rounded = Number::of_decimal(value, scale).rescaled(to, Way::Nearest).expect("it is smaller");
        let drop = (i32::from(scale) - to).max(0) as u32;
        let unit = 10i128.pow(drop);
        let half = (value.abs() % unit) * 2 >= unit && drop > 0;
        let expected = (value.abs() / unit + i128::from(half)) * value.signum();
        let exact = Number::of_decimal(expected, (i32::from(scale) - drop as i32) as i8);
        proptest::prop_assert!(rounded.compare(&exact).is_eq(), "{value} {scale} {to}: {rounded} {exact}");
    }
}
