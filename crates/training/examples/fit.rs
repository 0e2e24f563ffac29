//! Fits a head with the installed models: what `merit train` does, without the rest of the product.
//!
//! `cargo run -p training --example fit -- --task domain --data DIR --out crates/inference/heads/domain`

use clap::Parser;
use inference::catalog::{Catalog, Task, Wanted};
use inference::engine::Engine;
use inference::head::Block;
use inference::library::Library;
use inference::settings::{EngineSettings, LibrarySettings};
use onnx::{Provider, Runtime, RuntimeSettings};
use std::path::PathBuf;
use std::sync::Arc;
use training::features::{ByEngine, Kept};
use training::{TrainOptions, train};

#[derive(Parser)]
struct Args {
    /// domain, jailbreak, fact_check, user_feedback, modality or own.
    #[arg(long)]
    task: String,
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    data: PathBuf,
    #[arg(long, default_value = "crates/training/corpus")]
    corpus: PathBuf,
    #[arg(long, default_value = ".merit/models")]
    models: PathBuf,
    #[arg(long)]
    out: Option<PathBuf>,
    #[arg(long)]
    encoder_only: bool,
    #[arg(long)]
    leave_one_out: bool,
    #[arg(long)]
    evaluation: Option<PathBuf>,
    /// Folder that keeps what was read of texts.
    #[arg(long)]
    cache: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let tasks = [Task::Domain, Task::Jailbreak, Task::FactCheck, Task::UserFeedback, Task::Modality, Task::Own];
    let task = tasks.into_iter().find(|task| task.as_str() == args.task);
    let task = task.ok_or_else(|| anyhow::anyhow!("no such task: {}", args.task))?;
    let runtime = RuntimeSettings { library: None, models: args.models.clone(), providers: vec![Provider::Cpu] };
    let settings = EngineSettings::default();
    let engine = Arc::new(Engine::start(&settings)?);
    let library = Library::new(
        LibrarySettings::new(args.models, &settings),
        Arc::new(Runtime::load(&runtime)?),
        Arc::clone(&engine),
    );
    let embedder = library.embedder(&Wanted::default())?;
    let statics = ["static:potion-base-8M", "static:wordllama-256"];
    let statics = statics.map(|name| Block { name: name.to_owned(), dimension: 256 }).to_vec();
    let mut features = Kept::new(ByEngine { engine: &engine, embedder, statics }, args.cache.as_deref());
    let options = TrainOptions {
        task,
        name: args.name,
        data: args.data,
        corpus: args.corpus,
        out: args.out,
        encoder_only: args.encoder_only,
        leave_one_out: args.leave_one_out,
        evaluation: args.evaluation,
        command: format!("merit train {} --data DIR", task.as_str()),
    };
    train(&options, &mut features, &mut std::io::stdout())?;
    Ok(())
}
