//! What the surface of a text says of its words: case, digits, punctuation, neighbours, lists of
//! names.

use super::lexicon::{LISTS, Lexicon};

/// A word: letters and digits in a row, or one other sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// First byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// Its first token.
    pub token: usize,
}

/// The words of a text and their marks.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// In order.
    pub words: Vec<Word>,
    /// A bit for each mark of each word.
    pub marks: Vec<u64>,
}

/// Marks that count for the neighbours too: the word's own and those of the lists.
const SHARED: usize = 30 + LISTS;
/// Marks of the word alone.
const OWN: usize = 4;
/// Neighbours to each side whose marks count.
const REACH: usize = 2;
/// Columns of [`Sheet::active`].
pub const COLUMNS: usize = SHARED * (2 * REACH + 1) + OWN;
/// Bits of the lists' marks.
pub const LISTED: u64 = ((1 << LISTS) - 1) << 30;

const BREAK: u64 = 1 << 10 | 1 << 17 | 1 << 20 | 1 << 22 | 1 << 23 | 1 << 18;

impl Sheet {
    /// Reads a text whose tokens lie at `offsets` (bytes).
    #[must_use]
    pub fn new(text: &str, offsets: &[(usize, usize)], lexicon: &Lexicon) -> Self {
        let words = words(text, offsets);
        let listed = lexicon.marks(text, &words);
        let mut end = 0;
        let mut marks: Vec<u64> = Vec::with_capacity(words.len());
        for (word, listed) in words.iter().zip(&listed) {
            let gap = text.get(end..word.start).unwrap_or_default();
            let spelt = text
                .get(word.start..word.end)
                .map_or(0, |word| surface(word, gap, marks.is_empty()));
            marks.push(spelt | u64::from(*listed) << 30);
            end = word.end;
        }
        own_marks(&mut marks);
        Self { words, marks }
    }

    /// Columns that are one for word `at`; the others are zero.
    pub fn active(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let near = (0..=2 * REACH).filter_map(move |step| {
            Some((step, *self.marks.get((at + step).checked_sub(REACH)?)?))
        });
        let shared = near.flat_map(|(step, marks)| {
            (0..SHARED)
                .filter(move |bit| marks >> bit & 1 == 1)
                .map(move |bit| step * SHARED + bit)
        });
        let own = self.marks.get(at).copied().unwrap_or_default() >> SHARED;
        shared.chain(
            (0..OWN)
                .filter(move |bit| own >> bit & 1 == 1)
                .map(|bit| SHARED * (2 * REACH + 1) + bit),
        )
    }
}

/// Words from tokens: pieces of one run of letters and digits belong together; scripts without
/// blanks keep their tokens.
fn words(text: &str, offsets: &[(usize, usize)]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::with_capacity(offsets.len());
    for (token, &(start, end)) in offsets.iter().enumerate() {
        let Some(piece) = text.get(start..end).filter(|piece| !piece.is_empty()) else {
            continue;
        };
        let goes_on = piece
            .chars()
            .next()
            .is_some_and(|first| first.is_alphanumeric() && !is_dense(first));
        match words.last_mut().filter(|word| word.end == start && goes_on) {
            Some(word) if ends_alphanumeric(text, word) => word.end = end,
            _ => words.push(Word { start, end, token }),
        }
    }
    words
}

fn ends_alphanumeric(text: &str, word: &Word) -> bool {
    let last = text
        .get(word.start..word.end)
        .and_then(|word| word.chars().next_back());
    last.is_some_and(|last| last.is_alphanumeric() && !is_dense(last))
}

fn is_dense(scalar: char) -> bool {
    matches!(
        scalar,
        '\u{e00}'..='\u{edf}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3005}'
            | '\u{3040}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}'
    )
}

