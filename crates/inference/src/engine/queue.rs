//! Who is read next.
//!
//! Calls take turns window by window, so that a long prompt does not hold up short ones; safety
//! first. Cutting texts and reading windows take turns by the time that they need. A long text is cut
//! in many turns, between those of other texts. Background work gets one turn in so many while others
//! wait. What no longer serves its call is read when nothing else is to be done, so that the next
//! turn of a conversation finds it.

use super::call::{Call, Shed};
use super::counters::Counters;
use super::unit::Unit;
use crate::cache::Key;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Work for a lane.
pub(super) enum Work {
    /// Cut the texts of a call.
    Prepare(Arc<Call>),
    /// Read a window.
    Read(Reading),
}

/// A window of a call that is to be read.
pub(super) struct Reading {
    pub(super) call: Arc<Call>,
    pub(super) unit: usize,
    /// The call's answer needs it.
    pub(super) is_awaited: bool,
}

/// Waiting calls.
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    /// Calls that may wait; for safety twice as many.
    calls: usize,
    lanes: usize,
}

#[derive(Default)]
struct State {
    fresh: Fresh,
    safety: VecDeque<Turn>,
    ordinary: VecDeque<Turn>,
    background: VecDeque<Turn>,
    /// Windows that no answer waits for any more.
    leftover: VecDeque<Turn>,
    /// Windows that are being read, and who else wants them.
    flying: HashMap<Key, Vec<Reading>>,
    /// What cutting has taken more than reading, while windows waited.
    cutting_owes: Duration,
    /// Turns of others since background work had one.
    since_background: u32,
    closed: bool,
}

/// Calls whose texts are still to be cut.
#[derive(Default)]
struct Fresh {
    of_requests: VecDeque<Arc<Call>>,
    /// Those whose texts took more than one turn so far.
    long: VecDeque<Arc<Call>>,
    in_background: VecDeque<Arc<Call>>,
    /// The last turn was for one that is not long.
    was_short: bool,
}

/// A call's place in the queue: units `next..end` of its list are still to be read.
struct Turn {
    call: Arc<Call>,
    next: usize,
    end: usize,
    for_safety: usize,
    each: Duration,
    is_awaited: bool,
}

/// Background work gets one turn in so many while others wait.
const BACKGROUND_SHARE: u32 = 8;
/// Cutting that took longer than this is forgiven the rest: one huge text must not stop all
/// cutting.
const MOST_OWED: Duration = Duration::from_millis(100);
/// Windows that may be left over; those beyond are not read.
const LEFTOVER: usize = 1_024;

