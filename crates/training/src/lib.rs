//! Fitting heads from labelled texts: data sets, optimisation, calibration, held-out figures,
//! cards.
//!
//! ```text
//! files → examples → parts by hash (near-duplicates together) → windows' features (kept on disk)
//!       → fit on `fit`, temperature and threshold on `tune`, fit again on both, figures on `test` → head and card
//! ```
//!
//! The same data give the same head: all that is random comes from a fixed seed, and texts are
//! parted by their hash.

pub mod calibrate;
pub mod data;
pub mod features;
pub mod metrics;
pub mod near;
pub mod optimise;
pub mod part;
pub mod pii;
pub mod recipe;
mod report;
mod run;
pub mod selection;
pub mod write;

pub use report::{Figures, Report};
pub use run::{TrainError, TrainOptions, train};
