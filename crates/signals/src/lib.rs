//! What a request is, and what the policy makes of it: signals, projections, decisions. Knows neither
//! models to route to nor the rest of the document.
//!
//! [`families`] reads facts out of a request into a [`report`]; [`projection`] derives further facts;
//! [`decision`] finds the winner among rule trees over them.

pub mod families;
pub mod family;
pub mod report;

pub mod decision;
pub mod projection;
pub mod rules;

pub mod catalog;
pub mod declared;
pub mod scope;
pub mod used;
pub mod wanted;
