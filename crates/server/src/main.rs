//! The `merit` command.

use document::Problem;
use server::cli::{Cli, Command, ModelArgs, RecordsCommand};
use server::engine::Evaluator;
use server::models::{Installed, Open};
use server::{app, check, engine, explain, export, migrate, output, probe, probes, train};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Cli::read(std::env::args_os());
    let result = match arguments.unwrap_or_else(|error| error.exit()).command {
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
                arguments.format,
                arguments.assets.as_deref(),
                opener(&arguments.models),
            )
        }),
        Command::Test(arguments) => probes::run(&arguments, |document| {
            evaluator(document, arguments.assets.as_deref(), &arguments.models)
        }),
        Command::Migrate(arguments) => migrate::run(&arguments, |document| {
            evaluator(document, arguments.assets.as_deref(), &arguments.models)
        }),
        Command::Train(arguments) => train::run(*arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Records(RecordsCommand::Export(arguments)) => export::run(&arguments),
        Command::Schema => output::text(&engine::schema())
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::from),
    };
    result.unwrap_or_else(|error| {
        output::failure(&error);
        ExitCode::FAILURE
    })
}

/// Builds a document to ask it of probes; without a folder of models, learned signals find no
/// answer.
fn evaluator(
    document: &str,
    assets: Option<&Path>,
    models: &ModelArgs,
) -> Result<Evaluator, Vec<Problem>> {
    let opener = models.models.is_some().then(|| opener(models));
    Evaluator::open(document, assets, opener)
}

fn opener(arguments: &ModelArgs) -> Arc<dyn Open> {
    Arc::new(Installed::from(arguments.clone()))
}
