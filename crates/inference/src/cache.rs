//! Results of windows that were read before: agents send their whole history with every turn.
//!
//! Keys are made with a secret of the process, so that nobody can prepare collisions. Results of
//! one model never answer for another, and the cache outlives reloads, as it belongs to the engine.

use crate::ask::Entity;
use lru::LruCache;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// What is known of a window.
#[derive(Debug, Default)]
pub struct Known {
    /// The graph's pooled output.
    pub pooled: Box<[f32]>,
    /// Static embeddings of the window's text, one after the other; computed when a head first
    /// asks.
    pub statics: OnceLock<Box<[f32]>>,
}

/// Identity of a window under a model, or of a tagger's findings in it.
pub type Key = u128;

/// Makes keys.
#[derive(Debug, Clone, Copy)]
pub struct Secret(u64, u64);

impl Secret {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        let seed = || getrandom::u64().unwrap_or_else(|_| fallback());
        Self(seed(), seed())
    }

    /// The key of these parts. Their lengths count, so that parts do not run into each other.
    #[must_use]
    pub fn key(self, parts: &[&[u8]]) -> Key {
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }
}

/// Without a source of randomness: the standard library's own seed.
fn fallback() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Bounds of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries.
    pub entries: usize,
    /// Bytes of all values.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entries: 16_384,
            bytes: 32 << 20,
        }
    }
}

/// Values by key, the longest unused leave first. A value is of a window, or of a tagger in a
/// window.
pub struct Cache {
    kept: Mutex<Kept>,
    bounds: Bounds,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
enum Value {
    Window(Arc<Known>),
    Entities(Arc<[Entity]>),
}

struct Kept {
    values: LruCache<Key, Value>,
    bytes: usize,
}

/// An entry's own cost: key, pointers, the list's links.
const OVERHEAD: usize = 128;
/// What the static embeddings of a window may add to it later.
const STATICS: usize = 512 * size_of::<f32>();

impl Cache {
    /// An empty cache. With no entries it keeps nothing.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let kept = Mutex::new(Kept {
            values: LruCache::unbounded(),
            bytes: 0,
        });
        Self {
            kept,
            bounds,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// What is known of a window.
    #[must_use]
    pub fn window(&self, key: Key) -> Option<Arc<Known>> {
        match self.get(key) {
            Some(Value::Window(known)) => Some(known),
            _ => None,
        }
    }

    /// What a tagger found.
    #[must_use]
    pub fn entities(&self, key: Key) -> Option<Arc<[Entity]>> {
        match self.get(key) {
            Some(Value::Entities(found)) => Some(found),
            _ => None,
        }
    }

    /// Keeps a window.
    pub fn keep_window(&self, key: Key, known: Arc<Known>) {
        self.keep(key, Value::Window(known));
    }

    /// Keeps what a tagger found.
    pub fn keep_entities(&self, key: Key, found: Arc<[Entity]>) {
        self.keep(key, Value::Entities(found));
    }

    /// Counts a window that need not run, or must.
    pub fn count(&self, hit: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Windows that needed no run, and that did.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (
            self.hits.load(Ordering::Relaxed),
            self.misses.load(Ordering::Relaxed),
        )
    }

    /// Entries and bytes now.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.kept
            .lock()
            .map_or((0, 0), |kept| (kept.values.len(), kept.bytes))
    }

    fn get(&self, key: Key) -> Option<Value> {
        self.kept
            .lock()
            .ok()
            .and_then(|mut kept| kept.values.get(&key).cloned())
    }

    fn keep(&self, key: Key, value: Value) {
        let Ok(mut kept) = self.kept.lock() else {
            return;
        };
        kept.bytes += value.bytes();
        if let Some((_, old)) = kept.values.push(key, value) {
            kept.bytes -= old.bytes();
        }
        while kept.values.len() > self.bounds.entries || kept.bytes > self.bounds.bytes {
            let Some((_, oldest)) = kept.values.pop_lru() else {
                break;
            };
            kept.bytes -= oldest.bytes();
        }
    }
}

impl Value {
    fn bytes(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Window(known) => known.pooled.len() * size_of::<f32>() + STATICS,
                Self::Entities(found) => size_of_val::<[Entity]>(found),
            }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Cache({:?})", self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(length: usize) -> Arc<Known> {
        Arc::new(Known {
            pooled: vec![1.0; length].into(),
            statics: OnceLock::new(),
        })
    }

    #[test]
    fn keeps_within_entries() {
        let cache = Cache::new(Bounds {
            entries: 2,
            bytes: usize::MAX,
        });
        (0..3).for_each(|key| cache.keep_window(key, window(4)));
        assert!(cache.window(0).is_none());
        assert!(cache.window(1).is_some() && cache.window(2).is_some());
    }

    #[test]
    fn keeps_within_bytes() {
        let one = Value::Window(window(100)).bytes();
        let cache = Cache::new(Bounds {
            entries: 100,
            bytes: 2 * one,
        });
        cache.keep_window(0, window(100));
        cache.keep_window(1, window(100));
        cache.keep_window(1, window(100));
        assert_eq!(cache.size(), (2, 2 * one));
        cache.keep_window(2, window(100));
        assert_eq!(cache.size(), (2, 2 * one));
        assert!(cache.window(0).is_none());
    }

    #[test]
    fn a_secret_makes_the_key() {
        let (one, other) = (Secret(1, 2), Secret(1, 3));
        assert_eq!(one.key(&[b"a", b"bc"]), one.key(&[b"a", b"bc"]));
        assert_ne!(one.key(&[b"a", b"bc"]), one.key(&[b"ab", b"c"]));
        assert_ne!(one.key(&[b"a"]), other.key(&[b"a"]));
    }
}
