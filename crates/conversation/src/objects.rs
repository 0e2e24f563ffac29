//! Objects that providers keep: stored responses and batches of requests. Each lives at the backend
//! that made it, so what is asked about it later must go there.
//!
//! Which that is is known of the ids that answers brought, for the caller who got them, for 30 days:
//! no provider keeps objects longer. They lie in a bounded table, and in the store that replicas
//! share their sessions by.

use crate::session::identity::SessionKeyer;
use crate::{ConversationKey, Conversations, SharedStore, Step, StoreError, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Objects whose model is known; the longest unused is forgotten first.
const CAPACITY: usize = 100_000;

/// How long the model of an object is known.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The models of objects; they outlive reloads.
#[derive(Debug)]
pub struct Objects {
    conversations: Conversations,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            conversations: Conversations::new("object", CAPACITY),
        }
    }
}

impl Objects {
    /// Shares what is known with other replicas.
    pub fn share(&self, store: Arc<dyn SharedStore>) {
        self.conversations.share(store, KEPT);
    }

    /// Records the model of an object.
    pub fn keep(&self, key: ConversationKey, model: &str, now: Timestamp) {
        let step = Step {
            thread: 0,
            model,
            prices: None,
            user_turn: false,
            restarts: true,
            switched: None,
            forced: 0,
            billed: 0,
            least: 0,
            now,
        };
        self.conversations.note(key, &step);
        self.conversations.save_soon(key);
    }

    /// Finds the model of an object, here or in the shared store.
    ///
    /// # Errors
    /// This process does not know it, and the store is of no use.
    pub async fn owner(
        &self,
        key: ConversationKey,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Option<Arc<str>>, StoreError> {
        if let Some(model) = self.known(key, now) {
            return Ok(Some(model));
        }
        self.conversations.refresh(key, deadline).await?;
        Ok(self.known(key, now))
    }

    fn known(&self, key: ConversationKey, now: Timestamp) -> Option<Arc<str>> {
        let record = self.conversations.find(key, 0, now).record?;
        (now.since(record.at) <= KEPT).then_some(record.model)
    }
}

/// Records the objects that an answer brings.
#[derive(Debug, Clone)]
pub struct Keeper {
    keyer: SessionKeyer,
    principal: u128,
    model: Arc<str>,
}

impl Keeper {
    /// Makes the keeper of an answer that `model` gives to this caller.
    #[must_use]
    pub fn new(keyer: &SessionKeyer, principal: u128, model: &Arc<str>) -> Self {
        Self {
            keyer: keyer.clone(),
            principal,
            model: Arc::clone(model),
        }
    }

    /// Records the id of an object.
    pub fn keep(&self, objects: &Objects, id: &str) {
        let key = self.keyer.object(self.principal, id);
        objects.keep(key, &self.model, Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;
    use crate::store::InMemory;
    use futures_util::FutureExt;

    #[test]
    fn an_object_is_known_to_its_caller_for_a_month_at_every_replica() {
        let store = Arc::new(InMemory::default());
        let (objects, replica) = (Objects::default(), Objects::default());
        objects.share(store.clone());
        replica.share(store.clone());
        let keyer = SessionKeyer::new(Secret::new(*b"0123456789abcdef0123456789abcdef"));
        let now = Timestamp::from_seconds(1_800_000_000);
        let later = |days: u64| Timestamp(now.0 + days * 24 * 3_600_000);
        objects.keep(keyer.object(1, "resp_1"), "large", now);
        let check = |objects: &Objects, principal, id, at, expected: Option<&str>| {
            let key = keyer.object(principal, id);
            let owner = objects.owner(key, at, Instant::now()).now_or_never();
            let found = owner.unwrap().ok().flatten();
            assert_eq!(found.as_deref(), expected, "{principal} {id}");
        };
        check(&objects, 1, "resp_1", later(30), Some("large"));
        check(&objects, 1, "resp_1", later(31), None);
        check(&objects, 2, "resp_1", now, None);
        check(&objects, 1, "resp_2", now, None);
        check(&replica, 1, "resp_1", now, Some("large"));
        store.set_away(true);
        check(&replica, 1, "resp_1", now, Some("large"));
        check(&replica, 1, "resp_2", now, None);
    }
}
