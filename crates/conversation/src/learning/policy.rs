//! What the document says of learning, for one decision: modes, models, weights; made once per
//! generation.
//!
//! ```yaml
//! decisions:
//!   - name: code
//!     adaptations:
//!       mode: apply                      # `bypass` switches both parts off, `observe` lets them report only
//!       adaptation: {mode: observe}
//!       protection: {mode: apply, stability_weight: 1.5, switch_margin: 0.1}
//! ```

use super::adaptation::CandidateSet;
use super::context::Headers;
use super::reference::{Scope, Tuning, pressures};
use super::settings::{Adaptations, Learning, Protection, ProtectionMode};
use crate::ConversationKey;
use crate::key::digest;
use selection::candidate::ModelRef;
use selection::card::Card;
use selection::card::ModelDescriptions;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Conversations and requests are remembered this long where the document does not say.
const TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// A look into a shared store may take this long where the document does not say.
const STORE_TIMEOUT: Duration = Duration::from_millis(20);

/// How a part of learning acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not at all; the document switched it off.
    Off,
    /// Not on this decision.
    Bypass,
    /// It computes and reports, and changes nothing.
    Observe,
    /// It changes the choice.
    Apply,
}

impl Mode {
    /// Returns the word of the document and of headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Bypass => "bypass",
            Self::Observe => "observe",
            Self::Apply => "apply",
        }
    }

    /// Returns the mode of a part: `bypass` above wins, `observe` above caps, the part's own word
    /// counts otherwise.
    fn of(enabled: Option<bool>, whole: &str, own: &str) -> Self {
        match (whole, own) {
            _ if enabled == Some(false) => Self::Off,
            ("bypass", _) | (_, "bypass") => Self::Bypass,
            ("observe", _) | (_, "observe") => Self::Observe,
            _ => Self::Apply,
        }
    }
}

/// What is known of a model of the document.
#[derive(Debug)]
pub(super) struct ModelProfile {
    pub(super) name: Arc<str>,
    pub(super) card: Card,
    /// Prompt and completion price.
    pub(super) price: f64,
    /// What giving up its cache costs, 0 to 1.
    pub(super) pressure: f64,
    /// It has a model card; adaptation passes over models without one.
    carded: bool,
}

/// The profiles of all models of a document.
#[derive(Debug, Default)]
pub struct ModelProfiles(HashMap<Arc<str>, Arc<ModelProfile>>);

impl ModelProfiles {
    /// Builds the profiles of a document's models and of the candidates of all its decisions.
    #[must_use]
    pub fn of<'a>(
        models: &'a dyn ModelDescriptions,
        candidates: impl Iterator<Item = &'a ModelRef>,
    ) -> Self {
        let deployed = models.provider_models().iter();
        let mut names: BTreeSet<&str> = deployed.map(|model| model.name.trim()).collect();
        names.extend(candidates.map(|candidate| candidate.model.trim()));
        names.extend(models.model_cards().map(|card| card.name.trim()));
        let cards: Vec<Card> = names.iter().map(|name| Card::of(name, models)).collect();
        let pressures = pressures(&cards.iter().collect::<Vec<_>>());
        let profile = |(card, pressure): (Card, f64)| {
            let name: Arc<str> = Arc::clone(&card.name);
            let price = card
                .prices
                .map_or(0.0, |prices| prices.prompt + prices.completion);
            let carded = models.model_card(&name).is_some();
            (
                Arc::clone(&name),
                Arc::new(ModelProfile {
                    name,
                    card,
                    price,
                    pressure,
                    carded,
                }),
            )
        };
        Self(cards.into_iter().zip(pressures).map(profile).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<ModelProfile>> {
        self.0.get(name.trim())
    }
}

/// How learning acts on a decision.
#[derive(Debug)]
pub struct Policy {
    /// Choice by outcomes.
    pub adaptation: Mode,
    /// Staying with a conversation's model.
    pub protection: Mode,
    /// Models among which adaptation chooses.
    pub set: CandidateSet,
    /// What a conversation stays together by.
    pub scope: Scope,
    /// Weights of staying and switching.
    pub tuning: Tuning,
    /// How long conversations and requests are remembered.
    pub ttl: Duration,
    /// How long a look into a shared store may take.
    pub store_timeout: Duration,
    /// The models of [`set`](Self::set), those without a card left out, in order.
    pub(super) among: Vec<Arc<ModelProfile>>,
    /// The decision's own models, in the order of its candidates.
    pub(super) own: Vec<Arc<ModelProfile>>,
    pub(super) profiles: Arc<ModelProfiles>,
    session_header: Box<str>,
    conversation_header: Box<str>,
}

/// A decision as far as learning reads it.
#[derive(Debug, Clone, Copy)]
pub struct LearningDecision<'a> {
    /// Its tier; decisions of one tier above 0 share their models under `candidate_set: tier`.
    pub tier: i64,
    /// Its candidates, in order.
    pub model_refs: &'a [ModelRef],
    /// How learning acts on it.
    pub adaptations: Option<&'a Adaptations>,
}

