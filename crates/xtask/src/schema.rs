//! `cargo xtask schema`: the JSON Schema of the routing document, as `merit schema` prints it, for
//! editors.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, execute, output};

const SCHEMA: &str = "crates/router/schema/merit-v0.3.schema.json";

/// Writes the committed schema.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join(SCHEMA);
    let folder = path.parent().context("the schema lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let printed = printed(&build(workspace)?)?;
    std::fs::write(&path, printed).with_context(|| format!("cannot write {}", path.display()))?;
    println!("schema: wrote {SCHEMA}");
    Ok(())
}

/// Builds `merit`, then [`compare`]s.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    compare(workspace, &build(workspace)?)
}

/// Fails when the committed schema is not what `merit schema` prints.
pub(crate) fn compare(workspace: &Workspace, merit: &Path) -> Result<()> {
    let committed = std::fs::read_to_string(workspace.root.join(SCHEMA));
    let committed =
        committed.with_context(|| format!("cannot read {SCHEMA}; run `cargo xtask schema`"))?;
    ensure!(
        committed == printed(merit)?,
        "{SCHEMA} is stale; run `cargo xtask schema`"
    );
    println!("schema: {SCHEMA} is fresh");
    Ok(())
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    execute(&mut workspace.cargo(["build", "--package", "server", "--bin", "merit"]))?;
    workspace.built("debug", "merit")
}

fn printed(merit: &Path) -> Result<String> {
    let printed = output(Command::new(merit).arg("schema")).context("`merit schema` failed")?;
    Ok(format!("{}\n", printed.trim_end()))
}
