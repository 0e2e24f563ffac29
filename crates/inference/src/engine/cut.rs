//! A text cut into windows, each for the encoder of its language.
//!
//! ```text
//! language of the text → its encoder cuts the whole → windows in the other language are cut again by the other encoder
//! ```
//!
//! A question that wants one answer for a text reads a sample of the first cut; a question that
//! wants every window reads what the languages of the windows make of it.

use super::unit::failed;
use crate::ask::Failure;
use crate::language::Multilingual;
use crate::model::Model;
use crate::window::{Reach, Window};
use std::sync::Arc;

/// The windows of a text.
pub(super) struct Cut {
    /// All that may be read.
    pub(super) windows: Vec<Piece>,
    /// Those that stand for the text, by place in `windows`.
    pub(super) sample: Vec<usize>,
    /// Those that cover the text, by place in `windows`, in the text's order.
    pub(super) each: Vec<usize>,
    /// Whether the middle of the text is in no window.
    pub(super) truncated: bool,
}

/// A window, and the encoder that reads it.
pub(super) struct Piece {
    pub(super) window: Arc<Window>,
    pub(super) model: Arc<Model>,
}

impl Cut {
    /// Cuts a text for one encoder, or for the two of a pair.
    pub(super) fn new(
        text: &str,
        model: &Arc<Model>,
        multilingual: Option<&Multilingual>,
        reach: Reach,
    ) -> Result<Self, Failure> {
        let Some(multilingual) = multilingual else {
            return Self::by(text, model, reach);
        };
        let is_foreign = multilingual.reads(text);
        let own = if is_foreign {
            other(multilingual)?
        } else {
            model
        };
        let mut cut = Self::by(text, own, reach)?;
        if cut.windows.len() < 2 {
            return Ok(cut);
        }

        let differs = |piece: &Piece| {
            let part = text.get(piece.window.text.clone()).unwrap_or_default();
            multilingual.reads(part) != is_foreign
        };
        let differing: Vec<bool> = cut.windows.iter().map(differs).collect();
        if differing.contains(&true) {
            let by = if is_foreign {
                model
            } else {
                other(multilingual)?
            };
            cut.cut_again(text, by, &differing)?;
            cut.keep(own.segmenter.most(reach));
        }
        Ok(cut)
    }

    fn by(text: &str, model: &Arc<Model>, reach: Reach) -> Result<Self, Failure> {
        let segmentation = model.segmenter.segment(text, reach);
        let segmentation = segmentation.map_err(|error| failed(&error))?;
        let sample = segmentation.sample();
        let truncated = segmentation.truncated;
        let windows = segmentation.windows.into_iter();
        let windows: Vec<Piece> = windows
            .map(|window| Piece {
                window,
                model: Arc::clone(model),
            })
            .collect();
        Ok(Self {
            each: (0..windows.len()).collect(),
            windows,
            sample,
            truncated,
        })
    }

    /// Has the `differing` windows cut again by another encoder.
    fn cut_again(
        &mut self,
        text: &str,
        by: &Arc<Model>,
        differing: &[bool],
    ) -> Result<(), Failure> {
        let mut each = Vec::new();
        for (at, differs) in differing.iter().enumerate() {
            let Some(place) = self.windows.get(at).map(|piece| piece.window.text.clone()) else {
                continue;
            };
            if !differs {
                each.push(at);
                continue;
            }
            let part = text.get(place.clone()).unwrap_or_default();
            let again = by.segmenter.segment(part, Reach::Whole);
            let again = again.map_err(|error| failed(&error))?;
            self.truncated |= again.truncated;
            for window in again.windows {
                each.push(self.windows.len());
                self.windows.push(Piece {
                    window: Arc::new(window.moved(place.start)),
                    model: Arc::clone(by),
                });
            }
        }
        self.each = each;
        Ok(())
    }

    /// Leaves out windows of the middle where there are too many.
    fn keep(&mut self, most: usize) {
        let excess = self.each.len().saturating_sub(most);
        if excess > 0 {
            let first = most.div_ceil(2);
            self.each.drain(first..first + excess);
            self.truncated = true;
        }
    }
}

fn other(multilingual: &Multilingual) -> Result<&Arc<Model>, Failure> {
    let opened = multilingual.encoder().map_err(|error| failed(error))?;
    Ok(&opened.model)
}
