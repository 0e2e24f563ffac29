//! The list of losses, its header, and the README's tables.

use std::fmt::Write as _;
use std::path::Path;

use super::*;

fn loss(severity: Severity, reason: &'static str, field: &str) -> Loss {
    Loss {
        severity,
        reason,
        field: field.to_owned().into(),
    }
}

#[test]
fn losses_are_listed_in_a_header() {
    assert_eq!(warnings(&[]), None);
    let losses = [
        loss(Severity::Lossy, "unsupported_role", "messages[1].role"),
        loss(Severity::Info, "dropped_hint", "a,b;c\r\nd é"),
    ];
    assert_eq!(
        warnings(&losses).unwrap(),
        "lossy;unsupported_role;messages[1].role,info;dropped_hint;a_b_c__d__"
    );
}

#[test]
fn a_long_list_is_cut_at_a_whole_entry() {
    for count in [50, 100, 101, 200, 5000] {
        let losses: Vec<Loss> = (0..count)
            .map(|at| loss(Severity::Info, "unknown_member", &format!("messages[{at}]")))
            .collect();
        let value = warnings(&losses).unwrap();
        assert!(value.len() <= WARNINGS_LIMIT, "{} bytes", value.len());
        let entries: Vec<&str> = value.split(',').collect();
        assert!(entries.iter().all(|entry| entry.split(';').count() == 3));
        let told = match entries.last().unwrap().strip_prefix("info;more;") {
            Some(more) => entries.len() - 1 + more.parse::<usize>().unwrap(),
            None => entries.len(),
        };
        assert_eq!(told, count);
    }
}

#[test]
fn a_ledger_is_bounded() {
    let mut ledger = Ledger::new(Dialect::OpenAiChat, Dialect::AnthropicMessages);
    for at in 0..2000 {
        ledger.lose(Lost::Unknown, format!("{at}{}", "é".repeat(500)));
    }
    let losses = ledger.finish();
    assert_eq!(losses.len(), MOST_LISTED + 1);
    assert!(losses.iter().all(|loss| loss.field.len() <= LONGEST_FIELD));
    let last = losses.last().unwrap();
    assert_eq!((last.reason, &*last.field), ("more", "1488"));
    assert_eq!(last.severity, Severity::Lossy);
    let value = warnings(&losses).unwrap();
    let listed = value.split(',').count() - 1;
    let more = value.rsplit(';').next().unwrap().parse::<usize>().unwrap();
    assert_eq!(listed + more, 2000, "those that the ledger left out count");
}

#[test]
fn reasons_are_words_that_occur_once() {
    for (at, kind) in KINDS.iter().enumerate() {
        let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(kind.reason.chars().all(is_word), "{}", kind.reason);
        assert!(kind.ways().next().is_some(), "{}", kind.reason);
        assert!(kind.what.ends_with('.'), "{}", kind.what);
        let mut others = KINDS.iter().skip(at + 1);
        assert!(others.all(|other| other.reason != kind.reason));
    }
}

const BEGIN: &str = "<!-- losses: drawn from src/translate/loss/kinds.rs -->\n";
const END: &str = "<!-- losses end -->";

/// The README's table is the code's. `MERIT_BLESS=1` rewrites it.
#[test]
fn the_readme_has_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let drawn = table();
    if std::env::var_os("MERIT_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{drawn}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, drawn, "MERIT_BLESS=1 rewrites it");
}

fn table() -> String {
    let wires = [
        ("chat", Dialect::OpenAiChat),
        ("Responses", Dialect::OpenAiResponses),
        ("Messages", Dialect::AnthropicMessages),
    ];
    let mut text = String::new();
    for (from_name, from) in wires {
        for (to_name, to) in wires.into_iter().filter(|(_, to)| *to != from) {
            writeln!(text, "\n### {from_name} to {to_name}\n").unwrap();
            text.push_str("| reason | severity | what happens |\n|---|---|---|\n");
            let way = Way { from, to };
            for kind in KINDS
                .iter()
                .filter(|kind| kind.ways().any(|known| known == way))
            {
                let severity = kind.severity.as_str();
                writeln!(text, "| `{}` | {severity} | {} |", kind.reason, kind.what).unwrap();
            }
        }
    }
    text.push('\n');
    text
}
