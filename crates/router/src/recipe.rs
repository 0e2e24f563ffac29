//! One routing profile, built: its signals, projections, decisions and what each decision leads to.

mod composer;
mod lazy;
mod replay;
mod steps;

use crate::algorithms::{Algorithm, first_router_dc, method};
use crate::boundary::{Boundaries, Guarded, Verdict};
use crate::config::decisions::{Decision, Translation, boundary_trees, decision_trees};
use crate::config::{Document, Routing};
use crate::escalation::Looper;
use crate::models::{Model, Models};
use crate::plan::ReplayPolicy;
use crate::plugins::{self, Plugin, PluginConfig};
use conversation::learning::policy::{LearningRecipe, ModelProfiles, Policy};
use conversation::shared_state::SharedState;
use document::{Findings, Problem};
use selection::algorithms::Candidates;
use selection::algorithms::method::{Building, DecisionInput};
use selection::candidate::{Candidate, ModelRef};
use selection::card::ModelDescriptions;
use selection::forecast::Forecaster;
use selection::requirements::{OutputLimits, Requirements};
use signals::decision::{Decisions, Ranking, Strategy};
use signals::declared::Declared;
use signals::families::learned::{self, Learned};
use signals::families::{self, Bounding, Signal, SignalError, SignalInput, Watch};
use signals::projection::step::Step;
use signals::projection::{ProjectionTrace, Projections};
use signals::report::{Key, Keys, Kind, SignalReport};
use signals::rules::OnUnknown;
use signals::scope::Scope;
use signals::used::UsedSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// One routing profile. Isolated: nothing of another recipe is visible in it.
pub struct Recipe {
    /// Its name; `default` for the top-level `routing` block.
    pub name: Arc<str>,
    /// Every name its parts speak of.
    pub keys: Keys,
    /// What it declares, in the order of the document.
    pub declared: Declared,
    /// The decisions' rule trees.
    pub decisions: Decisions,
    /// Limits on all that it routes.
    pub boundaries: Boundaries,
    /// How much is kept of requests that no decision takes; `None` where their records are not.
    pub replay: Option<Arc<ReplayPolicy>>,
    /// Plans name the candidate that may be tried where the chosen one fails.
    pub falls_back: bool,
    /// What each decision leads to, by the index of the decision.
    pub routes: Vec<Route>,
    projections: Projections,
    signals: Vec<Box<dyn Signal>>,
    /// Cheapest first.
    learned: Vec<Box<dyn Learned>>,
    /// What happens between partitions and scores, in order.
    steps: Vec<Box<dyn Step>>,
    used: [bool; Kind::ALL.len()],
    /// Families that some boundary reaches.
    bounding: [bool; Kind::ALL.len()],
    /// Keys that boundaries rely on, by family.
    watched: [Vec<Watch>; Kind::ALL.len()],
    /// Names that boundaries test and no family writes: nothing is ever known of them.
    blind: Vec<Key>,
    /// Names of families that run by the name, which no decision reaches.
    idle: Vec<Key>,
    /// Nanoseconds that its signals take per byte of a request, at most.
    pace: f64,
}

/// What a decision leads to.
pub struct Route {
    /// The decision's name.
    pub name: Arc<str>,
    /// The decision's tier.
    pub tier: i64,
    /// `algorithm.type` as written; empty if there is none.
    pub algorithm: String,
    /// The model that writes the final answer of a multi-model algorithm; empty if not set.
    pub final_model: String,
    /// How learning acts; `None` if the document does not learn.
    pub learning: Option<Policy>,
    /// Plugin types as written, disabled ones included, under their canonical names.
    pub plugin_names: Vec<&'static str>,
    /// The candidates and the algorithm among them.
    pub candidates: Candidates,
    /// Says what a request will cost at each candidate.
    pub forecaster: Arc<Forecaster>,
    /// The model behind each candidate; `None` if it is not configured.
    pub backends: Vec<Option<Arc<Model>>>,
    /// What runs several of them, if the algorithm does.
    pub looper: Option<Looper>,
    /// The model that every matched request goes to, whichever it names.
    pub destination: Option<Arc<str>>,
    /// Requests that would lose something on another wire are refused.
    pub strict_translation: bool,
    /// What its candidates must be known to have.
    pub requirements: Requirements,
    /// Enabled plugins in their fixed order.
    pub plugins: Vec<Box<dyn Plugin>>,
    /// How much is kept of its requests; `None` where their records are not.
    pub replay: Option<Arc<ReplayPolicy>>,
    /// What the decision asks for and is not run, as `x-merit-degraded` says it.
    pub not_run: Vec<Arc<str>>,
}

