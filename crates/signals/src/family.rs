//! The signal families: one table of all that is known of a family beforehand.
//!
//! A family's own file under `signals/` holds its rules, their checks and their evaluation. What
//! other parts ask of every family is a line here: reports, reply headers, eval, composers and the
//! outlook read this table, and nothing else tells families apart.

/// Declares the families: their [`Kind`]s and the table.
macro_rules! families {
    ($(
        $kind:ident: $constructor:ident($($given:expr),*) $(.$method:ident($($argument:expr),*))*
    ),* $(,)?) => {
        /// A signal family.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind {
            $($kind,)*
        }

        /// How many families there are.
        const COUNT: usize = [$(Kind::$kind),*].len();

        /// All families, in the order of [`Kind`] and of eval's tables.
        pub static FAMILIES: [Family; COUNT] = [
            $(Family::$constructor(Kind::$kind, $($given),*)$(.$method($($argument),*))*,)*
        ];
    };
}

// Each line begins with the family, the `type:` of a rule leaf, and the key of its rules under
// `routing.signals`.
families! {
    Keyword: rules("keyword", "keywords")
        .header("x-vsr-matched-keywords")
        .grouped_as("keywords")
        .composed()
        .without_number(),
    Embedding: encoded("embedding", "embeddings")
        .header("x-vsr-matched-embeddings")
        .weighs(Role::Evidence(Some(ScoreKind::Similarity)))
        .grouped_as("embeddings")
        .composed()
        .within(Bounds::Cosine, Bounds::Cosine),
    Domain: encoded("domain", "domains")
        .header("x-vsr-matched-domains")
        .weighs(Role::Evidence(Some(ScoreKind::Probability)))
        .grouped_as("domains")
        .composed()
        .within(Bounds::Share, Bounds::Any),
    FactCheck: encoded("fact_check", "fact_check")
        .header("x-vsr-matched-fact-check")
        .composed()
        .without_number()
        .within(Bounds::Share, Bounds::Any),
    UserFeedback: encoded("user_feedback", "user_feedbacks")
        .header("x-vsr-matched-user-feedback")
        .composed()
        .without_number()
        .within(Bounds::Share, Bounds::Any),
    Reask: encoded("reask", "reasks")
        .header("x-vsr-matched-reask")
        .weighs(Role::Evidence(Some(ScoreKind::Similarity)))
        .composed()
        .within(Bounds::Cosine, Bounds::Any),
    Preference: encoded("preference", "preferences")
        .header("x-vsr-matched-preference")
        .weighs(Role::Evidence(Some(ScoreKind::Probability)))
        .grouped_as("preferences")
        .composed(),
    Language: rules("language", "language")
        .header("x-vsr-matched-language")
        .composed()
        .without_number(),
    Context: rules("context", "context")
        .header("x-vsr-matched-context")
        .composed()
        .without_number(),
    Structure: rules("structure", "structure")
        .header("x-vsr-matched-structure")
        .composed(),
    Complexity: encoded("complexity", "complexity")
        .header("x-vsr-matched-complexity")
        .weighs(Role::Evidence(None))
        .within(Bounds::Difference, Bounds::Difference),
    Modality: encoded("modality", "modality")
        .header("x-vsr-matched-modality")
        .composed()
        .without_number()
        .within(Bounds::Share, Bounds::Any),
    Authz: rules("authz", "role_bindings")
        .header("x-vsr-matched-authz")
        .without_number(),
    Jailbreak: encoded("jailbreak", "jailbreak")
        .header("x-vsr-matched-jailbreak")
        .weighs(Role::Evidence(None))
        .scans()
        .within(Bounds::Difference, Bounds::Difference),
    Pii: encoded("pii", "pii")
        .header("x-vsr-matched-pii")
        .scans()
        .without_number()
        .within(Bounds::Share, Bounds::Any),
    Kb: encoded("kb", "kb")
        .header("x-vsr-matched-kb")
        .weighs(Role::Evidence(Some(ScoreKind::Similarity)))
        .composed()
        .within(Bounds::Difference, Bounds::Difference),
    Conversation: rules("conversation", "conversation")
        .header("x-vsr-matched-conversation")
        .composed()
        .used_by_name(),
    Event: rules("event", "events").header("x-vsr-matched-event"),
    Metadata: rules("metadata", "metadata").used_by_name(),
    Classifier: models("classifier", "classifiers")
        .weighs(Role::Evidence(Some(ScoreKind::Probability))),
    Safety: rules("safety", "safety").weighs(Role::Evidence(Some(ScoreKind::Probability))),
    InputModality: rules("input_modality", "input_modality").composed().without_number(),
    Projection: rules("projection", "").header("x-vsr-matched-projections"),
}

