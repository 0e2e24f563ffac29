//! Building the algorithms that choose among candidates: parameters after the rules of who may set
//! what, vectors of descriptions, fitted artifacts.

use crate::config::algorithms::Algorithm;
use crate::config::decisions::Decision;
use crate::config::selectors::ModelSelection;
use crate::config::{Document, Routing};
use crate::forecast::Forecaster;
use crate::selection::automix::Automix;
use crate::selection::hybrid::{Hybrid, Weights};
use crate::selection::kmeans::KMeans;
use crate::selection::knn::Knn;
use crate::selection::latency_aware::LatencyAware;
use crate::selection::learned::{Artifact, ArtifactError, CATEGORIES, Learned, Untrained};
use crate::selection::mlp::Mlp;
use crate::selection::multi_factor::MultiFactor;
use crate::selection::router_dc::{self, Parameters, RouterDc};
use crate::selection::r#static::Static;
use crate::selection::svm::Svm;
use crate::selection::weighted::Weighted;
use crate::selection::{self, Candidate, Selector};
use crate::signals::Deps;
use crate::wanted::AskedEncoder;
use document::Findings;
use inference::catalog::{Bare, LoadError};
use inference::handle::Embedder;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

const SEMANTIC: &str = "global.model_catalog.embeddings.semantic";
const ML: &str = "global.router.model_selection.ml";

/// Builds the algorithms of one recipe; encoder and artifacts are had once.
pub(super) struct Selectors<'a> {
    routing: &'a Routing,
    pub(super) document: &'a Document,
    deps: &'a Deps<'a>,
    encoder: Option<Embedder>,
    artifacts: HashMap<&'static str, Option<Arc<dyn Artifact>>>,
    findings: &'a mut Findings,
}

impl<'a> Selectors<'a> {
    pub(super) fn new(
        routing: &'a Routing,
        document: &'a Document,
        deps: &'a Deps<'a>,
        findings: &'a mut Findings,
    ) -> Self {
        Self {
            routing,
            document,
            deps,
            encoder: None,
            artifacts: HashMap::new(),
            findings,
        }
    }

    /// The algorithm of a decision; `None` if it is not available, or has nothing to choose.
    pub(super) fn build(
        &mut self,
        decision: &Decision,
        candidates: &[Candidate],
        forecaster: &Arc<Forecaster>,
    ) -> Option<Box<dyn Selector>> {
        let usual = Algorithm::default();
        let algorithm = decision.algorithm.as_ref().unwrap_or(&usual);
        let method = selection::method(&algorithm.kind);
        if method == "static" {
            return Some(Box::new(self.by_score(decision)));
        }
        if candidates.len() < 2 {
            return None;
        }
        Some(match method {
            "weighted" => Box::new(Weighted::default()),
            "multi_factor" => {
                let config = algorithm.multi_factor.clone().unwrap_or_default();
                Box::new(MultiFactor::new(
                    &config,
                    Arc::clone(forecaster),
                    candidates.len(),
                ))
            }
            "latency_aware" => Box::new(LatencyAware::new(algorithm.latency_aware.as_ref())),
            "router_dc" => Box::new(self.router_dc(candidates)),
            "automix" => Box::new(self.automix(algorithm, candidates)),
            "hybrid" => Box::new(self.hybrid(algorithm, candidates)),
            "knn" | "kmeans" | "svm" | "mlp" => self.learned(method),
            _ => return None,
        })
    }

    fn by_score(&self, decision: &Decision) -> Static {
        let scored = self
            .routing
            .signals
            .domains
            .iter()
            .find(|domain| domain.name == decision.name);
        let scores = scored.into_iter().flat_map(|domain| &domain.model_scores);
        Static::new(
            &decision.name,
            scores
                .map(|entry| (entry.model.clone(), entry.score))
                .collect(),
        )
    }

