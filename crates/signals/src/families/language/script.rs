//! What the script alone says of a text's language: often everything, else which languages remain.
//!
//! Characters are counted by script. An ideograph or a syllable says about as much as several
//! letters, so it counts for more; the script with the most weight decides.

use Script::{Arabic, Cyrillic, Devanagari, Greek, Han, Hangul, Hebrew, Kana, Latin};

/// What remains to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No letters.
    Nothing,
    /// One language.
    Decided(&'static str),
    /// One of these, the likeliest first.
    OneOf(&'static [&'static str]),
}

/// Reads the script of a text.
pub(super) fn judge(text: &str) -> Verdict {
    let mut census = Census::default();
    for c in text.chars() {
        census.count(c);
    }
    census.verdict()
}

/// Whether some text is found to be in a language.
pub(in crate::families) fn is_known(code: &str) -> bool {
    let singles = SINGLE.iter().map(|(_, _, code)| code);
    let mut known = [
        LATIN,
        CYRILLIC,
        ARABIC,
        DEVANAGARI,
        &["el", "he", "zh", "ja", "ko"],
    ]
    .into_iter()
    .flatten()
    .chain(singles);
    known.any(|own| *own == code)
}

pub(super) const LATIN: &[&str] = &[
    "en", "af", "sq", "az", "eu", "bs", "ca", "hr", "cs", "da", "nl", "eo", "et", "fi", "fr", "lg",
    "de", "hu", "is", "id", "ga", "it", "la", "lv", "lt", "ms", "mi", "nb", "nn", "pl", "pt", "ro",
    "sn", "sk", "sl", "so", "st", "es", "sw", "sv", "tl", "ts", "tn", "tr", "vi", "cy", "xh", "yo",
    "zu",
];
pub(super) const CYRILLIC: &[&str] = &["ru", "uk", "be", "bg", "mk", "sr", "kk", "mn"];
const ARABIC: &[&str] = &["ar", "fa", "ur"];
const DEVANAGARI: &[&str] = &["hi", "mr"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Hebrew,
    Arabic,
    Devanagari,
    Han,
    Kana,
    Hangul,
    /// A script of one language, by its place in [`SINGLE`].
    Single(usize),
    None,
}

/// Scripts that one language uses: first and last character, code.
const SINGLE: [(char, char, &str); 16] = [
    ('\u{0530}', '\u{058F}', "hy"),
    ('\u{0980}', '\u{09FF}', "bn"),
    ('\u{0A00}', '\u{0A7F}', "pa"),
    ('\u{0A80}', '\u{0AFF}', "gu"),
    ('\u{0B00}', '\u{0B7F}', "or"),
    ('\u{0B80}', '\u{0BFF}', "ta"),
    ('\u{0C00}', '\u{0C7F}', "te"),
    ('\u{0C80}', '\u{0CFF}', "kn"),
    ('\u{0D00}', '\u{0D7F}', "ml"),
    ('\u{0D80}', '\u{0DFF}', "si"),
    ('\u{0E00}', '\u{0E7F}', "th"),
    ('\u{0E80}', '\u{0EFF}', "lo"),
    ('\u{0F00}', '\u{0FFF}', "bo"),
    ('\u{1000}', '\u{109F}', "my"),
    ('\u{10A0}', '\u{10FF}', "ka"),
    ('\u{1780}', '\u{17FF}', "km"),
];

