//! The worked examples of the reference, ceilings, energy, and numbers that are not finite.

use super::*;
use crate::candidate::ModelRef;
use crate::card::IndexValue;
use proptest::prelude::*;

fn selector(config: MultiFactorConfig) -> MultiFactor {
    MultiFactor::new(&config, Arc::default(), 2)
}

fn weighing(quality: f64, latency: f64, cost: f64, load: f64, energy: f64) -> MultiFactorConfig {
    MultiFactorConfig {
        weights: Some(FactorWeights {
            quality,
            latency,
            cost,
            load,
            energy,
        }),
        ..MultiFactorConfig::default()
    }
}

fn cold(quality: f64, price: f64) -> Observed {
    let known = |number: f64| Some(number).filter(|number| *number > 0.0);
    Observed {
        quality: known(quality),
        price: known(price),
        ..Observed::default()
    }
}

fn numbered(observed: &[Observed]) -> Vec<Observed> {
    observed
        .iter()
        .enumerate()
        .map(|(index, observed)| Observed { index, ..*observed })
        .collect()
}

#[track_caller]
fn check(
    config: MultiFactorConfig,
    observed: &[Observed],
    candidate: usize,
    scores: &[f64],
    confidence: f64,
) {
    let choice = selector(config).choose(numbered(observed)).unwrap();
    assert_eq!(choice.candidate, candidate, "{:?}", choice.scores);
    let close = |(left, right): (&(usize, f64), &f64)| (left.1 - right).abs() < 1e-12;
    assert!(
        choice.scores.len() == scores.len() && choice.scores.iter().zip(scores).all(close),
        "{:?}",
        choice.scores
    );
    assert!(
        (choice.confidence - confidence).abs() < 1e-12,
        "{}",
        choice.confidence
    );
}

#[test]
fn cold_candidates_are_told_apart_by_quality_and_price() {
    let (good, cheap) = (cold(0.9, 10.0), cold(0.6, 2.0));
    check(
        MultiFactorConfig::default(),
        &[good, cheap],
        0,
        &[0.375, 0.375],
        0.5,
    );
    check(
        MultiFactorConfig::default(),
        &[cheap, good],
        0,
        &[0.375, 0.375],
        0.5,
    );
    check(
        MultiFactorConfig::default(),
        &[good, cheap, cold(0.0, 0.0)],
        0,
        &[0.375, 0.375, 0.125],
        0.5,
    );
    check(
        weighing(2.0, 0.0, 1.0, 0.0, 0.0),
        &[good, cheap],
        0,
        &[2.0 / 3.0, 1.0 / 3.0],
        1.0,
    );
    check(
        weighing(0.0, 0.0, -1.0, 0.0, 0.0),
        &[good, cheap],
        0,
        &[0.375, 0.375],
        0.5,
    );
    check(MultiFactorConfig::default(), &[good], 0, &[0.375], 1.0);
}

#[test]
fn missing_counts_as_the_worst_and_what_nobody_has_as_nothing() {
    let warm = |tpot_ms, ttft_ms| Observed {
        tpot_ms,
        ttft_ms,
        ..Observed::default()
    };
    let latency = || weighing(0.0, 1.0, 0.0, 0.0, 0.0);
    check(
        latency(),
        &[warm(None, None), warm(None, None)],
        0,
        &[0.0, 0.0],
        0.5,
    );
    check(
        latency(),
        &[warm(None, None), warm(Some(20.0), None)],
        1,
        &[0.0, 0.5],
        1.0,
    );
    // The units of time per token and time to the first token are mixed, as in the reference.
    check(
        latency(),
        &[warm(None, Some(200.0)), warm(Some(20.0), Some(900.0))],
        1,
        &[0.0, 1.0],
        1.0,
    );
    let busy = |in_flight| Observed {
        in_flight,
        ..Observed::default()
    };
    check(
        weighing(0.0, 0.0, 0.0, 1.0, 0.0),
        &[busy(9), busy(3), busy(6)],
        1,
        &[0.0, 1.0, 0.5],
        1.0,
    );
}

#[test]
fn energy_counts_like_the_other_terms() {
    let joules = |joules| Observed {
        joules,
        ..cold(0.5, 1.0)
    };
    check(
        weighing(0.0, 0.0, 0.0, 0.0, 1.0),
        &[joules(Some(90.0)), joules(Some(30.0)), joules(Some(60.0))],
        1,
        &[0.0, 1.0, 0.5],
        1.0,
    );
    check(
        weighing(0.0, 0.0, 0.0, 0.0, 1.0),
        &[joules(None), joules(Some(30.0))],
        1,
        &[0.0, 0.5],
        1.0,
    );
    check(
        weighing(3.0, 0.0, 0.0, 0.0, 1.0),
        &[joules(None), joules(None)],
        0,
        &[0.375, 0.375],
        0.5,
    );
}

