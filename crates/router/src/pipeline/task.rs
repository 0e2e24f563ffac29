//! What a request asks for.

use super::escalation::{self, Called};
use super::service;
use crate::generation::Generation;
use crate::names::Target as Name;
use crate::plan::Refusal;
use crate::recipe::{Extent, Recipe, Route};
use crate::stages::reading::{Reading, Scope};
use crate::stages::request::{Refused, RoutingRequest};

/// What a request asks for.
#[derive(Clone, Copy)]
pub(super) enum Task<'g> {
    /// The model that the client names: its explicit choice, unless a decision of this recipe takes
    /// the request elsewhere.
    Model { diverting: Option<&'g Recipe> },
    /// A recipe's choice; `only` among decisions of this algorithm.
    Recipe {
        recipe: &'g Recipe,
        only: Option<&'static str>,
    },
    /// A candidate that a run of ours calls.
    Call(Called<'g>),
}

impl<'g> Task<'g> {
    /// Finds what a request asks for by the name of its model.
    pub(super) fn of(
        generation: &'g Generation,
        request: &RoutingRequest<'_>,
    ) -> Result<Self, Refused> {
        let name = request.prompt.model.as_str();
        let first = generation.recipes.first().filter(|_| name.is_empty());
        if let (Some(_), Some(recipe)) = (request.service, first) {
            return Ok(Self::Recipe { recipe, only: None });
        }
        match generation.names.resolve(name) {
            Name::Recipe { recipe, only } => Ok(Self::Recipe {
                recipe: &generation.recipes[recipe],
                only,
            }),
            Name::Concrete => match generation.targets.named(name.trim()) {
                Ok(_) => Ok(Self::Model {
                    diverting: diverting(generation, request),
                }),
                Err(_) if name.trim().is_empty() => Err(Refusal::unavailable(name).into()),
                Err(_) => Err(Refusal::unknown_model(name, &generation.names).into()),
            },
        }
    }

    /// Returns what must be read for it.
    pub(super) fn scope(&self, request: &RoutingRequest<'_>, full: bool) -> Scope<'g> {
        let whole = |only| {
            let is_full = request.full || full;
            let lazy = Extent::Lazy { only };
            if is_full { Extent::Used } else { lazy }
        };
        let (extent, only) = match *self {
            Self::Model { diverting: Some(_) } => (whole(None), None),
            Self::Recipe { recipe, .. } if !service::asks_decision(recipe, request) => {
                (Extent::Bounding, None)
            }
            Self::Recipe { only, .. } if !request.prompt.is_silent() => (whole(only), only),
            _ => (Extent::Bounding, None),
        };
        Scope {
            recipe: match *self {
                Self::Model { diverting } => diverting,
                _ => self.recipe(),
            },
            extent,
            only,
        }
    }

    /// Returns what is to be done once a request is read: one that names a model belongs to the recipe
    /// whose decision takes it elsewhere, and to no recipe where none does.
    pub(super) fn read(self, reading: &mut Reading<'g>) -> Self {
        let Self::Model {
            diverting: Some(recipe),
        } = self
        else {
            return self;
        };
        if reading.is_diverted() {
            return Self::Recipe { recipe, only: None };
        }
        reading.forget_decision();
        Self::Model { diverting: None }
    }

    pub(super) fn recipe(&self) -> Option<&'g Recipe> {
        match self {
            Self::Model { .. } => None,
            Self::Recipe { recipe, .. } => Some(recipe),
            Self::Call(called) => Some(called.recipe),
        }
    }

    /// Returns the decision that a run was begun by.
    pub(super) fn called(&self) -> Option<&'g Route> {
        match self {
            Self::Call(called) => Some(called.route),
            Self::Model { .. } | Self::Recipe { .. } => None,
        }
    }

    /// Returns the algorithm that is known before anything was chosen.
    pub(super) fn algorithm(&self) -> Option<&'static str> {
        self.called().map(|_| escalation::ALGORITHM)
    }
}

/// Returns the recipe that may take a request away from the model that it names: the document's own.
fn diverting<'g>(generation: &'g Generation, request: &RoutingRequest<'_>) -> Option<&'g Recipe> {
    let first = generation.recipes.first()?;
    let is_conversation = request.service.is_none() && !request.prompt.is_silent();
    (is_conversation && first.diverts()).then_some(first)
}
