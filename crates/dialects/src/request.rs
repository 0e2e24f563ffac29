//! A request body, read once: the original bytes, where its top-level members lie, and the
//! [`Prompt`] it amounts to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use crate::endpoint::Dialect;
use crate::gather;
use crate::json::{self, Kind};
use crate::metadata;
use crate::meter::Meter;
use crate::prompt::{Continuity, Prompt};
use crate::turns::{Role, Turns};
use crate::wrappers::Wrappers;
use crate::{anthropic_messages, openai_chat, openai_responses};

/// How deep arrays and objects may nest. What a model server accepts ends near here as well, and
/// not always gracefully.
const MAX_DEPTH: usize = 128;

/// Members that say how a request is to be served, or which definitions it brings: no text of a
/// conversation.
const PARAMETERS: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "audio",
    "betas",
    "cache_control",
    "cache_salt",
    "client_metadata",
    "container",
    "context_management",
    "conversation",
    "function_call",
    "functions",
    "include",
    "inference_geo",
    "logit_bias",
    "mcp_servers",
    "metadata",
    "modalities",
    "model",
    "models",
    "moderation",
    "output_config",
    "output_format",
    "plugins",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "provider",
    "reasoning",
    "reasoning_effort",
    "request_id",
    "response_format",
    "safety_identifier",
    "service_tier",
    "speed",
    "stop",
    "stop_sequences",
    "stream_options",
    "thinking",
    "tool_choice",
    "tools",
    "truncation",
    "user",
    "verbosity",
    "web_search_options",
];

/// A parsed request body. Nothing of it is re-serialised: edits are spans over [`Request::body`].
#[derive(Debug, Clone)]
pub struct Request {
    dialect: Dialect,
    body: Bytes,
    members: Vec<Member>,
    prompt: Prompt,
}

/// A top-level member: its decoded name and where its value lies in the text.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: Box<str>,
    pub(crate) value: Range<usize>,
}

impl Request {
    /// Reads a body of `dialect`.
    ///
    /// # Errors
    /// What is answered to the client instead: always status 400, see [`RefusedKind`].
    pub fn parse(dialect: Dialect, body: Bytes, wrappers: &Wrappers) -> Result<Self, Refused> {
        let text = std::str::from_utf8(&body).map_err(|_| Refused::malformed())?;
        let (fields, depth) = Fields::read(text)?;
        fields.refuse_duplicates()?;
        if depth > MAX_DEPTH {
            let message = format!("invalid request body: nested deeper than {MAX_DEPTH} levels");
            return Err(Refused::new(RefusedKind::TooDeep, message));
        }
        let reading = match dialect {
            Dialect::OpenAiChat => openai_chat::read(&fields, wrappers)?,
            Dialect::OpenAiResponses => openai_responses::read(&fields, wrappers)?,
            Dialect::AnthropicMessages => anthropic_messages::read(&fields, wrappers)?,
        };
        let prompt = reading.into_prompt(&fields)?;
        let members = fields.spans(text);
        Ok(Self {
            dialect,
            body,
            members,
            prompt,
        })
    }

    /// The wire it came by.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The bytes as received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What the request says.
    #[must_use]
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// The raw JSON of a top-level member as the client wrote it; of duplicates the last.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&str> {
        let member = self
            .members
            .iter()
            .rev()
            .find(|member| member.name.as_ref() == name)?;
        self.text().get(member.value.clone())
    }

    /// The decoded text of a top-level string member (`prompt_cache_key`, `user`,
    /// `previous_response_id` …).
    #[must_use]
    pub fn text_member(&self, name: &str) -> Option<Cow<'_, str>> {
        json::string(self.member(name)?)
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn text(&self) -> &str {
        // The body was checked to be UTF-8 when it was parsed; `Bytes` cannot change since.
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

/// A request body that cannot be read, as it is answered to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// The text for the client.
    pub message: String,
    /// What is wrong, for metrics.
    pub kind: RefusedKind,
}

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedKind {
    /// Not JSON, not UTF-8, or not an object.
    Malformed,
    /// A member that must be there is not.
    Missing,
    /// A member has the wrong type, or `metadata` exceeds its limits.
    Invalid,
    /// `model`, `messages` or `input` stands there twice: readers would disagree about which one
    /// counts.
    Duplicate,
    /// Nested too deeply.
    TooDeep,
}

