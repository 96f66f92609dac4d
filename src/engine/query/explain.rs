//! EXPLAIN: the physical plan as PostgreSQL's indented text or as JSON, without costs.
//!
//! No row counts and no statistics but with ANALYZE those that were really given: estimates would
//! tell of rows that a policy hides (DESIGN §6).

use super::explain_options::{ExplainFormat, ExplainOptions, Run, Shown};
use super::explain_outputs::{Tables, condition, join_type, outputs, projects, shown};
use super::failure;
use super::measure::{Actual, MeasuredExec};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::ResultField;
use crate::engine::types;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::JoinType;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use serde_json::{Map, Value, json};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const COLUMN: &str = "QUERY PLAN";

/// What an EXPLAIN is to tell, besides the plan.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// As given.
    pub options: ExplainOptions,
    /// How long the statement took to be planned.
    pub planning: Duration,
    /// What is done with the rows of the plan, where that is more than to give them.
    pub above: Option<Above>,
}

/// A statement that changes rows, over the plan that finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above {
    /// Insert, Update or Delete.
    pub operation: &'static str,
    /// The table.
    pub table: String,
    /// What RETURNING gives.
    pub outputs: Vec<String>,
}

/// The one column of EXPLAIN.
pub fn fields(options: ExplainOptions) -> Arc<[ResultField]> {
    Arc::new([ResultField {
        name: COLUMN.to_owned(),
        sql_type: sql_type(options),
        table: None,
        column: 0,
    }])
}

fn sql_type(options: ExplainOptions) -> SqlType {
    SqlType::scalar(match options.format {
        ExplainFormat::Text => TypeKind::Text,
        ExplainFormat::Json => TypeKind::Json,
    })
}

/// How long a statement took, for its summary.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// To be planned.
    pub planning: Duration,
    /// To run.
    pub execution: Duration,
}

/// What is told of a plan, below the statement that writes what it finds, if one does.
///
/// # Errors
/// XX000
pub fn batch(
    plan: &dyn ExecutionPlan,
    explanation: &Explanation,
    took: Took,
) -> Result<RecordBatch, Diagnostic> {
    let options = explanation.options;
    let (mut roots, _) = described(plan, None, &mut Tables::of(plan));
    if let Some(above) = &explanation.above {
        roots = vec![Told::above(above, roots)];
    }
    let lines = match options.format {
        ExplainFormat::Text => {
            let mut lines = Vec::new();
            roots
                .iter()
                .for_each(|root| root.text(0, options, &mut lines));
            if options.summary == Shown::Yes {
                lines.push(format!("Planning Time: {} ms", milliseconds(took.planning)));
                if options.run == Run::Analyze {
                    lines.push(format!(
                        "Execution Time: {} ms",
                        milliseconds(took.execution)
                    ));
                }
            }
            lines
        }
        ExplainFormat::Json => vec![document(&roots, options, took)?],
    };
    of_lines(lines, options)
}

/// What is told of a statement that has no plan.
///
/// # Errors
/// XX000
pub fn without_plan(options: ExplainOptions) -> Result<RecordBatch, Diagnostic> {
    let told = match options.format {
        ExplainFormat::Text => "Utility statements have no plan structure",
        ExplainFormat::Json => "[\n  \"Utility Statement\"\n]",
    };
    of_lines(vec![told.to_owned()], options)
}

fn of_lines(lines: Vec<String>, options: ExplainOptions) -> Result<RecordBatch, Diagnostic> {
    let field = types::arrow_field(COLUMN, sql_type(options), false);
    RecordBatch::try_new(
        Arc::new(Schema::new(vec![field])),
        vec![Arc::new(StringArray::from(lines))],
    )
    .map_err(|error| failure::diagnostic(DataFusionError::from(error)))
}

fn document(roots: &[Told], options: ExplainOptions, took: Took) -> Result<String, Diagnostic> {
    let mut whole = Map::new();
    let plan = roots
        .first()
        .map_or(Value::Null, |root| root.json(options, None));
    whole.insert("Plan".to_owned(), plan);
    if options.summary == Shown::Yes {
        whole.insert("Planning Time".to_owned(), number(took.planning));
        if options.run == Run::Analyze {
            whole.insert("Execution Time".to_owned(), number(took.execution));
        }
    }
    serde_json::to_string_pretty(&json!([whole]))
        .map_err(|error| Diagnostic::internal(error.to_string()))
}

/// Three digits after the point, as PostgreSQL prints them.
fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1_000.0)
}

fn number(time: Duration) -> Value {
    let microseconds = time.as_micros() as f64;
    json!(microseconds / 1_000.0)
}

