//! Words near a number that say what it is.

use super::text::Text;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use std::sync::OnceLock;

/// Scalars read before and after a number.
const BEFORE: usize = 48;
const AFTER: usize = 28;

/// What the words near a number say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Phone,
    Card,
    Security,
    Address,
    Birth,
    Licence,
    Zip,
    /// Orders, versions, identifiers: a number of something else.
    Other,
}

/// Word beginnings (a blank before) or whole words (blanks around) by what they say; several languages.
const WORDS: &[(About, &[&str])] = &[
    (
        About::Phone,
        &[
            " phone",
            " telephone",
            " tel ",
            " tel.",
            " tel:",
            " telef",
            " telèf",
            " téléphon",
            " fax",
            " mobile",
            " mobil ",
            " mobil:",
            " mobilnummer",
            " cell ",
            " cell:",
            " cellphone",
            " cellulare",
            " celular",
            " handy",
            " móvil",
            " movil",
            " telemóvel",
            " portable ",
            " whatsapp",
            " call ",
            " call:",
            " calling ",
            " called ",
            " ring ",
            " dial",
            " text me",
            " text her",
            " text him",
            " sms",
            " reach me",
            " reach us",
            " reach him",
            " reach her",
            " hotline",
            " voicemail",
            " rufnummer",
            " anrufen",
            " angerufen",
            " ruf ",
            " rufen ",
            " appelez",
            " appeler",
            " appelle",
            " numéro de tél",
            " llame",
            " llama",
            " llámame",
            " llamar",
            " chiama",
            " chiamare",
            " liga ",
            " ligue",
            " ligar",
            " hmu",
            " callback",
            " landline",
            " my number",
            " his number",
            " her number",
            " your number",
            " their number",
            " new number",
            " old number",
            " meine nummer",
            " mi número",
            " su número",
            " mon numéro",
            " son numéro",
            " mio numero",
            " meu número",
            " durchwahl",
            " festnetz",
            " signal:",
            " joindre",
            " erreichbar",
            " erreich",
        ],
    ),
    (
        About::Card,
        &[
            " card",
            " credit",
            " visa",
            " mastercard",
            " amex",
            " american express",
            " maestro",
            " debit",
            " karte",
            " kreditkart",
            " carte",
            " tarjeta",
            " carta",
            " cartão",
            " cartao",
            " cc ",
            " cc:",
            " ccnum",
            " pan ",
        ],
    ),
    (
        About::Security,
        &[
            " ssn",
            " social security",
            " soc sec",
            " social sec",
            " socialsecurity",
            " social:",
            " social ",
            " s.s.n",
            " ss#",
            " ss #",
            " ssa ",
        ],
    ),
    (
        About::Address,
        &[
            " ip ",
            " ip:",
            " ip=",
            " ips ",
            " ipv4",
            " ip-",
            " ip address",
            " host",
            " server",
            " ping ",
            " ssh ",
            " dns",
            " gateway",
            " subnet",
            " router",
            " traceroute",
            " curl ",
            " firewall",
            " vpn",
            " nslookup",
        ],
    ),
    (
        About::Birth,
        &[
            " born",
            " dob",
            " d.o.b",
            " birth",
            " bday",
            " birthday",
            " birthdate",
            " date of birth",
            " geboren",
            " geb.",
            " geburts",
            " né le",
            " née le",
            " naissance",
            " nacido",
            " nacida",
            " nacimiento",
            " nacimento",
            " nací",
            " nato il",
            " nata il",
            " nascita",
            " nascido",
            " nascida",
            " nascimento",
            " nasci ",
        ],
    ),
    (
        About::Licence,
        &[
            " driver's licen",
            " drivers licen",
            " driver licen",
            " driver’s licen",
            " driving licen",
            " dl#",
            " dl #",
            " dl no",
            " dl number",
            " dl:",
            " dln",
        ],
    ),
    (
        About::Zip,
        &[" zip", " postal code", " postcode", " plz", " code postal", " código postal", " cap ", " cep ", " zipcode"],
    ),
    (
        About::Other,
        &[
            " order",
            " invoice",
            " ticket",
            " tracking",
            " track ",
            " isbn",
            " issn",
            " version",
            " release",
            " section",
            " chapter",
            " clause",
            " paragraph",
            " part n",
            " part #",
            " part:",
            " serial",
            " sku",
            " model",
            " build",
            " firmware",
            " case ",
            " case#",
            " ref ",
            " ref.",
            " ref:",
            " reference",
            " id ",
            " id:",
            " id=",
            " page",
            " pages",
            " paper",
            " doi",
            " patent",
            " article",
            " item",
            " figure",
            " fig.",
            " table",
            " step",
            " rev.",
            " revision",
            " timestamp",
            " epoch",
            " bestell",
            " rechnung",
            " auftrag",
            " sendung",
            " artikel",
            " kapitel",
            " abschnitt",
            " commande",
            " facture",
            " référence",
            " colis",
            " pedido",
            " factura",
            " referencia",
            " sección",
            " ordine",
            " fattura",
            " spedizione",
            " fatura",
            " encomenda",
            " parcel",
            " package ",
            " shipment",
            " confirmation",
            " booking",
            " policy",
            " meter",
            " account",
            " acct",
            " konto",
            " compte",
            " cuenta",
            " conto",
            " conta ",
            " upc",
            " ean",
            " gtin",
            " lot ",
            " batch",
            " gps",
            " coordinates",
            " release:",
            " v ",
            " ver.",
            " upgrade",
            " patch",
            " kernel",
            " rfc",
            " §",
            " score",
            " customer number",
            " kundennummer",
            " seed",
            " hash",
            " checksum",
            " port ",
            " pid ",
            " commit",
        ],
    ),
];