    fn global(&self) -> Option<&'a ModelSelection> {
        self.document.global.router.model_selection.as_ref()
    }

    fn automix(&self, algorithm: &Algorithm, candidates: &[Candidate]) -> Automix {
        let known = candidates
            .iter()
            .map(|candidate| self.document.knows_model(&candidate.card.name))
            .collect();
        let config = self.global().and_then(|global| global.automix.as_ref());
        Automix::new(config, selection::cost_weight(algorithm), known)
    }

    fn hybrid(&mut self, algorithm: &Algorithm, candidates: &[Candidate]) -> Hybrid {
        let global = self.global().and_then(|global| global.hybrid.as_ref());
        let weights = Weights::new(global, algorithm.hybrid.as_ref());
        Hybrid::new(
            weights,
            selection::cost_weight(algorithm),
            self.router_dc(candidates),
            self.automix(algorithm, candidates),
        )
    }

    fn router_dc(&mut self, candidates: &[Candidate]) -> RouterDc {
        let global = self.global().and_then(|global| global.router_dc.as_ref());
        let blocks = self
            .routing
            .decisions
            .iter()
            .filter_map(|decision| decision.algorithm.as_ref());
        let first = blocks
            .filter(|algorithm| algorithm.name() == "router_dc")
            .find_map(|it| it.router_dc.as_ref());
        let parameters = Parameters::new(global, first);
        let text = |candidate: &Candidate| {
            self.described(&candidate.card.name, parameters.use_capabilities)
        };
        let texts: Vec<String> = candidates.iter().map(text).collect();
        if texts.iter().all(String::is_empty) {
            return RouterDc::new(
                parameters,
                Bare::encoder(),
                texts.iter().map(|_| Arc::default()).collect(),
            );
        }
        let encoder = self.encoder();
        let vectors = self.vectors(&encoder, &texts);
        RouterDc::new(parameters, encoder, vectors)
    }

    fn described(&self, name: &str, use_capabilities: bool) -> String {
        let card = self
            .document
            .model_card(name)
            .or_else(|| self.document.lora_base(name));
        card.map(|card| router_dc::text(&card.description, &card.capabilities, use_capabilities))
            .unwrap_or_default()
    }

    /// Vectors of texts; empty for empty ones, and where none can be had.
    fn vectors(&mut self, encoder: &Embedder, texts: &[String]) -> Vec<Arc<[f32]>> {
        let written: Vec<String> = texts
            .iter()
            .filter(|text| !text.is_empty())
            .cloned()
            .collect();
        let mut found = match self.deps.catalog.vectors(encoder, &written) {
            Ok(found) => found.into_iter(),
            Err(error) => {
                self.lack(&error);
                Vec::new().into_iter()
            }
        };
        let mut vector = |text: &String| if text.is_empty() { None } else { found.next() };
        texts
            .iter()
            .map(|text| vector(text).unwrap_or_default())
            .collect()
    }

    /// The encoder of all signals reads descriptions and turns, too.
    fn encoder(&mut self) -> Embedder {
        if let Some(encoder) = &self.encoder {
            return encoder.clone();
        }
        let found = match AskedEncoder::of(&self.document.global.model_catalog) {
            AskedEncoder::Folder(wanted) => self.deps.catalog.embedder(&wanted),
            AskedEncoder::Service(wanted) => self.deps.catalog.remote_embedder(&wanted),
        };
        let encoder = found.unwrap_or_else(|error| {
            self.lack(&error);
            Bare::encoder()
        });
        self.encoder.insert(encoder).clone()
    }

    fn lack(&mut self, error: &LoadError) {
        self.findings.error(SEMANTIC, error.to_string());
    }

    fn learned(&mut self, algorithm: &'static str) -> Box<dyn Selector> {
        let Some(artifact) = self.artifact(algorithm) else {
            return Box::new(Untrained);
        };
        let encoder = self.encoder();
        match Learned::new(algorithm, artifact, encoder) {
            Ok(learned) => Box::new(learned),
            Err(error) => {
                self.untrained(algorithm, &error);
                Box::new(Untrained)
            }
        }
    }

    fn artifact(&mut self, algorithm: &'static str) -> Option<Arc<dyn Artifact>> {
        if let Some(artifact) = self.artifacts.get(algorithm) {
            return artifact.clone();
        }
        let ml = self.global().and_then(|global| global.ml.as_ref())?;
        let path = ml.artifact(algorithm)?;
        let loaded = self.load(algorithm, path);
        self.artifacts.entry(algorithm).or_insert(loaded).clone()
    }

    fn load(&mut self, algorithm: &'static str, path: &str) -> Option<Arc<dyn Artifact>> {
        match self.deps.catalog.text(Path::new(path)) {
            Ok(json) => match self.read(algorithm, &json) {
                Ok(artifact) => Some(artifact),
                Err(error) => {
                    self.untrained(algorithm, &error);
                    None
                }
            },
            Err(error) => {
                self.untrained(algorithm, &error);
                None
            }
        }
    }

    fn read(&mut self, algorithm: &str, json: &str) -> Result<Arc<dyn Artifact>, ArtifactError> {
        Ok(match algorithm {
            "knn" => {
                let config = self
                    .global()
                    .and_then(|global| global.ml.as_ref()?.knn.as_ref());
                Arc::new(Knn::read(
                    json,
                    config.map_or(0, |config| config.k as usize),
                )?)
            }
            "kmeans" => Arc::new(KMeans::read(json)?),
            "svm" => {
                let dimension = self.encoder().dimension + CATEGORIES.len();
                Arc::new(Svm::read(json, dimension)?)
            }
            _ => Arc::new(Mlp::read(json)?),
        })
    }

    fn untrained(&mut self, algorithm: &str, error: &dyn std::fmt::Display) {
        let message =
            format!("{error}; `{algorithm}` is not trained, so the first candidate is taken");
        self.findings
            .warn(format!("{ML}.{algorithm}.pretrained_path"), message);
    }
}

#[cfg(test)]
mod tests;