/// One operator, as it is told.
struct Told {
    title: String,
    /// `Filter: …` and its like, name and text.
    remarks: Vec<(String, String)>,
    /// Left, Full and their like.
    join: Option<&'static str>,
    /// Of a statement that changes rows.
    operation: Option<&'static str>,
    outputs: Vec<String>,
    actual: Option<Actual>,
    below: Vec<Told>,
}

impl Told {
    fn above(above: &Above, below: Vec<Told>) -> Told {
        Told {
            title: format!("{} on {}", above.operation, above.table),
            remarks: Vec::new(),
            join: None,
            operation: Some(above.operation),
            outputs: above.outputs.clone(),
            actual: None,
            below,
        }
    }

    /// `Hash Left Join`: what is joined by both sides has no word for it.
    fn titled(&self) -> String {
        match (self.join, self.title.strip_suffix(" Join")) {
            (None | Some("Inner"), _) => self.title.clone(),
            (Some(join), Some(method)) => format!("{method} {join} Join"),
            (Some(join), None) => format!("{} {join} Join", self.title),
        }
    }

    fn text(&self, depth: usize, options: ExplainOptions, lines: &mut Vec<String>) {
        let arrow = match depth {
            0 => String::new(),
            _ => format!("{}->  ", " ".repeat(depth * 6 - 4)),
        };
        let actual = self.actual.map(|actual| match options.timing {
            _ if actual.loops == 0 => " (never executed)".to_owned(),
            Shown::Yes => {
                let of_one = Loop::of(actual);
                format!(
                    " (actual time={}..{} rows={} loops={})",
                    milliseconds(of_one.startup),
                    milliseconds(of_one.total),
                    of_one.rows,
                    actual.loops
                )
            }
            Shown::No => {
                let rows = Loop::of(actual).rows;
                format!(" (actual rows={rows} loops={})", actual.loops)
            }
        });
        lines.push(format!(
            "{arrow}{}{}",
            self.titled(),
            actual.unwrap_or_default()
        ));
        let outputs = shown(&self.outputs);
        if options.verbose == Shown::Yes && !outputs.is_empty() {
            let indent = " ".repeat(depth * 6 + 2);
            lines.push(format!("{indent}Output: {}", outputs.join(", ")));
        }
        for (name, text) in &self.remarks {
            lines.push(format!("{}{name}: {text}", " ".repeat(depth * 6 + 2)));
        }
        for below in &self.below {
            below.text(depth + 1, options, lines);
        }
    }