/// Which signals are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent<'a> {
    /// Families that some decision or boundary can reach, models only until nothing more can change
    /// which decision wins, how sure it is, of what category, and which boundaries hold: a request
    /// on the wire. With `only`, among the decisions of that algorithm.
    Lazy {
        /// The algorithm that a name asked for.
        only: Option<&'a str>,
    },
    /// Families that some boundary can reach, models only until it is settled which boundaries
    /// hold: a request that no decision of the recipe is asked about.
    Bounding,
    /// Families that some decision or boundary can reach.
    Used,
    /// Every configured family: eval.
    All,
}

/// What a recipe found in a request.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The signals.
    pub report: SignalReport,
    /// The boundaries of the recipe that hold.
    pub verdict: Verdict,
    /// Decisions that a failure leaves open, each with what that means.
    pub unknown: Vec<(usize, OnUnknown)>,
}

/// A recipe as a document has it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its name; `default` for the top-level `routing` block.
    pub name: &'a str,
    /// Path of its block.
    pub path: &'a str,
    /// Its block.
    pub routing: &'a Routing,
    /// The whole document.
    pub document: &'a Document,
}

impl Recipe {
    /// Builds a recipe. What cannot be built is reported and left out: after an error the recipe
    /// must not serve.
    pub fn build(
        source: Source<'_>,
        models: &Models,
        state: &SharedState,
        deps: &families::Deps<'_>,
        findings: &mut Findings,
    ) -> Self {
        let Source {
            routing, document, ..
        } = source;
        let scope = routing.scope(source.path, document);
        let mut keys = Keys::default();
        let declared = Declared::of(&scope);

        let bounding = UsedSet::of(&scope, boundary_trees(&routing.boundaries));
        let trees = decision_trees(&routing.decisions).chain(boundary_trees(&routing.boundaries));
        let used = UsedSet::of(&scope, trees);
        let reads = |kind, name: &str| used.reads(kind, name);
        let deps = &families::Deps {
            used: &reads,
            ..deps.clone()
        };

        let signals = families::build(&scope, &mut keys, deps, findings);
        let mut learned = learned::build(&scope, &mut keys, deps, findings);
        learned.sort_by_key(|family| family.cost());
        let projections = Projections::build(&routing.projections, &mut keys, &declared);

        let strategy = Strategy::parse(&routing.strategy);
        let decisions = Decisions::build(
            routing.decisions.iter().map(Decision::spec),
            strategy,
            document.ranking,
            &mut keys,
            &declared,
        );
        let decisions = built(decisions, &scope, findings);
        // An old document knows no failures among the inputs of a score.
        let withholds = document.ranking == Ranking::V04 || decisions.keep_unknown();
        let projections = projections.withholding(withholds);
        let boundaries = Boundaries::build(&routing.boundaries, document, &mut keys, &declared);
        let boundaries = built(boundaries, &scope, findings);

        let watched = Kind::ALL.map(|kind| {
            let trees = boundary_trees(&routing.boundaries);
            families::watched(kind, &keys, &bounding, trees)
        });
        let learned: Vec<Box<dyn Learned>> = learned
            .into_iter()
            .map(|group| bound(group, &watched))
            .collect();

        let pace = signals.iter().map(|signal| {
            let is_read_again = !watched[signal.kind() as usize].is_empty();
            signal.pace() * if is_read_again { 2.0 } else { 1.0 }
        });
        let pace = pace.sum();

        let routes = Route::build_all(source, models, state, deps, findings);
        let steps = steps::build(routing, document, &mut keys);
        Self {
            name: source.name.into(),
            declared,
            decisions,
            replay: replay::usual(document, routing),
            falls_back: document.falls_back(routing),
            routes,
            projections,
            signals,
            steps,
            idle: idle(&keys, &used),
            blind: blind(&boundaries, &keys, &learned),
            learned,
            boundaries,
            keys,
            used: families(&used),
            bounding: families(&bounding),
            watched,
            pace,
        }
    }

