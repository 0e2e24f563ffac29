//! A document, built: what a reload swaps. Immutable, shared by every exchange that began under it.

use crate::config::Document;
use crate::config::paths::KnownPaths;
use crate::config::pool::LooperLimits;
use crate::config::records::RecordStore;
use crate::models::{Env, Models};
use crate::names::Names;
use crate::plan::ReplayPolicy;
use crate::recipe::{Recipe, Source};
use crate::stages::targets::TargetSettings;
use crate::stages::{Eligibility, Learning, Sessions, Targets};
use conversation::credential::{SHORTEST_SECRET, Secret};
use conversation::session;
use conversation::shared_state::SharedState;
use dialects::{ReadOptions, Wrappers};
use document::{Findings, Problem, has_errors};
use inference::catalog::Catalog;
use serde_json::Value;
use signals::families::language::DetectLanguage;
use signals::families::learned::scan::ScanScope;
use signals::families::{self, Identity, TokenRatio};
use signals::report::Kind;
use std::sync::Arc;
use std::time::Duration;

/// Everything that routing a request needs.
pub struct Generation {
    /// The recipes; the default one first if the document has one.
    pub recipes: Vec<Recipe>,
    /// Model names.
    pub names: Names,
    /// Says which models may serve a request.
    pub eligibility: Arc<Eligibility>,
    /// Applies what outcomes have taught.
    pub learning: Learning,
    /// Keeps conversations with their models.
    pub sessions: Sessions,
    /// The models that requests go to, and the one way there.
    pub targets: Arc<Targets>,
    /// Settings of the process and the edge.
    pub settings: Settings,
    /// What signs turn states and the credentials of calls back.
    pub secret: Secret,
    /// Bytes per token, shared by all generations.
    pub token_ratio: Arc<TokenRatio>,
    /// State of pools, sessions and experience, shared by all generations.
    pub state: Arc<SharedState>,
    /// How much is kept of requests that no recipe has to do with; `None` where their records are
    /// not.
    pub replay: Option<Arc<ReplayPolicy>>,
    /// What was found while building, none of it an error.
    pub warnings: Vec<Problem>,
    /// The document as read.
    pub document: Document,
    /// The same as JSON, variables replaced, secrets in clear.
    pub value: Value,
}

/// Settings of the edge, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Model of a request that no decision matched.
    pub default_model: Option<Arc<str>>,
    /// Headers that carry the chosen model to Envoy's routes.
    pub routing_headers: Vec<Arc<str>>,
    /// Ask Envoy to match its routes again.
    pub clear_route_cache: bool,
    /// How much of responses is wanted.
    pub profile: Profile,
    /// Every signal that a decision can reach is evaluated, even what cannot change the outcome any
    /// more.
    pub full: bool,
    /// `x-vsr-skip-processing` is honoured.
    pub skip_processing: bool,
    /// Requests whose model has no credential at hand go on with the caller's.
    pub fail_open: bool,
    /// Header, or key of authentication metadata, that names the user.
    pub user_header: String,
    /// The same for groups, comma-separated.
    pub groups_header: String,
    /// Request headers that may state who calls.
    pub trusted_headers: Vec<String>,
    /// Users that may ask for debug headers; `*` is everybody.
    pub debug_principals: Vec<String>,
    /// The paths that are read, and the exceptions among the others.
    pub paths: KnownPaths,
    /// How requests are read.
    pub reading: ReadOptions,
    /// Answers name the model as the caller did.
    pub restore_model: bool,
    /// How multi-model runs call models.
    pub runs: Runs,
}

/// How multi-model runs call models.
#[derive(Debug, Clone)]
pub struct Runs {
    /// URL of chat completions, where the gateway takes calls back.
    pub endpoint: Arc<str>,
    /// Headers added to calls.
    pub headers: Vec<(String, String)>,
    /// Time limit of a call.
    pub call_timeout: Duration,
    /// Attempts after the first, for passing faults.
    pub retries: u32,
    /// Largest answer of a call, bytes.
    pub response_bytes: u64,
    /// What a run may spend.
    pub limits: LooperLimits,
}

/// How much of responses is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What the gateway shows anyway.
    Auto,
    /// Nothing: no stream is held while a model answers.
    Route,
    /// Headers, and bodies where they are shown.
    Observe,
}

impl Profile {
    fn parse(word: &str) -> Self {
        match word {
            "route" => Self::Route,
            "observe" => Self::Observe,
            _ => Self::Auto,
        }
    }
}