#[test]
fn ceilings_exclude_what_is_above_them() {
    let slo = |slo| MultiFactorConfig {
        slo: Some(slo),
        ..weighing(1.0, 0.0, 0.0, 0.0, 0.0)
    };
    let good = Observed {
        in_flight: 8,
        tpot_ms: Some(40.0),
        ttft_ms: Some(900.0),
        ..cold(0.9, 10.0)
    };
    let plain = cold(0.6, 0.0);
    let pair = [good, plain];
    check(
        slo(Slo {
            max_cost_per_1m: 10.0,
            ..Slo::default()
        }),
        &pair,
        0,
        &[1.0, 0.0],
        1.0,
    );
    check(
        slo(Slo {
            max_cost_per_1m: 9.99,
            ..Slo::default()
        }),
        &pair,
        1,
        &[0.5],
        1.0,
    );
    check(
        slo(Slo {
            max_tpot_ms: 39.0,
            ..Slo::default()
        }),
        &pair,
        1,
        &[0.5],
        1.0,
    );
    check(
        slo(Slo {
            max_ttft_ms: 899.0,
            ..Slo::default()
        }),
        &pair,
        1,
        &[0.5],
        1.0,
    );
    check(
        slo(Slo {
            max_inflight: 7,
            ..Slo::default()
        }),
        &pair,
        1,
        &[0.5],
        1.0,
    );
    check(
        slo(Slo {
            max_inflight: 8,
            max_tpot_ms: 40.0,
            ..Slo::default()
        }),
        &pair,
        0,
        &[1.0, 0.0],
        1.0,
    );
}

#[test]
fn when_everyone_is_above_them() {
    #[track_caller]
    fn check(policy: &str, observed: &[Observed], expected: usize, word: &str) {
        let slo = Some(Slo {
            max_inflight: 1,
            ..Slo::default()
        });
        let config = MultiFactorConfig {
            slo,
            on_no_candidates: policy.into(),
            ..MultiFactorConfig::default()
        };
        let choice = selector(config).choose(numbered(observed)).unwrap();
        assert_eq!(
            (choice.candidate, choice.score, choice.confidence),
            (expected, 0.0, 0.0)
        );
        assert_eq!(
            &*choice.reason,
            format!("multi_factor no-candidate policy: all_candidates_excluded_by_slo:{word}")
        );
    }
    let busy = |price| Observed {
        in_flight: 2,
        ..cold(0.5, price)
    };
    check(
        "",
        &[busy(3.0), busy(0.0), busy(2.0), busy(2.0)],
        2,
        "cheapest",
    );
    check("cheapest", &[busy(0.0), busy(0.0)], 0, "cheapest");
    check("first", &[busy(3.0), busy(2.0)], 0, "first");
    let slo = Some(Slo {
        max_inflight: 1,
        ..Slo::default()
    });
    let failing = selector(MultiFactorConfig {
        slo,
        on_no_candidates: "fail".into(),
        ..MultiFactorConfig::default()
    });
    assert!(matches!(
        failing.choose(numbered(&[busy(1.0), busy(2.0)])),
        Err(SelectionError::Failed(_))
    ));
}

#[test]
fn reasons_are_the_references() {
    let pair = numbered(&[cold(0.9, 10.0), cold(0.6, 2.0)]);
    let said = |config| selector(config).choose(pair.clone()).unwrap().reason;
    let usual = "multi_factor: weights{q=0.25 l=0.25 c=0.25 L=0.25} latency_p95, kept=2, dropped=0";
    assert_eq!(&*said(MultiFactorConfig::default()), usual);
    let config = MultiFactorConfig {
        latency_percentile: 50,
        slo: Some(Slo {
            max_cost_per_1m: 5.0,
            ..Slo::default()
        }),
        ..weighing(1.0, 0.0, 2.0, 0.0, 0.0)
    };
    assert_eq!(
        &*said(config),
        "multi_factor: weights{q=0.33 l=0.00 c=0.67 L=0.00} latency_p50, kept=1, dropped=1"
    );
    let green = weighing(1.0, 0.0, 0.0, 0.0, 1.0);
    let expected =
        "multi_factor: weights{q=0.50 l=0.00 c=0.00 L=0.00 e=0.50} latency_p95, kept=2, dropped=0";
    assert_eq!(&*said(green), expected);
    // Some candidates were not eligible, so the prepared texts do not fit.
    let three = MultiFactor::new(&MultiFactorConfig::default(), Arc::default(), 3)
        .choose(pair.clone())
        .unwrap()
        .reason;
    assert_eq!(&*three, usual);
}