impl Refused {
    fn new(kind: RefusedKind, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            kind,
        }
    }

    fn malformed() -> Self {
        Self::new(RefusedKind::Malformed, "malformed JSON body")
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(RefusedKind::Missing, message)
    }

    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(RefusedKind::Invalid, message)
    }

    fn wrong_type(field: &str, wanted: &str, raw: &str) -> Self {
        Self::wrong(format!(
            "invalid request body: field {field} must be {wanted}, got {}",
            Kind::of(raw)
        ))
    }
}

/// The top-level members of a body while it is read.
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Fields<'a> {
    /// Reads the members, and how deep the body nests.
    fn read(text: &'a str) -> Result<(Self, usize), Refused> {
        let mut members = Vec::with_capacity(16);
        let depth = json::each_member(text, |name, raw| members.push((name, raw)))
            .map_err(|_| Refused::malformed())?;
        Ok((Self(members), depth))
    }

    fn refuse_duplicates(&self) -> Result<(), Refused> {
        for once in ["model", "messages", "input"] {
            if self.0.iter().filter(|(name, _)| name == once).count() > 1 {
                let message = format!("invalid request body: duplicate field: {once}");
                return Err(Refused::new(RefusedKind::Duplicate, message));
            }
        }
        Ok(())
    }

    /// A member's raw value; of duplicates the last.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, raw)| *raw)
    }

    /// A member's text, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(json::string).map(Cow::into_owned)
    }

    /// The `messages` array.
    pub(crate) fn messages(&self) -> Result<&'a str, Refused> {
        let raw = self
            .get("messages")
            .ok_or_else(|| Refused::missing("messages field is required"))?;
        if Kind::of(raw) == Kind::Array {
            Ok(raw)
        } else {
            Err(Refused::wrong("messages field must be an array"))
        }
    }

    /// Keeps the text of members that are neither parameters nor `read` by the dialect: a template,
    /// a predicted output, and what is still to come.
    pub(crate) fn note_unknown(&self, turns: &mut Turns, read: &[&str]) {
        let unknown = self.0.iter().filter(|(name, raw)| {
            let is_known = PARAMETERS.contains(&name.as_ref()) || read.contains(&name.as_ref());
            !is_known && matches!(Kind::of(raw), Kind::String | Kind::Array | Kind::Object)
        });
        for (_, raw) in unknown {
            turns.note(Role::System, gather::text(raw));
        }
    }

    fn spans(&self, text: &str) -> Vec<Member> {
        let spans = self.0.iter().map(|(name, raw)| Member {
            name: name.as_ref().into(),
            value: span(text, raw),
        });
        spans.collect()
    }
}

/// Where `part`, a slice of `text`, lies in it.
pub(crate) fn span(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + part.len()
}

/// What a dialect's reader found.
pub(crate) struct Reading {
    pub(crate) turns: Turns,
    pub(crate) meter: Meter,
    pub(crate) no_messages: bool,
    pub(crate) reasoning_effort: Option<String>,
}

impl Reading {
    fn into_prompt(mut self, fields: &Fields<'_>) -> Result<Prompt, Refused> {
        let raw = fields.get("model").ok_or_else(|| {
            Refused::missing("invalid request body: missing required field: model")
        })?;
        let model = json::string(raw)
            .ok_or_else(|| Refused::wrong_type("model", "string", raw))?
            .into_owned();
        // Clients that serialise their options whole send `null` for what was not set.
        let stream = match json::present(fields.get("stream")) {
            None | Some("false") => false,
            Some("true") => true,
            Some(raw) => return Err(Refused::wrong_type("stream", "boolean", raw)),
        };
        Ok(Prompt {
            model,
            stream,
            metadata: request_metadata(fields)?,
            conversation: self.turns.conversation,
            continuity: Continuity {
                cache_key: fields
                    .text("prompt_cache_key")
                    .filter(|key| !key.is_empty()),
                ..std::mem::take(&mut self.turns.continuity)
            },
            image: self.turns.image.take(),
            texts: self.turns.into_texts(),
            tokens: self.meter.facts,
            no_messages: self.no_messages,
            reasoning_effort: self.reasoning_effort,
        })
    }
}

fn request_metadata(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, Refused> {
    let Some(raw) = fields.get("metadata") else {
        return Ok(BTreeMap::new());
    };
    if Kind::of(raw) != Kind::Object {
        return Err(Refused::wrong_type("metadata", "object", raw));
    }
    metadata::read(raw, metadata::Null::Refused)
        .map_err(|error| Refused::wrong(format!("invalid request body: {error}")))
}

#[cfg(test)]
pub(crate) mod tests;
