//! To a scale: rounded half away from zero, cut, up and down; and into numeric(p,s).

use super::magnitude::Magnitude;
use super::{BASE, Finite, GROUP, Number};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types::name::numeric_modifier_wide;

/// Where what stands behind the last decimal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// To the nearest, halves away from zero.
    Nearest,
    /// Away.
    TowardsZero,
    /// To the next larger.
    Up,
    /// To the next smaller.
    Down,
}

impl Magnitude {
    /// Cut behind `scale` decimals (before the point where negative), and the first decimal that
    /// fell, and whether anything but zeros did.
    fn cut(&self, scale: i32) -> (Magnitude, u16, bool) {
        // The last group that is kept, and how many of its decimals.
        let group = -scale.div_euclid(GROUP) - i32::from(scale.rem_euclid(GROUP) != 0);
        let kept = (scale + group * GROUP + GROUP - 1).rem_euclid(GROUP) + 1;
        let unit = 10u16.pow((GROUP - kept) as u32);
        let within = self.at(group);
        let (fallen, first) = if kept == GROUP {
            (0, self.at(group - 1) / 1_000)
        } else {
            (within % unit, within % unit / (unit / 10))
        };
        let behind = self.lowest() < group && !self.is_zero();
        let count = usize::try_from(self.weight() - group + 1).unwrap_or(0);
        let mut digits: Vec<u16> = self.digits().iter().take(count).copied().collect();
        digits.resize(count, 0);
        if let Some(last) = digits.last_mut() {
            *last -= fallen;
        }
        let cut = Magnitude::new(self.weight(), digits);
        (cut, first, fallen != 0 || behind)
    }

    /// One more at the last of `scale` decimals.
    fn next(&self, scale: i32) -> Magnitude {
        let group = -scale.div_euclid(GROUP) - i32::from(scale.rem_euclid(GROUP) != 0);
        let place = (-scale - group * GROUP) as u32;
        debug_assert!(10u32.pow(place) < BASE);
        self.plus(&Magnitude::new(group, vec![10u16.pow(place)]))
    }
}

impl Finite {
    /// With this scale, rounded to the nearest.
    pub(super) fn rounded(self, scale: i32) -> Finite {
        self.rescaled(scale, Way::Nearest)
    }

    /// With this scale.
    pub(super) fn rescaled(self, scale: i32, way: Way) -> Finite {
        let shown = scale.max(0);
        if scale >= self.scale {
            return Finite::new(self.negative, self.magnitude, shown);
        }
        let (cut, first, inexact) = self.magnitude.cut(scale);
        let further = match way {
            Way::Nearest => first >= 5,
            Way::TowardsZero => false,
            Way::Up => inexact && !self.negative,
            Way::Down => inexact && self.negative,
        };
        let magnitude = if further { cut.next(scale) } else { cut };
        Finite::new(self.negative, magnitude, shown)
    }
}

impl Number {
    /// With `scale` decimals; below 0, with zeros before the point.
    ///
    /// # Errors
    /// 22003 past the largest number.
    pub fn rescaled(self, scale: i32, way: Way) -> Result<Number, Diagnostic> {
        match self {
            Number::Finite(finite) => finite.rescaled(scale, way).checked(),
            other => Ok(other),
        }
    }

    /// As numeric(p,s) of this type keeps it; as it is where the type has no modifier.
    ///
    /// # Errors
    /// 22003 `numeric field overflow` as PostgreSQL tells it.
    pub fn fit(self, sql_type: SqlType) -> Result<Number, Diagnostic> {
        if sql_type.typmod < 4 {
            return Ok(self);
        }
        let (precision, scale) = numeric_modifier_wide(sql_type.typmod);
        let finite = match self {
            Number::Finite(finite) => finite.rounded(scale),
            Number::NaN => return Ok(Number::NaN),
            Number::Infinity(_) => {
                return Err(field_overflow(format!(
                    "A field with precision {precision}, scale {scale} cannot hold an infinite value."
                )));
            }
        };
        let limit = Magnitude::of(1, scale - precision);
        if finite.magnitude.compare(&limit) != std::cmp::Ordering::Less {
            let limit = match precision - scale {
                0 => "1".to_owned(),
                digits => format!("10^{digits}"),
            };
            return Err(field_overflow(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
            )));
        }
        finite.checked()
    }

    /// Without the zeros at the end of its decimals.
    pub fn trimmed(self) -> Number {
        match self {
            Number::Finite(finite) => {
                let scale = finite.scale_min();
                Number::Finite(Finite::new(finite.negative, finite.magnitude, scale))
            }
            other => other,
        }
    }

    /// The decimals it takes to print the value; None of NaN and infinities.
    pub fn scale_min(&self) -> Option<i32> {
        match self {
            Number::Finite(finite) => Some(finite.scale_min()),
            _ => None,
        }
    }

    /// The nearest integer, halves away from zero; None past an i128, of NaN and of infinities.
    pub fn to_integer(&self) -> Option<i128> {
        let Number::Finite(finite) = self else {
            return None;
        };
        let whole = finite.clone().rounded(0);
        let magnitude = i128::try_from(whole.magnitude.scaled(0)?).ok()?;
        Some(if whole.negative {
            -magnitude
        } else {
            magnitude
        })
    }
}

impl Finite {
    fn scale_min(&self) -> i32 {
        let Some(last) = self.magnitude.digits().last() else {
            return 0;
        };
        let zeros = match last {
            digit if digit % 1_000 == 0 => 3,
            digit if digit % 100 == 0 => 2,
            digit if digit % 10 == 0 => 1,
            _ => 0,
        };
        (-self.magnitude.lowest() * GROUP - zeros).max(0)
    }
}

fn field_overflow(detail: String) -> Diagnostic {
    Diagnostic::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "numeric field overflow",
    )
    .with_detail(detail)
}
