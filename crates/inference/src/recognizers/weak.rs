//! What hardly names anybody by itself: ages, postal codes, domains, titles. Told with low
//! confidence.

use super::Found;
use super::around::{About, Around};
use super::number::{digits, stops, value};
use super::text::{Text, is_dash, is_word};

/// Top-level domains that are common in texts.
const TOP: [&str; 36] = [
    "com", "org", "net", "io", "dev", "app", "ai", "edu", "gov", "info", "biz", "de", "fr", "es",
    "it", "pt", "uk", "co", "eu", "us", "ca", "au", "ch", "at", "nl", "be", "jp", "cn", "in", "br",
    "pl", "se", "no", "dk", "example", "test",
];

/// The domain whose first point stands at `at`.
pub(super) fn domain_around(text: &Text, at: usize) -> Option<Found> {
    let symbol = |scalar: char| scalar.is_ascii_alphanumeric() || scalar == '-';
    let start = text.run_back(at, 63, symbol);
    if start == at
        || text
            .before(start)
            .is_some_and(|before| is_word(before) || matches!(before, '.' | '@' | '-'))
    {
        return None;
    }
    let end = text.run(at, 190, |scalar| symbol(scalar) || scalar == '.');
    let end = text.run_back(end, 2, |scalar| scalar == '.');
    let name = text.lower(at, end.max(at));
    let top = name.rsplit('.').next()?;
    let whole =
        TOP.contains(&top) && !name.contains("..") && !matches!(text.get(end), Some('@' | '_'));
    whole.then(|| Found::new("DOMAIN_NAME", start, end, 0.4))
}

/// The postal code that begins at `at`: five digits where a postal code is spoken of or a state
/// stands before.
pub(super) fn zip_at(text: &Text, at: usize) -> Option<Found> {
    let end = text.run(at, 6, |scalar| scalar.is_ascii_digit());
    let long = text.run(end + 1, 5, |scalar| scalar.is_ascii_digit());
    let end = if end - at == 5 && text.get(end) == Some('-') && long == end + 5 {
        long
    } else {
        end
    };
    let shaped = matches!(end - at, 5 | 10)
        && stops(text, end, |scalar| {
            is_dash(scalar) || matches!(scalar, '.' | ',')
        });
    let start = at.checked_sub(4).filter(|_| shaped)?;
    let before: Vec<char> = text.slice(start, at).chars().collect();
    let state = matches!(before.as_slice(), [' ', a, b, ' '] if a.is_ascii_uppercase() && b.is_ascii_uppercase());
    (state || Around::new(text, at, end).leads(About::Zip))
        .then(|| Found::new("ZIP_CODE", at, end, 0.6))
}

/// The age that begins at `at`: a number of years, `old` after it or `aged` before.
pub(super) fn age_at(text: &Text, at: usize) -> Option<Found> {
    let end = text.run(at, 4, |scalar| scalar.is_ascii_digit());
    let years = value(&digits(text, at, end));
    if end - at > 3 || years > 120 {
        return None;
    }
    let after = text.lower(end, end + 14).replace('-', " ");
    let before = text.lower(at.saturating_sub(6), at);
    let old = [
        " years old",
        " year old",
        " yo ",
        " y/o",
        " yrs old",
        " years of age",
    ]
    .iter()
    .any(|words| after.starts_with(words));
    let aged = ["aged ", " age ", "age: ", "age "]
        .iter()
        .any(|word| before.ends_with(word));
    (old || (aged && text.ends_word(end))).then(|| Found::new("AGE", at, end, 0.5))
}

/// The title at `at` before a capitalised word.
pub(super) fn title_at(text: &Text, at: usize) -> Option<Found> {
    let end = text.run(at, 6, char::is_alphabetic);
    let known = matches!(
        text.slice(at, end).as_str(),
        "Mr" | "Mrs" | "Ms" | "Dr" | "Prof" | "Herr" | "Frau" | "Mme" | "Sra" | "Sr"
    );
    let end = if text.get(end) == Some('.') {
        end + 1
    } else {
        end
    };
    let named = text.get(end) == Some(' ') && text.get(end + 1).is_some_and(char::is_uppercase);
    (known && named).then(|| Found::new("TITLE", at, end, 0.3))
}
