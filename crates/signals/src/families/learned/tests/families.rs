//! The worked examples of each family, and its failures.

use super::*;
use inference::ask::Failure;

/// Example texts `a`, `b`, `c` on axes of their own, and a turn `q` of these similarities to them.
fn axes(similarities: [f32; 3]) -> Fake {
    Fake::default()
        .vector("a", &[1.0, 0.0, 0.0])
        .vector("b", &[0.0, 1.0, 0.0])
        .vector("c", &[0.0, 0.0, 1.0])
        .vector("q", &similarities)
}

const ABC: &str = "embeddings: [{name: A, threshold: 0.7, candidates: [a]}, {name: B, threshold: 0.7, candidates: [b]}, {name: C, threshold: 0.6, candidates: [c]}]";

#[test]
fn embeddings_match_hard_or_else_softly() {
    let found = check(
        &signals(ABC),
        &axes([0.71, 0.69, 0.62]),
        &says("q"),
        &["embedding:A 0.7100", "embedding:C 0.6200"],
    );
    let values = ["A", "B", "C", "A:best", "B:support", "C:prototype_count"];
    let stored: Vec<_> = values
        .iter()
        .map(|name| found.value(Kind::Embedding, name))
        .collect();
    assert_eq!(stored, [0.71, 0.69, 0.62, 0.71, 0.69, 1.0].map(Some));
    check(
        &signals(ABC),
        &axes([0.55, 0.5, 0.55]),
        &says("q"),
        &[
            "embedding:A 0.5500",
            "embedding:C 0.5500",
            "embedding:B 0.5000",
        ],
    );
    check(&signals(ABC), &axes([0.49, 0.0, 0.0]), &says("q"), &[]);
    let strict = "embeddings: {semantic: {embedding_config: {enable_soft_matching: false}}}";
    check(&with(ABC, strict), &axes([0.55, 0.5, 0.5]), &says("q"), &[]);
    let loose = "embeddings: {semantic: {embedding_config: {min_score_threshold: 0.4}}}";
    check(
        &with(ABC, loose),
        &axes([0.45, 0.0, 0.39]),
        &says("q"),
        &["embedding:A 0.4500"],
    );
    check(&signals(ABC), &axes([1.0; 3]), &says("  "), &[]);
    // A single-precision threshold is the number nearest to what is written.
    check(
        &signals(ABC),
        &axes([0.7, 0.0, 0.0]),
        &says("q"),
        &["embedding:A 0.7000"],
    );
}

#[test]
fn embedding_scores_follow_the_aggregation() {
    let rule = |method: &str| {
        signals(&format!(
            "embeddings: [{{name: e, threshold: 0.1, aggregation_method: {method}, candidates: [a, b, c, a]}}]"
        ))
    };
    for method in ["max", "any", "''"] {
        check(
            &rule(method),
            &axes([0.6, 0.8, 0.1]),
            &says("q"),
            &["embedding:e 0.7750"],
        );
    }
    check(
        &rule("mean"),
        &axes([0.6, 0.8, 0.1]),
        &says("q"),
        &["embedding:e 0.5000"],
    );
    let image = signals(
        "embeddings: [{name: e, threshold: 0.1, query_modality: image, candidates: [a]}, {name: f}]",
    );
    let fake = axes([1.0; 3]);
    check(&image, &fake, &says("q"), &[]);
    assert!(fake.asked().is_empty());
}

#[test]
fn negative_examples_count_against() {
    let rule = |threshold: &str| {
        signals(&format!(
            "embeddings: [{{name: e, threshold: {threshold}, candidates: [a], negative_candidates: [b]}}]"
        ))
    };
    let fake = axes([0.82, 0.55, 0.0]);
    let found = check(&rule("0.3"), &fake, &says("q"), &[]);
    let value = found.value(Kind::Embedding, "e").unwrap();
    assert!((value - 0.27).abs() < 1e-6, "{value}");
    check(&rule("0.25"), &fake, &says("q"), &["embedding:e 0.2700"]);
    check(
        &rule("-1.5"),
        &axes([-0.4, 0.8, 0.0]),
        &says("q"),
        &["embedding:e -1.2000"],
    );
}

