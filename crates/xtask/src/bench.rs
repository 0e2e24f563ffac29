//! `cargo xtask bench`: the load driver through a real Envoy, then the Criterion benches, all in
//! the release profile.

use std::process::Command;

use anyhow::{Result, bail};

use crate::setup;
use crate::workspace::{Workspace, execute};

/// Runs one kind of bench, or load, learned and micro if the command names none. Further arguments
/// go to the bench.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    match args.split_first() {
        None => {
            load(workspace, &[], &[])?;
            load(workspace, &["--learned"], &[])?;
            micro(workspace, &[])
        }
        Some((kind, rest)) => match kind.as_str() {
            "load" => load(workspace, &[], rest),
            "learned" => load(workspace, &["--learned"], rest),
            "share" => load(workspace, &["--share"], rest),
            "micro" => micro(workspace, rest),
            "sessions" => sessions(workspace, rest),
            _ => bail!("unknown kind of bench `{kind}`: load, learned, share, micro or sessions"),
        },
    }
}

fn load(workspace: &Workspace, scenario: &[&str], args: &[String]) -> Result<()> {
    let tools = setup::for_demo(workspace)?;
    // Selected from the whole workspace, so that features are those of every other release build.
    let build = [
        "build",
        "--release",
        "--workspace",
        "--bin",
        "merit",
        "--bin",
        "load",
    ];
    execute(&mut workspace.cargo(build))?;
    let mut driver = Command::new(workspace.built("release", "load")?);
    driver.args(scenario).args(args).envs(tools.variables());
    execute(driver.env("MERIT_BIN", workspace.built("release", "merit")?))
}

/// Runs the simulator of session policies; with `--churn N` it measures the table's memory.
fn sessions(workspace: &Workspace, args: &[String]) -> Result<()> {
    execute(&mut workspace.cargo(["build", "--release", "-p", "benches", "--bin", "sessions"]))?;
    execute(Command::new(workspace.built("release", "sessions")?).args(args))
}

fn micro(workspace: &Workspace, args: &[String]) -> Result<()> {
    let tools = setup::for_demo(workspace)?;
    let mut criterion = workspace.cargo(["bench", "--workspace", "--bench", "*", "--"]);
    execute(criterion.args(args).envs(tools.variables()))
}
