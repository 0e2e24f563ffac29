//! Requests that can still be judged, and who may judge them.
//!
//! A request is known by its `x-request-id` together with its caller: an id of another caller's
//! request finds nothing, so nobody learns which ids exist. Operators find the last request of an
//! id. Each of a request's outcomes has a key, and the same key counts once. Bounded: the request
//! that was longest untouched leaves.

use super::rows::{Place, Verdict};
use crate::key::digest;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Requests at most.
pub(super) const REQUESTS: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// Outcomes of one request at most.
const OUTCOMES: usize = 16;
/// Longer ids are not remembered, bytes.
const ID_MAX: usize = 128;

/// A caller's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey {
    own: u128,
    id: u128,
}

impl RequestKey {
    /// Returns the key of a request id (visible ASCII, 128 bytes at most) and its caller; empty if
    /// nobody is authenticated.
    #[must_use]
    pub fn of(id: &str, caller: &str) -> Option<Self> {
        let sane =
            !id.is_empty() && id.len() <= ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
        sane.then(|| Self {
            own: digest(&["request", id, caller]),
            id: digest(&["id", id]),
        })
    }
}

/// The one who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge<'a> {
    /// An operator, who may judge every request.
    Operator,
    /// A caller, who may judge his own.
    Caller(&'a str),
}

/// An outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement<'a> {
    /// The request's id.
    pub request: &'a str,
    /// The one who judges.
    pub judge: Judge<'a>,
    /// What the answer was found to be.
    pub verdict: Verdict,
    /// How much it counts: as its integer part, once at least.
    pub score: f64,
    /// The model that is meant, if said.
    pub model: Option<&'a str>,
    /// Names the outcome; `None` allows one for each verdict.
    pub key: Option<&'a str>,
}

impl Judgement<'_> {
    /// Returns how often it counts.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1 to 100"
    )]
    pub fn times(&self) -> u64 {
        self.score.clamp(1.0, 100.0) as u64
    }
}

/// Why an outcome does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJudged {
    /// No request of that id is known, or it is another caller's.
    #[error("no request of that id can be judged: it is unknown, too old, or another caller's")]
    Unknown,
    /// The request was answered by another model.
    #[error("the request was answered by {model:?}, not by the named model")]
    OtherModel {
        /// The model that answered.
        model: String,
    },
    /// The key was used for another verdict.
    #[error("the idempotency key was used for another verdict on this request")]
    KeyReused,
    /// The request has outcomes enough.
    #[error("the request has its {OUTCOMES} outcomes already")]
    TooMany,
}

/// What an outcome did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Accepted {
    /// It counts, for the model there.
    First(Place),
    /// It counted before.
    Again,
}

#[derive(Debug)]
struct Kept {
    place: Place,
    at: Instant,
    outcomes: Vec<(u128, Verdict)>,
}

/// All requests that can be judged.
#[derive(Debug)]
pub(super) struct Requests {
    kept: LruCache<u128, Kept>,
    /// The last request of an id, by any caller.
    last: LruCache<u128, u128>,
}

impl Requests {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self {
            kept: LruCache::new(most),
            last: LruCache::new(most),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Records a request that was sent. One that is sent again, to another model, loses its
    /// outcomes.
    pub(super) fn add(&mut self, key: RequestKey, place: Place, now: Instant) {
        self.kept.put(
            key.own,
            Kept {
                place,
                at: now,
                outcomes: Vec::new(),
            },
        );
        self.last.put(key.id, key.own);
    }

