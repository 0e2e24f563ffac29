//! Internet addresses of both versions.

use super::Found;
use super::around::{About, Around};
use super::number::{Groups, Spacing, starts, value};
use super::text::{Text, is_word};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The dotted address that begins at `at`. Four small numbers are rather a version or a section
/// unless an address is spoken of.
pub(super) fn v4_at(text: &Text, at: usize) -> Option<Found> {
    let groups = Groups::read_wide(text, at, 4);
    if groups.spans.len() != 4
        || groups.spacing == Spacing::Wide
        || groups.uniform(4) != Some('.')
        || !starts(text, at, |scalar| matches!(scalar, '.' | '-'))
    {
        return None;
    }
    let mut octets = [0_u8; 4];
    for (octet, &(start, end)) in octets.iter_mut().zip(&groups.spans) {
        *octet = u8::try_from(value(&super::number::digits(text, start, end)))
            .ok()
            .filter(|_| end - start <= 3)?;
    }
    let end = groups.end(3)?;
    let goes_on = text.get(end).is_some_and(is_word)
        || (text.get(end) == Some('.')
            && text
                .get(end + 1)
                .is_some_and(|next| next.is_ascii_alphanumeric()));
    (!goes_on)
        .then(|| confidence(text, at, end, Ipv4Addr::from(octets)))?
        .map(|sure| Found::new("IP_ADDRESS", at, end, sure))
}

fn confidence(text: &Text, start: usize, end: usize, address: Ipv4Addr) -> Option<f32> {
    let around = Around::new(text, start, end);
    let spoken = around.nearest(About::Address, &[About::Other]);
    if around.leads(About::Other) && !spoken {
        return None;
    }
    let octets = address.octets();
    let suffix = matches!(text.get(end), Some(':' | '/'))
        && text.get(end + 1).is_some_and(|next| next.is_ascii_digit());
    let resolver = matches!(
        octets,
        [8, 8, 8, 8] | [8, 8, 4, 4] | [1, 1, 1, 1] | [1, 0, 0, 1] | [9, 9, 9, 9]
    );
    let small = octets.iter().all(|octet| *octet < 20) && octets.first() != Some(&10);
    let nobody = address.is_loopback()
        || address.is_unspecified()
        || address.is_broadcast()
        || octets.starts_with(&[255, 255]);
    match () {
        () if nobody => Some(0.5),
        () if spoken || suffix => Some(0.99),
        () if small && !resolver => None,
        () => Some(0.95),
    }
}

/// Length of the longest written address.
const LONGEST: usize = 45;

/// The address with colons that begins at `at`.
pub(super) fn v6_from(text: &Text, at: usize) -> Option<Found> {
    if text
        .before(at)
        .is_some_and(|before| is_word(before) || matches!(before, ':' | '.'))
    {
        return None;
    }
    let first = text.run(at, 5, |scalar| scalar.is_ascii_hexdigit());
    if text.get(first) != Some(':') || first - at > 4 {
        return None;
    }
    let run = text.run(at, LONGEST + 1, |scalar| {
        scalar.is_ascii_hexdigit() || matches!(scalar, ':' | '.')
    });
    let trailing = |scalar: char| scalar == '.' || scalar == ':';
    let end = if text.before(run).is_some_and(trailing) && !text.slice(at, run).ends_with("::") {
        run - 1
    } else {
        run
    };
    let written = text.slice(at, end);
    let address: Ipv6Addr = written.parse().ok()?;
    let groups = written.split(':').filter(|group| !group.is_empty()).count();
    let digits = written.chars().any(|scalar| scalar.is_ascii_digit());
    let told = digits && (groups >= 3 || first - at >= 3 || written.contains('.'));
    (told && text.ends_word(end) && !address.is_loopback() && !address.is_unspecified())
        .then(|| Found::new("IP_ADDRESS", at, end, 0.97))
}