/// Marks of one word after `gap`, what stands between it and the word before.
fn surface(word: &str, gap: &str, first: bool) -> u64 {
    let letters: Vec<char> = word
        .chars()
        .filter(|scalar| scalar.is_alphabetic())
        .collect();
    let length = word.chars().count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let upper = letters
        .iter()
        .filter(|scalar| scalar.is_uppercase())
        .count();
    let capital = letters.first().is_some_and(|scalar| scalar.is_uppercase());
    let all = upper == letters.len() && upper > 0;
    let number = digits == length;
    let is = |signs: &str| length == 1 && word.chars().all(|sign| signs.contains(sign));
    let lower = word.to_lowercase();
    let marks = [
        capital && !all,
        all && upper > 1,
        all && upper == 1,
        !letters.is_empty() && upper == 0,
        upper > 0 && !all && !(capital && upper == 1),
        number && length <= 2,
        number && (3..=4).contains(&length),
        number && length == 5,
        number && length > 5,
        digits > 0 && !number,
        is("."),
        is(","),
        is("-"),
        is("'’"),
        is("@"),
        is("&+"),
        is("#_/\\<>=;{}|"),
        is(":"),
        is("\"“”„«»"),
        is("()[]"),
        is("!?"),
        !word.chars().next().is_some_and(char::is_alphanumeric),
        first,
        gap.contains('\n'),
        gap.is_empty() && !first,
        length <= 2 && !letters.is_empty(),
        length >= 9,
        TITLES.contains(&lower.as_str()),
        STREETS.contains(&lower.as_str()) || STREET_ENDS.iter().any(|end| lower.ends_with(end)),
        FIRMS.contains(&lower.as_str()),
    ];
    marks
        .iter()
        .enumerate()
        .fold(0, |bits, (bit, set)| bits | u64::from(*set) << bit)
}

/// Marks that need the whole text: a sentence begins here; how much of it is in lower case.
fn own_marks(marks: &mut [u64]) {
    let worded = |marks: u64| marks & 0b1_1111 != 0;
    let letters = marks.iter().filter(|marks| worded(**marks)).count();
    let lower = marks.iter().filter(|marks| **marks & 1 << 3 != 0).count();
    let text_wide = u64::from(letters > 0 && lower == letters) << 1
        | u64::from(lower == 0) << 2
        | u64::from(2 * lower < letters) << 3;
    let mut before = 0;
    for marks in marks {
        let begins =
            *marks & (1 << 22 | 1 << 23) != 0 || before & BREAK & !(1 << 22 | 1 << 23) != 0;
        before = *marks;
        *marks |= (text_wide | u64::from(begins)) << SHARED;
    }
}

/// Words before a name.
const TITLES: [&str; 64] = [
    "mr",
    "mrs",
    "ms",
    "miss",
    "dr",
    "prof",
    "professor",
    "sir",
    "judge",
    "captain",
    "senator",
    "rev",
    "officer",
    "coach",
    "sergeant",
    "nurse",
    "agent",
    "herr",
    "frau",
    "herrn",
    "monsieur",
    "madame",
    "mme",
    "mlle",
    "maître",
    "señor",
    "señora",
    "don",
    "doña",
    "sr",
    "sra",
    "dra",
    "sig",
    "signor",
    "signora",
    "dott",
    "dottor",
    "dona",
    "senhor",
    "senhora",
    "dear",
    "hi",
    "hello",
    "hey",
    "hallo",
    "liebe",
    "lieber",
    "salut",
    "bonjour",
    "hola",
    "ciao",
    "olá",
    "estimado",
    "estimada",
    "cher",
    "chère",
    "caro",
    "cara",
    "prezada",
    "prezado",
    "gentile",
    "uncle",
    "aunt",
    "grandma",
];

/// Words of street names.
const STREETS: [&str; 52] = [
    "street",
    "st",
    "avenue",
    "ave",
    "road",
    "rd",
    "lane",
    "ln",
    "drive",
    "dr",
    "boulevard",
    "blvd",
    "court",
    "ct",
    "place",
    "pl",
    "way",
    "terrace",
    "circle",
    "parkway",
    "close",
    "crescent",
    "square",
    "highway",
    "row",
    "rue",
    "chemin",
    "quai",
    "allée",
    "impasse",
    "calle",
    "avenida",
    "paseo",
    "plaza",
    "carrera",
    "via",
    "viale",
    "corso",
    "piazza",
    "rua",
    "travessa",
    "praça",
    "largo",
    "straße",
    "strasse",
    "weg",
    "gasse",
    "allee",
    "platz",
    "c",
    "avda",
    "gardens",
];
const STREET_ENDS: [&str; 7] = ["straße", "strasse", "str", "weg", "gasse", "allee", "platz"];

/// Words of firms and institutions.
const FIRMS: [&str; 41] = [
    "inc",
    "llc",
    "ltd",
    "corp",
    "corporation",
    "co",
    "group",
    "gmbh",
    "ag",
    "kg",
    "se",
    "sarl",
    "sas",
    "srl",
    "bv",
    "nv",
    "ab",
    "oy",
    "aps",
    "plc",
    "pty",
    "pvt",
    "limited",
    "lda",
    "ltda",
    "university",
    "college",
    "hospital",
    "bank",
    "school",
    "institute",
    "council",
    "clinic",
    "company",
    "foundation",
    "association",
    "partners",
    "holdings",
    "technologies",
    "solutions",
    "logistics",
];
