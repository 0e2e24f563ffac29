//! Indices and benchmarks that the reference builds in: their ids and what they are made of. Their
//! figures come from a document's records alone.

use std::collections::BTreeMap;

/// An index from 0 to 100 that needs all of its components.
pub(super) struct BuiltIn {
    pub(super) id: &'static str,
    pub(super) components: &'static [(f64, Part)],
}

/// A component of an index.
pub(super) enum Part {
    Benchmark(Benchmark),
    Index(&'static str),
}

/// A benchmark, known by how the name in its id begins, with any publisher.
pub(super) struct Benchmark {
    names: &'static [&'static str],
}

impl Benchmark {
    const fn named(names: &'static [&'static str]) -> Part {
        Part::Benchmark(Self { names })
    }

    /// Tells whether an id is one of the benchmark.
    pub(super) fn is(&self, id: &str) -> bool {
        let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        self.names.iter().any(|known| name.starts_with(known))
    }
}

/// The id of the benchmark that is an operator's own rating.
const RATING: &[&str] = &["operatorrating"];

const GENERAL: &str = "vllm-sr/general@1.0.0";
const REASONING: &str = "vllm-sr/reasoning@1.0.0";
const CODING: &str = "vllm-sr/coding@1.0.0";
const AGENTIC: &str = "vllm-sr/agentic@1.0.0";

/// The indices.
pub(super) const INDICES: &[BuiltIn] = &[
    BuiltIn {
        id: GENERAL,
        components: &[(1.0, Benchmark::named(&["mmlupro"]))],
    },
    BuiltIn {
        id: REASONING,
        components: &[
            (0.5, Benchmark::named(&["gpqa"])),
            (0.5, Benchmark::named(&["hle", "humanityslastexam"])),
        ],
    },
    BuiltIn {
        id: CODING,
        components: &[
            (0.5, Benchmark::named(&["livecodebench"])),
            (0.5, Benchmark::named(&["scicode"])),
        ],
    },
    BuiltIn {
        id: AGENTIC,
        components: &[(1.0, Benchmark::named(&["terminalbench"]))],
    },
    BuiltIn {
        id: "vllm-sr/intelligence@1.0.0",
        components: &[
            (0.2, Part::Index(GENERAL)),
            (0.4, Part::Index(REASONING)),
            (0.2, Part::Index(CODING)),
            (0.2, Part::Index(AGENTIC)),
        ],
    },
];

/// Tells whether an id is one that operators cannot define.
pub(super) fn is_benchmark(id: &str) -> bool {
    let is_own = id.starts_with("vllm-sr/");
    is_own && Benchmark { names: RATING }.is(id)
}

/// Names of the metric that counts where a record has several.
const METRICS: [&str; 4] = ["score", "accuracy", "pass_at_1", "pass@1"];

/// Returns the value that counts: the only one, or that of a usual name.
pub(super) fn metric(metrics: &BTreeMap<String, f64>) -> Option<f64> {
    if metrics.len() == 1 {
        return metrics.values().next().copied();
    }
    METRICS.iter().find_map(|name| metrics.get(*name)).copied()
}
