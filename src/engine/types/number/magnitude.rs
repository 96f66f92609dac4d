//! Non-negative numbers as digits of base 10,000 around a decimal point.

use super::{BASE, GROUP};
use std::cmp::Ordering;

/// Digits, the most significant first; the first of them counts 10,000^`weight`. Neither the first
/// nor the last is 0; of 0 there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Magnitude {
    weight: i32,
    digits: Vec<u16>,
}

impl Magnitude {
    /// From digits that may begin and end with zeros.
    pub fn new(mut weight: i32, mut digits: Vec<u16>) -> Magnitude {
        let significant = digits.iter().rposition(|digit| *digit != 0);
        digits.truncate(significant.map_or(0, |last| last + 1));
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        weight -= zeros as i32;
        Magnitude {
            weight: if digits.is_empty() { 0 } else { weight },
            digits,
        }
    }

    /// `value` × 10^-`scale`.
    pub fn of(value: u128, scale: i32) -> Magnitude {
        // Digits are filled up so that the point falls between two of them.
        let places = scale.div_euclid(GROUP) + i32::from(scale.rem_euclid(GROUP) != 0);
        let fill = (places * GROUP - scale) as u32;
        let mut digits = Vec::with_capacity(11);
        let mut rest = value;
        if fill > 0 && rest > 0 {
            let split = 10u128.pow(GROUP as u32 - fill);
            digits.push((rest % split) as u16 * 10u16.pow(fill));
            rest /= split;
        }
        while rest > 0 {
            digits.push((rest % u128::from(BASE)) as u16);
            rest /= u128::from(BASE);
        }
        digits.reverse();
        Magnitude::new(digits.len() as i32 - 1 - places, digits)
    }

    /// The value × 10^`scale`, which must be whole; None past a u128.
    pub fn scaled(&self, scale: i32) -> Option<u128> {
        let Some((last, before)) = self.digits.split_last() else {
            return Some(0);
        };
        let mut value: u128 = 0;
        for digit in before {
            value = value.checked_mul(u128::from(BASE))?;
            value = value.checked_add(u128::from(*digit))?;
        }
        // Of the last digit only the decimals that the scale keeps are left.
        let exponent = self.lowest() * GROUP + scale;
        let dropped = 10u128.checked_pow((-exponent).max(0).unsigned_abs())?;
        let last = u128::from(*last);
        if dropped > u128::from(BASE) || last % dropped != 0 {
            return None;
        }
        value = value.checked_mul(u128::from(BASE) / dropped)?;
        value = value.checked_add(last / dropped)?;
        value.checked_mul(10u128.checked_pow(exponent.max(0).unsigned_abs())?)
    }

    /// How many digits there are.
    pub fn len(&self) -> usize {
        self.digits.len()
    }

    /// Whether the value is 0.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The digits.
    pub fn digits(&self) -> &[u16] {
        &self.digits
    }

    /// What the first digit counts, as a power of 10,000.
    pub fn weight(&self) -> i32 {
        self.weight
    }

    /// What the last digit counts.
    pub fn lowest(&self) -> i32 {
        self.weight + 1 - self.digits.len() as i32
    }

    /// Whether the weight has its place in the binary form.
    pub fn weight_fits(&self) -> bool {
        i16::try_from(self.weight).is_ok()
    }

    /// The digit that counts 10,000^`weight`.
    pub fn at(&self, weight: i32) -> u16 {
        usize::try_from(self.weight - weight)
            .ok()
            .and_then(|index| self.digits.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// By value.
    pub fn compare(&self, other: &Magnitude) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (false, false) => self
                .weight
                .cmp(&other.weight)
                .then_with(|| self.digits.cmp(&other.digits)),
            (left, right) => right.cmp(&left),
        }
    }

    /// The sum.
    pub fn plus(&self, other: &Magnitude) -> Magnitude {
        if self.is_zero() {
            return other.clone();
        }
        if other.is_zero() {
            return self.clone();
        }
        let top = self.weight.max(other.weight) + 1;
        let bottom = self.lowest().min(other.lowest());
        let mut digits = vec![0; (top - bottom + 1) as usize];
        let mut carry = 0;
        for (index, digit) in digits.iter_mut().rev().enumerate() {
            let weight = bottom + index as i32;
            let sum = u32::from(self.at(weight)) + u32::from(other.at(weight)) + carry;
            *digit = (sum % BASE) as u16;
            carry = sum / BASE;
        }
        Magnitude::new(top, digits)
    }

    /// The difference; `other` is not larger.
    pub fn minus(&self, other: &Magnitude) -> Magnitude {
        debug_assert!(self.compare(other) != Ordering::Less);
        if other.is_zero() {
            return self.clone();
        }
        let bottom = self.lowest().min(other.lowest());
        let mut digits = vec![0; (self.weight - bottom + 1) as usize];
        let mut borrow = 0;
        for (index, digit) in digits.iter_mut().rev().enumerate() {
            let weight = bottom + index as i32;
            let rest = i32::from(self.at(weight)) - i32::from(other.at(weight)) - borrow;
            borrow = i32::from(rest < 0);
            *digit = (rest + borrow * BASE as i32) as u16;
        }
        Magnitude::new(self.weight, digits)
    }

    /// The product. Costs the product of the numbers of digits.
    pub fn times(&self, other: &Magnitude) -> Magnitude {
        if self.is_zero() || other.is_zero() {
            return Magnitude::default();
        }
        let mut digits = vec![0u32; self.len() + other.len()];
        for (i, left) in self.digits.iter().enumerate().rev() {
            let mut carry = 0;
            for (j, right) in other.digits.iter().enumerate().rev() {
                let at = &mut digits[i + j + 1];
                let sum = *at + u32::from(*left) * u32::from(*right) + carry;
                *at = sum % BASE;
                carry = sum / BASE;
            }
            digits[i] = carry;
        }
        let digits = digits.into_iter().map(|digit| digit as u16).collect();
        Magnitude::new(self.weight + other.weight + 1, digits)
    }
}
