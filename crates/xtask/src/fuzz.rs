//! `cargo xtask fuzz`: runs the fuzz targets of `tests/fuzz` for a bounded time.
//!
//! They are driven by proptest on stable Rust, and mutate the structure of seeds that are kept in
//! the tree. Each run begins at another seed and prints it.

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, execute};

/// The test target that holds the fuzz targets.
pub(crate) const SUITE: &str = "fuzz";

/// Seconds for each target: of the command, and of the slice in `ci`.
const SECONDS: u64 = 60;
const SLICE_SECONDS: u64 = 5;

/// Runs one target, or all of them, as the command line says.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    fuzz(workspace, &Options::read(args)?)
}

/// Runs every target for some seconds.
pub(crate) fn slice(workspace: &Workspace) -> Result<()> {
    let options = Options {
        seconds: SLICE_SECONDS,
        ..Options::default()
    };
    fuzz(workspace, &options)
}

fn fuzz(workspace: &Workspace, options: &Options) -> Result<()> {
    // Selected from the whole workspace, as `ci` builds it, so that nothing is built twice.
    let mut tests = workspace.cargo(["test", "--workspace", "--locked", "--test", SUITE, "--"]);
    tests.args(["--nocapture", "--test-threads", "1"]);
    if let Some(target) = &options.target {
        tests.args(["--exact", target]);
    }
    tests.env("MERIT_FUZZ_SECONDS", options.seconds.to_string());
    if let Some(seed) = options.seed {
        tests.env("MERIT_FUZZ_SEED", seed.to_string());
    }
    execute(&mut tests)
}

#[derive(Debug, PartialEq)]
struct Options {
    /// Seconds for each target.
    seconds: u64,
    /// Where to begin; otherwise somewhere else each time.
    seed: Option<u64>,
    /// One target; otherwise all.
    target: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: SECONDS,
            seed: None,
            target: None,
        }
    }
}

impl Options {
    fn read(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || {
                let number = args
                    .next()
                    .with_context(|| format!("{arg} needs a number"))?;
                number
                    .parse()
                    .with_context(|| format!("`{number}` is not a number"))
            };
            match arg.as_str() {
                "--seconds" => options.seconds = number()?,
                "--seed" => options.seed = Some(number()?),
                target if !target.starts_with('-') && options.target.is_none() => {
                    options.target = Some(target.to_owned());
                }
                _ => bail!(
                    "unexpected `{arg}`; usage: cargo xtask fuzz [--seconds N] [--seed N] [TARGET]"
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
        let all = Options {
            seconds: 5,
            seed: Some(7),
            target: Some("sse".to_owned()),
        };
        check(&["--seconds", "5", "sse", "--seed", "7"], Some(all));
        for args in [
            ["--seconds"].as_slice(),
            &["--seed", "x"],
            &["a", "b"],
            &["--fast"],
        ] {
            check(args, None);
        }
    }
}
