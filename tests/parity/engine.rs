//! The real engine, asked by eight threads while others ask for other things.

use crate::answers::Said;
use crate::made;
use crate::texts::{Dice, Sample};
use anyhow::{Context, Result, anyhow, bail};
use futures_executor::block_on;
use inference::ask::{Answer, Ask, Over, Question, What};
use inference::catalog::{Catalog, Task, Wanted};
use inference::engine::Engine;
use inference::handle::{Backing, Classifier, Cost, Embedder};
use inference::head::SequenceHead;
use inference::heads;
use inference::library::Library;
use inference::model::{ClassifierModel, Model};
use inference::settings::{EngineSettings, LibrarySettings};
use inference::window::Reach;
use onnx::{Provider, Runtime, RuntimeSettings};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tests::envoy::root;

const ASKERS: usize = 8;
const SHIPPED: [Task; 5] = [
    Task::Domain,
    Task::Jailbreak,
    Task::FactCheck,
    Task::UserFeedback,
    Task::Modality,
];
/// Nobody is in a hurry here: what is measured is what is said.
const PATIENCE: Duration = Duration::from_secs(600);

/// Engine, encoder, and every shipped head beside the made one.
pub(crate) struct Real {
    pub(crate) models: PathBuf,
    engine: Arc<Engine>,
    encoder: Embedder,
    model: Arc<Model>,
    heads: Vec<(String, Classifier)>,
    /// Tasks for which no head is shipped.
    pub(crate) missing: Vec<&'static str>,
}

/// Whether token states are compared too: they cost a run of their own.
pub(crate) fn wants_states(at: usize, sample: &Sample) -> bool {
    at.is_multiple_of(10) && (1..1000).contains(&sample.text.trim().len())
}

impl Real {
    /// Opens what is installed, and lays the heads' files into `folder` for the reference; nothing
    /// without models.
    pub(crate) fn open(folder: &Path) -> Result<Option<Self>> {
        let models = std::env::var_os("MERIT_MODELS")
            .map_or_else(|| root().join(".merit/models"), PathBuf::from);
        if !models.join("onnxruntime").is_dir() || !models.join("all-MiniLM-L6-v2").is_dir() {
            return Ok(None);
        }
        let runtime = RuntimeSettings {
            library: None,
            models: models.clone(),
            providers: vec![Provider::Cpu],
        };
        let settings = EngineSettings::default();
        let engine = Arc::new(Engine::start(&settings)?);
        let library = LibrarySettings::new(models.clone(), &settings);
        let library = Library::new(
            library,
            Arc::new(Runtime::load(&runtime)?),
            Arc::clone(&engine),
        );
        let encoder = library.embedder(&Wanted::default())?;
        let backing = encoder
            .backing
            .clone()
            .context("an encoder without a model")?;
        let model = backing
            .downcast::<Model>()
            .map_err(|_| anyhow!("an encoder of another kind"))?;
        fs::create_dir_all(folder)?;
        let (mut heads, mut missing) = (Vec::new(), Vec::new());
        for task in SHIPPED {
            let Some((weights, card)) = heads::files(task) else {
                missing.push(task.as_str());
                continue;
            };
            lay(folder, task.as_str(), weights, card)?;
            heads.push((
                task.as_str().to_owned(),
                library.classifier(task, &Wanted::default())?,
            ));
        }
        let (weights, card) = made::head()?;
        lay(folder, "made", &weights, &card)?;
        heads.push(("made".to_owned(), of_files(&weights, &card, &model)?));
        Ok(Some(Self {
            models,
            engine,
            encoder,
            model,
            heads,
            missing,
        }))
    }

