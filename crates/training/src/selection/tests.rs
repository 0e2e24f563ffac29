//! Records whose best model is plain to see, and records in which there is nothing to see.

use super::*;

/// Eight words that no other request has: near-duplicates would stay together.
fn words(at: usize) -> String {
    (0..8)
        .map(|word| format!("word{} ", (at * 31 + word * 17) * 7_919 % 100_003))
        .collect()
}

/// Requests of two kinds; each model is good at one of them.
fn told_apart(count: usize) -> (Records, Vec<Vec<f64>>) {
    let outcome = |good: bool| Outcome {
        score: if good { 0.9 } else { 0.2 },
        cost: Some(if good { 2.0 } else { 1.0 }),
    };
    let row = |at: usize| Record {
        prompt: words(at),
        category: String::new(),
        outcomes: vec![
            outcome(at.is_multiple_of(2)),
            outcome(!at.is_multiple_of(2)),
            Outcome {
                score: 0.6,
                cost: Some(9.0),
            },
        ],
    };
    let feature = |at: usize| vec![(at % 2) as f64 * 4.0 + (at % 5) as f64 / 10.0, 1.0];
    let records = Records {
        models: ["a", "b", "c"].map(String::from).into(),
        rows: (0..count).map(row).collect(),
    };
    (records, (0..count).map(feature).collect())
}

fn settings(algorithm: Algorithm) -> Settings {
    Settings {
        algorithm,
        neighbours: 5,
        clusters: 2,
    }
}

#[test]
fn finds_what_is_there() {
    let (records, features) = told_apart(200);
    for algorithm in [Algorithm::Knn, Algorithm::KMeans] {
        let comparison = train(&records, &features, settings(algorithm))
            .unwrap()
            .comparison;
        assert!(
            (comparison.routed - 0.9).abs() < 1e-9 && (comparison.oracle - 0.9).abs() < 1e-9,
            "{comparison:?}"
        );
        assert_eq!(comparison.best_model, "c");
        assert!(
            (comparison.best_single - 0.6).abs() < 1e-9,
            "{comparison:?}"
        );
        assert!(
            comparison.gain.low > 0.25
                && comparison.render().contains("beats the best single model")
        );
        // At a cost of 2 no coin gets beyond .9/.2 in the mean.
        assert!(
            comparison.mixing_line.is_some_and(|line| line < 0.7),
            "{comparison:?}"
        );
    }
}

#[test]
fn says_that_it_finds_nothing() {
    let (mut records, features) = told_apart(200);
    for (at, row) in records.rows.iter_mut().enumerate() {
        let lucky = at * 7_919 % 3;
        row.outcomes
            .iter_mut()
            .enumerate()
            .for_each(|(model, outcome)| {
                *outcome = Outcome {
                    score: if model == lucky { 1.0 } else { 0.0 },
                    cost: None,
                };
            });
    }
    let trained = train(&records, &features, settings(Algorithm::KMeans)).unwrap();
    assert!(
        !trained.comparison.render().contains(" beats the"),
        "{}",
        trained.comparison.render()
    );
    assert_eq!(trained.comparison.mixing_line, None);
    assert!((trained.comparison.oracle - 1.0).abs() < 1e-12);
}

#[test]
fn artifacts_have_the_references_keys() {
    let (records, features) = told_apart(60);
    let read = |algorithm| -> serde_json::Value {
        serde_json::from_str(
            &train(&records, &features, settings(algorithm))
                .unwrap()
                .artifact,
        )
        .unwrap()
    };
    let knn = read(Algorithm::Knn);
    assert_eq!(
        (&knn["algorithm"], &knn["trained"], &knn["k"]),
        (&"knn".into(), &true.into(), &15.into())
    );
    assert_eq!(knn["embeddings"].as_array().map(Vec::len), Some(180));
    assert_eq!(knn["labels"][1], "b");
    let kmeans = read(Algorithm::KMeans);
    assert_eq!(kmeans["num_clusters"], 2);
    assert_eq!(kmeans["centroids"][0].as_array().map(Vec::len), Some(2));
}

#[test]
fn reads_both_shapes_and_leaves_out_what_is_not_complete() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    let mut lines = String::new();
    for at in 0..60 {
        let half = if at % 2 == 0 { r#", "rare": 1"# } else { "" };
        writeln!(
            lines,
            r#"{{"id": "{at}", "task": "law", "prompt": "p{at}", "s": {{"a": 1, "b": 0.5{half}}}}}"#
        )
        .unwrap();
    }
    writeln!(
        lines,
        r#"{{"prompt": "q", "models": {{"a": {{"score": 0.3, "cost": 2}}, "b": {{"score": 1, "tokens": 9}}}}}}"#
    )
    .unwrap();
    writeln!(
        lines,
        r#"{{"prompt": "r", "models": {{"a": {{"score": 0.3}}}}}}"#
    )
    .unwrap();
    std::fs::write(&file, &lines).unwrap();
    let mut records = read(&file).unwrap();
    assert_eq!(
        (records.models.as_slice(), records.rows.len()),
        (&["a".to_owned(), "b".to_owned()][..], 61)
    );
    assert_eq!(
        (
            records.rows[0].category.as_str(),
            records.rows[0].outcomes[1].score
        ),
        ("law", 0.5)
    );
    assert_eq!(
        records.rows[60].outcomes[0],
        Outcome {
            score: 0.3,
            cost: Some(2.0)
        }
    );
    records.thin(20);
    assert_eq!(records.rows.len(), 20);
    std::fs::write(&file, "{}\n").unwrap();
    assert!(matches!(read(&file), Err(RecordError::Data(_))));
    std::fs::write(&file, lines.lines().take(10).collect::<Vec<_>>().join("\n")).unwrap();
    assert!(matches!(
        read(&file),
        Err(RecordError::TooFew { found: 10 })
    ));
}
