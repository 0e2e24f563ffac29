//! State that requests share and that outlives them: pools, sessions, experience, requests under
//! way.
//!
//! All of it is keyed by names of the document, bounded, and survives a reload. A request leaves a
//! trace here twice: when it is sent ([`begin`](SharedState::begin)) and when its answer is known
//! ([`end`](SharedState::end)). The parts do not know each other; here each gets the values that it
//! needs.

use crate::credential::Secret;
use crate::dispatch::{Dispatch, Dispatches, Ended};
use crate::learning::Experience;
use crate::objects::Objects;
use crate::session::{Sessions, settings};
use crate::{SharedStore, StoreError};
use selection::card::ModelDescriptions;
use selection::forecast::Lengths;
use selection::pool::{self, Pool, Share};
use selection::served::Served;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The state that outlives requests and generations.
#[derive(Debug, Default)]
pub struct SharedState {
    /// State of the models' pools.
    pub pool: Pool,
    /// Sessions and their models.
    pub sessions: Sessions,
    /// Objects that providers keep, and their models.
    pub objects: Objects,
    /// What outcomes have taught.
    pub experience: Experience,
    /// How long answers are.
    pub lengths: Lengths,
    /// Requests under way.
    pub dispatches: Dispatches,
    secret: OnceLock<Secret>,
}

impl SharedState {
    /// Returns the secret of this process alone, for documents that configure none.
    pub fn secret(&self) -> Secret {
        self.secret
            .get_or_init(|| {
                tracing::info!(
                    "no secret is configured; turn states and credentials hold in this process only"
                );
                Secret::random()
            })
            .clone()
    }

    /// Takes over names, settings and limits of a document that begins to serve. State stays.
    pub fn follow(
        &self,
        models: &dyn ModelDescriptions,
        pool: pool::Settings,
        sessions: &settings::Sessions,
    ) {
        self.pool.configure(pool, models);
        self.sessions.limit(sessions.capacity);
    }

    /// Records that a request goes on to a model.
    pub fn begin(&self, dispatch: Dispatch) {
        if let Some(record) = &dispatch.learning {
            self.experience.sent(record, dispatch.at);
        }
        let model = self.pool.model(&dispatch.model);
        self.dispatches.begin(dispatch, model);
    }

    /// Records what is known of a request's answer before its end, which somebody else will report.
    pub fn note(&self, id: u64, part: &Served) {
        self.dispatches.note(id, part);
    }

    /// Records the end of a request. Only the first report counts.
    pub fn end(&self, id: u64, served: &Served) {
        self.end_at(id, served, Instant::now());
    }

    fn end_at(&self, id: u64, served: &Served, now: Instant) -> Option<Served> {
        let Ended {
            dispatch,
            model,
            served,
        } = self.dispatches.end(id, served)?;
        self.pool
            .record(&model, dispatch.id, dispatch.at, &served, now);
        if let (Some(ticket), Some(tokens)) = (dispatch.session, served.tokens) {
            self.sessions.answered(ticket, &dispatch.model, tokens);
        }
        if let Some(record) = &dispatch.learning {
            self.experience.observe(record, &served);
        }
        if let Some(decision) = &dispatch.decision {
            self.lengths.record(decision, &dispatch.model, &served);
        }
        Some(served)
    }

    /// Forgets a request whose end nobody will report, or whose end says nothing of its model: its
    /// client left, or the gateway refused it.
    pub fn forget(&self, id: u64) {
        self.dispatches.forget(id);
    }

    /// Gives up what is overdue: requests beyond their lease, figures of others that were not
    /// renewed. To be called about once a second.
    pub fn tick(&self, now: Instant) {
        self.dispatches.expire(now);
        self.pool.tick(now);
    }
}

/// What an exchange with other replicas brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// Replicas whose share was taken in.
    pub replicas: usize,
    /// Replicas of another version, whose share cannot be read.
    pub unreadable: usize,
}

impl SharedState {
    /// Tells other replicas this one's share of the pools, and takes in theirs. A share counts for
    /// `keep`.
    ///
    /// # Errors
    /// The store is of no use; what others told before counts until its time is over.
    pub async fn exchange_pool(
        &self,
        store: &dyn SharedStore,
        replica: &str,
        keep: Duration,
        deadline: Instant,
    ) -> Result<Exchanged, StoreError> {
        let own = Share::encode(&self.pool.export());
        let others = store.publish("pool", replica, own, keep, deadline).await?;
        let shares: Vec<Vec<Share>> = others
            .iter()
            .filter_map(|share| Share::decode(share))
            .collect();
        let exchanged = Exchanged {
            replicas: shares.len(),
            unreadable: others.len() - shares.len(),
        };
        self.pool
            .import(shares.into_iter().flatten(), Instant::now() + keep);
        Ok(exchanged)
    }
}

#[cfg(test)]
mod tests;
