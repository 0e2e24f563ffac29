//! The reference's exhaustive document and its fragments: every key is known. They lie outside the
//! repository; without them these tests say so and pass.

use super::environment;
use crate::config::{Checked, check, load};
use document::Severity;
use std::path::{Path, PathBuf};

pub(super) fn reference() -> Option<PathBuf> {
    let shared = std::env::var_os("MERIT_SHARED_DATA").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let folder = shared.join("reference");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no reference documents at {}", folder.display());
    None
}

fn checked() -> Option<Checked> {
    let text = std::fs::read_to_string(reference()?.join("config-v0.3.yaml")).unwrap();
    Some(check(&text, &environment))
}

#[test]
fn document_has_no_unknown_key() {
    let Some(folder) = reference() else { return };
    let text = std::fs::read_to_string(folder.join("config-v0.3.yaml")).unwrap();
    let loaded = load(&text, &environment);
    assert_eq!(loaded.problems, []);
    let document = loaded.document.unwrap();
    assert_eq!(document.routing.decisions.len(), 23);
    assert_eq!(
        (document.providers.models.len(), document.recipes.len()),
        (4, 1)
    );
    let validator = jsonschema::validator_for(crate::config::schema().value()).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&loaded.value)
        .map(|fault| fault.to_string())
        .collect();
    assert_eq!(faults, Vec::<String>::new());
}

/// The only errors are features that Merit lacks and without which requests would be less safe.
#[test]
fn document_is_refused_only_for_what_is_missing() {
    let Some(checked) = checked() else { return };
    let errors = checked
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    let other: Vec<String> = errors
        .filter(|problem| !problem.message.contains("this document is not served"))
        .map(ToString::to_string)
        .collect();
    assert_eq!(other, Vec::<String>::new());
}

/// What the document itself gets wrong is said.
#[test]
fn document_has_known_traps() {
    let Some(checked) = checked() else { return };
    let cases = [
        (
            Severity::Note,
            "version",
            "the document is in the old spelling",
        ),
        (
            Severity::Warning,
            "routing.signals.keywords[3].method",
            "drop `method`, keep `fuzzy_match: true`, and write `fuzzy_threshold: 2`",
        ),
        (
            Severity::Note,
            "routing.signals.jailbreak[0].method",
            "runs the model alone",
        ),
        (
            Severity::Note,
            "routing.signals.complexity[0].threshold",
            "nearly every turn is `medium`",
        ),
        (Severity::Warning, "routing.decisions", "some have none"),
        (
            Severity::Warning,
            "routing.decisions[8].algorithm.automix",
            "only `cost_quality_tradeoff` is read here",
        ),
        (
            Severity::Warning,
            "global.router.model_selection.method",
            "has no effect",
        ),
        (
            Severity::Warning,
            "global.router.model_selection.momentum",
            "has no effect",
        ),
        (
            Severity::Warning,
            "global.router.model_selection.ml.models_path",
            "has no effect",
        ),
        (
            Severity::Warning,
            "global.router.model_selection.hybrid.quality_gap_threshold",
            "has no effect",
        ),
        (
            Severity::Warning,
            "global.router.model_selection.hybrid.experience_weight",
            "the same share for ever",
        ),
    ];
    for (severity, path, words) in cases {
        let hit = checked.problems.iter().any(|problem| {
            problem.severity == severity && problem.path == path && problem.message.contains(words)
        });
        let near: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
        assert!(hit, "{severity} {path} {words} not in {near:#?}");
    }
    let placed = checked
        .problems
        .iter()
        .all(|problem| problem.line > 0 && problem.column > 0);
    assert!(placed);
}

/// Each fragment, put where it belongs, has known keys only.
#[test]
fn fragments_have_no_unknown_key() {
    let Some(folder) = reference() else { return };
    let mut files = Vec::new();
    collect(&folder.join("fragments"), &mut files);
    assert_eq!(files.len(), 62);
    for file in files {
        let text = wrapped(&std::fs::read_to_string(&file).unwrap());
        assert_eq!(
            load(&text, &environment).problems,
            [],
            "{}\n{text}",
            file.display()
        );
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}

/// Documents stay; parts of a decision go into one.
fn wrapped(text: &str) -> String {
    let indented = |text: &str, by: &str| -> String {
        text.lines().map(|line| format!("{by}{line}\n")).collect()
    };
    let decision = "routing:\n  decisions:\n    - name: wrapped\n";
    match text.strip_prefix("plugin:\n") {
        Some(plugin) => format!(
            "{decision}      plugins:\n        -\n{}",
            indented(plugin, "        ")
        ),
        None if text.starts_with("algorithm:") || text.starts_with("plugins:") => {
            format!("{decision}{}", indented(text, "      "))
        }
        None => text.to_owned(),
    }
}
