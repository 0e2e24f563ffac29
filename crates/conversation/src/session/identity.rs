//! Which session a request belongs to.
//!
//! Clients spell it in many ways; the first that is there counts: the configured headers, the
//! conversation or the response that a Responses request goes on from, the session id inside
//! `metadata.user_id`, `prompt_cache_key`. Without any of them it is a fingerprint of system prompt
//! and first user message, which two conversations may share: such a session stays in tool loops
//! only. `x-request-id` names a request, not a session.
//!
//! All of it is chosen by the client, so it only counts together with who calls: the authenticated
//! principal, or else the key that the request carries. What comes out is a keyed digest, so nobody
//! can aim at somebody else's session.

use crate::ConversationKey;
use crate::credential::Secret;
use crate::key::Keyed;
use dialects::Prompt;
use selection::providers::CLIENT_CREDENTIALS;
use signals::families::Identity;

/// Headers of a request that say something of its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionHints<'a> {
    /// The first configured header that is there.
    pub session: Option<&'a str>,
    /// `x-inferoa-request-class`.
    pub class: Option<&'a str>,
    /// `x-codex-turn-state`.
    pub turn_state: Option<&'a str>,
    /// The client's own key: stands for the principal where nobody is authenticated. Only a keyed
    /// digest of it is kept.
    pub key: Option<&'a str>,
}

impl<'a> SessionHints<'a> {
    /// Reads the headers; `get` finds one by its lower-case name.
    #[must_use]
    pub fn of(identity_headers: &[String], get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let present = |name: &str| get(name).map(str::trim).filter(|value| !value.is_empty());
        Self {
            session: identity_headers.iter().find_map(|name| present(name)),
            class: present("x-inferoa-request-class"),
            turn_state: present("x-codex-turn-state"),
            key: CLIENT_CREDENTIALS.iter().find_map(|name| present(name)),
        }
    }
}

/// What identifies a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A header.
    Header,
    /// `conversation`.
    Conversation,
    /// `previous_response_id`.
    Response,
    /// `metadata.user_id`.
    UserId,
    /// `prompt_cache_key`.
    CacheKey,
    /// System prompt and first user message.
    Fingerprint,
}

impl Source {
    /// Returns whether the client says which session it is, so that two conversations do not share
    /// it by chance.
    #[must_use]
    pub fn is_explicit(self) -> bool {
        self != Self::Fingerprint
    }
}

/// A request's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRef {
    /// Its key.
    pub key: ConversationKey,
    /// What identifies it.
    pub source: Source,
    /// Distinguishes the threads of one session, as an agent and those that it starts.
    pub thread: u32,
}

/// Makes the keys of sessions.
#[derive(Debug, Clone)]
pub struct SessionKeyer {
    secret: Secret,
    keyed: Keyed,
}

impl SessionKeyer {
    /// Keys digests by this secret.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        let keyed = Keyed::new(&secret.digest("session", &[]));
        Self { secret, keyed }
    }

    /// Returns the secret.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns who calls, as a digest: the authenticated principal, or else the key that the
    /// request carries.
    #[must_use]
    pub fn principal(&self, identity: &Identity, hints: &SessionHints<'_>) -> u128 {
        match (identity.user.as_str(), hints.key) {
            ("", Some(key)) => self.keyed.digest(&["key", key]),
            (user, _) => self.keyed.digest(&["user", user]),
        }
    }

    /// Returns the session of a request.
    #[must_use]
    pub fn session(
        &self,
        principal: u128,
        recipe: &str,
        prompt: &Prompt,
        hints: &SessionHints<'_>,
    ) -> SessionRef {
        let (source, id) = source(prompt, hints);
        let principal = principal.to_string();
        // Hashed once: a user's first words may be most of the request.
        let first = self.keyed.digest(&[prompt.first_user()]);
        let key = match source {
            Source::Fingerprint => self.keyed.digest(&[
                &principal,
                recipe,
                "fingerprint",
                prompt.system(),
                &first.to_string(),
            ]),
            // A response and its conversation are different kinds of name; headers and body members
            // are not.
            Source::Response => self.keyed.digest(&[&principal, recipe, "response", id]),
            _ => self.keyed.digest(&[&principal, recipe, "session", id]),
        };
        SessionRef {
            key: ConversationKey(key),
            source,
            thread: first as u32,
        }
    }

    /// Returns the key of an object that a provider keeps for a caller.
    #[must_use]
    pub fn object(&self, principal: u128, id: &str) -> ConversationKey {
        let principal = principal.to_string();
        ConversationKey(self.keyed.digest(&[&principal, "object", id]))
    }

    /// Returns the key under which a response is remembered, so that the request that goes on from
    /// it is found.
    #[must_use]
    pub fn response(&self, principal: u128, recipe: &str, id: &str) -> ConversationKey {
        ConversationKey(
            self.keyed
                .digest(&[&principal.to_string(), recipe, "response", id]),
        )
    }
}

