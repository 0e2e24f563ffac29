//! Sessions: which requests belong together, and when they stay with the model that they already use.

use crate::lasting::{Dispatch, Served};

/// Names a session: a digest of the authenticated caller, the recipe and what the client calls its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub u128);

/// All sessions. Lasts over reloads.
#[derive(Debug, Default)]
pub struct Sessions;

impl Sessions {
    pub(crate) fn served(&self, _dispatch: &Dispatch, _served: &Served) {}
}
