//! The shipped bootstraps and the real-Envoy suite, on the pinned Envoy or on several.

use std::ffi::OsStr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::setup;
use crate::toolbox::Toolbox;
use crate::workspace::{Workspace, execute, output};

/// One Envoy of each release line that a supported Envoy Gateway ships.
const VERSIONS: [&str; 4] = ["1.37.0", "1.38.3", "1.39.3", "1.40.0"];

/// The test target that needs an Envoy.
pub(crate) const SUITE: &str = "envoy";

/// Has Envoy itself read every bootstrap in `envoy/`.
pub(crate) fn validate(workspace: &Workspace, tools: &Toolbox) -> Result<()> {
    let folder = workspace.root.join("envoy");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut bootstraps: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    bootstraps.retain(|path| path.extension() == Some(OsStr::new("yaml")));
    bootstraps.sort();
    ensure!(
        !bootstraps.is_empty(),
        "no bootstrap in {}",
        folder.display()
    );
    for bootstrap in bootstraps {
        let mut envoy = Command::new(&tools.envoy);
        envoy
            .args(["--mode", "validate", "--log-level", "error", "-c"])
            .arg(&bootstrap);
        print!("{}", output(&mut envoy)?);
    }
    Ok(())
}

/// Runs the real-Envoy suite, selected from the whole workspace as it was built: for another
/// selection cargo would unify features differently and build the dependencies again.
pub(crate) fn suite(workspace: &Workspace, tools: &Toolbox) -> Result<()> {
    let mut tests = workspace.cargo(["test", "--workspace", "--locked", "--test", SUITE]);
    execute(
        tests
            .envs(tools.variables())
            .env("MERIT_BIN", workspace.built("debug", "merit")?),
    )
}

struct Trial {
    version: String,
    failure: Option<String>,
    time: Duration,
}

/// Runs validation and suite on each version, also after one has failed, and prints a table.
pub(crate) fn matrix(workspace: &Workspace, versions: &[String]) -> Result<()> {
    let versions = if versions.is_empty() {
        VERSIONS.map(str::to_owned).to_vec()
    } else {
        versions.to_vec()
    };
    execute(&mut workspace.cargo(["build", "--workspace", "--all-targets", "--locked"]))?;
    let trials: Vec<Trial> = versions
        .into_iter()
        .map(|version| trial(workspace, version))
        .collect();
    println!("\n{:<10} {:>8}  result", "Envoy", "time");
    for trial in &trials {
        let result = trial.failure.as_deref().unwrap_or("passed");
        println!(
            "{:<10} {:>7.1}s  {result}",
            trial.version,
            trial.time.as_secs_f64()
        );
    }
    let failed = trials
        .iter()
        .filter(|trial| trial.failure.is_some())
        .count();
    ensure!(failed == 0, "{failed} of {} versions failed", trials.len());
    Ok(())
}

fn trial(workspace: &Workspace, version: String) -> Trial {
    println!("\n── Envoy {version}");
    let start = Instant::now();
    let outcome = setup::for_suites(workspace).and_then(|tools| {
        let tools = tools.with_envoy(setup::envoy_version(workspace, &version)?);
        validate(workspace, &tools)?;
        suite(workspace, &tools)
    });
    let failure = outcome.err().map(|error| format!("FAILED: {error:#}"));
    Trial {
        version,
        failure,
        time: start.elapsed(),
    }
}
