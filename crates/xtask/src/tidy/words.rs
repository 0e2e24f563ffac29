//! What no file says: a place on somebody's machine, a promise to finish later; and words that
//! plain English does without.

use super::source::prose;
use super::{File, Finding};

/// Folders of one machine. Found only where a path begins, so that `https://host/work/x` may stand.
const PLACES: [&str; 2] = [concat!("/", "work/"), concat!("/", "root/")];
/// Notes to oneself; an open question is an issue, not a comment.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Words of another age, and turns that make a reader go back. Lower case; the first letter may be
/// a capital.
const ARCHAIC: [&str; 17] = [
    concat!("who", "m"),
    concat!("who", "mever"),
    concat!("who", "ever"),
    concat!("a", "new"),
    concat!("be", " it"),
    concat!("of", " which"),
    concat!("none", " is"),
    concat!("are", " none"),
    concat!("is none", " of"),
    concat!("nobody", " who"),
    concat!("in", " vain"),
    concat!("there", "by"),
    concat!("there", "of"),
    concat!("there", "in"),
    concat!("where", "by"),
    concat!("where", "in"),
    concat!("hence", "forth"),
];

/// What people might type, collected to train on or to test with, and what others wrote: it says
/// what it likes.
const FOREIGN: [&str; 7] = [
    "crates/training/corpus/",
    "crates/training/evaluation/",
    "crates/inference/knowledge_bases/",
    "crates/dialects/src/golden/",
    "benches/data/",
    "LICENSE",
    "Cargo.lock",
];

/// Finds places and notes in every line of every text file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let is_texts = file.path.starts_with("crates/training/corpus/")
        || (file.path.starts_with("crates/training/evaluation/") && file.path.ends_with(".jsonl"));
    if file.path == "Cargo.lock" || is_texts {
        return Vec::new();
    }
    let lines = (1..).zip(file.text.lines());
    lines
        .filter_map(|(number, line)| {
            let word = banned(line)?;
            Some(format!(
                "{}:{number}: `{word}` has no place here",
                file.path
            ))
        })
        .collect()
}

/// Finds archaic words in comments, documents and texts. Of Rust only comments and strings count,
/// so that a name may be called like a word.
pub(super) fn check_language(file: &File) -> Vec<Finding> {
    if FOREIGN.iter().any(|path| file.path.starts_with(path)) || file.path.ends_with(".json") {
        return Vec::new();
    }
    let lines = (1..).zip(file.text.lines());
    lines
        .filter_map(|(number, line)| {
            let word = archaic(&file.path, line)?;
            Some(format!(
                "{}:{number}: `{word}` is not plain English",
                file.path
            ))
        })
        .collect()
}

fn archaic(path: &str, line: &str) -> Option<&'static str> {
    let pieces = if path.ends_with(".rs") {
        prose(line)
    } else {
        vec![line]
    };
    let is_end = |letter: Option<char>| {
        letter.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_' && letter != '`')
    };
    pieces.into_iter().find_map(|piece| {
        let lower = piece.to_lowercase();
        ARCHAIC.into_iter().find(|word| {
            lower
                .match_indices(word)
                .any(|(at, _)| is_end(before(&lower, at)) && is_end(after(&lower, at + word.len())))
        })
    })
}

fn banned(line: &str) -> Option<&'static str> {
    let begins = |before: Option<char>| {
        before.is_none_or(|letter| !letter.is_alphanumeric() && !"._-*/".contains(letter))
    };
    let ends = |after: Option<char>| after.is_none_or(|letter| !letter.is_alphanumeric());
    let place = PLACES.into_iter().find(|place| {
        line.match_indices(place)
            .any(|(at, _)| begins(before(line, at)))
    });
    let note = NOTES.into_iter().find(|note| {
        line.match_indices(note)
            .any(|(at, _)| begins(before(line, at)) && ends(after(line, at + note.len())))
    });
    place.or(note)
}

fn before(line: &str, at: usize) -> Option<char> {
    line.get(..at)?.chars().next_back()
}

fn after(line: &str, at: usize) -> Option<char> {
    line.get(at..)?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_line(line: &str, expected: bool) {
        assert_eq!(
            !check(&file("README.md", line)).is_empty(),
            expected,
            "{line}"
        );
    }

    #[test]
    fn places_on_a_machine_are_found() {
        let [work, root] = PLACES;
        check_line(&format!("cd {work}main"), true);
        check_line(&format!("path=\"{root}.cargo\""), true);
        check_line(&format!("https://host{work}main"), false);
        check_line(&format!("..{work}main"), false);
    }

    #[test]
    fn notes_to_oneself_are_found() {
        let [first, second] = NOTES;
        check_line(&format!("// {first}: later"), true);
        check_line(&format!("# {second}"), true);
        check_line(&format!("{first}S"), false);
        check_line("todo lists are a use case", false);
    }

    fn check_words(path: &str, line: &str, expected: bool) {
        let findings = check_language(&file(path, line));
        assert_eq!(!findings.is_empty(), expected, "{path}: {line}");
    }

    #[test]
    fn archaic_words_are_found_where_people_read() {
        let [whom, .., of_which] = [ARCHAIC[0], ARCHAIC[5]];
        check_words("README.md", &format!("The one {whom} it serves"), true);
        check_words("README.md", &format!("Two, {of_which} one"), true);
        check_words("a.rs", &format!("// {whom}"), true);
        check_words("a.rs", &format!("f(\"{whom} it may concern\")"), true);
        check_words("a.rs", &format!("let {whom} = 1;"), false);
        check_words("a.rs", &format!("// `{whom}` is a name"), false);
        check_words("crates/training/corpus/a.txt", whom, false);
    }
}
