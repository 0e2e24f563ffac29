//! Switches that turn off a check of this thread, so that tests see what notices.

use std::cell::Cell;
use std::thread::LocalKey;

thread_local! {
    /// The check that every way to a model ends in.
    pub(crate) static ADMISSION: Cell<bool> = const { Cell::new(true) };
    /// The checks of the stages that narrow the choice.
    pub(crate) static NARROWING: Cell<bool> = const { Cell::new(true) };
}

/// Runs with some checks off.
pub(super) fn without<R>(checks: &[&'static LocalKey<Cell<bool>>], run: impl FnOnce() -> R) -> R {
    checks.iter().for_each(|check| check.set(false));
    let result = run();
    checks.iter().for_each(|check| check.set(true));
    result
}