/// Returns the first source of the request that names a session, and the name.
/// Returns the name that the client gives its session, and where it does; `None` where it names none.
#[must_use]
pub fn named<'a>(prompt: &'a Prompt, hints: &SessionHints<'a>) -> Option<(Source, &'a str)> {
    Some(source(prompt, hints)).filter(|(source, _)| source.is_explicit())
}

fn source<'a>(prompt: &'a Prompt, hints: &SessionHints<'a>) -> (Source, &'a str) {
    let continuity = &prompt.continuity;
    let user_id = || {
        prompt
            .metadata
            .get("user_id")
            .map(String::as_str)
            .filter(|id| !id.trim().is_empty())
    };
    let sources = [
        (Source::Header, hints.session),
        (Source::Conversation, continuity.conversation.as_deref()),
        (Source::Response, continuity.previous_response.as_deref()),
        (Source::UserId, user_id().map(session_in)),
        (Source::CacheKey, continuity.cache_key.as_deref()),
    ];
    let found = sources
        .into_iter()
        .find_map(|(source, id)| Some((source, id?)));
    found.unwrap_or((Source::Fingerprint, ""))
}

/// Returns the session id of a `user_id`. Claude Code writes a JSON object there, other clients a
/// plain id. The session id is cut out as it stands there: only whether two are equal matters.
fn session_in(user_id: &str) -> &str {
    #[derive(serde::Deserialize)]
    struct Claude<'a> {
        #[serde(borrow)]
        session_id: Option<&'a str>,
    }
    let parsed = serde_json::from_str::<Claude<'_>>(user_id).ok();
    parsed
        .and_then(|parsed| parsed.session_id)
        .filter(|id| !id.is_empty())
        .unwrap_or(user_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialects::Continuity;

    fn hints(headers: &[(&str, &'static str)]) -> SessionHints<'static> {
        let listed = crate::session::settings::Sessions::default().identity_headers;
        SessionHints::of(&listed, |name| {
            headers
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, value)| *value)
        })
    }

    fn prompt(first: &str, user_id: Option<&str>, continuity: Continuity) -> Prompt {
        let mut prompt = Prompt {
            continuity,
            ..Prompt::default()
        };
        first.clone_into(&mut prompt.texts.current);
        prompt
            .metadata
            .extend(user_id.map(|id| ("user_id".to_owned(), id.to_owned())));
        prompt
    }

    #[test]
    fn every_credential_tells_callers_apart() {
        let keyer = SessionKeyer::new(Secret::new(*b"test"));
        let principal = |headers: &[(&str, &'static str)]| {
            keyer.principal(&Identity::default(), &hints(headers))
        };
        for header in CLIENT_CREDENTIALS {
            let [a, b] = ["a", "b"].map(|value| principal(&[(header, value)]));
            assert_ne!(a, b, "{header}");
            assert_ne!(a, principal(&[]), "{header}");
            assert_eq!(a, principal(&[(header, "a")]), "{header}");
        }
    }

    fn name(prompt: &Prompt, hints: SessionHints<'_>) -> SessionRef {
        let keyer = SessionKeyer::new(Secret::new(*b"test"));
        let principal = keyer.principal(&Identity::default(), &hints);
        keyer.session(principal, "default", prompt, &hints)
    }

    #[test]
    fn the_first_source_counts() {
        let all = Continuity {
            conversation: Some("conv".into()),
            previous_response: Some("resp".into()),
            cache_key: Some("cache".into()),
            ..Continuity::default()
        };
        let claude = r#"{"device_id":"d","account_uuid":"","session_id":"s-1"}"#;
        let check = |headers: &[(&str, &'static str)], prompt: &Prompt, source: Source| {
            assert_eq!(
                name(prompt, hints(headers)).source,
                source,
                "{headers:?} {prompt:?}"
            );
        };
        let full = prompt("a", Some(claude), all.clone());
        check(&[("x-session-id", "h")], &full, Source::Header);
        check(&[("x-session-id", " ")], &full, Source::Conversation);
        check(&[], &full, Source::Conversation);
        check(
            &[],
            &prompt(
                "a",
                Some(claude),
                Continuity {
                    conversation: None,
                    ..all.clone()
                },
            ),
            Source::Response,
        );
        let keyed = Continuity {
            cache_key: all.cache_key,
            ..Continuity::default()
        };
        check(
            &[],
            &prompt("a", Some(claude), keyed.clone()),
            Source::UserId,
        );
        check(&[], &prompt("a", None, keyed), Source::CacheKey);
        check(
            &[("x-request-id", "r")],
            &prompt("a", None, Continuity::default()),
            Source::Fingerprint,
        );
    }

    #[test]
    fn header_and_body_may_name_the_same_session() {
        let body = prompt("a", Some(r#"{"session_id":"s-1"}"#), Continuity::default());
        let header = prompt("b", None, Continuity::default());
        let by_header = name(&header, hints(&[("x-claude-code-session-id", "s-1")]));
        assert_eq!(name(&body, hints(&[])).key, by_header.key);
        let whole = prompt("a", Some("plain"), Continuity::default());
        assert_ne!(name(&whole, hints(&[])).key, by_header.key);
    }

    #[test]
    fn callers_recipes_and_secrets_keep_sessions_apart() {
        let keyer = SessionKeyer::new(Secret::new(*b"test"));
        let asked = prompt("a", None, Continuity::default());
        let key =
            |keyer: &SessionKeyer, user: &str, recipe: &str, headers: &[(&str, &'static str)]| {
                let hints = hints(headers);
                let identity = Identity {
                    user: user.to_owned(),
                    groups: Vec::new(),
                };
                keyer
                    .session(keyer.principal(&identity, &hints), recipe, &asked, &hints)
                    .key
            };
        let mine = key(&keyer, "ada", "default", &[("x-session-id", "s")]);
        assert_eq!(
            mine,
            key(
                &keyer,
                "ada",
                "default",
                &[("x-session-id", "s"), ("authorization", "Bearer 1")]
            )
        );
        assert_ne!(
            mine,
            key(&keyer, "eve", "default", &[("x-session-id", "s")])
        );
        assert_ne!(mine, key(&keyer, "ada", "other", &[("x-session-id", "s")]));
        assert_ne!(
            mine,
            key(
                &SessionKeyer::new(Secret::new(*b"other")),
                "ada",
                "default",
                &[("x-session-id", "s")]
            )
        );
        let anonymous = |bearer: &'static str| {
            key(
                &keyer,
                "",
                "default",
                &[("x-session-id", "s"), ("authorization", bearer)],
            )
        };
        assert_ne!(anonymous("Bearer 1"), anonymous("Bearer 2"));
    }

    #[test]
    fn a_fingerprint_is_that_of_the_beginning() {
        let beginning = name(&prompt("a", None, Continuity::default()), hints(&[]));
        let mut later = prompt("c", None, Continuity::default());
        later.texts.prior_user = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(name(&later, hints(&[])), beginning);
        assert_ne!(
            name(&prompt("b", None, Continuity::default()), hints(&[])).key,
            beginning.key
        );
    }
}
