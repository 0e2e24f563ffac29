//! `routing.signals`: one list of rules per signal family.

use super::BuildSignal;
use crate::report::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares a list for each family, how its rules are named, and what builds its signal where no
/// model is needed; then the lists of rules that are known and not run.
macro_rules! section {
    (
        $($(#[$doc:meta])* $list:ident: $rule:ty as $kind:ident $(by $build:path)?,)*
        ;
        $($(#[$other_doc:meta])* $other:ident: $other_rule:ty,)*
    ) => {
        /// Declared signals by family.
        #[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Signals {
            $($(#[$doc])* pub $list: Vec<$rule>,)*
            $($(#[$other_doc])* pub $other: Vec<$other_rule>,)*
        }

        /// The families that need no model, in the order in which they are evaluated.
        pub(super) const FAMILIES: &[BuildSignal] = &[$($($build,)?)*];

        impl Signals {
            /// Returns the names of a family's rules, in the order of the document.
            #[must_use]
            pub fn rules(&self, kind: Kind) -> Vec<&str> {
                match kind {
                    $(Kind::$kind => self.$list.iter().map(|rule| rule.name.as_str()).collect(),)*
                    Kind::Projection => Vec::new(),
                }
            }
        }
    };
}

section! {
    /// Words and patterns in the user's turn.
    keywords: super::keyword::KeywordRule as Keyword by super::keyword::build,
    /// Similarity to example texts.
    embeddings: super::learned::embedding::EmbeddingRule as Embedding,
    /// Topics.
    domains: super::learned::domain::DomainRule as Domain,
    /// Does the turn need facts? Names: `needs_fact_check`, `no_fact_check_needed`.
    fact_check: super::learned::label::LabelRule as FactCheck,
    /// What the turn says of the last answer. Names: `satisfied`, `need_clarification`,
    /// `wrong_answer`, `want_different`.
    user_feedbacks: super::learned::label::LabelRule as UserFeedback,
    /// Repeated questions.
    reasks: super::learned::reask::ReaskRule as Reask,
    /// Expressed preferences.
    preferences: super::learned::preference::PreferenceRule as Preference,
    /// Language of the user's turn.
    language: super::language::LanguageRule as Language by super::language::build,
    /// Bands of the estimated token count.
    context: super::context::ContextRule as Context by super::context::build,
    /// Counts, densities and sequences in the user's turn.
    structure: super::structure::StructureRule as Structure by super::structure::build,
    /// Hard, medium or easy.
    complexity: super::learned::complexity::ComplexityRule as Complexity,
    /// Text or images. Names: `AR`, `DIFFUSION`, `BOTH`.
    modality: super::learned::label::LabelRule as Modality,
    /// Roles granted to authenticated users and groups.
    role_bindings: super::authz::RoleBinding as Authz by super::authz::build,
    /// Prompt injection and jailbreak attempts.
    jailbreak: super::learned::jailbreak::JailbreakRule as Jailbreak,
    /// Personal data.
    pii: super::learned::pii::PiiRule as Pii,
    /// Labels and groups of knowledge bases.
    kb: super::learned::kb::KbRule as Kb,
    /// Counts over messages and tools.
    conversation: super::conversation::ConversationRule as Conversation
        by super::conversation::build,
    /// Operational events named in the user's turn.
    events: super::event::EventRule as Event by super::event::build,
    /// Values of the request's `metadata` map.
    metadata: super::metadata::MetadataRule as Metadata by super::metadata::build,
    /// Classifiers of the operator's own.
    classifiers: super::learned::classifier::ClassifierRule as Classifier,
    /// Is the turn safe? No model reads turns for it: nothing is known of the rules, and
    /// `on_unknown` of a decision says what that means.
    safety: super::safety::SafetyRule as Safety by super::safety::build,
    /// What the user's messages hold: text, images, sounds, films.
    input_modality: super::input_modality::InputModalityRule as InputModality
        by super::input_modality::build,

    ;

    /// Is the answer supported? Known, and not run: the answer is checked after the decision.
    hallucination: super::not_run::HallucinationRule,
}

impl Signals {
    /// Returns the names that a rule leaf of this family can have: those of its rules, or the roles
    /// that bindings grant.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        match kind {
            Kind::Authz => self
                .role_bindings
                .iter()
                .map(|binding| binding.role.as_str())
                .collect(),
            _ => self.rules(kind),
        }
    }
}
