//! Moves over JSON text, value by value, without building anything of it.
//!
//! A body is checked once, as a whole. The readers then descend into it level by level, and each
//! level is passed over without a second check. Most of a body is text between quotes, so both ways
//! take strings many bytes at a time. There is no recursion, and a deep body costs a bit a level.

use std::borrow::Cow;

use super::Malformed;
use super::escape::decoded;
use crate::deadline;

/// A place in JSON text. It is always at the begin of a character: it moves past ASCII bytes one
/// by one, and past others only as parts of whole strings.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the clock is looked at next.
    look: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            look: deadline::LOOK,
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips whitespace.
    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Walks an object that begins here. `value` moves over a member's value and returns its text.
    pub(super) fn members(
        &mut self,
        mut each: impl FnMut(Cow<'a, str>, &'a str),
        mut value: impl FnMut(&mut Self) -> Result<&'a str, Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'{')?;
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            each(decoded(key), value(self)?);
            self.space();
            match self.next()? {
                b',' => self.space(),
                b'}' => return Ok(()),
                _ => return Err(Malformed),
            }
            self.go_on()?;
        }
    }

    /// Walks an array that begins here, of text that is known to be valid.
    pub(super) fn elements(&mut self, mut each: impl FnMut(&'a str)) -> Result<(), Malformed> {
        self.expect(b'[')?;
        self.space();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self.known_value()?);
            self.space();
            match self.next()? {
                b',' => self.space(),
                b']' => return Ok(()),
                _ => return Err(Malformed),
            }
            self.go_on()?;
        }
    }

    /// Walks the strings and numbers of text that is known to be valid, and tells which are names
    /// of members.
    pub(super) fn words(&mut self, mut each: impl FnMut(&str, bool)) -> Result<(), Malformed> {
        while let Some(byte) = self.peek() {
            self.go_on()?;
            match byte {
                b'"' | b'-' | b'0'..=b'9' => {
                    let word = self.known_value()?;
                    self.space();
                    let is_name = self.peek() == Some(b':');
                    match word
                        .strip_prefix('"')
                        .and_then(|word| word.strip_suffix('"'))
                    {
                        Some(inner) => each(&decoded(inner), is_name),
                        None => each(word, is_name),
                    }
                }
                byte if byte.is_ascii() => self.at += 1,
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }

    /// Moves over a value of text that is known to be valid.
    pub(super) fn known_value(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        match self.peek().ok_or(Malformed)? {
            b'"' => self.known_string()?,
            b'{' | b'[' => self.known_container()?,
            _ => {
                let rest = self.rest().as_bytes();
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t'..=b'\r');
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        Ok(self.since(start))
    }

    /// Moves over a string. A quote ends it unless an odd number of backslashes stands before it,
    /// so escapes need no look.
    fn known_string(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        loop {
            let rest = self.rest().as_bytes();
            let quote = memchr::memchr(b'"', rest).ok_or(Malformed)?;
            self.at += quote + 1;
            let before = rest.get(..quote).unwrap_or_default();
            let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
            if backslashes.count().is_multiple_of(2) {
                return Ok(());
            }
        }
    }

    fn known_container(&mut self) -> Result<(), Malformed> {
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => {
                    self.known_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                byte => {
                    // No character but those of ASCII stands outside a string of valid JSON.
                    if !byte.is_ascii() {
                        return Err(Malformed);
                    }
                }
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
            self.go_on()?;
        }
    }

    /// Moves over a value and checks it. Returns its text, and how deep it nests.
    pub(super) fn checked_value(&mut self) -> Result<(&'a str, usize), Malformed> {
        let start = self.at;
        let mut open = Open::default();
        loop {
            self.go_on()?;
            self.checked_begin(&mut open)?;
            loop {
                let Some(container) = open.innermost() else {
                    return Ok((self.since(start), open.deepest));
                };
                self.space();
                match (self.next()?, container) {
                    (b',', Container::Array) => self.space(),
                    (b',', Container::Object) => {
                        self.space();
                        self.key().map(drop)?;
                    }
                    (b']', Container::Array) | (b'}', Container::Object) => {
                        open.pop();
                        continue;
                    }
                    _ => return Err(Malformed),
                }
                break;
            }
        }
    }

    /// Moves over the begin of a value, up to the end of the first value in it that is no container
    /// or an empty one.
    fn checked_begin(&mut self, open: &mut Open) -> Result<(), Malformed> {
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => return self.string().map(drop),
                b'{' => {
                    self.at += 1;
                    open.push(Container::Object);
                    self.space();
                    if self.take(b'}') {
                        open.pop();
                        return Ok(());
                    }
                    self.key().map(drop)?;
                }
                b'[' => {
                    self.at += 1;
                    open.push(Container::Array);
                    self.space();
                    if self.take(b']') {
                        open.pop();
                        return Ok(());
                    }
                }
                b't' => return self.word("true"),
                b'f' => return self.word("false"),
                b'n' => return self.word("null"),
                _ => return self.number(),
            }
        }
    }

    /// Moves over a key, its colon and the space around that, and returns what stands between the
    /// key's quotes.
    fn key(&mut self) -> Result<&'a str, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let key = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(key)
    }

    /// Moves over a string whose opening quote is here, and returns what stands between its quotes.
    fn string(&mut self) -> Result<&'a str, Malformed> {
        self.at += 1;
        let start = self.at;
        loop {
            // A look at the clock may come within a character.
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let near = rest.get(..deadline::LOOK).unwrap_or(rest);
            let count = plain(near);
            self.at += count;
            if count == deadline::LOOK {
                self.go_on()?;
                continue;
            }
            match self.next()? {
                b'"' => {
                    #[cfg(test)]
                    work::passed(self.at - start);
                    return self.text.get(start..self.at - 1).ok_or(Malformed);
                }
                b'\\' => self.escape()?,
                // A control character.
                _ => return Err(Malformed),
            }
        }
    }

    /// Moves over what follows a backslash.
    fn escape(&mut self) -> Result<(), Malformed> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.rest().as_bytes().first_chunk::<4>().ok_or(Malformed)?;
                self.at += digits.len();
                let are_digits = digits.iter().all(u8::is_ascii_hexdigit);
                are_digits.then_some(()).ok_or(Malformed)
            }
            _ => Err(Malformed),
        }
    }

    /// Looks at the clock now and then. Text that nobody waits for any more ends here.
    fn go_on(&mut self) -> Result<(), Malformed> {
        if self.at < self.look {
            return Ok(());
        }
        self.look = self.at + deadline::LOOK;
        if deadline::is_over() {
            return Err(Malformed);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    /// Moves over one digit or more.
    fn digits(&mut self) -> Result<(), Malformed> {
        let rest = self.rest().as_bytes();
        let other = |byte: &u8| !byte.is_ascii_digit();
        let count = rest.iter().position(other).unwrap_or(rest.len());
        self.at += count;
        (count > 0).then_some(()).ok_or(Malformed)
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.rest().starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn next(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek().ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    /// Moves over the byte if it is here.
    fn take(&mut self, byte: u8) -> bool {
        let is_here = self.peek() == Some(byte);
        self.at += usize::from(is_here);
        is_here
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        self.take(byte).then_some(()).ok_or(Malformed)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &'a str {
        #[cfg(test)]
        work::passed(self.at - start);
        self.text.get(start..self.at).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// The containers around a place, one bit each.
#[derive(Debug, Default)]
struct Open {
    /// Set for an object. The innermost is the lowest bit.
    innermost: u64,
    /// The others, in words of 64.
    outer: Vec<u64>,
    depth: usize,
    deepest: usize,
}

impl Open {
    fn innermost(&self) -> Option<Container> {
        match (self.depth, self.innermost & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }

    fn push(&mut self, container: Container) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u64::from(container == Container::Object);
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }

    fn pop(&mut self) {
        self.innermost >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.innermost = self.outer.pop().unwrap_or_default();
        }
    }
}

/// Bytes of a string that are looked at word by word before larger blocks pay.
const NEAR: usize = 32;
const BLOCK: usize = 64;

/// Counts the bytes before the first quote, backslash or control character.
fn plain(bytes: &[u8]) -> usize {
    let (near, far) = bytes.split_at_checked(NEAR).unwrap_or((bytes, &[]));
    let found = plain_words(near);
    if found < NEAR {
        return found;
    }
    let blocks = far.chunks_exact(BLOCK);
    let clean = BLOCK * blocks.take_while(|block| is_plain(block)).count();
    NEAR + clean + plain_words(far.get(clean..).unwrap_or_default())
}

/// Tells whether a block has no such byte. It has no branch for each byte, so compilers make vector
/// code of it.
fn is_plain(block: &[u8]) -> bool {
    let special = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'"' || *byte == b'\\');
    block.iter().map(special).fold(0, |any, one| any | one) == 0
}

/// Does the same as [`plain`], eight bytes at a time.
fn plain_words(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut before = 0;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // The lowest byte whose high bit is set is exact: borrows only spread upwards.
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let found = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        let found = found & (ONES << 7);
        if found != 0 {
            return before + found.trailing_zeros() as usize / 8;
        }
        before += size_of::<u64>();
        rest = after;
    }
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    before + rest.iter().position(special).unwrap_or(rest.len())
}

/// Counts the bytes that were passed over, so that tests can tell linear work from more.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local! {
        static PASSED: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn passed(bytes: usize) {
        PASSED.set(PASSED.get() + bytes);
    }

    /// Returns the bytes passed over by this thread so far.
    pub(crate) fn done() -> usize {
        PASSED.get()
    }

    /// Returns the bytes passed over by this thread since the last call.
    pub(crate) fn take() -> usize {
        PASSED.take()
    }
}