    /// Nanoseconds that its signals take per byte of a request, at most. What models read is not
    /// among it.
    #[must_use]
    pub fn pace(&self) -> f64 {
        self.pace
    }

    /// Reads a request: signals, then projections. Models are asked within the boundaries that are
    /// known to hold already and until `deadline` at most.
    ///
    /// # Errors
    /// The first failure that the client must hear of.
    pub async fn read(
        &self,
        input: &SignalInput<'_>,
        extent: Extent<'_>,
        models: &Guarded<'_>,
        deadline: Instant,
    ) -> Result<Evaluation, SignalError> {
        let mut report = SignalReport::new(&self.keys);
        for signal in &self.signals {
            let kind = signal.kind();
            if self.reaches(kind, extent) {
                // What identities and counts say is told at any time, words only in time.
                if kind.family().reads_evaluation && input.is_late() {
                    self.leave_unread(kind, &mut report);
                    continue;
                }
                let started = Instant::now();
                signal.evaluate(input, &mut report)?;
                let watched = &self.watched[kind as usize];
                if !watched.is_empty() {
                    signal.doubt_unread(input, watched, &mut report)?;
                }
                let family = &mut report.families[kind as usize];
                family.elapsed = started.elapsed();
                family.ran = true;
            }
        }
        if extent != Extent::All {
            self.idle.iter().for_each(|&key| report.withdraw(key));
        }
        let (verdict, unknown) = self
            .learn(input, extent, models, deadline, &mut report)
            .await;
        self.finish(&mut report);
        Ok(Evaluation {
            report,
            verdict,
            unknown,
        })
    }

    /// Notes that nothing is known of a family's names, as nobody waits for them any more.
    fn leave_unread(&self, kind: Kind, report: &mut SignalReport) {
        let keys = self.keys.iter().filter(|key| self.keys.kind(*key) == kind);
        let keys: Vec<Key> = keys.collect();
        keys.iter()
            .for_each(|&key| report.fail(key, "not read in time"));
        report.doubt(&keys);
        report.degrade(kind, "timeout");
    }

    /// The family is evaluated at this extent.
    fn reaches(&self, kind: Kind, extent: Extent<'_>) -> bool {
        match extent {
            Extent::All => true,
            Extent::Lazy { .. } | Extent::Used => self.used[kind as usize],
            Extent::Bounding => self.bounding[kind as usize],
        }
    }

    /// What is done with the facts of all families: partitions and other steps, then scores and
    /// their bands.
    fn finish(&self, report: &mut SignalReport) {
        self.projections.partition(report);
        self.steps
            .iter()
            .for_each(|step| step.apply(&self.keys, report));
        self.projections.project(report);
    }

    /// Returns how the projections of a finished report came about.
    #[must_use]
    pub fn projected<'a>(&'a self, report: &SignalReport) -> ProjectionTrace<'a> {
        self.projections.trace(&self.keys, report, Vec::new())
    }

    /// Tells whether some decision takes requests away from the model that they name.
    #[must_use]
    pub fn diverts(&self) -> bool {
        self.routes.iter().any(|route| route.destination.is_some())
    }

    /// Some decision or boundary reaches the family.
    #[must_use]
    pub fn uses(&self, kind: Kind) -> bool {
        self.used[kind as usize]
    }
}

