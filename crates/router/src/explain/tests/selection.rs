//! Previews of the algorithms that run as they stand.

use super::{check, of, refs};
use selection::algorithms::latency_aware::LatencyAware;
use selection::algorithms::latency_aware::LatencyAwareConfig as Latency;
use selection::algorithms::multi_factor::MultiFactor;
use selection::algorithms::multi_factor::{MultiFactorConfig as Factors, Slo};
use selection::algorithms::{Candidates, Selector};
use selection::candidate::Candidate;
use selection::card::{Card, Prices};
use std::sync::Arc;

/// Without a request the live algorithms run as they stand.
#[test]
fn previews_of_factors_and_latency() {
    let slo = |max_cost_per_1m, policy: &str| Factors {
        slo: Some(Slo {
            max_cost_per_1m,
            ..Default::default()
        }),
        on_no_candidates: policy.into(),
        ..Default::default()
    };
    let factors = |config: &Factors| {
        let priced = |(name, quality, price): (&str, f64, f64)| {
            let card = Card {
                quality: Some(quality),
                prices: Some(Prices {
                    prompt: price,
                    ..Default::default()
                }),
                ..Default::default()
            };
            Candidate {
                card: Arc::new(card),
                ..refs(&[name]).remove(0)
            }
        };
        let candidates = vec![priced(("a", 0.9, 10.0)), priced(("b+lora", 0.5, 1.0))];
        let selector = MultiFactor::new(config, Arc::default(), 2);
        Candidates::new("d", candidates, "multi_factor", Some(Box::new(selector)))
    };
    let usual = "multi_factor: weights{q=0.25 l=0.25 c=0.25 L=0.25} latency_p95, kept=";
    let said = |rest: &str| format!("{usual}{rest}");
    let (both, one) = (said("2, dropped=0"), said("1, dropped=1"));
    check(
        of("multi_factor"),
        &factors(&slo(0.0, "")),
        ["selected", "a", "multi_factor", &both],
    );
    check(
        of("multi_factor"),
        &factors(&slo(9.0, "")),
        ["selected", "lora", "multi_factor", &one],
    );
    let all = "multi_factor no-candidate policy: all_candidates_excluded_by_slo:";
    let (cheapest, first) = (format!("{all}cheapest"), format!("{all}first"));
    check(
        of("multi_factor"),
        &factors(&slo(0.5, "")),
        ["selected", "lora", "multi_factor", &cheapest],
    );
    check(
        of("multi_factor"),
        &factors(&slo(0.5, "first")),
        ["selected", "a", "multi_factor", &first],
    );
    let failed = [
        "fallback",
        "a",
        "multi_factor",
        "selector failed during dry-run",
    ];
    check(of("multi_factor"), &factors(&slo(0.5, "fail")), failed);
    let latency = |percentile| {
        let config = Latency {
            tpot_percentile: percentile,
            ..Default::default()
        };
        let selector = Some(Box::new(LatencyAware::new(Some(&config))) as Box<dyn Selector>);
        Candidates::new("d", refs(&["a", "b"]), "latency_aware", selector)
    };
    let cold = "No latency stats available; using first candidate as default";
    check(
        of("latency_aware"),
        &latency(90),
        ["selected", "a", "latency_aware", cold],
    );
    let unasked = "Latency-aware percentile config missing; using first candidate as default";
    check(
        of("latency_aware"),
        &latency(0),
        ["selected", "a", "latency_aware", unasked],
    );
}
