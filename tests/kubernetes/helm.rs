//! Renders the chart.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::envoy::root;
use tests::skipped::skipped;

/// The namespace of every rendering.
pub(crate) const NAMESPACE: &str = "llm";

/// What is rendered in all tests: a name, and files of values in order.
pub(crate) struct ValueSet {
    pub(crate) name: String,
    pub(crate) files: Vec<PathBuf>,
    /// `--set-file` of the routing document.
    pub(crate) config: Option<PathBuf>,
}

/// Helm, if it is installed.
pub(crate) fn helm() -> Option<PathBuf> {
    let named = std::env::var_os("MERIT_HELM").map(PathBuf::from);
    let helm = named.unwrap_or_else(|| root().join(".merit/kubernetes/helm"));
    if helm.is_file() {
        return Some(helm);
    }
    skipped(&format!(
        "no helm at {} (cargo xtask setup installs it)",
        helm.display()
    ));
    None
}

/// The folder of the chart.
pub(crate) fn chart() -> PathBuf {
    root().join("charts/merit")
}

/// Every set that matters: `ci/*-values.yaml` of the chart, and those of the examples.
pub(crate) fn value_sets() -> Result<Vec<ValueSet>> {
    let mut sets = Vec::new();
    for file in sorted(&chart().join("ci"))? {
        let name = file
            .file_name()
            .context("no name")?
            .to_string_lossy()
            .replace("-values.yaml", "");
        sets.push(ValueSet {
            name,
            files: vec![file],
            config: None,
        });
    }
    for folder in sorted(&root().join("examples"))? {
        let values = folder.join("values.yaml");
        if !values.is_file() {
            continue;
        }
        let config = Some(folder.join("config.yaml"));
        let name = folder
            .file_name()
            .context("no name")?
            .to_string_lossy()
            .into_owned();
        for file in sorted(&folder)? {
            let file_name = file
                .file_name()
                .context("no name")?
                .to_string_lossy()
                .into_owned();
            if let Some(variant) = file_name
                .strip_prefix("values-")
                .and_then(|rest| rest.strip_suffix(".yaml"))
            {
                let files = vec![values.clone(), file];
                sets.push(ValueSet {
                    name: format!("{name}-{variant}"),
                    files,
                    config: config.clone(),
                });
            }
        }
        sets.push(ValueSet {
            name,
            files: vec![values],
            config,
        });
    }
    ensure!(sets.len() >= 10, "only {} sets of values", sets.len());
    Ok(sets)
}

/// The entries of a folder, sorted.
pub(crate) fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

impl ValueSet {
    /// What `helm template` prints.
    pub(crate) fn text(&self, helm: &Path) -> Result<String> {
        let mut command = Command::new(helm);
        command
            .args(["template", "merit"])
            .arg(chart())
            .args(["--namespace", NAMESPACE]);
        run(self.arguments(&mut command)).with_context(|| self.name.clone())
    }

    /// The objects that the chart renders.
    pub(crate) fn objects(&self, helm: &Path) -> Result<Vec<Value>> {
        documents(&self.text(helm)?).with_context(|| self.name.clone())
    }

    /// `helm lint --strict`.
    pub(crate) fn lint(&self, helm: &Path) -> Result<()> {
        let mut command = Command::new(helm);
        command.args(["lint", "--strict"]).arg(chart());
        run(self.arguments(&mut command))
            .map(drop)
            .with_context(|| self.name.clone())
    }

    fn arguments<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for file in &self.files {
            command.arg("--values").arg(file);
        }
        if let Some(config) = &self.config {
            command
                .arg("--set-file")
                .arg(format!("config={}", config.display()));
        }
        command
    }
}

/// Runs a command; its output, or its complaint.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{printed}{said}");
    Ok(printed)
}

/// The YAML documents of a text, empty ones left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>> {
    let parts = text
        .split("\n---")
        .map(|part| part.trim_start_matches("---"));
    let parsed: Result<Vec<Value>, _> = parts.map(serde_saphyr::from_str::<Value>).collect();
    Ok(parsed?
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// `kind namespace/name`.
pub(crate) fn name_of(object: &Value) -> String {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    format!(
        "{} {}/{}",
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name")
    )
}