/// The recipe whose decisions learn.
#[derive(Clone)]
pub struct LearningRecipe<'a> {
    /// `global.router.learning`.
    pub learning: &'a Learning,
    /// All decisions of the recipe.
    pub decisions: Vec<LearningDecision<'a>>,
    /// `providers.defaults.default_model`.
    pub default_model: &'a str,
    /// The models of the document.
    pub models: &'a dyn ModelDescriptions,
    /// Their profiles.
    pub profiles: Arc<ModelProfiles>,
}

impl Policy {
    /// Builds the policy of one of a recipe's decisions.
    #[must_use]
    pub fn of(decision: LearningDecision<'_>, recipe: &LearningRecipe<'_>) -> Self {
        let LearningRecipe {
            learning, profiles, ..
        } = recipe;
        let own = decision.adaptations.cloned().unwrap_or_default();
        let (adaptation, protection) = (
            own.adaptation.unwrap_or_default(),
            own.protection.unwrap_or_default(),
        );
        let set = learning
            .adaptation
            .as_ref()
            .and_then(|part| CandidateSet::parse(&part.candidate_set))
            .unwrap_or_default();
        let general = learning.protection.clone().unwrap_or_default();
        let headers = general
            .identity
            .clone()
            .and_then(|identity| identity.headers)
            .unwrap_or_default();
        let names = |refs: &[ModelRef]| {
            profiles_of(
                profiles,
                refs.iter().map(|candidate| candidate.model.as_str()),
            )
        };
        let adapts = learning.adaptation.as_ref().and_then(|part| part.enabled);
        Self {
            adaptation: Mode::of(adapts, &own.mode, &adaptation.mode),
            protection: Mode::of(general.enabled, &own.mode, &protection.mode),
            set,
            scope: if general.scope.trim() == "session" {
                Scope::Session
            } else {
                Scope::Conversation
            },
            tuning: tuning(&general, &protection),
            ttl: ttl(learning),
            store_timeout: store_timeout(learning),
            among: among(set, decision, recipe),
            own: names(decision.model_refs),
            profiles: Arc::clone(profiles),
            session_header: header(&headers.session, "x-session-id"),
            conversation_header: header(&headers.conversation, "x-conversation-id"),
        }
    }

    /// Returns whether some part changes the choice.
    #[must_use]
    pub fn applies(&self) -> bool {
        self.adaptation == Mode::Apply || self.protection == Mode::Apply
    }

    /// Returns the key of a request's conversation; `None` if its headers do not name one.
    pub(super) fn key(
        &self,
        recipe: &str,
        caller: &str,
        headers: &dyn Headers,
    ) -> Option<ConversationKey> {
        let value = |name: &str| headers.value(name).unwrap_or_default();
        key(
            recipe,
            caller,
            self.scope,
            value(&self.session_header),
            value(&self.conversation_header),
        )
    }
}

/// Returns the key of a caller's conversation in a recipe; `None` if the client does not name what
/// the scope needs.
fn key(
    recipe: &str,
    caller: &str,
    scope: Scope,
    session: &str,
    conversation: &str,
) -> Option<ConversationKey> {
    let (session, conversation) = (session.trim(), conversation.trim());
    if session.is_empty() {
        return None;
    }
    let digest = match scope {
        Scope::Session => digest(&["session", recipe, caller, session]),
        Scope::Conversation if conversation.is_empty() => return None,
        Scope::Conversation => digest(&["conversation", recipe, caller, session, conversation]),
    };
    Some(ConversationKey(digest))
}

