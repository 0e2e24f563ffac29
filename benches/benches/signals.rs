//! What the heuristic signals cost: the mix of the project's budget, and the dearer methods apart.

use benches::mix;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dialects::Prompt;
use document::Findings;
use signals::catalog::ModelCatalog;
use signals::families::keyword::{KeywordRule, Method};
use signals::families::language::{LanguageDetector, LanguageRule};
use signals::families::{Deps, Identity, Signal, SignalInput, Signals, build};
use signals::projection::section::Projections;
use signals::report::{Keys, SignalReport};
use signals::scope::Scope;
use std::path::Path;
use std::sync::Arc;

/// Four of the mix's literal rules, read by another method.
fn keyword_family(mix: &Signals, method: &Method, fuzzy: bool) -> Signals {
    let rules = mix.keywords.iter().take(4).map(|rule| KeywordRule {
        method: method.clone(),
        fuzzy_match: fuzzy,
        ..rule.clone()
    });
    Signals {
        keywords: rules.collect(),
        ..Signals::default()
    }
}

fn prompt(size: usize) -> Prompt {
    let text = mix::text(size);
    let mut prompt = Prompt::default();
    prompt.texts.context.clone_from(&text);
    prompt.texts.current.clone_from(&text);
    prompt.texts.evaluation = text;
    prompt
}

fn evaluate(
    families: &[Box<dyn Signal>],
    keys: &Keys,
    prompt: &Prompt,
    identity: &Identity,
) -> SignalReport {
    let mut report = SignalReport::new(keys);
    let input = SignalInput::new(prompt, Some(identity));
    for family in families {
        assert!(
            family.evaluate(&input, &mut report).is_ok(),
            "the caller is known"
        );
    }
    report
}

fn signals(criterion: &mut Criterion) {
    let model =
        std::env::var_os("MERIT_ASSETS").map(|assets| Path::new(&assets).join("lid.176.ftz"));
    let detector =
        LanguageDetector::load(model.as_deref()).unwrap_or_else(|_| LanguageDetector::small());
    let deps = Deps {
        language: Arc::new(detector),
        ..Deps::default()
    };
    let identity = Identity {
        user: "alice".into(),
        groups: vec!["gold".into()],
    };
    let Ok((document, _)) = mix::document() else {
        return;
    };
    let mix = document.routing.signals;
    let language = Signals {
        language: vec![LanguageRule {
            name: "en".into(),
            ..LanguageRule::default()
        }],
        ..Signals::default()
    };
    let cases = [
        ("bm25", keyword_family(&mix, &Method::Bm25, false)),
        ("ngram", keyword_family(&mix, &Method::Ngram, false)),
        ("fuzzy", keyword_family(&mix, &Method::Literal, true)),
        ("language", language),
        (
            "keywords",
            Signals {
                keywords: mix.keywords.clone(),
                ..Signals::default()
            },
        ),
        (
            "structure",
            Signals {
                structure: mix.structure.clone(),
                ..Signals::default()
            },
        ),
        ("mix", mix),
    ];
    let mut group = criterion.benchmark_group("signals");
    for (name, signals) in cases {
        let mut keys = Keys::default();
        let scope = Scope {
            path: "routing",
            signals: &signals,
            projections: &Projections::default(),
            models: &ModelCatalog::default(),
        };
        let families = build(&scope, &mut keys, &deps, &mut Findings::default());
        for size in [100, 1 << 10, 16 << 10] {
            let prompt = prompt(size);
            let run = || evaluate(&families, &keys, &prompt, &identity);
            group.bench_function(BenchmarkId::new(name, size), |bencher| bencher.iter(run));
        }
    }
    group.finish();
}

criterion_group!(benches, signals);
criterion_main!(benches);
