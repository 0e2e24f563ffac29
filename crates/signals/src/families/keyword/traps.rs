//! What keyword rules say that is surely not meant.

use super::{KeywordRule, Method};
use document::Findings;

impl KeywordRule {
    /// Warns of keywords that find nothing or everything, and of settings without effect.
    pub(super) fn check_traps(&self, at: &str, findings: &mut Findings) {
        if self.keywords.is_empty() {
            findings.warn(
                at,
                "no keywords: `AND` and `NOR` then always match, `OR` never",
            );
        }
        self.check_fuzzy(at, findings);
        if self.case_sensitive && self.method == Method::Bm25 {
            findings.note(
                format!("{at}.case_sensitive"),
                "has no effect with `method: bm25`, whose tokenizer lower-cases",
            );
        }
        if self.method == Method::Ngram && self.ngram_arity == 1 {
            findings.warn(
                format!("{at}.ngram_arity"),
                "the least arity is 2, which is used instead",
            );
        }
        for (index, keyword) in self.keywords.iter().enumerate() {
            let path = format!("{at}.keywords[{index}]");
            if keyword.is_empty() && self.native_method().is_none() {
                findings.warn(path, "an empty keyword is found in every text");
            } else if self.method == Method::Literal {
                boundaries(path, keyword, findings);
            }
        }
    }

    fn check_fuzzy(&self, at: &str, findings: &mut Findings) {
        if !self.fuzzy_match {
            return;
        }
        if let Some(method) = self.native_method() {
            findings.warn(
                format!("{at}.fuzzy_match"),
                format!("has no effect with `method: {method}`"),
            );
            return;
        }
        let lengths = self.keywords.iter().map(|keyword| keyword.chars().count());
        let longest = lengths.max().unwrap_or(0);
        if longest > 0 && self.fuzzy_threshold as usize >= longest {
            let message = format!(
                "is an edit distance: {} edits turn any word into any keyword; 1 or 2 is usual",
                self.fuzzy_threshold
            );
            findings.warn(format!("{at}.fuzzy_threshold"), message);
        }
    }

    fn native_method(&self) -> Option<&'static str> {
        match self.method {
            Method::Bm25 => Some("bm25"),
            Method::Ngram => Some("ngram"),
            Method::Literal | Method::Regex | Method::Unknown(_) => None,
        }
    }

    /// Refuses an unknown method where a decision uses the rule. The reference loads such rules and
    /// never matches them, and its own documents hold some, so elsewhere it is a warning.
    pub(super) fn check_unknown_method(&self, at: &str, used: bool, findings: &mut Findings) {
        let Method::Unknown(written) = &self.method else {
            return;
        };
        let mut message = format!(
            "`{written}` is no method; known: regex, bm25, ngram, or none for literal keywords"
        );
        if written.eq_ignore_ascii_case("fuzzy") {
            message = "`fuzzy` is no method: drop `method`, keep `fuzzy_match: true`".to_owned();
            if self.fuzzy_threshold > 9 {
                message.push_str(&format!(
                    ", and write `fuzzy_threshold: 2`: it is an edit distance, and {} edits turn any word into any other",
                    self.fuzzy_threshold
                ));
            }
        }

        let path = format!("{at}.method");
        if used {
            findings.error(path, message);
        } else {
            findings.warn(
                path,
                format!("{message}; no decision uses the rule, so it is left out"),
            );
        }
    }
}

/// The reference puts ASCII word boundaries around keywords; beside signs and other letters they
/// can hardly hold.
fn boundaries(path: String, keyword: &str, findings: &mut Findings) {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let wordy = keyword
        .chars()
        .any(|letter| letter.is_alphanumeric() || letter == '_');
    let han = keyword.chars().any(|letter| matches!(u32::from(letter), 0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF));
    if !wordy || han {
        return;
    }
    let edges = [keyword.chars().next(), keyword.chars().next_back()];
    let (mut letters, mut signs) = (false, false);
    for edge in edges.into_iter().flatten().filter(|&edge| !is_word(edge)) {
        letters |= edge.is_alphabetic();
        signs |= !edge.is_alphabetic();
    }
    if letters {
        let message = format!(
            "`{keyword}` begins or ends with a letter outside ASCII: the reference never finds it, Merit does"
        );
        findings.note(path, message);
    } else if signs {
        let message = format!(
            "`{keyword}` begins or ends with a sign: Merit finds it wherever it stands, the reference only where a letter or digit adjoins the sign"
        );
        findings.note(path, message);
    }
}
