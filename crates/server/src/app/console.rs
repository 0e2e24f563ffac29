//! What the admin API shows of the running process.

use crate::admin::{Classification, Console, Refusal};
use crate::engine::Generation;
use crate::health::State;
use crate::metrics::Metrics;
use crate::recording::Opened;
use crate::reload::{Live, Status};
use axum::http::HeaderMap;
use futures_util::future::BoxFuture;
use records::store::RecordStore;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Answers from the generation that serves.
pub(super) struct AppConsole {
    pub(super) live: Arc<Live<Generation>>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) state: watch::Receiver<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) records: Opened,
}

impl Console for AppConsole {
    fn ready(&self) -> bool {
        *self.state.borrow() == State::Ready
    }

    fn eval(&self, body: &[u8], trace: bool) -> Result<Value, Refusal> {
        self.live.load().eval(body, trace)
    }

    fn classify(&self, what: Classification, body: &[u8]) -> Result<Value, Refusal> {
        self.live.load().classify(what, body)
    }

    fn outcome(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        let (word, answer) = self.live.load().outcome(headers, body);
        self.metrics.learned("outcome", word);
        answer
    }

    fn probes(&self, body: &[u8]) -> Result<Value, Refusal> {
        self.live.load().probes(body)
    }

    fn judge(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        self.live.load().judge(headers)
    }

    fn config(&self) -> Value {
        self.live.load().config()
    }

    fn hash(&self) -> Value {
        let (loaded, status) = (self.live.load(), self.status.borrow().clone());
        let mut reload = serde_json::to_value(&status.outcome).unwrap_or_default();
        reload["at"] = humantime::format_rfc3339_seconds(status.at)
            .to_string()
            .into();
        json!({"hash": loaded.hash, "generation": loaded.generation, "last_reload": reload})
    }

    fn pool(&self) -> Value {
        let state = &self.live.load().router.state;
        let (open, given_up) = (state.dispatches.len(), state.dispatches.given_up());
        json!({"models": state.pool.readings(Instant::now()), "open": open, "given_up": given_up})
    }

    fn records(&self) -> Option<Arc<dyn RecordStore>> {
        let keeps = self.live.load().router.records();
        keeps.then(|| Arc::clone(&self.records.store))
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.records.settled())
    }

    fn models(&self) -> Value {
        self.live.load().models()
    }
}
