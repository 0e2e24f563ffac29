//! The language detector: script first, then a small statistical model.
//!
//! One to three words are judged by their letters, and a line of code has no language. The model is fastText's compressed language identifier (`lid.176.ftz`, 0.9 MB), an installed
//! asset; without it the built-in sixteen-language model of `whichlang` answers. Either one chooses
//! only among the languages that the script leaves.

use super::line::{self, Made};
use super::script::{self, Verdict};
use super::words::FewWords;
use super::{DetectLanguage, Detected};
use fasttext_pure_rs::FastText;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use whichlang::Lang;

/// Labels of the model that are looked at: the right one is nearly always among the first few, and
/// more cost time.
const FEW: usize = 4;
/// Labels that are looked at when none of those is a language of the script.
const MANY: usize = 40;
/// Below this the other model is asked as well.
const SURE: f32 = 0.6;
/// From here on the model is believed on a few words in a language that has no table of letters.
const CERTAIN: f32 = 0.7;
const LABEL_PREFIX: &str = "__label__";

/// Why the model could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read language model {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not a fastText model.
    #[error("cannot use language model {}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: fasttext_pure_rs::Error,
    },
    /// The built-in tables cannot be read.
    #[error("cannot use the built-in tables of letters")]
    Tables(#[from] fst::Error),
}

/// Script rules and a model behind them.
pub struct LanguageDetector {
    model: Option<Box<FastText>>,
    words: Option<FewWords>,
}

impl LanguageDetector {
    /// Loads the model file, or takes the built-in model if there is none.
    ///
    /// # Errors
    /// The file is named and cannot be used.
    pub fn load(model: Option<&Path>) -> Result<Self, LoadError> {
        let words = Some(FewWords::open()?);
        let Some(path) = model else {
            return Ok(Self { model: None, words });
        };
        let bytes = std::fs::read(path).map_err(|source| LoadError::Read {
            path: path.into(),
            source,
        })?;
        let model =
            FastText::load_from_reader(Cursor::new(bytes)).map_err(|source| LoadError::Format {
                path: path.into(),
                source,
            })?;
        Ok(Self {
            model: Some(Box::new(model)),
            words,
        })
    }

    /// The built-in model: sixteen languages.
    #[must_use]
    pub fn small() -> Self {
        Self {
            model: None,
            words: FewWords::open().ok(),
        }
    }

    /// Returns the language of a few words in lower case.
    fn few(&self, words: &str, among: &'static [&'static str]) -> Option<Detected> {
        let model = self.model.as_ref();
        let other = model.map_or_else(Vec::new, |model| answers(model, words, among, MANY));
        let best = other.first().copied();
        let is_beyond = |best: &Detected| best.confidence >= CERTAIN && !FewWords::knows(best.code);
        best.filter(is_beyond)
            .or_else(|| self.words.as_ref()?.detect(words, among, &other))
    }

    fn choose(&self, text: &str, among: &'static [&'static str]) -> Option<Detected> {
        let likely = self
            .model
            .as_ref()
            .and_then(|model| large(model, text, among));
        likely.or_else(|| small(text, among))
    }
}

impl DetectLanguage for LanguageDetector {
    fn detect(&self, text: &str) -> Option<Detected> {
        match script::judge(text) {
            Verdict::Nothing => None,
            Verdict::Decided(code) => Some(Detected {
                code,
                confidence: 1.0,
            }),
            Verdict::OneOf(among) => match line::read(text) {
                Made::Code => None,
                Made::FewWords(words) => {
                    self.few(&words, among).or_else(|| self.choose(text, among))
                }
                Made::Text => self.choose(text, among),
            },
        }
    }

    fn detect_in_code(&self, text: &str) -> Option<Detected> {
        match script::judge(text) {
            Verdict::OneOf(among) if line::read(text) == Made::Code => self.choose(text, among),
            _ => None,
        }
    }
}

