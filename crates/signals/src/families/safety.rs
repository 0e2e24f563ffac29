//! Is the turn safe? Rules are read and checked, and no model reads turns for them: nothing is ever
//! known of a rule, which shows in `x-merit-degraded` as `safety=unready`. What a failure means is
//! said by `on_unknown` at the root of a decision's rules, which a decision that reads one needs.
//!
//! ```yaml
//! routing:
//!   signals:
//!     safety:
//!       - {name: unsafe, threshold: 0.5}
//!   decisions:
//!     - name: careful
//!       rules: {operator: OR, on_unknown: match, conditions: [{type: safety, name: unsafe}]}
//! ```

use super::{Building, Signal, SignalError, SignalInput, Watch};
use crate::report::{Key, Kind, SignalReport};
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Is the turn safe?
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafetyRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Folder or deployment; omitted means `system.safety`.
    pub model: String,
    /// All labels; omitted means `safe` and `unsafe`.
    pub labels: Vec<String>,
    /// Those that mean danger; omitted means `unsafe`.
    pub unsafe_labels: Vec<String>,
    /// Least probability of danger, above 0.
    pub threshold: f64,
    /// Which hazards count.
    pub hazard: Option<SafetyHazard>,
}

/// Which hazards count.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafetyHazard {
    /// Folder or deployment; omitted means `system.hazard`.
    pub model: String,
    /// All labels.
    pub labels: Vec<String>,
    /// Those that count.
    pub categories: Vec<String>,
    /// Least probability of one, above 0.
    pub threshold: f64,
}

/// Compiles the rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.safety;
    if declared.is_empty() {
        return None;
    }
    let mut keys = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        keys.push(building.keys.intern(Kind::Safety, &rule.name));
        let at = building.scope.rule(Kind::Safety, index);
        rule.check(&at, building.findings);
    }
    Some(Box::new(SafetySignal { keys }))
}

impl SafetyRule {
    fn check(&self, at: &str, findings: &mut Findings) {
        if self.name.contains(':') {
            findings.error(format!("{at}.name"), "a name has no `:`");
        }
        let usual = ["safe".to_owned(), "unsafe".to_owned()];
        let labels = match self.labels.as_slice() {
            [] => &usual[..],
            labels => labels,
        };
        let is_proper = self.unsafe_labels.len() < labels.len();
        let is_known = self.unsafe_labels.iter().all(|it| labels.contains(it));
        let is_usual = self.unsafe_labels.is_empty() && labels.contains(&usual[1]);
        if !is_usual && (self.unsafe_labels.is_empty() || !is_proper || !is_known) {
            let message = "some of the `labels`, and not all, are wanted";
            findings.error(format!("{at}.unsafe_labels"), message);
        }
        probability(&format!("{at}.threshold"), self.threshold, findings);
        if let Some(hazard) = &self.hazard {
            hazard.check(&format!("{at}.hazard"), findings);
        }
    }
}

impl SafetyHazard {
    fn check(&self, at: &str, findings: &mut Findings) {
        if self.labels.len() < 2 {
            findings.error(format!("{at}.labels"), "two labels or more are wanted");
        }
        let is_known = self.categories.iter().all(|it| self.labels.contains(it));
        if self.categories.is_empty() || !is_known {
            findings.error(
                format!("{at}.categories"),
                "some of the `labels` are wanted",
            );
        }
        probability(&format!("{at}.threshold"), self.threshold, findings);
    }
}

fn probability(path: &str, threshold: f64, findings: &mut Findings) {
    if !(threshold > 0.0 && threshold <= 1.0) {
        findings.error(path, "a number above 0, and 1 at most, is wanted");
    }
}

/// The family of one recipe.
struct SafetySignal {
    keys: Vec<Key>,
}

impl Signal for SafetySignal {
    fn kind(&self) -> Kind {
        Kind::Safety
    }

    fn evaluate(
        &self,
        _input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        for key in &self.keys {
            report.fail(*key, "no model reads turns for safety");
        }
        report.doubt(&self.keys);
        report.degrade(Kind::Safety, "unready");
        Ok(())
    }

    /// All keys are doubted already.
    fn doubt_unread(
        &self,
        _input: &SignalInput<'_>,
        _watched: &[Watch],
        _report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Signals;
    use crate::families::tests::errors;

    #[track_caller]
    fn check(rule: &str, expected: &[&str]) {
        let rule: SafetyRule = serde_json::from_str(rule).unwrap();
        let signals = Signals {
            safety: vec![rule],
            ..Signals::default()
        };
        assert_eq!(errors(&signals), expected);
    }

    #[test]
    fn what_rules_get_wrong() {
        check(r#"{"name":"s","threshold":0.5}"#, &[]);
        check(r#"{"name":"s","threshold":1.5}"#, &["safety[0].threshold"]);
        check(
            r#"{"name":"s","threshold":0.5,"labels":["a","b"],"unsafe_labels":["a","b"]}"#,
            &["safety[0].unsafe_labels"],
        );
        check(
            r#"{"name":"s","threshold":0.5,"hazard":{"labels":["weapons"],"categories":["hate"],"threshold":0}}"#,
            &[
                "safety[0].hazard.labels",
                "safety[0].hazard.categories",
                "safety[0].hazard.threshold",
            ],
        );
    }
}
