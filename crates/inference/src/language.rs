//! The language of a text, and the encoder that reads it.

use crate::catalog::LoadError;
use crate::handle::CosineMap;
use crate::model::Model;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;

/// Tells languages apart.
pub trait DetectLanguage: Send + Sync {
    /// The most likely language of `text`; nothing if it has no letters or no language stands out.
    fn detect(&self, text: &str) -> Option<Detected>;

    /// The language that the words of a line of code would have if they were no code. Decisions do
    /// not ask for it; boundaries do, so that signs around words hide nothing.
    fn detect_in_code(&self, _text: &str) -> Option<Detected> {
        None
    }
}

/// A language and how sure the detector is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detected {
    /// ISO-639-1, lower case.
    pub code: &'static str,
    /// 0 to 1.
    pub confidence: f32,
}

/// The encoder of languages other than English, which is opened while others serve.
///
/// Reading it takes most of a second, and a process whose users write English never needs it.
pub struct Multilingual {
    languages: Arc<dyn DetectLanguage>,
    opened: OnceLock<Result<Opened, LoadError>>,
}

/// An open encoder, with the scale of its cosines.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The encoder.
    pub model: Arc<Model>,
    /// From its cosines to the scale of documents' thresholds.
    pub scale: CosineMap,
}

/// How sure the detector must be that a text is not English.
const SURE: f32 = 0.5;
/// The language of a text is that of as many bytes of its head, its middle and its tail.
const SAMPLE: usize = 1024;

impl Multilingual {
    /// Begins to open the encoder on a thread of its own.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn open(
        languages: Arc<dyn DetectLanguage>,
        open: impl FnOnce() -> Result<Opened, LoadError> + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let multilingual = Arc::new(Self {
            languages,
            opened: OnceLock::new(),
        });
        let opening = Arc::clone(&multilingual);
        Builder::new().name("encoder".into()).spawn(move || {
            let panicked = |_| {
                Err(LoadError::Unusable {
                    name: "encoder of other languages".to_owned(),
                    problem: "loading panicked".to_owned(),
                })
            };
            let opened = catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(panicked);
            if let Err(error) = &opened {
                tracing::error!(%error, "texts in other languages than English cannot be read");
            }
            opening.opened.get_or_init(|| opened);
        })?;
        Ok(multilingual)
    }

    /// Returns whether a text is for this encoder: in another language than English, as far as the
    /// detector is sure.
    #[must_use]
    pub fn reads(&self, text: &str) -> bool {
        let found = if text.len() <= 3 * SAMPLE {
            self.languages.detect(text)
        } else {
            self.languages.detect(&sample(text))
        };
        found.is_some_and(|found| found.code != "en" && found.confidence >= SURE)
    }

    /// Returns whether [`encoder`](Self::encoder) answers at once.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opened.get().is_some()
    }

    /// Returns the encoder, once it is open.
    ///
    /// # Errors
    /// It could not be opened.
    pub fn encoder(&self) -> Result<&Opened, &LoadError> {
        self.opened.wait().as_ref()
    }

    /// Returns whether `model` is this encoder.
    #[must_use]
    pub fn is(&self, model: &Model) -> bool {
        let opened = self.opened.get();
        opened.is_some_and(|opened| {
            opened
                .as_ref()
                .is_ok_and(|opened| std::ptr::eq(Arc::as_ptr(&opened.model), model))
        })
    }
}

impl fmt::Debug for Multilingual {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Multilingual")
    }
}

/// The head, the middle and the tail of a long text.
fn sample(text: &str) -> String {
    let middle = text.len() / 2 - SAMPLE / 2;
    let parts = [0, middle, text.len() - SAMPLE].map(|begin| {
        let end = (begin + SAMPLE).min(text.len());
        let (begin, end) = (
            text.ceil_char_boundary(begin),
            text.floor_char_boundary(end),
        );
        text.get(begin..end).unwrap_or_default()
    });
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a text with more Greek than other letters for Greek.
    struct ByLetters;

    impl DetectLanguage for ByLetters {
        fn detect(&self, text: &str) -> Option<Detected> {
            let letters = text.chars().filter(|letter| letter.is_alphabetic());
            let (greek, other): (Vec<char>, Vec<char>) =
                letters.partition(|letter| ('α'..='ω').contains(letter));
            let (greek, other) = (greek.len() as f32, other.len() as f32);
            let code = if greek > other { "el" } else { "en" };
            (greek + other > 0.0).then(|| Detected {
                code,
                confidence: greek.max(other) / (greek + other),
            })
        }
    }

    fn unopened() -> Arc<Multilingual> {
        let missing = || {
            Err(LoadError::Missing {
                name: "x".into(),
                looked_in: "/nowhere".into(),
            })
        };
        Multilingual::open(Arc::new(ByLetters), missing).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(unopened().reads(text), expected, "{}", text.len());
    }

    #[test]
    fn reads_what_is_not_english() {
        check("", false);
        check("12 + 3", false);
        check("hello", false);
        check("καλημέρα", true);
        check("καλημέρα my friends all", false);
        let long = |first: &str, rest: &str| format!("{first}{}", rest.repeat(2000));
        check(&long("hello ", "καλημέρα "), true);
        check(&long("καλημέρα ", "hello "), false);
    }

    #[test]
    fn says_why_it_is_not_there() {
        let multilingual = unopened();
        let error = multilingual.encoder().unwrap_err().to_string();
        assert!(
            error.contains("/nowhere") && multilingual.is_open(),
            "{error}"
        );
    }

    #[test]
    fn a_panic_while_loading_is_an_error() {
        let panics = || panic!("on purpose");
        let multilingual = Multilingual::open(Arc::new(ByLetters), panics).unwrap();
        assert!(multilingual.encoder().is_err());
    }
}
