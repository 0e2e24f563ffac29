//! How a request goes on to a model.

use super::{BodyEdit, Translation};
use crate::boundary::Admitted;
use crate::response::ResponseStage;
use std::sync::Arc;

/// One edit of the request headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderOp {
    /// Sets a header (or `:path`), replacing earlier values.
    Set(Arc<str>, Arc<str>),
    /// Removes a header.
    Remove(Arc<str>),
}

impl HeaderOp {
    /// Returns the header that is set or removed.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Set(name, _) | Self::Remove(name) => name,
        }
    }
}

/// What a plugin adds to a request that goes on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    /// Edits of the JSON body, in order.
    pub body: Vec<BodyEdit>,
    /// Edits of the request headers, in order; later ones win.
    pub headers: Vec<HeaderOp>,
    /// Stages of the response, in order.
    pub response: Vec<ResponseStage>,
}

impl Edits {
    /// Appends the edits of a later plugin.
    pub fn append(&mut self, later: Self) {
        self.body.extend(later.body);
        self.headers.extend(later.headers);
        self.response.extend(later.response);
    }
}

/// How a request goes on to a model.
///
/// The routing headers name the model that was [admitted](Admitted), so a plan can only lead where
/// the boundaries let it, and it cannot be made without asking them.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    model: Arc<str>,
    body: Vec<BodyEdit>,
    headers: Vec<HeaderOp>,
    response: Vec<ResponseStage>,
    /// Stages that the response would need, and that cannot run.
    dropped_response: Vec<ResponseStage>,
    /// How it is put on its backend's wire; `None` where that is the client's.
    translation: Option<Translation>,
    /// The routing headers, kept where a boundary holds, to be set again after later edits.
    sealed: Vec<HeaderOp>,
}

impl Forward {
    /// Sends a request to a model: the routing headers get its name, `headers` and `body` are the
    /// edits that its backend needs, `response` is what its answer needs. `withdrawn` removes what
    /// an earlier attempt left.
    #[must_use]
    pub fn to(
        admitted: Admitted<'_>,
        routing_headers: &[Arc<str>],
        withdrawn: &[HeaderOp],
        headers: impl IntoIterator<Item = HeaderOp>,
        body: Vec<BodyEdit>,
        response: Vec<ResponseStage>,
    ) -> Self {
        let model: Arc<str> = admitted.shown().into();
        let routing: Vec<HeaderOp> = routing_headers
            .iter()
            .map(|name| HeaderOp::Set(Arc::clone(name), Arc::clone(&model)))
            .collect();
        let mut all = withdrawn.to_vec();
        all.extend(routing.iter().cloned());
        all.extend(headers);
        Self {
            model,
            body,
            headers: all,
            response,
            dropped_response: Vec::new(),
            translation: None,
            sealed: if admitted.is_bound() {
                routing
            } else {
                Vec::new()
            },
        }
    }

    /// Adds what plugins ask for. Where a boundary holds, no header of theirs leads the request to
    /// another model.
    #[must_use]
    pub fn edited(mut self, edits: Edits) -> Self {
        for edit in edits.body {
            match (&mut self.translation, edit) {
                // Marks for a cache are its provider's, whatever the client speaks.
                (Some(translation), edit @ BodyEdit::CacheMarks(_)) => translation.edits.push(edit),
                (_, edit) => self.body.push(edit),
            }
        }
        self.response.extend(edits.response);
        if !edits.headers.is_empty() {
            self.headers.extend(edits.headers);
            self.headers.extend(self.sealed.iter().cloned());
        }
        self
    }

    /// Puts the request on another wire on its way.
    #[must_use]
    pub(crate) fn translated(self, translation: Translation) -> Self {
        Self {
            translation: Some(translation),
            ..self
        }
    }

    /// Adds headers of Merit's own, which win over those of plugins.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: impl IntoIterator<Item = HeaderOp>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Drops the stages of the response: the gateway takes no other body than the backend's.
    #[must_use]
    pub(crate) fn without_response(mut self) -> Self {
        self.dropped_response.append(&mut self.response);
        self
    }

    /// Returns how the request is put on its backend's wire; `None` where that is the client's.
    #[must_use]
    pub fn translation(&self) -> Option<&Translation> {
        self.translation.as_ref()
    }

    /// Returns whether the answer has to pass some stage.
    #[must_use]
    pub fn changes_response(&self) -> bool {
        self.translation.is_some() || !self.response.is_empty()
    }

    /// Returns the edits that the backend gets to see, on its own wire.
    #[must_use]
    pub fn sent_edits(&self) -> &[BodyEdit] {
        match &self.translation {
            Some(translation) => &translation.edits,
            None => &self.body,
        }
    }

    /// Returns the model as the policy names it: an adapter by its own name.
    #[must_use]
    pub fn model(&self) -> &Arc<str> {
        &self.model
    }

    /// Returns the edits of the JSON body, in order.
    #[must_use]
    pub fn body(&self) -> &[BodyEdit] {
        &self.body
    }

    /// Returns the edits of the request headers, in order; later ones win.
    #[must_use]
    pub fn headers(&self) -> &[HeaderOp] {
        &self.headers
    }

    /// Returns the stages that the response passes, in order.
    #[must_use]
    pub fn response(&self) -> &[ResponseStage] {
        &self.response
    }

    /// Returns the stages that the response would need, and that cannot run.
    #[must_use]
    pub fn dropped_response(&self) -> &[ResponseStage] {
        &self.dropped_response
    }

    /// Returns what cannot be done for this plan or is not sent on, `part=reason`.
    pub(crate) fn degraded(&self) -> impl Iterator<Item = Arc<str>> {
        let drops_thinking = self.body.contains(&BodyEdit::DropUnsignedThinking);
        let thinking = drops_thinking.then(|| "thinking=unsigned_dropped".into());
        let dropped = self.dropped_response.iter();
        let dropped = dropped.map(|stage| format!("response={}_not_run", stage.as_str()).into());
        thinking.into_iter().chain(dropped)
    }
}