    /// What is said of all texts.
    pub(crate) fn read_all(&self, samples: &[Sample]) -> Result<Vec<Said>> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let done = &done;
            let others: Vec<_> = (0..2)
                .map(|seed| scope.spawn(move || self.disturb(seed, samples, done)))
                .collect();
            let askers: Vec<_> = (0..ASKERS)
                .map(|asker| {
                    let own = samples.iter().enumerate().skip(asker).step_by(ASKERS);
                    scope.spawn(move || {
                        own.map(|(at, sample)| Ok((at, self.read(at, sample)?)))
                            .collect()
                    })
                })
                .collect();
            let read: Vec<Result<BTreeMap<usize, Said>>> = askers
                .into_iter()
                .map(|asker| asker.join().unwrap_or_else(|_| bail!("an asker panicked")))
                .collect();
            done.store(true, Ordering::Relaxed);
            for other in others {
                other
                    .join()
                    .unwrap_or_else(|_| bail!("other traffic panicked"))?;
            }
            let mut said = BTreeMap::new();
            for read in read {
                said.extend(read?);
            }
            Ok(said.into_values().collect())
        })
    }

    fn read(&self, at: usize, sample: &Sample) -> Result<Said> {
        let mut asked = vec![What::Vector(self.encoder.clone())];
        for (_, head) in &self.heads {
            asked.extend(
                [Over::Sample, Over::EachWindow].map(|over| What::Labels(head.clone(), over)),
            );
        }
        let mut said = Said {
            windows: self
                .model
                .segmenter
                .segment(&sample.text, Reach::Sample)?
                .windows
                .len(),
            ..Said::default()
        };
        let names = self
            .heads
            .iter()
            .flat_map(|(name, _)| [format!("{name} sample"), format!("{name} each")]);
        let mut names = names.collect::<Vec<_>>().into_iter();
        for answer in self.ask(&sample.text, asked)? {
            said.truncated |= answer.1;
            match answer.0 {
                Answer::Vector(vector) => said.vector = vector.to_vec(),
                Answer::Labels(rows) => {
                    let name = names.next().context("more answers than questions")?;
                    said.rows
                        .insert(name, rows.iter().map(|row| row.to_vec()).collect());
                }
                Answer::Entities(_) => bail!("entities were not asked for"),
            }
        }
        if wants_states(at, sample) {
            let windows = self.engine.states(&self.encoder, &sample.text)?;
            let (_, states) = windows.first().context("a text without windows")?;
            let rows = [states.row(0), states.row(states.nrows() - 1)];
            said.rows.insert(
                "states".to_owned(),
                rows.iter().map(|row| row.to_vec()).collect(),
            );
        }
        Ok(said)
    }

    fn ask(&self, text: &str, asked: Vec<What>) -> Result<Vec<(Answer, bool)>> {
        let text: Arc<str> = text.into();
        let questions: Vec<_> = asked
            .into_iter()
            .map(|what| Question::new(Arc::clone(&text), what))
            .collect();
        let outcomes = block_on(self.engine.ask(&questions, Instant::now() + PATIENCE));
        outcomes
            .into_iter()
            .map(|outcome| Ok(outcome.map(|reply| (reply.answer, reply.truncated))?))
            .collect()
    }

    /// Asks about parts of the texts that nobody else asks about, until the others are done.
    fn disturb(&self, seed: u64, samples: &[Sample], done: &AtomicBool) -> Result<()> {
        let mut dice = Dice::new(seed + 77);
        while !done.load(Ordering::Relaxed) {
            let sample = &samples[dice.roll(samples.len())];
            let part: String = sample
                .text
                .chars()
                .skip(dice.roll(50))
                .take(dice.roll(1200))
                .collect();
            self.ask(
                &format!("{} {part}", dice.roll(1_000_000)),
                vec![What::Vector(self.encoder.clone())],
            )?;
        }
        Ok(())
    }
}

fn lay(folder: &Path, name: &str, weights: &[u8], card: &[u8]) -> Result<()> {
    fs::write(folder.join(format!("{name}.safetensors")), weights)?;
    Ok(fs::write(folder.join(format!("{name}.json")), card)?)
}

/// A handle for a head that is not shipped.
fn of_files(weights: &[u8], card: &[u8], model: &Arc<Model>) -> Result<Classifier> {
    let head = SequenceHead::read(weights, card)?;
    let (name, labels) = (head.card().name.as_str().into(), head.labels());
    let backing: Backing = Arc::new(ClassifierModel {
        model: Arc::clone(model),
        head: Some(head),
        multilingual: None,
    });
    Ok(Classifier {
        name,
        labels,
        threshold: None,
        cost: Cost::Encoder,
        backing: Some(backing),
    })
}
