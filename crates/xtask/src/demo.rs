//! `cargo xtask demo`: builds Merit and the demo, then becomes the demo.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;
use crate::workspace::{Workspace, execute};

/// Sets up, builds, and replaces this process, so that signals and the exit code are the demo's
/// own.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let tools = setup::run(workspace)?;
    println!("demo: building Merit (some minutes the first time)");
    execute(&mut workspace.cargo([
        "build",
        "--quiet",
        "--package",
        "server",
        "--package",
        "tests",
        "--bins",
    ]))?;
    let mut demo = Command::new(workspace.built("debug", "demo")?);
    demo.current_dir(&workspace.root)
        .args(args)
        .envs(tools.variables());
    demo.env("MERIT_BIN", workspace.built("debug", "merit")?);
    Err(demo.exec()).context("cannot start the demo")
}
