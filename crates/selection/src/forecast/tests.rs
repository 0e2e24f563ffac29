//! Predictions of whole requests, as traces show them.

use super::*;
use crate::pool::Pool;
use crate::testing::Models;

const POLICY: &str = r"
version: v0.3
providers:
  defaults: {default_model: small}
  models:
    - {name: small, provider_model_id: Qwen/Qwen3-8B, pricing: {currency: EUR, prompt_per_1m: 1, cached_input_per_1m: 0.1, completion_per_1m: 4}}
    - {name: sized}
    - {name: closed, pricing: {prompt_per_1m: 2, completion_per_1m: 8}}
routing:
  modelCards: [{name: small}, {name: sized, param_size: 30B}, {name: closed}]
  decisions:
    - {name: d, modelRefs: [{model: small}, {model: sized}, {model: closed}]}
";

fn decision() -> (Forecaster, Vec<Candidate>, Lengths) {
    let document = Models::read(POLICY);
    let (pool, lengths) = (Pool::default(), Lengths::default());
    let candidates: Vec<Candidate> = document.routing.decisions[0]
        .model_refs
        .iter()
        .map(|model_ref| Candidate::new(model_ref.clone(), &document, &pool))
        .collect();
    (
        Forecaster::new("d", &candidates, &document, &lengths),
        candidates,
        lengths,
    )
}

#[test]
fn money_and_joules_where_they_are_known() {
    let (forecaster, candidates, _) = decision();
    let tokens = Tokens {
        prompt: 1_000,
        cached: 400,
        ..Tokens::default()
    };
    let all = forecaster.forecasts(&candidates, &[0, 1, 2], tokens);
    let money: Vec<Option<u64>> = all.iter().map(Forecast::microcurrency).collect();
    assert_eq!(
        money,
        [Some(600 + 40 + 4 * 400), None, Some(600 * 2 + 8 * 400)]
    );
    let methods: Vec<Option<&str>> = all
        .iter()
        .map(|it| it.joules.as_ref().map(|joules| joules.method))
        .collect();
    assert_eq!(methods, [Some("fitted"), Some("regression"), None]);
    assert_eq!((&*all[0].currency, all[0].length.samples), ("EUR", 0));
    for figure in all.iter().flat_map(|it| [&it.money, &it.joules]).flatten() {
        assert!(
            figure.low <= figure.expected && figure.expected <= figure.high,
            "{figure:?}"
        );
    }
    assert_eq!(forecaster.forecasts(&candidates, &[2], tokens).len(), 1);
    let joules = forecaster.joules(0, &candidates[0].pool, tokens);
    assert_eq!(joules, all[0].joules.as_ref().map(|joules| joules.expected));
}

#[test]
fn lengths_that_were_seen_narrow_the_interval() {
    let (forecaster, candidates, lengths) = decision();
    (0..20).for_each(|turn| lengths.of("d", "small").learn(90 + turn % 21));
    let forecast = &forecaster.forecasts(&candidates, &[0], Tokens::default())[0];
    assert_eq!(forecast.length.samples, 20);
    let money = forecast.money.as_ref().unwrap();
    assert!(
        (money.expected - 4e-4).abs() < 2e-5 && money.high < 5e-4 && money.low > 3e-4,
        "{money:?}"
    );
    let text = forecast.to_string();
    for part in [
        "small: 100 tokens (",
        "; 20 answers); EUR 0.000",
        "; price: providers.models[].pricing)",
        "; J ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        text.contains("fitted: our fit to the ML.ENERGY leaderboard v3, 2026-02-16), "),
        "{text}"
    );
}

#[test]
fn three_digits() {
    let check = |number: f64, expected: &str| assert_eq!(significant(number), expected);
    check(0.000_123_456, "0.000123");
    check(12.345, "12.3");
    check(1_234.5, "1234");
    check(0.0, "0");
}
