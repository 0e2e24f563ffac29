//! Makes records of what happens to requests: joins what different places report of one, and hands
//! it on as it begins to take long and as it ends.

use super::describe::{self, Priced};
use super::event::{Begun, End, Ended, Event};
use super::{LEASE, capture};
use crate::engine::Generation;
use crate::reload::Live;
use conversation::dispatch::OPEN_MAX;
use extproc::{Ending, LogEntry};
use records::capture::Capture;
use records::record::{Attempt, Captured, DecisionRecord, Lifecycle, Moment};
use records::recorder::Recorder;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// A request that takes longer is shown while it is under way.
const LONG: Duration = Duration::from_millis(500);

/// Takes events until it is stopped.
pub(super) struct Builder {
    pub(super) live: Arc<Live<Generation>>,
    pub(super) recorder: Recorder,
    pub(super) open: BTreeMap<u64, Open>,
}

/// A record under way.
pub(super) struct Open {
    record: DecisionRecord,
    priced: Priced,
    capture: Capture,
    since: Instant,
    /// It was handed on as it stood.
    is_shown: bool,
    /// What is known of the answer so far.
    part: Option<Ended>,
}

impl Builder {
    /// Takes events until `stop`, and then those that wait.
    pub(super) async fn run(mut self, mut events: Receiver<Event>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LONG);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                event = events.recv() => match event {
                    Some(event) => self.take(event),
                    None => break,
                },
                _ = ticks.tick() => self.tick(Instant::now()),
            }
        }
        events.close();
        while let Ok(event) = events.try_recv() {
            self.take(event);
        }
        // What was to tell their end tells another process.
        let open = std::mem::take(&mut self.open);
        open.into_values().for_each(|open| self.show(&open));
        self.recorder.close();
    }

    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Begin(begun) => self.begin(*begun),
            Event::Unplanned(seen, end) => {
                if seen.serving.router.replay.is_some() {
                    let mut record = describe::seen(&seen);
                    describe::answer(&mut record, &end);
                    finish(&mut record, *end);
                    self.recorder.put(record);
                }
            }
            Event::Part(key, part) => {
                if let Some(open) = self.open.get_mut(&key) {
                    open.part = Some(match open.part.take() {
                        Some(earlier) => part.completing(earlier),
                        None => *part,
                    });
                }
            }
            Event::End(key, end) => self.end(key, *end),
            Event::Logged(key, entry) => self.end(key, logged(&entry)),
            Event::Attempted(key, model) => {
                if let Some(open) = self.open.get_mut(&key) {
                    attempted(&mut open.record, &model);
                }
            }
            Event::Flush(tell) => {
                // Who waited may have gone.
                tell.send(()).ok();
            }
        }
    }

    fn begin(&mut self, begun: Begun) {
        if self.open.len() >= OPEN_MAX
            && let Some((key, _)) = self.open.first_key_value()
        {
            let key = *key;
            self.end(key, Ended::of(End::Unseen));
        }
        let record = describe::begun(&begun);
        let capture = capture::request(&record, &begun);
        let open = Open {
            priced: Priced::of(&begun),
            record,
            capture,
            since: Instant::now(),
            is_shown: false,
            part: None,
        };
        self.open.insert(begun.seen.key, open);
    }

    fn end(&mut self, key: u64, end: Ended) {
        let Some(mut open) = self.open.remove(&key) else {
            return;
        };
        let end = match open.part.take() {
            Some(part) => end.completing(part),
            None => end,
        };
        describe::answer(&mut open.record, &end);
        open.priced.price(&mut open.record, &end, &self.live.load());
        finish(&mut open.record, end);
        let captured = open.capture.finish();
        self.hand(open.record, captured);
    }

    fn hand(&self, record: DecisionRecord, captured: Option<Captured>) {
        self.recorder.put(record);
        if let Some(captured) = captured {
            self.recorder.capture(captured);
        }
    }

    fn show(&self, open: &Open) {
        self.recorder.put(open.record.clone());
    }

    /// Shows what takes long, and gives up what is overdue.
    fn tick(&mut self, now: Instant) {
        let overdue: Vec<u64> = self
            .open
            .iter()
            .take_while(|(_, open)| now.saturating_duration_since(open.since) >= LEASE)
            .map(|(key, _)| *key)
            .collect();
        for key in overdue {
            self.end(key, Ended::of(End::Unseen));
        }
        let recorder = &self.recorder;
        let long = self
            .open
            .values_mut()
            .filter(|open| !open.is_shown && now.saturating_duration_since(open.since) >= LONG);
        for open in long {
            open.is_shown = recorder.put(open.record.clone());
        }
    }
}

/// Ends a record: how, and why.
fn finish(record: &mut DecisionRecord, end: Ended) {
    use Lifecycle::{Aborted, Completed, Failed};
    let is_error = record.response_status >= 400;
    let (lifecycle, reason) = match end.end {
        End::Complete if is_error => (Failed, "upstream_error_response"),
        End::Complete => (Completed, "response_complete"),
        End::Refused => (Failed, "request_processing_failed"),
        End::RunFailed => (Failed, "looper_execution_failed"),
        End::FailedInStream => (Failed, "upstream_error_response"),
        End::BrokenOff if is_error => (Failed, "upstream_error_response"),
        End::BrokenOff => (Failed, "stream_ended_before_terminal_response"),
        End::TurnedDown => (Failed, "gateway_refused"),
        End::Cut => (Aborted, "stream_ended_before_terminal_response"),
        End::Canceled => (Aborted, "request_canceled"),
        End::ClientLeft => (Aborted, "client_canceled"),
        End::Unseen => (Lifecycle::Unspecified, "end_not_seen"),
    };
    record.end(lifecycle, reason, Moment::from(end.at));
}

/// What the access log says of an end.
fn logged(entry: &LogEntry) -> Ended {
    let end = match entry.ending {
        Ending::Complete if entry.status == 0 => End::ClientLeft,
        Ending::Complete => End::Complete,
        Ending::UpstreamFailed => End::BrokenOff,
        Ending::ClientLeft => End::ClientLeft,
        Ending::Refused => End::TurnedDown,
    };
    Ended {
        first_token: entry.first_byte,
        total: entry.total,
        ..Ended::with_status(end, entry.status)
    }
}

/// Notes that another model is tried. Why the one before failed is the gateway's knowledge.
fn attempted(record: &mut DecisionRecord, model: &str) {
    if record.attempts.is_empty() {
        record.attempts.push(Attempt {
            model: record.selected_model.clone(),
            why: "first".to_owned(),
            ..Attempt::default()
        });
    }
    record.attempts.push(Attempt {
        model: model.to_owned(),
        why: "fallback:failed".to_owned(),
        ..Attempt::default()
    });
    model.clone_into(&mut record.selected_model);
}
