//! What rules are made of: trees over signals, and bounds on numbers.

mod check;

pub use check::{check_composer, check_tree};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tree of operators over leaves. An operator node has `operator` and `conditions`, a leaf has
/// `type` and `name`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleNode {
    /// `AND`, `OR` or `NOT`.
    #[schemars(extend("examples" = ["AND", "OR", "NOT"]))]
    pub operator: String,
    /// Children of an operator node.
    pub conditions: Vec<RuleNode>,
    /// Signal type of a leaf.
    #[serde(rename = "type")]
    pub kind: String,
    /// Rule name of a leaf.
    pub name: String,
    /// Label of a `classifier` leaf.
    pub label: String,
    /// Bounds on the signal's value instead of its match.
    pub predicate: Option<NumericPredicate>,
    /// `match` or `no_match` when the signal failed.
    #[schemars(extend("enum" = ["match", "no_match"]))]
    pub on_error: String,
    /// At the root only: what it means for the decision that a signal failed, so that the tree is
    /// neither true nor false.
    #[schemars(extend("enum" = ["no_match", "match", "fail_request"]))]
    pub on_unknown: String,
}

impl RuleNode {
    /// Returns what it means for a decision with this root that a signal failed, so that the tree
    /// is neither true nor false; `None` where the leaves say that themselves.
    #[must_use]
    pub fn on_unknown(&self) -> Option<OnUnknown> {
        let word = self.on_unknown.trim();
        OnUnknown::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// What it means for a decision that a failure leaves its rules open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// It does not match.
    NoMatch,
    /// It matches.
    Match,
    /// The request fails.
    FailRequest,
}

impl OnUnknown {
    /// All of them.
    const ALL: [Self; 3] = [Self::NoMatch, Self::Match, Self::FailRequest];

    /// Returns the word of documents, headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoMatch => "no_match",
            Self::Match => "match",
            Self::FailRequest => "fail_request",
        }
    }
}

/// Bounds on a number; all must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NumericPredicate {
    /// Greater than.
    pub gt: Option<f64>,
    /// Greater than or equal.
    pub gte: Option<f64>,
    /// Less than.
    pub lt: Option<f64>,
    /// Less than or equal.
    pub lte: Option<f64>,
}

impl NumericPredicate {
    /// Tells whether every given bound holds; NaN and infinities never match.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        value.is_finite()
            && self.gt.is_none_or(|bound| value > bound)
            && self.gte.is_none_or(|bound| value >= bound)
            && self.lt.is_none_or(|bound| value < bound)
            && self.lte.is_none_or(|bound| value <= bound)
    }

    /// Tells whether the bounds hold for some number from `low` to `high`, both included.
    #[must_use]
    pub fn can_hold_between(&self, low: f64, high: f64) -> bool {
        self.gt.is_none_or(|bound| high > bound)
            && self.gte.is_none_or(|bound| high >= bound)
            && self.lt.is_none_or(|bound| low < bound)
            && self.lte.is_none_or(|bound| low <= bound)
    }
}
