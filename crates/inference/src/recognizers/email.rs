//! E-mail addresses.

use super::Found;
use super::text::{Text, is_dash, is_word};

/// Bounds of RFC 5321.
const LOCAL: usize = 64;
const DOMAIN: usize = 255;

/// Endings of file names, which follow an at sign too (`icon@2x.png`).
const FILES: [&str; 14] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "jsx", "tsx", "css", "html", "json",
    "yaml",
];

/// The address whose at sign stands at `at`.
pub(super) fn around(text: &Text, at: usize) -> Option<Found> {
    let start = local(text, at)?;
    let end = domain(text, at + 1)?;
    if is_login(text, start, end) {
        return None;
    }
    Some(Found::new("EMAIL_ADDRESS", start, end, 0.99))
}

/// Start of the local part that ends before `at`.
fn local(text: &Text, at: usize) -> Option<usize> {
    let symbol =
        |scalar: char| latin(scalar) || matches!(scalar, '.' | '_' | '%' | '+' | '-' | '\'');
    let mut start = text.run_back(at, LOCAL, symbol);
    start = text.run(start, LOCAL, |scalar| !(latin(scalar) || scalar == '_'));
    let whole = start < at && text.before(at) != Some('.');
    (whole && !text.before(start).is_some_and(latin)).then_some(start)
}

/// End of the domain that begins at `from`.
fn domain(text: &Text, from: usize) -> Option<usize> {
    let mut end = text.run(from, DOMAIN, |scalar| {
        latin(scalar) || matches!(scalar, '-' | '.')
    });
    end = text.run_back(end, 4, |scalar| matches!(scalar, '-' | '.'));
    let name = text.lower(from, end.max(from));
    let (rest, top) = name.rsplit_once('.')?;
    let labels = rest.split('.').all(|label| {
        (1..=63).contains(&label.chars().count())
            && !label.starts_with(is_dash)
            && !label.ends_with(is_dash)
    });
    let letters = top.chars().count() >= 2
        && (top.chars().all(char::is_alphabetic) || top.starts_with("xn--"));
    let ended = !matches!(text.get(end), Some('_' | '@'));
    (labels && letters && ended && !FILES.contains(&top)).then_some(end)
}

/// Whether it is the name of an account on a machine: in a URL, behind `ssh`, or before the path of
/// a repository.
fn is_login(text: &Text, start: usize, end: usize) -> bool {
    let repository = text.get(end) == Some(':')
        && text
            .get(end + 1)
            .is_some_and(|next| is_word(next) || next == '/');
    if repository && text.lower(start, start + 4) == "git@" {
        return true;
    }
    let word = text.run_back(start, LOCAL, |scalar| !scalar.is_whitespace());
    if text.slice(word, start).contains("://") {
        return true;
    }
    let before = text.lower(word.saturating_sub(5), word);
    word == start
        && ["ssh ", "scp ", "sftp ", "rsync "]
            .iter()
            .any(|command| before.ends_with(command))
}

/// Letters of European names and digits; other scripts write on without a blank.
fn latin(scalar: char) -> bool {
    scalar.is_alphanumeric() && scalar < '\u{250}'
}
