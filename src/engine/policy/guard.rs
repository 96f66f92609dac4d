//! The policies that bind one statement on one table, with the values that its session has.

use super::compiled::{Compiled, Predicate};
use crate::access::row_policy::{self, Applying};
use crate::catalog::definition::Relation;
use crate::catalog::row_policy::RowAccess;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::dml::value::Row;
use crate::engine::types::Input;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Scalar};
use datafusion::arrow::compute::kernels::cmp;
use datafusion::arrow::compute::{and, or, prep_null_mask_filter};
use datafusion::common::ScalarValue;
use smallvec::SmallVec;
use std::sync::Arc;

/// What a statement does to the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reads them.
    Read,
    /// Locks them (FOR UPDATE and its like).
    Lock,
    /// Makes new ones.
    Insert,
    /// Makes new ones and tells them (RETURNING), or passes over those in the way.
    InsertAndRead,
    /// Makes new ones, or changes those in the way (ON CONFLICT DO UPDATE).
    InsertOrUpdate,
    /// Changes them.
    Update,
    /// Takes them away.
    Delete,
    /// Keeps a foreign key whole: no policy is asked (REFERENCE §9).
    KeepReferences,
}

/// What is asked of each row.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Of rows that are there: all must hold.
    visible: Rules,
    /// Of rows that INSERT makes.
    inserted: Rules,
    /// Of rows as UPDATE leaves them.
    updated: Rules,
}

/// On the heap: the futures of point statements hold a guard, and each message sets one up.
type Rules = Vec<Rule>;

/// The policies of one kind of access together.
#[derive(Clone, Debug)]
struct Rule {
    permissive: Vec<Bound>,
    restrictive: Vec<Bound>,
}

/// A predicate with the session's value, its functions ready for the statement.
#[derive(Clone, Debug)]
struct Bound {
    predicate: Arc<Predicate>,
    owner: Option<ScalarValue>,
    policy: Arc<str>,
}

impl Guard {
    /// What guards the relation's rows from a statement; None: nothing does, there are no policies
    /// or the session is a superuser's. Costs well under a microsecond where they are compiled, and some ten
    /// for each that asks the statement (`current_setting('app.tenant')`).
    pub fn new(relation: &Relation, purpose: Purpose, context: &StatementContext) -> Option<Guard> {
        if purpose == Purpose::KeepReferences || !row_policy::binds(relation, &context.rights) {
            return None;
        }
        let binder = Binder {
            relation,
            compiled: Compiled::of(relation, &context.snapshot.definitions),
            context,
        };
        Some(binder.guard(purpose))
    }

    /// The positions of the columns that [`Guard::shows`] looks at.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        let bounds = self.visible.iter().flat_map(Rule::bounds);
        for bound in bounds {
            bound.predicate.add_columns(&mut columns);
        }
        columns
    }

    /// Whether [`Guard::shows`] looks at the column of this position.
    pub fn looks_at(&self, column: usize) -> bool {
        let mut bounds = self.visible.iter().flat_map(Rule::bounds);
        bounds.any(|bound| bound.predicate.looks_at(column))
    }

    /// Values that a column must have for a row to be visible: what a scan can look up in an index.
    pub fn demanded(&self) -> Vec<(usize, ScalarValue)> {
        let mut demanded = Vec::new();
        for rule in &self.visible {
            let only = match &rule.permissive[..] {
                [only] => Some(only),
                _ => None,
            };
            for bound in rule.restrictive.iter().chain(only) {
                if let (Predicate::Owned { column, .. }, Some(owner)) =
                    (&*bound.predicate, &bound.owner)
                {
                    demanded.push((*column, owner.clone()));
                }
            }
        }
        demanded
    }

    /// Whether a row that is there is visible to the statement.
    pub fn shows(&self, columns: &[ScalarValue], input: Input<'_>) -> bool {
        self.visible.iter().all(|rule| rule.holds(columns, input))
    }

    /// Of which rows of a batch [`Guard::shows`] is true. `columns` has an array for each column of
    /// the table; those that it does not look at may be anything.
    pub fn shown(&self, columns: &[ArrayRef], rows: usize, input: Input<'_>) -> BooleanArray {
        let mut shown = BooleanArray::from(vec![true; rows]);
        for rule in &self.visible {
            shown = both(&shown, &rule.holds_of(columns, rows, input));
        }
        shown
    }

    /// Whether a new row may be made.
    ///
    /// # Errors
    /// 42501 in PostgreSQL's words.
    pub fn admit_inserted(
        &self,
        relation: &Relation,
        row: &[ScalarValue],
        input: Input<'_>,
    ) -> Result<(), Diagnostic> {
        admit(&self.inserted, relation, row, input)
    }

    /// Whether a row may become this.
    ///
    /// # Errors
    /// 42501 in PostgreSQL's words.
    pub fn admit_updated(
        &self,
        relation: &Relation,
        row: &[ScalarValue],
        input: Input<'_>,
    ) -> Result<(), Diagnostic> {
        admit(&self.updated, relation, row, input)
    }

    /// The first row of a batch that may not be made.
    pub fn first_refused(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        input: Input<'_>,
    ) -> Option<usize> {
        let refused = self.inserted.iter().filter_map(|rule| {
            let holds = rule.holds_of(columns, rows, input);
            (0..rows).find(|row| !holds.value(*row))
        });
        refused.min()
    }

    /// The names of the policies that rows must pass to be seen.
    pub fn policies(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for bound in self.visible.iter().flat_map(Rule::bounds) {
            if !names.contains(&bound.policy) {
                names.push(bound.policy.clone());
            }
        }
        names
    }
}

