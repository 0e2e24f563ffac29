//! A request under way, and who tells how it ends.

use conversation::dispatch::Dispatch;
use conversation::shared_state::SharedState;
use selection::served::Served;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Holds a dispatch open. Dropped without an end it is forgotten, unless Envoy's access log will
/// tell the end: whatever becomes of the exchange, nothing stays counted as in flight.
pub(super) struct Sent {
    state: Arc<SharedState>,
    id: u64,
    at: Instant,
    is_logged: bool,
    is_over: bool,
}

impl Sent {
    pub(super) fn begin(state: &Arc<SharedState>, dispatch: Dispatch, is_logged: bool) -> Self {
        let (id, at) = (dispatch.id, dispatch.at);
        state.begin(dispatch);
        Self {
            state: Arc::clone(state),
            id,
            at,
            is_logged,
            is_over: false,
        }
    }

    /// Time since it was sent.
    pub(super) fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    /// The whole answer was seen.
    pub(super) fn ended(&mut self, served: &Served) {
        if !self.is_over {
            self.is_over = true;
            self.state.end(self.id, served);
        }
    }

    /// The answer was seen to begin, and its stream is over before its end. Here a client that left
    /// looks like a backend that died; only the access log knows. Without it nothing is held
    /// against the model: else clients could have it rested.
    pub(super) fn broke_off(&mut self, served: &Served) {
        if !self.is_over && self.is_logged {
            self.state.note(self.id, served);
        }
    }

    /// Only the answer's head was seen. If nobody will tell more, that is its end.
    pub(super) fn began(&mut self, served: &Served) {
        if !self.is_logged {
            self.ended(served);
        }
    }

    /// It was not sent after all.
    pub(super) fn withdraw(&mut self) {
        self.is_logged = false;
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if !self.is_over && !self.is_logged {
            self.state.forget(self.id);
        }
    }
}
