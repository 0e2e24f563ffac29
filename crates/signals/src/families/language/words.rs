//! The language of a few words, by how their letters follow one another.
//!
//! Models of whole texts are weak on one to three words. What tells `danke` from `tack` is which
//! sequences of up to five letters a language uses, and how often. The tables are those of lingua
//! without its rarest sequences, see `languages/README.md` of this crate. A word of the other
//! model's counts too, where it is installed.

use super::Detected;
use fst::raw::{CompiledAddr, Fst, Output};

/// Each language of the tables by its code, and the package of lingua that its table was made of.
/// A table begins with its language's place in this list.
pub const TABLES: [(&str, &str); 21] = [
    ("en", "english"),
    ("de", "german"),
    ("fr", "french"),
    ("es", "spanish"),
    ("it", "italian"),
    ("pt", "portuguese"),
    ("nl", "dutch"),
    ("sv", "swedish"),
    ("pl", "polish"),
    ("cs", "czech"),
    ("tr", "turkish"),
    ("vi", "vietnamese"),
    ("id", "indonesian"),
    ("da", "danish"),
    ("nb", "bokmal"),
    ("fi", "finnish"),
    ("ro", "romanian"),
    ("hu", "hungarian"),
    ("ru", "russian"),
    ("uk", "ukrainian"),
    ("bg", "bulgarian"),
];
const BYTES: &[u8] = include_bytes!("../../../languages/few_words.fst");

/// Letters of the longest sequence.
const LONGEST: usize = 5;
/// What a sequence's probability counts, by its number of letters. These numbers and the next two
/// were fitted by maximum likelihood on 300 words and 300 pairs of words of each language, so that
/// shares are also confidences.
const WEIGHTS: [f32; LONGEST] = [0.145, 0.110, 0.109, 0.124, 0.112];
/// What it costs that a language never uses a sequence, by its number of letters.
const MISSING: [f32; LONGEST] = [0.0, 0.0, 0.0, 0.248, 1.183];
/// What the other model's share counts.
const OTHER: f32 = 0.21;
/// The other model's share of a language that it does not think of.
const UNTHOUGHT: f32 = 1e-4;
/// The probability of a letter that a language does not have, in steps.
const NO_LETTER: u64 = 13;
/// Languages that are written less often than their neighbours, and what that counts.
const RARER: [&str; 7] = ["da", "nb", "fi", "ro", "hu", "uk", "bg"];
const RARENESS: f32 = 1.0;

/// Words that chats begin with. They are rare in the newspapers that the tables were counted in.
const OPENERS: [(&str, &[&str]); 21] = [
    (
        "en",
        &[
            "hello", "hi", "hey", "thanks", "thank", "please", "yes", "bye", "goodbye", "okay",
        ],
    ),
    (
        "de",
        &[
            "hallo", "danke", "bitte", "tschüss", "servus", "moin", "nein",
        ],
    ),
    (
        "fr",
        &["bonjour", "salut", "merci", "oui", "coucou", "bonsoir"],
    ),
    (
        "es",
        &["hola", "gracias", "adiós", "buenas", "buenos", "saludos"],
    ),
    (
        "it",
        &[
            "ciao",
            "grazie",
            "prego",
            "buongiorno",
            "buonasera",
            "salve",
        ],
    ),
    ("pt", &["olá", "oi", "obrigado", "obrigada", "tchau"]),
    (
        "nl",
        &[
            "hallo",
            "hoi",
            "bedankt",
            "dank",
            "doei",
            "alstublieft",
            "alsjeblieft",
        ],
    ),
    ("sv", &["hej", "hejsan", "tack", "snälla"]),
    ("pl", &["cześć", "hej", "dzięki", "dziękuję", "proszę"]),
    ("cs", &["ahoj", "čau", "děkuji", "díky", "prosím"]),
    (
        "tr",
        &["merhaba", "selam", "teşekkürler", "evet", "hayır", "lütfen"],
    ),
    ("vi", &["chào"]),
    ("id", &["halo", "terima", "selamat"]),
    ("da", &["hej", "tak"]),
    ("nb", &["hei", "takk"]),
    ("fi", &["hei", "moi", "kiitos"]),
    ("ro", &["salut", "mulțumesc"]),
    ("hu", &["szia", "köszönöm"]),
    ("ru", &["привет", "спасибо", "здравствуйте"]),
    ("uk", &["привіт", "дякую"]),
    ("bg", &["здравей", "благодаря"]),
];
/// What such a word counts.
const OPENER: f32 = 3.0;

/// The tables of letter sequences.
pub(super) struct FewWords {
    tables: Fst<&'static [u8]>,
}

impl FewWords {
    /// Opens the built-in tables. Only their head is read, the rest stays where the binary is
    /// mapped until it is asked for.
    ///
    /// # Errors
    /// The tables are no such file.
    pub(super) fn open() -> Result<Self, fst::Error> {
        Fst::new(BYTES).map(|tables| Self { tables })
    }

    /// Returns whether there is a table for a language.
    pub(super) fn knows(code: &str) -> bool {
        TABLES.iter().any(|(own, _)| *own == code)
    }

