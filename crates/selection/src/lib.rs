//! Which model serves a request: what is known of the models, which of a decision's candidates may
//! and can serve, and which of those is chosen.
//!
//! [`providers`] and [`card`] say what the document knows of a model, [`pool`] how it is doing now,
//! [`forecast`] what a request will cost there. [`capability`] narrows the candidates; [`algorithms`]
//! choose among those that are left.

pub mod candidate;
pub mod card;
pub mod providers;

pub mod capability;
pub mod eligible;
pub mod requirements;

pub mod forecast;
pub mod pool;
pub mod served;

pub mod algorithms;

#[cfg(test)]
mod testing;
