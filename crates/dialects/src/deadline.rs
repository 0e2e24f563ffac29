//! Ends a reading that nobody waits for any more.
//!
//! Readers descend into a body through many small functions, and what takes time in all of them is
//! the scanner. So the scanner looks at the clock, once in so many bytes, and the thread remembers
//! until when the reading under way goes on, as a runtime remembers the budget of its task. After
//! that a scanner finds nothing more, wherever it is: what was read by then is worthless, and
//! [`within`] drops it.

use std::cell::Cell;
use std::time::Instant;

/// Bytes that a scanner passes over between two looks at the clock.
pub(crate) const LOOK: usize = 64 << 10;

/// The reading under way on a thread.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    until: Option<Instant>,
    /// A scanner has stopped.
    is_over: bool,
}

thread_local! {
    static READING: Cell<Reading> = const {
        Cell::new(Reading {
            until: None,
            is_over: false,
        })
    };
}

/// Reads until the deadline; `None` if the reading came to no end by then.
pub(crate) fn within<T>(until: Option<Instant>, read: impl FnOnce() -> T) -> Option<T> {
    let begun = Reading {
        until,
        is_over: false,
    };
    // A reader that panics leaves no deadline to the thread's next reading.
    let _outer = Outer(READING.replace(begun));
    let found = read();
    (!READING.get().is_over).then_some(found)
}

/// Puts the thread's earlier reading back.
struct Outer(Reading);

impl Drop for Outer {
    fn drop(&mut self) {
        READING.set(self.0);
    }
}

/// Looks at the clock, and tells whether the reading under way ends here.
pub(crate) fn is_over() -> bool {
    let mut reading = READING.get();
    if !reading.is_over {
        reading.is_over = reading.until.is_some_and(has_passed);
        READING.set(reading);
    }
    reading.is_over
}

#[cfg(not(test))]
fn has_passed(until: Instant) -> bool {
    Instant::now() >= until
}

#[cfg(test)]
fn has_passed(until: Instant) -> bool {
    looks::end_here() || Instant::now() >= until
}

/// Lets tests end a reading at its nth look at the clock.
#[cfg(test)]
pub(crate) mod looks {
    use std::cell::Cell;

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
        static WORK: Cell<usize> = const { Cell::new(0) };
    }

    /// Ends the next reading at its nth look.
    pub(crate) fn end_at(look: usize) {
        LEFT.set(Some(look));
    }

    /// Returns the looks that the last reading did not come to, and the work that it had done when
    /// it was over.
    pub(crate) fn take() -> (Option<usize>, usize) {
        (LEFT.take(), WORK.take())
    }

    pub(super) fn end_here() -> bool {
        let Some(left) = LEFT.get() else {
            return false;
        };
        let left = left.saturating_sub(1);
        LEFT.set(Some(left));
        if left == 0 {
            WORK.set(crate::json::work::done());
        }
        left == 0
    }
}
