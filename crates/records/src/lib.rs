//! What came of a request: remembered, counted and shown.
//!
//! One [`record::DecisionRecord`] a request, completed when the request ends, however it ends; text
//! that was captured is a message of its own. The [`recorder`] takes both off the request's path
//! and writes them in batches to a [`store::RecordStore`]. The [`ledger`] turns usage into integer
//! money and joules whose parts add up. The [`view`] answers the replay API from what a store says.
//!
//! Knows no document, no Envoy, no database and no HTTP server: who has those uses this crate.

pub mod record;

pub mod capture;
pub mod ledger;
pub mod recorder;
pub mod store;
pub mod view;
