//! Values of slots: names in the forms that people write, and numbers and words that are no names.

use super::values::{Random, Values};

/// Kinds of labelled slots by their letter: places in [`KINDS`](inference::token_head::KINDS). `N`
/// is filled and not labelled.
pub(super) fn kind(slot: &str) -> Option<usize> {
    match slot {
        "P" | "F" | "L" => Some(0),
        "C" | "K" | "T" => Some(1),
        "O" => Some(2),
        "S" => Some(3),
        _ => None,
    }
}

/// Draws values for sentences of one language.
pub(super) struct Filler<'a> {
    pub(super) values: &'a Values,
    pub(super) random: &'a mut Random,
    pub(super) language: &'a str,
}

impl Filler<'_> {
    /// The value of a slot.
    pub(super) fn fill(&mut self, slot: &str) -> String {
        match slot {
            "P" => self.person(),
            "F" => self.first().0,
            "L" => {
                let own = self.first().1;
                self.last(&own)
            }
            "C" => match self.random.below(100) {
                0..82 => self.city(),
                82..92 => self.local("country").trim_start_matches("the ").into(),
                _ => self.of("state").into(),
            },
            "K" => self.local("country").into(),
            "T" => self.of("state").into(),
            "O" => self.organisation(),
            "S" => self.street(),
            "N" => self.of("nrp").into(),
            "title" => self.local("title").into(),
            "kin" | "product" | "weekday" | "month" | "language" | "cap" | "job" | "thing"
            | "ident" => self.of(slot).into(),
            _ => self.number(slot),
        }
    }

    fn of(&mut self, section: &str) -> &'static str {
        let values = self.values;
        self.random.pick(values.list(section))
    }

    /// From the list of the language three times of four, where there is one.
    fn local(&mut self, section: &str) -> &'static str {
        let own = format!("{section}.{}", self.language);
        if !self.values.list(&own).is_empty() && self.random.chance(0.75) {
            self.of(&own)
        } else {
            self.of(section)
        }
    }

    /// A first name, and the language that it is of.
    fn first(&mut self) -> (String, String) {
        let of_english = [
            "en", "en", "en", "en", "en", "en", "other", "other", "other", "de", "fr", "es", "it",
            "pt",
        ];
        let language = match self.language {
            "en" => self.random.pick(&of_english),
            _ if self.random.chance(0.25) => self.random.pick(&["en", "other"]),
            language => language,
        };
        let language = language.to_owned();
        let section = if self.random.chance(0.4) {
            "all.first".to_owned()
        } else {
            format!("first.{language}")
        };
        (self.of(&section).to_owned(), language)
    }

    fn last(&mut self, language: &str) -> String {
        let language = if self.random.chance(0.1) {
            self.random.pick(&["en", "other", "de", "es"])
        } else {
            language
        };
        let section = if self.random.chance(0.4) {
            "all.last".to_owned()
        } else {
            format!("last.{language}")
        };
        self.of(&section).to_owned()
    }

    fn initial(&mut self) -> char {
        char::from(b'A' + self.random.below(26) as u8)
    }

    fn person(&mut self) -> String {
        let (first, language) = self.first();
        let last = self.last(&language);
        match self.random.below(100) {
            0..68 => format!("{first} {last}"),
            68..74 => format!("{first} {}. {last}", self.initial()),
            74..78 => format!("{}. {last}", self.initial()),
            78..80 => format!("{}.{}. {last}", self.initial(), self.initial()),
            80..83 => format!("{first} {} {last}", self.first().0),
            83..85 => format!("{first} {last}-{}", self.last(&language)),
            85..88 => format!("{first} {last} {}", self.last(&language)),
            88..91 => format!("{first} {}.", last.chars().next().unwrap_or('X')),
            91..93 => format!("{last}, {first}"),
            _ => first,
        }
    }

    fn city(&mut self) -> String {
        if self.random.chance(0.35) {
            self.of("all.city").into()
        } else {
            self.local("city").into()
        }
    }

    fn organisation(&mut self) -> String {
        let word = self.of("org.word");
        match self.random.below(100) {
            0..14 => self.of("org.known").into(),
            14..42 => self.of("org.more").into(),
            42..47 => self.coined(),
            47..54 => format!("{word} {}", self.of("org.field")),
            54..62 => format!("{word} {} {}", self.of("org.field"), self.of("org.form")),
            62..68 => format!("{word} {}", self.of("org.form")),
            68..75 => word.into(),
            75..82 => format!("{} {}", self.city(), self.of("org.place")),
            82..86 => format!("University of {}", self.city()),
            86..90 => self.of("org.saint").into(),
            90..93 => self.partners(),
            93..96 => format!("{} {}", self.last("en"), self.of("org.field")),
            96..98 => (0..self.random.between(2, 4))
                .map(|_| self.initial())
                .collect(),
            _ => format!("{} {}", self.city(), self.of("org.field")),
        }
    }

    fn coined(&mut self) -> String {
        let word: String = (0..self.random.between(2, 3))
            .map(|_| self.of("syllable"))
            .collect();
        let mut letters = word.chars();
        let name: String = letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .chain(letters)
            .collect();
        match self.random.below(3) {
            0 => name,
            1 => format!("{name} {}", self.of("org.field")),
            _ => format!("{name} {}", self.of("org.form")),
        }
    }

    fn partners(&mut self) -> String {
        let language = self.language.to_owned();
        let (first, second) = (self.last(&language), self.last(&language));
        let second = self
            .random
            .pick(&[second.as_str(), "Sons", "Partners", "Co.", "Söhne"])
            .to_owned();
        format!(
            "{first}{}{second}",
            self.random.pick(&[" & ", " and ", " + "])
        )
    }

    fn street(&mut self) -> String {
        let language = match self.language {
            "en" if self.random.chance(0.22) => self.random.pick(&["de", "fr", "es", "it", "pt"]),
            "en" => "en",
            _ if self.random.chance(0.1) => "en",
            language => language,
        };
        let language = language.to_owned();
        if language == "en" {
            return self.english_street();
        }
        let number = self.random.between(1, 199);
        let street = self.of(&format!("street.{language}"));
        match (language.as_str(), self.random.below(4)) {
            ("de", 0) => format!("{street} {number}a"),
            ("de", 1) => format!("{street} {number} b"),
            ("de", _) => format!("{street} {number}"),
            ("fr", 0) => format!("{number}, {street}"),
            ("fr", 1) => format!("{number} bis {street}"),
            ("fr", _) => format!("{number} {street}"),
            (_, 0) => format!("{street}, {number}"),
            ("es" | "pt", 1) => {
                format!(
                    "{street}, {number}, {}º {}",
                    self.random.between(1, 9),
                    self.random.pick(&["A", "B", "esq."])
                )
            }
            _ => format!("{street} {number}"),
        }
    }

    fn english_street(&mut self) -> String {
        let top = self
            .random
            .pick(&["99", "399", "9999"])
            .parse()
            .unwrap_or(99);
        let number = self.random.between(1, top);
        let letter = self.random.pick(&["", "", "", "", "A", "b"]);
        let side = if self.random.chance(0.08) {
            self.random.pick(&["N. ", "S. ", "E ", "W "])
        } else {
            ""
        };
        let (word, form) = (self.of("street.word"), self.of("street.kind"));
        let unit = if self.random.chance(0.25) {
            format!(
                "{}{}",
                self.random.pick(&[", ", " "]),
                self.of("street.unit")
            )
        } else {
            String::new()
        };
        format!("{number}{letter} {side}{word} {form}{unit}")
    }

    /// Numbers and what holds them.
    fn number(&mut self, slot: &str) -> String {
        let mut of = |from: usize, to: usize| self.random.between(from, to);
        match slot {
            "year" => of(1950, 2026).to_string(),
            "age" => of(3, 95).to_string(),
            "zip" => format!("{:05}", of(1000, 99_999)),
            "amt" => match of(0, 4) {
                0 => format!("${}", of(1, 9999)),
                1 => format!("{} EUR", of(1, 9999)),
                2 => format!("€{}.50", of(1, 999)),
                3 => format!("£{}", of(1, 999)),
                _ => format!("{} million", of(1, 999)),
            },
            "id" => format!(
                "{}{}",
                ["#", "A", "ORD-", "INV-", "PR-", "T"]
                    .get(of(0, 5))
                    .copied()
                    .unwrap_or_default(),
                of(100, 999_999)
            ),
            "ver" => format!("{}.{}.{}", of(1, 20), of(0, 20), of(0, 30)),
            "time" => match of(0, 1) {
                0 => format!("{}:{:02}", of(1, 23), of(0, 59)),
                _ => format!("{} pm", of(1, 12)),
            },
            "date" => match of(0, 2) {
                0 => format!("{}.{}.{}", of(1, 28), of(1, 12), of(1940, 2026)),
                1 => format!("{}-{:02}-{:02}", of(1940, 2026), of(1, 12), of(1, 28)),
                _ => {
                    format!(
                        "{} {}, {}",
                        self.of("month"),
                        self.random.between(1, 28),
                        self.random.between(1940, 2026)
                    )
                }
            },
            "user" => format!(
                "{}{}",
                self.first().0.to_lowercase().replace(' ', ""),
                self.random.between(1, 99)
            ),
            "phone" | "card" | "iban" | "ip" | "ssn" | "exp" | "file" | "email" => {
                self.identifier(slot)
            }
            _ => match of(0, 2) {
                0 => of(1, 99).to_string(),
                1 => of(100, 9999).to_string(),
                _ => of(100_000, 999_999_999).to_string(),
            },
        }
    }

    /// What rules find: it is filled and not labelled.
    fn identifier(&mut self, slot: &str) -> String {
        let mut of = |from: usize, to: usize| self.random.between(from, to);
        match slot {
            "exp" => format!("{:02}/{}", of(1, 12), of(24, 31)),
            "phone" => match of(0, 3) {
                0 => format!("+1 415 555 {:04}", of(0, 9999)),
                1 => format!("(212) 555-{:04}", of(0, 9999)),
                2 => format!("030 12{:04}", of(0, 9999)),
                _ => format!("+44 20 7946 {:04}", of(0, 9999)),
            },
            "card" => format!(
                "4{:03} {:04} {:04} {:04}",
                of(0, 999),
                of(0, 9999),
                of(0, 9999),
                of(0, 9999)
            ),
            "iban" => format!(
                "DE{} {:04} {:04} {:04} {:04} {:02}",
                of(10, 98),
                of(0, 9999),
                of(0, 9999),
                of(0, 9999),
                of(0, 9999),
                of(0, 99)
            ),
            "ip" => format!(
                "{}.{}.{}.{}",
                of(1, 255),
                of(0, 255),
                of(0, 255),
                of(1, 254)
            ),
            "ssn" => format!("{}-{}-{}", of(100, 665), of(10, 99), of(1000, 9999)),
            "file" => [
                "report.pdf",
                "Budget.xlsx",
                "main.rs",
                "notes.txt",
                "Invoice_March.pdf",
                "README.md",
            ]
            .get(of(0, 5))
            .copied()
            .unwrap_or_default()
            .into(),
            _ => {
                let name = format!(
                    "{}{}{}",
                    self.first().0,
                    self.random.pick(&[".", "_", ""]),
                    self.last("en")
                );
                let host = self.random.pick(&[
                    "gmail.com",
                    "example.org",
                    "web.de",
                    "outlook.com",
                    "acme.io",
                ]);
                format!("{}@{host}", name.to_lowercase().replace(' ', ""))
            }
        }
    }
}
