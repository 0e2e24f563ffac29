//! Parting examples: by hash of the text, near-duplicates together, so that a text is on the same
//! side whatever else there is.

use crate::data::{Example, hex};
use crate::near;
use sha2::{Digest, Sha256};

/// What a text is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Weights.
    Fit,
    /// Temperature and threshold; then weights too.
    Tune,
    /// Figures only.
    Test,
}

/// Percent of the texts of a source that go to tests and to tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Figures only.
    pub test: u64,
    /// Temperature and threshold.
    pub tune: u64,
}

/// The part of each example. `shares` gives those of a source.
#[must_use]
pub fn parts(examples: &[Example], shares: impl Fn(&str) -> Shares) -> Vec<Part> {
    let texts: Vec<&str> = examples
        .iter()
        .map(|example| example.text.as_str())
        .collect();
    // A group's text that stands for it is the least by hash: it does not depend on the order of
    // files.
    let hashes: Vec<String> = texts
        .iter()
        .map(|text| hex(&Sha256::digest(text.as_bytes())))
        .collect();
    let groups = near::groups(&texts);
    let mut least: Vec<&str> = vec!["~"; texts.len()];
    for (group, hash) in groups.iter().zip(&hashes) {
        least[*group] = least[*group].min(hash);
    }
    let part = |(example, group): (&Example, &usize)| {
        let place = least[*group]
            .get(..8)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .unwrap_or(0)
            % 100;
        let Shares { test, tune } = shares(&example.source);
        match place {
            place if place < test => Part::Test,
            place if place < test + tune => Part::Tune,
            _ => Part::Fit,
        }
    };
    examples.iter().zip(&groups).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn example(text: String) -> Example {
        Example {
            text,
            label: 0,
            source: "s".into(),
        }
    }

    fn near_pairs() -> Vec<Example> {
        let long = |number: usize, metal: &str| {
            example(format!(
                "Case {number}: a block of {metal} slides down the long smooth slope number {number} and then meets wall {number}"
            ))
        };
        (0..200)
            .flat_map(|number| [long(number, "copper"), long(number, "iron")])
            .collect()
    }

    #[test]
    fn near_duplicates_never_cross() {
        let examples = near_pairs();
        let parts = parts(&examples, |_| Shares { test: 20, tune: 20 });
        assert!(parts.chunks_exact(2).all(|pair| pair[0] == pair[1]));
        for (part, range) in [
            (Part::Test, 40..130),
            (Part::Tune, 40..130),
            (Part::Fit, 180..300),
        ] {
            let count = parts.iter().filter(|found| **found == part).count();
            assert!(range.contains(&count), "{part:?}: {count}");
        }
    }

    #[test]
    fn a_text_stays_where_it_is_in_any_order() {
        let mut examples = near_pairs();
        let shares = |_: &str| Shares { test: 20, tune: 20 };
        let of = |examples: &[Example]| -> BTreeMap<String, String> {
            let parts = parts(examples, shares);
            examples
                .iter()
                .zip(parts)
                .map(|(example, part)| (example.text.clone(), format!("{part:?}")))
                .collect()
        };
        let before = of(&examples);
        examples.reverse();
        assert_eq!(of(&examples), before);
    }
}
