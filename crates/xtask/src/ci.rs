//! `cargo xtask ci`: every check, cheapest first, one profile, the time of each step printed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::setup::Toolbox;
use crate::workspace::{Workspace, execute};
use crate::{envoy, kubernetes, schema, setup, tidy};

/// What the steps share.
struct Run<'a> {
    workspace: &'a Workspace,
    tools: Option<Toolbox>,
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&mut Run) -> Result<()>,
}

/// In order. `build` selects the whole workspace with all its targets, which fixes the features of
/// every dependency for the steps after it, and compiles the benches on the way.
const STEPS: [Step; 11] = [
    Step {
        name: "setup",
        what: "Envoy, Python SDKs and language model in place",
        run: |run| run.tools().map(drop),
    },
    Step {
        name: "fmt",
        what: "rustfmt has nothing to change",
        run: |run| run.cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        what: "the rules that no compiler knows",
        run: |run| tidy::run(run.workspace),
    },
    Step {
        name: "clippy",
        what: "no warning in any target",
        run: clippy,
    },
    Step {
        name: "build",
        what: "everything compiles, benches too",
        run: build,
    },
    Step {
        name: "schema",
        what: "the committed JSON Schema is fresh",
        run: fresh_schema,
    },
    Step {
        name: "test",
        what: "unit tests and the in-process suite",
        run: test,
    },
    Step {
        name: "kubernetes",
        what: "the Helm chart and the manifests of examples/, without a cluster",
        run: chart,
    },
    Step {
        name: "bootstraps",
        what: "Envoy accepts every file of envoy/",
        run: bootstraps,
    },
    Step {
        name: "envoy",
        what: "the suite on a real Envoy",
        run: envoy_suite,
    },
    Step {
        name: "doc",
        what: "the documentation builds without a warning",
        run: doc,
    },
];

/// Runs all steps, or those named by `--only`; stops at the first that fails.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    if args == ["--list"] {
        STEPS
            .iter()
            .for_each(|step| println!("{:<12} {}", step.name, step.what));
        return Ok(());
    }
    let chosen = chosen(args)?;
    let mut state = Run {
        workspace,
        tools: None,
    };
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for step in chosen {
        println!("\n── {}: {}", step.name, step.what);
        let start = Instant::now();
        let outcome = (step.run)(&mut state);
        times.push((step.name, start.elapsed()));
        if let Err(error) = outcome {
            print_times(&times);
            return Err(error).with_context(|| {
                format!(
                    "step {} failed (alone: cargo xtask ci --only {0})",
                    step.name
                )
            });
        }
    }
    print_times(&times);
    println!("ci: all passed");
    Ok(())
}

/// The steps that the command line names.
fn chosen(args: &[String]) -> Result<Vec<&'static Step>> {
    if args.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let mut chosen = Vec::new();
    for pair in args.chunks(2) {
        let [flag, name] = pair else {
            bail!("usage: cargo xtask ci [--list] [--only STEP]…")
        };
        ensure!(
            flag == "--only",
            "unknown option `{flag}`; usage: cargo xtask ci [--list] [--only STEP]…"
        );
        let step = STEPS.iter().find(|step| step.name == name);
        chosen.push(step.with_context(|| format!("no step `{name}`; see cargo xtask ci --list"))?);
    }
    Ok(chosen)
}

fn print_times(times: &[(&str, Duration)]) {
    println!("\n{:<12} {:>8}", "step", "seconds");
    for (name, time) in times {
        println!("{name:<12} {:>8.1}", time.as_secs_f64());
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    println!("{:<12} {:>8.1}", "total", total.as_secs_f64());
}

impl Run<'_> {
    fn cargo(&self, args: &[&str]) -> Result<()> {
        execute(&mut self.workspace.cargo(args))
    }

    /// Sets up at most once, also when a single step is asked for.
    fn tools(&mut self) -> Result<&Toolbox> {
        let tools = match self.tools.take() {
            Some(tools) => tools,
            None => setup::run(self.workspace)?,
        };
        Ok(self.tools.insert(tools))
    }
}

fn clippy(run: &mut Run) -> Result<()> {
    run.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ])
}

fn build(run: &mut Run) -> Result<()> {
    run.cargo(&["build", "--workspace", "--all-targets", "--locked"])
}

fn fresh_schema(run: &mut Run) -> Result<()> {
    schema::compare(run.workspace, &run.workspace.built("debug", "merit")?)
}

/// All tests but the suites of real Envoys and of the chart, which have steps of their own. Targets
/// are chosen, not packages: with other packages, cargo would unify other features and build the
/// dependencies again.
fn test(run: &mut Run) -> Result<()> {
    let workspace = run.workspace;
    let tools = run.tools()?;
    execute(
        workspace
            .cargo(["test", "--workspace", "--locked", "--doc"])
            .envs(tools.variables()),
    )?;
    let mut tests = workspace.cargo(["test", "--workspace", "--locked", "--lib", "--bins"]);
    for name in workspace
        .test_targets()
        .into_iter()
        .filter(|name| ![envoy::SUITE, kubernetes::SUITE].contains(name))
    {
        tests.args(["--test", name]);
    }
    execute(
        tests
            .envs(tools.variables())
            .env("MERIT_BIN", workspace.built("debug", "merit")?),
    )
}

fn chart(run: &mut Run) -> Result<()> {
    let workspace = run.workspace;
    kubernetes::suite(workspace, run.tools()?)
}

fn bootstraps(run: &mut Run) -> Result<()> {
    let workspace = run.workspace;
    envoy::validate(workspace, run.tools()?)
}

fn envoy_suite(run: &mut Run) -> Result<()> {
    let workspace = run.workspace;
    envoy::suite(workspace, run.tools()?)
}

fn doc(run: &mut Run) -> Result<()> {
    let mut doc = run
        .workspace
        .cargo(["doc", "--workspace", "--no-deps", "--locked"]);
    execute(doc.env("RUSTDOCFLAGS", "--deny warnings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], expected: &[&str]) {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let names: Vec<&str> = chosen(&args)
            .unwrap()
            .iter()
            .map(|step| step.name)
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn only_selects_in_the_order_given() {
        check(&["--only", "doc"], &["doc"]);
        check(&["--only", "tidy", "--only", "fmt"], &["tidy", "fmt"]);
        assert_eq!(chosen(&[]).unwrap().len(), STEPS.len());
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        for args in [
            ["--only", "nothing"].as_slice(),
            &["--only"],
            &["fast", "x"],
        ] {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            assert!(chosen(&args).is_err(), "{args:?}");
        }
    }
}
