//! Driver's licence numbers of the United States: their forms differ by state, so only a word
//! before tells them.

use super::Found;
use super::around::{About, Around};
use super::text::{Text, is_dash};

/// The number that begins at `at`, where a driver's licence is spoken of before.
pub(super) fn at(text: &Text, at: usize) -> Option<Found> {
    let end = text.run(at, 20, |scalar| {
        scalar.is_ascii_alphanumeric() || is_dash(scalar)
    });
    let end = text.run_back(end, 2, is_dash);
    let digits = (at..end)
        .filter(|place| {
            text.get(*place)
                .is_some_and(|scalar| scalar.is_ascii_digit())
        })
        .count();
    let capitals = (at..end).all(|place| {
        text.get(place)
            .is_some_and(|scalar| !scalar.is_ascii_lowercase())
    });
    let shaped = (6..=18).contains(&(end.saturating_sub(at)))
        && digits >= 5
        && capitals
        && text.ends_word(end);
    let rivals = [About::Other, About::Phone, About::Security];
    (shaped && Around::new(text, at, end).nearest(About::Licence, &rivals))
        .then(|| Found::new("US_DRIVER_LICENSE", at, end, 0.96))
}