/// Returns how long a document's conversations and requests are remembered.
#[must_use]
pub fn ttl(learning: &Learning) -> Duration {
    let seconds = learning
        .state_store
        .as_ref()
        .map_or(0, |store| store.ttl_seconds);
    if seconds == 0 {
        TTL
    } else {
        Duration::from_secs(seconds)
    }
}

fn store_timeout(learning: &Learning) -> Duration {
    let millis = learning
        .state_store
        .as_ref()
        .map_or(0, |store| store.timeout_ms);
    if millis == 0 {
        STORE_TIMEOUT
    } else {
        Duration::from_millis(millis)
    }
}

fn header(written: &str, usual: &str) -> Box<str> {
    let written = written.trim();
    if written.is_empty() {
        usual.into()
    } else {
        written.to_ascii_lowercase().into()
    }
}

fn tuning(general: &Protection, own: &ProtectionMode) -> Tuning {
    let usual = Tuning::default();
    let written = general.tuning.clone().unwrap_or_default();
    // As in the reference, a number below 0 counts as omitted.
    let weight = |own: Option<f64>, general: Option<f64>, usual: f64| {
        own.or(general)
            .filter(|weight| weight.is_finite() && *weight >= 0.0)
            .unwrap_or(usual)
    };
    Tuning {
        idle_timeout: written
            .idle_timeout_seconds
            .map_or(usual.idle_timeout, Duration::from_secs),
        min_turns: written
            .min_turns_before_switch
            .map_or(usual.min_turns, u64::from),
        switch_margin: weight(
            own.switch_margin,
            written.switch_margin,
            usual.switch_margin,
        ),
        stability_weight: weight(
            own.stability_weight,
            written.stability_weight,
            usual.stability_weight,
        ),
    }
}

/// Returns the models of a candidate set, in the reference's order.
fn among(
    set: CandidateSet,
    decision: LearningDecision<'_>,
    recipe: &LearningRecipe<'_>,
) -> Vec<Arc<ModelProfile>> {
    let refs = |decision: &LearningDecision<'_>| -> Vec<String> {
        decision
            .model_refs
            .iter()
            .map(|candidate| candidate.model.clone())
            .collect()
    };
    let names: Vec<String> = match set {
        CandidateSet::Tier if decision.tier > 0 => recipe
            .decisions
            .iter()
            .filter(|other| other.tier == decision.tier)
            .flat_map(refs)
            .collect(),
        CandidateSet::Global => {
            let mut deployed: Vec<String> = recipe
                .models
                .provider_models()
                .iter()
                .map(|model| model.name.clone())
                .collect();
            deployed.sort();
            std::iter::once(recipe.default_model.to_owned())
                .chain(recipe.decisions.iter().flat_map(refs))
                .chain(deployed)
                .collect()
        }
        CandidateSet::Decision | CandidateSet::Tier => refs(&decision),
    };
    let mut found = profiles_of(&recipe.profiles, names.iter().map(String::as_str));
    found.retain(|profile| profile.carded);
    found
}

