//! `cargo xtask attack`: runs the attacks of `tests/attack` for a bounded time.
//!
//! Each begins at another seed and prints it. `--soak` runs only the steady load, for minutes, prints
//! what Merit held in each quarter of the time, and fails unless memory, descriptors and threads stay
//! level. `--memory` runs only the large bodies, against a release build, and prints the peak.

use anyhow::{Context, Result, bail, ensure};

use crate::setup;
use crate::toolbox::Toolbox;
use crate::workspace::{Workspace, execute};

/// The test target that holds the attacks.
pub(crate) const SUITE: &str = "attack";

/// Seconds for each attack: of the command, and of the slice in `ci`.
const SECONDS: u64 = 60;
const SLICE_SECONDS: u64 = 4;

/// The attacks, in the order in which they run, with what each is for.
const ATTACKS: [(&str, &str); 7] = [
    (
        "ext_proc_frames",
        "random streams of frames: no stream ends OK without a reply",
    ),
    (
        "mutated_json",
        "mutated requests through Envoy: no 5xx, and refusals say why",
    ),
    (
        "reload_storm",
        "documents spoilt, removed and replaced under load: every request is answered",
    ),
    (
        "kill_under_load",
        "Merit killed under load: what a boundary holds stays, clients see answers or 5xx",
    ),
    (
        "faulty_redis",
        "ten ways in which a Redis fails: requests go on in time, memory stays",
    ),
    (
        LARGE,
        "16 bodies of 30 MB at a time under many rules: memory stays below the chart's limit",
    ),
    (
        STEADY,
        "an even load with reloads: memory, descriptors and threads stay level",
    ),
];

const STEADY: &str = "steady_load";
const LARGE: &str = "large_bodies";

const USAGE: &str = "usage: cargo xtask attack [--list] [--only NAME]… [--seconds N] [--seed N] \
                     [--soak MINUTES] [--memory]";

/// Runs the attacks that the command line names; all of them if it names none.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    if args == ["--list"] {
        for (name, purpose) in ATTACKS {
            println!("{name:<16} {purpose}");
        }
        return Ok(());
    }
    let options = Options::read(args)?;
    let tools = setup::for_suites(workspace)?;
    execute(&mut workspace.cargo(["build", "--workspace", "--all-targets", "--locked"]))?;
    if options.profile == "release" {
        let merit = [
            "build",
            "--release",
            "--locked",
            "-p",
            "server",
            "--bin",
            "merit",
        ];
        execute(&mut workspace.cargo(merit))?;
    }
    attack(workspace, &tools, &options)
}

/// Runs every attack for some seconds.
pub(crate) fn slice(workspace: &Workspace, tools: &Toolbox) -> Result<()> {
    let options = Options {
        seconds: SLICE_SECONDS,
        ..Options::default()
    };
    attack(workspace, tools, &options)
}

fn attack(workspace: &Workspace, tools: &Toolbox, options: &Options) -> Result<()> {
    // Selected from the whole workspace, as `ci` builds it, so that nothing is built twice.
    let mut tests = workspace.cargo(["test", "--workspace", "--locked", "--test", SUITE, "--"]);
    tests.args(["--nocapture", "--test-threads", "1", "--exact"]);
    tests.args(&options.only);
    tests.envs(tools.variables());
    tests.env("MERIT_BIN", workspace.built(options.profile, "merit")?);
    tests.env("MERIT_FUZZ_SECONDS", options.seconds.to_string());
    if let Some(seed) = options.seed {
        tests.env("MERIT_FUZZ_SEED", seed.to_string());
    }
    execute(&mut tests)
}

#[derive(Debug, PartialEq)]
struct Options {
    /// Seconds for each attack.
    seconds: u64,
    /// Where to begin; otherwise somewhere else each time.
    seed: Option<u64>,
    /// The attacks to run; otherwise all.
    only: Vec<&'static str>,
    /// How the Merit under attack is built.
    profile: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: SECONDS,
            seed: None,
            only: Vec::new(),
            profile: "debug",
        }
    }
}

impl Options {
    fn read(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            if flag == "--memory" {
                options.only.push(LARGE);
                options.profile = "release";
                continue;
            }
            let value = args.next().context(USAGE)?;
            let number = || {
                let number = value.parse::<u64>();
                number.with_context(|| format!("`{value}` is not a number; {USAGE}"))
            };
            match flag.as_str() {
                "--seconds" => options.seconds = number()?,
                "--seed" => options.seed = Some(number()?),
                "--only" => options.only.push(named(value)?),
                "--soak" => {
                    options.seconds = number()?.saturating_mul(60);
                    options.only.push(STEADY);
                }
                _ => bail!("unexpected `{flag}`; {USAGE}"),
            }
        }
        ensure!(options.seconds > 0, "an attack needs time; {USAGE}");
        Ok(options)
    }
}

fn named(name: &str) -> Result<&'static str> {
    let known = ATTACKS.iter().find(|(known, _)| *known == name);
    let (known, _) = known.with_context(|| format!("no attack `{name}`; see --list"))?;
    Ok(known)
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
        let two = Options {
            seconds: 5,
            seed: Some(7),
            only: vec!["mutated_json", "reload_storm"],
            ..Options::default()
        };
        check(
            &[
                "--seconds",
                "5",
                "--only",
                "mutated_json",
                "--seed",
                "7",
                "--only",
                "reload_storm",
            ],
            Some(two),
        );
        let soak = Options {
            seconds: 600,
            only: vec![STEADY],
            ..Options::default()
        };
        check(&["--soak", "10"], Some(soak));
        let memory = Options {
            seconds: 30,
            only: vec![LARGE],
            profile: "release",
            ..Options::default()
        };
        check(&["--memory", "--seconds", "30"], Some(memory));
        for args in [
            ["--seconds"].as_slice(),
            &["--seed", "x"],
            &["--only", "nothing"],
            &["--soak", "0"],
            &["--fast", "1"],
        ] {
            check(args, None);
        }
    }

    /// The list is that of the test target, in which each attack is one test.
    #[test]
    fn every_attack_is_a_test() {
        let suite = include_str!("../../../tests/attack/main.rs");
        let tests = suite.matches("#[test]").count() + suite.matches("#[tokio::test").count();
        assert_eq!(tests, ATTACKS.len());
        for (name, _) in ATTACKS {
            assert!(suite.contains(&format!("fn {name}()")), "{name}");
        }
    }
}
