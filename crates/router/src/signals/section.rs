//! `routing.signals`: one list of rules per signal family.

use super::authz::RoleBinding;
use super::context::ContextRule;
use super::conversation::ConversationRule;
use super::event::EventRule;
use super::keyword::KeywordRule;
use super::language::LanguageRule;
use super::learned::classifier::ClassifierRule;
use super::learned::complexity::ComplexityRule;
use super::learned::domain::DomainRule;
use super::learned::embedding::EmbeddingRule;
use super::learned::jailbreak::JailbreakRule;
use super::learned::kb::KbRule;
use super::learned::label::LabelRule;
use super::learned::pii::PiiRule;
use super::learned::preference::PreferenceRule;
use super::learned::reask::ReaskRule;
use super::metadata::MetadataRule;
use super::structure::StructureRule;
use crate::report::Kind;
use schemars::JsonSchema;
use serde::Deserialize;

/// Declares a list for each family, and how its rules are named.
macro_rules! section {
    ($($(#[$doc:meta])* $list:ident: $rule:ident as $kind:ident),* $(,)?) => {
        /// Declared signals by family.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Signals {
            $($(#[$doc])* pub $list: Vec<$rule>,)*
        }

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
    keywords: KeywordRule as Keyword,
    /// Similarity to example texts.
    embeddings: EmbeddingRule as Embedding,
    /// Topics.
    domains: DomainRule as Domain,
    /// Does the turn need facts? Names: `needs_fact_check`, `no_fact_check_needed`.
    fact_check: LabelRule as FactCheck,
    /// What the turn says of the last answer. Names: `satisfied`, `need_clarification`,
    /// `wrong_answer`, `want_different`.
    user_feedbacks: LabelRule as UserFeedback,
    /// Repeated questions.
    reasks: ReaskRule as Reask,
    /// Expressed preferences.
    preferences: PreferenceRule as Preference,
    /// Language of the user's turn.
    language: LanguageRule as Language,
    /// Bands of the estimated token count.
    context: ContextRule as Context,
    /// Counts, densities and sequences in the user's turn.
    structure: StructureRule as Structure,
    /// Hard, medium or easy.
    complexity: ComplexityRule as Complexity,
    /// Text or images. Names: `AR`, `DIFFUSION`, `BOTH`.
    modality: LabelRule as Modality,
    /// Roles granted to authenticated users and groups.
    role_bindings: RoleBinding as Authz,
    /// Prompt injection and jailbreak attempts.
    jailbreak: JailbreakRule as Jailbreak,
    /// Personal data.
    pii: PiiRule as Pii,
    /// Labels and groups of knowledge bases.
    kb: KbRule as Kb,
    /// Counts over messages and tools.
    conversation: ConversationRule as Conversation,
    /// Operational events named in the user's turn.
    events: EventRule as Event,
    /// Values of the request's `metadata` map.
    metadata: MetadataRule as Metadata,
    /// Classifiers of the operator's own.
    classifiers: ClassifierRule as Classifier,
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
