//! The kinds of losses. The table of the README is drawn from this one.

use super::Severity::{self, Info, Lossy};
use crate::endpoint::Dialect;

const CHAT: Dialect = Dialect::OpenAiChat;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::AnthropicMessages;
const ALL: &[Dialect] = &[CHAT, RESPONSES, MESSAGES];
const OPENAI: &[Dialect] = &[CHAT, RESPONSES];

/// A direction of translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Way {
    /// The client's wire.
    pub from: Dialect,
    /// The backend's.
    pub to: Dialect,
}

/// A kind of loss: what it is called, and where it occurs.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The reason, as in headers.
    pub reason: &'static str,
    /// How much such a loss matters.
    pub severity: Severity,
    /// What happens, as a sentence.
    pub what: &'static str,
    from: &'static [Dialect],
    to: &'static [Dialect],
}

impl Kind {
    /// Returns the directions in which it occurs.
    pub fn ways(&self) -> impl Iterator<Item = Way> {
        let all = self.from.iter().flat_map(|from| {
            let to = self.to.iter();
            to.map(|to| Way {
                from: *from,
                to: *to,
            })
        });
        all.filter(|way| way.from != way.to)
    }
}

macro_rules! kinds {
    ($($lost:ident $severity:ident $reason:literal $from:expr => $to:expr, $what:literal;)*) => {
        /// Names a kind of loss in the code that loses it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Lost {
            $(#[doc = $what] $lost,)*
        }

        impl Lost {
            /// Returns what is known of the kind.
            pub(crate) fn kind(self) -> &'static Kind {
                match self {
                    $(Self::$lost => {
                        const KIND: Kind = Kind {
                            reason: $reason,
                            severity: $severity,
                            what: $what,
                            from: $from,
                            to: $to,
                        };
                        &KIND
                    })*
                }
            }
        }

        /// All kinds of losses.
        pub const KINDS: &[Kind] = &[
            $(Kind {
                reason: $reason,
                severity: $severity,
                what: $what,
                from: $from,
                to: $to,
            },)*
        ];
    };
}

