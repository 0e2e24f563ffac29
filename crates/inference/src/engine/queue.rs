//! Who is read next: calls take turns window by window, so that a long prompt does not hold up
//! short ones; safety first.

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
    Read(Arc<Call>, usize),
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
    fresh: VecDeque<Arc<Call>>,
    safety: VecDeque<Turn>,
    ordinary: VecDeque<Turn>,
    /// Windows that are being read, and who else wants them.
    flying: HashMap<Key, Vec<(Arc<Call>, usize)>>,
    closed: bool,
}

/// A call's place in the queue: units `next..end` of its list are still to be read.
struct Turn {
    call: Arc<Call>,
    next: usize,
    end: usize,
    for_safety: usize,
    each: Duration,
}

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
        state.fresh.push_back(call);
        drop(state);
        self.ready.notify_one();
        true
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
        let mut turn = Turn {
            call: Arc::clone(call),
            next: 0,
            end: all,
            for_safety,
            each,
        };
        let mut state = self.state();
        let shed = if state.closed {
            Some(Shed::All)
        } else {
            self.judge(&state, &turn)
        };
        turn.end = match shed {
            None => all,
            Some(Shed::Ordinary) => for_safety,
            Some(Shed::All) => 0,
        };
        let units = turn.end;
        if units > 0 {
            // Before a lane can see it, so that no answer comes too early.
            call.expect(shed, units);
            state.put(turn);
        }
        drop(state);
        counters.shed(all - units);
        if units == 0 {
            return call.expect(shed, 0);
        }
        if units > 1 {
            self.ready.notify_all()
        } else {
            self.ready.notify_one()
        }
    }

    fn judge(&self, state: &State, turn: &Turn) -> Option<Shed> {
        let deadline = turn.call.deadline?;
        let left = deadline.saturating_duration_since(Instant::now());
        let safety_fits = turn.for_safety == 0
            || (state.safety.len() < 2 * self.calls
                && self.wait(&state.safety, turn.for_safety, turn.each) <= left);
        if !safety_fits {
            return Some(Shed::All);
        }
        let units = turn.end;
        let wait = self.wait(&state.safety, usize::MAX, Duration::ZERO)
            + self.wait(&state.ordinary, units, turn.each);
        let fits = units == turn.for_safety || (state.ordinary.len() < self.calls && wait <= left);
        (!fits).then_some(Shed::Ordinary)
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
    pub(super) fn landed(&self, key: Key) -> Vec<(Arc<Call>, usize)> {
        self.state().flying.remove(&key).unwrap_or_default()
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let rest: Vec<_> = state.fresh.drain(..).collect();
        let turns = std::mem::take(&mut state.safety)
            .into_iter()
            .chain(std::mem::take(&mut state.ordinary));
        let turns: Vec<_> = turns.map(|turn| turn.call).collect();
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

impl State {
    fn waiting(&self) -> usize {
        self.fresh.len() + self.safety.len() + self.ordinary.len()
    }

    fn put(&mut self, turn: Turn) {
        let line = if turn.next < turn.for_safety {
            &mut self.safety
        } else {
            &mut self.ordinary
        };
        line.push_back(turn);
    }

    fn take(&mut self, now: Instant) -> Option<Work> {
        while let Some(call) = self.fresh.pop_front() {
            if !call.is_dead(now) {
                return Some(Work::Prepare(call));
            }
        }
        while let Some(mut turn) = self
            .safety
            .pop_front()
            .or_else(|| self.ordinary.pop_front())
        {
            if turn.call.is_dead(now) {
                continue;
            }
            let Some((unit, key)) = turn.unit() else {
                continue;
            };
            let call = Arc::clone(&turn.call);
            turn.next += 1;
            if turn.next < turn.end {
                self.put(turn);
            }
            if let Some(others) = self.flying.get_mut(&key) {
                others.push((call, unit));
                continue;
            }
            self.flying.insert(key, Vec::new());
            return Some(Work::Read(call, unit));
        }
        None
    }
}

impl Turn {
    fn unit(&self) -> Option<(usize, Key)> {
        let prepared = self.call.prepared()?;
        let unit = *prepared.todo.get(self.next)?;
        Some((unit, prepared.units.get(unit)?.key))
    }
}
