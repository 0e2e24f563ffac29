//! `providers.models[].reasoning`: how a model is switched to reasoning, by the name of a built-in
//! family or written out.

use document::{Findings, suggestion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a model is switched to reasoning: a family by its name, or all of it written out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Reasoning")]
pub struct Reasoning {
    /// A built-in family, for example `qwen3` or `gpt-oss`; this or `type` and `parameter`.
    pub family: String,
    /// Where the switch goes.
    #[serde(rename = "type")]
    pub kind: Option<SwitchKind>,
    /// Name of the switch there.
    pub parameter: String,
    /// Name in `chat_template_kwargs` of a switch beside the effort.
    pub activation_parameter: String,
    /// Names in `chat_template_kwargs` that stand for an effort, by effort.
    pub effort_flags: BTreeMap<String, String>,
    /// Efforts that the model knows.
    pub levels: Vec<String>,
    /// Effort where the document names none.
    pub default: String,
    /// Whether the model reasons always, never, or as it is told: `enabled`, `disabled`,
    /// `adaptive`.
    pub modes: Vec<String>,
    /// Mode where the document names none.
    pub default_mode: String,
    /// Effort that switches reasoning off.
    pub disabled: String,
}

/// Where a model's switch for reasoning goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReasoningSwitch")]
pub enum SwitchKind {
    /// A boolean in `chat_template_kwargs`.
    ChatTemplateKwargs,
    /// An effort, in `chat_template_kwargs` or at the top level as the model's host wants it.
    ReasoningEffort,
    /// An effort at the top level.
    TopLevelReasoningEffort,
    /// A mode at the top level.
    ReasoningMode,
}

impl SwitchKind {
    /// Returns the word in the document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatTemplateKwargs => "chat_template_kwargs",
            Self::ReasoningEffort => "reasoning_effort",
            Self::TopLevelReasoningEffort => "top_level_reasoning_effort",
            Self::ReasoningMode => "reasoning_mode",
        }
    }

    /// Tells whether the switch takes an effort.
    #[must_use]
    pub fn takes_effort(self) -> bool {
        matches!(self, Self::ReasoningEffort | Self::TopLevelReasoningEffort)
    }
}

/// What is known of a built-in family.
struct Family {
    name: &'static str,
    kind: SwitchKind,
    parameter: &'static str,
    activation: &'static str,
    levels: &'static [&'static str],
    /// Whether reasoning can be switched off.
    has_off: bool,
    /// Effort that switches it off, if there is one.
    disabled: &'static str,
    /// Modes in which it reasons.
    modes: &'static [&'static str],
    /// It does not reason unless it is told to.
    is_off_by_default: bool,
}

const fn toggle(name: &'static str, parameter: &'static str) -> Family {
    Family {
        name,
        kind: SwitchKind::ChatTemplateKwargs,
        parameter,
        activation: "",
        levels: &[],
        has_off: true,
        disabled: "",
        modes: ENABLED,
        is_off_by_default: false,
    }
}

