//! Signed statements that come back to us through somebody else's hands: a turn state that a client
//! repeats, the credential of a call that goes back through the gateway.
//!
//! A credential is `base64url(statement)` + `.` + `base64url(HMAC-SHA256)`. It is not secret, only
//! unforgeable: what must not be read by its holder goes in as a [digest](Secret::digest). The
//! purpose is part of what is signed, so that a credential handed to a client is never one that the
//! gateway's internal listener accepts. It expires, and grants nothing by itself: boundaries and
//! abilities are still asked.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;

/// First byte of every statement; a change of layout takes the next number.
const VERSION: u8 = 1;

/// Longest credential that is looked at, bytes.
const LONGEST: usize = 4096;

/// Shortest secret that `check` lets pass, bytes.
pub const SHORTEST_SECRET: usize = 32;

/// What signs credentials, and what keyed digests are made with.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What a credential is for. One made for one purpose is void for any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// `x-codex-turn-state`: the client repeats it within a turn.
    TurnState = 1,
    /// A call of a multi-model run, back through the gateway.
    CallBack = 2,
}

/// What a credential states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The principal that it was made for; may be empty.
    pub principal: String,
    /// The recipe that was asked.
    pub recipe: String,
    /// The decision that won.
    pub decision: String,
    /// The model that was chosen.
    pub model: String,
    /// Calls that lie between the client and this one.
    pub depth: u8,
    /// Until when it holds, seconds since 1970.
    pub expires: u64,
}

/// Why a credential is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Void {
    /// It is no credential.
    #[error("malformed")]
    Malformed,
    /// The signature is not ours, or it was made for another purpose.
    #[error("forged")]
    Forged,
    /// It was ours once.
    #[error("expired")]
    Expired,
    /// It was made for somebody else.
    #[error("other_principal")]
    OtherPrincipal,
}

impl Void {
    /// All of them, for metrics.
    pub const ALL: [Self; 4] = [
        Self::Malformed,
        Self::Forged,
        Self::Expired,
        Self::OtherPrincipal,
    ];

    /// Returns the reason's name in metrics and traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::OtherPrincipal => "other_principal",
        }
    }
}

impl Secret {
    /// Wraps a configured secret.
    #[must_use]
    pub fn new(secret: impl Into<Box<[u8]>>) -> Self {
        Self(secret.into())
    }

    /// Makes a secret of this process alone.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0_u8; 32];
        if getrandom::fill(&mut bytes).is_err() {
            use std::hash::{BuildHasher as _, RandomState};
            // The keys of the standard library's hash maps come from the system as well.
            for (part, number) in bytes.chunks_exact_mut(8).zip(0_u8..) {
                part.copy_from_slice(&RandomState::new().hash_one(number).to_le_bytes());
            }
        }
        Self::new(bytes)
    }

    /// Signs a statement.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, claims: &Claims) -> String {
        let statement = claims.encode(purpose);
        let mut credential = BASE64.encode(&statement);
        credential.push('.');
        BASE64.encode_string(self.mac(&[&statement]), &mut credential);
        credential
    }

    /// Reads a credential that is ours, made for this purpose, for this principal, and still holds
    /// at `now`, seconds since 1970.
    ///
    /// # Errors
    /// If it is void.
    pub fn open(
        &self,
        purpose: Purpose,
        credential: &str,
        principal: &str,
        now: u64,
    ) -> Result<Claims, Void> {
        let claims = self.open_of_anyone(purpose, credential, now)?;
        if claims.principal == principal {
            Ok(claims)
        } else {
            Err(Void::OtherPrincipal)
        }
    }

    /// Opens a credential as [`open`](Self::open) does, where the credential itself names the
    /// principal.
    ///
    /// # Errors
    /// If it is void.
    pub fn open_of_anyone(
        &self,
        purpose: Purpose,
        credential: &str,
        now: u64,
    ) -> Result<Claims, Void> {
        let credential = Some(credential)
            .filter(|text| text.len() <= LONGEST)
            .ok_or(Void::Malformed)?;
        let (statement, signature) = credential.split_once('.').ok_or(Void::Malformed)?;
        let statement = BASE64.decode(statement).map_err(|_| Void::Malformed)?;
        let signature = BASE64.decode(signature).map_err(|_| Void::Malformed)?;
        self.keyed(&[&statement])
            .verify_slice(&signature)
            .map_err(|_| Void::Forged)?;
        let (of, claims) = Claims::decode(&statement).ok_or(Void::Malformed)?;
        if of != purpose as u8 {
            return Err(Void::Forged);
        }
        if claims.expires < now {
            Err(Void::Expired)
        } else {
            Ok(claims)
        }
    }

    /// Returns a keyed digest of several texts; nobody without the secret can make two that are
    /// equal, or tell what went in. `domain` keeps digests of different uses apart.
    #[must_use]
    pub fn digest(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let lengths: Vec<[u8; 8]> = parts
            .iter()
            .map(|part| (part.len() as u64).to_le_bytes())
            .collect();
        let mut all: Vec<&[u8]> = vec![b"digest\0", domain.as_bytes(), b"\0"];
        for (part, length) in parts.iter().zip(&lengths) {
            all.push(length);
            all.push(part);
        }
        self.mac(&all)
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.keyed(parts).finalize().into_bytes().into()
    }

    fn keyed(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // Any length of key is taken: the error type is empty in fact.
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(mac) => mac,
            Err(_) => Hmac::new(&Default::default()),
        };
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

