//! The knowledge bases that a document has without declaring them: those of the reference.

use super::{KbMetric, KbSource, KnowledgeBase};
use std::collections::BTreeMap;

/// Groups of `privacy_kb` with their labels.
const PRIVACY_GROUPS: [(&str, &[&str]); 6] = [
    ("frontier_reasoning", FRONTIER),
    ("local_standard", LOCAL),
    ("privacy_policy", POLICY),
    ("security_containment", SECURITY),
    (
        "private",
        &[
            "prompt_injection",
            "credential_exfiltration",
            "jailbreak_role",
            "system_prompt_extraction",
            "proprietary_code",
            "internal_document",
            "pii",
            "business_strategy",
            "trade_secret_ip",
            "operational_infrastructure",
            "locality_directive",
            "customer_data",
        ],
    ),
    (
        "public",
        &[
            "architecture_analysis",
            "root_cause_analysis",
            "multi_step_tradeoffs",
            "generic_coding",
            "simple_task",
            "general_knowledge",
        ],
    ),
];
const FRONTIER: &[&str] = &[
    "architecture_analysis",
    "root_cause_analysis",
    "multi_step_tradeoffs",
];
const LOCAL: &[&str] = &["generic_coding", "simple_task", "general_knowledge"];
const POLICY: &[&str] = &[
    "proprietary_code",
    "internal_document",
    "pii",
    "business_strategy",
    "trade_secret_ip",
    "operational_infrastructure",
    "locality_directive",
    "customer_data",
];
const SECURITY: &[&str] = &[
    "prompt_injection",
    "credential_exfiltration",
    "jailbreak_role",
    "system_prompt_extraction",
];

/// Groups of `mmlu_kb` with their labels.
const MMLU_GROUPS: [(&str, &[&str]); 2] = [
    (
        "escalate",
        &[
            "biology",
            "business",
            "computer science",
            "economics",
            "history",
            "math",
            "other",
            "philosophy",
            "psychology",
        ],
    ),
    (
        "keep",
        &["chemistry", "engineering", "health", "law", "physics"],
    ),
];

/// Returns the built-in knowledge bases, as if the document declared them.
pub(super) fn built_in() -> Vec<KnowledgeBase> {
    let privacy = KnowledgeBase {
        label_thresholds: BTreeMap::from([("prompt_injection".to_owned(), 0.7)]),
        ..base(
            "privacy_kb",
            "knowledge_bases/privacy/",
            0.55,
            &PRIVACY_GROUPS,
        )
        .with_margin("private_vs_public", "private", "public")
    };
    let mmlu = base("mmlu_kb", "knowledge_bases/mmlu/", 0.25, &MMLU_GROUPS).with_margin(
        "escalate_vs_keep",
        "escalate",
        "keep",
    );
    vec![privacy, mmlu]
}

fn base(name: &str, path: &str, threshold: f32, groups: &[(&str, &[&str])]) -> KnowledgeBase {
    let owned = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect();
    KnowledgeBase {
        name: name.to_owned(),
        source: KbSource {
            path: path.to_owned(),
            manifest: "labels.json".to_owned(),
        },
        threshold,
        groups: groups
            .iter()
            .map(|(group, labels)| ((*group).to_owned(), owned(labels)))
            .collect(),
        ..KnowledgeBase::default()
    }
}

impl KnowledgeBase {
    fn with_margin(mut self, name: &str, positive: &str, negative: &str) -> Self {
        self.metrics.push(KbMetric {
            name: name.to_owned(),
            kind: "group_margin".to_owned(),
            positive_group: positive.to_owned(),
            negative_group: negative.to_owned(),
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inference::knowledge_bases::{Manifest, built_in as manifest};
    use std::collections::BTreeSet;

    /// Groups name labels that the manifest has, and between them all of its labels.
    #[test]
    fn groups_cover_the_labels_of_their_manifests() {
        for base in built_in() {
            let manifest: Manifest =
                serde_json::from_str(manifest(&base.source.path).unwrap()).unwrap();
            let labels: BTreeSet<&String> = manifest.labels.keys().collect();
            let grouped: BTreeSet<&String> = base.groups.values().flatten().collect();
            assert_eq!(grouped, labels, "{}", base.name);
            assert!(
                base.label_thresholds
                    .keys()
                    .all(|label| labels.contains(label))
            );
        }
    }
}