/// 42501 for a row in the way of ON CONFLICT DO UPDATE that the statement may not see or change.
pub fn hidden_conflict(relation: &Relation) -> Diagnostic {
    refused(format!(
        "new row violates row-level security policy (USING expression) for table \"{}\"",
        relation.name
    ))
}

fn refused(message: String) -> Diagnostic {
    Diagnostic::error(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

fn admit(
    rules: &[Rule],
    relation: &Relation,
    row: &[ScalarValue],
    input: Input<'_>,
) -> Result<(), Diagnostic> {
    let Some(rule) = rules.iter().find(|rule| !rule.holds(row, input)) else {
        return Ok(());
    };
    let table = &relation.name;
    let mut restrictive = rule.restrictive.iter();
    Err(refused(
        match restrictive.find(|it| !it.holds(row, input)) {
            Some(bound) => format!(
                "new row violates row-level security policy \"{}\" for table \"{table}\"",
                bound.policy
            ),
            None => format!("new row violates row-level security policy for table \"{table}\""),
        },
    ))
}

struct Binder<'a> {
    relation: &'a Relation,
    compiled: Arc<Compiled>,
    context: &'a StatementContext,
}

/// Which of a policy's two predicates.
#[derive(Clone, Copy)]
enum Clause {
    Using,
    Check,
}

impl Binder<'_> {
    /// As PostgreSQL's table of policies by command (CREATE POLICY), but that a row hidden from
    /// reading is not changed either, WHERE or not.
    fn guard(&self, purpose: Purpose) -> Guard {
        use RowAccess::{Delete, Insert, Read, Update};
        const SEEN: (RowAccess, Clause) = (Read, Clause::Using);
        let visible: &[_] = match purpose {
            Purpose::Read | Purpose::KeepReferences => &[SEEN],
            Purpose::Lock | Purpose::Update | Purpose::InsertOrUpdate => {
                &[SEEN, (Update, Clause::Using)]
            }
            Purpose::Delete => &[SEEN, (Delete, Clause::Using)],
            Purpose::Insert | Purpose::InsertAndRead => &[],
        };
        let inserted: &[_] = match purpose {
            Purpose::Insert => &[(Insert, Clause::Check)],
            Purpose::InsertAndRead | Purpose::InsertOrUpdate => &[SEEN, (Insert, Clause::Check)],
            _ => &[],
        };
        let updated: &[_] = match purpose {
            Purpose::Update | Purpose::InsertOrUpdate => &[SEEN, (Update, Clause::Check)],
            _ => &[],
        };
        Guard {
            visible: self.rules(visible),
            inserted: self.rules(inserted),
            updated: self.rules(updated),
        }
    }

    /// The rules of these accesses; policies FOR ALL are asked once.
    fn rules(&self, wanted: &[(RowAccess, Clause)]) -> Rules {
        let mut known: SmallVec<[(Applying, bool); 2]> = SmallVec::new();
        let mut rules = Rules::new();
        for (access, clause) in wanted {
            let applying = row_policy::applying(self.relation, &self.context.rights, *access);
            let same_clause = matches!(clause, Clause::Using) || self.checks_are_using(&applying);
            if same_clause && known.iter().any(|(one, same)| *same && *one == applying) {
                continue;
            }
            let bind = |place: &usize| self.bind(*place, *clause);
            rules.push(Rule {
                permissive: applying.permissive.iter().map(bind).collect(),
                restrictive: applying.restrictive.iter().map(bind).collect(),
            });
            known.push((applying, same_clause));
        }
        rules
    }

    /// Whether the policies ask of new rows what they ask of those that are there.
    fn checks_are_using(&self, applying: &Applying) -> bool {
        let mut places = applying.permissive.iter().chain(&applying.restrictive);
        places.all(|at| Arc::ptr_eq(self.compiled.using(*at), self.compiled.check(*at)))
    }

    fn bind(&self, place: usize, clause: Clause) -> Bound {
        let predicate = match clause {
            Clause::Using => self.compiled.using(place),
            Clause::Check => self.compiled.check(place),
        };
        let ready = match predicate.within(self.context) {
            Ok(Some(ready)) => Arc::new(ready),
            Ok(None) => predicate.clone(),
            Err(_) => Arc::new(Predicate::Never),
        };
        Bound {
            owner: predicate.owner(self.context),
            predicate: ready,
            policy: self.relation.row_security.policies[place].name.clone(),
        }
    }
}

