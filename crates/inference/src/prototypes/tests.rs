//! The worked examples of clustering and scoring, and agreement with a literal restatement of the
//! rules.

use super::*;
use proptest::prelude::*;

fn example(key: &str, text: &str, vector: &[f32]) -> Example {
    Example {
        key: key.to_owned(),
        text: text.into(),
        vector: vector.into(),
    }
}

/// Unit vectors in three dimensions with the given similarities: a·b, b·c, a·c.
fn triangle(ab: f64, bc: f64, ac: f64) -> [[f32; 3]; 3] {
    let height = (1.0 - ab * ab).sqrt();
    let across = (bc - ab * ac) / height;
    let depth = (1.0 - ac * ac - across * across).max(0.0).sqrt();
    [
        [1.0, 0.0, 0.0],
        [ab as f32, height as f32, 0.0],
        [ac as f32, across as f32, depth as f32],
    ]
}

fn identity() -> CosineMap {
    CosineMap::default()
}

fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Text, size and average similarity of the prototypes of `b, a, c`.
#[track_caller]
fn check_clusters(similarities: (f64, f64, f64), expected: &[(&str, usize, f64)]) {
    let [a, b, c] = triangle(similarities.0, similarities.1, similarities.2);
    let examples = [
        example("", "b", &b),
        example("", "a", &a),
        example("", "c", &c),
    ];
    let bank = Bank::build(examples, Clustering::default(), &identity());
    let found: Vec<_> = bank
        .prototypes()
        .iter()
        .map(|found| (&*found.text, found.size, round(found.average)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_worked_examples_of_clustering() {
    check_clusters((0.95, 0.92, 0.80), &[("b", 3, 0.957)]);
    check_clusters((0.95, 0.85, 0.80), &[("a", 2, 0.975), ("c", 1, 1.0)]);
}

/// Score, best and support over prototypes of these similarities to the query.
#[track_caller]
fn check_score(similarities: &[f32], weighting: Weighting, expected: (f64, f64, f64)) {
    let examples = similarities
        .iter()
        .enumerate()
        .map(|(at, value)| example(&at.to_string(), "t", &[*value]));
    let bank = Bank::build(
        examples,
        Clustering {
            enabled: false,
            ..Clustering::default()
        },
        &identity(),
    );
    let Score {
        score,
        best,
        support,
        count,
    } = bank.score(&[1.0], weighting, &identity());
    assert_eq!((round(score), round(best), round(support)), expected);
    assert_eq!(count, similarities.len());
}

#[test]
fn the_worked_examples_of_scoring() {
    check_score(&[0.6, 0.8, 0.1], Weighting::default(), (0.775, 0.8, 0.7));
    check_score(&[0.6, 0.8, 0.1], Weighting::MEAN, (0.5, 0.8, 0.5));
    check_score(&[0.37], Weighting::default(), (0.37, 0.37, 0.37));
    check_score(&[], Weighting::default(), (0.0, 0.0, 0.0));
    check_score(&[0.5, 0.1], Weighting::new(7.0, 9), (0.5, 0.5, 0.3));
    check_score(&[0.5, 0.1], Weighting::new(-1.0, 0), (0.45, 0.5, 0.3));
}

#[test]
fn examples_without_vector_and_repeated_keys_are_left_out() {
    let bank = |key: [&str; 3]| {
        let examples = [
            example(key[0], "x", &[1.0]),
            example(key[1], "x", &[1.0]),
            example(key[2], "y", &[]),
        ];
        Bank::build(examples, Clustering::default(), &identity())
    };
    let sizes = |bank: &Bank| {
        bank.prototypes()
            .iter()
            .map(|prototype| prototype.size)
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(&bank(["", "", ""])), [1]);
    assert_eq!(sizes(&bank(["l:0", "l:1", "l:2"])), [2]);
    assert!(Bank::build([example("", "y", &[])], Clustering::default(), &identity()).is_empty());
}

#[test]
fn the_largest_clusters_are_kept() {
    let axis = |at: usize| {
        (0..12)
            .map(|index| if index == at { 1.0 } else { 0.0 })
            .collect::<Vec<f32>>()
    };
    let examples: Vec<Example> = (0..12)
        .chain([11, 11, 10])
        .enumerate()
        .map(|(n, at)| example(&n.to_string(), &format!("t{at:02}"), &axis(at)))
        .collect();
    let texts = |clustering| {
        let bank = Bank::build(examples.clone(), clustering, &identity());
        bank.prototypes()
            .iter()
            .map(|prototype| prototype.text.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(Clustering::new(true, 0.0, 3)), ["t11", "t10", "t00"]);
    assert_eq!(texts(Clustering::default()).len(), 8);
    assert_eq!(texts(Clustering::new(false, 0.0, 3)).len(), 15);
}

#[test]
fn similarities_are_scaled_before_they_are_compared_and_weighted() {
    let scale = CosineMap::new(&[(0.0, 0.0), (0.5, 0.9), (1.0, 1.0)]).unwrap();
    let [a, b, _] = triangle(0.6, 0.0, 0.0);
    let bank = Bank::build(
        [example("", "a", &a), example("", "b", &b)],
        Clustering::default(),
        &scale,
    );
    assert_eq!(bank.prototypes().len(), 1);
    let score = bank.score(&[0.5, 0.0, 0.0], Weighting::default(), &scale);
    assert!((score.best - 0.9).abs() < 1e-6, "{score:?}");
    assert_eq!(bank.score(&[], Weighting::default(), &scale).best, 0.0);
}

/// Vectors of unequal length are compared over the shorter, as `f32` from left to right.
#[test]
fn the_dot_product_is_single_precision() {
    let (left, right) = ([1e8_f32, 1.0, -1e8], [1.0_f32, 1.0, 1.0, 9.0]);
    assert_eq!(similarity(&left, &right, &identity()), 0.0);
    assert_eq!(
        similarity(&[0.9], &[1.0, 5.0], &identity()),
        f64::from(0.9_f32)
    );
}

/// The rules word for word: every round looks at every pair again.
fn restated(examples: &[Example], clustering: Clustering) -> Vec<(String, usize, f64)> {
    let sim = |left: usize, right: usize| {
        if left == right {
            1.0
        } else {
            similarity(&examples[left].vector, &examples[right].vector, &identity())
        }
    };
    let mut remaining: Vec<usize> = (0..examples.len()).collect();
    let mut found = Vec::new();
    while !remaining.is_empty() {
        let mut largest: Option<(usize, Vec<usize>)> = None;
        for &seed in &remaining {
            let near = |&&other: &&usize| {
                other == seed || sim(seed, other) >= f64::from(clustering.threshold)
            };
            let members: Vec<usize> = remaining.iter().filter(near).copied().collect();
            let wins = largest.as_ref().is_none_or(|(held, most)| {
                members.len() > most.len()
                    || (members.len() == most.len() && examples[seed].text < examples[*held].text)
            });
            if wins {
                largest = Some((seed, members));
            }
        }
        let members = largest.unwrap().1;
        let mean = |&member: &usize| {
            members.iter().map(|&other| sim(member, other)).sum::<f64>() / members.len() as f64
        };
        let medoid = members.iter().copied().reduce(|held, next| {
            let (high, new) = (mean(&held), mean(&next));
            if new > high || (new == high && examples[next].text < examples[held].text) {
                next
            } else {
                held
            }
        });
        let medoid = medoid.unwrap();
        found.push((
            examples[medoid].text.to_string(),
            members.len(),
            mean(&medoid),
        ));
        remaining.retain(|index| !members.contains(index));
    }
    found.sort_by(|left, right| {
        right
            .1
            .cmp(&left.1)
            .then(right.2.total_cmp(&left.2))
            .then_with(|| left.0.cmp(&right.0))
    });
    found.truncate(clustering.max_prototypes);
    found
}

proptest! {
    #[test]
    fn agrees_with_the_restatement(
        points in prop::collection::vec((0_u8..9, 0_u16..24), 0..24),
        threshold in prop::sample::select(vec![0.3_f32, 0.7, 0.9, 0.99]),
        max_prototypes in 1_usize..10,
    ) {
        let examples: Vec<Example> = points.iter().enumerate().map(|(at, (text, step))| {
            let angle = f32::from(*step) * std::f32::consts::TAU / 24.0;
            example(&at.to_string(), &text.to_string(), &[angle.cos(), angle.sin()])
        }).collect();
        let clustering = Clustering::new(true, threshold, max_prototypes);
        let bank = Bank::build(examples.clone(), clustering, &identity());
        let found: Vec<_> = bank.prototypes().iter().map(|p| (p.text.to_string(), p.size, p.average)).collect();
        prop_assert_eq!(found, restated(&examples, clustering));
    }
}