/// What a rule's own block leaves out is as the family has it.
#[test]
fn rules_have_their_own_scoring() {
    let family = "embeddings: {semantic: {embedding_config: {prototype_scoring: {best_weight: 1.0, top_m: 1}}}}";
    let rule = |own: &str| {
        with(
            &format!("embeddings: [{{name: e, threshold: 0.1, candidates: [a, b]{own}}}]"),
            family,
        )
    };
    let fake = axes([0.6, 0.8, 0.0]);
    check(&rule(""), &fake, &says("q"), &["embedding:e 0.8000"]);
    check(
        &rule(", prototype_scoring: {best_weight: 0.5, top_m: 2}"),
        &fake,
        &says("q"),
        &["embedding:e 0.7500"],
    );
    check(
        &rule(", prototype_scoring: {enabled: false}"),
        &fake,
        &says("q"),
        &["embedding:e 0.8000"],
    );
}

#[test]
fn complexity_has_bounds_of_its_own() {
    let rule = signals(
        "complexity: [{name: c, hard_above: 0.2, easy_below: -0.05, hard: {candidates: [a]}, easy: {candidates: [b]}}]",
    );
    for (hard, easy, expected) in [
        (0.45, 0.25, "complexity:c:medium 0.2000"),
        (0.46, 0.25, "complexity:c:hard 0.2100"),
        (0.20, 0.25, "complexity:c:medium 0.0500"),
        (0.25, 0.31, "complexity:c:easy 0.0600"),
    ] {
        check(&rule, &axes([hard, easy, 0.0]), &says("q"), &[expected]);
    }
}

#[test]
fn a_failed_vector_fails_every_rule() {
    let fake = axes([1.0; 3]).failing("encoder", Failure::Shed);
    check(
        &signals(ABC),
        &fake,
        &says("q"),
        &[
            "?embedding:A shed",
            "?embedding:B shed",
            "?embedding:C shed",
            "!embedding=shed",
        ],
    );
    check(
        &signals("complexity: [{name: c, hard: {candidates: [a]}}]"),
        &fake,
        &says("q"),
        &[
            "?complexity:c:hard shed",
            "?complexity:c:medium shed",
            "?complexity:c:easy shed",
            "!complexity=shed",
        ],
    );
    let truncated = axes([0.9, 0.0, 0.0]).truncated("q");
    check(
        &signals(ABC),
        &truncated,
        &says("q"),
        &["embedding:A 0.9000", "!embedding=truncated"],
    );
}

/// Fourteen probabilities: the first few, and the rest even.
fn topics(text: &str, first: &[f32]) -> Fake {
    let rest = (1.0 - first.iter().sum::<f32>()) / (14 - first.len()) as f32;
    let mut row = first.to_vec();
    row.resize(14, rest);
    Fake::default().labels("domain", text, &[&row])
}

#[test]
fn domains_follow_the_entropy() {
    let any = "domains: [{name: law}]";
    let module = |threshold: &str| {
        format!("modules: {{classifier: {{domain: {{threshold: {threshold}}}}}}}")
    };
    check(
        &signals(any),
        &topics("q", &[0.55, 0.25]),
        &says("q"),
        &["domain:biology 0.5500"],
    );
    check(
        &signals(any),
        &topics("q", &[0.80]),
        &says("q"),
        &["domain:biology 0.8000"],
    );
    check(&signals(any), &topics("q", &[0.49]), &says("q"), &[]);
    let two = topics("q", &[0.52, 0.30, 0.10]);
    check(
        &with(any, &module("0.3")),
        &two,
        &says("q"),
        &["domain:biology 0.5200", "domain:business 0.3000"],
    );
    // Sure: only the best counts, though others pass the threshold.
    check(
        &with(any, &module("0.01")),
        &topics("q", &[0.80]),
        &says("q"),
        &["domain:biology 0.8000"],
    );
    let both = "domains: [{name: living, mmlu_categories: [Biology, business]}]";
    check(
        &with(both, &module("0.3")),
        &two,
        &says("q"),
        &["domain:living 0.3000"],
    );
    check(
        &with(any, "modules: {classifier: {domain: {enabled: false}}}"),
        &two,
        &says("q"),
        &[],
    );
    let timeout = Fake::default().failing("domain", Failure::TimedOut);
    let found = read(&signals(any), &timeout, &says("q"));
    assert_eq!(found.report.degraded(), [(Kind::Domain, "timeout")]);
    assert_eq!(found.report.matches().count(), 0);
}