impl Claims {
    fn encode(&self, purpose: Purpose) -> Vec<u8> {
        let mut out = vec![VERSION, purpose as u8, self.depth];
        out.extend(self.expires.to_le_bytes());
        for text in [&self.principal, &self.recipe, &self.decision, &self.model] {
            // A longer name than that is in no document; a cut one opens as another name and so
            // leads nowhere.
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            out.extend(length.to_le_bytes());
            out.extend(text.as_bytes().iter().take(length.into()));
        }
        out
    }

    fn decode(mut statement: &[u8]) -> Option<(u8, Self)> {
        let input = &mut statement;
        let &[version, purpose, depth] = take::<3>(input)?;
        let expires = u64::from_le_bytes(*take::<8>(input)?);
        let mut text = || {
            let length = usize::from(u16::from_le_bytes(*take::<2>(input)?));
            let (text, rest) = input.split_at_checked(length)?;
            *input = rest;
            String::from_utf8(text.to_vec()).ok()
        };
        let (principal, recipe, decision, model) = (text()?, text()?, text()?, text()?);
        let whole = version == VERSION && statement.is_empty();
        whole.then_some((
            purpose,
            Self {
                principal,
                recipe,
                decision,
                model,
                depth,
                expires,
            },
        ))
    }
}

fn take<'a, const N: usize>(input: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims() -> Claims {
        Claims {
            principal: "ada".to_owned(),
            recipe: "default".to_owned(),
            decision: "code".to_owned(),
            model: "large".to_owned(),
            depth: 1,
            expires: 1_000,
        }
    }

    #[test]
    fn opens_what_it_signed() {
        let secret = Secret::new(*b"0123456789abcdef0123456789abcdef");
        let credential = secret.sign(Purpose::CallBack, &claims());
        assert_eq!(
            secret.open(Purpose::CallBack, &credential, "ada", 1_000),
            Ok(claims())
        );
        assert_eq!(
            secret.open_of_anyone(Purpose::CallBack, &credential, 0),
            Ok(claims())
        );
        let check = |purpose, text: &str, principal, now, expected| {
            assert_eq!(
                secret.open(purpose, text, principal, now),
                Err(expected),
                "{text} {principal} {now}"
            );
        };
        check(Purpose::CallBack, &credential, "ada", 1_001, Void::Expired);
        check(
            Purpose::CallBack,
            &credential,
            "eve",
            1_000,
            Void::OtherPrincipal,
        );
        check(
            Purpose::CallBack,
            &credential,
            "",
            1_000,
            Void::OtherPrincipal,
        );
        check(Purpose::TurnState, &credential, "ada", 1_000, Void::Forged);
        check(Purpose::CallBack, "", "ada", 0, Void::Malformed);
        check(Purpose::CallBack, "a.b", "ada", 0, Void::Malformed);
        check(
            Purpose::CallBack,
            &"A".repeat(LONGEST + 1),
            "ada",
            0,
            Void::Malformed,
        );
        let other = Secret::new(*b"0123456789abcdef0123456789abcdeg");
        assert_eq!(
            other.open(Purpose::CallBack, &credential, "ada", 0),
            Err(Void::Forged)
        );
        assert_ne!(Secret::random().0, Secret::random().0);
    }

    #[test]
    fn digests_keep_parts_and_domains_apart() {
        let secret = Secret::new(*b"k");
        let digest = |domain, parts: &[&[u8]]| secret.digest(domain, parts);
        assert_ne!(digest("d", &[b"ab", b"c"]), digest("d", &[b"a", b"bc"]));
        assert_ne!(digest("d", &[b"ab"]), digest("e", &[b"ab"]));
        assert_eq!(digest("d", &[b"ab"]), digest("d", &[b"ab"]));
        assert_ne!(
            digest("d", &[b"ab"]),
            Secret::new(*b"l").digest("d", &[b"ab"])
        );
    }

    proptest! {
        #[test]
        fn no_changed_byte_opens(place in 0_usize..200, with in any::<u8>()) {
            let secret = Secret::new(*b"secret");
            let mut bytes = secret.sign(Purpose::TurnState, &claims()).into_bytes();
            let place = place % bytes.len();
            prop_assume!(bytes[place] != with);
            bytes[place] = with;
            if let Ok(text) = String::from_utf8(bytes) {
                prop_assert!(secret.open(Purpose::TurnState, &text, "ada", 0).is_err());
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Secret::random().open_of_anyone(Purpose::TurnState, &text, 0).is_err());
            drop(Claims::decode(&bytes));
        }
    }
}
