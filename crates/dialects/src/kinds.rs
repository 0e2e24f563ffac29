//! The roles of messages and the types of their parts, as providers accept them: in any case, on
//! every wire and for the eval endpoint alike.

use std::borrow::Cow;

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
    System,
    Developer,
    Tool,
    /// Any other role: no text, no count, but it is the last message's role.
    Other,
}

impl Role {
    /// Returns the role of this name.
    pub(crate) fn named(name: &str) -> Self {
        match folded(name).as_ref() {
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "system" => Self::System,
            "developer" => Self::Developer,
            "tool" => Self::Tool,
            _ => Self::Other,
        }
    }
}

/// What a part of a message's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Plain words.
    Text,
    /// A picture.
    Image,
    /// A document whose text belongs to the message, or a search result.
    Document,
    /// Something else.
    Other,
}

impl Part {
    /// Returns what a part of this type is. OpenAI's servers take parts without a type for text.
    pub(crate) fn named(kind: &str) -> Self {
        match folded(kind).as_ref() {
            "" | "text" | "input_text" | "output_text" => Self::Text,
            "image" | "image_url" | "input_image" => Self::Image,
            "document" | "search_result" => Self::Document,
            _ => Self::Other,
        }
    }
}

/// Returns a word trimmed and in lower case, borrowed where it is so already.
pub(crate) fn folded(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.chars().any(char::is_uppercase) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_providers_accept() {
        for (name, role) in [
            ("user", Role::User),
            (" User ", Role::User),
            ("ASSISTANT", Role::Assistant),
            ("Developer", Role::Developer),
            ("critic", Role::Other),
            ("", Role::Other),
        ] {
            assert_eq!(Role::named(name), role, "{name}");
        }
        for (kind, part) in [
            ("", Part::Text),
            ("Text", Part::Text),
            ("input_text", Part::Text),
            ("INPUT_IMAGE", Part::Image),
            ("document", Part::Document),
            ("refusal", Part::Other),
        ] {
            assert_eq!(Part::named(kind), part, "{kind}");
        }
    }
}
