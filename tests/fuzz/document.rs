//! Any routing document is answered: with a document, or with errors that have a place in its text.

use ::document::Severity;
use proptest::prelude::*;
use router::config::check;

use crate::{run, text};

const SEEDS: [&str; 4] = [
    include_str!("../fixtures/demo.yaml"),
    include_str!("../../examples/privacy/config.yaml"),
    include_str!("../../examples/coding-team/config.yaml"),
    include_str!("../../examples/agents/config.yaml"),
];

pub(crate) fn fuzz(target: &str) -> anyhow::Result<()> {
    run::run(target, &text::changed_lines(SEEDS.to_vec()), |text| {
        let checked = check(&text, &|_| None);
        let has_error = checked
            .problems
            .iter()
            .any(|problem| problem.severity == Severity::Error);
        prop_assert!(checked.document.is_some() || has_error);

        // Other Unicode line ends count as well, and an error may stand behind the last line.
        let lines = 2 + text
            .matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
            .count();
        for problem in &checked.problems {
            prop_assert!(problem.line as usize <= lines, "{problem}");
            prop_assert!(!problem.message.is_empty());
        }
        prop_assert_eq!(check(&text, &|_| None).problems, checked.problems);
        Ok(())
    })
}
