//! What a request says, read once: the view that signals read, whatever wire it came by.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::attachments::Media;

/// A request as signals see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    /// The model name asked for, as written.
    pub model: String,
    /// The client asked for a stream.
    pub stream: bool,
    /// Texts by role.
    pub texts: Texts,
    /// Message and tool counts.
    pub conversation: Conversation,
    /// What the context signal's token estimate is made of.
    pub tokens: TokenFacts,
    /// What is attached, by what it is.
    pub attached: Attached,
    /// Top-level `metadata`, string to string.
    pub metadata: BTreeMap<String, String>,
    /// The acceptable inline image (`data:` URI), if any.
    pub image: Option<String>,
    /// `messages` was empty (no signal runs unless tools or metadata are present).
    pub no_messages: bool,
    /// The caller's own reasoning effort, if any.
    pub reasoning_effort: Option<String>,
    /// Whether the caller switches reasoning on or off (`thinking`, `chat_template_kwargs` and the
    /// like), if it does.
    pub thinks: Option<bool>,
    /// What ties it to earlier requests.
    pub continuity: Continuity,
}

/// Efforts that ask for no reasoning.
const NO_EFFORT: [&str; 3] = ["none", "off", "minimal"];

impl Prompt {
    /// Returns whether the caller asks for reasoning (`true`) or for none (`false`); `None` where it
    /// leaves that to others.
    #[must_use]
    pub fn asks_reasoning(&self) -> Option<bool> {
        self.thinks.or_else(|| {
            let effort = self.reasoning_effort.as_deref()?.trim().to_lowercase();
            (!effort.is_empty()).then(|| !NO_EFFORT.contains(&effort.as_str()))
        })
    }

    /// Returns the same request with one text of its list alone.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Self {
        Self {
            model: self.model.clone(),
            stream: self.stream,
            texts: Texts {
                evaluation: text.to_owned(),
                context: text.to_owned(),
                current: text.to_owned(),
                ..Texts::default()
            },
            conversation: self.conversation,
            tokens: self.tokens,
            metadata: self.metadata.clone(),
            ..Self::default()
        }
    }

    /// An empty conversation with neither tools nor metadata: there is nothing for signals to read.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.no_messages && self.conversation.tool_definitions == 0 && self.metadata.is_empty()
    }
}

/// What ties a request to earlier ones, and to the model that answered them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Continuity {
    /// Responses: the conversation that the provider keeps.
    pub conversation: Option<String>,
    /// Responses: the response that it goes on from.
    pub previous_response: Option<String>,
    /// `prompt_cache_key`: a name of the prefix.
    pub cache_key: Option<String>,
    /// It carries state that only the provider who sealed it can read: encrypted reasoning, signed
    /// or redacted thinking.
    pub sealed_state: bool,
    /// Messages: some thinking of the assistant bears no signature, so it is of a model that signs
    /// nothing.
    pub unsigned_thinking: bool,
    /// The assistant has just got results of its tools: the last message, but for system messages,
    /// is one, or a user's that directly follows one.
    pub tool_loop: bool,
    /// The first of [`Texts::non_user`] is a system or developer message.
    pub opens_with_system: bool,
    /// The last user text is the last of [`Texts::passed_over`].
    pub ends_with_wrapper: bool,
}

impl Prompt {
    /// The system prompt; empty if there is none.
    #[must_use]
    pub fn system(&self) -> &str {
        let first = self
            .texts
            .non_user
            .first()
            .filter(|_| self.continuity.opens_with_system);
        first.map_or("", String::as_str)
    }

    /// Returns the user's first words; empty without a user's turn.
    #[must_use]
    pub fn first_user(&self) -> &str {
        self.texts.prior_user.first().unwrap_or(&self.texts.current)
    }

    /// The last user text, wrapper or not.
    #[must_use]
    pub fn last_user(&self) -> &str {
        let wrapper = self
            .texts
            .passed_over
            .last()
            .filter(|_| self.continuity.ends_with_wrapper);
        wrapper.unwrap_or(&self.texts.current)
    }
}