/// The reference's sum, written down plainly.
fn by_the_book(weights: [f64; 4], observed: &[Observed]) -> Vec<f64> {
    let norm = |of: &dyn Fn(&Observed) -> Option<f64>, inverted: bool| -> Vec<f64> {
        let known: Vec<f64> = observed.iter().filter_map(of).collect();
        let (min, max) = known
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &it| {
                (min.min(it), max.max(it))
            });
        let place = |it: f64| {
            if max > min {
                (it - min) / (max - min)
            } else {
                0.5
            }
        };
        let place = |it: f64| if inverted { 1.0 - place(it) } else { place(it) };
        observed
            .iter()
            .map(|it| of(it).map_or(0.0, place))
            .collect()
    };
    let terms = [
        norm(&|it| it.quality, false),
        norm(&|it| it.tpot_ms.or(it.ttft_ms), true),
        norm(&|it| it.price, true),
        norm(&|it| Some(it.in_flight as f64), true),
    ];
    let sum = |index: usize| {
        terms
            .iter()
            .zip(weights)
            .fold(0.0, |sum, (term, weight)| sum + weight * term[index])
    };
    (0..observed.len()).map(sum).collect()
}

fn any_observed() -> impl Strategy<Value = Observed> {
    let number = || proptest::option::of(1e-3..1e4);
    (number(), number(), number(), number(), 0_u64..100).prop_map(
        |(quality, tpot_ms, ttft_ms, price, in_flight)| Observed {
            quality,
            tpot_ms,
            ttft_ms,
            price,
            in_flight,
            ..Observed::default()
        },
    )
}

fn wild() -> impl Strategy<Value = f64> {
    proptest::num::f64::ANY
}

proptest! {
    /// Without `energy` the result is the reference's, bit for bit.
    #[test]
    fn agrees_with_the_reference(
        weights in proptest::array::uniform4(0.0..10.0_f64),
        observed in proptest::collection::vec(any_observed(), 1..8),
    ) {
        let [quality, latency, cost, load] = weights;
        let sum = quality + latency + cost + load;
        let weights = if sum > 0.0 { weights.map(|weight| weight / sum) } else { [0.25; 4] };
        let expected = by_the_book(weights, &observed);
        let choice = selector(weighing(quality, latency, cost, load, 0.0)).choose(numbered(&observed)).unwrap();
        let bits: Vec<u64> = choice.scores.iter().map(|(_, score)| score.to_bits()).collect();
        prop_assert_eq!(bits, expected.iter().map(|score| score.to_bits()).collect::<Vec<_>>());
        let best = expected.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert_eq!(choice.candidate, expected.iter().position(|score| *score == best).unwrap());
    }

    /// Whatever the numbers are, scores and confidence are finite.
    #[test]
    fn stays_finite(
        weights in proptest::array::uniform5(wild()),
        numbers in proptest::collection::vec(proptest::array::uniform5(proptest::option::of(wild())), 1..6),
    ) {
        let [quality, latency, cost, load, energy] = weights;
        let observed = numbers.iter().map(|&[quality, tpot_ms, ttft_ms, price, joules]| {
            Observed { quality, tpot_ms, ttft_ms, price, joules, ..Observed::default() }
        });
        let observed: Vec<Observed> = observed.collect();
        let choice = selector(weighing(quality, latency, cost, load, energy)).choose(numbered(&observed)).unwrap();
        prop_assert!(choice.candidate < observed.len());
        prop_assert!(choice.scores.iter().all(|(_, score)| score.is_finite()), "{:?}", choice.scores);
        prop_assert!((0.0..=1.0).contains(&choice.confidence), "{}", choice.confidence);
    }
}

fn staged(priorities: &[(&str, f64)]) -> MultiFactorConfig {
    let stage = |(factor, tolerance): &(&str, f64)| FactorPriority {
        factor: (*factor).to_owned(),
        tolerance: *tolerance,
    };
    MultiFactorConfig {
        objective: Some(Objective {
            strategy: "lexicographic".to_owned(),
            priorities: priorities.iter().map(stage).collect(),
        }),
        ..MultiFactorConfig::default()
    }
}

