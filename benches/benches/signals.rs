//! What the heuristic signals cost: the mix of the project's budget, and the dearer methods apart.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dialects::Prompt;
use router::config::signals::{
    ContextRule, ConversationFeature, ConversationRule, ConversationSource, KeywordRule, LanguageRule,
    MetadataPredicate, MetadataRule, NumericPredicate, RoleBinding, Signals, StructureFeature, StructureRule,
    StructureSource, Subject,
};
use router::report::{Keys, SignalReport};
use router::signals::language::LanguageDetector;
use router::signals::{Deps, Identity, Signal, SignalInput, build};
use std::sync::Arc;

const WORDS: [&str; 60] = [
    "urgent",
    "deploy",
    "kubernetes",
    "refund",
    "invoice",
    "password",
    "contract",
    "lawsuit",
    "diagnosis",
    "symptom",
    "integral",
    "derivative",
    "theorem",
    "proof",
    "matrix",
    "compile",
    "segfault",
    "stack trace",
    "unit test",
    "refactor",
    "translate",
    "summarize",
    "rewrite",
    "poem",
    "story",
    "recipe",
    "itinerary",
    "flight",
    "hotel",
    "visa",
    "api key",
    "secret",
    "token",
    "credit card",
    "salary",
    "bonus",
    "budget",
    "forecast",
    "revenue",
    "margin",
    "virus",
    "malware",
    "exploit",
    "phishing",
    "firewall",
    "sensor",
    "telemetry",
    "turbine",
    "inverter",
    "battery",
    "数据库",
    "紧急",
    "合同",
    "C++",
    "node.js",
    ".net",
    "sql",
    "join",
    "index",
    "vacuum",
];

fn rule(name: String, method: &str, keywords: impl Iterator<Item = String>) -> KeywordRule {
    KeywordRule {
        name,
        operator: "OR".into(),
        method: method.into(),
        keywords: keywords.collect(),
        ..KeywordRule::default()
    }
}

fn words(from: usize) -> impl Iterator<Item = String> {
    WORDS.iter().cycle().skip(from * 7).take(10).map(|word| (*word).to_owned())
}

/// Twelve keyword rules of ten, two each of context, structure and conversation, one of metadata and of authz.
fn mix() -> Signals {
    let patterns = |at: usize| words(at).map(|word| format!(r"\b{}s?\b", word.replace(['+', '.'], "")));
    let mut keywords: Vec<_> = (0..10).map(|at| rule(format!("literal{at}"), "", words(at))).collect();
    keywords.extend((10..12).map(|at| rule(format!("regex{at}"), "regex", patterns(at))));
    Signals {
        keywords,
        context: vec![context("short", "0", "1K"), context("long", "1K", "1M")],
        structure: structure(),
        conversation: vec![conversation("tools", "tool_definition"), conversation("loop", "active_tool_loop")],
        metadata: vec![MetadataRule {
            name: "batch".into(),
            key: "workload".into(),
            predicate: MetadataPredicate { equals: Some("batch".into()), ..MetadataPredicate::default() },
            ..MetadataRule::default()
        }],
        role_bindings: vec![RoleBinding {
            name: "gold".into(),
            role: "gold".into(),
            subjects: vec![Subject { kind: "Group".into(), name: "gold".into() }],
            ..RoleBinding::default()
        }],
        ..Signals::default()
    }
}

fn structure() -> Vec<StructureRule> {
    let questions = StructureSource { kind: "regex".into(), pattern: "[?？]".into(), ..StructureSource::default() };
    let limits = StructureSource {
        kind: "keyword_set".into(),
        keywords: ["at most", "at least", "within", "under", "不超过"].map(String::from).to_vec(),
        ..StructureSource::default()
    };
    let rule = |name: &str, kind: &str, source, bound| StructureRule {
        name: name.into(),
        feature: StructureFeature { kind: kind.into(), source },
        predicate: Some(NumericPredicate { gt: Some(bound), ..NumericPredicate::default() }),
        ..StructureRule::default()
    };
    vec![rule("questions", "count", questions, 2.0), rule("dense", "density", limits, 0.05)]
}

fn conversation(name: &str, kind: &str) -> ConversationRule {
    let source = ConversationSource { kind: kind.into(), ..ConversationSource::default() };
    let feature = ConversationFeature { kind: "exists".into(), source };
    ConversationRule { name: name.into(), feature, ..ConversationRule::default() }
}

fn context(name: &str, min: &str, max: &str) -> ContextRule {
    ContextRule { name: name.into(), min_tokens: min.into(), max_tokens: max.into(), ..ContextRule::default() }
}

fn keyword_family(method: &str, fuzzy: bool) -> Signals {
    let rules = (0..4).map(|at| KeywordRule { fuzzy_match: fuzzy, ..rule(format!("r{at}"), method, words(at)) });
    Signals { keywords: rules.collect(), ..Signals::default() }
}

/// Ordinary prose with a little of everything, `size` bytes at least.
fn prompt(size: usize) -> Prompt {
    let text =
        "Please look at the quarterly revenue of our turbine fleet, and tell me why two of the inverters tripped; \
                compare at least three explanations within one page, with a short summary for the board. "
            .repeat(size / 100 + 1);
    let text: String = text.chars().take(size).collect();
    let mut prompt = Prompt::default();
    prompt.texts.context.clone_from(&text);
    prompt.texts.current.clone_from(&text);
    prompt.texts.evaluation = text;
    prompt
}

fn evaluate(families: &[Box<dyn Signal>], keys: &Keys, prompt: &Prompt, identity: &Identity) -> SignalReport {
    let mut report = SignalReport::new(keys);
    let input = SignalInput::new(prompt, Some(identity));
    for family in families {
        assert!(family.evaluate(&input, &mut report).is_ok(), "the caller is known");
    }
    report
}

fn signals(criterion: &mut Criterion) {
    let model = std::env::var_os("MERIT_ASSETS").map(|assets| std::path::Path::new(&assets).join("lid.176.ftz"));
    let detector = LanguageDetector::load(model.as_deref()).unwrap_or_else(|_| LanguageDetector::small());
    let deps = Deps { language: Arc::new(detector), ..Deps::default() };
    let identity = Identity { user: "alice".into(), groups: vec!["gold".into()] };
    let language =
        Signals { language: vec![LanguageRule { name: "en".into(), ..LanguageRule::default() }], ..Signals::default() };
    let cases = [
        ("mix", mix()),
        ("bm25", keyword_family("bm25", false)),
        ("ngram", keyword_family("ngram", false)),
        ("fuzzy", keyword_family("", true)),
        ("language", language),
    ];
    let mut group = criterion.benchmark_group("signals");
    for (name, signals) in cases {
        let mut keys = Keys::default();
        let Ok(families) = build(&signals, &mut keys, &deps) else {
            continue;
        };
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
