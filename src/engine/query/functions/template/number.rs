//! Numbers by a template: to_char(), to_number().

use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types::name::ANY_NUMERIC;
use crate::engine::types::number::{Number, Way};

/// A letter of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// 9: a digit, blank before the number.
    Nine,
    /// 0: a digit always.
    Zero,
    Point,
    Group,
    Literal(char),
    /// S, MI, PL, SG, PR.
    Leading,
    Minus,
    Plus,
    Both,
    Brackets,
    Ordinal(bool),
    Currency,
}

struct Template {
    signs: Vec<Sign>,
    fill: bool,
}

fn template(text: &str) -> Result<Template, Diagnostic> {
    let mut signs = Vec::new();
    let mut fill = false;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let two = rest.get(..2).map(str::to_ascii_uppercase);
        let (sign, length) = match (two.as_deref(), letter) {
            (Some("FM"), _) => {
                fill = true;
                rest = &rest[2..];
                continue;
            }
            (Some("MI"), _) => (Sign::Minus, 2),
            (Some("PL"), _) => (Sign::Plus, 2),
            (Some("SG"), _) => (Sign::Both, 2),
            (Some("PR"), _) => (Sign::Brackets, 2),
            (Some("TH"), _) => (Sign::Ordinal(letter == 'T'), 2),
            (Some("RN"), _) => return Err(Diagnostic::unsupported("the template pattern RN")),
            (Some("EE"), _) => return Err(Diagnostic::unsupported("the template pattern EEEE")),
            (_, '9') => (Sign::Nine, 1),
            (_, '0') => (Sign::Zero, 1),
            (_, '.' | 'D' | 'd') => (Sign::Point, 1),
            (_, ',' | 'G' | 'g') => (Sign::Group, 1),
            (_, 'S' | 's') => (Sign::Leading, 1),
            (_, 'L' | 'l') => (Sign::Currency, 1),
            (_, 'V' | 'v') => return Err(Diagnostic::unsupported("the template pattern V")),
            (_, '"') => {
                let quoted = &rest[1..];
                let end = quoted.find('"').unwrap_or(quoted.len());
                signs.extend(quoted[..end].chars().map(Sign::Literal));
                rest = quoted.get(end + 1..).unwrap_or("");
                continue;
            }
            (_, other) => (Sign::Literal(other), other.len_utf8()),
        };
        signs.push(sign);
        rest = &rest[length..];
    }
    if signs.iter().filter(|sign| **sign == Sign::Point).count() > 1 {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "multiple decimal points",
        ));
    }
    Ok(Template { signs, fill })
}

