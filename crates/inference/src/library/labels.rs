//! Labels of full models: `id2label` of `config.json`, or a mapping file as the reference writes
//! them.

use super::Labels;
use super::full::Config;
use crate::card::Folder;
use crate::catalog::LoadError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Mapping files that may lie in a model's folder.
const FILES: [&str; 4] = [
    "category_mapping.json",
    "pii_type_mapping.json",
    "jailbreak_type_mapping.json",
    "label_mapping.json",
];

/// A mapping file. Any one of the maps will do.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Mapping {
    #[serde(
        alias = "idx_to_category",
        alias = "idx_to_label",
        alias = "id_to_label",
        alias = "id2label"
    )]
    names: BTreeMap<String, String>,
    #[serde(
        alias = "category_to_idx",
        alias = "label_to_idx",
        alias = "label_to_id",
        alias = "label2id"
    )]
    numbers: BTreeMap<String, usize>,
}

/// Labels in class order: of the mapping file that is set, of one in the folder, of the
/// configuration.
pub(super) fn of(
    folder: &Folder,
    mapping: Option<&Path>,
    config: &Config,
) -> Result<Labels, LoadError> {
    let own = || {
        FILES
            .iter()
            .map(|name| folder.file(name))
            .find(|file| file.is_file())
    };
    let file = mapping
        .filter(|file| file.is_file())
        .map(Path::to_owned)
        .or_else(own);
    let names = match file {
        Some(file) => read(folder, &file)?,
        None => config.id2label.clone(),
    };
    if names.is_empty() {
        return Err(folder.unusable(
            &"it has no labels: config.json needs id2label, or a mapping file must be set",
        ));
    }
    ordered(&names)
        .ok_or_else(|| folder.unusable(&"its labels are not numbered from 0 without a gap"))
}

/// Types of entities without their BIO prefixes, in order.
pub(super) fn kinds(labels: &Labels) -> Labels {
    let kind = |label: &Arc<str>| {
        label
            .split_once('-')
            .map_or_else(|| Arc::clone(label), |(_, kind)| kind.into())
    };
    let mut kinds: Vec<Arc<str>> = labels
        .iter()
        .filter(|label| &***label != "O")
        .map(kind)
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds.into()
}

fn read(folder: &Folder, file: &Path) -> Result<BTreeMap<String, String>, LoadError> {
    let unusable = |error: &dyn std::fmt::Display| {
        folder.unusable(&format_args!("{}: {error}", file.display()))
    };
    let bytes = std::fs::read(file).map_err(|error| unusable(&error))?;
    let mapping: Mapping = serde_json::from_slice(&bytes).map_err(|error| unusable(&error))?;
    if mapping.names.is_empty() {
        return Ok(mapping
            .numbers
            .into_iter()
            .map(|(name, number)| (number.to_string(), name))
            .collect());
    }
    Ok(mapping.names)
}

fn ordered(names: &BTreeMap<String, String>) -> Option<Labels> {
    (0..names.len())
        .map(|number| {
            names
                .get(&number.to_string())
                .map(|name| name.as_str().into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mapping: &str, expected: Option<&[&str]>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("category_mapping.json"), mapping).unwrap();
        let config: Config = serde_json::from_str(r#"{"id2label": {"0": "unused"}}"#).unwrap();
        let labels = of(&Folder::new(folder.path()), None, &config).ok();
        let labels = labels
            .as_ref()
            .map(|labels| labels.iter().map(|label| &**label).collect::<Vec<_>>());
        assert_eq!(labels.as_deref(), expected);
    }

    #[test]
    fn reads_every_kind_of_mapping() {
        check(
            r#"{"category_to_idx": {"law": 1, "math": 0}, "idx_to_category": {"1": "law", "0": "math"}}"#,
            Some(&["math", "law"]),
        );
        check(
            r#"{"label_to_idx": {"jailbreak": 1, "benign": 0}}"#,
            Some(&["benign", "jailbreak"]),
        );
        check(
            r#"{"label_to_id": {"O": 0}, "id_to_label": {"0": "O"}}"#,
            Some(&["O"]),
        );
        check(r#"{"label_to_idx": {"benign": 0, "jailbreak": 2}}"#, None);
        check("{}", None);
    }

    #[test]
    fn strips_prefixes() {
        let labels: Labels = ["O", "B-PERSON", "I-PERSON", "B-CITY"]
            .map(Arc::from)
            .into();
        assert_eq!(*kinds(&labels), ["CITY", "PERSON"].map(Arc::from));
    }
}
