//! What stores filter and count by: the few facts of a record, drawn once when it is written.

use crate::ledger::Sums;
use crate::record::{DecisionRecord, Lifecycle, Moment, SignalState};
use std::collections::BTreeMap;

/// The facts of one record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The record's id.
    pub id: String,
    /// When the request was seen.
    pub time: Moment,
    /// The record's form.
    pub version: u32,
    /// How far the request has come.
    pub lifecycle: Lifecycle,
    /// Envoy's id of the request.
    pub request_id: String,
    /// The recipe.
    pub recipe: String,
    /// The decision; empty when there was none.
    pub decision: String,
    /// The model that the client named.
    pub original_model: String,
    /// The model that the request went to.
    pub selected_model: String,
    /// The session.
    pub session_id: String,
    /// Who it is accounted to.
    pub caller: String,
    /// The currency of its cost; empty when it has none.
    pub currency: String,
    /// The answer came out of a cache.
    pub from_cache: bool,
    /// The answer was a stream.
    pub streamed: bool,
    /// Signals that matched, by family.
    pub signals: BTreeMap<String, u64>,
    /// What is added up.
    pub sums: Sums,
}

impl Facts {
    /// Draws the facts of a record.
    #[must_use]
    pub fn of(record: &DecisionRecord) -> Self {
        let mut signals = BTreeMap::new();
        let matched = record
            .signals
            .iter()
            .filter(|signal| signal.state() == SignalState::Matched);
        for name in matched.filter_map(|signal| signal.signal.as_ref()) {
            *signals.entry(name.r#type.clone()).or_default() += 1;
        }
        let decision = record.decision.as_ref();
        let cost = record.cost.as_ref();
        Self {
            id: record.id.clone(),
            time: record.moment(),
            version: record.version,
            lifecycle: record.lifecycle(),
            request_id: record.request_id.clone(),
            recipe: record.recipe.clone(),
            decision: decision.map(|it| it.name.clone()).unwrap_or_default(),
            original_model: record.requested_model.clone(),
            selected_model: record.selected_model.clone(),
            session_id: record.session_id.clone(),
            caller: record.caller.clone(),
            currency: cost.map(|it| it.currency.clone()).unwrap_or_default(),
            from_cache: record.from_cache,
            streamed: record.streamed,
            signals,
            sums: Sums::of(record),
        }
    }

    /// Returns what a search looks into, in lower case. The parts are lines.
    #[must_use]
    pub fn searched(&self) -> String {
        format!("{}\n{}", self.request_id, self.recipe).to_lowercase()
    }

    /// Returns the counts of signals as one text, from which [`read_signals`] reads them.
    #[must_use]
    pub fn signal_text(&self) -> String {
        let counts = self.signals.iter();
        let counts = counts.map(|(family, count)| format!("{family}:{count}"));
        counts.collect::<Vec<_>>().join(",")
    }
}

/// Reads what [`Facts::signal_text`] wrote. What cannot be read is left out.
#[must_use]
pub fn read_signals(text: &str) -> BTreeMap<String, u64> {
    let parts = text.split(',').filter_map(|part| part.rsplit_once(':'));
    parts
        .filter_map(|(family, count)| Some((family.to_owned(), count.parse().ok()?)))
        .collect()
}
