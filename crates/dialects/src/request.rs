//! A request body, read once: the original bytes, where its top-level members lie, and the
//! [`Prompt`] it amounts to.

mod reading;

pub(crate) use reading::Reading;

use std::borrow::Cow;
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;

use crate::deadline;
use crate::endpoint::{Dialect, Service};
use crate::form::{self, Form};
use crate::gather;
use crate::json::{self, Kind};
use crate::members::differs_by_case;
use crate::prompt::Prompt;
use crate::turns::{Role, Turns};
use crate::vocabulary::is_member;
use crate::wrappers::Wrappers;
use crate::{anthropic_messages, batch, openai_chat, openai_responses, service};

/// How deep arrays and objects may nest. What a model server accepts ends near here as well, and
/// not always gracefully.
const MAX_DEPTH: usize = 128;

/// Top-level members that are read. Providers know some forty; of each a reader keeps its place.
const MOST_MEMBERS: usize = 1 << 14;

/// Members that bring definitions: of tools, and of the form of answers.
const DEFINITIONS: &[&str] = &[
    "function_call",
    "functions",
    "mcp_servers",
    "output_config",
    "output_format",
    "response_format",
    "tool_choice",
    "tools",
    "web_search_options",
];

/// Members that say how a request is to be served, and which user sends it: no text of a
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
    "include",
    "inference_geo",
    "logit_bias",
    "metadata",
    "modalities",
    "model",
    "models",
    "moderation",
    "plugins",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "provider",
    "reasoning",
    "reasoning_effort",
    "request_id",
    "safety_identifier",
    "service_tier",
    "speed",
    "stop",
    "stop_sequences",
    "stream_options",
    "thinking",
    "truncation",
    "user",
    "user_profile_id",
    "verbosity",
    "workspace_id",
];

/// What a document asks of the reading of requests.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Tells the user's words from what client programs write around them.
    pub wrappers: Wrappers,
    /// Refuses what two readers would read differently: members that differ from a known one by
    /// case only, and two of one name.
    pub strict: bool,
    /// Keeps definitions of tools and of answers' formats.
    pub definitions: bool,
    /// Keeps metadata, parameters, names and identifiers.
    pub metadata: bool,
}

/// What is known of a request before its body is read.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The wire.
    pub dialect: Dialect,
    /// The endpoint, where it is not that of conversations.
    pub service: Option<Service>,
    /// `content-type`; empty if absent.
    pub content_type: &'a str,
    /// The model, where the path names it.
    pub model: Option<&'a str>,
}

impl Asked<'_> {
    /// A request of a conversation, in JSON.
    #[must_use]
    pub fn conversation(dialect: Dialect) -> Self {
        Self {
            dialect,
            service: None,
            content_type: "",
            model: None,
        }
    }
}

/// A parsed request body. Nothing of it is re-serialised: edits are spans over [`Request::body`].
#[derive(Debug, Clone)]
pub struct Request {
    dialect: Dialect,
    service: Option<Service>,
    body: Bytes,
    members: Vec<Member>,
    prompt: Prompt,
    shape: Shape,
}

/// How the body holds its requests, and their model.
#[derive(Debug, Clone)]
enum Shape {
    /// One request: a JSON object.
    Object,
    /// Several requests: what those after the first say, and where each has its model.
    Batch {
        more: Vec<Prompt>,
        models: Vec<Range<usize>>,
    },
    /// One request, as a form.
    Form(Form),
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
    pub fn parse(dialect: Dialect, body: Bytes, options: &ReadOptions) -> Result<Self, Refused> {
        Self::read(&Asked::conversation(dialect), body, options)
    }

    /// Reads a body of any endpoint.
    ///
    /// # Errors
    /// What is answered to the client instead: always status 400, see [`RefusedKind`].
    pub fn read(asked: &Asked<'_>, body: Bytes, options: &ReadOptions) -> Result<Self, Refused> {
        Self::read_until(asked, body, options, None)
    }

    /// Reads a body of any endpoint, as long as somebody waits for it.
    ///
    /// # Errors
    /// What is answered to the client instead, see [`RefusedKind`]: status 504 if the deadline has
    /// passed before all was read, else 400.
    pub fn read_until(
        asked: &Asked<'_>,
        body: Bytes,
        options: &ReadOptions,
        until: Option<Instant>,
    ) -> Result<Self, Refused> {
        let read = deadline::within(until, || Self::read_all(asked, body, options));
        read.unwrap_or_else(|| Err(Refused::late()))
    }

