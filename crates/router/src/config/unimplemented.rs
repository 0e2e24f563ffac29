//! What a document asks for that Merit knows and does not run. Such a document is served, unless
//! requests would be less safe without it.

use super::Document;
use super::decisions::Decision;
use super::records::RecordStore;
use crate::algorithms::Algorithm;
use crate::plugins::{NotRun, PluginConfig};
use document::{Problem, Severity};

/// A feature that is known and not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unimplemented {
    /// Where it is asked for.
    pub path: String,
    /// What it is.
    pub feature: String,
    /// What its absence means; `None` if no request can meet it.
    pub consequence: Option<NotRun>,
    /// What `x-merit-degraded` says of requests that meet it.
    pub shown: Option<String>,
}

impl From<Unimplemented> for Problem {
    fn from(missing: Unimplemented) -> Self {
        let feature = missing.feature;
        let (severity, message) = match missing.consequence {
            Some(NotRun::Refused { lack, remedy }) => (
                Severity::Error,
                format!(
                    "{feature} is not run, and {lack}, so this document is not served: {remedy}"
                ),
            ),
            Some(NotRun::Served(how)) => {
                let shown = missing
                    .shown
                    .map(|it| format!(" (`x-merit-degraded: {it}`)"));
                let shown = shown.unwrap_or_default();
                (
                    Severity::Warning,
                    format!("{feature} is not run: {how}{shown}"),
                )
            }
            None => (
                Severity::Note,
                format!("{feature} is not run, and no request can reach it"),
            ),
        };
        Self::new(severity, missing.path, message)
    }
}

/// Lists what is known and not run, in the order of the document's sections.
#[must_use]
pub fn unimplemented(document: &Document) -> Vec<Unimplemented> {
    let mut list = List::default();
    for (name, path, routing) in document.policies() {
        let live = document.is_live(name);
        for (index, decision) in routing.decisions.iter().enumerate() {
            list.decision(decision, &format!("{path}.decisions[{index}]"), live);
        }
    }
    list.listeners(document);
    list.router(document);
    list.services(document);
    list.stores(document);
    list.found
}

#[derive(Default)]
struct List {
    found: Vec<Unimplemented>,
}

impl List {
    fn add(
        &mut self,
        path: impl Into<String>,
        feature: impl Into<String>,
        is_reachable: bool,
        consequence: NotRun,
    ) {
        self.add_shown(path, feature, is_reachable, consequence, None);
    }

    /// Adds a feature whose absence shows on requests, in `x-merit-degraded`.
    fn add_shown(
        &mut self,
        path: impl Into<String>,
        feature: impl Into<String>,
        is_reachable: bool,
        consequence: NotRun,
        shown: Option<String>,
    ) {
        self.found.push(Unimplemented {
            path: path.into(),
            feature: feature.into(),
            consequence: is_reachable.then_some(consequence),
            shown,
        });
    }

    fn decision(&mut self, decision: &Decision, path: &str, live: bool) {
        if let Some(algorithm) = &decision.algorithm
            && !algorithm.is_built()
        {
            // A single candidate is taken without asking the algorithm.
            let asked = decision.model_refs.len() > 1;
            self.add_shown(
                format!("{path}.algorithm"),
                format!("the algorithm `{}`", algorithm.name()),
                live && asked,
                NotRun::Served("the first capable candidate serves the request"),
                Some(format!("algorithm={}_not_run", algorithm.name())),
            );
        }
        for (index, plugin) in decision.plugins.iter().enumerate() {
            if let Some(consequence) = plugin.not_run() {
                self.add_shown(
                    format!("{path}.plugins[{index}]"),
                    format!("the plugin `{}`", plugin.name()),
                    live && plugin.is_enabled(),
                    consequence,
                    Some(format!("plugin={}_not_run", plugin.name())),
                );
            }
        }
        if decision.output_contract_spec.is_some() {
            let looper = decision
                .algorithm
                .as_ref()
                .is_some_and(Algorithm::is_looper);
            self.add(
                format!("{path}.output_contract_spec"),
                "the output contract",
                live && looper,
                NotRun::Served("answers are given as the model writes them"),
            );
        }
        if !decision.emits.is_empty() {
            self.add(
                format!("{path}.emits"),
                "retention of cache entries",
                live,
                NotRun::Served("there is no cache of answers"),
            );
        }
    }

    fn listeners(&mut self, document: &Document) {
        for (index, listener) in document.listeners.iter().enumerate() {
            if !listener.api_keys.is_empty() {
                self.add(
                    format!("listeners[{index}].api_keys"),
                    "the check of clients' keys",
                    true,
                    NotRun::Refused {
                        lack: "every client would be served",
                        remedy: "let the gateway check them (Envoy's `api_key_auth` filter) and leave this out",
                    },
                );
            }
        }
    }

