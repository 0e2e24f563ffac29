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