    fn read_all(asked: &Asked<'_>, body: Bytes, options: &ReadOptions) -> Result<Self, Refused> {
        if let Some(service) = asked.service
            && form::is_form(asked.content_type)
        {
            return Self::read_form(asked, service, body, options);
        }
        let text = std::str::from_utf8(&body).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!("malformed JSON body: it is not in UTF-8 at byte {at}");
            Refused::new(RefusedKind::Malformed, message)
        })?;
        let fields = Fields::read_whole(text)?;
        let (prompt, shape) = match asked.service {
            Some(Service::MessageBatches) => {
                let batch::Batch {
                    prompt,
                    more,
                    models,
                } = batch::read(&fields, text, options)?;
                (prompt, Shape::Batch { more, models })
            }
            service => {
                let reading = match (service, asked.dialect) {
                    (Some(service), _) => service::read(service, &fields, options)?,
                    (None, Dialect::OpenAiChat) => openai_chat::read(&fields, options)?,
                    (None, Dialect::OpenAiResponses) => openai_responses::read(&fields, options)?,
                    (None, Dialect::AnthropicMessages) => {
                        anthropic_messages::read(&fields, options)?
                    }
                };
                (reading.finish(&fields, asked, options)?, Shape::Object)
            }
        };
        let members = fields.spans(text);
        Ok(Self {
            dialect: asked.dialect,
            service: asked.service,
            body,
            members,
            prompt,
            shape,
        })
    }

    fn read_form(
        asked: &Asked<'_>,
        service: Service,
        body: Bytes,
        options: &ReadOptions,
    ) -> Result<Self, Refused> {
        if !service.takes_forms() {
            let message = "this endpoint takes JSON; send the body as application/json";
            return Err(Refused::wrong(message));
        }
        let mut form = Form::parse(asked.content_type, body.clone())?;
        let prompt = form.prompt(service, asked.model, options)?;
        Ok(Self {
            dialect: asked.dialect,
            service: asked.service,
            body,
            members: Vec::new(),
            prompt,
            shape: Shape::Form(form),
        })
    }

    /// The endpoint, where it is not that of conversations.
    #[must_use]
    pub fn service(&self) -> Option<Service> {
        self.service
    }

    /// What the further requests of a batch say.
    #[must_use]
    pub fn more(&self) -> &[Prompt] {
        match &self.shape {
            Shape::Batch { more, .. } => more,
            Shape::Object | Shape::Form(_) => &[],
        }
    }

    /// Whether the body is one JSON object, whose members [`Edits`](crate::Edits) may change.
    #[must_use]
    pub fn is_object(&self) -> bool {
        matches!(self.shape, Shape::Object)
    }

    /// The body with another name wherever it names its model; `None` if nothing changes.
    #[must_use]
    pub fn renamed(&self, model: &str) -> Option<Bytes> {
        match &self.shape {
            Shape::Object => None,
            Shape::Batch { .. } if self.prompt.model == model => None,
            Shape::Batch { models, .. } => {
                let quoted = json::quote(model);
                let text = self.text();
                let mut renamed = String::with_capacity(text.len());
                let mut from = 0;
                for place in models {
                    renamed.push_str(text.get(from..place.start).unwrap_or_default());
                    renamed.push_str(&quoted);
                    from = place.end;
                }
                renamed.push_str(text.get(from..).unwrap_or_default());
                Some(renamed.into())
            }
            Shape::Form(form) => form.renamed(model),
        }
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
    /// A member stands there twice, or again in another case: readers would disagree about which
    /// one counts.
    Duplicate,
    /// Nested too deeply.
    TooDeep,
    /// Its deadline passed before it was read.
    Late,
}

