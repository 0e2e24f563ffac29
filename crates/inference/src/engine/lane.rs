//! A lane: one thread that cuts texts and reads windows, one at a time, below the priority of the
//! threads that serve.

use super::Shared;
use super::call::Call;
use super::queue::Work;
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
                match work {
                    Work::Prepare(call) => prepare(&shared, &call),
                    Work::Read(call, unit) => read(&shared, &call, unit),
                }
            }
        })
}

fn prepare(shared: &Shared, call: &Arc<Call>) {
    let prepared = catch_unwind(AssertUnwindSafe(|| {
        call.prepare(&shared.memory);
    }));
    if prepared.is_err() {
        tracing::error!("cutting a text panicked");
    }
    shared.queue.admit(call, &shared.counters);
}

fn read(shared: &Shared, call: &Arc<Call>, unit: usize) {
    one(shared, call, unit);
    let key = call
        .prepared()
        .and_then(|prepared| prepared.units.get(unit))
        .map(|unit| unit.key);
    let others = key.map(|key| shared.queue.landed(key)).unwrap_or_default();
    let now = Instant::now();
    others
        .iter()
        .filter(|(call, _)| !call.is_dead(now))
        .for_each(|(call, unit)| one(shared, call, *unit));
}

/// Reads a window; whatever happens, its call hears of it.
fn one(shared: &Shared, call: &Call, unit: usize) {
    let read = catch_unwind(AssertUnwindSafe(|| {
        call.read(unit, &shared.memory, &shared.counters)
    }));
    if read.is_err() {
        tracing::error!("reading a window panicked");
    }
    call.landed(unit, Failure::Failed("the model panicked".into()));
}
