//! What no file may say: a place on somebody's machine, or a promise to finish later.

use super::{File, Finding};

/// Folders of one machine. Found only where a path begins, so that `https://host/work/x` may stand.
const PLACES: [&str; 2] = [concat!("/", "work/"), concat!("/", "root/")];
/// Notes to oneself; an open question is an issue, not a comment.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// What people might type, collected to train on: it says what it likes.
const SENTENCES: &str = "crates/training/corpus/";

/// Reads every line of every text file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if file.path == "Cargo.lock" || file.path.starts_with(SENTENCES) {
        return Vec::new();
    }
    let lines = (1..).zip(file.text.lines());
    let spoken = lines.filter_map(|(number, line)| Some((number, banned(line)?)));
    spoken
        .map(|(number, word)| format!("{}:{number}: `{word}` has no place here", file.path))
        .collect()
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
}
