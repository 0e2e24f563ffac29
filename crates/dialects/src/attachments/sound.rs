//! The length of a sound: by its header where that says how many bytes a second has, else as if it
//! were compressed as far as speech usually is.

use super::{Size, base64};

/// Bytes a second of sounds whose header is not read: speech at 16 kbit/s, so that the length is
/// rather too long.
const SPEECH: u64 = 2_000;

/// Whether the bytes begin a sound of a known format.
pub(super) fn is_sound(bytes: &[u8]) -> bool {
    (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE"))
        || bytes.starts_with(b"ID3")
        || bytes.starts_with(b"OggS")
        || bytes.starts_with(b"fLaC")
}

/// Returns the length of a sound in base64.
pub(super) fn size(data: &str) -> Size {
    let bytes = (data.len() / 4 * 3) as u64;
    let head = base64::decode(data, 64);
    let rate = match head.get(28..32) {
        Some(rate) if head.starts_with(b"RIFF") => {
            let rate = rate.iter().rev();
            rate.fold(0, |number, byte| number << 8 | u64::from(*byte))
        }
        _ => 0,
    };
    Size::Seconds(bytes.div_ceil(rate.max(SPEECH)))
}
