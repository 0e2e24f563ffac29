//! `cargo xtask evaluate`: measures the learned signals on texts that nothing was fitted on.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup;
use crate::workspace::{Workspace, execute};

/// The page whose marked part `--readme` replaces by the tables.
const PAGE: &str = "crates/training/README.md";

/// Builds the evaluation in the release profile and runs it; with `--readme` its tables go to
/// [`PAGE`].
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let options = Options::read(args)?;
    let tools = setup::for_demo(workspace)?;
    // Selected from the whole workspace, so that features are those of every other release build.
    execute(&mut workspace.cargo(["build", "--release", "--workspace", "--bin", "evaluate"]))?;
    let mut evaluate = Command::new(workspace.built("release", "evaluate")?);
    if let Some(data) = options.data {
        let data = data
            .canonicalize()
            .with_context(|| format!("no data in {}", data.display()))?;
        evaluate.arg("--data").arg(data);
    }
    if options.readme {
        evaluate.arg("--readme").arg(workspace.root.join(PAGE));
    }
    if options.fit {
        evaluate.arg("--fit");
    }
    execute(evaluate.envs(tools.variables()))
}

#[derive(Debug, Default, PartialEq)]
struct Options {
    data: Option<PathBuf>,
    readme: bool,
    fit: bool,
}

impl Options {
    fn read(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--data" => {
                    options.data = Some(args.next().context("--data names a folder")?.into())
                }
                "--readme" => options.readme = true,
                "--fit" => options.fit = true,
                _ => bail!(
                    "unknown option `{arg}`; usage: cargo xtask evaluate [--data DIR] [--readme] [--fit]"
                ),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], expected: Option<Options>) {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        assert_eq!(Options::read(&args).ok(), expected, "{args:?}");
    }

    #[test]
    fn options_are_read() {
        check(&[], Some(Options::default()));
        let data = Some(PathBuf::from("../data"));
        check(
            &["--readme", "--data", "../data"],
            Some(Options {
                data,
                readme: true,
                fit: false,
            }),
        );
        check(&["--data"], None);
        check(&["--fast"], None);
    }
}