kinds! {
    Unknown Lossy "unknown_member" ALL => ALL,
        "A member that Merit does not know is left out.";
    Parameter Lossy "unsupported_parameter" ALL => ALL,
        "A setting that the other wire has no word for is left out.";
    Hint Info "dropped_hint" ALL => ALL,
        "A member about identity, storing, caching, billing or display is left out.";
    CacheMark Info "cache_mark_dropped" ALL => OPENAI,
        "A mark for the provider's cache is left out.";
    Role Lossy "unsupported_role" ALL => ALL,
        "A message of an unknown role is left out.";
    PartType Lossy "unsupported_type" OPENAI => ALL,
        "A part or an item of an unknown type is left out.";
    BlockType Lossy "unsupported_block_type" &[MESSAGES] => OPENAI,
        "A content block of an unknown type is left out.";
    ResultPartMoved Info "tool_result_part_moved" &[RESPONSES, MESSAGES] => &[CHAT],
        "Images and documents of a tool result go on in a user message after it, which names the call.";
    ResultJoined Info "tool_result_texts_joined" &[RESPONSES, MESSAGES] => &[CHAT],
        "Several texts of one tool result become one, joined by line ends.";
    ResultError Info "tool_result_is_error" &[MESSAGES] => OPENAI,
        "A tool result that is an error says so by the prefix `Error: `.";
    ResultOrphan Lossy "orphan_tool_result" ALL => ALL,
        "A tool result without a call becomes a text of the user's, which names the call.";
    ResultMoved Info "tool_result_moved" ALL => ALL,
        "A tool result is moved right behind its call.";
    EmptyTurn Info "empty_message_dropped" ALL => ALL,
        "A message without content is left out.";
    BlankText Info "blank_text_dropped" OPENAI => &[MESSAGES],
        "A text of blanks alone is left out: the backend refuses it.";
    SystemMoved Info "system_moved" OPENAI => &[MESSAGES],
        "A system text within the conversation goes to its beginning.";
    Developer Info "developer_as_system" OPENAI => &[CHAT, MESSAGES],
        "A developer's text becomes a system text (chat: on vLLM only).";
    SystemAsUser Info "system_as_user" OPENAI => &[MESSAGES],
        "The last system text of a request without messages becomes the user's.";
    Thinking Info "thinking_dropped" ALL => ALL,
        "Reasoning of earlier turns is left out where the backend does not take it back.";
    Sealed Info "sealed_thinking_dropped" &[RESPONSES, MESSAGES] => ALL,
        "Reasoning that a provider signed or sealed is left out: only its maker can use it.";
    SealedItem Lossy "sealed_item_dropped" &[RESPONSES] => &[CHAT, MESSAGES],
        "A summary that a provider sealed is left out: only its maker can read it.";
    ServerCall Lossy "server_tool_as_text" &[RESPONSES, MESSAGES] => ALL,
        "A call of a provider's own tool, or its result, goes on as text.";
    ServerTool Lossy "server_tool_dropped" ALL => ALL,
        "A tool that only its provider runs is left out; a choice that names it is refused.";
    CustomTool Lossy "custom_tool_dropped" OPENAI => &[CHAT, MESSAGES],
        "A tool that takes free text is left out (chat: on vLLM only).";
    CustomCall Info "custom_call_as_function" OPENAI => &[CHAT, MESSAGES],
        "A call with free text becomes one with the member `input` (chat: on vLLM only).";
    Schema Lossy "invalid_schema" OPENAI => &[MESSAGES],
        "A tool's schema gets the `type` that the backend requires.";
    ChoiceAlone Info "tool_choice_without_tools" ALL => ALL,
        "A choice of tools, or whether they may be called at once, is left out where there are no tools.";
    AllowedTools Info "allowed_tools_filtered" OPENAI => ALL,
        "A choice among some tools leaves out the other tools.";
    Name Info "name_dropped" &[CHAT] => &[RESPONSES, MESSAGES],
        "The name of a message's author is left out.";
    Refusal Info "refusal_as_text" OPENAI => &[MESSAGES],
        "A refusal becomes a text of the assistant's.";
    Annotations Info "annotations_dropped" ALL => ALL,
        "Annotations and citations of earlier answers are left out.";
    Detail Info "image_detail_dropped" OPENAI => &[MESSAGES],
        "The detail in which an image is to be seen is left out.";
    DocumentText Info "document_as_text" &[RESPONSES, MESSAGES] => OPENAI,
        "A document that is a text goes on as text, after its title.";
    DocumentDetail Info "document_detail_dropped" &[MESSAGES] => OPENAI,
        "A document's context, or its wish for citations, is left out.";
    MaxTokensDefault Info "max_tokens_defaulted" OPENAI => &[MESSAGES],
        "The limit of tokens that the backend requires is set to 4096.";
    MaxTokensRaised Info "max_tokens_raised" &[CHAT, MESSAGES] => &[RESPONSES],
        "A limit of tokens below 16 becomes 16, the least that the backend takes.";
    Temperature Lossy "temperature_clamped" OPENAI => &[MESSAGES],
        "A temperature above 1 becomes 1.";
    Stops Lossy "stop_sequences_cut" &[MESSAGES] => &[CHAT],
        "Stop sequences after the fourth are left out (not on vLLM).";
    BlankStop Lossy "blank_stop_dropped" &[CHAT] => &[MESSAGES],
        "A stop sequence of blanks alone is left out: the backend refuses it.";
    SamplingConflict Lossy "sampling_conflict" OPENAI => &[MESSAGES],
        "A sampling setting that the backend refuses beside reasoning is left out.";
    ReasoningConflict Lossy "reasoning_conflict" OPENAI => &[MESSAGES],
        "Reasoning is not asked for beside a tool choice that forces a call.";
    ReasoningSwitch Info "reasoning_switch_dropped" &[CHAT, MESSAGES] => OPENAI,
        "A switch of reasoning that the backend has no word for is left out.";
    ReasoningBudget Info "reasoning_budget_changed" &[CHAT, MESSAGES] => ALL,
        "A budget of reasoning tokens becomes an effort, or is left out beside one.";
    Effort Info "effort_changed" ALL => ALL,
        "An effort that the backend does not know becomes the nearest that it does.";
    FormatName Info "format_detail_dropped" OPENAI => &[MESSAGES],
        "Name, description and strictness of an answer's schema are left out.";
    FormatMode Lossy "json_mode_dropped" OPENAI => &[MESSAGES],
        "The wish for JSON without a schema is left out.";
    CallId Info "call_id_changed" OPENAI => &[MESSAGES],
        "Characters of a call's id that the backend refuses are spelled as hexadecimal digits.";
    Reordered Info "parts_reordered" &[RESPONSES, MESSAGES] => &[CHAT],
        "Texts and reasoning of an assistant's turn go before its calls.";
}
