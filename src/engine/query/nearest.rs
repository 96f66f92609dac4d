//! Names near a column that does not exist, for the hint that PostgreSQL gives.
//! Source: PostgreSQL 15, `updateFuzzyAttrMatch` and `errorMissingColumn`.

use datafusion::common::Column;

/// Names farther away are none that anybody meant.
const DISTANCE_MAX: usize = 3;

/// The hint for a column reference that nothing in scope answers to; None where nothing is near,
/// or too many are.
pub fn hint(missing: &Column, valid: &[Column]) -> Option<String> {
    let mut nearest = Nearest {
        distance: DISTANCE_MAX + 1,
        first: None,
        second: None,
    };
    for column in valid {
        // What planning adds by itself has names that nobody can write.
        if !column.name.starts_with(char::is_control) {
            nearest.consider(missing, column);
        }
    }
    let first = full_name(nearest.first?)?;
    Some(match nearest.second.and_then(full_name) {
        None => format!("Perhaps you meant to reference the column \"{first}\"."),
        Some(second) => format!(
            "Perhaps you meant to reference the column \"{first}\" or the column \"{second}\"."
        ),
    })
}

struct Nearest<'c> {
    distance: usize,
    first: Option<&'c Column>,
    second: Option<&'c Column>,
}

impl<'c> Nearest<'c> {
    fn consider(&mut self, missing: &Column, column: &'c Column) {
        let mut distance = strsim::levenshtein(&column.name, &missing.name);
        // More than half of it different is another name.
        if distance > missing.name.chars().count() / 2 {
            return;
        }
        if let (Some(wanted), Some(found)) = (&missing.relation, &column.relation) {
            distance += strsim::levenshtein(wanted.table(), found.table()).min(DISTANCE_MAX + 1);
        }
        if distance < self.distance {
            *self = Nearest {
                distance,
                first: Some(column),
                second: None,
            };
        } else if distance == self.distance && distance <= DISTANCE_MAX {
            match (self.first, self.second) {
                (Some(_), Some(_)) => {
                    *self = Nearest {
                        distance: distance.saturating_sub(1),
                        first: None,
                        second: None,
                    };
                }
                (Some(_), None) => self.second = Some(column),
                _ => self.first = Some(column),
            }
        }
    }
}

/// `table.column`; a column of nothing is not one to refer to.
fn full_name(column: &Column) -> Option<String> {
    let table = column.relation.as_ref()?.table();
    Some(format!("{table}.{}", column.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_for(missing: &str, valid: &[&str]) -> Option<String> {
        let valid: Vec<Column> = valid.iter().map(|name| Column::from(*name)).collect();
        hint(&Column::from(missing), &valid)
    }

    #[test]
    fn one_or_two_nearest_columns_are_named_and_never_three() {
        let meant = |names: &str| {
            Some(format!(
                "Perhaps you meant to reference the column {names}."
            ))
        };
        let t = ["t.name", "t.id"];
        assert_eq!(hint_for("nam", &t), meant("\"t.name\""));
        assert_eq!(
            hint_for("nope", &["u.code", "t.name"]),
            meant("\"u.code\" or the column \"t.name\"")
        );
        assert_eq!(hint_for("nope", &["u.code", "t.name", "s.mode"]), None);
        assert_eq!(
            hint_for("u.nope", &["u.code", "t.name"]),
            meant("\"u.code\"")
        );
        assert_eq!(hint_for("b", &["w.a"]), None);
    }
}
