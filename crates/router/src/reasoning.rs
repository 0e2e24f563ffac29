//! The reasoning switch of each model family: what a candidate's `use_reasoning` means in the body
//! that is sent.

use crate::plan::ReasoningEdit;
use selection::providers::reasoning::{Reasoning, SwitchKind};
use selection::providers::{BackendRef, ProviderDefaults, ProviderModel};
use serde_json::Value;
use std::sync::Arc;

/// A model's family, and the API flavour that its host speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    family: Option<(Family, Arc<str>)>,
    /// The switch of a model whose `reasoning` says more than a family's type and parameter.
    written: Option<Arc<Reasoning>>,
    flavour: Flavour,
    default_effort: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    ChatTemplateKwargs,
    ReasoningEffort,
    TopLevelReasoningEffort,
}

/// Official APIs take the effort at the top level; vLLM and its like in the chat template's kwargs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Generic,
    Official,
    DeepSeek,
}

impl Switch {
    /// Returns whether a backend is at no host whose API is known.
    #[must_use]
    pub fn is_generic(backend: &BackendRef) -> bool {
        flavour(backend) == Flavour::Generic
    }

    /// The switch of `model`.
    #[must_use]
    pub fn of(
        model: &ProviderModel,
        backend: Option<&BackendRef>,
        defaults: &ProviderDefaults,
    ) -> Self {
        let flavour = backend.map_or(Flavour::Generic, flavour);
        if let Some(reasoning) = &model.reasoning {
            return Self::written(reasoning, flavour, defaults);
        }
        let family = defaults
            .reasoning_families
            .get(&model.reasoning_family)
            .and_then(|family| {
                let kind = match family.kind.as_str() {
                    "chat_template_kwargs" => Family::ChatTemplateKwargs,
                    "reasoning_effort" => Family::ReasoningEffort,
                    "top_level_reasoning_effort" => Family::TopLevelReasoningEffort,
                    _ => return None,
                };
                Some((kind, family.parameter.as_str().into()))
            });
        let effort = defaults.default_reasoning_effort.as_str();
        let default_effort = if effort.is_empty() { "medium" } else { effort }.into();
        Self {
            family,
            written: None,
            flavour,
            default_effort,
        }
    }

    /// Returns the switch of a `reasoning` block. An unknown family leaves requests as they are.
    fn written(reasoning: &Reasoning, flavour: Flavour, defaults: &ProviderDefaults) -> Self {
        let written = reasoning.written_out();
        let effort = &defaults.default_reasoning_effort;
        let default_effort: Arc<str> = match &written {
            Some(it) if it.levels.is_empty() || it.levels.contains(effort) => effort.as_str(),
            Some(it) => it.default.as_str(),
            None => "",
        }
        .into();

        // A boolean in the kwargs is all that such a family has; hosts that take an effort in its
        // place get one.
        let toggle = written
            .as_ref()
            .filter(|it| it.kind == Some(SwitchKind::ChatTemplateKwargs));
        let family = toggle.map(|it| (Family::ChatTemplateKwargs, it.parameter.as_str().into()));
        let default_effort = match &family {
            Some(_) if default_effort.is_empty() => "medium".into(),
            _ => default_effort,
        };
        Self {
            written: written.filter(|_| family.is_none()).map(Arc::new),
            family,
            flavour,
            default_effort,
        }
    }

