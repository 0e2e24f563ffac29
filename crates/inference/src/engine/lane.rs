//! A lane: one thread that cuts texts and reads windows, one at a time, below the priority of the
//! threads that serve.

use super::Shared;
use super::call::Call;
use super::queue::{Reading, Work};
use crate::ask::Failure;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

/// Between the default (about 50) and idle: a saturated lane leaves the serving threads most of a
/// core that they share.
const PRIORITY: u8 = 35;

/// Starts lane `number`.
pub(super) fn start(shared: Arc<Shared>, number: usize) -> std::io::Result<JoinHandle<()>> {
    Builder::new()
        .name(format!("lane-{number}"))
        .spawn(move || {
            let lower = ThreadPriorityValue::try_from(PRIORITY).map(ThreadPriority::Crossplatform);
            if let Ok(lower) = lower
                && let Err(error) = set_current_thread_priority(lower)
            {
                tracing::debug!(?error, "lane keeps the priority of its process");
            }
            while let Some(work) = shared.queue.next() {
                let begun = Instant::now();
                match work {
                    Work::Prepare(call) => {
                        prepare(&shared, &call);
                        shared.queue.has_cut(begun.elapsed());
                    }
                    Work::Read(reading) => {
                        read(&shared, &reading);
                        shared.queue.has_read(begun.elapsed());
                    }
                }
            }
        })
}

fn prepare(shared: &Shared, call: &Arc<Call>) {
    let prepared = catch_unwind(AssertUnwindSafe(|| call.prepare_on(&shared.memory)));
    match prepared {
        Ok(true) => {}
        Ok(false) => return shared.queue.cut_on(Arc::clone(call)),
        Err(_) => tracing::error!("cutting a text panicked"),
    }
    shared.queue.admit(call, &shared.counters);
}

fn read(shared: &Shared, reading: &Reading) {
    one(shared, reading);
    let key = reading
        .call
        .prepared()
        .and_then(|prepared| prepared.units.get(reading.unit))
        .map(|unit| unit.key);
    let others = key.map(|key| shared.queue.landed(key)).unwrap_or_default();
    let now = Instant::now();
    others
        .iter()
        .filter(|other| !other.call.is_dead(now))
        .for_each(|other| one(shared, other));
}

/// Reads a window; whatever happens, its call hears of it.
fn one(shared: &Shared, reading: &Reading) {
    let Reading {
        call,
        unit,
        is_awaited,
    } = reading;
    let read = catch_unwind(AssertUnwindSafe(|| {
        call.read(*unit, &shared.memory, &shared.counters)
    }));
    if read.is_err() {
        tracing::error!("reading a window panicked");
    }
    let panicked = Failure::Failed("the model panicked".into());
    call.landed(*unit, *is_awaited, panicked);
}
