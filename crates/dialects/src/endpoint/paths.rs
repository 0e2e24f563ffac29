//! The endpoints behind the prefixes that a gateway serves.

use super::pattern::{PathPattern, Piece};
use super::segments::Segments;
use super::{Dialect, Endpoint, Service, Stored, WrongBase};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::LazyLock;

/// The prefixes that are known by default, beside none at all.
pub const DEFAULT_PREFIXES: [&str; 5] = [
    "/openai",
    "/anthropic",
    "/v1beta/openai",
    "/inference",
    "/api",
];

/// What a client's base URL may end in by mistake, and the path that was meant.
const ENDINGS: [(&[&str], Dialect, &str); 5] = [
    (
        &["chat", "completions"],
        Dialect::OpenAiChat,
        "/v1/chat/completions",
    ),
    (&["completions"], Dialect::OpenAiChat, "/v1/completions"),
    (&["embeddings"], Dialect::OpenAiChat, "/v1/embeddings"),
    (&["responses"], Dialect::OpenAiResponses, "/v1/responses"),
    (&["messages"], Dialect::AnthropicMessages, "/v1/messages"),
];

/// Every path below the version that Merit reads or answers.
const READ: [&[Piece<'static>]; 19] = {
    use Piece::{Any, Word};
    [
        &[Word("chat"), Word("completions")],
        &[Word("responses")],
        &[Word("responses"), Any],
        &[Word("messages")],
        &[Word("messages"), Word("count_tokens")],
        &[Word("messages"), Word("batches")],
        &[Word("completions")],
        &[Word("embeddings")],
        &[Word("rerank")],
        &[Word("moderations")],
        &[Word("images"), Word("generations")],
        &[Word("images"), Word("edits")],
        &[Word("images"), Word("variations")],
        &[Word("audio"), Word("speech")],
        &[Word("audio"), Word("transcriptions")],
        &[Word("audio"), Word("translations")],
        &[Word("batches")],
        &[Word("models")],
        &[Word("models"), Any],
    ]
};

/// Returns a path of every kind of request that goes to a model, below `/v1`; `-` stands for an id.
#[must_use]
pub fn routed_paths() -> Vec<String> {
    // Lists of models are the router's own answer.
    let routed = READ
        .iter()
        .filter(|pieces| pieces.first() != Some(&Piece::Word("models")));
    let written = |pieces: &&[Piece<'static>]| {
        let words = pieces.iter().map(|piece| match piece {
            Piece::Word(word) => *word,
            Piece::Any => "-",
        });
        format!("/v1/{}", words.collect::<Vec<_>>().join("/"))
    };
    routed.map(written).collect()
}

/// What a name of a model may keep in a path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// The prefixes under which endpoints are known.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Folded segments of each, the longest first; the last one is empty.
    prefixes: Vec<Vec<String>>,
}

/// A prefix that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a prefix begins with `/`, names at least one segment and has no `?`, `#` or `*`")]
pub struct InvalidPrefix;

impl Default for Paths {
    fn default() -> Self {
        let prefixes = DEFAULT_PREFIXES.iter().map(|it| Segments::of(it).folded);
        Self::sorted(prefixes.collect())
    }
}

impl Paths {
    /// Knows endpoints behind `prefixes`, and without any.
    ///
    /// # Errors
    /// If one of them is no prefix of a path.
    pub fn new(prefixes: &[String]) -> Result<Self, InvalidPrefix> {
        let folded = prefixes.iter().map(|prefix| {
            let folded = Segments::of(prefix).folded;
            let is_path = prefix.starts_with('/') && !prefix.contains(['?', '#', '*']);
            Some(folded)
                .filter(|folded| is_path && !folded.is_empty())
                .ok_or(InvalidPrefix)
        });
        Ok(Self::sorted(folded.collect::<Result<_, _>>()?))
    }

