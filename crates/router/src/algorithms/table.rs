//! What a line of the table of algorithms says, and what is drawn from the table: the type that the
//! document is read as, and all that other parts ask of every algorithm.

use super::Algorithm;
use crate::escalation::Looper;
use selection::algorithms::Selector;
use selection::algorithms::method::{Building, Checking, DecisionInput, Need};
use selection::candidate::Candidate;

/// What is known of an algorithm before any decision is read.
pub struct AlgorithmType {
    /// The name: `algorithm.type`.
    pub name: &'static str,
    /// What it does with a decision's candidates.
    pub models: Models,
    /// Tells whether the decision writes the block of this algorithm.
    pub(super) is_written: fn(&Algorithm) -> bool,
    /// Reports what is wrong with that block, whichever algorithm the decision names.
    pub(super) check_block: fn(&Algorithm, &mut Checking<'_>),
    /// Reports what is wrong with a decision that names this algorithm.
    pub(super) check: fn(&Algorithm, &mut Checking<'_>),
}

/// What an algorithm does with a decision's candidates.
pub enum Models {
    /// It chooses one.
    One(OneModel),
    /// It runs several.
    Several(SeveralModelsType),
}

/// What is known of an algorithm that chooses one candidate.
pub struct OneModel {
    /// Whether it is implemented.
    pub is_built: bool,
    /// Whether eval can ask it.
    pub is_previewed: bool,
    /// Returns the parameters that rest on a measurement.
    pub(super) measures: fn(&Algorithm) -> Vec<Need>,
    /// Builds its selector.
    pub(super) build:
        fn(&Algorithm, &DecisionInput<'_>, &mut Building<'_>) -> Option<Box<dyn Selector>>,
}

/// What is known of an algorithm that runs several models.
pub struct SeveralModelsType {
    /// Whether it is run; else the first capable candidate stands in.
    pub is_run: bool,
    /// Whether its block can name the model that writes the final answer.
    pub has_final_model: bool,
    /// Returns that model; empty if the block names no such model.
    pub(super) final_model: fn(&Algorithm) -> &str,
    /// Builds what runs the models.
    pub(super) build: fn(&Algorithm, &[Candidate]) -> Looper,
}

impl AlgorithmType {
    /// Returns what is known of it as an algorithm that chooses one candidate.
    #[must_use]
    pub fn one_model(&self) -> Option<&OneModel> {
        match &self.models {
            Models::One(one_model) => Some(one_model),
            Models::Several(_) => None,
        }
    }

    /// Returns what is known of it as an algorithm that runs several models.
    #[must_use]
    pub fn several_models(&self) -> Option<&SeveralModelsType> {
        match &self.models {
            Models::One(_) => None,
            Models::Several(several_models) => Some(several_models),
        }
    }
}

/// Reads an algorithm's block in a decision; an algorithm without parameters has no block.
macro_rules! written {
    ($algorithm:ident) => {{
        let _: &Algorithm = $algorithm;
        None
    }};
    ($algorithm:ident, $block:ident) => {
        $algorithm.$block.as_ref()
    };
}
pub(super) use written;

/// Declares the table of algorithms, and the type that the document is read as.
macro_rules! algorithms {
    (
        $($one:ty $({ $(#[$one_doc:meta])* $one_block:ident })?,)*
        ;
        $($several:ty { $(#[$doc:meta])* $block:ident },)*
    ) => {
        /// The algorithm of a decision: `type` and the block of the same name.
        #[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Algorithm {
            /// Which algorithm; empty means `static`. `weighted` is Merit's own: candidates by their
            /// `weight`.
            #[serde(rename = "type")]
            #[schemars(extend("enum" = names()))]
            pub kind: String,
            /// `fallback` takes the first candidate when the algorithm fails.
            #[schemars(extend("examples" = ["fallback", "fail"]))]
            pub on_error: String,
            /// Different models that must be able to serve a request: where fewer can, the request
            /// is refused.
            pub minimum_candidates: Option<u32>,
            $($(#[$doc])* pub $block: Option<$several>,)*
            $($($(#[$one_doc])* pub $one_block: Option<<$one as Method>::Block>,)?)*
        }

        /// All algorithms that a document may name.
        pub static ALGORITHMS: &[AlgorithmType] = &[
            $(AlgorithmType {
                name: <$one as Method>::NAME,
                models: Models::One(OneModel {
                    is_built: <$one as Method>::IS_BUILT,
                    is_previewed: <$one as Method>::IS_PREVIEWED,
                    measures: |algorithm| {
                        <$one as Method>::measures(written!(algorithm $(, $one_block)?))
                    },
                    build: |algorithm, decision, building| {
                        let block = written!(algorithm $(, $one_block)?);
                        <$one as Method>::build(block, decision, building)
                    },
                }),
                is_written: |algorithm| {
                    let block: Option<&<$one as Method>::Block> =
                        written!(algorithm $(, $one_block)?);
                    block.is_some()
                },
                check_block: |algorithm, checking| {
                    if let Some(block) = written!(algorithm $(, $one_block)?) {
                        <$one as Method>::check_block(block, checking);
                    }
                },
                check: |algorithm, checking| {
                    <$one as Method>::check(written!(algorithm $(, $one_block)?), checking);
                },
            },)*
            $(AlgorithmType {
                name: <$several as SeveralModels>::NAME,
                models: Models::Several(SeveralModelsType {
                    is_run: <$several as SeveralModels>::IS_RUN,
                    has_final_model: <$several as SeveralModels>::HAS_FINAL_MODEL,
                    final_model: |algorithm| {
                        let block = algorithm.$block.as_ref();
                        block.map_or("", SeveralModels::final_model)
                    },
                    build: |algorithm, candidates| {
                        SeveralModels::build(algorithm.$block.as_ref(), candidates)
                    },
                }),
                is_written: |algorithm| algorithm.$block.is_some(),
                check_block: |algorithm, checking| {
                    if let Some(block) = &algorithm.$block {
                        block.check_block(checking);
                    }
                },
                check: |algorithm, checking| {
                    SeveralModels::check(algorithm.$block.as_ref(), checking);
                },
            },)*
        ];
    };
}
pub(super) use algorithms;

#[cfg(test)]
mod tests {
    use super::super::ALGORITHMS;
    use super::*;
    use crate::config::schema;
    use std::path::Path;

    fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Tells whether requests meet the algorithm itself and no stand-in.
    fn acts(algorithm: &AlgorithmType) -> bool {
        match &algorithm.models {
            Models::One(one_model) => one_model.is_built,
            Models::Several(several) => several.is_run,
        }
    }

    #[test]
    fn the_schema_lists_every_algorithm() {
        let schema = &schema().value()["$defs"]["Algorithm"]["properties"];
        let listed = schema["type"]["enum"].as_array().unwrap();
        let listed: Vec<&str> = listed.iter().map(|name| name.as_str().unwrap()).collect();
        let names: Vec<&str> = ALGORITHMS.iter().map(|it| it.name).collect();
        assert_eq!(listed, names);
    }

    /// A block of parameters has the name of its algorithm.
    #[test]
    fn every_block_belongs_to_an_algorithm() {
        let schema = &schema().value()["$defs"]["Algorithm"]["properties"];
        let keys = schema.as_object().unwrap().keys();
        let others = ["type", "on_error", "minimum_candidates"];
        for block in keys.filter(|key| !others.contains(&key.as_str())) {
            let document = serde_json::json!({block: {}});
            let algorithm: Algorithm = serde_json::from_value(document).unwrap();
            let owners = ALGORITHMS.iter().filter(|it| (it.is_written)(&algorithm));
            let owners: Vec<&str> = owners.map(|it| it.name).collect();
            assert_eq!(owners, [block.as_str()]);
        }
    }

    /// The table of the policy reference lists the algorithms that act, and the text names those
    /// that do not.
    #[test]
    fn the_policy_reference_names_every_algorithm() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        let (_, rest) = readme.split_once("\n### Algorithms\n").unwrap();
        let section = rest.split("\n### ").next().unwrap();

        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        let listed = cells.flat_map(|cell| cell.split(['`', ',', ' ']));
        let listed = listed.filter(|word| ALGORITHMS.iter().any(|it| it.name == *word));
        let acting = ALGORITHMS.iter().filter(|it| acts(it)).map(|it| it.name);
        assert_eq!(sorted(listed), sorted(acting));

        for algorithm in ALGORITHMS.iter().filter(|it| !acts(it)) {
            let named = format!("`{}`", algorithm.name);
            assert!(readme.contains(&named), "{named}");
        }
    }
}