/// Texts by role. Field letters are those of the semantics page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// `E`: the user's turn, else all non-user texts joined by one space.
    pub evaluation: String,
    /// `C`: non-user texts, then the user's turn, joined by one space.
    pub context: String,
    /// `R`: the user's turn, never promoted from other roles.
    pub current: String,
    /// `P`: earlier user texts, oldest first.
    pub prior_user: Vec<String>,
    /// `N`: system, developer and assistant texts in order.
    pub non_user: Vec<String>,
    /// `A`: some assistant message has text.
    pub assistant_replied: bool,
    /// User texts in which a client program wrote something, whole and in order. What the user
    /// says in them is the turn's, the rest is in none of the other fields; a rule that must not be
    /// evaded by imitating a client reads them too.
    pub passed_over: Vec<String>,
    /// Texts of tool results, in order. They too are in none of the other fields: only a safety
    /// scan that asks for them reads them.
    pub tool_results: Vec<String>,
    /// Texts that are no turn's words: arguments of calls, reasoning, variables of a stored prompt,
    /// parts and members of unknown sorts. They too are in none of the other fields.
    pub asides: Vec<Aside>,
    /// Where the texts of a list stand in [`evaluation`](Self::evaluation), on endpoints that take
    /// lists of texts; `None` for a conversation.
    pub list: Option<Vec<Range<usize>>>,
    /// Places with text that could have been read, and was not.
    pub unread: Vec<Place>,
    /// Places with attachments, which are no text, and what these are.
    pub unreadable: Vec<(Place, Media)>,
    /// Places with something that a provider sealed.
    pub sealed: Vec<Place>,
}

impl Texts {
    /// Returns the texts of a list, each a prompt of its own; none for a conversation, and where
    /// there is one text only.
    #[must_use]
    pub fn listed(&self) -> Vec<&str> {
        let Some(ranges) = &self.list else {
            return Vec::new();
        };
        let own = ranges
            .iter()
            .filter_map(|range| self.evaluation.get(range.clone()));
        let beside = self
            .asides
            .iter()
            .filter(|aside| aside.place == Place::Current)
            .map(|aside| aside.text.as_str());
        let passed_over = self.passed_over.iter().map(String::as_str);
        let texts: Vec<&str> = own
            .chain(beside)
            .chain(passed_over)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .collect();
        if texts.len() > 1 { texts } else { Vec::new() }
    }
}

/// A text that is no turn's words, and the place that it counts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Where it stands.
    pub place: Place,
    /// What it says.
    pub text: String,
}

/// A place of a conversation, as safety scans name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The user's turn.
    Current,
    /// Earlier turns of the user.
    History,
    /// What system, developer and assistant say.
    System,
    /// Results of tools.
    ToolResults,
    /// Definitions of tools and of answers' formats.
    Definitions,
    /// Metadata, parameters, names and identifiers.
    Metadata,
}

impl Place {
    /// Those of messages.
    pub const MESSAGES: [Self; 4] = [
        Self::Current,
        Self::History,
        Self::System,
        Self::ToolResults,
    ];
}

/// Counts over all messages and tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Messages of role `user`.
    pub user: u64,
    /// Messages of role `assistant`.
    pub assistant: u64,
    /// Messages of role `system`.
    pub system: u64,
    /// Messages of role `tool` (= tool results).
    pub tool: u64,
    /// Some message has role `developer`; counts 1 at most.
    pub developer: bool,
    /// Elements of assistants' `tool_calls`.
    pub tool_calls: u64,
    /// Elements of `tools` and `functions`.
    pub tool_definitions: u64,
    /// Image parts of user messages.
    pub images: u64,
    /// The last message is a tool result.
    pub last_is_tool_result: bool,
    /// The last message is a user's and directly follows a tool result.
    pub last_user_follows_tool: bool,
}

/// How many attachments there are in all messages and results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attached {
    /// Pictures and screenshots.
    pub images: u64,
    /// Sounds.
    pub audio: u64,
    /// Films.
    pub video: u64,
    /// Documents whose text is not read here.
    pub documents: u64,
}

/// The summands of the token estimate, bytes and counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenFacts {
    /// Decoded text bytes (4 per token).
    pub text_bytes: u64,
    /// JSON bytes in the shortest usual spelling (1 per token).
    pub structured_bytes: u64,
    /// Images and other attachments of unknown size (8,192 tokens each).
    pub images: u64,
    /// Tokens of attachments whose size is known, and of what providers sealed.
    pub attached: u64,
    /// Framing tokens.
    pub framing: u64,
    /// Output reserve, tokens.
    pub output_reserve: u64,
}

impl TokenFacts {
    /// `ceil(text/4) + structured + 8192·images + attached + framing + reserve`, saturating at
    /// `i64::MAX`.
    #[must_use]
    pub fn floor(&self) -> u64 {
        let sum = self
            .text_bytes
            .div_ceil(4)
            .saturating_add(self.structured_bytes)
            .saturating_add(self.images.saturating_mul(8192))
            .saturating_add(self.attached)
            .saturating_add(self.framing)
            .saturating_add(self.output_reserve);
        sum.min(i64::MAX as u64)
    }

    /// The same without the output reserve.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        Self {
            output_reserve: 0,
            ..*self
        }
        .floor()
    }
}
