//! A running sum of numbers from which values can be taken again.

use crate::engine::query::failure;
use crate::engine::types::number::Number;
use datafusion::error::Result;

/// What has been added: finite numbers by their sum, the others by how many there were.
#[derive(Clone, Debug)]
pub struct NumberSum {
    finite: Number,
    not_a_number: i64,
    infinite: i64,
    negative_infinite: i64,
}

impl Default for NumberSum {
    fn default() -> Self {
        NumberSum {
            finite: Number::of_integer(0),
            not_a_number: 0,
            infinite: 0,
            negative_infinite: 0,
        }
    }
}

impl NumberSum {
    /// Adds a number, or takes one away that was added.
    ///
    /// # Errors
    /// What a sum has no room for.
    pub fn add(&mut self, number: Number, more: bool) -> Result<()> {
        let step = if more { 1 } else { -1 };
        match number {
            Number::NaN => self.not_a_number += step,
            Number::Infinity(false) => self.infinite += step,
            Number::Infinity(true) => self.negative_infinite += step,
            finite => {
                let sum = match more {
                    true => self.finite.plus(&finite),
                    false => self.finite.minus(&finite),
                };
                self.finite = sum.map_err(failure::external)?;
            }
        }
        Ok(())
    }

    /// The sum.
    pub fn value(self) -> Number {
        match (self.infinite, self.negative_infinite) {
            _ if self.not_a_number > 0 => Number::NaN,
            (0, 0) => self.finite,
            (_, 0) => Number::Infinity(false),
            (0, _) => Number::Infinity(true),
            _ => Number::NaN,
        }
    }
}