    /// The edit for a decision's candidate. `effort` and `mode` are the candidate's own (may be
    /// empty), `callers` what the client had asked for.
    #[must_use]
    pub fn edit(&self, on: bool, effort: &str, mode: &str, callers: Option<&str>) -> ReasoningEdit {
        if let Some(written) = &self.written {
            return self.written_edit(written, on, effort, mode);
        }
        let Some((family, param)) = &self.family else {
            return ReasoningEdit::Forget;
        };
        let effort: Arc<str> = if effort.is_empty() {
            self.default_effort.clone()
        } else {
            effort.into()
        };
        if self.flavour == Flavour::DeepSeek {
            return ReasoningEdit::Thinking { on, effort };
        }
        match (family, self.flavour) {
            // A vendor's own API answers 400 to the template's form.
            (Family::ChatTemplateKwargs, Flavour::Official) => {
                let value = if on { Some(effort.as_ref()) } else { callers };
                ReasoningEdit::TopLevel {
                    param: "reasoning_effort".into(),
                    value: value.map(Value::from),
                    drop_kwarg: Some(param.clone()),
                }
            }
            (Family::ChatTemplateKwargs, _) => ReasoningEdit::Kwarg {
                param: param.clone(),
                value: Value::Bool(on),
            },
            (Family::ReasoningEffort, Flavour::Generic) => {
                let kept = callers.unwrap_or("low");
                let value = Value::from(if on { effort.as_ref() } else { kept });
                ReasoningEdit::Kwarg {
                    param: param.clone(),
                    value,
                }
            }
            (Family::ReasoningEffort | Family::TopLevelReasoningEffort, _) => {
                let value = if on { Some(effort.as_ref()) } else { callers };
                let drops = *family == Family::TopLevelReasoningEffort;
                ReasoningEdit::TopLevel {
                    param: param.clone(),
                    value: value.map(Value::from),
                    drop_kwarg: drops.then(|| param.clone()),
                }
            }
        }
    }
}

impl Switch {
    /// Returns the edit of a switch that is written out.
    fn written_edit(
        &self,
        written: &Reasoning,
        on: bool,
        effort: &str,
        mode: &str,
    ) -> ReasoningEdit {
        let effort = if effort.is_empty() {
            &*self.default_effort
        } else {
            effort
        };
        if self.flavour == Flavour::DeepSeek {
            let effort = if effort.is_empty() { "high" } else { effort };
            return ReasoningEdit::Thinking {
                on,
                effort: effort.into(),
            };
        }
        let parameter: Arc<str> = written.parameter.as_str().into();
        if written.kind == Some(SwitchKind::ReasoningMode) {
            let word = written.mode(on, mode);
            return ReasoningEdit::Written {
                kwargs: Vec::new(),
                effort: None,
                mode: word.map(|word| (parameter, Value::from(word))),
            };
        }

        let mut kwargs = Vec::new();
        let value = if on {
            effort
        } else {
            written.disabled.as_str()
        };
        if !written.activation_parameter.is_empty() && (on || written.disabled.is_empty()) {
            kwargs.push((
                written.activation_parameter.as_str().into(),
                Value::from(on),
            ));
        }
        let mut set = (!value.is_empty()).then(|| (parameter, Value::from(value)));
        if let Some(flag) = written.effort_flags.get(value).filter(|_| on) {
            kwargs.push((flag.as_str().into(), Value::from(true)));
            set = None;
        }
        let in_kwargs =
            written.kind == Some(SwitchKind::ReasoningEffort) && self.flavour == Flavour::Generic;
        if in_kwargs {
            kwargs.extend(set.take());
        }
        ReasoningEdit::Written {
            kwargs,
            effort: set,
            mode: None,
        }
    }
}

/// Hosts of APIs that take `reasoning_effort` at the top level; their subdomains do so too.
const OFFICIAL: &[&str] = &[
    "api.openai.com",
    "openai.azure.com",
    "services.ai.azure.com",
    "openrouter.ai",
    "api.x.ai",
    "api.groq.com",
    "generativelanguage.googleapis.com",
];