/// The script of a character; letters and marks only, as far as routing needs it.
fn script(c: char) -> Script {
    match c {
        'a'..='z' | 'A'..='Z' => Latin,
        '\0'..='\u{BF}' | '×' | '÷' => Script::None,
        '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => Latin,
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => Greek,
        '\u{400}'..='\u{52F}' => Cyrillic,
        '\u{5D0}'..='\u{5F4}' => Hebrew,
        '\u{620}'..='\u{65F}' | '\u{66E}'..='\u{6D3}' | '\u{6FA}'..='\u{77F}' => Arabic,
        '\u{900}'..='\u{963}' | '\u{970}'..='\u{97F}' => Devanagari,
        '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{AC00}'..='\u{D7AF}' => Hangul,
        '\u{3041}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}' | '\u{FF66}'..='\u{FF9D}' => Kana,
        '\u{3005}'..='\u{3007}'
        | '\u{3400}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}' => Han,
        _ => SINGLE
            .iter()
            .position(|(first, last, _)| (*first..=*last).contains(&c))
            .map_or(Script::None, Script::Single),
    }
}

/// Letters that tell languages of one script apart.
#[derive(Debug, Default)]
struct Marks {
    ukrainian: usize,
    belarusian: usize,
    serbian: usize,
    macedonian: usize,
    kazakh: usize,
    russian: usize,
    persian: usize,
    urdu: usize,
}

impl Marks {
    fn cyrillic(&mut self, c: char) {
        match c {
            'ї' | 'є' | 'ґ' | 'Ї' | 'Є' | 'Ґ' => self.ukrainian += 1,
            'ў' | 'Ў' => self.belarusian += 1,
            'ђ' | 'ћ' | 'Ђ' | 'Ћ' => self.serbian += 1,
            'ѓ' | 'ќ' | 'ѕ' | 'Ѓ' | 'Ќ' | 'Ѕ' => self.macedonian += 1,
            'ә' | 'ғ' | 'қ' | 'ң' | 'ұ' | 'Ә' | 'Ғ' | 'Қ' | 'Ң' | 'Ұ' => self.kazakh += 1,
            'ы' | 'э' | 'ё' | 'Ы' | 'Э' | 'Ё' => self.russian += 1,
            _ => {}
        }
    }

    fn arabic(&mut self, c: char) {
        match c {
            'پ' | 'چ' | 'ژ' | 'گ' => self.persian += 1,
            'ٹ' | 'ڈ' | 'ڑ' | 'ے' | 'ں' | 'ھ' => self.urdu += 1,
            _ => {}
        }
    }
}

/// Characters by script.
#[derive(Debug, Default)]
struct Census {
    latin: usize,
    cyrillic: usize,
    greek: usize,
    hebrew: usize,
    arabic: usize,
    devanagari: usize,
    han: usize,
    kana: usize,
    hangul: usize,
    single: [usize; SINGLE.len()],
    marks: Marks,
}

impl Census {
    fn count(&mut self, c: char) {
        match script(c) {
            Latin => self.latin += 1,
            Cyrillic => {
                self.cyrillic += 1;
                self.marks.cyrillic(c);
            }
            Greek => self.greek += 1,
            Hebrew => self.hebrew += 1,
            Arabic => {
                self.arabic += 1;
                self.marks.arabic(c);
            }
            Devanagari => self.devanagari += 1,
            Han => self.han += 1,
            Kana => self.kana += 1,
            Hangul => self.hangul += 1,
            Script::Single(at) => self.single[at] += 1,
            Script::None => {}
        }
    }

    fn verdict(&self) -> Verdict {
        let east = 3 * (self.han + self.kana);
        let scripts = [
            (self.latin, Latin),
            (self.cyrillic, Cyrillic),
            (self.greek, Greek),
            (self.hebrew, Hebrew),
            (self.arabic, Arabic),
            (self.devanagari, Devanagari),
            (east, Han),
            (3 * self.hangul, Hangul),
        ];
        let singles = self
            .single
            .iter()
            .enumerate()
            .map(|(at, count)| (*count, Script::Single(at)));
        let most = scripts
            .into_iter()
            .chain(singles)
            .max_by_key(|(weight, _)| *weight);
        let Some((1.., script)) = most else {
            return Verdict::Nothing;
        };
        match script {
            Latin => Verdict::OneOf(LATIN),
            Cyrillic => self.cyrillic(),
            Greek => Verdict::Decided("el"),
            Hebrew => Verdict::Decided("he"),
            Arabic => self.arabic(),
            Devanagari => Verdict::OneOf(DEVANAGARI),
            // Japanese is hardly ever written without its syllables; Chinese may quote a few.
            Han | Kana if self.kana * 12 > self.han => Verdict::Decided("ja"),
            Han | Kana => Verdict::Decided("zh"),
            Hangul => Verdict::Decided("ko"),
            Script::Single(at) => SINGLE
                .get(at)
                .map_or(Verdict::Nothing, |(_, _, code)| Verdict::Decided(code)),
            Script::None => Verdict::Nothing,
        }
    }

