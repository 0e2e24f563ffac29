//! What happens between partitions and scores: composers, then the cut of embeddings to `top_k`.

use super::composer;
use crate::config::{Document, Routing};
use signals::projection::step::{Cut, Step};
use signals::report::{Keys, Kind};

/// Embedding matches kept where the document says nothing.
const TOP_K: i64 = 1;

/// The steps of a recipe, in order: each sees what the former left. Embedding families have
/// interned their names before.
pub(super) fn build(routing: &Routing, document: &Document, keys: &mut Keys) -> Vec<Box<dyn Step>> {
    let composers = composer::build(&routing.signals.complexity, keys);
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    steps.extend(
        composers
            .into_iter()
            .map(|composer| Box::new(composer) as Box<dyn Step>),
    );
    steps.push(Box::new(Cut::new(Kind::Embedding, top_k(document), keys)));
    steps
}

/// `embedding_config.top_k`.
fn top_k(document: &Document) -> i64 {
    let semantic = document.global.model_catalog.embeddings.semantic.as_ref();
    semantic
        .and_then(|semantic| semantic.embedding_config.as_ref()?.top_k)
        .unwrap_or(TOP_K)
}

#[cfg(test)]
mod tests {
    use crate::boundary::Guarded;
    use crate::config::{self};
    use crate::models::Models;
    use crate::recipe::{Extent, Recipe, Source};
    use conversation::shared_state::SharedState;
    use dialects::Prompt;
    use document::Findings;
    use futures_util::FutureExt;
    use inference::fake::Fake;
    use signals::families::{Deps, SignalInput};
    use std::time::Instant;

    const POLICY: &str = "routing:
  signals:
    embeddings:
      - {name: A, threshold: 0.7, candidates: [a]}
      - {name: B, threshold: 0.7, candidates: [b]}
      - {name: C, threshold: 0.6, candidates: [c]}
    complexity:
      - name: hard
        threshold: 0.15
        hard: {candidates: [a]}
        composer: {type: embedding, name: COMPOSED}
  projections: PROJECTIONS
global: {model_catalog: {embeddings: {semantic: {embedding_config: {top_k: TOP_K}}}}}
";
    const SCORES: &str = "{scores: [{name: s, method: weighted_sum, inputs: [{type: embedding, name: C, weight: 1, value_source: confidence}, {type: embedding, name: B, weight: 1, value_source: raw}]}], mappings: [{name: m, source: s, method: threshold_bands, outputs: [{name: low, lt: 1}, {name: high, gte: 1}]}]}";

    /// What is left of A .71, B .69 and C .62 at the end.
    #[track_caller]
    fn check(top_k: &str, composed: &str, projections: &str, expected: &[&str]) {
        let policy = POLICY
            .replace("TOP_K", top_k)
            .replace("COMPOSED", composed)
            .replace("PROJECTIONS", projections);
        let loaded = config::load(&policy, &|_| None);
        assert_eq!(loaded.problems, []);
        let document = loaded.document.unwrap();
        let fake = Fake::default()
            .vector("a", &[1.0, 0.0, 0.0])
            .vector("b", &[0.0, 1.0, 0.0])
            .vector("c", &[0.0, 0.0, 1.0])
            .vector("q", &[0.71, 0.69, 0.62]);
        let deps = Deps {
            catalog: &fake,
            ..Deps::default()
        };
        let source = Source {
            name: "r",
            path: "routing",
            routing: &document.routing,
            document: &document,
        };
        let mut findings = Findings::default();
        let recipe = Recipe::build(
            source,
            &Models::default(),
            &SharedState::default(),
            &deps,
            &mut findings,
        );
        assert!(!findings.has_errors(), "{findings:?}");
        let mut prompt = Prompt::default();
        prompt.texts.evaluation = "q".into();
        let input = SignalInput::new(&prompt, None);
        let report = recipe
            .read(&input, Extent::All, &Guarded::free(&fake), Instant::now())
            .now_or_never()
            .unwrap()
            .unwrap()
            .report;
        let names = |key| {
            format!(
                "{}:{}",
                recipe.keys.kind(key).as_str(),
                recipe.keys.name(key)
            )
        };
        assert_eq!(report.matches().map(names).collect::<Vec<_>>(), expected);
        assert!(
            report
                .value(
                    recipe
                        .keys
                        .get(signals::report::Kind::Embedding, "B")
                        .unwrap()
                )
                .is_some()
        );
    }

    #[test]
    fn composers_see_what_top_k_cuts_and_projections_do_not() {
        check("1", "C", "{}", &["complexity:hard:hard", "embedding:A"]);
        check("-3", "C", "{}", &["complexity:hard:hard", "embedding:A"]);
        check("0", "B", "{}", &["embedding:A", "embedding:C"]);
        check(
            "1",
            "C",
            SCORES,
            &["complexity:hard:hard", "embedding:A", "projection:low"],
        );
        check(
            "2",
            "C",
            SCORES,
            &[
                "embedding:A",
                "embedding:C",
                "complexity:hard:hard",
                "projection:high",
            ],
        );
    }

    /// Partitions come first: their loser is seen by no composer.
    #[test]
    fn partitions_come_before_composers() {
        let partition =
            "{partitions: [{name: p, semantics: exclusive, members: [A, C], default: A}]}";
        check("0", "C", partition, &["embedding:A"]);
        check(
            "0",
            "A",
            partition,
            &["embedding:A", "complexity:hard:hard"],
        );
    }
}