/// What is said near scalars `start..end`.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Places of the last word of each kind before the number, by kind; nearer is greater.
    before: Vec<(About, usize)>,
    after: Vec<About>,
}

impl Around {
    /// Reads the words of the same line, and of the line before where the number begins its own.
    pub(super) fn new(text: &Text, start: usize, end: usize) -> Self {
        let from = start.saturating_sub(BEFORE);
        let before = padded(&text.lower(from, start));
        let line_end = text.run(end, AFTER, |scalar| scalar != '\n');
        let after = padded(&text.lower(end, line_end));
        Self { before: hits(&before), after: hits(&after).into_iter().map(|(about, _)| about).collect() }
    }

    /// Whether a word before the number says `about`.
    pub(super) fn leads(&self, about: About) -> bool {
        self.before.iter().any(|(said, _)| *said == about)
    }

    /// Whether a word before or after says it.
    pub(super) fn says(&self, about: About) -> bool {
        self.leads(about) || self.after.contains(&about)
    }

    /// Whether the last word before that says anything about the number says `about`, counting only it and `rivals`.
    pub(super) fn nearest(&self, about: About, rivals: &[About]) -> bool {
        let mut relevant = self.before.iter().filter(|(said, _)| *said == about || rivals.contains(said));
        relevant.by_ref().max_by_key(|(_, at)| *at).is_some_and(|(said, _)| *said == about)
    }
}

/// Punctuation between words becomes a blank, save what marks them (`:`, `.`, `#`, `=`, `'`), which keeps a blank after it.
fn padded(words: &str) -> String {
    let mut padded = String::with_capacity(words.len() + 8);
    padded.push(' ');
    for scalar in words.chars() {
        match scalar {
            '(' | ')' | ',' | ';' | '"' | '\n' | '\t' | '[' | ']' | '{' | '}' | '*' | '<' | '>' | '/' | '!' | '?'
            | '|' => padded.push(' '),
            '_' | '-' => padded.push_str(if scalar == '_' { " " } else { "-" }),
            _ => padded.push(scalar),
        }
    }
    padded.push(' ');
    padded
}

fn hits(words: &str) -> Vec<(About, usize)> {
    let Some((finder, kinds)) = finder() else { return Vec::new() };
    let found = finder.find_overlapping_iter(words);
    found.filter_map(|hit| Some((*kinds.get(hit.pattern().as_usize())?, hit.end()))).collect()
}

fn finder() -> Option<&'static (AhoCorasick, Vec<About>)> {
    static FINDER: OnceLock<Option<(AhoCorasick, Vec<About>)>> = OnceLock::new();
    let build = || {
        let words = WORDS.iter().flat_map(|(_, words)| words.iter());
        let kinds = WORDS.iter().flat_map(|(about, words)| words.iter().map(|_| *about)).collect();
        Some((AhoCorasickBuilder::new().build(words).ok()?, kinds))
    };
    FINDER.get_or_init(build).as_ref()
}
