//! Signal names grouped by family: `used_signals`, `matched_signals`, `unmatched_signals`.

use serde::Serialize;
use signals::decision::Decisions;
use signals::declared::Declared;
use signals::report::{Keys, Kind, SignalReport};

/// Names per family; serialises as an object without the families that are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalGroups<'a> {
    names: [Vec<&'a str>; Kind::ALL.len()],
}

impl<'a> SignalGroups<'a> {
    /// The leaves of a decision's tree, trimmed, each once, depth first.
    #[must_use]
    pub fn used(decisions: &'a Decisions, decision: usize) -> Self {
        let mut groups = Self::default();
        for (kind, name) in decisions.leaves(decision) {
            let name = name.trim();
            let names = &mut groups.names[kind as usize];
            if !names.contains(&name) {
                names.push(name);
            }
        }
        groups
    }

    /// Every match, whether or not a decision uses it, in emission order.
    #[must_use]
    pub fn matched(keys: &'a Keys, report: &SignalReport) -> Self {
        let mut groups = Self::default();
        for key in report.matches() {
            groups.names[keys.kind(key) as usize].push(keys.name(key));
        }
        groups
    }

    /// Declared names that did not match. The reference never lists knowledge bases, conversation
    /// and event rules here, and lists every complexity rule, because what matches is `rule:level`.
    #[must_use]
    pub fn unmatched(declared: &'a Declared, matched: &Self) -> Self {
        let mut groups = Self::default();
        let listed = Kind::ALL
            .into_iter()
            .filter(|kind| !matches!(kind, Kind::Kb | Kind::Conversation | Kind::Event));
        for kind in listed {
            let found = matched.names(kind);
            let missing = |name: &&str| match kind {
                Kind::Classifier => !found.iter().any(|label| is_label_of(label, name)),
                _ => !found.contains(name),
            };
            groups.names[kind as usize] = declared
                .names(kind)
                .iter()
                .map(String::as_str)
                .filter(missing)
                .collect();
        }
        groups
    }

    /// The names of one family.
    #[must_use]
    pub fn names(&self, kind: Kind) -> &[&'a str] {
        &self.names[kind as usize]
    }
}

impl Serialize for SignalGroups<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            Kind::ALL
                .into_iter()
                .filter(|kind| !self.names(*kind).is_empty())
                .map(|kind| (kind.family().eval_key, self.names(kind))),
        )
    }
}

/// `found` is `rule:label` of this rule.
fn is_label_of(found: &str, rule: &str) -> bool {
    found
        .strip_prefix(rule)
        .is_some_and(|rest| rest.starts_with(':'))
}
