//! The `merit` command.

use clap::Parser as _;
use server::cli::{Cli, Command};
use server::{app, check, engine, explain, output};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(arguments) => app::serve(arguments),
        Command::Check(arguments) => check::run(&arguments, engine::check),
        Command::Explain(arguments) => {
            explain::run(&arguments, |document, query| engine::explain(document, query, arguments.assets.as_deref()))
        }
        Command::Schema => output::text(&engine::schema()).map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from),
    };
    result.unwrap_or_else(|error| {
        output::failure(&error);
        ExitCode::FAILURE
    })
}
