//! The engine: questions in, answers out, every encoder run shared by all that need it.
//!
//! A call's texts are cut into windows; what the cache does not know is read by lanes, window by
//! window; the lane that reads the last window answers the call. Nothing here waits without a
//! bound: the answer comes by the deadline, with [`Failure::TimedOut`] for what is missing.

mod answer;
mod call;
mod counters;
mod cut;
mod lane;
mod queue;
mod reading;
mod unit;

pub use call::WindowFeatures;
pub use counters::{BOUNDS, Statistics};

use crate::ask::{Answer, Ask, Failure, Outcome, Question, What};
use crate::cache::{Cache, Secret};
use crate::handle::Embedder;
use crate::model::Model;
use crate::settings::EngineSettings;
use crate::window::Reach;
use call::{Call, Done};
use counters::Counters;
use futures_channel::oneshot;
use futures_timer::Delay;
use futures_util::future::{BoxFuture, Either, select};
use ndarray::Array2;
use queue::Queue;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Instant;
use unit::Memory;

/// Answers questions with the models behind the handles.
pub struct Engine {
    shared: Arc<Shared>,
    lanes: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Queue,
    memory: Memory,
    counters: Counters,
}

/// Texts of so many bytes in all are cut by the caller's thread, which takes less time than handing
/// them over.
const CUT_AT_ONCE: usize = 2048;

/// Token states of one window, with the place of each token in the text, in bytes.
pub type States = (Vec<(usize, usize)>, Array2<f32>);

impl Engine {
    /// Starts the lanes.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(settings: &EngineSettings) -> std::io::Result<Self> {
        let lanes = settings.lanes();
        let shared = Arc::new(Shared {
            queue: Queue::new(settings.queued_calls, lanes),
            memory: Memory {
                cache: Cache::new(settings.cache),
                secret: Secret::random(),
            },
            counters: Counters::default(),
        });
        let lanes = (0..lanes)
            .map(|number| lane::start(Arc::clone(&shared), number))
            .collect::<Result<_, _>>()?;
        Ok(Self { shared, lanes })
    }

    /// What was done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (cache_hits, cache_misses) = self.shared.memory.cache.counts();
        let (cache_entries, cache_bytes) = self.shared.memory.cache.size();
        let queued = self.shared.queue.len();
        Statistics {
            cache_hits,
            cache_misses,
            cache_entries,
            cache_bytes,
            queued,
            ..self.shared.counters.read()
        }
    }

    /// Features of every window of every text, for training and evaluation. Waits until all are
    /// read.
    ///
    /// # Errors
    /// The embedder has no model, or it fails.
    pub fn features(
        &self,
        by: &Embedder,
        texts: &[String],
    ) -> Result<Vec<Vec<WindowFeatures>>, Failure> {
        let model = model_of(by)?;
        self.patiently(|done| Call::for_features(&model, texts, done))?
            .features()
    }

    /// Returns name and dimension of the word tables that stand beside an encoder, in order.
    ///
    /// # Errors
    /// The embedder has no model.
    pub fn word_tables(&self, by: &Embedder) -> Result<Vec<(String, usize)>, Failure> {
        let model = model_of(by)?;
        let tables = model.statics.iter();
        Ok(tables
            .map(|table| (table.name().to_owned(), table.dimension()))
            .collect())
    }

    /// Puts a call in line and waits for its end.
    fn patiently(&self, call: impl FnOnce(Done) -> Call) -> Result<Arc<Call>, Failure> {
        let (sender, receiver) = sync_channel(1);
        // The receiver waits below; were it gone, nobody would miss the answer.
        let call = Arc::new(call(Box::new(move |outcomes| drop(sender.send(outcomes)))));
        if !self.shared.queue.enter(Arc::clone(&call)) {
            return Err(Failure::Shed);
        }
        receiver
            .recv()
            .map_err(|_| Failure::Failed("the lanes have stopped".into()))?;
        Ok(call)
    }

    /// Vectors of texts, as [`What::Vector`] gives them. Waits until all are read.
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub fn vectors(&self, by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, Failure> {
        model_of(by)?;
        let questions: Vec<_> = texts
            .iter()
            .map(|text| Question::new(text.as_str().into(), What::Vector(by.clone())))
            .collect();
        let outcomes = self
            .patiently(|done| Call::new(&questions, None, done))?
            .outcomes();
        let vector = |outcome: Outcome| match outcome?.answer {
            Answer::Vector(vector) => Ok(vector),
            _ => Err(Failure::Failed("the answer is no vector".into())),
        };
        outcomes.into_iter().map(vector).collect()
    }

    /// Token states of every window of a text, for training. Runs on the caller's thread.
    ///
    /// # Errors
    /// The embedder has no model, or it fails.
    pub fn states(&self, by: &Embedder, text: &str) -> Result<Vec<States>, Failure> {
        let model = model_of(by)?;
        let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string().into());
        let segmentation = model
            .segmenter
            .segment(text, Reach::Whole)
            .map_err(|error| failed(&error))?;
        let states = segmentation.windows.iter().map(|window| {
            let encoded = model.run(window, true).map_err(|error| failed(&error))?;
            let states = encoded
                .states
                .ok_or_else(|| failed(&"the graph gave no token states"))?;
            let own = window
                .own(states.view())
                .ok_or_else(|| failed(&"the graph gave too few token states"))?
                .to_owned();
            let offsets = window.offsets.iter();
            Ok((
                offsets
                    .map(|(from, to)| (window.text.start + from, window.text.start + to))
                    .collect(),
                own,
            ))
        });
        states.collect()
    }

    fn submit(&self, questions: &[Question], deadline: Instant, done: Done) -> Arc<Call> {
        let call = Arc::new(Call::new(questions, Some(deadline), done));
        if call.bytes() <= CUT_AT_ONCE && call.is_ready() {
            call.prepare(&self.shared.memory);
            self.shared.queue.admit(&call, &self.shared.counters);
        } else if !self.shared.queue.enter(Arc::clone(&call)) {
            call.expect(Some(call::Shed::All), 0);
        }
        call
    }
}

impl Ask for Engine {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            // An asker that is gone misses nothing.
            let done: Done = Box::new(move |outcomes| drop(sender.send(outcomes)));
            let waiting = Waiting(self.submit(questions, deadline, done));
            let delay = Delay::new(deadline.saturating_duration_since(Instant::now()));
            match select(receiver, delay).await {
                Either::Left((Ok(outcomes), _)) => outcomes,
                Either::Left((Err(_), _)) | Either::Right(_) => {
                    self.shared.counters.timed_out();
                    waiting.0.outcomes()
                }
            }
        })
    }
}

/// Withdraws its call when the asker goes away.
struct Waiting(Arc<Call>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.queue.close();
        for lane in self.lanes.drain(..) {
            if lane.join().is_err() {
                tracing::error!("a lane panicked");
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Engine({} lanes)", self.lanes.len())
    }
}

fn model_of(by: &Embedder) -> Result<Arc<Model>, Failure> {
    let backing = by.backing.as_ref().ok_or(Failure::Unready)?;
    Arc::clone(backing)
        .downcast()
        .map_err(|_| Failure::Failed("the handle is of another engine".into()))
}

#[cfg(test)]
mod tests;