/// Lets a group read the words beside the user's turn too, if a boundary relies on it.
fn bound(group: Box<dyn Learned>, watched: &[Vec<Watch>]) -> Box<dyn Learned> {
    let kind = group.kind();
    match watched.get(kind as usize) {
        Some(own) if kind.family().reads_evaluation && !own.is_empty() => {
            Box::new(Bounding::new(group, own.clone()))
        }
        _ => group,
    }
}

impl Route {
    /// Learning may change the choice.
    #[must_use]
    pub fn learns(&self) -> bool {
        self.learning.as_ref().is_some_and(Policy::applies)
    }

    /// Builds what each decision leads to.
    fn build_all(
        source: Source<'_>,
        models: &Models,
        state: &SharedState,
        deps: &families::Deps<'_>,
        findings: &mut Findings,
    ) -> Vec<Self> {
        let Source {
            routing, document, ..
        } = source;
        let decisions = routing.decisions.iter();
        let algorithms = decisions.filter_map(|it| Some((&*it.name, it.algorithm.as_ref()?)));
        let mut building = Building {
            scope: routing.scope(source.path, document),
            models: document,
            process: document.global.router.model_selection.as_ref(),
            router_dc: first_router_dc(algorithms).map(|(_, block)| block),
            catalog: deps.catalog,
            findings,
            encoder: None,
            artifacts: HashMap::new(),
        };
        let learning = learning_recipe(routing, document);
        let mut routes = Vec::with_capacity(routing.decisions.len());
        for decision in &routing.decisions {
            let built = Self::build(decision, document, models, state, &mut building);
            let mut not_run = built.not_run.clone();
            if replay::is_lost(routing, decision, document) {
                not_run.push("plugin=router_replay_not_run".into());
            }
            routes.push(Self {
                requirements: requirements(routing, decision),
                replay: replay::of(routing, decision, document),
                learning: learning
                    .as_ref()
                    .map(|recipe| Policy::of(decision.learned(), recipe)),
                not_run,
                ..built
            });
        }
        routes
    }

    fn build(
        decision: &Decision,
        document: &Document,
        models: &Models,
        state: &SharedState,
        building: &mut Building<'_>,
    ) -> Self {
        let algorithm = decision.algorithm.clone().unwrap_or_default();
        let kind = algorithm.kind.trim().to_owned();
        let known = |model_ref: &ModelRef| Candidate::new(model_ref.clone(), document, &state.pool);
        let known: Vec<Candidate> = decision.model_refs.iter().map(known).collect();
        let forecaster = Arc::new(Forecaster::new(
            &decision.name,
            &known,
            document,
            &state.lengths,
        ));
        let input = DecisionInput {
            name: &decision.name,
            candidates: &known,
            forecaster: &forecaster,
            cost_weight: algorithm.cost_weight(),
        };
        let selector = algorithm.build(&input, building);
        let mut candidates = Candidates::new(&decision.name, known, method(&kind), selector);
        let plugins = plugins::build(&decision.plugins);
        let mut enabled = decision.plugins.iter().filter(|it| it.is_enabled());
        if enabled.any(PluginConfig::answers) {
            candidates = candidates.with_fast_response();
        }
        let backends = decision
            .model_refs
            .iter()
            .map(|candidate| backend(candidate, document, models))
            .collect();
        Self {
            name: decision.name.as_str().into(),
            tier: decision.tier,
            strict_translation: decision.translation == Translation::Strict,
            algorithm: kind,
            final_model: algorithm.final_model().to_owned(),
            learning: None,
            plugin_names: decision
                .plugins
                .iter()
                .map(|plugin| plugin.name())
                .collect(),
            looper: algorithm.looper(candidates.candidates()),
            destination: decision.destination().map(Arc::from),
            requirements: Requirements::default(),
            replay: None,
            not_run: not_run(decision, &algorithm),
            candidates,
            forecaster,
            backends,
            plugins,
        }
    }
}

