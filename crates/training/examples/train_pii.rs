//! Trains and evaluates the token head: `cargo run --release -p training --example train_pii -- DATA MODELS OUT [MARKED.jsonl]`.
//!
//! DATA holds `train/`, MODELS the installed models, OUT receives `head.safetensors` and `card.json`. With marked sentences the
//! head in OUT is not trained but measured on them, rules included, and its card says the figures.

use inference::catalog::{Catalog, Wanted};
use inference::engine::Engine;
use inference::handle::Embedder;
use inference::library::Library;
use inference::settings::{EngineSettings, LibrarySettings};
use inference::token_head::{Card, Figures, TokenHead};
use ndarray::Array2;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use training::pii::{Marked, Problem, Settings, States, TokenStates, evaluate, train};

struct Encoder {
    engine: Arc<Engine>,
    embedder: Embedder,
}

impl States for Encoder {
    fn states(&self, text: &str) -> Result<TokenStates, Problem> {
        let first = self.engine.states(&self.embedder, text)?.into_iter().next();
        Ok(first.unwrap_or_else(|| (Vec::new(), Array2::zeros((0, self.embedder.dimension)))))
    }
}

fn main() -> Result<(), Problem> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [data, models, out, marked @ ..] = arguments.as_slice() else {
        return Err("usage: train_pii DATA MODELS OUT [MARKED.jsonl]".into());
    };
    let encoder = encoder(models)?;
    let (weights, card) = (out.join("head.safetensors"), out.join("card.json"));
    if let [marked, ..] = marked {
        let head = TokenHead::read(&std::fs::read(weights)?, &std::fs::read(&card)?)?;
        let figures = evaluate(&head, &encoder, &marked_texts(marked)?)?;
        let measured = Card { figures: figures.clone(), ..head.card().clone() };
        std::fs::write(card, serde_json::to_string_pretty(&measured)? + "\n")?;
        return print(&figures);
    }
    let trained = train(data, &encoder.embedder.name, &encoder, Settings::default())?;
    std::fs::write(weights, &trained.weights)?;
    std::fs::write(card, serde_json::to_string_pretty(&trained.card)? + "\n")?;
    print(&trained.card.figures)
}

fn encoder(models: &Path) -> Result<Encoder, Problem> {
    let settings = EngineSettings { lanes: 1, ..EngineSettings::default() };
    let engine = Arc::new(Engine::start(&settings)?);
    let runtime = onnx::Runtime::load(&onnx::RuntimeSettings {
        library: None,
        models: models.to_owned(),
        providers: vec![onnx::Provider::Cpu],
    })?;
    let library =
        Library::new(LibrarySettings::new(models.to_owned(), &settings), Arc::new(runtime), Arc::clone(&engine));
    let embedder = library.embedder(&Wanted::default())?;
    Ok(Encoder { engine, embedder })
}

#[derive(Deserialize)]
struct Line {
    text: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    start: usize,
    end: usize,
    label: String,
}

fn marked_texts(path: &Path) -> Result<Vec<Marked>, Problem> {
    let text = std::fs::read_to_string(path)?;
    let of = |line: Line| Marked {
        text: line.text,
        spans: line.spans.into_iter().map(|span| (span.start, span.end, span.label)).collect(),
    };
    text.lines().map(|line| Ok(of(serde_json::from_str(line)?))).collect()
}

fn print(figures: &BTreeMap<String, Figures>) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    for (kind, of) in figures {
        writeln!(
            out,
            "{kind:15} gold {:4} found {:4} exact F1 {:.3} overlap F1 {:.3} precision {:.3} recall {:.3}",
            of.gold, of.found, of.exact_f1, of.overlap_f1, of.precision, of.recall
        )?;
    }
    Ok(())
}