/// The likeliest of `among`; an unsure answer gives way to the built-in model's, if this one thinks
/// of it too.
fn large(model: &FastText, text: &str, among: &'static [&'static str]) -> Option<Detected> {
    // The model knows words as they are written, but shouting only as noise.
    let lower = if text.contains(char::is_lowercase) {
        None
    } else {
        Some(text.to_lowercase())
    };
    let text = lower.as_deref().unwrap_or(text);
    let few = shares(model, text, among, FEW);
    let likely = if few.is_empty() {
        shares(model, text, among, MANY)
    } else {
        few
    };
    let best = *likely.first()?;
    if best.confidence >= SURE {
        return Some(best);
    }
    let second = small(text, among)?;
    let agreed = likely.iter().find(|share| share.code == second.code);
    Some(agreed.map_or(best, |share| Detected {
        confidence: share.confidence.midpoint(second.confidence),
        ..second
    }))
}

/// The model's first `labels` answers as far as they are of `among`.
fn answers(
    model: &FastText,
    text: &str,
    among: &'static [&'static str],
    labels: usize,
) -> Vec<Detected> {
    let predictions = model.predict(text, labels, 0.0).unwrap_or_default();
    let known = predictions.iter().filter_map(|prediction| {
        let code = code_of(prediction.label.strip_prefix(LABEL_PREFIX)?, among)?;
        Some(Detected {
            code,
            confidence: prediction.probability,
        })
    });
    known.collect()
}

/// The same answers with their shares of one.
fn shares(
    model: &FastText,
    text: &str,
    among: &'static [&'static str],
    labels: usize,
) -> Vec<Detected> {
    let mut shares = answers(model, text, among, labels);
    let total: f32 = shares.iter().map(|share| share.confidence).sum();
    for share in &mut shares {
        share.confidence = (share.confidence / total).min(1.0);
    }
    shares
}

/// The model's label as one of `among`.
fn code_of(label: &str, among: &'static [&'static str]) -> Option<&'static str> {
    let label = match label {
        "no" => "nb",
        "sh" => "hr",
        label => label,
    };
    among.iter().copied().find(|code| *code == label)
}

/// The built-in model's answer, trusted more the more letters there are.
fn small(text: &str, among: &'static [&'static str]) -> Option<Detected> {
    let code = code_of(small_code(whichlang::detect_language(text)), among)
        .or_else(|| among.first().copied())?;
    let letters = text.chars().filter(|c| c.is_alphabetic()).take(100).count() as f32;
    Some(Detected {
        code,
        confidence: letters / (letters + 8.0),
    })
}