    pub(super) fn judge(
        &mut self,
        judgement: &Judgement<'_>,
        ttl: Duration,
        now: Instant,
    ) -> Result<Accepted, NotJudged> {
        let own = match judgement.judge {
            Judge::Caller(caller) => RequestKey::of(judgement.request, caller).map(|key| key.own),
            Judge::Operator => RequestKey::of(judgement.request, "")
                .and_then(|key| self.last.get(&key.id).copied()),
        };
        let kept = own.and_then(|own| self.kept.get_mut(&own));
        let young = |kept: &&mut Kept| now.saturating_duration_since(kept.at) <= ttl;
        let kept = kept.filter(young).ok_or(NotJudged::Unknown)?;
        if judgement
            .model
            .is_some_and(|model| *model != *kept.place.model)
        {
            return Err(NotJudged::OtherModel {
                model: kept.place.model.to_string(),
            });
        }
        let key = judgement.key.map_or_else(
            || digest(&["verdict", judgement.verdict.as_str()]),
            |key| digest(&["key", key]),
        );
        match kept.outcomes.iter().find(|(other, _)| *other == key) {
            Some((_, verdict)) if *verdict == judgement.verdict => Ok(Accepted::Again),
            Some(_) => Err(NotJudged::KeyReused),
            None if kept.outcomes.len() >= OUTCOMES => Err(NotJudged::TooMany),
            None => {
                kept.outcomes.push((key, judgement.verdict));
                Ok(Accepted::First(kept.place.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn place(model: &str) -> Place {
        Place {
            recipe: "r".into(),
            decision: "d".into(),
            tier: 1,
            model: model.into(),
        }
    }

    fn judgement<'a>(request: &'a str, judge: Judge<'a>) -> Judgement<'a> {
        Judgement {
            request,
            judge,
            verdict: Verdict::Good,
            score: 0.0,
            model: None,
            key: None,
        }
    }

    #[test]
    fn only_the_caller_or_an_operator() {
        let mut all = Requests::new(REQUESTS);
        let now = Instant::now();
        let mut add =
            |id, caller, model| all.add(RequestKey::of(id, caller).unwrap(), place(model), now);
        add("id-1", "ada", "small");
        add("id-1", "bob", "large");
        add("id-2", "", "small");
        let mut check = |id, judge, expected: Option<&str>| {
            let found = match all.judge(&judgement(id, judge), DAY, now) {
                Ok(Accepted::First(place)) => Some(place.model.to_string()),
                Ok(Accepted::Again) => Some("again".to_owned()),
                Err(error) => {
                    assert_eq!(error, NotJudged::Unknown);
                    None
                }
            };
            assert_eq!(found.as_deref(), expected, "{id} {judge:?}");
        };
        check("id-1", Judge::Caller("ada"), Some("small"));
        check("id-1", Judge::Caller("eve"), None);
        check("id-1", Judge::Caller(""), None);
        check("id-1", Judge::Operator, Some("large"));
        check("id-1", Judge::Caller("bob"), Some("again"));
        check("id-2", Judge::Caller(""), Some("small"));
        check("id-3", Judge::Operator, None);
        check("", Judge::Operator, None);
    }

    #[test]
    fn a_key_counts_once() {
        let mut all = Requests::new(REQUESTS);
        let now = Instant::now();
        all.add(RequestKey::of("id", "").unwrap(), place("small"), now);
        let mut check = |key: Option<&str>, verdict, expected: Result<bool, NotJudged>| {
            let judgement = Judgement {
                key,
                verdict,
                ..judgement("id", Judge::Operator)
            };
            let found = all
                .judge(&judgement, DAY, now)
                .map(|accepted| accepted == Accepted::Again);
            assert_eq!(found, expected, "{key:?} {verdict:?}");
        };
        check(Some("a"), Verdict::Good, Ok(false));
        check(Some("a"), Verdict::Good, Ok(true));
        check(Some("a"), Verdict::Failed, Err(NotJudged::KeyReused));
        check(Some("b"), Verdict::Good, Ok(false));
        check(None, Verdict::Good, Ok(false));
        check(None, Verdict::Good, Ok(true));
        check(None, Verdict::Failed, Ok(false));
        for index in 0..12 {
            check(Some(&index.to_string()), Verdict::Good, Ok(false));
        }
        check(Some("17th"), Verdict::Good, Err(NotJudged::TooMany));
    }

    #[test]
    fn age_and_model() {
        let mut all = Requests::new(REQUESTS);
        let now = Instant::now();
        all.add(RequestKey::of("id", "").unwrap(), place("small"), now);
        let other = Judgement {
            model: Some("large"),
            ..judgement("id", Judge::Operator)
        };
        assert_eq!(
            all.judge(&other, DAY, now),
            Err(NotJudged::OtherModel {
                model: "small".into()
            })
        );
        let late = now + DAY + Duration::from_secs(1);
        assert_eq!(
            all.judge(&judgement("id", Judge::Operator), DAY, late),
            Err(NotJudged::Unknown)
        );
    }

    #[test]
    fn bounded_under_churn() {
        let mut all = Requests::new(NonZeroUsize::new(20).unwrap());
        for index in 0..5_000 {
            all.add(
                RequestKey::of(&format!("id-{index}"), "ada").unwrap(),
                place("m"),
                Instant::now(),
            );
            assert!(all.len() <= 20 && all.last.len() <= 20);
        }
        let mut judge = |id| all.judge(&judgement(id, Judge::Caller("ada")), DAY, Instant::now());
        assert!(judge("id-4999").is_ok() && judge("id-4980").is_ok());
        assert_eq!(judge("id-4979"), Err(NotJudged::Unknown));
    }

    #[test]
    fn scores_weigh_by_their_integer_part() {
        for (score, times) in [
            (0.0, 1),
            (0.9, 1),
            (1.9, 1),
            (2.0, 2),
            (3.7, 3),
            (1e9, 100),
            (-4.0, 1),
        ] {
            let judgement = Judgement {
                score,
                ..judgement("id", Judge::Operator)
            };
            assert_eq!(judgement.times(), times, "{score}");
        }
    }
}
