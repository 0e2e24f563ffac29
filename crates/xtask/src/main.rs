//! Chores of the workspace: `cargo xtask <chore>`. Needs cargo, Python 3 and a C compiler; `setup`
//! fetches the rest.
#![expect(clippy::print_stdout, reason = "what the chores print is their result")]

mod bench;
mod ci;
mod demo;
mod envoy;
mod evaluate;
mod kubernetes;
mod models;
mod schema;
mod setup;
mod tidy;
mod venv;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask <chore>

  setup                    fetch what demo and tests need into .merit/ (Envoy, Python SDKs, models)
  models [--multilingual]  fetch, convert and verify the encoders and ONNX Runtime; `--pin` renews the cards' digests
  demo [--keep] [ARG…]     a real Envoy, Merit and two sample backends; where real prompts go, and why
  ci [--only STEP]…        every check, in the order of `ci --list`
  tidy                     the rules of the house that no compiler knows, and generated files fresh
  schema                   write the JSON Schema of the routing document
  bench [load|learned|share|micro] [ARG…]  the load driver through a real Envoy, and the Criterion benches
  evaluate [--data DIR] [--readme]  what the learned signals are worth on held-out texts; `--readme` writes the tables
  image [--profile NAME]   an image of Merit FROM scratch, its contents checked, and run (needs buildah)
  envoy-matrix [VERSION…]  the real-Envoy suite on several versions of Envoy
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
        "setup" => setup::run(&workspace).map(drop),
        "models" => models::run(&workspace, rest),
        "demo" => demo::run(&workspace, rest),
        "ci" => ci::run(&workspace, rest),
        "tidy" => tidy::run(&workspace).and_then(|()| schema::check(&workspace)),
        "schema" => schema::write(&workspace),
        "bench" => bench::run(&workspace, rest),
        "evaluate" => evaluate::run(&workspace, rest),
        "image" => kubernetes::image(&workspace, rest),
        "envoy-matrix" => envoy::matrix(&workspace, rest),
        _ => bail!("unknown chore `{name}`\n\n{USAGE}"),
    }
}
