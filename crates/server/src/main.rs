//! The `merit` command.

use clap::Parser as _;
use server::cli::{Cli, Command, ModelArgs};
use server::models::{Installed, Open};
use server::{app, check, engine, explain, output, probe, train};
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(arguments) => app::serve(arguments),
        Command::Check(arguments) => {
            let installed = arguments
                .models
                .models
                .is_some()
                .then(|| opener(&arguments.models));
            check::run(&arguments, |document| {
                engine::check(document, installed.clone())
            })
        }
        Command::Explain(arguments) => explain::run(&arguments, |document, query| {
            engine::explain(
                document,
                query,
                arguments.assets.as_deref(),
                opener(&arguments.models),
            )
        }),
        Command::Train(arguments) => train::run(*arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Schema => output::text(&engine::schema())
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::from),
    };
    result.unwrap_or_else(|error| {
        output::failure(&error);
        ExitCode::FAILURE
    })
}

fn opener(arguments: &ModelArgs) -> Arc<dyn Open> {
    Arc::new(Installed::from(arguments.clone()))
}
