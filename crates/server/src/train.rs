//! `merit train`: a head from labelled texts, fitted, calibrated and measured with the installed
//! models.

mod selection;

use crate::cli::{TrainArgs, TrainTask};
use crate::models::{Installed, Open as _};
use crate::output;
use anyhow::Context as _;
use inference::catalog::{Task, Wanted};
use inference::engine::Engine;
use inference::handle::Embedder;
use inference::head::Block;
use inference::heads::MULTILINGUAL;
use inference::token_head::TokenHead;
use router::config::server::Inference;
use std::process::ExitCode;
use std::sync::Arc;
use training::TrainOptions;
use training::features::{ByEngine, Kept};
use training::pii::{Problem, Settings, States, TokenStates};

/// Trains one head, and prints its held-out figures.
///
/// # Errors
/// Models or texts are not there, do not fit, or the head cannot be written.
pub fn run(arguments: TrainArgs) -> anyhow::Result<ExitCode> {
    let opened = Installed::from(arguments.models.clone()).open(&Inference::default(), None)?;
    let engine = opened.engine.context("no engine runs the models")?;
    let encoder = Wanted {
        folder: arguments.encoder.clone(),
        mapping: None,
    };
    let embedder = opened.catalog.embedder(&encoder)?;
    let mut log = Vec::new();
    if arguments.task == TrainTask::Selection {
        output::text(&selection::run(&arguments, &*opened.catalog, &embedder)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    match task(arguments.task) {
        Some(task) => sequence(task, arguments, &engine, embedder, &mut log)?,
        None => tokens(&arguments, Encoder { engine, embedder }, &mut log)?,
    }
    output::text(&String::from_utf8_lossy(&log))?;
    Ok(ExitCode::SUCCESS)
}

fn sequence(
    task: Task,
    arguments: TrainArgs,
    engine: &Engine,
    embedder: Embedder,
    log: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let tables = engine.word_tables(&embedder)?;
    let statics = tables.into_iter().map(|(name, dimension)| Block {
        name: format!("static:{name}"),
        dimension,
    });
    let mut features = Kept::new(
        ByEngine {
            engine,
            embedder,
            statics: statics.collect(),
        },
        arguments.cache.as_deref(),
    );
    let mut command = format!("merit train {} --data DIR", task.as_str());
    if !arguments.encoder.is_empty() {
        command = format!("{command} --encoder {}", arguments.encoder);
    }
    let options = TrainOptions {
        task,
        name: arguments.name,
        data: arguments.data,
        corpus: arguments.corpus,
        out: arguments.out,
        encoder_only: arguments.encoder_only,
        languages: arguments.encoder == MULTILINGUAL,
        leave_one_out: arguments.leave_one_out,
        evaluation: arguments.evaluation,
        command,
    };
    training::train(&options, &mut features, log)?;
    Ok(())
}

/// The head of personal data reads tokens, and is a file of another kind.
fn tokens(arguments: &TrainArgs, encoder: Encoder, log: &mut Vec<u8>) -> anyhow::Result<()> {
    let settings = match arguments.encoder == MULTILINGUAL {
        true => Settings::multilingual(),
        false => Settings::default(),
    };
    let name = &encoder.embedder.name;
    let TrainArgs { data, corpus, .. } = arguments;
    let mut trained = training::pii::train(data, corpus, name, &encoder, settings)?;
    if let Some(file) = &arguments.evaluation {
        let head = TokenHead::read(&trained.weights, &serde_json::to_vec(&trained.card)?)?;
        let texts = training::pii::read_marked(file)?;
        trained.card.figures = training::pii::evaluate(&head, &encoder, &texts)?;
    }
    let card = serde_json::to_string_pretty(&trained.card)? + "\n";
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(folder.join("head.safetensors"), &trained.weights)?;
        std::fs::write(folder.join("card.json"), &card)?;
    }
    log.extend(card.as_bytes());
    Ok(())
}

struct Encoder {
    engine: Arc<Engine>,
    embedder: Embedder,
}

impl States for Encoder {
    fn states(&self, text: &str) -> Result<TokenStates, Problem> {
        let windows = self.engine.states(&self.embedder, text)?;
        windows
            .into_iter()
            .next()
            .ok_or_else(|| "a text without windows".into())
    }
}

fn task(task: TrainTask) -> Option<Task> {
    Some(match task {
        TrainTask::Domain => Task::Domain,
        TrainTask::Jailbreak => Task::Jailbreak,
        TrainTask::FactCheck => Task::FactCheck,
        TrainTask::UserFeedback => Task::UserFeedback,
        TrainTask::Modality => Task::Modality,
        TrainTask::Own => Task::Own,
        TrainTask::Pii | TrainTask::Selection => return None,
    })
}