    /// Returns the default prefixes, made once.
    pub(super) fn usual() -> &'static Self {
        static USUAL: LazyLock<Paths> = LazyLock::new(Paths::default);
        &USUAL
    }

    fn sorted(mut prefixes: Vec<Vec<String>>) -> Self {
        prefixes.push(Vec::new());
        prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
        Self { prefixes }
    }

    /// Reads `method` and `:path`.
    #[must_use]
    pub fn endpoint(&self, method: &str, path: &str) -> Endpoint {
        // A browser asks before it posts; Envoy's cors filter or the backend answers it.
        if method == "OPTIONS" {
            return Endpoint::Foreign;
        }
        let segments = Segments::of(path);
        let found = self.prefixes.iter().find_map(|prefix| {
            let rest = segments.folded.strip_prefix(prefix.as_slice())?;
            let words: Vec<&str> = rest.iter().map(String::as_str).collect();
            let words = below_version(prefix, &words)?;
            let ids = segments
                .written
                .get(segments.written.len() - words.len()..)?;
            of_words(method, words, ids)
        });
        if let Some(endpoint) = found {
            return endpoint;
        }
        if let Some(wrong) = self.wrong_base(method, &segments.folded) {
            return Endpoint::WrongBase(wrong);
        }
        match segments.folded.first() {
            Some(first) if first == "v1" => Endpoint::NotFound,
            _ => Endpoint::Foreign,
        }
    }

    /// Returns the deployment that a path of Azure's names (`/openai/deployments/large/…`),
    /// percent-decoded: there it is the model.
    #[must_use]
    pub fn deployment(&self, path: &str) -> Option<String> {
        let segments = Segments::of(path);
        self.prefixes.iter().find_map(|prefix| {
            let rest = segments.folded.strip_prefix(prefix.as_slice())?;
            let at = segments.folded.len() - rest.len() + 1;
            let names = is_openai(prefix) && rest.len() > 2 && rest[0] == "deployments";
            segments.written.get(at).filter(|_| names).cloned()
        })
    }

    /// Returns the same path with another deployment. `None` where it cannot be told which part of
    /// the path that is: it is spelled in an unusual way.
    #[must_use]
    pub fn with_deployment(&self, path: &str, deployment: &str) -> Option<String> {
        let named = self.deployment(path)?;
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let (before, after) = path.split_at_checked(end)?;
        let mut segments: Vec<&str> = before.split('/').collect();
        let is_deployment = |pair: &[&str]| {
            let decoded = percent_encoding::percent_decode_str(pair[1]).decode_utf8_lossy();
            pair[0].eq_ignore_ascii_case("deployments") && decoded == named
        };
        let at = segments.windows(2).position(is_deployment)? + 1;
        let written = utf8_percent_encode(deployment, IN_PATH).to_string();
        segments[at] = &written;
        let path = segments.join("/") + after;
        (self.deployment(&path)? == deployment).then_some(path)
    }

    /// Returns the path of the same request on another wire: behind the same prefix, and without a
    /// query, which is one of the client's API.
    #[must_use]
    pub fn on_wire(&self, path: &str, dialect: Dialect) -> String {
        let segments = Segments::of(path);
        let prefix = self.prefixes.iter().find(|prefix| {
            let rest = segments.folded.strip_prefix(prefix.as_slice());
            let words: Option<Vec<&str>> = rest.map(|it| it.iter().map(String::as_str).collect());
            words.is_some_and(|words| below_version(prefix, &words).is_some())
        });
        let words = prefix.into_iter().flatten();
        let written: String = words.flat_map(|word| ["/", word]).collect();
        written + dialect.path()
    }

    /// Recognises an endpoint behind what is no base: without `/v1`, with `/v1` or the endpoint
    /// twice, or behind an unknown prefix.
    fn wrong_base(&self, method: &str, folded: &[String]) -> Option<WrongBase> {
        if method != "POST" {
            return None;
        }
        let (front, ending) = ENDINGS.iter().find_map(|ending| {
            let at = folded.len().checked_sub(ending.0.len())?;
            let (front, end) = folded.split_at_checked(at)?;
            (end == ending.0).then_some((front, ending))
        })?;
        let is_known = |word: &String| {
            let word = word.as_str();
            word == "v1"
                || ENDINGS.iter().any(|(words, ..)| words.contains(&word))
                || self.prefixes.iter().flatten().any(|known| known == word)
        };
        let unknown_prefix = !front.iter().all(is_known);
        let &(words, dialect, meant) = ending;
        if front == ["v1"] {
            return None;
        }
        // Other services have messages and responses too; chat completions are nobody else's.
        let is_ours = !unknown_prefix || words.len() > 1;
        let is_below_other = front.first().is_some_and(|first| first != "v1") && words.len() == 1;
        (is_ours && !is_below_other).then_some(WrongBase {
            dialect,
            meant,
            unknown_prefix,
        })
    }

    /// Returns a path that Merit reads itself and that `pattern` covers.
    #[must_use]
    pub fn read_and_covered(&self, pattern: &PathPattern) -> Option<String> {
        let version = [Piece::Word("v1")];
        let deployment = [Piece::Word("deployments"), Piece::Any];
        self.prefixes.iter().find_map(|prefix| {
            let words: Vec<Piece<'_>> = prefix.iter().map(|word| Piece::Word(word)).collect();
            let mut versions: Vec<&[Piece<'_>]> = vec![&version];
            if omits_version(prefix) {
                versions.push(&[]);
            }
            if is_openai(prefix) {
                versions.push(&deployment);
            }
            versions.into_iter().find_map(|version| {
                READ.iter().find_map(|endpoint| {
                    let path = [words.as_slice(), version, endpoint].concat();
                    pattern.meets(&path).then(|| shown(&path))
                })
            })
        })
    }
}

