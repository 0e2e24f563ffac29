//! What a short text is made of: a few words, a line of code, or more than that.
//!
//! A line of code has no language, although it has words: `def f(x): return x` is not Spanish. It
//! is known by its signs, as far as they outweigh its plain words: a question about code has more
//! words than signs. Addresses, numbers and names with digits count for neither.

/// Words of a text that is judged by its letters; more are a text.
const FEW: usize = 3;
/// Bytes of a line that may be code.
const LINE: usize = 300;

/// Words of programming languages. They count beside signs only, as most of them are words of
/// people's languages too.
const KEYWORDS: &[&str] = &[
    "and", "args", "as", "async", "await", "bool", "by", "case", "catch", "char", "class", "const",
    "count", "default", "delete", "do", "double", "else", "end", "enum", "err", "export", "false",
    "final", "float", "for", "from", "function", "group", "if", "impl", "import", "in", "insert",
    "int", "into", "is", "let", "main", "mod", "mut", "new", "nil", "none", "not", "null", "or",
    "order", "print", "private", "public", "return", "select", "self", "set", "static", "string",
    "struct", "switch", "then", "this", "throw", "true", "try", "type", "update", "use", "val",
    "values", "var", "void", "where", "while",
];
/// Programs that are called by their name and a verb.
const PROGRAMS: &[&str] = &[
    "apt",
    "apt-get",
    "awk",
    "bash",
    "brew",
    "cargo",
    "cd",
    "chmod",
    "chown",
    "conda",
    "curl",
    "docker",
    "echo",
    "git",
    "grep",
    "helm",
    "kubectl",
    "ls",
    "mkdir",
    "npm",
    "npx",
    "pip",
    "pip3",
    "pnpm",
    "scp",
    "sed",
    "ssh",
    "sudo",
    "systemctl",
    "terraform",
    "wget",
    "yarn",
];
/// The verbs of such programs.
const VERBS: &[&str] = &[
    "add",
    "apply",
    "apt",
    "apt-get",
    "build",
    "checkout",
    "clone",
    "commit",
    "describe",
    "diff",
    "exec",
    "get",
    "images",
    "init",
    "install",
    "list",
    "log",
    "login",
    "logs",
    "merge",
    "plan",
    "ps",
    "publish",
    "pull",
    "push",
    "rebase",
    "restart",
    "run",
    "start",
    "stash",
    "status",
    "stop",
    "test",
    "uninstall",
    "update",
    "upgrade",
    "version",
];
/// Beginnings of lines that are code, however they go on.
const STATEMENTS: &[&str] = &[
    "#!/", "#include", "$ ", "<?", "def ", "elif ", "fn ", "func ",
];
/// Faces made of signs.
const FACES: &[&str] = &[
    "<3", "</3", "=)", "=(", "=D", ">_<", "T_T", "^_^", "[:", ":]",
];

/// What a text is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// Code, or nothing but addresses and names with digits.
    Code,
    /// One to three words, in lower case.
    FewWords(String),
    /// More than that.
    Text,
}

/// Reads what a text is made of.
pub(super) fn read(text: &str) -> Made {
    let text = text.trim();
    if text.len() > LINE {
        return Made::Text;
    }
    let mut census = Census::default();
    for piece in text.split_whitespace() {
        census.count(piece);
    }

    let is_line = !text.contains('\n') && text.chars().all(|c| c.is_ascii() || !c.is_alphabetic());
    if is_line && (is_statement(text) || census.is_code(text)) {
        return Made::Code;
    }
    match census.words.len() {
        1..=FEW => Made::FewWords(census.words.join(" ").to_lowercase()),
        0 if is_line => Made::Code,
        _ => Made::Text,
    }
}

/// Returns whether a line begins as no sentence does.
fn is_statement(line: &str) -> bool {
    let pieces: Vec<&str> = line.split_whitespace().take(4).collect();
    let is_import = matches!(
        pieces.as_slice(),
        ["import", _] | ["import", _, "as", _] | ["from", _, "import", _]
    );
    is_import || STATEMENTS.iter().any(|start| line.starts_with(start))
}

/// The pieces of a text between its spaces.
#[derive(Debug, Default)]
struct Census<'a> {
    words: Vec<&'a str>,
    /// Words that may stand in code.
    coded: usize,
    signs: usize,
}

impl<'a> Census<'a> {
    fn count(&mut self, piece: &'a str) {
        if is_sign(piece) {
            self.signs += 1;
            return;
        }
        let word = piece.trim_matches(is_punctuation);
        let is_word = word
            .chars()
            .all(|c| is_letter(c) || matches!(c, '\'' | '’' | '-'));
        if word.is_empty() || !is_word {
            return;
        }
        self.words.push(word);
        let lower = word.to_ascii_lowercase();
        let may_be_code = [KEYWORDS, PROGRAMS, VERBS]
            .iter()
            .any(|list| list.contains(&lower.as_str()));
        if may_be_code || word.len() == 1 {
            self.coded += 1;
        }
    }