/// Returns the profiles of these names, each once.
fn profiles_of<'n>(
    profiles: &ModelProfiles,
    names: impl Iterator<Item = &'n str>,
) -> Vec<Arc<ModelProfile>> {
    let mut found: Vec<Arc<ModelProfile>> = Vec::new();
    for profile in names.filter_map(|name| profiles.get(name)) {
        if !profile.name.is_empty() && !found.iter().any(|other| other.name == profile.name) {
            found.push(Arc::clone(profile));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Document;
    use std::collections::HashSet;

    #[test]
    fn modes() {
        let check = |enabled, whole, own, expected| {
            assert_eq!(
                Mode::of(enabled, whole, own),
                expected,
                "{enabled:?} {whole} {own}"
            );
        };
        check(None, "", "", Mode::Apply);
        check(Some(true), "apply", "apply", Mode::Apply);
        check(Some(false), "apply", "apply", Mode::Off);
        check(None, "bypass", "apply", Mode::Bypass);
        check(None, "observe", "apply", Mode::Observe);
        check(None, "observe", "bypass", Mode::Bypass);
        check(None, "apply", "observe", Mode::Observe);
        check(None, "", "bypass", Mode::Bypass);
    }

    const DOCUMENT: &str = "
version: v0.3
providers:
  defaults: {default_model: base}
  models:
    - {name: zeta, backend_refs: [{endpoint: 'b:1'}]}
    - {name: base, backend_refs: [{endpoint: 'b:1'}], pricing: {prompt_per_1m: 2, completion_per_1m: 6}}
    - {name: alpha, backend_refs: [{endpoint: 'b:1'}]}
    - {name: bare, backend_refs: [{endpoint: 'b:1'}]}
routing:
  modelCards: [{name: zeta}, {name: base, quality_score: 0.5}, {name: alpha}]
  decisions:
    - {name: one, priority: 1, tier: 2, modelRefs: [{model: alpha}, {model: bare}]}
    - {name: two, priority: 2, tier: 2, modelRefs: [{model: zeta}, {model: alpha}],
       adaptations: {mode: observe, protection: {stability_weight: 3, switch_margin: 0.2}}}
    - {name: three, priority: 3, modelRefs: [{model: zeta}]}
global: {router: {learning: {enabled: true, LEARNING}}}
";

    fn policies(learning: &str) -> Vec<Policy> {
        let document = Document::read(&DOCUMENT.replace("LEARNING", learning));
        document.policies()
    }

    #[test]
    fn candidate_sets() {
        let check = |set: &str, expected: &str| {
            let policies = policies(&format!("adaptation: {{candidate_set: {set}}}"));
            let names = |policy: &Policy| {
                policy
                    .among
                    .iter()
                    .map(|it| it.name.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            assert_eq!(
                policies.iter().map(names).collect::<Vec<_>>().join(", "),
                expected,
                "{set}"
            );
        };
        check("decision", "alpha, zeta alpha, zeta");
        check("tier", "alpha zeta, alpha zeta, zeta");
        check(
            "global",
            "base alpha zeta, base alpha zeta, base alpha zeta",
        );
        let price = policies("adaptation: {candidate_set: global}")[0].among[0].price;
        assert!((price - 8.0).abs() < 1e-12);
    }

    #[test]
    fn what_a_decision_says_goes_before_the_whole() {
        let general = "protection: {scope: session, tuning: {idle_timeout_seconds: 9, min_turns_before_switch: 4, \
                       switch_margin: 0.1, stability_weight: -1}, identity: {headers: {session: X-Mine}}}, \
                       state_store: {ttl_seconds: 60}";
        let found = policies(general);
        let usual = Tuning {
            idle_timeout: Duration::from_secs(9),
            min_turns: 4,
            switch_margin: 0.1,
            stability_weight: 1.0,
        };
        assert_eq!(found[0].tuning, usual);
        assert_eq!(
            found[1].tuning,
            Tuning {
                switch_margin: 0.2,
                stability_weight: 3.0,
                ..usual
            }
        );
        assert_eq!(
            (found[0].protection, found[1].protection),
            (Mode::Apply, Mode::Observe)
        );
        assert_eq!(
            (found[0].scope, found[0].ttl),
            (Scope::Session, Duration::from_secs(60))
        );
        assert!(
            found[0].key("r", "ada", &[("x-mine", "s")]).is_some()
                && found[0].key("r", "ada", &()).is_none()
        );
    }

    #[test]
    fn identity_holds_recipe_caller_and_names() {
        use Scope::{Conversation, Session};
        assert_eq!(key("r", "ada", Session, " ", "c"), None);
        assert_eq!(key("r", "ada", Conversation, "s", ""), None);
        let keys = [
            key("r", "ada", Session, "s", ""),
            key("r", "ada", Conversation, "s", "c"),
            key("r", "bob", Conversation, "s", "c"),
            key("q", "ada", Conversation, "s", "c"),
            key("r", "ada", Conversation, "sc", ""),
            key("r", "ada", Conversation, "s", "d"),
            key("r", "adas", Conversation, "c", "c"),
        ];
        let different: HashSet<_> = keys.iter().flatten().collect();
        assert_eq!(different.len(), 6);
        assert_eq!(
            key("r", "ada", Session, "s", "x"),
            key("r", "ada", Session, " s ", "y")
        );
    }
}
