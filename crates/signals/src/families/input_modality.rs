//! What the user's messages hold: text, images, sounds, films.
//!
//! Every turn of the user counts, results of tools do not. Each rule is asked for itself: that
//! `image` does not hold says nothing of `text`.
//!
//! ```yaml
//! routing:
//!   signals:
//!     input_modality:
//!       - {name: pictures, modality: image}
//! ```

use super::{Building, Signal, SignalError, SignalInput, Watch, ran};
use crate::report::{Key, Kind, SignalReport};
use dialects::{Media, Place, Prompt};
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the user's messages hold.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InputModalityRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What is looked for: `text`, `image`, `audio` or `video`.
    #[schemars(extend("enum" = ["text", "image", "audio", "video"]))]
    pub modality: String,
}

/// Compiles the rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.input_modality;
    if declared.is_empty() {
        return None;
    }
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let key = building.keys.intern(Kind::InputModality, &rule.name);
        let at = building.scope.rule(Kind::InputModality, index);
        let modality = Modality::of(rule, &at, building.findings);
        rules.extend(modality.map(|modality| (key, modality)));
    }
    Some(Box::new(InputModalitySignal { rules }))
}

/// What a rule looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modality {
    Text,
    Attached(Media),
}

impl Modality {
    fn of(rule: &InputModalityRule, at: &str, findings: &mut Findings) -> Option<Self> {
        match rule.modality.trim() {
            "text" => Some(Self::Text),
            "image" => Some(Self::Attached(Media::Image)),
            "audio" => Some(Self::Attached(Media::Audio)),
            "video" => Some(Self::Attached(Media::Video)),
            _ => {
                let message = "`text`, `image`, `audio` or `video` is wanted";
                findings.error(format!("{at}.modality"), message);
                None
            }
        }
    }

    fn is_in(self, prompt: &Prompt) -> bool {
        let texts = &prompt.texts;
        match self {
            Self::Text => {
                let earlier = texts.prior_user.iter().chain(&texts.passed_over);
                let mut all = earlier.chain([&texts.current]);
                all.any(|text| !text.is_empty())
            }
            Self::Attached(Media::Image) => prompt.conversation.images > 0,
            Self::Attached(media) => [Place::Current, Place::History]
                .into_iter()
                .any(|place| texts.unreadable.contains(&(place, media))),
        }
    }
}

/// The family of one recipe.
struct InputModalitySignal {
    rules: Vec<(Key, Modality)>,
}

impl Signal for InputModalitySignal {
    fn kind(&self) -> Kind {
        Kind::InputModality
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        for (key, modality) in &self.rules {
            if modality.is_in(input.prompt) {
                report.emit(*key);
            }
        }
        ran(report, Kind::InputModality, 0.0);
        Ok(())
    }

    /// What is attached is known without reading it.
    fn doubt_unread(
        &self,
        _input: &SignalInput<'_>,
        _watched: &[Watch],
        _report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::tests::{compiled, errors};
    use crate::families::{Deps, Signals};
    use crate::report::Keys;
    use dialects::{Dialect, ReadOptions, Request};

    /// The modalities of a request that match, of all four.
    #[track_caller]
    fn check(dialect: Dialect, messages: &str, expected: &[&str]) {
        let names = ["text", "image", "audio", "video"];
        let rule = |name: &str| InputModalityRule {
            name: name.into(),
            modality: name.into(),
            ..InputModalityRule::default()
        };
        let signals = Signals {
            input_modality: names.map(rule).to_vec(),
            ..Signals::default()
        };
        let mut keys = Keys::default();
        let signal = compiled(&signals, &mut keys, &Deps::default());
        let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{messages}]}}"#);
        let request = Request::parse(dialect, body.into(), &ReadOptions::default()).unwrap();
        let mut report = SignalReport::new(&keys);
        let input = SignalInput::new(request.prompt(), None);
        signal.evaluate(&input, &mut report).unwrap();
        let matched: Vec<&str> = report.matches().map(|key| keys.name(key)).collect();
        assert_eq!(matched, expected, "{messages}");
    }

    #[test]
    fn messages_of_the_user_alone() {
        const IMAGE: &str = r#"{"type":"image_url","image_url":{"url":"https://h/x.png"}}"#;
        const SOUND: &str =
            r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#;
        const FILM: &str = r#"{"type":"video_url","video_url":{"url":"https://h/x.mp4"}}"#;
        let user = |content: &str| format!(r#"{{"role":"user","content":{content}}}"#);
        let chat = Dialect::OpenAiChat;
        check(chat, &user(r#""hello""#), &["text"]);
        check(chat, &user(&format!("[{IMAGE}]")), &["image"]);
        check(
            chat,
            &user(&format!("[{SOUND},{FILM}]")),
            &["audio", "video"],
        );
        let earlier = format!(
            r#"{},{{"role":"assistant","content":"a cat"}},{}"#,
            user(&format!("[{IMAGE}]")),
            user(r#""and now?""#)
        );
        check(chat, &earlier, &["text", "image"]);

        let result = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#;
        check(Dialect::AnthropicMessages, result, &[]);
    }

    #[test]
    fn modalities_that_are_none() {
        let rule = InputModalityRule {
            name: "r".into(),
            modality: "smell".into(),
            ..InputModalityRule::default()
        };
        let signals = Signals {
            input_modality: vec![rule],
            ..Signals::default()
        };
        assert_eq!(errors(&signals), ["input_modality[0].modality"]);
    }
}
