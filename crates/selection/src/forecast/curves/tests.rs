//! Curves at their known points, names that mean one model, and what is said where nothing is
//! known.

use super::*;

fn card(name: &str, parameters: Option<f64>) -> Card {
    Card {
        name: name.into(),
        parameters,
        ..Card::default()
    }
}

#[test]
fn every_row_of_the_table_is_read_and_possible_at_one_request() {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#')).count() - 1;
    assert_eq!(
        table()
            .iter()
            .map(|(_, curves)| curves.len())
            .sum::<usize>(),
        rows
    );
    for (name, curves) in table() {
        for curve in curves {
            assert!(
                curve.per_token(1.0).is_some_and(|joules| joules > 0.0),
                "{name}"
            );
            assert!(
                curve.error > 0.0 && curve.measured.0 < curve.measured.1,
                "{name}"
            );
        }
    }
}

/// The example of 500 tokens of an 8B model at 64 requests: 0.0149 Wh shared, 0.00125 Wh more.
#[test]
fn attributed_and_marginal_energy_of_a_known_pool() {
    let energy = Energy::of(&card("meta-llama/Llama-3.1-8B-Instruct", None), "").unwrap();
    let length = Length {
        expected: 500.0,
        low: 500.0,
        high: 500.0,
        samples: 9,
    };
    let figure = energy.joules(64.0, &length).unwrap();
    assert!(
        (figure.expected / 3_600.0 - 0.0149).abs() < 5e-5,
        "{figure:?}"
    );
    assert!(figure.low < figure.expected && figure.expected < figure.high);
    assert_eq!((figure.method, &*figure.date), ("fitted", "2026-02-16"));
    let marginal = energy.marginal_per_token(64.0).unwrap() * 500.0;
    assert!((marginal / 3_600.0 - 0.00125).abs() < 1e-5, "{marginal}");
}

#[test]
fn names_that_mean_a_measured_model() {
    #[track_caller]
    fn check(name: &str, id: &str, method: Option<&str>) {
        assert_eq!(
            Energy::of(&card(name, None), id).map(|energy| energy.method),
            method,
            "{name} {id}"
        );
    }
    check("Qwen/Qwen3-8B", "", Some("fitted"));
    check("qwen3-8b", "", Some("fitted"));
    check("small", "Qwen/Qwen3-8B", Some("fitted"));
    check("llama-3.1-8b", "", Some("fitted"));
    check("gemma-3-12b-it", "", Some("fitted"));
    check("qwen3-8b-awq", "", None);
    check("qwen3-80b", "", None);
    check("llama-3.1-405b-instruct-fp8", "", Some("fitted"));
    check("gpt-5", "", None);
    check("", "", None);
}

#[test]
fn the_cards_own_curve_comes_first_and_size_last() {
    let written = EnergyCurve {
        a: 10.0,
        c: 100.0,
        i: 1.0,
        j: 9.0,
        ..EnergyCurve::default()
    };
    let own = Card {
        energy: Some(written),
        ..card("Qwen/Qwen3-8B", Some(8_000.0))
    };
    let energy = Energy::of(&own, "").unwrap();
    assert_eq!(
        (energy.method, energy.expected_per_token(1.0)),
        ("measured", Some(1.0))
    );
    let energy = Energy::of(&card("mystery", Some(8_000.0)), "").unwrap();
    assert_eq!(energy.method, "regression");
    let joules = energy.expected_per_token(64.0).unwrap();
    assert!(
        (joules - (-0.844 + 0.602 * 8_f64.ln() - 0.525 * 64_f64.ln()).exp()).abs() < 1e-9,
        "{joules}"
    );
    assert_eq!(energy.marginal_per_token(64.0), None);
    // 70B in 16 bit do not fit into two accelerators of 80 GB.
    let large = by_size(70.0) / (-0.844 + 0.602 * 70_f64.ln()).exp();
    assert!((large - (0.381 * 4_f64.ln()).exp()).abs() < 1e-9, "{large}");
}

#[test]
fn a_curve_that_leaves_what_is_possible_says_nothing() {
    let energy = |c, j| {
        let written = EnergyCurve {
            a: -10.0,
            c,
            i: 0.0,
            j,
            ..EnergyCurve::default()
        };
        Energy::of(
            &Card {
                energy: Some(written),
                ..Card::default()
            },
            "",
        )
        .unwrap()
    };
    assert_eq!(energy(5.0, 1.0).expected_per_token(64.0), None);
    assert_eq!(energy(f64::NAN, 1.0).expected_per_token(1.0), None);
    assert_eq!(energy(f64::INFINITY, 1.0).expected_per_token(1.0), None);
    assert_eq!(energy(5.0, 0.0).expected_per_token(1.0), None);
}

#[test]
fn beyond_what_was_measured_the_interval_is_wider() {
    let energy = Energy::of(&card("Qwen3-8B", None), "").unwrap();
    let curve = energy.curves[0];
    let inside = curve.factor(8.0);
    assert!(inside > 1.0 && (curve.factor(2.0) - inside * inside).abs() < 1e-12);
}
