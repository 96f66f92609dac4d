//! EXPLAIN: the physical plan as PostgreSQL's indented text, without costs.
//!
//! No row counts and no statistics: they would tell of rows that a policy hides (DESIGN §6).

use super::failure;
use super::rewrite::labels;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::ResultField;
use crate::engine::types;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use sqlparser::ast::UtilityOption;
use std::fmt;
use std::sync::Arc;

const COLUMN: &str = "QUERY PLAN";

/// The one column of EXPLAIN.
pub fn fields() -> Arc<[ResultField]> {
    Arc::new([ResultField {
        name: COLUMN.to_owned(),
        sql_type: SqlType::scalar(TypeKind::Text),
        table: None,
        column: 0,
    }])
}

/// The plan's lines.
pub fn batch(plan: &dyn ExecutionPlan) -> Result<RecordBatch, Diagnostic> {
    let mut lines = Vec::new();
    describe(plan, 0, &mut lines);
    let field = types::arrow_field(COLUMN, SqlType::scalar(TypeKind::Text), false);
    RecordBatch::try_new(
        Arc::new(Schema::new(vec![field])),
        vec![Arc::new(StringArray::from(lines))],
    )
    .map_err(|error| failure::diagnostic(DataFusionError::from(error)))
}

fn describe(plan: &dyn ExecutionPlan, depth: usize, lines: &mut Vec<String>) {
    let Some(node) = node_name(plan.name()) else {
        for child in plan.children() {
            describe(child.as_ref(), depth, lines);
        }
        return;
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
    lines.push(if depth == 0 {
        title.to_owned()
    } else {
        format!("{}->  {title}", " ".repeat(depth * 6 - 4))
    });
    if let Some(remark) = remark {
        lines.push(format!("{}{remark}", " ".repeat(depth * 6 + 2)));
    }
    if plan.name() == "FilterExec" {
        let detail = DisplayableExecutionPlan::new(plan).one_line().to_string();
        if let Some((_, condition)) = detail.split_once(": ") {
            let condition = condition.split(", projection=").next().unwrap_or(condition);
            let condition = labels::visible(condition.trim_end());
            lines.push(format!("{}Filter: {condition}", " ".repeat(depth * 6 + 2)));
        }
    }
    for child in plan.children() {
        describe(child.as_ref(), depth + 1, lines);
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
        | "RepartitionExec" => {
            return None;
        }
        "HashJoinExec" => "Hash Join",
        "NestedLoopJoinExec" | "CrossJoinExec" => "Nested Loop",
        "SortMergeJoinExec" => "Merge Join",
        "AggregateExec" => "Aggregate",
        "SortExec" | "SortPreservingMergeExec" => "Sort",
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

/// EXPLAIN's options: those that would change what is shown are refused; COSTS and its like have
/// nothing to show here.
///
/// # Errors
/// 0A000 for ANALYZE and for formats but text; 42601 for what is no option.
pub fn check_options(analyze: bool, options: &[UtilityOption]) -> Result<(), Diagnostic> {
    if analyze {
        return Err(Diagnostic::unsupported("EXPLAIN ANALYZE"));
    }
    for option in options {
        let name = option.name.value.to_lowercase();
        let value = option
            .arg
            .as_ref()
            .map(|value| value.to_string().to_lowercase());
        let value = value.as_deref().map(|value| value.trim_matches('\''));
        let is_off = matches!(value, Some("false" | "off" | "0"));
        match name.as_str() {
            "analyze" if !is_off => return Err(Diagnostic::unsupported("EXPLAIN ANALYZE")),
            "format" if value != Some("text") => {
                return Err(Diagnostic::unsupported(
                    "EXPLAIN in a FORMAT other than TEXT",
                ));
            }
            "analyze" | "format" | "verbose" | "costs" | "settings" | "buffers" | "wal"
            | "timing" | "summary" => {}
            _ => {
                return Err(Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    format!("unrecognized EXPLAIN option \"{name}\""),
                ));
            }
        }
    }
    Ok(())
}
