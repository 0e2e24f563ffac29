//! Many texts through the engine, and one after the other on a single lane for their times.

use anyhow::{Result, anyhow, bail};
use benches::models::Models;
use futures_executor::block_on;
use inference::ask::{Answer, Ask as _, Over, Question, What};
use inference::cache::Bounds;
use inference::engine::Engine;
use inference::handle::Classifier;
use inference::settings::EngineSettings;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Texts on their way at a time.
const ASKERS: usize = 8;
/// Texts whose times are taken.
const TIMED: usize = 60;
/// Nobody is in a hurry: what is measured is what is said.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The models, on all lanes and on one.
pub(crate) struct Asking {
    pub(crate) models: Models,
    alone: Engine,
}

impl Asking {
    pub(crate) fn open() -> Result<Self> {
        // Without a cache, for sets share texts.
        let cache = Bounds {
            entries: 0,
            bytes: 0,
        };
        let alone = Engine::start(&EngineSettings {
            lanes: 1,
            cache,
            ..EngineSettings::default()
        })?;
        Ok(Self {
            models: Models::open(0)?,
            alone,
        })
    }

    /// What is answered of each text, in order.
    pub(crate) fn answers(&self, texts: &[String], what: &What) -> Result<Vec<Answer>> {
        let next = AtomicUsize::new(0);
        let ask = || -> Result<Vec<(usize, Answer)>> {
            let mut answers = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(text) = texts.get(at) else {
                    return Ok(answers);
                };
                answers.push((at, one(&self.models.engine, text, what)?));
            }
        };
        let mut answers = thread::scope(|scope| {
            let askers: Vec<_> = (0..ASKERS).map(|_| scope.spawn(ask)).collect();
            let answers = askers
                .into_iter()
                .map(|asker| asker.join().map_err(|_| anyhow!("an asker panicked"))?);
            answers.collect::<Result<Vec<_>>>()
        })?
        .concat();
        answers.sort_by_key(|(at, _)| *at);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// A row of probabilities for each text: its own, or that of the window with the most of the
    /// second label.
    pub(crate) fn probabilities(
        &self,
        texts: &[String],
        by: &Classifier,
        over: Over,
    ) -> Result<Vec<Vec<f32>>> {
        let answers = self.answers(texts, &What::Labels(by.clone(), over))?;
        let row = |answer: Answer| match answer {
            Answer::Labels(rows) => {
                let most = rows
                    .into_iter()
                    .max_by(|left, right| left[1].total_cmp(&right[1]));
                Ok(most.map(|row| row.to_vec()).unwrap_or_default())
            }
            _ => bail!("the answer is no row of probabilities"),
        };
        answers.into_iter().map(row).collect()
    }

    /// Milliseconds that half of the texts take no longer than, one after the other on one lane,
    /// nothing known before.
    pub(crate) fn pace(&self, texts: &[String], what: &What) -> Result<f64> {
        // Evenly over the set, for sets are ordered by source.
        let step = texts.len().div_ceil(TIMED).max(1);
        let mut times = Vec::new();
        for text in texts.iter().step_by(step) {
            let begin = Instant::now();
            one(&self.alone, text, what)?;
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok(times.get(times.len() / 2).copied().unwrap_or_default())
    }
}

fn one(engine: &Engine, text: &str, what: &What) -> Result<Answer> {
    let questions = [Question::new(text.into(), what.clone())];
    let outcomes = block_on(engine.ask(&questions, Instant::now() + PATIENCE));
    match outcomes.into_iter().next() {
        Some(outcome) => Ok(outcome?.answer),
        None => bail!("no answer"),
    }
}
