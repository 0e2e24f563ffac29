//! Every object that the chart renders, and every one in `examples/`, is what Kubernetes and its
//! extensions accept.

use crate::crd::Definitions;
use crate::helm::{ValueSet, documents, helm, name_of, run, sorted, value_sets};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::process::Command;
use tests::envoy::root;
use tests::python::python;
use tests::skipped::skipped;

/// The version whose schemas are asked, the newest of the package.
const KUBERNETES: &str = "1.37";
/// API groups of Kubernetes itself that the chart uses.
const CORE: [&str; 6] = [
    "v1",
    "apps/v1",
    "batch/v1",
    "autoscaling/v2",
    "policy/v1",
    "networking.k8s.io/v1",
];

#[test]
fn the_chart_lints() -> Result<()> {
    let Some(helm) = helm() else { return Ok(()) };
    value_sets()?.iter().try_for_each(|set| set.lint(&helm))
}

#[test]
fn objects_of_kubernetes_follow_its_schemas() -> Result<()> {
    let (Some(helm), true) = (helm(), has_schemas()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for set in value_sets()? {
        for (index, object) in set.objects(&helm)?.iter().enumerate() {
            if is_core(object) {
                let file = folder.path().join(format!("{}-{index}.yaml", set.name));
                fs::write(&file, object.to_string())?;
                files.push(file);
            }
        }
    }
    ensure!(
        files.len() > 50,
        "only {} objects were rendered",
        files.len()
    );
    let mut command = Command::new(python());
    command.args([
        "-m",
        "kubernetes_validate",
        "--strict",
        "--quiet",
        "--kubernetes-version",
        KUBERNETES,
    ]);
    run(command.args(&files)).map(drop)
}

/// The check itself finds what is wrong.
#[test]
fn the_schemas_of_kubernetes_refuse_nonsense() -> Result<()> {
    if !has_schemas() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("wrong.yaml");
    fs::write(
        &file,
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {port: [{port: 1}]}}",
    )?;
    let mut command = Command::new(python());
    command
        .args([
            "-m",
            "kubernetes_validate",
            "--strict",
            "--kubernetes-version",
            KUBERNETES,
        ])
        .arg(&file);
    ensure!(run(&mut command).is_err(), "an unknown key was accepted");
    Ok(())
}

#[test]
fn custom_resources_follow_their_definitions() -> Result<()> {
    let (Some(helm), Some(definitions)) = (helm(), Definitions::installed()?) else {
        return Ok(());
    };
    let mut faults = Vec::new();
    let mut count = 0;
    for (source, objects) in all_objects(&helm)? {
        for object in objects
            .iter()
            .filter(|object| !is_core(object) && !is_monitoring(object))
        {
            count += 1;
            let found = definitions
                .check(object)
                .with_context(|| format!("{source}: {}", name_of(object)))?;
            faults.extend(
                found
                    .into_iter()
                    .map(|fault| format!("{source}: {}: {fault}", name_of(object))),
            );
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    ensure!(count > 40, "only {count} custom resources were rendered");
    Ok(())
}

/// What is rendered, and what lies in `examples/`.
fn all_objects(helm: &std::path::Path) -> Result<Vec<(String, Vec<Value>)>> {
    let rendered = value_sets()?
        .into_iter()
        .map(|set: ValueSet| Ok((set.name.clone(), set.objects(helm)?)));
    let mut all = rendered.collect::<Result<Vec<_>>>()?;
    for folder in sorted(&root().join("examples"))? {
        if !folder.join("values.yaml").is_file() {
            continue;
        }
        for file in sorted(&folder)?
            .into_iter()
            .filter(|file| file.extension().is_some_and(|kind| kind == "yaml"))
        {
            let objects = documents(&fs::read_to_string(&file)?)?;
            let objects = objects
                .into_iter()
                .filter(|object| object.get("kind").is_some());
            all.push((file.display().to_string(), objects.collect()));
        }
    }
    Ok(all)
}

fn version(object: &Value) -> &str {
    object["apiVersion"].as_str().unwrap_or_default()
}

fn is_core(object: &Value) -> bool {
    CORE.contains(&version(object))
}

/// The Prometheus operator's definitions are not at hand; `contents` reads what these objects say.
fn is_monitoring(object: &Value) -> bool {
    version(object) == "monitoring.coreos.com/v1"
}

fn has_schemas() -> bool {
    let asked = run(Command::new(python()).args(["-c", "import kubernetes_validate"]));
    if asked.is_err() {
        skipped("no kubernetes-validate (cargo xtask setup installs it)");
    }
    asked.is_ok()
}
