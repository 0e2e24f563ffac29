//! A text by its Unicode scalar values, as recognizers read it.

/// Scalars of a text. Its places are the offsets of entities.
pub(super) struct Text {
    scalars: Vec<char>,
    /// Reads so far, for the test that cost is linear.
    #[cfg(test)]
    pub(super) reads: std::cell::Cell<usize>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        Self {
            scalars: text.chars().collect(),
            #[cfg(test)]
            reads: std::cell::Cell::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.scalars.len()
    }

    /// The scalar at `at`.
    pub(super) fn get(&self, at: usize) -> Option<char> {
        #[cfg(test)]
        self.reads.set(self.reads.get() + 1);
        self.scalars.get(at).copied()
    }

    /// The scalar before `at`.
    pub(super) fn before(&self, at: usize) -> Option<char> {
        self.get(at.checked_sub(1)?)
    }

    /// Whether `at` begins a run of letters and digits.
    pub(super) fn begins_word(&self, at: usize) -> bool {
        !self.before(at).is_some_and(is_word)
    }

    /// Whether a run of letters and digits may end before `at`.
    pub(super) fn ends_word(&self, at: usize) -> bool {
        !self.get(at).is_some_and(is_word)
    }

    /// End of the scalars from `at` that satisfy `holds`, at most `bound` of them.
    pub(super) fn run(&self, at: usize, bound: usize, holds: impl Fn(char) -> bool) -> usize {
        let mut end = at;
        while end < at + bound && self.get(end).is_some_and(&holds) {
            end += 1;
        }
        end
    }

    /// Start of the scalars up to `end` that satisfy `holds`, at most `bound` of them.
    pub(super) fn run_back(&self, end: usize, bound: usize, holds: impl Fn(char) -> bool) -> usize {
        let mut start = end;
        while start + bound > end && self.before(start).is_some_and(&holds) {
            start -= 1;
        }
        start
    }

    /// Scalars `start..end` as a string.
    pub(super) fn slice(&self, start: usize, end: usize) -> String {
        (start..end).filter_map(|at| self.get(at)).collect()
    }

    /// The same in lower case.
    pub(super) fn lower(&self, start: usize, end: usize) -> String {
        self.slice(start, end).to_lowercase()
    }
}

/// Letters, digits and what joins them in identifiers.
pub(super) fn is_word(scalar: char) -> bool {
    scalar.is_alphanumeric() || scalar == '_'
}

/// Hyphens and dashes of all lengths.
pub(super) fn is_dash(scalar: char) -> bool {
    matches!(scalar, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Blanks within a line.
pub(super) fn is_blank(scalar: char) -> bool {
    matches!(scalar, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\t')
}
