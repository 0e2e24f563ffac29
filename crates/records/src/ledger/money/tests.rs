//! Tests of money.

use super::*;
use proptest::prelude::*;

fn price(units: f64) -> Price {
    Price::per_million(units).unwrap()
}

fn tokens(parts: [u64; 5]) -> Tokens {
    let [input, cached_input, cache_write, output, reasoning] = parts;
    Tokens {
        input,
        cached_input,
        cache_write,
        output,
        reasoning,
        estimated: false,
    }
}

fn prices(prompt: f64, cached: Option<f64>, write: Option<f64>, completion: f64) -> Prices {
    Prices {
        currency: "USD".to_owned(),
        prompt: price(prompt),
        cached: cached.map(price),
        cache_write: write.map(price),
        completion: price(completion),
    }
}

#[test]
fn prices_are_decimals_as_written() {
    for (written, expected) in [
        (0.1, Some(100_000_000_000)),
        (3.0, Some(3_000_000_000_000)),
        (-1.0, Some(0)),
        (1e-12, Some(1)),
        (6e-13, Some(1)),
        (4e-13, Some(0)),
        (f64::NAN, None),
        (f64::INFINITY, None),
        (1e13, None),
    ] {
        assert_eq!(
            Price::per_million(written),
            expected.map(Price),
            "{written}"
        );
    }
}

#[test]
fn the_examples_of_the_semantics() {
    let used = tokens([1_000, 600, 100, 200, 0]);
    let mut actual = cost(&used, &prices(3.0, Some(0.3), None, 15.0));
    assert_eq!(actual.nanos, 4_380_000);
    assert_eq!(actual.micros, 4_380);
    assert_eq!(actual.cached_nanos, 180_000);
    // An unset price of cached tokens is the prompt's here: 10·1000 + 30·200.
    let dear = prices(10.0, None, None, 30.0);
    compare(
        &mut actual,
        &used,
        Baseline {
            model: "dear",
            prices: &dear,
        },
    );
    assert_eq!(actual.baseline_nanos, Some(16_000_000));

    let clamped = clamped(tokens([100, 150, 20, 5, 9]));
    assert_eq!(clamped, tokens([100, 100, 0, 5, 5]));
}

#[test]
fn the_baseline_is_the_dearest_of_its_currency() {
    let cheap = prices(1.0, None, None, 2.0);
    let dear = prices(1.0, None, Some(9.0), 2.0);
    let twin = prices(9.0, None, None, 2.0);
    let mut other = prices(90.0, None, None, 2.0);
    other.currency = "EUR".to_owned();
    let all = [
        ("cheap", &cheap),
        ("dear", &dear),
        ("twin", &twin),
        ("other", &other),
    ];
    let all = all.map(|(model, prices)| Baseline { model, prices });
    assert_eq!(dearest(all, "USD").map(|it| it.model), Some("dear"));
    assert_eq!(dearest(all, "CHF").map(|it| it.model), None);
}

#[test]
fn attempts_add_up() {
    let attempt = |currency: &str, nanos| Attempt {
        tokens: Some(tokens([10, 0, 0, 5, 0])),
        cost: Some(Cost {
            currency: currency.to_owned(),
            prompt_nanos: nanos,
            nanos,
            baseline_nanos: Some(7_000),
            ..Cost::default()
        }),
        energy: energy(&Joules {
            attributed: 0.5,
            ..Joules::default()
        }),
        ..Attempt::default()
    };
    let mut record = DecisionRecord {
        attempts: vec![attempt("USD", 1_000), attempt("USD", 2_000)],
        ..DecisionRecord::default()
    };
    add_up(&mut record);
    let cost = record.cost.clone().unwrap();
    assert_eq!(
        (cost.nanos, cost.micros, cost.baseline_nanos),
        (3_000, 3, Some(7_000))
    );
    assert_eq!(record.tokens, Some(tokens([20, 0, 0, 10, 0])));
    assert_eq!(
        record.energy.as_ref().unwrap().attributed_nanojoules,
        1_000_000_000
    );
    record.attempts.push(attempt("EUR", 1));
    add_up(&mut record);
    assert_eq!(record.cost, None);
}

#[test]
fn energy_that_is_no_number_is_none() {
    let joules = Joules {
        low: f64::NAN,
        ..Joules::default()
    };
    assert_eq!(energy(&joules), None);
    let own = own_work(Duration::from_millis(1), 10.0, "package power");
    assert_eq!(
        (own.cpu_nanoseconds, own.nanojoules),
        (1_000_000, 10_000_000)
    );
}

proptest! {
    #[test]
    fn parts_add_up_to_the_rounded_whole(
        used in prop::array::uniform5(0..1_000_000_u64),
        each in prop::array::uniform4(0..1_000_000_000_u64),
        digits in 0..9_i32,
    ) {
        let [prompt, cached, write, completion] = each.map(|it| it as f64 / 10_f64.powi(digits));
        let prices = prices(prompt, Some(cached), Some(write), completion);
        let used = clamped(tokens(used));
        let cost = cost(&used, &prices);
        prop_assert_eq!(cost.nanos, whole(&cost));
        let exact = i128::from(used.input - used.cached_input - used.cache_write) * prices.prompt.0
            + i128::from(used.cached_input) * prices.cached.unwrap().0
            + i128::from(used.cache_write) * prices.cache_write.unwrap().0
            + i128::from(used.output) * prices.completion.0;
        prop_assert!((i128::from(cost.nanos) * NANO - exact).abs() * 2 <= NANO);
    }
}
