//! A request as no wire says it: what the readers find and the writers write.

use std::borrow::Cow;

use super::place::Place;
use super::text::Text;

/// All that a request says.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub(super) model: Text<'a>,
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Option<Choice<'a>>,
    pub(super) parallel_calls: Option<Wish<bool>>,
    pub(super) settings: Vec<Setting<'a>>,
    pub(super) stops: Vec<Stop<'a>>,
    pub(super) reasoning: Reasoning<'a>,
    pub(super) format: Option<Format<'a>>,
    pub(super) streams: bool,
    pub(super) wants_usage: bool,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    System,
    Developer,
    User,
    Assistant,
    /// Results of tools, nothing else.
    Tool,
}

/// A message, or the items that amount to one.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) place: Place,
    pub(super) parts: Vec<Part<'a>>,
}

/// A part of a turn.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) place: Place,
    /// A mark for the provider's cache, as JSON.
    pub(super) cache: Option<&'a str>,
    pub(super) body: Body<'a>,
}

/// What a part says.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Text(Text<'a>),
    Refusal(Text<'a>),
    Image(Box<Image<'a>>),
    Document(Box<Document<'a>>),
    /// A sound or a film, as the client's wire says it.
    Media(&'a str),
    Thinking(Box<Thinking<'a>>),
    Call(Box<Call<'a>>),
    Result(Box<Output<'a>>),
}

/// A picture.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) source: Source<'a>,
    pub(super) detail: Option<Text<'a>>,
}

/// Where a picture or a document is.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Url(Text<'a>),
    Base64 {
        media_type: Cow<'a, str>,
        data: Cow<'a, str>,
    },
}

/// A document that is no plain text.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) source: Source<'a>,
    /// Its title, or the name of its file.
    pub(super) title: Option<Text<'a>>,
}

/// What an assistant thought in an earlier turn.
#[derive(Debug)]
pub(super) struct Thinking<'a> {
    pub(super) texts: Vec<Text<'a>>,
    /// A provider signed or sealed it.
    pub(super) is_sealed: bool,
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) input: Input<'a>,
}

/// What a tool is called with.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// JSON in a string, as both OpenAI wires have it.
    Spelled(Text<'a>),
    /// An object.
    Object(&'a str),
    /// Free text.
    Free(Text<'a>),
}

/// What a tool answered.
#[derive(Debug)]
pub(super) struct Output<'a> {
    pub(super) id: Text<'a>,
    /// Texts, images and documents.
    pub(super) parts: Vec<Part<'a>>,
    pub(super) is_error: bool,
    /// It answers a call with free text.
    pub(super) is_free: bool,
}

/// A tool that the client runs.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    pub(super) place: Place,
    pub(super) name: Text<'a>,
    pub(super) description: Option<Text<'a>>,
    pub(super) cache: Option<&'a str>,
    pub(super) takes: Takes<'a>,
}

/// What a tool takes.
#[derive(Debug)]
pub(super) enum Takes<'a> {
    /// An object of this schema.
    Schema {
        schema: Option<&'a str>,
        strict: Option<bool>,
    },
    /// Free text, of this format.
    Free { format: Option<&'a str> },
}

/// Which tools the model may call.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) place: Place,
    pub(super) mode: Mode<'a>,
    /// The tools among which it chooses, where not all.
    pub(super) allowed: Option<Vec<Text<'a>>>,
}

/// How free the choice is.
#[derive(Debug)]
pub(super) enum Mode<'a> {
    Auto,
    None,
    Required,
    Named(Text<'a>),
}

/// A setting whose value means the same on each wire that has it.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) parameter: Parameter,
    pub(super) place: Place,
    pub(super) value: &'a str,
}

/// A setting that more wires than one may know, or a chat backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    MaxTokens,
    Temperature,
    TopP,
    TopK,
    Seed,
    FrequencyPenalty,
    PresencePenalty,
    LogitBias,
    Logprobs,
    TopLogprobs,
    User,
    SafetyIdentifier,
    PromptCacheKey,
    PromptCacheRetention,
    Metadata,
    ServiceTier,
    Store,
    Verbosity,
}

/// A sequence at which the model stops.
#[derive(Debug)]
pub(super) struct Stop<'a> {
    pub(super) place: Place,
    pub(super) text: Text<'a>,
}

/// What a request says of reasoning.
#[derive(Debug, Default)]
pub(super) struct Reasoning<'a> {
    pub(super) effort: Option<Wish<Text<'a>>>,
    pub(super) switch: Option<Wish<bool>>,
    /// Tokens.
    pub(super) budget: Option<Wish<u64>>,
}

/// Something asked for, and where.
#[derive(Debug, Clone)]
pub(super) struct Wish<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// The form of the answer.
#[derive(Debug)]
pub(super) struct Format<'a> {
    pub(super) place: Place,
    pub(super) shape: Shape<'a>,
}

/// A form that an answer can have, beside plain text.
#[derive(Debug)]
pub(super) enum Shape<'a> {
    Json,
    Schema {
        name: Option<Text<'a>>,
        description: Option<Text<'a>>,
        schema: &'a str,
        strict: Option<bool>,
    },
}

impl<'a> Conversation<'a> {
    /// Begins a request to a model.
    pub(super) fn new(model: Text<'a>) -> Self {
        Self {
            model,
            turns: Vec::new(),
            tools: Vec::new(),
            choice: None,
            parallel_calls: None,
            settings: Vec::new(),
            stops: Vec::new(),
            reasoning: Reasoning::default(),
            format: None,
            streams: false,
            wants_usage: false,
        }
    }

    /// Returns a setting's value.
    pub(super) fn setting(&self, parameter: Parameter) -> Option<&Setting<'a>> {
        let mut settings = self.settings.iter();
        settings.find(|setting| setting.parameter == parameter)
    }
}

impl<'a> Part<'a> {
    /// Makes a part without marks.
    pub(super) fn new(place: Place, body: Body<'a>) -> Self {
        Self {
            place,
            cache: None,
            body,
        }
    }

    /// Returns its text, where it is one.
    pub(super) fn as_text(&self) -> Option<&Text<'a>> {
        match &self.body {
            Body::Text(text) => Some(text),
            _ => None,
        }
    }
}