fn flavour(backend: &BackendRef) -> Flavour {
    if backend.is_at("api.deepseek.com") {
        Flavour::DeepSeek
    } else if OFFICIAL.iter().any(|official| backend.is_at(official)) {
        Flavour::Official
    } else {
        Flavour::Generic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use selection::providers::ReasoningFamily;

    fn switch(kind: &str, parameter: &str, base_url: &str) -> Switch {
        let mut defaults = ProviderDefaults::default();
        let family = ReasoningFamily {
            kind: kind.into(),
            parameter: parameter.into(),
        };
        defaults.reasoning_families.insert("f".into(), family);
        let backend = BackendRef {
            base_url: base_url.into(),
            provider: "openai".into(),
            ..BackendRef::default()
        };
        let model = ProviderModel {
            reasoning_family: "f".into(),
            backend_refs: vec![backend],
            ..ProviderModel::default()
        };
        Switch::of(&model, model.backend_refs.first(), &defaults)
    }

    fn kwarg(param: &str, value: impl Into<Value>) -> ReasoningEdit {
        ReasoningEdit::Kwarg {
            param: param.into(),
            value: value.into(),
        }
    }

    fn top(param: &str, value: Option<&str>, drops: bool) -> ReasoningEdit {
        ReasoningEdit::TopLevel {
            param: param.into(),
            value: value.map(Value::from),
            drop_kwarg: drops.then(|| "p".into()),
        }
    }

    /// `kwargs` and what stands at the top level, as JSON. A mode follows the effort, behind `/`.
    fn written(reasoning: &str, base_url: &str, on: bool, effort: &str) -> String {
        let (effort, mode) = effort.split_once('/').unwrap_or((effort, ""));
        let model = ProviderModel {
            reasoning: Some(serde_json::from_str(reasoning).unwrap()),
            ..ProviderModel::default()
        };
        let backend = BackendRef {
            base_url: base_url.into(),
            ..BackendRef::default()
        };
        let defaults = ProviderDefaults::default();
        let object = |pairs: Vec<(Arc<str>, Value)>| {
            let pairs = pairs.into_iter();
            let fields = pairs.map(|(name, value)| (name.to_string(), value));
            Value::Object(fields.collect()).to_string()
        };
        match Switch::of(&model, Some(&backend), &defaults).edit(on, effort, mode, None) {
            ReasoningEdit::Written {
                kwargs,
                effort,
                mode,
            } => format!(
                "{} {}",
                object(kwargs),
                object(effort.into_iter().chain(mode).collect())
            ),
            ReasoningEdit::Kwarg { param, value } => object(vec![(param, value)]),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn switches_that_are_written_out() {
        let local = "http://127.0.0.1:8000/v1";
        let openai = "https://api.openai.com/v1";
        let inline = r#"{"type":"reasoning_effort","parameter":"reasoning_effort","levels":["low","high"],"default":"high"}"#;
        let flagged = r#"{"type":"reasoning_effort","parameter":"e","activation_parameter":"think","effort_flags":{"low":"low_effort"},"levels":["low","high"],"default":"high"}"#;
        for (reasoning, host, on, effort, expected) in [
            (
                r#"{"family":"qwen3"}"#,
                local,
                false,
                "",
                r#"{"enable_thinking":false}"#,
            ),
            (
                r#"{"family":"kimi-k2"}"#,
                local,
                true,
                "",
                r#"{"thinking":true}"#,
            ),
            (inline, local, true, "", r#"{"reasoning_effort":"high"} {}"#),
            (
                inline,
                openai,
                true,
                "low",
                r#"{} {"reasoning_effort":"low"}"#,
            ),
            (inline, openai, false, "", "{} {}"),
            (
                r#"{"family":"gpt"}"#,
                openai,
                false,
                "",
                r#"{} {"reasoning_effort":"none"}"#,
            ),
            (flagged, local, true, "", r#"{"think":true,"e":"high"} {}"#),
            (
                flagged,
                local,
                true,
                "low",
                r#"{"think":true,"low_effort":true} {}"#,
            ),
            (flagged, local, false, "", r#"{"think":false} {}"#),
            (
                r#"{"family":"minimax-m3"}"#,
                local,
                false,
                "",
                r#"{} {"thinking_mode":"disabled"}"#,
            ),
            (
                r#"{"family":"minimax-m3"}"#,
                local,
                true,
                "/adaptive",
                r#"{} {"thinking_mode":"adaptive"}"#,
            ),
            (
                r#"{"type":"reasoning_mode","parameter":"think","modes":["adaptive"],"default_mode":"adaptive"}"#,
                local,
                true,
                "",
                r#"{} {"think":"adaptive"}"#,
            ),
            (
                r#"{"type":"reasoning_mode","parameter":"think","modes":["adaptive"],"default_mode":"adaptive"}"#,
                local,
                false,
                "",
                "{} {}",
            ),
        ] {
            assert_eq!(
                written(reasoning, host, on, effort),
                expected,
                "{reasoning}"
            );
        }
    }

    #[test]
    fn families_and_hosts() {
        let local = "http://127.0.0.1:8000/v1";
        let openai = "https://api.openai.com/v1";
        let cases = [
            (
                "chat_template_kwargs",
                local,
                true,
                "",
                None,
                kwarg("p", true),
            ),
            (
                "chat_template_kwargs",
                local,
                false,
                "high",
                Some("high"),
                kwarg("p", false),
            ),
            (
                "reasoning_effort",
                local,
                true,
                "high",
                None,
                kwarg("p", "high"),
            ),
            (
                "reasoning_effort",
                local,
                true,
                "",
                None,
                kwarg("p", "medium"),
            ),
            (
                "reasoning_effort",
                local,
                false,
                "high",
                None,
                kwarg("p", "low"),
            ),
            (
                "reasoning_effort",
                local,
                false,
                "high",
                Some("minimal"),
                kwarg("p", "minimal"),
            ),
            (
                "reasoning_effort",
                openai,
                true,
                "high",
                None,
                top("p", Some("high"), false),
            ),
            (
                "reasoning_effort",
                openai,
                false,
                "high",
                Some("low"),
                top("p", Some("low"), false),
            ),
            (
                "reasoning_effort",
                openai,
                false,
                "high",
                None,
                top("p", None, false),
            ),
            (
                "chat_template_kwargs",
                openai,
                true,
                "high",
                None,
                top("reasoning_effort", Some("high"), true),
            ),
            (
                "top_level_reasoning_effort",
                local,
                true,
                "",
                None,
                top("p", Some("medium"), true),
            ),
            (
                "top_level_reasoning_effort",
                local,
                false,
                "",
                Some("high"),
                top("p", Some("high"), true),
            ),
            (
                "unheard_of",
                local,
                true,
                "high",
                Some("low"),
                ReasoningEdit::Forget,
            ),
        ];
        for (kind, url, on, effort, callers, expected) in cases {
            assert_eq!(
                switch(kind, "p", url).edit(on, effort, "", callers),
                expected,
                "{kind} {url} {on} {effort}"
            );
        }
    }

    #[test]
    fn providers_are_recognised_by_their_hosts() {
        #[track_caller]
        fn check(base_url: &str, endpoint: &str, expected: Flavour) {
            for provider in ["", "openai", "custom"] {
                let backend = BackendRef {
                    base_url: base_url.into(),
                    endpoint: endpoint.into(),
                    provider: provider.into(),
                    ..BackendRef::default()
                };
                assert_eq!(flavour(&backend), expected, "{base_url}{endpoint}");
            }
        }
        check("https://api.openai.com/v1", "", Flavour::Official);
        check("https://API.OpenAI.com:443", "", Flavour::Official);
        check("", "api.openai.com:443", Flavour::Official);
        check("", "eu.api.openai.com.", Flavour::Official);
        check("", "ours.openai.azure.com:443", Flavour::Official);
        check("", "openrouter.ai", Flavour::Official);
        check("", "api.deepseek.com:443", Flavour::DeepSeek);
        check("https://api.deepseek.com/v1", "", Flavour::DeepSeek);
        check("", "127.0.0.1:8001", Flavour::Generic);
        check("", "notapi.openai.com.example.org:443", Flavour::Generic);
        check("", "myapi.openai.com:443", Flavour::Generic);
        check("https://proxy.local/api.openai.com", "", Flavour::Generic);
    }

    #[test]
    fn deepseek_has_its_own_switch() {
        let switch = switch("reasoning_effort", "p", "https://api.deepseek.com/v1");
        assert_eq!(
            switch.edit(true, "high", "", None),
            ReasoningEdit::Thinking {
                on: true,
                effort: "high".into()
            }
        );
        assert_eq!(
            switch.edit(false, "", "", None),
            ReasoningEdit::Thinking {
                on: false,
                effort: "medium".into()
            }
        );
    }
}
