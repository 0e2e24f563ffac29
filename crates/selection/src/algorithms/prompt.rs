//! `prompt`: a helper model chooses. Known, and not implemented yet.

use super::Selector;
use super::method::{Building, Checking, DecisionInput, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A helper model chooses.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSelection {
    /// The helper.
    pub model: String,
    /// What it is told.
    pub instructions: String,
    /// Time limit; 0 means 5.
    pub timeout_seconds: u32,
}

/// Asks the helper.
pub struct Prompt;

impl Method for Prompt {
    type Block = PromptSelection;
    const NAME: &'static str = "prompt";
    const IS_BUILT: bool = false;

    fn check_block(block: &PromptSelection, checking: &mut Checking<'_>) {
        if block.model.is_empty() {
            let path = checking.at("prompt");
            checking.findings.error(path, "`model` is missing");
        }
        checking.known_model("prompt.model", &block.model);
    }

    fn check(_block: Option<&PromptSelection>, checking: &mut Checking<'_>) {
        let candidates = checking.model_refs.iter();
        let mut names: Vec<&str> = candidates.map(|candidate| &*candidate.model).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            let message = "`prompt` needs candidates with different models";
            checking.findings.error(checking.path, message);
        }
    }

    fn build(
        _block: Option<&PromptSelection>,
        _decision: &DecisionInput<'_>,
        _building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        None
    }
}