impl Rule {
    fn bounds(&self) -> impl Iterator<Item = &Bound> {
        self.permissive.iter().chain(&self.restrictive)
    }

    fn holds(&self, row: &[ScalarValue], input: Input<'_>) -> bool {
        let mut permissive = self.permissive.iter();
        let mut restrictive = self.restrictive.iter();
        permissive.any(|it| it.holds(row, input)) && restrictive.all(|it| it.holds(row, input))
    }

    fn holds_of(&self, columns: &[ArrayRef], rows: usize, input: Input<'_>) -> BooleanArray {
        let mut permissive = self.permissive.iter();
        let Some(first) = permissive.next() else {
            return BooleanArray::from(vec![false; rows]);
        };
        let mut holds = first.holds_of(columns, rows, input);
        for next in permissive {
            holds = either(&holds, &next.holds_of(columns, rows, input));
        }
        for next in &self.restrictive {
            holds = both(&holds, &next.holds_of(columns, rows, input));
        }
        holds
    }
}

impl Bound {
    fn holds(&self, row: &[ScalarValue], input: Input<'_>) -> bool {
        match (&*self.predicate, &self.owner) {
            (Predicate::Owned { column, .. }, Some(owner)) => {
                !owner.is_null() && row[*column] == *owner
            }
            (Predicate::General(value), _) => value
                .holds(Row {
                    columns: row,
                    parameters: &[],
                    input,
                })
                .unwrap_or(false),
            _ => false,
        }
    }

    /// No NULLs among the answers.
    fn holds_of(&self, columns: &[ArrayRef], rows: usize, input: Input<'_>) -> BooleanArray {
        let never = || BooleanArray::from(vec![false; rows]);
        let found = match (&*self.predicate, &self.owner) {
            (Predicate::Owned { column, .. }, Some(owner)) if !owner.is_null() => owner
                .to_array()
                .ok()
                .and_then(|owner| cmp::eq(&columns[*column], &Scalar::new(owner)).ok()),
            (Predicate::General(value), _) => {
                let found = value.evaluate_batch(columns, rows, &[], input);
                match found {
                    Ok(found) => found.as_boolean_opt().cloned(),
                    // One row may be the reason: each answers for itself.
                    Err(_) => return self.one_by_one(columns, rows, input),
                }
            }
            _ => None,
        };
        match found {
            Some(found) if found.null_count() > 0 => prep_null_mask_filter(&found),
            Some(found) => found,
            None => never(),
        }
    }

    fn one_by_one(&self, columns: &[ArrayRef], rows: usize, input: Input<'_>) -> BooleanArray {
        let Predicate::General(value) = &*self.predicate else {
            return BooleanArray::from(vec![false; rows]);
        };
        let one = |row: usize| {
            let single: Vec<ArrayRef> = columns.iter().map(|it| it.slice(row, 1)).collect();
            let found = value.evaluate_batch(&single, 1, &[], input).ok()?;
            let found = found.as_boolean_opt()?;
            Some(found.is_valid(0) && found.value(0))
        };
        BooleanArray::from_iter((0..rows).map(|row| Some(one(row).unwrap_or(false))))
    }
}

/// Of two answers without NULLs, which do not differ in length.
fn both(left: &BooleanArray, right: &BooleanArray) -> BooleanArray {
    and(left, right).unwrap_or_else(|_| BooleanArray::from(vec![false; left.len()]))
}

fn either(left: &BooleanArray, right: &BooleanArray) -> BooleanArray {
    or(left, right).unwrap_or_else(|_| BooleanArray::from(vec![false; left.len()]))
}
