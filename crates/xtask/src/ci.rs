//! `cargo xtask ci`: every check, cheapest first, with the time of each step.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::toolbox::Toolbox;
use crate::workspace::{Workspace, execute, output};
use crate::{attack, envoy, fuzz, kubernetes, schema, setup, tidy};

/// How long all steps together may take from cold on 2 cores, in minutes. A longer run passes, and
/// says that it was longer: time depends on the machine.
const CEILING_MINUTES: f64 = 40.0;

/// What the steps share.
struct Run<'a> {
    workspace: &'a Workspace,
    tools: Option<Toolbox>,
}

struct Step {
    name: &'static str,
    /// What the step is for, in one sentence.
    purpose: &'static str,
    run: fn(&mut Run) -> Result<()>,
}

/// The steps in order. `build` selects the whole workspace with all its targets, which fixes the
/// features of every dependency for the steps after it and compiles the benches on the way.
const STEPS: [Step; 14] = [
    Step {
        name: "setup",
        purpose: "Fetches Envoy, models, Python SDKs, Helm, Redis and a browser, which later steps run.",
        run: |run| run.tools().map(drop),
    },
    Step {
        name: "fmt",
        purpose: "Fails if rustfmt would change a file.",
        run: |run| run.cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        purpose: "Checks the rules that no compiler knows: dependencies, licences, layers, links, words.",
        run: |run| tidy::run(run.workspace, &[]),
    },
    Step {
        name: "advisories",
        purpose: "Asks RustSec about every package, where `cargo audit` is installed.",
        run: |run| audit(run.workspace),
    },
    Step {
        name: "clippy",
        purpose: "Fails on any warning of the compiler or of Clippy, in every target.",
        run: clippy,
    },
    Step {
        name: "build",
        purpose: "Compiles the programs, the tests and the benches.",
        run: build,
    },
    Step {
        name: "schema",
        purpose: "Fails if the committed JSON Schema is not the one that `merit schema` prints.",
        run: fresh_schema,
    },
    Step {
        name: "test",
        purpose: "Runs the unit tests, the doc tests and the in-process suite.",
        run: test,
    },
    Step {
        name: "fuzz",
        purpose: "Runs each fuzz target for some seconds, with another seed each time.",
        run: |run| fuzz::slice(run.workspace),
    },
    Step {
        name: "kubernetes",
        purpose: "Renders and checks the Helm chart and the manifests of examples/, without a cluster.",
        run: chart,
    },
    Step {
        name: "bootstraps",
        purpose: "Has Envoy itself validate every file of envoy/.",
        run: bootstraps,
    },
    Step {
        name: "envoy",
        purpose: "Runs the suite of real clients, a real Envoy and Merit.",
        run: envoy_suite,
    },
    Step {
        name: "attack",
        purpose: "Attacks a running Merit in six ways for some seconds each, with another seed each time.",
        run: attacks,
    },
    Step {
        name: "doc",
        purpose: "Builds the documentation of the crates and fails on any warning.",
        run: doc,
    },
];

/// Runs all steps, or those named by `--only`, and stops at the first that fails.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    if args == ["--list"] {
        for step in &STEPS {
            println!("{:<12} {}", step.name, step.purpose);
        }
        return Ok(());
    }
    let chosen = chosen(args)?;
    let mut state = Run {
        workspace,
        tools: None,
    };
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for step in chosen {
        println!("\n── {}: {}", step.name, step.purpose);
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

/// Returns the steps that the command line names; all of them if it names none.
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

/// Prints the minutes of each step and of all, and whether they kept to the ceiling.
fn print_times(times: &[(&str, Duration)]) {
    println!("\n{:<12} {:>8}", "step", "minutes");
    for (name, time) in times {
        println!("{name:<12} {:>8.1}", minutes(*time));
    }
    let total = minutes(times.iter().map(|(_, time)| *time).sum());
    println!("{:<12} {total:>8.1}", "total");
    if total > CEILING_MINUTES {
        println!("ci: longer than its ceiling of {CEILING_MINUTES} minutes");
    }
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

impl Run<'_> {
    fn cargo(&self, args: &[&str]) -> Result<()> {
        execute(&mut self.workspace.cargo(args))
    }

    /// Returns the tools, which it sets up once for all steps.
    fn tools(&mut self) -> Result<&Toolbox> {
        let tools = match self.tools.take() {
            Some(tools) => tools,
            None => setup::for_suites(self.workspace)?,
        };
        Ok(self.tools.insert(tools))
    }
}

/// Asks RustSec's database, which cargo-audit fetches from GitHub. Without it the list of `tidy`
/// is what was checked, and the step says so.
fn audit(workspace: &Workspace) -> Result<()> {
    let mut is_there = workspace.cargo(["audit", "--version"]);
    if output(&mut is_there).is_err() {
        println!("cargo-audit is not installed: only tidy's list of advised packages was checked");
        return Ok(());
    }
    let mut audit = workspace.cargo(["audit", "--deny", "warnings"]);
    for known in &tidy::advisories::EXCEPTIONS {
        audit.args(["--ignore", known.id]);
    }
    execute(&mut audit)
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

/// Runs all tests but the suites that have steps of their own. It selects targets, not packages:
/// for a selection of packages cargo would unify features differently and build the dependencies
/// again.
fn test(run: &mut Run) -> Result<()> {
    let workspace = run.workspace;
    let tools = run.tools()?;
    execute(
        workspace
            .cargo(["test", "--workspace", "--locked", "--doc"])
            .envs(tools.variables()),
    )?;
    let mut tests = workspace.cargo(["test", "--workspace", "--locked", "--lib", "--bins"]);
    for name in workspace.test_targets().into_iter().filter(|name| {
        ![attack::SUITE, envoy::SUITE, fuzz::SUITE, kubernetes::SUITE].contains(name)
    }) {
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

fn attacks(run: &mut Run) -> Result<()> {
    let workspace = run.workspace;
    attack::slice(workspace, run.tools()?)
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
    fn each_purpose_is_one_sentence() {
        for step in &STEPS {
            let purpose = step.purpose;
            assert!(purpose.ends_with('.') && purpose.len() < 100, "{purpose}");
            assert_eq!(purpose.matches(". ").count(), 0, "{purpose}");
        }
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