    /// Letters of one language decide where no other's occur.
    fn cyrillic(&self) -> Verdict {
        let marks = &self.marks;
        let counts = [
            (marks.ukrainian, "uk"),
            (marks.belarusian, "be"),
            (marks.serbian, "sr"),
            (marks.macedonian, "mk"),
            (marks.kazakh, "kk"),
        ];
        let mut present = counts.into_iter().filter(|(count, _)| *count > 0);
        match (present.next(), present.next()) {
            (Some((_, code @ ("be" | "kk"))), None) => Verdict::Decided(code),
            (Some((_, code)), None) if marks.russian == 0 => Verdict::Decided(code),
            _ => Verdict::OneOf(CYRILLIC),
        }
    }

    fn arabic(&self) -> Verdict {
        match (self.marks.persian, self.marks.urdu) {
            (_, urdu) if urdu * 20 > self.arabic => Verdict::Decided("ur"),
            (persian, 0) if persian * 40 > self.arabic => Verdict::OneOf(&["fa", "ar"]),
            _ => Verdict::OneOf(ARABIC),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_decide() {
        for (text, expected) in [
            ("", Verdict::Nothing),
            ("123 + 456 = ?! × 🙂", Verdict::Nothing),
            ("请解释量子纠缠", Verdict::Decided("zh")),
            ("これは何ですか", Verdict::Decided("ja")),
            ("東京の天気を教えて", Verdict::Decided("ja")),
            (
                "请用一个の字造句子然后解释它的意思和来源",
                Verdict::Decided("zh"),
            ),
            ("コード", Verdict::Decided("ja")),
            ("안녕하세요 여러분", Verdict::Decided("ko")),
            ("Γεια σου κόσμε", Verdict::Decided("el")),
            ("שלום עולם", Verdict::Decided("he")),
            ("สวัสดีชาวโลก", Verdict::Decided("th")),
            ("გამარჯობა", Verdict::Decided("ka")),
            ("Բարեւ աշխարհ", Verdict::Decided("hy")),
            ("வணக்கம் உலகம்", Verdict::Decided("ta")),
            ("నమస్కారం", Verdict::Decided("te")),
            ("নমস্কার বিশ্ব", Verdict::Decided("bn")),
            ("ਸਤ ਸ੍ਰੀ ਅਕਾਲ", Verdict::Decided("pa")),
            ("નમસ્તે", Verdict::Decided("gu")),
            ("Привіт, як твої справи, їжачок?", Verdict::Decided("uk")),
            ("Дзень добры, ўсім", Verdict::Decided("be")),
            ("Қалайсыз, әлем", Verdict::Decided("kk")),
            ("Привет, как дела", Verdict::OneOf(CYRILLIC)),
            ("یہ کیا ہے؟ میں ٹھیک ہوں", Verdict::Decided("ur")),
            ("مرحبا بالعالم", Verdict::OneOf(ARABIC)),
            ("नमस्ते दुनिया", Verdict::OneOf(DEVANAGARI)),
            ("Hello world", Verdict::OneOf(LATIN)),
            ("Explain the word 数据", Verdict::OneOf(LATIN)),
            ("用 Python 写一个快速排序", Verdict::Decided("zh")),
        ] {
            assert_eq!(judge(text), expected, "{text}");
        }
    }
}
