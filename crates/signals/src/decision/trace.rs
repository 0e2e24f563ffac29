//! Why each decision matched or not: the trees of eval's `eval_trace`.

use super::Decisions;
use super::engine::Ranking;
use super::grade::{Grade, Judged};
use super::rule::{Op, Rules};
use crate::report::SignalReport;
use crate::rules::OnUnknown;
use serde::Serialize;

/// One decision's evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionTrace<'a> {
    /// Name of the decision.
    pub decision_name: &'a str,
    /// Its rules hold.
    pub matched: bool,
    /// What is known of its rules, where failures are told apart: `matched`, `not_matched` or
    /// `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// What it means that a failure leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<&'static str>,
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
    /// What is known of the node, where failures are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// The node holds.
    pub matched: bool,
    /// Its confidence; NOT over a child that holds reports the child's.
    pub confidence: f64,
    /// Evidence gives its confidence, by the rules of v0.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_scored: Option<bool>,
    /// Why its signal failed.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub signal_error: &'a str,
    /// Children that were evaluated: AND stops at the first that fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

impl Decisions {
    /// Evaluates every decision once more and writes down each step, in the order of the document.
    #[must_use]
    pub fn trace<'a>(&'a self, report: &'a SignalReport) -> Vec<DecisionTrace<'a>> {
        self.decisions
            .iter()
            .map(|decision| {
                let told_apart = self.ranking == Ranking::V04 || decision.on_unknown.is_some();
                let root_trace = match decision.root {
                    Some(root) if told_apart => {
                        let keeps_unknown = decision.on_unknown.is_some();
                        self.rules.judged_trace(root, report, keeps_unknown)
                    }
                    Some(root) => self.rules.trace(root, report),
                    None => TraceNode::new("fallback", true, 0.0),
                };
                let is_unknown = root_trace.state == Some(UNKNOWN);
                let assumed = is_unknown && decision.on_unknown == Some(OnUnknown::Match);
                DecisionTrace {
                    decision_name: &decision.name,
                    matched: root_trace.matched || assumed,
                    state: root_trace.state,
                    on_unknown: decision.on_unknown.map(OnUnknown::as_str),
                    confidence: root_trace.confidence,
                    root_trace,
                }
            })
            .collect()
    }
}

/// State of a node that a failure leaves open.
const UNKNOWN: &str = "unknown";

impl Rules {
    /// Every node with what is found of it: nothing is left out, and failures are told from facts.
    fn judged_trace<'a>(
        &'a self,
        at: usize,
        report: &'a SignalReport,
        keeps_unknown: bool,
    ) -> TraceNode<'a> {
        let Judged { grade, score, .. } = self.judge(at, report, keeps_unknown);
        let children = self.children(at);
        let children = children.map(|child| self.judged_trace(child, report, keeps_unknown));
        let by_policy = if self.op(at) == Op::Not { 1.0 } else { 0.0 };
        let confidence = score.unwrap_or(by_policy);
        let node = TraceNode {
            state: Some(match grade {
                Grade::Unknown => UNKNOWN,
                grade if grade.holds() => "matched",
                _ => "not_matched",
            }),
            confidence_scored: Some(grade.holds() && score.is_some()),
            children: children.collect(),
            ..TraceNode::new(
                "",
                grade.holds(),
                if grade.holds() { confidence } else { 0.0 },
            )
        };
        match self.op(at) {
            Op::Leaf(leaf) => {
                let written = self.written(leaf);
                TraceNode {
                    node_type: "leaf",
                    signal_type: &written.kind,
                    signal_name: &written.name,
                    label: &written.label,
                    signal_error: report.error(self.failing_key(leaf)).unwrap_or_default(),
                    ..node
                }
            }
            Op::And => TraceNode {
                node_type: "AND",
                ..node
            },
            Op::Or => TraceNode {
                node_type: "OR",
                ..node
            },
            Op::Not => TraceNode {
                node_type: "NOT",
                ..node
            },
        }
    }

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
