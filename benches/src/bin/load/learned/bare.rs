//! The encoder alone: the same windows through the same sessions on as many threads, nothing around
//! them.

use anyhow::{Context as _, Result, anyhow};
use benches::models::Models;
use inference::model::Model;
use inference::window::{Reach, Window};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The encoder, and how many threads run it.
pub(crate) struct Bare {
    model: Arc<Model>,
    lanes: usize,
}

/// What it did in a round.
pub(crate) struct Reading {
    pub(crate) texts_a_second: f64,
    pub(crate) windows_a_text: f64,
}

impl Bare {
    pub(crate) fn open(models: Models) -> Result<Self> {
        Ok(Self {
            model: models.bare()?,
            lanes: thread::available_parallelism()?.get(),
        })
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    /// How many windows a text has.
    pub(crate) fn windows(&self, text: &str) -> Result<usize> {
        Ok(self
            .model
            .segmenter
            .segment(text, Reach::Whole)?
            .windows
            .len())
    }

    /// Reads one text after the other for `time`, their tokens counted before.
    pub(crate) fn read(&self, texts: &[String], time: Duration) -> Result<Reading> {
        let cut = |text: &String| Ok(self.model.segmenter.segment(text, Reach::Whole)?.windows);
        let texts: Vec<Vec<Arc<Window>>> = texts.iter().map(cut).collect::<Result<_>>()?;
        let (next, begin) = (AtomicUsize::new(0), Instant::now());
        let done: usize = thread::scope(|scope| {
            let lanes: Vec<_> = (0..self.lanes)
                .map(|_| scope.spawn(|| self.lane(&texts, &next, begin + time)))
                .collect();
            let done = lanes
                .into_iter()
                .map(|lane| lane.join().map_err(|_| anyhow!("a thread panicked"))?);
            done.sum::<Result<usize>>()
        })?;
        let windows: usize = texts.iter().map(Vec::len).sum();
        Ok(Reading {
            texts_a_second: done as f64 / begin.elapsed().as_secs_f64(),
            windows_a_text: windows as f64 / texts.len().max(1) as f64,
        })
    }

    fn lane(&self, texts: &[Vec<Arc<Window>>], next: &AtomicUsize, stop: Instant) -> Result<usize> {
        let mut done = 0;
        while Instant::now() < stop {
            let at = next.fetch_add(1, Ordering::Relaxed) % texts.len().max(1);
            for window in texts.get(at).context("no texts")? {
                self.model.run(window, false)?;
            }
            done += 1;
        }
        Ok(done)
    }
}