#[track_caller]
fn check_stages(priorities: &[(&str, f64)], observed: &[Observed], expected: usize) {
    check(staged(priorities), observed, expected, &[], 1.0);
}

#[test]
fn one_factor_after_the_other() {
    let three = [cold(70.0, 4.0), cold(69.0, 1.0), cold(60.0, 0.2)];
    check_stages(&[("quality", 0.03), ("cost", 0.05)], &three, 1);
    check_stages(&[("quality", 0.0), ("cost", 0.05)], &three, 0);
    check_stages(&[("cost", 0.0)], &three, 2);
    // The first of equals; what is missing drops out, unless it is missing everywhere.
    check_stages(&[("quality", 1.0)], &three, 0);
    check_stages(&[("quality", 0.0)], &[cold(0.0, 1.0), cold(0.3, 9.0)], 1);
    check_stages(&[("latency", 0.0), ("cost", 0.0)], &three, 2);
    let busy = |in_flight| Observed {
        in_flight,
        ..cold(1.0, 1.0)
    };
    check_stages(&[("load", 0.5)], &[busy(4), busy(3), busy(2)], 1);
}

#[test]
fn quality_by_an_index() {
    let value = |score, coverage| Some(IndexValue { score, coverage });
    let judged = |quality: QualityEvidence| {
        let values = vec![value(60.0, 1.0), None, value(50.0, 0.5)];
        let selector = selector(weighing(1.0, 0.0, 0.0, 0.0, 0.0));
        let selector = selector.with_evidence(Some(Evidence::new(&quality, values)));
        // The cards' own scores no longer count.
        let three = [cold(0.1, 1.0), cold(0.9, 1.0), cold(0.8, 1.0)];
        let choice = selector.choose(numbered(&three)).unwrap();
        let scores = choice.scores.iter();
        (choice.candidate, scores.map(|(index, _)| *index).collect())
    };
    let quality = QualityEvidence::default();
    assert_eq!(judged(quality.clone()), (0, vec![0, 2]));
    let least = QualityEvidence {
        min_coverage: Some(0.6),
        ..quality.clone()
    };
    assert_eq!(judged(least), (0, vec![0]));
    let least = QualityEvidence {
        min_score: Some(60.5),
        ..quality.clone()
    };
    // Nobody is left, so the cheapest serves.
    assert_eq!(judged(least), (0, vec![]));
    let disabled = QualityEvidence {
        on_missing: "disable_quality".to_owned(),
        ..quality
    };
    assert_eq!(judged(disabled), (0, vec![0, 1, 2]));
}

/// Price counts for the whole request once a key of v0.4 says how answers are compared.
#[test]
fn the_price_of_a_whole_request() {
    let candidate = |prompt, completion| {
        let mut candidate = Candidate::unknown(ModelRef::default());
        candidate.card = Arc::new(crate::card::Card {
            prices: Some(crate::card::Prices {
                prompt,
                completion,
                ..crate::card::Prices::default()
            }),
            ..crate::card::Card::default()
        });
        candidate
    };
    let candidates = [candidate(1.0, 10.0), candidate(2.0, 3.0)];
    let chosen = |expected_output_tokens, output_limit| {
        let request = SelectionRequest {
            tokens: Tokens {
                prompt: 1000,
                ..Tokens::default()
            },
            output_limit,
            ..SelectionRequest::default()
        };
        let config = MultiFactorConfig {
            expected_output_tokens,
            ..staged(&[("cost", 0.0)])
        };
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible: &[0, 1],
            request: &request,
        };
        selector(config).select(&input).unwrap().candidate
    };
    assert_eq!(chosen(0, 0), 0, "by the prompt's price");
    assert_eq!(chosen(1000, 0), 1, "by the expected answer");
    assert_eq!(chosen(1000, 10), 0, "by the caller's limit");
}

#[test]
fn one_latency_alone() {
    let warm = |tpot_ms, ttft_ms, metric| Observed {
        tpot_ms,
        ttft_ms,
        metric,
        ..Observed::default()
    };
    let by = |metric| {
        [
            warm(Some(20.0), Some(900.0), metric),
            warm(Some(30.0), Some(100.0), metric),
            warm(None, Some(50.0), metric),
        ]
    };
    check_stages(&[("latency", 0.0)], &by(Metric::PerToken), 0);
    check_stages(&[("latency", 0.0)], &by(Metric::FirstToken), 2);
}
