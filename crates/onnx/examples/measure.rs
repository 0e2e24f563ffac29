//! Memory, start-up and throughput of encoders on this machine: `cargo run --release -p onnx
//! --example measure [LANES [ENCODER…]]`. Each named encoder stays open beside that of English.

use inference::backend::Backend;
use inference::catalog::{Catalog, Wanted};
use inference::engine::Engine;
use inference::handle::Embedder;
use inference::library::Library;
use inference::settings::{EngineSettings, LibrarySettings};
use onnx::{Provider, Runtime, RuntimeSettings};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let models = std::env::var_os("MERIT_MODELS")
        .map_or_else(|| PathBuf::from(".merit/models"), PathBuf::from);
    let lanes = std::env::args()
        .nth(1)
        .map_or(Ok(1), |lanes| lanes.parse())?;
    let mut out = std::io::stdout().lock();
    let begin = Instant::now();
    let runtime = RuntimeSettings {
        library: None,
        models: models.clone(),
        providers: vec![Provider::Cpu],
    };
    let backend: Arc<dyn Backend> = Arc::new(Runtime::load(&runtime)?);
    writeln!(out, "library: {:?}, {} MB", begin.elapsed(), resident()?)?;
    let settings = EngineSettings {
        lanes,
        ..EngineSettings::default()
    };
    let engine = Arc::new(Engine::start(&settings)?);
    let library = Library::new(
        LibrarySettings::new(models, &settings),
        backend,
        Arc::clone(&engine),
    );
    let mut open = vec![library.embedder(&Wanted::default())?];
    writeln!(out, "ready: {:?}, {} MB", begin.elapsed(), resident()?)?;
    speed(&engine, &open[0], &mut out)?;
    for folder in std::env::args().skip(2) {
        let begin = Instant::now();
        let mapping = None;
        let by = library.embedder(&Wanted { folder, mapping })?;
        writeln!(
            out,
            "{}: {:?}, {} MB",
            by.name,
            begin.elapsed(),
            resident()?
        )?;
        speed(&engine, &by, &mut out)?;
        open.push(by);
    }
    Ok(())
}

/// Prints how fast an encoder reads texts of several lengths.
fn speed(engine: &Engine, by: &Embedder, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for (words, texts) in [(50, 300), (220, 60), (440, 30)] {
        let texts: Vec<String> = (0..texts).map(|seed| text(seed, words)).collect();
        let before = engine.statistics();
        let begin = Instant::now();
        let windows: usize = engine.features(by, &texts)?.iter().map(Vec::len).sum();
        let (took, now) = (begin.elapsed().as_secs_f64(), engine.statistics());
        let runs = (now.runs - before.runs) as f64;
        let tokens = (now.tokens - before.tokens) as f64 / runs;
        let each = (now.run_time - before.run_time).as_secs_f64() * 1e3 / runs;
        let (texts, windows) = (texts.len() as f64 / took, windows as f64 / took);
        writeln!(
            out,
            "{tokens:.0} tokens a window: {windows:.1} windows/s, {texts:.1} texts/s, {each:.2} ms a run, {} MB",
            resident()?
        )?;
    }
    Ok(())
}

/// Words that differ from text to text, so that no cache helps.
fn text(seed: usize, words: usize) -> String {
    const WORDS: [&str; 16] = [
        "the", "river", "carries", "green", "water", "over", "stones", "while", "seven", "birds",
        "watch", "from", "a", "tall", "tree", "quietly",
    ];
    let mut state = seed as u64 * 2_654_435_761 + 1;
    let word = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        WORDS[(state >> 60) as usize]
    };
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// Resident memory in megabytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? / 1024)
}
