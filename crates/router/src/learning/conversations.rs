//! What is remembered of a conversation between its requests: model, turns, switches, warmth of the
//! cache, time.
//!
//! Bounded: the one that was longest unused leaves. Nothing of what clients call their
//! conversations is kept, only a digest that holds the recipe and the authenticated caller as well,
//! so that nobody reaches another's conversation by guessing its name.

use super::protection::Scope;
use lru::LruCache;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Conversations at most.
pub(super) const CONVERSATIONS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// Names a conversation or, under the scope `session`, a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationKey(pub u128);

impl ConversationKey {
    /// The key of a caller's conversation in a recipe. `None` if the client does not name what the
    /// scope needs.
    #[must_use]
    pub fn of(
        recipe: &str,
        caller: &str,
        scope: Scope,
        session: &str,
        conversation: &str,
    ) -> Option<Self> {
        let (session, conversation) = (session.trim(), conversation.trim());
        match scope {
            _ if session.is_empty() => None,
            Scope::Session => Some(Self(digest(&["session", recipe, caller, session]))),
            Scope::Conversation if conversation.is_empty() => None,
            Scope::Conversation => Some(Self(digest(&[
                "conversation",
                recipe,
                caller,
                session,
                conversation,
            ]))),
        }
    }
}

/// A digest of parts. Their lengths count, so that parts do not run into each other.
pub(super) fn digest(parts: &[&str]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let whole = hash.finalize();
    whole
        .iter()
        .take(16)
        .fold(0, |key, &byte| key << 8 | u128::from(byte))
}

/// What is remembered of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its model, as the policy names it.
    pub model: Arc<str>,
    /// Requests so far.
    pub turns: u64,
    /// Switches of model so far.
    pub switches: u64,
    /// Share of the last prompt that was in the model's cache, 0 to 1; `None` if unknown.
    pub warmth: Option<f64>,
    /// Time since the last request.
    pub age: Duration,
}

#[derive(Debug)]
struct Kept {
    record: Record,
    at: Instant,
}

/// All conversations.
#[derive(Debug)]
pub(super) struct Conversations {
    kept: LruCache<ConversationKey, Kept>,
    /// Those that no other replica knows as they are now.
    changed: HashSet<ConversationKey>,
}

impl Conversations {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self {
            kept: LruCache::new(most),
            changed: HashSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What is known, unless it is older than `ttl`.
    pub(super) fn get(
        &mut self,
        key: ConversationKey,
        ttl: Duration,
        now: Instant,
    ) -> Option<Record> {
        let kept = self.kept.get(&key)?;
        let age = now.saturating_duration_since(kept.at);
        if age > ttl {
            self.drop(key);
            return None;
        }
        Some(Record {
            age,
            ..kept.record.clone()
        })
    }

    /// A request of the conversation goes to this model.
    pub(super) fn turn(&mut self, key: ConversationKey, model: &Arc<str>, now: Instant) {
        self.changed.insert(key);
        if let Some(kept) = self.kept.get_mut(&key) {
            let record = &mut kept.record;
            if record.model != *model {
                record.switches += 1;
                record.warmth = None;
                record.model = Arc::clone(model);
            }
            record.turns += 1;
            kept.at = now;
            return;
        }
        let record = Record {
            model: Arc::clone(model),
            turns: 1,
            switches: 0,
            warmth: None,
            age: Duration::ZERO,
        };
        self.put(key, Kept { record, at: now });
    }

    /// An answer of this model told how much of the prompt its cache held.
    pub(super) fn warm(&mut self, key: ConversationKey, model: &str, warmth: f64) {
        // An answer of the model that was left says nothing of the new one's cache.
        if let Some(kept) = self
            .kept
            .peek_mut(&key)
            .filter(|kept| *kept.record.model == *model)
        {
            kept.record.warmth = Some(warmth.clamp(0.0, 1.0));
            self.changed.insert(key);
        }
    }

    /// What another replica knows; the younger record wins.
    pub(super) fn adopt(&mut self, key: ConversationKey, record: Record, now: Instant) {
        let known = self
            .kept
            .peek(&key)
            .map(|kept| now.saturating_duration_since(kept.at));
        if known.is_some_and(|age| age <= record.age) {
            return;
        }
        if let Some(at) = now.checked_sub(record.age) {
            self.put(key, Kept { record, at });
        }
    }

    /// What other replicas do not know yet. It counts as told.
    pub(super) fn take_changed(&mut self, now: Instant) -> Vec<(ConversationKey, Record)> {
        let changed = std::mem::take(&mut self.changed);
        let kept = |key| {
            let kept = self.kept.peek(&key)?;
            let age = now.saturating_duration_since(kept.at);
            Some((
                key,
                Record {
                    age,
                    ..kept.record.clone()
                },
            ))
        };
        changed.into_iter().filter_map(kept).collect()
    }

