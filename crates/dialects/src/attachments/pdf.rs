//! The pages of a PDF: its page objects, or the count that its page tree states where the objects
//! are compressed.

use memchr::memmem;

use super::Size;

/// Returns how many pages a PDF has.
pub(super) fn size(bytes: &[u8]) -> Size {
    let pages = memmem::find_iter(bytes, b"/Type").filter(|at| is_page(bytes, *at));
    let pages = pages.count() as u64;
    let stated = memmem::find_iter(bytes, b"/Count").filter_map(|at| count(bytes, at));
    match pages.max(stated.max().unwrap_or(0)) {
        0 => Size::Unknown,
        pages => Size::Pages(pages.min(bytes.len() as u64 / SMALLEST)),
    }
}

/// Bytes of the smallest page, so that a stated count is no more than there is room for.
const SMALLEST: u64 = 32;

fn is_page(bytes: &[u8], at: usize) -> bool {
    let rest = bytes.get(at + b"/Type".len()..).unwrap_or_default();
    let name = rest.trim_ascii_start().strip_prefix(b"/Page");
    name.is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
}

fn count(bytes: &[u8], at: usize) -> Option<u64> {
    let rest = bytes.get(at + b"/Count".len()..)?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}