    fn is_code(&self, line: &str) -> bool {
        if self.signs == 0 {
            let is_called = |name: &&str| PROGRAMS.contains(name);
            let has_verb = self.words.get(1).is_none_or(|verb| VERBS.contains(verb));
            return self.words.first().is_some_and(is_called) && has_verb;
        }
        let plain = self.words.len() - self.coded;
        let signs = self.signs + self.coded;
        let is_block = line.ends_with([';', '{']) || line.contains('{') && line.contains('}');
        plain <= signs || is_block && plain <= 2 * signs
    }
}

/// Returns whether a piece is written as in code.
fn is_sign(piece: &str) -> bool {
    if piece.contains("://") || FACES.contains(&piece) {
        return false;
    }
    let bare = piece.trim_matches(is_punctuation);
    let is_flag = piece
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic()));
    let is_path = ["/", "./", "../", "~/"]
        .iter()
        .any(|start| bare.len() > start.len() && bare.starts_with(start));
    let is_variable = bare
        .strip_prefix(['$', '&', '+'])
        .is_some_and(|rest| rest.starts_with(|c: char| c == '&' || c.is_ascii_alphabetic()));
    let is_call = is_call(piece) || bare.contains("::") || piece.contains("\":");
    let is_name = bare.contains('_') || bare.contains("!=");
    let is_operator = bare.contains(['{', '}', '[', ']', '<', '>', '=', '|', '\\', '`'])
        || bare.ends_with('+') && !bare.starts_with(is_letter);
    is_flag || is_path || is_variable || is_call || is_name || is_operator
}

/// Returns whether a name is followed by a bracket; the plural of "word(s)" is no call.
fn is_call(piece: &str) -> bool {
    piece.split_once('(').is_some_and(|(name, rest)| {
        let is_ending = rest.split_once(')').is_some_and(|(ending, _)| {
            let is_short = matches!(ending.len(), 1 | 2) && name.len() > 2;
            is_short && ending.bytes().all(|byte| byte.is_ascii_lowercase())
        });
        name.ends_with(|c: char| c.is_ascii_alphanumeric()) && !is_ending
    })
}

fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        '¿' | '¡'
            | '"'
            | '\''
            | '«'
            | '»'
            | '“'
            | '”'
            | '„'
            | '‘'
            | '’'
            | '.'
            | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '…'
            | '*'
            | '_'
            | '-'
            | '–'
            | '—'
            | '('
            | ')'
    )
}

/// Returns whether a character is a letter, or a mark that stands on one.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() || ('\u{300}'..='\u{36F}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few(words: &str) -> Made {
        Made::FewWords(words.into())
    }

    #[test]
    fn lines_of_code() {
        for line in [
            "def f(x): return x",
            "for i in range(10):",
            "const total = items.reduce((a, b) => a + b, 0);",
            "SELECT name FROM users WHERE id = 4",
            "SELECT COUNT(*) FROM orders GROUP BY status;",
            "git commit -m \"fix\"",
            "git status",
            "npm install --save-dev eslint",
            "ls",
            "$ ls -la /usr/local/bin",
            "chmod +x build.sh",
            "sudo apt-get update && sudo apt-get upgrade",
            "#include <stdio.h>",
            "import numpy as np",
            "from os import path",
            "elif value is None:",
            "let mut v = Vec::new();",
            "if err != nil { return err }",
            "public static void main(String[] args)",
            "print(\"hola amigo\")",
            "std::cout << value << std::endl;",
            "{\"id\": 7, \"type\": \"node\", \"ok\": true}",
            "<div class=\"row\"></div>",
            "body { margin: 0 auto; color: #fff; }",
            "export default function App() {",
            "https://example.com/es/articulos",
        ] {
            assert_eq!(read(line), Made::Code, "{line}");
        }
    }

    #[test]
    fn words_are_no_code() {
        for (text, made) in [
            ("Hola!", few("hola")),
            ("¿Qué hora es?", few("qué hora es")),
            ("hola <3", few("hola")),
            ("danke :)", few("danke")),
            ("C'est quoi ça ?", few("c'est quoi ça")),
            ("do widzenia", few("do widzenia")),
            ("docker es bueno", few("docker es bueno")),
            ("wat is in", few("wat is in")),
            ("merci https://example.com/a", few("merci")),
            ("gracias (amigo)\n", few("gracias amigo")),
            ("hola amigo(s)", few("hola")),
            ("tack\nså mycket", few("tack så mycket")),
            ("C++ y node.js", few("y")),
            ("año = 3", few("año")),
            ("Wie nutze ich foo() in Python?", Made::Text),
            ("¿Qué hace la función map(x) aquí?", Made::Text),
            ("Where is the library of this town?", Made::Text),
            ("Please explain `git rebase` to me", Made::Text),
            ("Server started on port 8080", Made::Text),
        ] {
            assert_eq!(read(text), made, "{text}");
        }
        assert_eq!(read(&"x = 1; ".repeat(60)), Made::Text);
    }
}
