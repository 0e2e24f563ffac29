//! Why each decision matched or not: the trees of eval's `eval_trace`.

use super::Decisions;
use super::rule::{Op, Rules};
use crate::report::SignalReport;
use serde::Serialize;

/// One decision's evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionTrace<'a> {
    /// Name of the decision.
    pub decision_name: &'a str,
    /// Its rules hold.
    pub matched: bool,
    /// Confidence of the root node, also where it did not match.
    pub confidence: f64,
    /// The tree.
    pub root_trace: TraceNode<'a>,
}

/// One node's evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TraceNode<'a> {
    /// `leaf`, `AND`, `OR`, `NOT`, or `fallback` for a decision without rules.
    pub node_type: &'static str,
    /// Type of a leaf, as written.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub signal_type: &'a str,
    /// Name of a leaf, as written.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub signal_name: &'a str,
    /// Label of a leaf, as written.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub label: &'a str,
    /// The node holds.
    pub matched: bool,
    /// Its confidence; NOT over a child that holds reports the child's.
    pub confidence: f64,
    /// Children that were evaluated: AND stops at the first that fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

impl Decisions {
    /// Evaluates every decision once more and writes down each step, in the order of the document.
    #[must_use]
    pub fn trace(&self, report: &SignalReport) -> Vec<DecisionTrace<'_>> {
        self.decisions
            .iter()
            .map(|decision| {
                let root_trace = match decision.root {
                    Some(root) => self.rules.trace(root, report),
                    None => TraceNode::new("fallback", true, 0.0),
                };
                DecisionTrace {
                    decision_name: &decision.name,
                    matched: root_trace.matched,
                    confidence: root_trace.confidence,
                    root_trace,
                }
            })
            .collect()
    }
}

impl Rules {
    fn trace(&self, at: usize, report: &SignalReport) -> TraceNode<'_> {
        match self.op(at) {
            Op::Leaf(leaf) => {
                let written = self.written(leaf);
                let confidence = self.evaluate(at, report);
                TraceNode {
                    signal_type: &written.kind,
                    signal_name: &written.name,
                    label: &written.label,
                    ..TraceNode::new("leaf", confidence.is_some(), confidence.unwrap_or(0.0))
                }
            }
            Op::And => self.trace_and(at, report),
            Op::Or => TraceNode {
                children: self
                    .children(at)
                    .map(|child| self.trace(child, report))
                    .collect(),
                ..TraceNode::verdict("OR", self.evaluate(at, report))
            },
            Op::Not => match self.only_child(at).map(|child| self.trace(child, report)) {
                None => TraceNode::new("NOT", false, 0.0),
                Some(child) => TraceNode {
                    matched: !child.matched,
                    confidence: if child.matched { child.confidence } else { 1.0 },
                    children: vec![child],
                    ..TraceNode::new("NOT", false, 0.0)
                },
            },
        }
    }

    fn trace_and(&self, at: usize, report: &SignalReport) -> TraceNode<'_> {
        let mut children = Vec::new();
        for child in self.children(at) {
            let child = self.trace(child, report);
            let failed = !child.matched;
            children.push(child);
            if failed {
                break;
            }
        }
        TraceNode {
            children,
            ..TraceNode::verdict("AND", self.evaluate(at, report))
        }
    }
}

impl TraceNode<'_> {
    fn new(node_type: &'static str, matched: bool, confidence: f64) -> Self {
        Self {
            node_type,
            matched,
            confidence,
            ..Self::default()
        }
    }

    fn verdict(node_type: &'static str, confidence: Option<f64>) -> Self {
        Self::new(node_type, confidence.is_some(), confidence.unwrap_or(0.0))
    }
}
