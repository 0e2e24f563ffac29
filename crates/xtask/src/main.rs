//! Chores of the workspace: `cargo xtask CHORE`. They need cargo, a C compiler and Python 3.11, and
//! fetch the rest.
#![expect(clippy::print_stdout, reason = "what the chores print is their result")]

mod attack;
mod bench;
mod ci;
mod demo;
mod envoy;
mod evaluate;
mod fuzz;
mod kubernetes;
mod models;
mod schema;
mod setup;
mod tidy;
mod toolbox;
mod venv;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask CHORE

To see Merit work:
  demo [--keep]            send real prompts through a real Envoy and Merit, and say where they went and why

To check a change:
  ci [--only STEP]…        run every check; `ci --list` says what each step is for
  tidy                     check the rules that no compiler knows, and that generated files are fresh
       [--baseline]        write the numbers of findings that tidy's newer rules still tolerate
       [--commits BASE]    check the messages of the commits after BASE
  fuzz [--seconds N] [--seed N] [TARGET]
                           feed mutated requests, streams and documents to the readers
  attack [--list] [--only NAME]… [--seconds N] [--seed N] [--soak MINUTES]
                           attack a running Merit: random frames, mutated JSON, reloads, kills, a faulty Redis
  envoy-matrix [VERSION…]  run the suite on several versions of Envoy

To make what is committed or shipped:
  setup                    fetch everything that the chores use into .merit/
  models [--english-only]  fetch, convert and verify the encoders and ONNX Runtime; `--pin` renews the cards' digests
  schema                   write the JSON Schema of the routing document
  image [--profile NAME]   build an image FROM scratch, check what it holds, and run it (needs buildah)

To measure:
  bench [load|learned|share|micro|sessions] [ARG…]
                           run the load driver through a real Envoy, or the Criterion benches
  evaluate [--data DIR] [--readme]
                           measure the learned signals on held-out texts; `--readme` writes the tables
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match chore(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore(args: &[String]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        bail!("no chore given\n\n{USAGE}");
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let workspace = Workspace::open()?;
    match name.as_str() {
        "setup" => setup::for_suites(&workspace).map(drop),
        "models" => models::run(&workspace, rest),
        "demo" => demo::run(&workspace, rest),
        "ci" => ci::run(&workspace, rest),
        "tidy" if rest.is_empty() => {
            tidy::run(&workspace, rest).and_then(|()| schema::check(&workspace))
        }
        "tidy" => tidy::run(&workspace, rest),
        "fuzz" => fuzz::run(&workspace, rest),
        "attack" => attack::run(&workspace, rest),
        "schema" => schema::write(&workspace),
        "bench" => bench::run(&workspace, rest),
        "evaluate" => evaluate::run(&workspace, rest),
        "image" => kubernetes::image(&workspace, rest),
        "envoy-matrix" => envoy::matrix(&workspace, rest),
        _ => bail!("unknown chore `{name}`\n\n{USAGE}"),
    }
}