/// What a generation is built with, beside the document.
pub struct Deps<'a> {
    /// The process environment.
    pub env: Env<'a>,
    /// Language detection, shared by all generations.
    pub language: Arc<dyn DetectLanguage>,
    /// Bytes per token, shared by all generations.
    pub token_ratio: Arc<TokenRatio>,
    /// Models of learned signals, shared by all generations.
    pub catalog: &'a dyn Catalog,
    /// State of pools, sessions and experience, shared by all generations.
    pub state: Arc<SharedState>,
}

impl Generation {
    /// Builds a document. Nothing that serves changes: the settings of the shared state are taken
    /// over by [`SharedState::follow`], once the generation serves.
    ///
    /// # Errors
    /// All problems at once.
    pub fn build(document: Document, value: Value, deps: &Deps<'_>) -> Result<Self, Vec<Problem>> {
        let mut findings = Findings::default();
        let models = Models::build(&document.providers, deps.env, &mut findings);
        let settings = Settings::build(&document, &mut findings);
        let signal_deps = families::Deps {
            identity_header: settings
                .as_ref()
                .map_or_else(String::new, |settings| settings.user_header.clone()),
            fail_open: document.global.services.authz.fail_open,
            token_ratio: deps.token_ratio.clone(),
            language: deps.language.clone(),
            catalog: deps.catalog,
            used: &|_, _| true,
        };

        let mut recipes = Vec::new();
        for (name, path, routing) in document.policies() {
            let source = Source {
                name,
                path: &path,
                routing,
                document: &document,
            };
            recipes.push(Recipe::build(
                source,
                &models,
                &deps.state,
                &signal_deps,
                &mut findings,
            ));
        }

        let secret = secret(&document, deps, &mut findings);
        let sessions = session::Policy::build(&document.global.router.sessions, secret.clone());
        let sessions = sessions.map_err(|found| findings.extend(found)).ok();
        let warnings = findings.into_problems();
        let (Some(settings), Some(sessions), false) = (settings, sessions, has_errors(&warnings))
        else {
            return Err(warnings);
        };
        let recipe_names: Vec<Arc<str>> =
            recipes.iter().map(|recipe| recipe.name.clone()).collect();
        let names = Names::build(&document, &recipe_names);

        // The stages of the pipeline, each with what it needs of the others.
        let state = Arc::clone(&deps.state);
        let eligibility = Arc::new(Eligibility::of(&document));
        let targets = Arc::new(Targets::new(models, &document, settings.targets()));
        Ok(Self {
            recipes,
            names,
            learning: Learning::new(state.clone(), eligibility.clone(), targets.clone()),
            sessions: Sessions::new(
                Arc::new(sessions),
                state.clone(),
                eligibility.clone(),
                targets.clone(),
            ),
            eligibility,
            targets,
            settings,
            secret,
            token_ratio: Arc::clone(&deps.token_ratio),
            state,
            replay: ReplayPolicy::of(document.records(&document.routing), None)
                .filter(|_| !matches!(document.record_store(), RecordStore::NotRun(_))),
            warnings,
            document,
            value,
        })
    }

    /// Nanoseconds that reading a request takes per byte of it, at most, without what models read.
    #[must_use]
    pub fn pace(&self) -> f64 {
        // A recipe is read within the boundaries of the first one.
        let outer = self.recipes.first().map_or(0.0, Recipe::pace);
        let own = self.recipes.iter().skip(1).map(Recipe::pace);
        outer + own.fold(0.0, f64::max)
    }

    /// Tells whether records of some requests are kept.
    #[must_use]
    pub fn records(&self) -> bool {
        let of_recipe = |recipe: &Recipe| {
            let mut routes = recipe.routes.iter();
            recipe.replay.is_some() || routes.any(|route| route.replay.is_some())
        };
        self.replay.is_some() || self.recipes.iter().any(of_recipe)
    }

    /// Tells whether text that is not read must not pass: some policy has a boundary, or a rule
    /// that looks for attacks or personal data.
    #[must_use]
    pub fn guards_text(&self) -> bool {
        self.recipes.iter().any(|recipe| {
            !recipe.boundaries.is_empty() || recipe.uses(Kind::Jailbreak) || recipe.uses(Kind::Pii)
        })
    }
}