    fn router(&mut self, document: &Document) {
        let router = &document.global.router;
        if router.config_source == "kubernetes" {
            self.add(
                "global.router.config_source",
                "reading policies from Kubernetes resources",
                true,
                NotRun::Served("the policy is this document"),
            );
        }
        let modules = &document.global.model_catalog.modules;
        if modules
            .prompt_compression
            .as_ref()
            .is_some_and(|module| module.enabled)
        {
            self.add(
                "global.model_catalog.modules.prompt_compression",
                "shortening prompts before signals",
                is_live(document),
                NotRun::Served("signals read prompts at their full length"),
            );
        }
        if document
            .global
            .energy
            .as_ref()
            .is_some_and(|energy| energy.enabled)
        {
            self.add(
                "global.energy",
                "the energy ledger",
                is_live(document),
                NotRun::Served("forecasts are made, and nothing is booked"),
            );
        }
    }

    fn services(&mut self, document: &Document) {
        let services = &document.global.services;
        let live = is_live(document);
        if services
            .response_api
            .as_ref()
            .is_some_and(|api| api.enabled.unwrap_or(true))
        {
            self.add(
                "global.services.response_api",
                "keeping responses for `previous_response_id`",
                live,
                NotRun::Served("the model's server keeps them"),
            );
        }
        let metrics = services
            .observability
            .as_ref()
            .and_then(|observability| observability.metrics.as_ref());
        if metrics
            .and_then(|metrics| metrics.windowed_metrics.as_ref())
            .is_some_and(|windows| windows.enabled)
        {
            self.add(
                "global.services.observability.metrics.windowed_metrics",
                "metrics over time windows",
                live,
                NotRun::Served("Prometheus computes them of the counters"),
            );
        }
        if !services.authz.providers.is_empty() {
            self.add(
                "global.services.authz.providers",
                "the lookup of callers' credentials",
                live,
                NotRun::Refused {
                    lack: "every caller would be served with the document's own",
                    remedy: "let the gateway set callers' credentials (Envoy's `credential_injector` or `ext_authz` filter), and leave this out",
                },
            );
        }
        if services
            .ratelimit
            .as_ref()
            .is_some_and(|limit| !limit.providers.is_empty())
        {
            self.add(
                "global.services.ratelimit",
                "rate limiting",
                live,
                NotRun::Refused {
                    lack: "nothing would limit the callers",
                    remedy: "let the gateway limit them (Envoy's `ratelimit` or `local_ratelimit` filter), and leave this out",
                },
            );
        }
        if services.management_api.is_some() {
            self.add(
                "global.services.management_api",
                "a management API with its own address and roles",
                true,
                NotRun::Served("`--admin` sets the address; it asks for no token, so keep it on the loopback interface"),
            );
        }
        if services.startup_status.is_some() {
            self.add(
                "global.services.startup_status",
                "keeping start-up progress",
                true,
                NotRun::Served("the readiness probe tells when the start is over"),
            );
        }
        if let RecordStore::NotRun(store) = document.record_store() {
            let is_on = services
                .router_replay
                .as_ref()
                .is_some_and(|replay| replay.enabled);
            self.add_shown(
                "global.services.router_replay.store_backend",
                format!("the store of records `{store}`"),
                live && (is_on || uses_plugin(document, "router_replay")),
                NotRun::Served("no record of a request is kept"),
                Some("plugin=router_replay_not_run".to_owned()),
            );
        }
    }

    fn stores(&mut self, document: &Document) {
        let stores = &document.global.stores;
        if stores
            .response_cache
            .as_ref()
            .is_some_and(|store| store.enabled)
        {
            self.add(
                "global.stores.response_cache",
                "the store of answers",
                uses_plugin(document, "response_cache"),
                NotRun::Served("every request is answered by a model"),
            );
        }
        if stores.memory.as_ref().is_some_and(|store| store.enabled) {
            self.add(
                "global.stores.memory",
                "memory of earlier conversations",
                is_live(document),
                NotRun::Served("nothing is brought back from earlier conversations"),
            );
        }
        if stores
            .vector_store
            .as_ref()
            .is_some_and(|store| store.enabled)
        {
            self.add(
                "global.stores.vector_store",
                "the store of documents",
                uses_plugin(document, "rag"),
                NotRun::Served("no documents are added"),
            );
        }
        let integrations = &document.global.integrations;
        if integrations
            .tools
            .as_ref()
            .is_some_and(|tools| tools.enabled)
        {
            let is_used = uses_plugin(document, "tools") || uses_plugin(document, "tool_selection");
            self.add(
                "global.integrations.tools",
                "the database of tools",
                is_used,
                NotRun::Served("requests keep the tools that they bring"),
            );
        }
    }
}

/// Tells whether some model name leads to some recipe.
fn is_live(document: &Document) -> bool {
    document
        .policies()
        .any(|(name, _, _)| document.is_live(name))
}

fn uses_plugin(document: &Document, name: &str) -> bool {
    let mut live = document
        .policies()
        .filter(|(recipe, _, _)| document.is_live(recipe));
    let is_used = |plugin: &PluginConfig| plugin.is_enabled() && plugin.name() == name;
    live.any(|(_, _, routing)| {
        let mut plugins = routing.decisions.iter().flat_map(|it| &it.plugins);
        plugins.any(is_used)
    })
}