#[test]
fn complexity_is_the_margin_between_two_banks() {
    let rule = |threshold: f32| {
        signals(&format!(
            "complexity: [{{name: c, threshold: {threshold}, hard: {{candidates: [a]}}, easy: {{candidates: [b]}}}}]"
        ))
    };
    let found = check(
        &rule(0.15),
        &axes([0.46, 0.28, 0.0]),
        &says("q"),
        &["complexity:c:hard 0.1800"],
    );
    let value = |name: &str| found.value(Kind::Complexity, name);
    assert_eq!(
        (value("c:margin"), value("c:text_margin")),
        (Some(0.18), Some(0.18))
    );
    assert_eq!(
        (value("c:text_hard_score"), value("c:text_easy_score")),
        (Some(0.46), Some(0.28))
    );
    assert_eq!((value("c"), value("c:hard")), (None, None));
    check(
        &rule(0.15),
        &axes([0.28, 0.46, 0.0]),
        &says("q"),
        &["complexity:c:easy 0.1800"],
    );
    check(
        &rule(0.25),
        &axes([0.5, 0.25, 0.0]),
        &says("q"),
        &["complexity:c:medium 0.2500"],
    );
    check(
        &rule(0.25),
        &axes([0.25, 0.5, 0.0]),
        &says("q"),
        &["complexity:c:medium 0.2500"],
    );
    check(
        &rule(0.0),
        &axes([0.5, 0.5, 0.0]),
        &says("q"),
        &["complexity:c:medium 0.0000"],
    );
    let one_side = signals("complexity: [{name: c, threshold: 0.1, easy: {candidates: [b]}}]");
    check(
        &one_side,
        &axes([0.0, 0.3, 0.0]),
        &says("q"),
        &["complexity:c:easy 0.3000"],
    );
}

#[test]
fn fact_check_gives_one_of_two_labels() {
    let both = "fact_check: [{name: needs_fact_check}, {name: no_fact_check_needed}]";
    let fake = |probability: f32| {
        Fake::default().labels("fact_check", "q", &[&[1.0 - probability, probability]])
    };
    let threshold = |threshold: f32| {
        with(
            both,
            &format!(
                "modules: {{hallucination_mitigation: {{fact_check: {{threshold: {threshold}}}}}}}"
            ),
        )
    };
    check(
        &signals(both),
        &fake(0.6),
        &says("q"),
        &["fact_check:needs_fact_check"],
    );
    check(
        &signals(both),
        &fake(0.59),
        &says("q"),
        &["fact_check:no_fact_check_needed"],
    );
    check(
        &signals(both),
        &fake(0.9),
        &says(""),
        &["fact_check:no_fact_check_needed"],
    );
    check(
        &threshold(0.9),
        &fake(0.8),
        &says("q"),
        &["fact_check:no_fact_check_needed"],
    );
    check(
        &threshold(0.0),
        &fake(0.69),
        &says("q"),
        &["fact_check:no_fact_check_needed"],
    );
    check(
        &threshold(0.0),
        &fake(0.7),
        &says("q"),
        &["fact_check:needs_fact_check"],
    );
    check(
        &signals("fact_check: [{name: needs_fact_check}]"),
        &fake(0.1),
        &says("q"),
        &[],
    );
    check(
        &signals(both),
        &fake(0.9).failing("fact_check", Failure::Unready),
        &says("q"),
        &[
            "?fact_check:needs_fact_check unready",
            "?fact_check:no_fact_check_needed unready",
            "!fact_check=unready",
        ],
    );
}

#[test]
fn user_feedback_needs_an_answer_to_speak_of() {
    let rules = signals("user_feedbacks: [{name: satisfied}, {name: wrong_answer}]");
    let fake = |row: [f32; 4]| Fake::default().labels("user_feedback", "q", &[&row]);
    let mut prompt = says("q");
    check(&rules, &fake([0.0, 0.1, 0.9, 0.0]), &prompt, &[]);
    prompt.texts.assistant_replied = true;
    check(
        &rules,
        &fake([0.0, 0.1, 0.9, 0.0]),
        &prompt,
        &["user_feedback:wrong_answer"],
    );
    check(
        &rules,
        &fake([0.0, 0.31, 0.69, 0.0]),
        &prompt,
        &["user_feedback:satisfied"],
    );
    check(&rules, &fake([0.0, 0.9, 0.1, 0.0]), &prompt, &[]);
    let undeclared = signals("user_feedbacks: [{name: wrong_answer}]");
    check(&undeclared, &fake([0.0, 0.31, 0.69, 0.0]), &prompt, &[]);
}

