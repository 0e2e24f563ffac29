//! Every policy in `examples/` is served as it is, and each of its probes goes where the file says.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use server::probes::Probes;
use std::fs;
use std::path::Path;
use std::process::Command;
use tests::envoy::root;
use tests::merit::{Merit, binary};

async fn check_example(folder: &Path) -> Result<usize> {
    let document = fs::read_to_string(folder.join("config.yaml"))?;
    let probes = Probes::read(&fs::read_to_string(folder.join("probes.yaml"))?)?;
    let merit = Merit::start(&document).await?;
    for probe in &probes.probes {
        let said = merit.eval(&json!(probe.request)).await;
        let said = said.with_context(|| probe.name.clone())?;
        let faults = probe.faults(&said);
        ensure!(
            faults.is_empty(),
            "{}: {faults:?}: {}",
            probe.name,
            said["decision_result"]["matched_signals"]
        );
    }
    Ok(probes.probes.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_what_its_probes_say() -> Result<()> {
    let mut faults = Vec::new();
    let mut count = 0;
    for folder in fs::read_dir(root().join("examples"))? {
        let folder = folder?.path();
        if !folder.join("config.yaml").is_file() {
            continue;
        }
        count += 1;
        match check_example(&folder).await {
            Ok(probes) if probes >= 3 => {}
            Ok(probes) => faults.push(format!("{}: only {probes} probes", folder.display())),
            Err(error) => faults.push(format!("{}: {error:#}", folder.display())),
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    ensure!(count >= 5, "only {count} examples were found");
    Ok(())
}

/// `merit test` ends with 0 where all probes go where they must, and with 1 where one does not.
#[test]
fn probes_are_run_by_a_command() -> Result<()> {
    let example = root().join("examples/cost");
    let folder = tempfile::tempdir()?;
    let wrong = folder.path().join("wrong.yaml");
    fs::write(&wrong, "- {name: w, text: Hello, expect: {model: large}}\n")?;
    let test = |probes: &Path| {
        let mut command = Command::new(binary()?);
        command
            .arg("test")
            .arg(example.join("config.yaml"))
            .arg(probes);
        anyhow::Ok(command.output()?)
    };
    let right = test(&example.join("probes.yaml"))?;
    ensure!(right.status.success(), "{right:?}");
    let wrong = test(&wrong)?;
    ensure!(wrong.status.code() == Some(1), "{wrong:?}");
    let said = String::from_utf8_lossy(&wrong.stdout).into_owned();
    ensure!(said.contains("model: expected large, got small"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_policy_is_served() -> Result<()> {
    let document = fs::read_to_string(root().join("tests/fixtures/demo.yaml"))?;
    let merit = Merit::start(&document).await?;
    let said = merit.eval(&json!({"text": "Please refactor this"})).await?;
    ensure!(said["selected_model"] == "large", "{said}");
    Ok(())
}

/// The example of a migration holds what `merit migrate` writes, and its probes go where they went.
#[test]
fn an_old_document_is_migrated() -> Result<()> {
    let folder = root().join("examples/from-vllm-sr");
    let old = folder.join("config.yaml");
    let migrate = |words: &[&str]| {
        let mut command = Command::new(binary()?);
        anyhow::Ok(command.arg("migrate").arg(&old).args(words).output()?)
    };
    let written = migrate(&[])?;
    ensure!(written.status.success(), "{written:?}");
    let expected = fs::read_to_string(folder.join("migrated.yaml"))?;
    let got = String::from_utf8(written.stdout)?;
    ensure!(got == expected, "{got}");
    let changes = String::from_utf8(written.stderr)?;
    ensure!(changes.lines().count() == 11, "{changes}");
    Ok(())
}