/// The configured secret, or one of this process alone.
fn secret(document: &Document, deps: &Deps<'_>, findings: &mut Findings) -> Secret {
    let name = &document.global.server.secret_env;
    let Some(configured) = (deps.env)(name).filter(|secret| !secret.is_empty()) else {
        return deps.state.secret();
    };
    if configured.len() < SHORTEST_SECRET {
        let message = format!(
            "the secret in {name} is shorter than {SHORTEST_SECRET} bytes, so it may be guessed"
        );
        findings.warn("global.server.secret_env", message);
    }
    Secret::new(configured.into_bytes())
}

impl Settings {
    fn build(document: &Document, findings: &mut Findings) -> Option<Self> {
        let server = &document.global.server;
        let identity = &document.global.services.authz.identity;
        let named = |configured: &str, usual: &str| {
            if configured.is_empty() {
                usual.to_owned()
            } else {
                configured.to_ascii_lowercase()
            }
        };
        let wrappers = Wrappers::new(&server.wrapper_patterns).map_err(|error| {
            findings.error("global.server.wrapper_patterns", error.to_string());
        });
        let paths = KnownPaths::build(&server.path_prefixes, &server.passthrough, findings);
        let router = &document.global.router;
        Some(Self {
            default_model: Some(document.providers.defaults.default_model.trim())
                .filter(|name| !name.is_empty())
                .map(Arc::from),
            routing_headers: server
                .routing_headers
                .iter()
                .map(|name| name.to_ascii_lowercase().into())
                .collect(),
            clear_route_cache: router.clear_route_cache,
            profile: Profile::parse(&server.profile),
            full: router.evaluation.mode == "full",
            // `check` refuses the two together; a caller's header must not be a way around a
            // boundary.
            skip_processing: router
                .skip_processing
                .as_ref()
                .is_some_and(|skip| skip.enabled)
                && document
                    .policies()
                    .all(|(_, _, routing)| routing.boundaries.is_empty()),
            fail_open: document.global.services.authz.fail_open,
            user_header: named(&identity.user_id_header, "x-authz-user-id"),
            groups_header: named(&identity.user_groups_header, "x-authz-user-groups"),
            trusted_headers: server
                .trusted_identity_headers
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            debug_principals: server.debug_principals.clone(),
            paths: paths?,
            reading: reading(document, wrappers.ok()?),
            restore_model: server.response.restore_model,
            runs: Runs::of(document),
        })
    }

    fn targets(&self) -> TargetSettings {
        TargetSettings {
            default_model: self.default_model.clone(),
            routing_headers: self.routing_headers.clone(),
            restore_model: self.restore_model,
            fail_open: self.fail_open,
        }
    }

    /// The user may ask for debug headers.
    #[must_use]
    pub fn may_debug(&self, identity: &Identity) -> bool {
        let user = identity.user.as_str();
        self.debug_principals
            .iter()
            .any(|principal| principal == "*" || (!user.is_empty() && principal == user))
    }
}

/// Returns how requests are read: strictly where a boundary might be evaded, and with the texts
/// that only some rules ask for.
fn reading(document: &Document, wrappers: Wrappers) -> ReadOptions {
    let policies = || document.policies().map(|(_, _, routing)| routing);
    let scans = |scope: ScanScope| {
        policies().any(|routing| {
            let pii = routing.signals.pii.iter().map(|rule| &rule.scan);
            let jailbreak = routing.signals.jailbreak.iter().map(|rule| &rule.scan);
            pii.chain(jailbreak).any(|scan| scan.contains(&scope))
        })
    };
    ReadOptions {
        wrappers,
        strict: policies().any(|routing| !routing.boundaries.is_empty()),
        definitions: scans(ScanScope::Definitions),
        metadata: scans(ScanScope::Metadata),
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self::of(&Document::default())
    }
}

impl Runs {
    /// Reads how the document has runs call models.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let written = document
            .global
            .integrations
            .looper
            .clone()
            .unwrap_or_default();
        let or = |number: u32, usual: u32| if number == 0 { usual } else { number };
        let endpoint = written.endpoint.trim();
        Self {
            endpoint: if endpoint.is_empty() {
                LOOPER_ENDPOINT
            } else {
                endpoint
            }
            .into(),
            headers: written.headers.into_iter().collect(),
            call_timeout: Duration::from_secs(or(written.timeout_seconds, 1_200).into()),
            retries: written.retry_count,
            response_bytes: u64::from(or(written.max_response_bytes_mb, 32)) << 20,
            limits: document.global.server.looper.clone(),
        }
    }
}

/// Where the gateway takes calls back unless the document says otherwise.
const LOOPER_ENDPOINT: &str = "http://localhost:8899/v1/chat/completions";