impl Queue {
    pub(super) fn new(calls: usize, lanes: usize) -> Self {
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            calls: calls.max(1),
            lanes: lanes.max(1),
        }
    }

    /// Puts a call in line whose texts are still to be cut. `false` if the line is full.
    pub(super) fn enter(&self, call: Arc<Call>) -> bool {
        let mut state = self.state();
        if state.closed || (state.waiting() >= 2 * self.calls && call.deadline.is_some()) {
            return false;
        }
        if call.is_background {
            state.fresh.in_background.push_back(call);
        } else {
            state.fresh.of_requests.push_back(call);
        }
        drop(state);
        self.ready.notify_one();
        true
    }

    /// Puts a call in line whose texts are cut in part.
    pub(super) fn cut_on(&self, call: Arc<Call>) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            return call.expect(Some(Shed::All), 0);
        }
        if call.is_background {
            state.fresh.in_background.push_back(call);
        } else {
            state.fresh.long.push_back(call);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Takes a prepared call in, whole or in part, or turns it away.
    pub(super) fn admit(&self, call: &Arc<Call>, counters: &Counters) {
        let Some(prepared) = call.prepared() else {
            return call.expect(Some(Shed::All), 0);
        };
        let (for_safety, all) = (prepared.for_safety, prepared.todo.len());
        let total: Duration = prepared
            .todo
            .iter()
            .filter_map(|unit| prepared.units.get(*unit))
            .map(Unit::cost)
            .sum();
        let each = total / u32::try_from(all.max(1)).unwrap_or(u32::MAX);
        let turn = Turn {
            call: Arc::clone(call),
            next: 0,
            end: all,
            for_safety,
            each,
            is_awaited: true,
        };
        let mut state = self.state();
        let units = if state.closed {
            0
        } else {
            self.judge(&state, &turn)
        };
        let shed = match units {
            _ if units == all => None,
            _ if units >= for_safety => Some(Shed::Ordinary),
            _ => Some(Shed::All),
        };
        if units > 0 {
            // Before a lane can see it, so that no answer comes too early.
            call.expect(shed, units);
        }
        if !state.closed {
            let (awaited, rest) = turn.split(units);
            if let Some(awaited) = awaited {
                state.put(awaited);
            }
            if let Some(rest) = rest {
                state.leave(rest);
            }
        }
        drop(state);
        counters.shed(all - units);
        if units == 0 {
            call.expect(shed, 0);
        }
        if all > 1 {
            self.ready.notify_all();
        } else {
            self.ready.notify_one();
        }
    }

    /// Returns how many of a call's windows will be read by its deadline, safety first.
    fn judge(&self, state: &State, turn: &Turn) -> usize {
        let Some(deadline) = turn.call.deadline else {
            return turn.end;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if turn.call.is_background {
            let fits = state.background.len() < self.calls
                && self.wait(&state.background, turn.end, turn.each) <= left;
            return if fits { turn.end } else { 0 };
        }

        // Part of what safety asks is better than nothing: the next turn of a conversation finds it.
        let has_room = state.safety.len() < 2 * self.calls;
        let fits = |windows: usize| self.wait(&state.safety, windows, turn.each) <= left;
        let safe = if !has_room {
            0
        } else if fits(turn.for_safety) {
            turn.for_safety
        } else {
            most(turn.for_safety, fits)
        };
        if safe < turn.for_safety {
            return safe;
        }

        let units = turn.end;
        let wait = self.wait(&state.safety, usize::MAX, Duration::ZERO)
            + self.wait(&state.ordinary, units, turn.each);
        let fits = units == turn.for_safety || (state.ordinary.len() < self.calls && wait <= left);
        if fits { units } else { turn.for_safety }
    }

    /// When so many windows would be through if every call in `line` gets as many turns.
    fn wait(&self, line: &VecDeque<Turn>, windows: usize, each: Duration) -> Duration {
        let turns = |windows: usize| u32::try_from(windows).unwrap_or(u32::MAX);
        let lanes = turns(self.lanes);
        let others: Duration = line
            .iter()
            .map(|turn| turn.each * turns((turn.end - turn.next).min(windows)))
            .sum();
        let own = if each.is_zero() {
            Duration::ZERO
        } else {
            each * turns(windows).div_ceil(lanes)
        };
        others / lanes + own
    }

    /// The next work, when there is some; `None` once the queue is closed.
    pub(super) fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(work) = state.take(Instant::now()) {
                return Some(work);
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A window is through: who else waited for it.
    pub(super) fn landed(&self, key: Key) -> Vec<Reading> {
        self.state().flying.remove(&key).unwrap_or_default()
    }

    /// Texts were cut for so long.
    pub(super) fn has_cut(&self, took: Duration) {
        let mut state = self.state();
        if !(state.safety.is_empty() && state.ordinary.is_empty()) {
            state.cutting_owes = (state.cutting_owes + took).min(MOST_OWED);
        }
    }

    /// A window was read for so long.
    pub(super) fn has_read(&self, took: Duration) {
        let mut state = self.state();
        state.cutting_owes = state.cutting_owes.saturating_sub(took);
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let fresh = std::mem::take(&mut state.fresh);
        let rest: Vec<_> = fresh
            .of_requests
            .into_iter()
            .chain(fresh.long)
            .chain(fresh.in_background)
            .collect();
        let turns = std::mem::take(&mut state.safety)
            .into_iter()
            .chain(std::mem::take(&mut state.ordinary))
            .chain(std::mem::take(&mut state.background));
        let turns: Vec<_> = turns.map(|turn| turn.call).collect();
        state.leftover.clear();
        drop(state);
        self.ready.notify_all();
        rest.iter()
            .chain(&turns)
            .for_each(|call| call.expect(Some(Shed::All), 0));
    }

    /// Calls that wait.
    pub(super) fn len(&self) -> usize {
        self.state().waiting()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the largest number up to `all` that fits, where smaller ones fit, too.
fn most(all: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, all);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

impl State {
    /// Calls that an answer waits for.
    fn waiting(&self) -> usize {
        let lines = [&self.safety, &self.ordinary, &self.background];
        self.fresh.of_requests.len()
            + self.fresh.long.len()
            + self.fresh.in_background.len()
            + lines.map(VecDeque::len).iter().sum::<usize>()
    }

    fn put(&mut self, turn: Turn) {
        let line = if turn.call.is_background {
            &mut self.background
        } else if turn.next < turn.for_safety {
            &mut self.safety
        } else {
            &mut self.ordinary
        };
        line.push_back(turn);
    }

    /// Keeps what no answer waits for, as far as there is room. Background work leaves nothing.
    fn leave(&mut self, turn: Turn) {
        let kept: usize = self.leftover.iter().map(|turn| turn.end - turn.next).sum();
        let end = turn.end.min(turn.next + LEFTOVER.saturating_sub(kept));
        if turn.next < end && !turn.call.is_background {
            self.leftover.push_back(Turn {
                end,
                is_awaited: false,
                ..turn
            });
        }
    }

    fn take(&mut self, now: Instant) -> Option<Work> {
        if self.since_background >= BACKGROUND_SHARE
            && let Some(work) = self.take_background(now)
        {
            self.since_background = 0;
            return Some(work);
        }
        let work = self.take_request(now);
        if work.is_some() {
            self.since_background = self.since_background.saturating_add(1);
            return work;
        }
        self.take_background(now)
            .or_else(|| self.read(now, |state| &mut state.leftover))
    }

    fn take_request(&mut self, now: Instant) -> Option<Work> {
        let reads_wait = !(self.safety.is_empty() && self.ordinary.is_empty());
        if (self.cutting_owes.is_zero() || !reads_wait)
            && let Some(work) = self.fresh.next(now)
        {
            return Some(work);
        }
        self.read(now, |state| &mut state.safety)
            .or_else(|| self.read(now, |state| &mut state.ordinary))
            // What waited may all have been given up.
            .or_else(|| self.fresh.next(now))
    }

    fn take_background(&mut self, now: Instant) -> Option<Work> {
        self.read(now, |state| &mut state.background)
            .or_else(|| cut(&mut self.fresh.in_background, now))
    }

    /// Takes the next window of a line.
    fn read(&mut self, now: Instant, line: fn(&mut Self) -> &mut VecDeque<Turn>) -> Option<Work> {
        while let Some(mut turn) = line(self).pop_front() {
            if turn.is_awaited && turn.call.is_dead(now) {
                if turn.call.is_late(now) {
                    self.leave(turn);
                }
                continue;
            }
            let Some((unit, key)) = turn.unit() else {
                continue;
            };
            let reading = Reading {
                call: Arc::clone(&turn.call),
                unit,
                is_awaited: turn.is_awaited,
            };
            turn.next += 1;
            if turn.next < turn.end {
                if turn.is_awaited {
                    self.put(turn);
                } else {
                    self.leftover.push_back(turn);
                }
            }
            if let Some(others) = self.flying.get_mut(&key) {
                others.push(reading);
                continue;
            }
            self.flying.insert(key, Vec::new());
            return Some(Work::Read(reading));
        }
        None
    }
}

impl Fresh {
    /// Takes the next call of a request: long ones have every other turn.
    fn next(&mut self, now: Instant) -> Option<Work> {
        if self.was_short
            && let Some(work) = cut(&mut self.long, now)
        {
            self.was_short = false;
            return Some(work);
        }
        let work = cut(&mut self.of_requests, now);
        self.was_short = work.is_some();
        work.or_else(|| cut(&mut self.long, now))
    }
}

/// Takes the next call whose texts are to be cut.
fn cut(line: &mut VecDeque<Arc<Call>>, now: Instant) -> Option<Work> {
    while let Some(call) = line.pop_front() {
        if !call.is_dead(now) {
            return Some(Work::Prepare(call));
        }
    }
    None
}

impl Turn {
    /// Splits off what its answer will not wait for.
    fn split(self, units: usize) -> (Option<Self>, Option<Self>) {
        let rest = Self {
            call: Arc::clone(&self.call),
            next: units,
            ..self
        };
        let awaited = Self { end: units, ..self };
        let is_any = |turn: &Self| turn.next < turn.end;
        (Some(awaited).filter(is_any), Some(rest).filter(is_any))
    }

    fn unit(&self) -> Option<(usize, Key)> {
        let prepared = self.call.prepared()?;
        let unit = *prepared.todo.get(self.next)?;
        Some((unit, prepared.units.get(unit)?.key))
    }
}