/// The number by a template.
///
/// # Errors
/// 42601 for a template that is none; 0A000 for patterns that are not here.
pub fn print(number: &Number, text: &str) -> Result<String, Diagnostic> {
    let Template { signs, fill } = template(text)?;
    let point = signs.iter().position(|sign| *sign == Sign::Point);
    let is_digit = |sign: &Sign| matches!(sign, Sign::Nine | Sign::Zero);
    let before = &signs[..point.unwrap_or(signs.len())];
    let whole_width = before.iter().filter(|sign| is_digit(sign)).count();
    let decimals = match point {
        Some(point) => signs[point..].iter().filter(|sign| is_digit(sign)).count(),
        None => 0,
    };
    let negative = number.is_negative();
    let rounded = number
        .clone()
        .absolute()
        .rescaled(decimals as i32, Way::Nearest)?;
    let digits = rounded.to_string();
    let special = !digits.starts_with(|first: char| first.is_ascii_digit());
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let fraction = format!("{fraction:0<decimals$}");
    // A whole part of 0 is not shown where a decimal is.
    let whole = if whole == "0" && decimals > 0 {
        ""
    } else {
        whole
    };
    // NaN and Infinity stand where the digits of a whole part do, if they have room.
    let overflows = whole.len() > whole_width;
    // Where the number begins among the places for digits.
    let first_zero = before
        .iter()
        .filter(|sign| is_digit(sign))
        .position(|sign| *sign == Sign::Zero);
    let number_start = whole_width.saturating_sub(whole.len());
    let start = first_zero.map_or(number_start, |zero| zero.min(number_start));
    let own_sign = signs.iter().any(|sign| {
        matches!(
            sign,
            Sign::Leading | Sign::Minus | Sign::Plus | Sign::Both | Sign::Brackets
        )
    });
    let brackets = signs.contains(&Sign::Brackets);
    let mut out = String::new();
    // The sign stands right before the number, and blanks before it.
    let mut sign_due = !own_sign || brackets || signs.first() == Some(&Sign::Leading);
    let mark = match (negative, brackets, own_sign) {
        (true, true, _) => "<",
        (true, ..) => "-",
        (false, false, true) => "+",
        _ if fill => "",
        _ => " ",
    };
    let mut place = 0;
    let mut decimal = 0;
    for (index, sign) in signs.iter().enumerate() {
        let past_point = point.is_some_and(|point| index > point);
        match sign {
            Sign::Nine | Sign::Zero if past_point => {
                if overflows {
                    out.push('#');
                } else {
                    out.push(fraction.as_bytes()[decimal] as char);
                }
                decimal += 1;
            }
            Sign::Nine | Sign::Zero => {
                if place == start || overflows && place == 0 {
                    due(&mut sign_due, mark, &mut out);
                }
                if overflows {
                    out.push('#');
                } else if place >= number_start {
                    out.push(whole.as_bytes()[place - number_start] as char);
                } else if place >= start {
                    out.push('0');
                } else if !fill {
                    out.push(' ');
                }
                place += 1;
            }
            Sign::Group => {
                let inside = overflows || place > start;
                match (inside, fill) {
                    (true, _) => out.push(','),
                    (false, false) => out.push(' '),
                    (false, true) => {}
                }
            }
            Sign::Point if special && !overflows => break,
            Sign::Point => {
                due(&mut sign_due, mark, &mut out);
                out.push('.');
            }
            Sign::Leading if index > 0 => out.push(if negative { '-' } else { '+' }),
            Sign::Minus if negative => out.push('-'),
            Sign::Minus | Sign::Plus if !fill && (*sign == Sign::Minus || negative) => {
                out.push(' ')
            }
            Sign::Plus if !negative => out.push('+'),
            Sign::Both => out.push(if negative { '-' } else { '+' }),
            Sign::Brackets => match (negative, fill) {
                (true, _) => out.push('>'),
                (false, false) => out.push(' '),
                (false, true) => {}
            },
            Sign::Ordinal(upper) if !negative && decimals == 0 => {
                let suffix = ordinal(whole);
                out.push_str(&if *upper {
                    suffix.to_uppercase()
                } else {
                    suffix.to_owned()
                });
            }
            Sign::Currency if !fill => out.push(' '),
            Sign::Literal(letter) => out.push(*letter),
            _ => {}
        }
    }
    due(&mut sign_due, mark, &mut out);
    if fill
        && let Some(point) = point
        && out.contains('.')
    {
        trim_nines(&signs[point + 1..], &mut out);
    }
    Ok(out)
}

fn due(due: &mut bool, mark: &str, out: &mut String) {
    if std::mem::take(due) {
        out.push_str(mark);
    }
}

/// FM drops zeros at the end that stand for a 9.
fn trim_nines(decimals: &[Sign], out: &mut String) {
    let nines = decimals
        .iter()
        .rev()
        .take_while(|sign| **sign == Sign::Nine);
    for _ in nines {
        if !out.ends_with('0') {
            break;
        }
        out.pop();
    }
}

fn ordinal(whole: &str) -> &'static str {
    match whole.as_bytes() {
        [.., b'1', _] => "th",
        [.., b'1'] => "st",
        [.., b'2'] => "nd",
        [.., b'3'] => "rd",
        _ => "th",
    }
}

/// The number that a text says by a template.
///
/// # Errors
/// As [`print`]; 22P02 for a text without digits.
pub fn read(text: &str, text_template: &str) -> Result<Number, Diagnostic> {
    let Template { signs, .. } = template(text_template)?;
    let mut negative = false;
    let mut digits = String::new();
    let mut point = false;
    for letter in text.trim().chars() {
        match letter {
            '-' | '<' => negative = true,
            '.' if !point && signs.contains(&Sign::Point) => {
                point = true;
                digits.push('.');
            }
            digit if digit.is_ascii_digit() => digits.push(digit),
            _ => {}
        }
    }
    if negative {
        digits.insert(0, '-');
    }
    let decimals = match signs.iter().position(|sign| *sign == Sign::Point) {
        Some(at) => signs[at..]
            .iter()
            .filter(|sign| matches!(sign, Sign::Nine | Sign::Zero))
            .count(),
        None => 0,
    };
    let any: SqlType = ANY_NUMERIC;
    let number = Number::parse(&digits, any)?;
    match number.scale() {
        Some(scale) if scale as usize > decimals => {
            number.rescaled(decimals as i32, Way::TowardsZero)
        }
        _ => Ok(number),
    }
}