/// What is known of a family before any rule of it is read.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The family.
    pub kind: Kind,
    /// The `type:` of a rule leaf, the metrics key of eval, and the metric label.
    pub name: &'static str,
    /// Key of its rules under `routing.signals`; empty for projections, which have none there.
    pub section: &'static str,
    /// Key in eval's signal groups; singular and plural mix as the reference has it.
    pub eval_key: &'static str,
    /// Reply header that lists its matches, if there is one.
    pub header: Option<&'static str>,
    /// Where its evidence comes from.
    pub evidence: Evidence,
    /// What its leaves say beside whether they hold, for the ranking of v0.4.
    pub role: Role,
    /// Whether the composer of a complexity rule sees its matches.
    pub is_composed: bool,
    /// Whether it stores a value or a confidence, so that a predicate can hold.
    pub has_number: bool,
    /// Whether a rule counts only where a decision names it; rules of other families count as soon
    /// as the family is used.
    pub is_used_by_name: bool,
    /// Whether models are asked about the evaluation text alone, so that a boundary has them asked
    /// about the words beside it too. Families without models see to that in `doubt_unread`.
    pub reads_evaluation: bool,
    /// Range of the confidences that it stores.
    pub confidence: Bounds,
    /// Range of the values that it stores.
    pub value: Bounds,
}

/// What a leaf of a family says beside whether it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing: it gates.
    Policy,
    /// How sure it is, in scores of this kind; `None` where they compare with nothing.
    Evidence(Option<ScoreKind>),
}

/// A kind of scores that compare with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreKind {
    /// Of a class among others.
    Probability,
    /// Of two texts.
    Similarity,
}

impl ScoreKind {
    /// Returns the kind as traces name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probability => "probability",
            Self::Similarity => "similarity",
        }
    }
}

/// Where the evidence of a family comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The request alone.
    Rules,
    /// The shared encoder, or heads on it.
    Encoder,
    /// Models of the operator's own.
    Models,
}

/// A range of the numbers that a family stores. Lazy evaluation rests on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// Any number; a model's own words may hold one.
    Any,
    /// A probability, from 0 to 1.
    Share,
    /// A cosine, from -1 to 1.
    Cosine,
    /// A difference of two cosines: margins, contrastive scores.
    Difference,
}

impl Family {
    const fn new(
        kind: Kind,
        name: &'static str,
        section: &'static str,
        evidence: Evidence,
    ) -> Self {
        Self {
            kind,
            name,
            section,
            eval_key: name,
            header: None,
            evidence,
            role: Role::Policy,
            is_composed: false,
            has_number: true,
            is_used_by_name: false,
            reads_evaluation: !matches!(evidence, Evidence::Rules),
            confidence: Bounds::Any,
            value: Bounds::Any,
        }
    }

    const fn rules(kind: Kind, name: &'static str, section: &'static str) -> Self {
        Self::new(kind, name, section, Evidence::Rules)
    }

    const fn encoded(kind: Kind, name: &'static str, section: &'static str) -> Self {
        Self::new(kind, name, section, Evidence::Encoder)
    }