fn shown(path: &[Piece<'_>]) -> String {
    path.iter()
        .flat_map(|piece| match piece {
            Piece::Word(word) => ["/", word],
            Piece::Any => ["/", "*"],
        })
        .collect()
}

fn is_openai(prefix: &[String]) -> bool {
    prefix.last().is_some_and(|word| word == "openai")
}

/// Tells whether endpoints follow a prefix without `/v1`: Azure's and Google's paths do, and those
/// behind a version of their own (`/paas/v4`).
fn omits_version(prefix: &[String]) -> bool {
    let is_version = |word: &String| {
        let number = word.strip_prefix('v').unwrap_or_default();
        number.starts_with(|first: char| first.is_ascii_digit())
    };
    is_openai(prefix) || prefix.last().is_some_and(is_version)
}

/// Returns the words after the version, or after Azure's deployment.
fn below_version<'a, 'w>(prefix: &[String], words: &'a [&'w str]) -> Option<&'a [&'w str]> {
    match words {
        ["v1", rest @ ..] => Some(rest),
        ["v2", "rerank"] => words.get(1..),
        ["deployments", _, rest @ ..] if is_openai(prefix) => Some(rest),
        ["chat", "completions"] if !prefix.is_empty() => Some(words),
        _ if omits_version(prefix) => Some(words),
        _ => None,
    }
}

/// Reads the words after the version; `ids` are the same segments as they were written.
fn of_words(method: &str, words: &[&str], ids: &[String]) -> Option<Endpoint> {
    let is_post = method == "POST";
    let is_get = matches!(method, "GET" | "HEAD");
    let (allowed, endpoint) = match words {
        ["chat", "completions"] => (is_post, Endpoint::Inference(Dialect::OpenAiChat)),
        ["responses"] => (is_post, Endpoint::Inference(Dialect::OpenAiResponses)),
        ["messages"] => (is_post, Endpoint::Inference(Dialect::AnthropicMessages)),
        ["models"] => (is_get, Endpoint::Models),
        ["models", _, ..] => {
            let id = ids.get(1..).unwrap_or_default().join("/");
            (is_get, Endpoint::Model(id))
        }
        ["messages", "batches"] if is_post => (true, Endpoint::Service(Service::MessageBatches)),
        _ => match service(words) {
            Some(service) => (is_post, Endpoint::Service(service)),
            None => {
                let stored = is_post || is_get || method == "DELETE";
                (stored, Endpoint::Stored(kept(words, ids)?))
            }
        },
    };
    Some(if allowed {
        endpoint
    } else {
        Endpoint::MethodNotAllowed
    })
}

fn service(words: &[&str]) -> Option<Service> {
    Some(match words {
        ["completions"] => Service::Completions,
        ["embeddings"] => Service::Embeddings,
        ["rerank"] => Service::Rerank,
        ["moderations"] => Service::Moderations,
        ["images", "generations" | "edits" | "variations"] => Service::Images,
        ["audio", "speech"] => Service::Speech,
        ["audio", "transcriptions" | "translations"] => Service::Transcriptions,
        ["messages", "count_tokens"] => Service::CountTokens,
        ["responses", "input_tokens"] => Service::InputTokens,
        ["responses", "compact"] => Service::Compact,
        _ => return None,
    })
}

/// Reads a path of stored responses, message batches or batches: they live where the request that
/// made them went, and their paths have no model to route by.
fn kept(words: &[&str], ids: &[String]) -> Option<Stored> {
    let (dialect, at) = match words {
        // An endpoint twice is a wrong base.
        [.., "responses"] | [.., "messages"] => return None,
        ["responses", _, ..] => (Dialect::OpenAiResponses, 1),
        ["messages", "batches", ..] => (Dialect::AnthropicMessages, 2),
        ["batches", ..] => (Dialect::OpenAiChat, 1),
        _ => return None,
    };
    Some(Stored {
        dialect,
        id: ids.get(at).cloned(),
    })
}