fn small_code(lang: Lang) -> &'static str {
    match lang {
        Lang::Ara => "ar",
        Lang::Cmn => "zh",
        Lang::Deu => "de",
        Lang::Eng => "en",
        Lang::Fra => "fr",
        Lang::Hin => "hi",
        Lang::Ita => "it",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        Lang::Nld => "nl",
        Lang::Por => "pt",
        Lang::Rus => "ru",
        Lang::Spa => "es",
        Lang::Swe => "sv",
        Lang::Tur => "tr",
        Lang::Vie => "vi",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The installed model, where there is one.
    fn installed() -> Option<PathBuf> {
        let assets = std::env::var_os("MERIT_ASSETS").map(PathBuf::from);
        let assets = assets
            .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.merit/assets"));
        Some(assets.join("lid.176.ftz")).filter(|path| path.exists())
    }

    fn check(detector: &LanguageDetector, text: &str, expected: Option<&str>) {
        let detected = detector.detect(text);
        assert_eq!(detected.map(|detected| detected.code), expected, "{text}");
        assert!(
            detected.is_none_or(|detected| (0.3..=1.0).contains(&detected.confidence)),
            "{text} {detected:?}"
        );
    }

    const PROSE: [(&str, &str); 9] = [
        ("How do I reset my router password?", "en"),
        ("Wie kann ich mein Passwort zurücksetzen?", "de"),
        ("Comment puis-je réinitialiser mon mot de passe ?", "fr"),
        ("¿Cómo puedo restablecer mi contraseña?", "es"),
        ("Come posso reimpostare la mia password?", "it"),
        ("Как мне сбросить пароль?", "ru"),
        ("Parolamı nasıl sıfırlayabilirim?", "tr"),
        ("请帮我重置密码", "zh"),
        ("パスワードをリセットするにはどうすればいいですか", "ja"),
    ];

    #[test]
    fn the_small_model_knows_ordinary_prose() {
        let detector = LanguageDetector::load(None).unwrap();
        for (text, code) in PROSE {
            check(&detector, text, Some(code));
        }
        check(&detector, "12345 !?", None);
    }

    #[test]
    fn the_installed_model_knows_more() {
        let Some(path) = installed() else {
            eprintln!("skipped: no lid.176.ftz in MERIT_ASSETS or .merit/assets");
            return;
        };
        let detector = LanguageDetector::load(Some(&path)).unwrap();
        for (text, code) in PROSE {
            check(&detector, text, Some(code));
        }
        for (text, code) in [
            ("Jak mogę zresetować hasło do swojego konta?", "pl"),
            (
                "WHY IS THE NEW HEATING SYSTEM SO EXPENSIVE THIS YEAR?",
                "en",
            ),
            ("Как могу да сменя паролата си за пощата?", "bg"),
            ("मैं अपना पासवर्ड कैसे बदल सकता हूँ?", "hi"),
            ("چطور می‌توانم رمز عبورم را عوض کنم؟", "fa"),
            ("كيف يمكنني إعادة تعيين كلمة المرور؟", "ar"),
        ] {
            check(&detector, text, Some(code));
        }
    }

    /// Texts of one to three words and lines of code, with their languages.
    fn short_texts() -> Vec<(String, String)> {
        #[derive(serde::Deserialize)]
        struct Row {
            text: String,
            lang: String,
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../training/evaluation/language_short_texts.jsonl");
        let rows = std::fs::read_to_string(file).unwrap();
        rows.lines()
            .map(|line| serde_json::from_str::<Row>(line).unwrap())
            .map(|row| (row.lang, row.text))
            .collect()
    }

    /// Short texts of words that lingua gets wrong, with the twelve languages of the set to choose
    /// from (`language_agreement`).
    const WRONG_IN_LINGUA: usize = 86;

    /// Short texts that a detector may get wrong, of words and of code.
    fn check_short_texts(detector: &LanguageDetector, wrong_words: usize, wrong_code: usize) {
        let wrong = |is_code: bool| {
            let texts = short_texts();
            let kind = texts
                .iter()
                .filter(|(lang, _)| (lang == "-") == is_code)
                .filter(|(lang, text)| {
                    let code = detector.detect(text).map_or("-", |found| found.code);
                    code != lang && !(is_code && code == "en")
                });
            kind.count()
        };
        assert!(wrong(false) <= wrong_words, "{} wrong", wrong(false));
        assert!(wrong(true) <= wrong_code, "{} of code", wrong(true));
    }

    #[test]
    fn short_texts_are_known_as_well_as_lingua_knows_them() {
        check_short_texts(&LanguageDetector::small(), WRONG_IN_LINGUA + 16, 10);
        if let Some(path) = installed() {
            let detector = LanguageDetector::load(Some(&path)).unwrap();
            check_short_texts(&detector, WRONG_IN_LINGUA - 30, 10);
        }
    }

    #[test]
    fn labels_become_codes_of_the_script() {
        let among = &["en", "hr", "nb"];
        for (label, code) in [
            ("no", Some("nb")),
            ("sh", Some("hr")),
            ("en", Some("en")),
            ("ceb", None),
            ("ru", None),
        ] {
            assert_eq!(code_of(label, among), code, "{label}");
        }
    }

    #[test]
    fn a_wrong_file_says_which() {
        let missing = LanguageDetector::load(Some(Path::new("/nowhere/lid.ftz")))
            .map(|_| ())
            .unwrap_err();
        assert_eq!(
            missing.to_string(),
            "cannot read language model /nowhere/lid.ftz"
        );
        let wrong = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(
            LanguageDetector::load(Some(&wrong)),
            Err(LoadError::Format { .. })
        ));
    }
}
