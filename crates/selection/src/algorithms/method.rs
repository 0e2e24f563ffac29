//! What an algorithm's file gives to the table of algorithms, and what it gets: to check the
//! parameters that a document writes, and to build the selector.

use super::Selector;
use super::process::ModelSelection;
use super::router_dc::RouterDcConfig;
use crate::candidate::{Candidate, ModelRef};
use crate::card::ModelDescriptions;
use crate::forecast::Forecaster;
use document::Findings;
use inference::catalog::{Bare, Catalog, LoadError};
use inference::handle::Embedder;
use signals::scope::Scope;
use signals::wanted::AskedEncoder;
use std::sync::Arc;

/// What is said of a parameter that the reference does not read either.
pub(super) const NO_EFFECT: &str = "has no effect, as in the reference";

const SEMANTIC: &str = "global.model_catalog.embeddings.semantic";

/// An algorithm that chooses one candidate.
pub trait Method {
    /// The decision's parameters: the block that is named like the algorithm. `()` without one.
    type Block;

    /// The name: `algorithm.type`.
    const NAME: &'static str;

    /// Whether it is implemented.
    const IS_BUILT: bool = true;

    /// Whether eval can ask it: it reads nothing that only a request in flight brings.
    const IS_PREVIEWED: bool = false;

    /// Reports what is wrong with a block that is written, whichever algorithm the decision names.
    fn check_block(_block: &Self::Block, _checking: &mut Checking<'_>) {}

    /// Reports what is wrong with a decision that names this algorithm.
    fn check(_block: Option<&Self::Block>, _checking: &mut Checking<'_>) {}

    /// Returns the parameters that rest on a measurement.
    fn measures(_block: Option<&Self::Block>) -> Vec<Need> {
        Vec::new()
    }

    /// Builds the selector of a decision with two candidates or more; `None` if it is not
    /// available. What is missing is reported.
    fn build(
        block: Option<&Self::Block>,
        decision: &DecisionInput<'_>,
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>>;
}

/// A parameter that rests on a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Its path below the decision's `algorithm`.
    pub path: &'static str,
    /// What is measured, in words.
    pub what: &'static str,
    /// What is measured.
    pub figure: Measured,
    /// It was asked for, not implied.
    pub is_written: bool,
}

impl Need {
    /// Creates the need of a parameter that was asked for.
    pub(super) const fn new(path: &'static str, what: &'static str, figure: Measured) -> Self {
        Self {
            path,
            what,
            figure,
            is_written: true,
        }
    }
}

/// What is measured of a model's pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// Time to the first token.
    FirstToken,
    /// Time per output token.
    PerToken,
    /// Time per token, else time to the first.
    Latency,
    /// Requests in flight.
    Load,
}

/// What checking an algorithm needs of the document, and where it reports.
pub struct Checking<'a> {
    /// Path of the decision's `algorithm`.
    pub path: &'a str,
    /// The decision's candidates.
    pub model_refs: &'a [ModelRef],
    /// What the document says of models.
    pub models: &'a dyn ModelDescriptions,
    /// `global.router.model_selection`.
    pub process: Option<&'a ModelSelection>,
    /// Name and block of the recipe's first decision that sets parameters of `router_dc`.
    pub router_dc: Option<(&'a str, &'a RouterDcConfig)>,
    /// `global.server.extproc.buffered_deadline_ms`.
    pub buffered_deadline_ms: u64,
    /// Where problems are reported.
    pub findings: &'a mut Findings,
}

impl Checking<'_> {
    /// Returns the path of a part of the decision's `algorithm`.
    #[must_use]
    pub fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// Reports a model that the document does not know.
    pub fn known_model(&mut self, key: &str, name: &str) {
        if let Some(message) = self.models.unknown_model(name) {
            let path = self.at(key);
            self.findings.error(path, message);
        }
    }
}

/// Warns of parameters that are written and that nothing reads.
pub(super) fn warn_unread(
    path: &str,
    parameters: &[(&str, bool)],
    why: &str,
    findings: &mut Findings,
) {
    for (key, _) in parameters.iter().filter(|(_, is_written)| *is_written) {
        findings.warn(format!("{path}.{key}"), why);
    }
}

/// The decision whose selector is built.
pub struct DecisionInput<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its candidates, two or more.
    pub candidates: &'a [Candidate],
    /// Predicts what a request costs at each of them.
    pub forecaster: &'a Arc<Forecaster>,
    /// How much price counts in its requests.
    pub cost_weight: f64,
}

/// What building the algorithms of one recipe needs, and where it reports. The encoder is looked
/// for once.
pub struct Building<'a> {
    /// The recipe's signals, and the models that they are read by.
    pub scope: Scope<'a>,
    /// What the document says of models.
    pub models: &'a dyn ModelDescriptions,
    /// `global.router.model_selection`.
    pub process: Option<&'a ModelSelection>,
    /// The block of the recipe's first decision that sets parameters of `router_dc`.
    pub router_dc: Option<&'a RouterDcConfig>,
    /// Where models and files are found.
    pub catalog: &'a dyn Catalog,
    /// Where problems are reported.
    pub findings: &'a mut Findings,
    /// The encoder of all signals, once it was looked for.
    pub encoder: Option<Embedder>,
    /// Fitted artifacts, once they were looked for.
    pub artifacts: super::learned::Artifacts,
}

impl Building<'_> {
    /// Returns the encoder of all signals, which reads descriptions and turns, too.
    pub(super) fn encoder(&mut self) -> Embedder {
        if let Some(encoder) = &self.encoder {
            return encoder.clone();
        }
        let found = match AskedEncoder::of(self.scope.models) {
            AskedEncoder::Folder(wanted) => self.catalog.embedder(&wanted),
            AskedEncoder::Service(wanted) => self.catalog.remote_embedder(&wanted),
        };
        let encoder = found.unwrap_or_else(|error| {
            self.report_missing(&error);
            Bare::encoder()
        });
        self.encoder.insert(encoder).clone()
    }

    /// Returns the vectors of texts; empty for empty ones, and where no vector can be had.
    pub(super) fn vectors(&mut self, encoder: &Embedder, texts: &[String]) -> Vec<Arc<[f32]>> {
        let written: Vec<String> = texts
            .iter()
            .filter(|text| !text.is_empty())
            .cloned()
            .collect();
        let mut found = match self.catalog.vectors(encoder, &written) {
            Ok(found) => found.into_iter(),
            Err(error) => {
                self.report_missing(&error);
                Vec::new().into_iter()
            }
        };
        let mut vector = |text: &String| if text.is_empty() { None } else { found.next() };
        texts
            .iter()
            .map(|text| vector(text).unwrap_or_default())
            .collect()
    }

    fn report_missing(&mut self, error: &LoadError) {
        self.findings.error(SEMANTIC, error.to_string());
    }
}