#[test]
fn reask_counts_similar_turns_from_the_newest_back() {
    let rules = signals(
        "reasks: [{name: once}, {name: twice, threshold: 0.8, lookback_turns: 2}, {name: thrice, lookback_turns: 3}]",
    );
    let fake = |similarities: [f32; 3]| {
        let turn = |fake: Fake, (text, similarity): (&str, f32)| fake.vector(text, &[similarity]);
        ["one", "two", "three"]
            .into_iter()
            .zip(similarities)
            .fold(Fake::default().vector("q", &[1.0]), turn)
    };
    let conversation = |prior: &[&str]| {
        let mut prompt = says(" q ");
        prompt.texts.prior_user = prior.iter().rev().map(|text| (*text).to_owned()).collect();
        prompt
    };
    let whole = conversation(&["one", "  ", " two ", "three"]);
    let found = check(
        &rules,
        &fake([0.91, 0.84, 0.60]),
        &whole,
        &["reask:twice 0.8400"],
    );
    assert_eq!(
        (
            found.value(Kind::Reask, "twice"),
            found.value(Kind::Reask, "once")
        ),
        (Some(2.0), None)
    );
    check(
        &rules,
        &fake([0.91, 0.79, 0.99]),
        &whole,
        &["reask:once 0.9100"],
    );
    let found = check(
        &rules,
        &fake([0.8, 0.9, 0.95]),
        &whole,
        &["reask:thrice 0.8000"],
    );
    assert_eq!(found.value(Kind::Reask, "thrice"), Some(3.0));
    check(&rules, &fake([0.79, 0.9, 0.9]), &whole, &[]);
    check(
        &rules,
        &fake([0.9, 0.9, 0.9]),
        &conversation(&["one"]),
        &["reask:once 0.9000"],
    );
    let alone = fake([0.9, 0.9, 0.9]);
    check(&rules, &alone, &conversation(&[]), &[]);
    check(&rules, &alone, &conversation(&[" "]), &[]);
    assert!(alone.asked().is_empty());
    check(
        &signals("reasks: [{name: once}]"),
        &alone.failing("encoder", Failure::TimedOut),
        &conversation(&["one"]),
        &["?reask:once timeout", "!reask=timeout"],
    );
}

#[test]
fn only_the_best_preference_is_tested() {
    let rules = "preferences: [{name: x, description: a, threshold: 0.7}, {name: y, examples: [b]}, {name: z, examples: [c]}]";
    let found = check(
        &signals(rules),
        &axes([0.8, 0.5, 0.5]),
        &says("q"),
        &["preference:x 0.8000"],
    );
    let values = ["x", "y", "z:best", "x:margin", "y:prototype_count"]
        .map(|name| found.value(Kind::Preference, name));
    assert_eq!(values, [0.8, 0.5, 0.5, 0.3, 1.0].map(Some));
    // The best fails its threshold; the second, which has none, gets no turn.
    let found = check(&signals(rules), &axes([0.69, 0.6, 0.0]), &says("q"), &[]);
    assert_eq!(found.value(Kind::Preference, "y"), None);
    check(
        &signals(rules),
        &axes([0.1, 0.5, 0.5]),
        &says("q"),
        &["preference:y 0.5000"],
    );
    let margin =
        "modules: {classifier: {preference: {prototype_scoring: {margin_threshold: 0.2}}}}";
    check(
        &with(rules, margin),
        &axes([0.8, 0.65, 0.0]),
        &says("q"),
        &[],
    );
    check(
        &with(rules, margin),
        &axes([0.8, 0.55, 0.0]),
        &says("q"),
        &["preference:x 0.8000"],
    );
    check(
        &with("preferences: [{name: x, description: a}]", margin),
        &axes([0.9; 3]),
        &says("q"),
        &[],
    );
}

#[test]
fn preferences_can_be_asked_of_an_external_model() {
    let rules =
        "preferences: [{name: terse, description: Short.}, {name: deep, description: Long.}]";
    let catalog = "external: [{name: judge, model_role: preference}]\n    modules: {classifier: {preference: {use_contrastive: false}}}";
    let yaml = with(rules, catalog);
    let fake = |row: [f32; 2]| Fake::default().labels("judge", "q", &[&row]);
    check(
        &yaml,
        &fake([0.1, 0.8]),
        &says("q"),
        &["preference:deep 0.8000"],
    );
    check(&yaml, &fake([0.0, 0.0]), &says("q"), &[]);
    let document = document(&yaml);
    let (fake, mut keys) = (Fake::default(), Keys::default());
    let deps = Deps {
        catalog: &fake,
        used: &reads,
        ..Deps::default()
    };
    let families = built(&document, &mut keys, &deps);
    assert_eq!(families[0].cost(), Cost::Remote);
}