    /// Telling failed.
    pub(super) fn put_back(&mut self, keys: impl Iterator<Item = ConversationKey>) {
        let kept = &self.kept;
        self.changed.extend(keys.filter(|key| kept.contains(key)));
    }

    fn put(&mut self, key: ConversationKey, kept: Kept) {
        if let Some((left, _)) = self.kept.push(key, kept)
            && left != key
        {
            self.changed.remove(&left);
        }
    }

    fn drop(&mut self, key: ConversationKey) {
        self.kept.pop(&key);
        self.changed.remove(&key);
    }

    #[cfg(test)]
    fn pending(&self) -> usize {
        self.changed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn key(name: u128) -> ConversationKey {
        ConversationKey(name)
    }

    #[test]
    fn identity_holds_recipe_caller_and_names() {
        let of = |recipe, caller, scope, session, conversation| {
            ConversationKey::of(recipe, caller, scope, session, conversation)
        };
        use Scope::{Conversation, Session};
        assert_eq!(of("r", "ada", Session, " ", "c"), None);
        assert_eq!(of("r", "ada", Conversation, "s", ""), None);
        let keys = [
            of("r", "ada", Session, "s", ""),
            of("r", "ada", Conversation, "s", "c"),
            of("r", "bob", Conversation, "s", "c"),
            of("q", "ada", Conversation, "s", "c"),
            of("r", "ada", Conversation, "sc", ""),
            of("r", "ada", Conversation, "s", "d"),
            of("r", "adas", Conversation, "c", "c"),
        ];
        let different: HashSet<_> = keys.iter().flatten().collect();
        assert_eq!(different.len(), 6);
        assert_eq!(
            of("r", "ada", Session, "s", "x"),
            of("r", "ada", Session, " s ", "y")
        );
    }

    #[test]
    fn turns_switches_and_warmth() {
        let mut all = Conversations::new(CONVERSATIONS);
        let now = Instant::now();
        let (small, large): (Arc<str>, Arc<str>) = ("small".into(), "large".into());
        all.turn(key(1), &small, now);
        all.warm(key(1), "small", 0.75);
        all.turn(key(1), &small, now);
        let found = all.get(key(1), DAY, now + Duration::from_secs(5)).unwrap();
        let expected = Record {
            model: small.clone(),
            turns: 2,
            switches: 0,
            warmth: Some(0.75),
            age: Duration::from_secs(5),
        };
        assert_eq!(found, expected);
        all.turn(key(1), &large, now);
        all.warm(key(1), "small", 0.9);
        let found = all.get(key(1), DAY, now).unwrap();
        assert_eq!(
            (found.switches, found.warmth, &*found.model),
            (1, None, "large")
        );
        assert_eq!(
            all.get(key(1), DAY, now + DAY + Duration::from_secs(1)),
            None
        );
        assert_eq!((all.len(), all.pending()), (0, 0));
    }

    #[test]
    fn bounded_under_churn() {
        let mut all = Conversations::new(NonZeroUsize::new(50).unwrap());
        let (model, now): (Arc<str>, _) = ("m".into(), Instant::now());
        for name in 0..10_000 {
            all.turn(key(name), &model, now);
            all.turn(key(0), &model, now);
            assert!(all.len() <= 50 && all.pending() <= 50);
        }
        assert_eq!(
            all.get(key(0), DAY, now).unwrap().turns,
            10_001,
            "what is used stays"
        );
    }

    #[test]
    fn the_younger_record_wins() {
        let mut all = Conversations::new(CONVERSATIONS);
        let now = Instant::now() + DAY;
        let model: Arc<str> = "m".into();
        all.turn(key(1), &model, now - Duration::from_secs(10));
        let record = |turns, seconds| Record {
            model: model.clone(),
            turns,
            switches: 0,
            warmth: None,
            age: Duration::from_secs(seconds),
        };
        all.adopt(key(1), record(7, 11), now);
        assert_eq!(all.get(key(1), DAY, now).unwrap().turns, 1);
        all.adopt(key(1), record(7, 9), now);
        assert_eq!(all.get(key(1), DAY, now).unwrap(), record(7, 9));
        let told = all.take_changed(now);
        assert_eq!(told, [(key(1), record(7, 9))]);
        assert_eq!(all.take_changed(now), []);
        all.put_back(told.into_iter().map(|(key, _)| key));
        assert_eq!(all.take_changed(now).len(), 1);
    }
}