    const fn models(kind: Kind, name: &'static str, section: &'static str) -> Self {
        Self::new(kind, name, section, Evidence::Models)
    }

    const fn header(mut self, header: &'static str) -> Self {
        self.header = Some(header);
        self
    }

    const fn grouped_as(mut self, eval_key: &'static str) -> Self {
        self.eval_key = eval_key;
        self
    }

    const fn weighs(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    const fn composed(mut self) -> Self {
        self.is_composed = true;
        self
    }

    const fn without_number(mut self) -> Self {
        self.has_number = false;
        self
    }

    const fn used_by_name(mut self) -> Self {
        self.is_used_by_name = true;
        self
    }

    /// Marks a family that reads what the `scan` of a rule names.
    const fn scans(mut self) -> Self {
        self.reads_evaluation = false;
        self
    }

    const fn within(mut self, confidence: Bounds, value: Bounds) -> Self {
        self.confidence = confidence;
        self.value = value;
        self
    }
}

impl Kind {
    /// All families, in the order of eval's tables.
    pub const ALL: [Self; COUNT] = {
        let mut all = [Self::Keyword; COUNT];
        let mut index = 0;
        while index < COUNT {
            all[index] = FAMILIES[index].kind;
            index += 1;
        }
        all
    };

    /// Returns the family's line of the table.
    #[must_use]
    pub const fn family(self) -> &'static Family {
        &FAMILIES[self as usize]
    }

    /// Returns the `type:` of a rule leaf, which is the metrics key of eval too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.family().name
    }

    /// Returns the key of the family's rules under `routing.signals`.
    #[must_use]
    pub const fn section(self) -> &'static str {
        self.family().section
    }

    /// Tells whether the evidence comes from models.
    #[must_use]
    pub fn is_learned(self) -> bool {
        self.family().evidence != Evidence::Rules
    }

    /// Tells whether the evidence comes from the shared encoder or from heads on it.
    #[must_use]
    pub fn is_encoded(self) -> bool {
        self.family().evidence == Evidence::Encoder
    }

    /// Parses a leaf's `type:`, trimmed and in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Signals;
    use std::path::Path;

    fn read(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::read_to_string(root.join(path)).unwrap()
    }

    #[test]
    fn the_table_is_in_the_order_of_kinds() {
        for (index, family) in FAMILIES.iter().enumerate() {
            assert_eq!(family.kind as usize, index, "{}", family.name);
        }
    }

    /// The bootstrap and the chart write the reply headers where no response phase is open.
    #[test]
    fn every_header_is_written_by_the_gateway_too() {
        let written = |text: &str, prefix: &str| -> Vec<String> {
            let lines = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix(prefix));
            let words = lines.filter_map(|rest| rest.split([',', ' ']).next());
            words
                .filter(|name| name.starts_with("x-vsr-matched-") && !name.ends_with('-'))
                .map(str::to_owned)
                .collect()
        };
        let expected: Vec<&str> = FAMILIES.iter().filter_map(|family| family.header).collect();
        let bootstrap = written(&read("envoy/route.yaml"), "- {header: {key: ");
        assert_eq!(bootstrap, expected);
        let chart = written(&read("charts/merit/files/reply-headers.yaml"), "- ");
        assert_eq!(chart, expected);
        for file in ["route", "observe", "buffered", "escalate", "fallback"] {
            let removed = "prefix: x-vsr-matched-,";
            assert!(read(&format!("envoy/{file}.yaml")).contains(removed));
        }
    }

    #[test]
    fn every_section_is_in_the_schema() {
        let schema = schemars::schema_for!(Signals);
        let sections = schema.get("properties").unwrap().as_object().unwrap();
        let not_run = ["hallucination"];
        let mut expected: Vec<&str> = FAMILIES
            .iter()
            .map(|family| family.section)
            .filter(|section| !section.is_empty())
            .chain(not_run)
            .collect();
        expected.sort_unstable();
        let mut found: Vec<&str> = sections.keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}
