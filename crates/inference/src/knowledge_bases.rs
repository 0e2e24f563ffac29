//! Knowledge bases that need no files: labels with example texts, under the paths at which
//! documents look for them.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The folders and their manifests.
const BUILT_IN: [(&str, &str); 2] = [
    (
        "knowledge_bases/privacy",
        include_str!("../knowledge_bases/privacy/labels.json"),
    ),
    (
        "knowledge_bases/mmlu",
        include_str!("../knowledge_bases/mmlu/labels.json"),
    ),
];

/// A manifest of labelled examples.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// By name.
    pub labels: BTreeMap<String, Label>,
}

/// A label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Label {
    /// For people.
    pub description: String,
    /// Texts that have the label.
    pub exemplars: Vec<String>,
}

/// The manifest that stands behind this folder, if it is one of those that Merit brings along.
#[must_use]
pub fn built_in(folder: &str) -> Option<&'static str> {
    let folder = folder.trim().trim_end_matches('/');
    let found = BUILT_IN.iter().find(|(path, _)| {
        folder
            .strip_suffix(path)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    });
    found.map(|(_, manifest)| *manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(folder: &str, labels: Option<usize>) {
        let manifest: Option<Manifest> =
            built_in(folder).map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(
            manifest.as_ref().map(|manifest| manifest.labels.len()),
            labels,
            "{folder}"
        );
        let labels = manifest.into_iter().flat_map(|manifest| manifest.labels);
        for (name, label) in labels {
            assert!(!label.exemplars.is_empty(), "{name}");
        }
    }

    #[test]
    fn are_found_by_the_paths_of_documents() {
        check("knowledge_bases/privacy/", Some(18));
        check("./knowledge_bases/mmlu", Some(14));
        check("../../knowledge_bases/mmlu/", Some(14));
        check("my_knowledge_bases/mmlu/", None);
        check("privacy", None);
        check("", None);
    }
}
