//! `cargo xtask demo`: builds Merit and the demo, fetches what they need, then becomes the demo.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

use crate::setup;
use crate::toolbox::Toolbox;
use crate::workspace::Workspace;

const PROFILE: &str = "demo";

/// What the demo runs: the `merit` command, and the demo's own program from the package `tests`.
/// The profile is its own, see the root `Cargo.toml`: it builds fast rather than fast programs.
const BUILD: [&str; 9] = [
    "build",
    "--locked",
    "--profile",
    PROFILE,
    "--package",
    "server",
    "--package",
    "tests",
    "--bins",
];

/// Builds and sets up, then replaces this process, so that signals and the exit code are the demo's
/// own.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    // A machine without a usable Python is told so before minutes of compiling.
    setup::prepare(workspace)?;
    println!(
        "demo: building Merit, and fetching Envoy and the models meanwhile \
         (about 2 minutes the first time on 2 cores, seconds later)"
    );

    let tools = build_and_fetch(workspace)?;

    let mut demo = Command::new(workspace.built(PROFILE, "demo")?);
    demo.current_dir(&workspace.root)
        .args(args)
        .envs(tools.variables())
        .env("MERIT_BIN", workspace.built(PROFILE, "merit")?);
    Err(demo.exec()).context("cannot start the demo")
}

/// Runs cargo and the downloads side by side: one waits for the processors, the other for the
/// network.
fn build_and_fetch(workspace: &Workspace) -> Result<Toolbox> {
    let mut build = workspace
        .cargo(BUILD)
        .spawn()
        .context("cannot start cargo")?;

    let tools = match setup::for_demo(workspace) {
        Ok(tools) => tools,
        Err(error) => {
            stop(&mut build)?;
            return Err(error);
        }
    };

    let status = build.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "`cargo build` ended with {status}");
    Ok(tools)
}

/// Ends a build that nobody needs any more.
fn stop(build: &mut Child) -> Result<()> {
    build.kill().context("cannot stop cargo")?;
    build.wait().context("cannot wait for cargo")?;
    Ok(())
}
