//! What a document asks for that Merit knows and does not do yet. Served documents may hold it
//! where no request gets.

use super::Document;
use super::decisions::Decision;
use crate::algorithms::{Algorithm, Models};
use document::{Problem, Severity};

/// Whether a request can meet a part of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// No request can.
    Unreachable,
    /// Some request can.
    Reachable,
}

impl From<bool> for Reach {
    fn from(reachable: bool) -> Self {
        if reachable {
            Self::Reachable
        } else {
            Self::Unreachable
        }
    }
}

/// A feature that is known and not implemented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unimplemented {
    /// Where it is asked for.
    pub path: String,
    /// What it is.
    pub feature: String,
    /// Whether a request can meet it. Then the document is not served.
    pub reach: Reach,
}

impl From<Unimplemented> for Problem {
    fn from(missing: Unimplemented) -> Self {
        let (severity, consequence) = match missing.reach {
            Reach::Reachable => (
                Severity::Error,
                "a request can reach it, so this document is not served",
            ),
            Reach::Unreachable => (Severity::Note, "no decision depends on it"),
        };
        Self::new(
            severity,
            missing.path,
            format!("{} is not implemented yet; {consequence}", missing.feature),
        )
    }
}

/// Lists what is known and not implemented, in the order of the document's sections.
#[must_use]
pub fn unimplemented(document: &Document) -> Vec<Unimplemented> {
    let mut list = List::default();
    for (name, path, routing) in document.policies() {
        let live = document.is_live(name);
        for (index, decision) in routing.decisions.iter().enumerate() {
            list.decision(decision, &format!("{path}.decisions[{index}]"), live);
        }
    }
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
    fn add(&mut self, path: impl Into<String>, feature: impl Into<String>, reach: Reach) {
        self.found.push(Unimplemented {
            path: path.into(),
            feature: feature.into(),
            reach,
        });
    }

    fn decision(&mut self, decision: &Decision, path: &str, live: bool) {
        if let Some(algorithm) = &decision.algorithm
            && !is_built(algorithm)
        {
            // A single candidate is taken without asking the algorithm.
            let asked = decision.model_refs.len() > 1;
            let feature = format!("the algorithm `{}`", algorithm.name());
            self.add(
                format!("{path}.algorithm"),
                feature,
                Reach::from(live && asked),
            );
        }
        for (index, plugin) in decision.plugins.iter().enumerate() {
            if plugin.kind().turn.is_none() {
                let reach = Reach::from(live && plugin.is_enabled());
                self.add(
                    format!("{path}.plugins[{index}]"),
                    format!("the plugin `{}`", plugin.name()),
                    reach,
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
                Reach::from(live && looper),
            );
        }
        if !decision.emits.is_empty() {
            self.add(
                format!("{path}.emits"),
                "retention of cache entries",
                Reach::Unreachable,
            );
        }
    }

    fn router(&mut self, document: &Document) {
        let router = &document.global.router;
        let live = document
            .policies()
            .any(|(name, _, _)| document.is_live(name));
        if router.config_source == "kubernetes" {
            self.add(
                "global.router.config_source",
                "reading policies from Kubernetes",
                Reach::Reachable,
            );
        }
        let modules = &document.global.model_catalog.modules;
        if modules
            .prompt_compression
            .as_ref()
            .is_some_and(|module| module.enabled)
        {
            let path = "global.model_catalog.modules.prompt_compression";
            self.add(path, "shortening prompts before signals", live.into());
        }
        if document
            .global
            .energy
            .as_ref()
            .is_some_and(|energy| energy.enabled)
        {
            self.add("global.energy", "the energy ledger", Reach::Unreachable);
        }
    }

    fn services(&mut self, document: &Document) {
        let services = &document.global.services;
        let live = document
            .policies()
            .any(|(name, _, _)| document.is_live(name));
        if services.api.is_some() {
            self.add(
                "global.services.api",
                "the classification API",
                Reach::Unreachable,
            );
        }
        if services
            .response_api
            .as_ref()
            .is_some_and(|api| api.enabled.unwrap_or(true))
        {
            self.add(
                "global.services.response_api",
                "keeping responses for `previous_response_id`",
                Reach::Unreachable,
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
            let path = "global.services.observability.metrics.windowed_metrics";
            self.add(path, "metrics over time windows", Reach::Unreachable);
        }
        if !services.authz.providers.is_empty() {
            self.add(
                "global.services.authz.providers",
                "credentials of the callers",
                live.into(),
            );
        }
        if services
            .ratelimit
            .as_ref()
            .is_some_and(|limit| !limit.providers.is_empty())
        {
            self.add("global.services.ratelimit", "rate limiting", live.into());
        }
        if services.management_api.is_some() {
            let feature = "the management API's own address and roles (`--admin` sets the address)";
            self.add(
                "global.services.management_api",
                feature,
                Reach::Unreachable,
            );
        }
        if services.startup_status.is_some() {
            self.add(
                "global.services.startup_status",
                "keeping start-up progress",
                Reach::Unreachable,
            );
        }
        if services
            .router_replay
            .as_ref()
            .is_some_and(|replay| replay.enabled)
        {
            let reach = uses_plugin(document, "router_replay");
            self.add(
                "global.services.router_replay",
                "records of requests",
                reach,
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
            let reach = uses_plugin(document, "response_cache");
            self.add(
                "global.stores.response_cache",
                "the store of answers",
                reach,
            );
        }
        if stores.memory.as_ref().is_some_and(|store| store.enabled) {
            let live = document
                .policies()
                .any(|(name, _, _)| document.is_live(name));
            self.add(
                "global.stores.memory",
                "memory of earlier conversations",
                live.into(),
            );
        }
        if stores
            .vector_store
            .as_ref()
            .is_some_and(|store| store.enabled)
        {
            let reach = uses_plugin(document, "rag");
            self.add(
                "global.stores.vector_store",
                "the store of documents",
                reach,
            );
        }
        let integrations = &document.global.integrations;
        if integrations
            .tools
            .as_ref()
            .is_some_and(|tools| tools.enabled)
        {
            let reach = uses_plugin(document, "tools").max(uses_plugin(document, "tool_selection"));
            self.add("global.integrations.tools", "the database of tools", reach);
        }
    }
}

/// Tells whether an algorithm can be asked. For one of several models that is not run the first
/// candidate stands in, which validation warns of.
fn is_built(algorithm: &Algorithm) -> bool {
    algorithm.entry().is_some_and(|entry| match &entry.models {
        Models::One(one_model) => one_model.is_built,
        Models::Several(_) => true,
    })
}

fn uses_plugin(document: &Document, name: &str) -> Reach {
    any_live(document, |decision| {
        decision
            .plugins
            .iter()
            .filter(|plugin| plugin.is_enabled())
            .any(|plugin| plugin.name() == name)
    })
}

fn any_live(document: &Document, holds: impl Fn(&Decision) -> bool) -> Reach {
    let mut live = document
        .policies()
        .filter(|(name, _, _)| document.is_live(name));
    live.any(|(_, _, routing)| routing.decisions.iter().any(&holds))
        .into()
}
