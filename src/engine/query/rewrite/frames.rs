//! Offsets of window frames that are intervals: `RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW`.
//!
//! The planner takes the text of a number or a literal there, and nothing else: an interval goes in the place of
//! the number's digits, as a text that [`Offset::of`] reads again where the order's type is known.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::{self, Input, interval};
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use sqlparser::ast::{
    Expr, NamedWindowDefinition, NamedWindowExpr, Query, Select, Value, VisitMut, VisitorMut,
    WindowFrameBound, WindowSpec, WindowType,
};
use std::ops::ControlFlow;

/// Stands before an interval's parts; no number begins with it.
const MARK: &str = "interval";

/// An offset that is an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// How far.
    pub interval: IntervalMonthDayNano,
    /// The session's zone is one in which a day may have other than 24 hours.
    pub zoned: bool,
}

impl Offset {
    /// The offset that a frame's bound carries; None for a number.
    pub fn of(bound: &str) -> Option<Offset> {
        let mut parts = bound.strip_prefix(MARK)?.split_ascii_whitespace();
        let mut next = || parts.next();
        let interval = IntervalMonthDayNano {
            months: next()?.parse().ok()?,
            days: next()?.parse().ok()?,
            nanoseconds: next()?.parse().ok()?,
        };
        let zoned = next()? == "zoned";
        Some(Offset { interval, zoned })
    }

    fn bound(self) -> String {
        let IntervalMonthDayNano {
            months,
            days,
            nanoseconds,
        } = self.interval;
        let zone = match self.zoned {
            true => "zoned",
            false => "universal",
        };
        format!("{MARK} {months} {days} {nanoseconds} {zone}")
    }
}

/// Writes the intervals of every window's frame as such texts.
pub fn rewrite(query: &mut Query, input: Input<'_>) {
    let _ = query.visit(&mut Frames { input });
}

struct Frames<'a> {
    input: Input<'a>,
}

impl VisitorMut for Frames<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for NamedWindowDefinition(_, window) in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(window) = window {
                self.frame(window);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(window)) = &mut function.over
        {
            self.frame(window);
        }
        ControlFlow::Continue(())
    }
}

impl Frames<'_> {
    fn frame(&self, window: &mut WindowSpec) {
        let Some(frame) = &mut window.window_frame else {
            return;
        };
        let bounds = std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound);
        for bound in bounds {
            if let WindowFrameBound::Preceding(Some(offset))
            | WindowFrameBound::Following(Some(offset)) = bound
                && let Some(digits) = self.digits(offset)
            {
                **offset = Expr::value(Value::Number(digits, false));
            }
        }
    }

    /// What stands for the offset, if it is a literal: a number that is quoted or cast, or an interval.
    fn digits(&self, offset: &Expr) -> Option<String> {
        if let Expr::Cast { expr, .. } = offset
            && let Expr::Value(value) = &**expr
            && let Value::Number(digits, _) = &value.value
        {
            return Some(digits.clone());
        }
        let text = text_of(offset, self.input)?;
        // Without INTERVAL before it: what it is, is not said.
        if text.bytes().all(|byte| byte.is_ascii_digit()) && matches!(offset, Expr::Interval(_)) {
            return Some(text);
        }
        let offset = Offset {
            interval: interval::parse(&text).ok()?,
            zoned: self.input.settings.time_zone != chrono_tz::Tz::UTC,
        };
        Some(offset.bound())
    }
}

/// The text of an interval's literal, its unit behind it.
fn text_of(offset: &Expr, input: Input<'_>) -> Option<String> {
    let is_interval = |data_type| {
        types::from_ast(data_type, input)
            .is_ok_and(|sql_type| sql_type == SqlType::scalar(TypeKind::Interval))
    };
    match offset {
        Expr::Interval(interval) => {
            let text = quoted(&interval.value)?;
            match (&interval.leading_field, &interval.last_field) {
                (None, None) => Some(text.to_owned()),
                (Some(unit), None) => Some(format!("{text} {unit}")),
                _ => None,
            }
        }
        Expr::TypedString(typed) if is_interval(&typed.data_type) => match &typed.value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        Expr::Cast {
            expr, data_type, ..
        } if is_interval(data_type) => quoted(expr).map(str::to_owned),
        Expr::Nested(inner) => text_of(inner, input),
        _ => None,
    }
}

fn quoted(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_reads_back_from_the_place_of_a_number() {
        let offset = Offset {
            interval: IntervalMonthDayNano::new(-1, 2, 3_000),
            zoned: true,
        };
        assert_eq!(Offset::of(&offset.bound()), Some(offset));
        assert_eq!(Offset::of("12"), None);
    }
}
