//! Texts that are nearly equal: they must lie on one side of a split, else a held-out figure
//! measures memory.
//!
//! MinHash over runs of three words finds candidates; a candidate counts if the two share half of
//! their runs.

use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};

const HASHES: usize = 64;
/// Rows of a band: texts meet in a band if all its rows agree.
const ROWS: usize = 2;
/// From what share of common runs two texts are the same.
const ALIKE: f64 = 0.5;

/// For each text the place of the first text that it is nearly equal to, directly or over others;
/// its own place otherwise.
#[must_use]
pub fn groups(texts: &[&str]) -> Vec<usize> {
    let runs: Vec<BTreeSet<u64>> = texts.iter().map(|text| runs(text)).collect();
    let mut parents: Vec<usize> = (0..texts.len()).collect();
    let mut buckets: HashMap<(usize, Vec<u64>), usize> = HashMap::new();
    for (at, own) in runs.iter().enumerate() {
        for (band, rows) in signature(own).chunks_exact(ROWS).enumerate() {
            let first = *buckets.entry((band, rows.to_vec())).or_insert(at);
            let apart = first != at && root(&mut parents, first) != root(&mut parents, at);
            if apart
                && runs
                    .get(first)
                    .is_some_and(|other| share(own, other) >= ALIKE)
            {
                let (left, right) = (root(&mut parents, first), root(&mut parents, at));
                parents[left.max(right)] = left.min(right);
            }
        }
    }
    (0..texts.len()).map(|at| root(&mut parents, at)).collect()
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// Hashes of all runs of three words, of fewer in a shorter text.
fn runs(text: &str) -> BTreeSet<u64> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|scalar: char| !scalar.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let size = words.len().clamp(1, 3);
    words
        .windows(size)
        .map(|run| hash(&run.join(" ")))
        .collect()
}

fn hash(text: &str) -> u64 {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn signature(runs: &BTreeSet<u64>) -> Vec<u64> {
    (0..HASHES as u64)
        .map(|seed| {
            runs.iter()
                .map(|run| mix(run ^ mix(seed + 1)))
                .min()
                .unwrap_or(seed)
        })
        .collect()
}

/// The finaliser of SplitMix64: every bit of the input moves half of the output's.
fn mix(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn share(left: &BTreeSet<u64>, right: &BTreeSet<u64>) -> f64 {
    let both = left.intersection(right).count();
    both as f64 / (left.len() + right.len() - both).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: &[&str], expected: &[usize]) {
        assert_eq!(groups(texts), expected);
    }

    #[test]
    fn finds_what_differs_in_a_word() {
        let long = "A block of copper is heated slowly from 20 to 80 degrees under a pressure of one atmosphere; find the work done";
        let near = long.replace("copper", "iron");
        check(
            &[long, "How do cats purr?", &near, "how do cats PURR"],
            &[0, 1, 0, 1],
        );
    }

    #[test]
    fn keeps_apart_what_begins_alike() {
        check(
            &[
                "Which of the following is true of the French revolution of 1789 and its causes?",
                "Which of the following is true of gene expression in bacteria under heat?",
                "",
                "x",
            ],
            &[0, 1, 2, 3],
        );
    }
}