/// A family with efforts that always reasons.
const fn efforts(name: &'static str, levels: &'static [&'static str]) -> Family {
    Family {
        name,
        kind: SwitchKind::ReasoningEffort,
        parameter: "reasoning_effort",
        activation: "",
        levels,
        has_off: false,
        disabled: "",
        modes: ENABLED,
        is_off_by_default: false,
    }
}

/// A family whose effort `none` switches reasoning off.
const fn efforts_or_none(name: &'static str, levels: &'static [&'static str]) -> Family {
    Family {
        has_off: true,
        disabled: "none",
        ..efforts(name, levels)
    }
}

/// A family with efforts and a switch beside them.
const fn activated(name: &'static str, levels: &'static [&'static str]) -> Family {
    Family {
        activation: "enable_thinking",
        has_off: true,
        ..efforts(name, levels)
    }
}

const ENABLED: &[&str] = &["enabled"];
const ADAPTIVE: &[&str] = &["adaptive"];
const LOW_TO_HIGH: &[&str] = &["low", "medium", "high"];
const LOW_TO_MAX: &[&str] = &["low", "medium", "high", "xhigh", "max"];
const MINIMAL_TO_MAX: &[&str] = &["minimal", "low", "medium", "high", "xhigh", "max"];

/// The families that a document may name. `NAME-always-on` means one without the switch.
const FAMILIES: &[Family] = &[
    toggle("qwen3", "enable_thinking"),
    toggle("glm", "enable_thinking"),
    toggle("hunyuan", "enable_thinking"),
    toggle("mimo", "enable_thinking"),
    Family {
        is_off_by_default: true,
        ..toggle("gemma4", "enable_thinking")
    },
    toggle("nemotron-thinking-toggle", "enable_thinking"),
    toggle("deepseek-v3.1", "thinking"),
    toggle("deepseek-v3.2", "thinking"),
    toggle("kimi-k2", "thinking"),
    Family {
        has_off: true,
        ..efforts("deepseek", &["low", "high", "max"])
    },
    activated("qwen3.8", &["low", "medium", "xhigh"]),
    activated("glm-5.2", &["high", "max"]),
    efforts("glm-5.3", &["low", "high", "max"]),
    efforts("kimi-k3", &["low", "high", "max"]),
    efforts("gpt-oss", LOW_TO_HIGH),
    efforts_or_none("gpt", MINIMAL_TO_MAX),
    efforts_or_none("gpt-5.4", LOW_TO_MAX),
    efforts_or_none("gpt-5.5", LOW_TO_MAX),
    efforts_or_none("gpt-5.6", LOW_TO_MAX),
    efforts_or_none("grok-4.3", LOW_TO_HIGH),
    efforts("grok-4.5", LOW_TO_HIGH),
    efforts("grok-4.6", LOW_TO_HIGH),
    efforts_or_none("mistral-none-high", &["high"]),
    Family {
        parameter: "effort",
        modes: ADAPTIVE,
        ..efforts("claude-effort", LOW_TO_MAX)
    },
    Family {
        parameter: "effort",
        has_off: true,
        modes: ADAPTIVE,
        ..efforts("claude-effort-adaptive", LOW_TO_MAX)
    },
    Family {
        parameter: "effort",
        has_off: true,
        modes: ADAPTIVE,
        is_off_by_default: true,
        ..efforts("claude-effort-opt-in", LOW_TO_MAX)
    },
    Family {
        kind: SwitchKind::ReasoningMode,
        parameter: "thinking_mode",
        has_off: true,
        modes: &["enabled", "adaptive"],
        ..efforts("minimax-m3", &[])
    },
];

/// The mode in which a model does not reason.
pub const DISABLED: &str = "disabled";

/// What a family's name ends in where its models always reason.
const ALWAYS_ON: &str = "-always-on";

impl Reasoning {
    /// Returns all of the switch written out; `None` if it names no known family and no type.
    #[must_use]
    pub fn written_out(&self) -> Option<Self> {
        if self.family.is_empty() {
            return self.kind.map(|_| self.clone());
        }
        let name = self.family.trim();
        let (base, is_always_on) = match name.strip_suffix(ALWAYS_ON) {
            Some(base) => (base, true),
            None => (name, false),
        };
        let family = FAMILIES.iter().find(|family| family.name == base)?;
        let can_stop = family.has_off && !is_always_on;
        let mut modes = family.modes.to_vec();
        modes.extend(can_stop.then_some(DISABLED));
        let default_mode = match can_stop && family.is_off_by_default {
            true => DISABLED,
            false => family.modes.first().copied().unwrap_or_default(),
        };
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Some(Self {
            kind: Some(family.kind),
            parameter: family.parameter.to_owned(),
            activation_parameter: family.activation.to_owned(),
            levels: owned(family.levels),
            modes: owned(&modes),
            default_mode: default_mode.to_owned(),
            disabled: family.disabled.to_owned(),
            ..Self::default()
        })
    }

    /// Tells whether the model cannot be kept from reasoning.
    #[must_use]
    pub fn is_always_on(&self) -> bool {
        !self.modes.is_empty() && !self.modes.iter().any(|mode| mode == DISABLED)
    }

    /// Returns the mode that a model is told: the one that is asked for, else the usual one of those
    /// in which it reasons or does not. `None` if it has no such mode.
    #[must_use]
    pub fn mode<'a>(&'a self, on: bool, asked: &'a str) -> Option<&'a str> {
        let fits = |mode: &&str| (*mode != DISABLED) == on;
        if let Some(asked) = Some(asked).filter(|it| !it.is_empty()).filter(fits) {
            return Some(asked);
        }
        if self.modes.is_empty() {
            return Some(if on { "enabled" } else { DISABLED });
        }
        let modes = self.modes.iter().map(String::as_str);
        std::iter::once(self.default_mode.as_str())
            .chain(modes)
            .filter(|mode| !mode.is_empty())
            .find(fits)
    }

    /// Reports what is wrong with the block at `path`.
    pub fn check(&self, path: &str, findings: &mut Findings) {
        let is_inline = self.kind.is_some() || !self.parameter.is_empty();
        match (self.family.is_empty(), is_inline) {
            (false, false) if self.written_out().is_none() => {
                let known = FAMILIES.iter().map(|family| family.name);
                let hint = suggestion(&self.family, known);
                let message = format!(
                    "write `type` and `parameter` here: no reasoning family `{}`{hint}",
                    self.family
                );
                findings.error(format!("{path}.family"), message);
            }
            (false, false) => {}
            (false, true) => findings.error(path, "`family` excludes `type` and `parameter`"),
            (true, false) => {
                findings.error(path, "`family`, or `type` and `parameter`, is missing")
            }
            (true, true) => self.check_switch(path, findings),
        }
    }

    fn check_switch(&self, path: &str, findings: &mut Findings) {
        let Some(kind) = self.kind else {
            return findings.error(path, "`type` is missing");
        };
        let mut error = |key: &str, message: String| {
            findings.error(format!("{path}.{key}"), message);
        };
        let levels = self.levels.join(", ");
        if self.parameter.is_empty() {
            error("parameter", "`parameter` is missing".to_owned());
        }
        if kind.takes_effort() && self.levels.is_empty() {
            error("levels", "an effort needs `levels`".to_owned());
        }
        if kind == SwitchKind::ReasoningMode && !self.levels.is_empty() {
            error("levels", "a mode has no `levels`".to_owned());
        }
        if !self.default.is_empty() && !self.levels.contains(&self.default) {
            error("default", format!("levels are {levels}"));
        }
        if self.default_mode.is_empty() != self.modes.is_empty() {
            error(
                "modes",
                "`modes` and `default_mode` are written together".to_owned(),
            );
        } else if !self.modes.is_empty() && !self.modes.contains(&self.default_mode) {
            error(
                "default_mode",
                format!("modes are {}", self.modes.join(", ")),
            );
        }
        if !self.disabled.is_empty() && self.is_always_on() {
            error("disabled", "needs the mode `disabled`".to_owned());
        }
        if !self.activation_parameter.is_empty() {
            if kind != SwitchKind::ReasoningEffort {
                let message = "belongs to the type `reasoning_effort`";
                error("activation_parameter", message.to_owned());
            }
            if self.activation_parameter == self.parameter {
                error("activation_parameter", "is `parameter` already".to_owned());
            }
        }
        if !self.effort_flags.is_empty() && self.activation_parameter.is_empty() {
            error("effort_flags", "needs `activation_parameter`".to_owned());
        }
        let stray = |level: &&String| !self.levels.contains(*level);
        if let Some(level) = self.effort_flags.keys().find(stray) {
            error(
                "effort_flags",
                format!("`{level}` is no level; levels are {levels}"),
            );
        }
        if kind == SwitchKind::TopLevelReasoningEffort && self.parameter != "reasoning_effort" {
            error(
                "parameter",
                "is `reasoning_effort` at the top level".to_owned(),
            );
        }
    }
}
