//! Keys of conversations. Nothing of what clients call their conversations is kept, only a digest
//! that holds the recipe and the caller as well, so that nobody reaches another's conversation by
//! guessing its name.
//!
//! Where a secret keys the digest, a fast one does ([`Keyed`]); without a secret anybody could
//! search for two names of one digest, so it must be a [cryptographic](digest) one. Both hold the
//! length of every part, so that parts do not run into each other.

use sha2::{Digest as _, Sha256};
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;

/// Names a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationKey(pub u128);

/// Makes digests that nobody without the secret can make.
#[derive(Debug, Clone, Copy)]
pub struct Keyed([u8; 16]);

impl Keyed {
    /// Keys digests by the first half of `key`.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(key.first_chunk::<16>().unwrap_or(&[0; 16]));
        Self(half)
    }

    /// Returns the digest of parts.
    #[must_use]
    pub fn digest(&self, parts: &[&str]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        hasher.finish128().as_u128()
    }
}

/// Returns the digest of parts that every process makes alike.
#[must_use]
pub fn digest(parts: &[&str]) -> u128 {
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