    fn json(&self, options: ExplainOptions, place: Option<usize>) -> Value {
        let mut node = Map::new();
        let (kind, relation) = match self.title.split_once(" on ") {
            Some((kind, relation)) => (kind, Some(relation)),
            None => (self.title.as_str(), None),
        };
        let (kind, index) = match kind.split_once(" using ") {
            Some((kind, index)) => (kind, Some(index)),
            None => (kind, None),
        };
        match self.operation {
            Some(operation) => {
                node.insert("Node Type".to_owned(), json!("ModifyTable"));
                node.insert("Operation".to_owned(), json!(operation));
            }
            None => {
                node.insert("Node Type".to_owned(), json!(kind));
            }
        }
        if let Some(place) = place {
            let relationship = if place == 1 { "Inner" } else { "Outer" };
            node.insert("Parent Relationship".to_owned(), json!(relationship));
        }
        if let Some(join) = self.join {
            node.insert("Join Type".to_owned(), json!(join));
        }
        for (name, value) in [("Index Name", index), ("Relation Name", relation)] {
            if let Some(value) = value {
                node.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(actual) = self.actual {
            let of_one = Loop::of(actual);
            if options.timing == Shown::Yes {
                node.insert("Actual Startup Time".to_owned(), number(of_one.startup));
                node.insert("Actual Total Time".to_owned(), number(of_one.total));
            }
            node.insert("Actual Rows".to_owned(), json!(of_one.rows));
            node.insert("Actual Loops".to_owned(), json!(actual.loops));
        }
        let outputs = shown(&self.outputs);
        if options.verbose == Shown::Yes && !outputs.is_empty() {
            node.insert("Output".to_owned(), json!(outputs));
        }
        for (name, text) in &self.remarks {
            node.insert(name.clone(), json!(text));
        }
        if !self.below.is_empty() {
            let places = self.below.iter().enumerate();
            let below = places.map(|(place, it)| it.json(options, Some(place)));
            let below: Vec<Value> = below.collect();
            node.insert("Plans".to_owned(), json!(below));
        }
        Value::Object(node)
    }
}

/// What an operator gave in one loop, as PostgreSQL tells it.
struct Loop {
    startup: Duration,
    total: Duration,
    rows: u64,
}

impl Loop {
    fn of(actual: Actual) -> Loop {
        let loops = actual.loops.max(1);
        let divisor = u32::try_from(loops).unwrap_or(u32::MAX);
        Loop {
            startup: actual.startup / divisor,
            total: actual.total / divisor,
            rows: actual.rows.div_ceil(loops),
        }
    }
}

/// What is told of a plan, and what its root gives.
fn described(
    plan: &dyn ExecutionPlan,
    actual: Option<Actual>,
    tables: &mut Tables,
) -> (Vec<Told>, Vec<String>) {
    let any: &dyn Any = plan;
    if let Some(measured) = any.downcast_ref::<MeasuredExec>() {
        return described(
            measured.inner().as_ref(),
            Some(measured.around().actual()),
            tables,
        );
    }
    let (mut below, mut given) = (Vec::new(), Vec::new());
    for child in plan.children() {
        let (told, outputs) = described(child.as_ref(), None, tables);
        below.extend(told);
        given.push(outputs);
    }
    let outputs = outputs(plan, &given, tables);
    if let ([only], true) = (below.as_mut_slice(), projects(plan)) {
        only.outputs.clone_from(&outputs);
        only.actual = actual.or(only.actual);
        return (below, outputs);
    }
    let Some(node) = node_name(plan.name()) else {
        return (below, outputs);
    };
    let own;
    let (title, remark) = match node {
        Node::Named(name) => (name, None),
        Node::Own => {
            own = One(plan).to_string();
            match own.split_once('\n') {
                Some((title, remark)) => (title, Some(remark)),
                None => (own.as_str(), None),
            }
        }
    };
    let mut remarks = Vec::new();
    if let Some((name, text)) = remark.and_then(|remark| remark.split_once(": ")) {
        remarks.push((name.to_owned(), text.to_owned()));
    }
    if let Some(condition) = condition(plan, &given) {
        remarks.push(("Filter".to_owned(), condition));
    }
    let join = join_type(plan).map(join_name);
    if join.is_some_and(|(_, kept)| kept == Side::Second) {
        below.reverse();
    }
    let told = Told {
        title: title.to_owned(),
        remarks,
        join: join.map(|(name, _)| name),
        operation: None,
        outputs: outputs.clone(),
        actual,
        below,
    };
    (vec![told], outputs)
}

/// Which side of a join keeps its rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

/// The join's name. One whose second side keeps its rows is told from that side: whoever reads it, drivers
/// too, finds the side that may be NULL in the second place.
fn join_name(join: JoinType) -> (&'static str, Side) {
    match join {
        JoinType::Inner => ("Inner", Side::First),
        JoinType::Full => ("Full", Side::First),
        JoinType::Left | JoinType::LeftMark => ("Left", Side::First),
        JoinType::Right | JoinType::RightMark => ("Left", Side::Second),
        JoinType::LeftSemi => ("Semi", Side::First),
        JoinType::RightSemi => ("Semi", Side::Second),
        JoinType::LeftAnti => ("Anti", Side::First),
        JoinType::RightAnti => ("Anti", Side::Second),
    }
}

enum Node {
    Named(&'static str),
    /// It prints itself: the scans are ours.
    Own,
}

/// PostgreSQL's name of an operator; None for what only moves batches.
fn node_name(operator: &str) -> Option<Node> {
    Some(Node::Named(match operator {
        super::leaf::NAME => return Some(Node::Own),
        "CooperativeExec"
        | "CoalesceBatchesExec"
        | "CoalescePartitionsExec"
        | super::watched::NAME
        | super::noted::NAME
        | super::forgetful::NAME
        | "RepartitionExec" => {
            return None;
        }
        "HashJoinExec" => "Hash Join",
        "NestedLoopJoinExec" | "CrossJoinExec" | super::in_turn::NAME => "Nested Loop",
        "SortMergeJoinExec" => "Merge Join",
        "AggregateExec" => "Aggregate",
        "SortExec" | "SortExec(TopK)" | "SortPreservingMergeExec" => "Sort",
        "GlobalLimitExec" | "LocalLimitExec" => "Limit",
        "WindowAggExec" | "BoundedWindowAggExec" => "WindowAgg",
        "UnionExec" | "InterleaveExec" => "Append",
        "UnnestExec" => "ProjectSet",
        "RecursiveQueryExec" => "Recursive Union",
        "WorkTableExec" => "WorkTable Scan",
        "DataSourceExec" => "Values Scan",
        "FilterExec" => "Filter",
        _ => "Result",
    }))
}

/// One operator's own line.
struct One<'a>(&'a dyn ExecutionPlan);

impl fmt::Display for One<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(DisplayFormatType::Default, f)
    }
}
