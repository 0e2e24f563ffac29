//! The form of commit messages: `scope: imperative subject`, at most 72 letters, and a body that
//! says why.

use std::process::Command;

use anyhow::Result;

use super::Finding;
use crate::workspace::{Workspace, output};

const SUBJECT_LETTERS: usize = 72;

/// Checks the commits after `base`, merges left out.
pub(super) fn check(workspace: &Workspace, base: &str) -> Result<Vec<Finding>> {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root);
    git.args(["log", "-z", "--no-merges", "--format=%h%x1f%s%x1f%b"]);
    let messages = output(git.arg(format!("{base}..HEAD")))?;
    Ok(messages
        .split_terminator('\0')
        .flat_map(|message| {
            let fields: Vec<&str> = message.splitn(3, '\x1f').collect();
            match fields[..] {
                [hash, subject, body] => problems(hash, subject, body),
                _ => Vec::new(),
            }
        })
        .collect())
}

fn problems(hash: &str, subject: &str, body: &str) -> Vec<Finding> {
    let mut problems = Vec::new();
    if subject.chars().count() > SUBJECT_LETTERS {
        problems.push(format!("is longer than {SUBJECT_LETTERS} letters"));
    }
    match subject.split_once(": ") {
        Some((scope, text)) if is_scope(scope) => {
            if !is_imperative(text) {
                problems.push("does not begin with an imperative".to_owned());
            }
            if text.ends_with('.') {
                problems.push("ends with a full stop".to_owned());
            }
        }
        _ => problems.push("is not `scope: what it does`".to_owned()),
    }
    if body.trim().is_empty() {
        problems.push("has no body that says why".to_owned());
    }
    problems
        .into_iter()
        .map(|problem| format!("commit {hash}: `{subject}` {problem}"))
        .collect()
}

/// Tells whether this is one or more names of crates, folders or modules.
fn is_scope(scope: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    scope.starts_with(|letter: char| letter.is_ascii_lowercase())
        && scope
            .chars()
            .all(|letter| is_letter(letter) || "-_/, ().".contains(letter))
}

/// Tells an imperative from a past tense and a present participle, by the ending of the first word.
fn is_imperative(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or_default();
    let is_inflected = ["ed", "ing"].iter().any(|ending| {
        let stem = first.strip_suffix(ending).unwrap_or_default();
        // `feed` and `bring` end so by chance: what is left of them is too short to be a verb.
        stem.len() > 2 && stem.contains(['a', 'e', 'i', 'o', 'u'])
    });
    let is_exception = ["speed", "embed", "exceed", "proceed"].contains(&first);
    first.starts_with(|letter: char| letter.is_ascii_lowercase()) && (is_exception || !is_inflected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_message(subject: &str, body: &str, expected: usize) {
        let found = problems("abc", subject, body);
        assert_eq!(found.len(), expected, "{subject}: {found:?}");
    }

    #[test]
    fn subjects_have_a_scope_and_an_imperative() {
        check_message("router: hold the verdict until the plan", "Why.", 0);
        check_message("xtask, ci: bring back the table", "Why.", 0);
        check_message("tests: feed the reader byte by byte", "Why.", 0);
        check_message("Hold the verdict", "Why.", 1);
        check_message("router: Hold the verdict", "Why.", 1);
        check_message("router: holding the verdict.", "Why.", 2);
        check_message("router: added a test", "", 2);
        check_message(&format!("router: {}", "hold ".repeat(14)), "Why.", 1);
    }
}