    /// Returns the most likely language of a few words in lower case among those of `among`;
    /// nothing if there is no table for any. `other` are the shares that another model gives.
    pub(super) fn detect(
        &self,
        words: &str,
        among: &'static [&'static str],
        other: &[Detected],
    ) -> Option<Detected> {
        let mut scores = Vec::with_capacity(TABLES.len());
        for (place, (code, _)) in TABLES.iter().enumerate() {
            let Some(own) = among.iter().find(|own| *own == code) else {
                continue;
            };
            let share = other.iter().find(|share| share.code == *own);
            let share = share.map_or(UNTHOUGHT, |share| share.confidence.max(UNTHOUGHT));
            let rareness = if RARER.contains(own) { RARENESS } else { 0.0 };
            let openers = OPENER * openers(own, words) as f32;
            let score = self.score(place, words)? + OTHER * share.ln() + openers - rareness;
            scores.push((*own, score));
        }

        let (code, best) = *scores.iter().max_by(|one, two| one.1.total_cmp(&two.1))?;
        let total: f32 = scores.iter().map(|(_, score)| (score - best).exp()).sum();
        Some(Detected {
            code,
            confidence: 1.0 / total,
        })
    }

    /// Returns the logarithm of how well words fit a language, up to a term that is the same for
    /// all languages.
    fn score(&self, place: usize, words: &str) -> Option<f32> {
        let table = self.table(place)?;
        let mut score = 0.0;
        for word in words.split(|letter: char| !letter.is_alphabetic()) {
            for (start, _) in word.char_indices() {
                score += self.sequences(table, word.get(start..)?);
            }
        }
        Some(score)
    }

    /// Returns where the table of a language begins.
    fn table(&self, place: usize) -> Option<At> {
        let start = At {
            node: self.tables.root().addr(),
            output: Output::zero(),
        };
        self.step(start, u8::try_from(place).ok()?)
    }

    /// Returns the score of the sequences that begin where `rest` begins. A sequence that the
    /// table lacks is as likely as the longest one within it that begins in the same place.
    fn sequences(&self, table: At, rest: &str) -> f32 {
        let mut at = Some(table);
        let mut steps = NO_LETTER;
        let mut score = 0.0;
        let weights = WEIGHTS.iter().zip(MISSING);
        for (letter, (weight, missing)) in rest.chars().zip(weights) {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                at = at.and_then(|at| self.step(at, byte));
            }
            match at.and_then(|at| self.steps(at)) {
                Some(known) => steps = known,
                None => score -= missing,
            }
            score -= weight * steps as f32;
        }
        score
    }

    fn step(&self, at: At, byte: u8) -> Option<At> {
        let node = self.tables.node(at.node);
        let transition = node.transition(node.find_input(byte)?);
        Some(At {
            node: transition.addr,
            output: at.output.cat(transition.out),
        })
    }

    /// Returns what the table says of the sequence that leads here.
    fn steps(&self, at: At) -> Option<u64> {
        let node = self.tables.node(at.node);
        node.is_final()
            .then(|| at.output.cat(node.final_output()).value())
    }
}

/// Counts the words that chats in a language begin with.
fn openers(code: &str, words: &str) -> usize {
    let known = OPENERS.iter().find(|(own, _)| *own == code);
    known.map_or(0, |(_, known)| {
        let words = words.split(|letter: char| !letter.is_alphabetic());
        words.filter(|word| known.contains(word)).count()
    })
}

/// A place within the tables, and what was gathered on the way to it.
#[derive(Clone, Copy)]
struct At {
    node: CompiledAddr,
    output: Output,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::language::script::{CYRILLIC, LATIN};

    fn check(words: &str, code: &str) {
        let among = if CYRILLIC.contains(&code) {
            CYRILLIC
        } else {
            LATIN
        };
        let detected = FewWords::open().unwrap().detect(words, among, &[]).unwrap();
        assert_eq!(detected.code, code, "{words} {detected:?}");
        assert!(detected.confidence <= 1.0, "{words} {detected:?}");
    }

    #[test]
    fn words_have_a_language() {
        for (words, code) in [
            ("thanks", "en"),
            ("good morning", "en"),
            ("hola", "es"),
            ("ciao", "it"),
            ("gracias", "es"),
            ("danke", "de"),
            ("guten morgen", "de"),
            ("merci", "fr"),
            ("bonjour", "fr"),
            ("grazie", "it"),
            ("obrigado", "pt"),
            ("bedankt", "nl"),
            ("tack", "sv"),
            ("dziękuję", "pl"),
            ("děkuji", "cs"),
            ("teşekkürler", "tr"),
            ("terima kasih", "id"),
            ("cảm ơn", "vi"),
            ("köszönöm", "hu"),
            ("kiitos", "fi"),
            ("спасибо", "ru"),
            ("дякую", "uk"),
        ] {
            check(words, code);
        }
    }

    #[test]
    fn words_that_no_language_is_sure_of_are_not_sure() {
        let words = FewWords::open().unwrap();
        for text in ["a", "zq", "hotel"] {
            let detected = words.detect(text, LATIN, &[]).unwrap();
            assert!(detected.confidence < 0.9, "{text} {detected:?}");
        }
        assert_eq!(words.detect("नमस्ते", &["hi", "mr"], &[]), None);
    }

    #[test]
    fn the_other_model_counts() {
        let words = FewWords::open().unwrap();
        for code in ["en", "pl"] {
            let share = Detected {
                code,
                confidence: 0.9,
            };
            let detected = words.detect("hotel", &["en", "pl"], &[share]).unwrap();
            assert_eq!(detected.code, code);
        }
    }
}
