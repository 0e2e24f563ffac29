//! How far a call's arguments are, told from their pieces without keeping them.

/// Follows a JSON object or list to its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arguments {
    /// Objects and lists that are open.
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The outermost has closed, or nothing more was said to come.
    complete: bool,
}

impl Arguments {
    /// Reads a piece.
    pub(super) fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                match byte {
                    _ if std::mem::take(&mut self.escaped) => {}
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    self.complete |= self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self) {
        self.complete = true;
    }

    /// Tells whether nothing more can come.
    pub(super) fn are_complete(&self) -> bool {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    #[test]
    fn they_end_where_their_value_does() {
        let cases = [
            ("", false),
            ("{", false),
            ("{}", true),
            (" {\"a\": \"}\"", false),
            ("{\"a\": \"}\\\"}\"}", true),
            ("{\"a\": [{}]", false),
            ("[{}]", true),
            ("}", false),
            ("null", false),
        ];
        for (text, expected) in cases {
            for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
                let mut arguments = Arguments::default();
                let (one, other) = text.split_at(cut);
                arguments.read(one);
                arguments.read(other);
                assert_eq!(arguments.are_complete(), expected, "{text} at {cut}");
            }
        }
    }
}
