//! What boundaries mean, written down a second time: from the document and the truth about a text
//! alone.

use crate::config::Document;
use crate::config::decisions::Boundary;
use signals::rules::RuleNode;
use std::collections::BTreeSet;

/// What is true of a request; `None` is not known.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    pub(super) keywords: Vec<&'static str>,
    pub(super) staff: bool,
    pub(super) pii: Option<bool>,
    pub(super) jailbreak: Option<bool>,
    pub(super) domain: Option<bool>,
}

impl Truth {
    fn holds(&self, node: &RuleNode) -> Option<bool> {
        let children = || node.conditions.iter().map(|child| self.holds(child));
        match (node.kind.as_str(), node.operator.as_str()) {
            ("keyword", _) => Some(self.keywords.contains(&node.name.as_str())),
            ("authz", _) => Some(self.staff),
            ("pii", _) => self.pii,
            ("jailbreak", _) => self.jailbreak,
            ("domain", _) => self.domain,
            (_, "AND") if children().any(|child| child == Some(false)) => Some(false),
            (_, "AND") => {
                if children().all(|child| child.is_some()) {
                    Some(true)
                } else {
                    None
                }
            }
            (_, "OR") if children().any(|child| child == Some(true)) => Some(true),
            (_, "OR") => {
                if children().all(|child| child.is_some()) {
                    Some(false)
                } else {
                    None
                }
            }
            (_, "NOT") => self.holds(&node.conditions[0]).map(|holds| !holds),
            other => panic!("{other:?}"),
        }
    }

    /// Names of models that every boundary which may hold allows; `None` if none may hold.
    pub(super) fn allowed<'a>(
        &self,
        boundaries: impl IntoIterator<Item = &'a Boundary>,
        document: &Document,
    ) -> Option<BTreeSet<String>> {
        let mut allowed: Option<BTreeSet<String>> = None;
        for boundary in boundaries {
            if boundary
                .when
                .as_ref()
                .is_some_and(|when| self.holds(when) == Some(false))
            {
                continue;
            }
            let mut own = BTreeSet::new();
            for model in &document.providers.models {
                let by_place = boundary.allow.locations.contains(&model.location);
                if boundary.allow.models.contains(&model.name) || by_place {
                    own.insert(model.name.clone());
                }
            }
            allowed = Some(allowed.map_or(own.clone(), |names| {
                names.intersection(&own).cloned().collect()
            }));
        }
        allowed
    }
}
