//! Where words begin in a text, found for 64 bytes at a time.

use super::letters;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Calls `each` with every place at which a run of ASCII word characters begins.
pub(super) fn each_word(text: &str, mut each: impl FnMut(usize)) {
    each_start(
        text.as_bytes(),
        letters::is_ascii_word,
        |first, mut bits| {
            while bits != 0 {
                each(first + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        },
    );
}

/// Counts a text's runs of ASCII letters and digits.
pub(super) fn count_ascii_words(text: &str) -> usize {
    let mut count = 0;
    each_start(
        text.as_bytes(),
        letters::is_ascii_alphanumeric,
        |_, bits| {
            count += bits.count_ones() as usize;
        },
    );
    count
}

/// Calls `each` for every block with the block's place and a bit for each of its bytes at which a
/// run of bytes begins for which `is` holds.
fn each_start(bytes: &[u8], is: impl Fn(u8) -> bool, mut each: impl FnMut(usize, u64)) {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let mut before = 0;
    for (block, first) in blocks.iter().chain([&last]).zip((0..).step_by(BLOCK)) {
        let members = mask(block, &is);
        each(first, members & !(members << 1 | before));
        before = members >> (BLOCK - 1);
    }
}

/// Makes a bit for each byte of a block for which `is` holds; the first byte's is the lowest.
fn mask(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is(*byte));
    }
    let (words, _) = flags.as_chunks::<8>();
    words.iter().rev().fold(0, |mask, word| {
        // The product gathers the lowest bits of eight bytes in its highest byte.
        let gathered = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080);
        mask << 8 | gathered >> 56
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn starts_are_found_as_one_by_one(
            pieces in proptest::collection::vec("[a-zA-Z0-9_]{0,70}|[ .é\u{0}-]{0,3}", 0..12),
        ) {
            let text = pieces.concat();
            let expected = |is: fn(u8) -> bool| {
                let bytes = text.as_bytes();
                let begins = |at: &usize| {
                    is(bytes[*at]) && (*at == 0 || !is(bytes[*at - 1]))
                };
                (0..bytes.len()).filter(begins).collect::<Vec<_>>()
            };
            let mut starts = Vec::new();
            each_word(&text, |at| starts.push(at));
            prop_assert_eq!(starts, expected(letters::is_ascii_word));
            prop_assert_eq!(
                count_ascii_words(&text),
                expected(|byte| byte.is_ascii_alphanumeric()).len()
            );
        }
    }
}