/// Returns what a decision's candidates must be known to have.
fn requirements(routing: &Routing, decision: &Decision) -> Requirements {
    let own = &routing.candidate_requirements;
    let algorithm = decision.algorithm.as_ref();
    let minimum = algorithm.and_then(|algorithm| algorithm.minimum_candidates);
    let has_limits = own.context.trim() == "known_limits";
    Requirements {
        declared: own.capabilities.trim() == "declared",
        limits: has_limits.then(|| output_limits(decision)),
        minimum: minimum.map_or(0, |minimum| minimum as usize),
    }
}

/// Returns how long a decision lets answers be: as its first `request_params` says.
fn output_limits(decision: &Decision) -> OutputLimits {
    let mut plugins = decision.plugins.iter();
    let limits = plugins.find_map(|plugin| match plugin {
        PluginConfig::RequestParams(params) => Some(OutputLimits {
            default: params.default_limit(),
            cap: params.cap(),
        }),
        _ => None,
    });
    limits.unwrap_or_default()
}

/// Returns what a decision asks for and is not run, `part=reason`.
fn not_run(decision: &Decision, algorithm: &Algorithm) -> Vec<Arc<str>> {
    let plugins = decision.plugins.iter();
    let plugins = plugins.filter(|plugin| plugin.is_enabled() && plugin.not_run().is_some());
    let mut found: Vec<Arc<str>> = plugins
        .map(|plugin| format!("plugin={}_not_run", plugin.name()).into())
        .collect();
    found.sort_unstable();
    found.dedup();
    if decision.model_refs.len() > 1 && !algorithm.is_built() {
        found.push(format!("algorithm={}_not_run", algorithm.name()).into());
    }
    found
}

/// The model of a candidate; an adapter is served by its base model.
fn backend(candidate: &ModelRef, document: &Document, models: &Models) -> Option<Arc<Model>> {
    let name = candidate.model.trim();
    models
        .get(name)
        .or_else(|| models.get(&document.lora_base(name)?.name))
        .cloned()
}

/// Returns a recipe as far as learning reads it; `None` if the document does not learn.
fn learning_recipe<'a>(routing: &'a Routing, document: &'a Document) -> Option<LearningRecipe<'a>> {
    let learning = document.global.router.learning.as_ref();
    let learning = learning.filter(|learning| learning.enabled)?;
    let decisions = document
        .policies()
        .flat_map(|(_, _, routing)| &routing.decisions);
    let candidates = decisions.flat_map(|decision| &decision.model_refs);
    Some(LearningRecipe {
        learning,
        decisions: routing.decisions.iter().map(Decision::learned).collect(),
        default_model: &document.providers.defaults.default_model,
        models: document,
        profiles: Arc::new(ModelProfiles::of(document, candidates)),
    })
}

/// Rules of some families count only where a decision reaches their name; other families count as a
/// whole.
fn idle(keys: &Keys, used: &UsedSet) -> Vec<Key> {
    let by_name = |key: &Key| keys.kind(*key).family().is_used_by_name;
    keys.iter()
        .filter(by_name)
        .filter(|&key| !used.contains(keys.kind(key), keys.name(key)))
        .collect()
}

/// Heuristics write all that they declare. A module that is off, or a rule on what cannot be read,
/// leaves nobody to write.
fn blind(boundaries: &Boundaries, keys: &Keys, groups: &[Box<dyn Learned>]) -> Vec<Key> {
    let written = |key: Key| groups.iter().any(|group| group.keys().contains(&key));
    boundaries
        .tested()
        .filter(|&key| keys.kind(key).is_learned() && !written(key))
        .collect()
}

fn families(used: &UsedSet) -> [bool; Kind::ALL.len()] {
    Kind::ALL.map(|kind| used.has_family(kind))
}

/// Takes what was built, or reports why it could not be.
fn built<T: Default>(
    built: Result<T, Vec<Problem>>,
    scope: &Scope<'_>,
    findings: &mut Findings,
) -> T {
    built.unwrap_or_else(|problems| {
        for mut problem in problems {
            problem.path = scope.at(&problem.path);
            findings.push(problem);
        }
        T::default()
    })
}