impl Refused {
    fn new(kind: RefusedKind, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            kind,
        }
    }

    /// Refuses a body that nobody waits for any more.
    fn late() -> Self {
        Self {
            status: 504,
            message: "the router could not decide in time".into(),
            kind: RefusedKind::Late,
        }
    }

    /// Refuses a body that is no JSON object.
    fn malformed(text: &str) -> Self {
        let begin = text.trim();
        let kind = Kind::of(begin);
        let message = if begin.is_empty() {
            "the request body is empty; send a JSON object".to_owned()
        } else if kind != Kind::Object && json::is_valid(begin) {
            format!("the request body must be a JSON object, got {kind}")
        } else {
            format!("malformed JSON body: {}", json::syntax(text))
        };
        Self::new(RefusedKind::Malformed, message)
    }

    fn ambiguous(what: &str) -> Self {
        Self::new(
            RefusedKind::Duplicate,
            format!("invalid request body: {what}"),
        )
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(RefusedKind::Missing, message)
    }

    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(RefusedKind::Invalid, message)
    }

    pub(crate) fn wrong_type(field: &str, wanted: &str, raw: &str) -> Self {
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
        let mut count = 0;
        let depth = json::each_member(text, |name, raw| {
            count += 1;
            if count <= MOST_MEMBERS {
                members.push((name, raw));
            }
        })
        .map_err(|_| Refused::malformed(text))?;
        if count > MOST_MEMBERS {
            let message = format!("invalid request body: more than {MOST_MEMBERS} fields");
            return Err(Refused::wrong(message));
        }
        Ok((Self(members), depth))
    }

    /// Reads the members of a request, and refuses what no reading is sure of.
    pub(crate) fn read_whole(text: &'a str) -> Result<Self, Refused> {
        let (fields, depth) = Self::read(text)?;
        fields.refuse_duplicates()?;
        if depth > MAX_DEPTH {
            let message = format!("invalid request body: nested deeper than {MAX_DEPTH} levels");
            return Err(Refused::new(RefusedKind::TooDeep, message));
        }
        Ok(fields)
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

    /// Refuses members that readers would disagree about.
    pub(crate) fn refuse_ambiguity(&self) -> Result<(), Refused> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some([name, ..]) = twice {
            return Err(Refused::ambiguous(&format!("duplicate field: {name}")));
        }
        for name in names {
            let known = [TOP_LEVEL, PARAMETERS, DEFINITIONS];
            let known = known.iter().find_map(|names| differs_by_case(name, names));
            if let Some(known) = known {
                let message = format!("field {name} differs from {known} by case only");
                return Err(Refused::ambiguous(&message));
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

    /// Keeps what stands beside the conversation, except what is `read` by the dialect: definitions
    /// and metadata by their places; a template, a predicted output, and what is still to come with
    /// the system's text.
    pub(crate) fn note_beside(&self, turns: &mut Turns, read: &[&str]) {
        self.note_beside_of(Role::System, turns, read);
    }

    /// The same, with what no list names among the texts of `role`. Elements of an array are texts
    /// of their own.
    pub(crate) fn note_beside_of(&self, role: Role, turns: &mut Turns, read: &[&str]) {
        for (name, raw) in &self.0 {
            let is_number = Kind::of(raw) == Kind::Number;
            match name.as_ref() {
                name if read.contains(&name) => {}
                name if DEFINITIONS.contains(&name) => turns.define(Some(raw)),
                name if PARAMETERS.contains(&name) => turns.describe(raw),
                name if is_number && is_member(name) => turns.describe(raw),
                name if Kind::of(raw) == Kind::Array && role == Role::User => {
                    note_elements(name, raw, role, turns);
                }
                name => turns.note(role, gather::members(&[(name.into(), raw)])),
            }
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

/// Keeps the elements of the array `name` as texts of `role`; the name stands before the first.
fn note_elements(name: &str, raw: &str, role: Role, turns: &mut Turns) {
    let mut elements = Vec::new();
    json::elements(raw, |element| elements.push(element));
    let first = elements.first().copied().unwrap_or(raw);
    turns.note(role, gather::members(&[(name.into(), first)]));
    for element in elements.iter().skip(1) {
        turns.note(role, gather::text(element));
    }
}

/// Where `part`, a slice of `text`, lies in it.
pub(crate) fn span(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + part.len()
}

/// Further members that requests have, whose values say something only in one reading.
const TOP_LEVEL: &[&str] = &[
    "documents",
    "input",
    "instructions",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "prompt",
    "query",
    "requests",
    "stream",
    "suffix",
    "system",
    "text",
];

#[cfg(test)]
pub(crate) mod tests;