#[test]
fn modality_weighs_words_against_the_model() {
    let rules = "modality: [{name: ar}, {name: DIFFUSION}, {name: Both}]";
    let detector = |method: &str, more: &str| {
        with(
            rules,
            &format!(
                "modules: {{modality_detector: {{enabled: true, method: {method}, keywords: [Image], both_keywords: [explain]{more}}}}}"
            ),
        )
    };
    let fake = |row: [f32; 3]| {
        let texts = ["an IMAGE", "explain an image", "explain"];
        texts.into_iter().fold(Fake::default(), |fake, text| {
            fake.labels("modality", text, &[&row])
        })
    };
    let words = |text: &str, expected: &str| {
        let found = check(
            &detector("keyword", ""),
            &fake([0.0, 0.0, 1.0]),
            &says(text),
            &[expected],
        );
        (found.report.families[Kind::Modality as usize].confidence * 100.0).round()
    };
    assert_eq!(words("", "modality:ar"), 100.0);
    assert_eq!(words("explain", "modality:ar"), 80.0);
    assert_eq!(words("an IMAGE", "modality:DIFFUSION"), 80.0);
    assert_eq!(words("explain an image", "modality:Both"), 75.0);
    let hybrid = |row: [f32; 3], expected: &str, confidence: f64| {
        let found = check(
            &detector("hybrid", ""),
            &fake(row),
            &says("an IMAGE"),
            &[expected],
        );
        let metric = found.report.families[Kind::Modality as usize].confidence;
        assert!((metric - confidence).abs() < 1e-6, "{metric}");
    };
    hybrid([0.75, 0.25, 0.0], "modality:ar", 0.75);
    hybrid([0.2, 0.6, 0.2], "modality:DIFFUSION", 0.7);
    hybrid([0.5, 0.45, 0.05], "modality:ar", 0.5);
    hybrid([0.48, 0.47, 0.05], "modality:DIFFUSION", 0.8);
    check(
        &detector("classifier", ""),
        &fake([0.2, 0.3, 0.5]),
        &says("an IMAGE"),
        &["modality:Both"],
    );
    let failing = || fake([1.0, 0.0, 0.0]).failing("modality", Failure::Unready);
    check(
        &detector("hybrid", ""),
        &failing(),
        &says("an IMAGE"),
        &["modality:DIFFUSION", "!modality=unready"],
    );
    let found = read(&detector("classifier", ""), &failing(), &says("an IMAGE"));
    assert!(
        found.lines().contains(&"modality:ar".to_owned()) && found.report.errors().count() == 3
    );
    check(
        &signals(rules),
        &fake([0.0, 1.0, 0.0]),
        &says("an IMAGE"),
        &[],
    );
}

#[test]
fn classifiers_give_numbers_and_never_match() {
    let rules = signals(
        "classifiers: [{name: risk, type: local, model_path: m/risk, labels: [RISKY, SAFE]}]",
    );
    let fake = |row: [f32; 3]| {
        Fake::default()
            .own("m/risk", &["SAFE", "RISKY", "OTHER"])
            .labels("m/risk", "q", &[&row])
    };
    let found = check(&rules, &fake([0.25, 0.7, 0.05]), &says("q"), &[]);
    let value = |name: &str| found.value(Kind::Classifier, name);
    assert_eq!(
        (value("risk:RISKY"), value("risk:SAFE"), value("risk")),
        (Some(0.7), Some(0.25), None)
    );
    let failure = |fake: Fake, error: &str, reason: &str| {
        check(
            &rules,
            &fake,
            &says("q"),
            &[
                &format!("?classifier:risk {error}"),
                &format!("!classifier={reason}"),
            ],
        );
    };
    failure(
        fake([f32::NAN, 0.5, 0.5]),
        "classifier_invalid_score",
        "failed",
    );
    let failing = |failure| fake([1.0, 0.0, 0.0]).failing("m/risk", failure);
    failure(
        failing(Failure::TimedOut),
        "classifier_evaluation_timeout",
        "timeout",
    );
    failure(
        failing(Failure::Shed),
        "classifier_evaluation_cancelled",
        "shed",
    );
    failure(
        failing(Failure::Failed("x".into())),
        "classifier_evaluation_failed",
        "failed",
    );
    let short = Fake::default()
        .own("m/risk", &["SAFE", "RISKY"])
        .labels("m/risk", "q", &[&[1.0]]);
    failure(short, "classifier_evaluation_failed", "failed");
    let remote = with(
        "classifiers: [{name: risk, type: llm, model: judge, labels: [SAFE, RISKY], instructions: Judge.}]",
        "external: [{name: judge, model_role: classification}]",
    );
    let judged = Fake::default().labels("judge", "q", &[&[0.0, 1.0]]);
    assert_eq!(
        check(&remote, &judged, &says("q"), &[]).value(Kind::Classifier, "risk:RISKY"),
        Some(1.0)
    );
}
