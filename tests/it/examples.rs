//! Every policy in `examples/` is served as it is, and each of its probes goes where the file says.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tests::envoy::root;
use tests::merit::Merit;

/// One request of `probes.yaml` and what must become of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    name: String,
    /// A chat request …
    request: Option<Value>,
    /// … or what the user says, …
    text: Option<String>,
    /// … so many times.
    #[serde(default = "once")]
    repeat: usize,
    expect: BTreeMap<String, String>,
}

fn once() -> usize {
    1
}

impl Probe {
    fn request(&self) -> Result<Value> {
        match (&self.request, &self.text) {
            (Some(request), None) => Ok(request.clone()),
            (None, Some(text)) => Ok(tests::prompt::chat("auto", &text.repeat(self.repeat))),
            _ => anyhow::bail!("a probe has either request or text"),
        }
    }

    fn check(&self, said: &Value) -> Result<()> {
        for (key, wanted) in &self.expect {
            let got = match key.as_str() {
                "decision" => &said["decision_result"]["decision_name"],
                "model" => &said["selected_model"],
                "recipe" => &said["recipe"],
                "refused" => &said["refused"]["by"],
                other => anyhow::bail!("a probe cannot expect {other}"),
            };
            let got = got.as_str().unwrap_or_default();
            ensure!(
                got == wanted,
                "{key} is {got:?}, not {wanted:?}: {}",
                said["decision_result"]["matched_signals"]
            );
        }
        Ok(())
    }
}

async fn check_example(folder: &Path) -> Result<usize> {
    let document = fs::read_to_string(folder.join("config.yaml"))?;
    let probes: Vec<Probe> =
        serde_saphyr::from_str(&fs::read_to_string(folder.join("probes.yaml"))?)?;
    let merit = Merit::start(&document).await?;
    for probe in &probes {
        let said = merit.eval(&probe.request()?).await;
        let checked = said.and_then(|said| probe.check(&said));
        checked.with_context(|| probe.name.clone())?;
    }
    Ok(probes.len())
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

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_policy_is_served() -> Result<()> {
    let document = fs::read_to_string(root().join("tests/fixtures/demo.yaml"))?;
    let merit = Merit::start(&document).await?;
    let said = merit.eval(&json!({"text": "Please refactor this"})).await?;
    ensure!(said["selected_model"] == "large", "{said}");
    Ok(())
}
