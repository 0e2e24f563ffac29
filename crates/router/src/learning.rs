//! Learning: choice by outcomes (`adaptation`) and staying with a conversation's model (`protection`), as the reference does.

pub mod protection;
pub mod rows;

use crate::lasting::{Dispatch, Served};

/// What outcomes have taught. Lasts over reloads.
#[derive(Debug, Default)]
pub struct Experience;

impl Experience {
    pub(crate) fn served(&self, _dispatch: &Dispatch, _served: &Served) {}
}
