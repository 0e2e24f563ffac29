//! A generation's metrics, resolved when it is built: counting a request hashes no labels.

use crate::metrics::{Handles, Metrics, Names};
use inference::handle::Cost;
use router::generation::Generation;
use router::pipeline::RecipeReading;
use router::plan::Trace;
use signals::report::Kind;
use std::sync::Arc;

/// The stages of asking models, as metrics call them.
const STAGES: [(Cost, &str); 4] = [
    (Cost::Rules, "rules"),
    (Cost::Encoder, "encoder"),
    (Cost::Model, "model"),
    (Cost::Remote, "remote"),
];

/// The metrics of one generation.
pub(crate) struct Meters {
    models: Handles,
    /// By recipe name.
    recipes: Vec<(Arc<str>, Handles)>,
}

impl Meters {
    /// Resolves every model, decision and signal name.
    pub(super) fn new(generation: &Generation, metrics: &Metrics) -> Self {
        let models: Vec<&str> = generation
            .document
            .providers
            .models
            .iter()
            .map(|model| model.name.as_str())
            .collect();
        let recipes = generation.recipes.iter().map(|recipe| {
            let decisions: Vec<&str> = recipe
                .routes
                .iter()
                .map(|route| route.name.as_ref())
                .collect();
            let keys = recipe
                .keys
                .iter()
                .map(|key| (recipe.keys.kind(key).as_str(), recipe.keys.name(key)));
            let signals: Vec<(&'static str, &str)> = keys.collect();
            let boundaries: Vec<&str> = recipe.boundaries.names().map(AsRef::as_ref).collect();
            let (decisions, signals, boundaries) = (&decisions[..], &signals[..], &boundaries[..]);
            let names = Names {
                decisions,
                signals,
                boundaries,
                ..Names::default()
            };
            (recipe.name.clone(), metrics.handles(&names))
        });
        let recipes = recipes.collect();
        Self {
            models: metrics.handles(&Names {
                models: &models,
                ..Names::default()
            }),
            recipes,
        }
    }

    /// Counts what a recipe found.
    pub(crate) fn recipe_read(&self, metrics: &Metrics, reading: &RecipeReading<'_>) {
        let Some((_, handles)) = self
            .recipes
            .iter()
            .find(|(name, _)| *name == reading.recipe.name)
        else {
            return;
        };
        for (kind, metric) in Kind::ALL.into_iter().zip(&reading.report.families) {
            let family = handles.families.get(kind.as_str());
            if let (true, Some(family)) = (metric.ran, family) {
                family.latency.observe(metric.elapsed.as_secs_f64());
            }
        }
        // Keys and handles are in the same order, that of interning.
        for (key, signal) in reading.recipe.keys.iter().zip(&handles.signals) {
            let kind = reading.recipe.keys.kind(key);
            if reading.report.families[kind as usize].ran {
                signal.extractions.inc();
            }
            if reading.report.is_matched(key) {
                signal.matches.inc();
            }
        }
        for (cost, name) in STAGES {
            let stage = reading.report.stage(cost);
            if stage.asked > 0 {
                metrics.signals.stage(name, "run");
            } else if stage.is_avoided() {
                metrics.signals.stage(name, "avoided");
            }
        }
        for &(kind, reason) in reading.report.degraded() {
            metrics.signals.degrade(kind.as_str(), reason);
        }
        let Some(decision_time) = reading.decision_time else {
            return;
        };
        metrics.decisions.evaluations.inc();
        metrics
            .decisions
            .latency
            .observe(decision_time.as_secs_f64());
        let won = reading
            .decided
            .and_then(|decided| Some((decided, handles.decisions.get(decided.index)?)));
        if let Some((decided, decision)) = won {
            decision.matches.inc();
            if let Some(confidence) = decided.confidence {
                decision.confidence.observe(confidence);
            }
        }
        for (decision, policy) in reading.applied_unknown() {
            metrics.decisions.leave_open(decision, policy.as_str());
        }
    }

    /// Counts a request that goes on to a model.
    pub(crate) fn forwarded(&self, metrics: &Metrics, trace: &Trace) {
        let Some(model) = &trace.model else { return };
        if let Some(handles) = self.models.models.get(model) {
            handles.requests.inc();
        }
        metrics.selected(trace);
    }
}
