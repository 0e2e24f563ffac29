//! Measures a request for the token estimate: decoded text, JSON, attachments, framing, output
//! reserve. What is said in another spelling measures alike.

use crate::attachments::{Attachment, Media, Size};
use crate::gather::Gathered;
use crate::json::{self, Kind};
use crate::prompt::{Attached, TokenFacts};

/// Framing tokens of one message.
pub(crate) const MESSAGE: u64 = 4;
/// Framing tokens of one tool definition, call or result.
pub(crate) const TOOL: u64 = 8;

/// Whose rule says what a picture costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pricing {
    /// OpenAI's: 85 tokens, and 170 for each tile of 512 pixels once the picture fits into 2,048 by
    /// 2,048 and its shorter side into 768; 85 in low detail.
    Tiles,
    /// Anthropic's: a token for 750 pixels, 1,600 at most.
    Area,
}

/// Tokens of a page: its text, and the page as a picture.
const PAGE: u64 = 3_000;

/// Tokens of a second of sound.
const SECOND: u64 = 10;

/// Adds up [`TokenFacts`]. All sums saturate.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) facts: TokenFacts,
    pub(crate) attached: Attached,
    pricing: Pricing,
}

impl Meter {
    pub(crate) fn new(pricing: Pricing) -> Self {
        Self {
            facts: TokenFacts::default(),
            attached: Attached::default(),
            pricing,
        }
    }

    /// A value that should be text: decoded length of a string, JSON length of anything else, nothing
    /// for `null`.
    pub(crate) fn text(&mut self, raw: Option<&str>) {
        let Some(raw) = json::present(raw) else {
            return;
        };
        match json::string(raw) {
            Some(text) => self.text_bytes(text.len()),
            None => self.structured(Some(raw)),
        }
    }

    /// Text that is decoded already.
    pub(crate) fn text_bytes(&mut self, bytes: usize) {
        add(&mut self.facts.text_bytes, bytes as u64);
    }

    /// A value that counts by its JSON text.
    pub(crate) fn structured(&mut self, raw: Option<&str>) {
        let Some(raw) = json::present(raw) else {
            return;
        };
        add(&mut self.facts.structured_bytes, json::length(raw) as u64);
    }

    /// A value that counts by its JSON text, but for the attachments that were found in it.
    pub(crate) fn gathered(&mut self, raw: Option<&str>, found: &Gathered) {
        let Some(raw) = json::present(raw) else {
            return;
        };
        let bytes = json::length(raw).saturating_sub(found.opaque);
        add(&mut self.facts.structured_bytes, bytes as u64);
        self.attachments(found);
    }

    /// What was found in a value besides text.
    pub(crate) fn attachments(&mut self, found: &Gathered) {
        add(&mut self.facts.attached, found.opaque_tokens);
        for attachment in &found.attachments {
            self.attachment(attachment);
        }
    }

    fn attachment(&mut self, attachment: &Attachment) {
        let count = match attachment.media {
            Media::Image => &mut self.attached.images,
            Media::Audio => &mut self.attached.audio,
            Media::Video => &mut self.attached.video,
            Media::Document => &mut self.attached.documents,
        };
        add(count, 1);
        let tokens = match attachment.size {
            Size::Unknown => return add(&mut self.facts.images, 1),
            Size::Pixels(width, height) => self.pricing.picture(width.into(), height.into()),
            Size::LowDetail => self.pricing.picture(512, 512).min(85),
            Size::Seconds(seconds) => seconds.saturating_mul(SECOND),
            Size::Pages(pages) => pages.saturating_mul(PAGE),
        };
        add(&mut self.facts.attached, tokens);
    }

    pub(crate) fn framing(&mut self, tokens: u64) {
        add(&mut self.facts.framing, tokens);
    }

    /// `tools` or `functions`: measures each definition and returns how many there are.
    pub(crate) fn definitions(&mut self, raw: Option<&str>) -> u64 {
        let Some(raw) = json::present(raw) else {
            return 0;
        };
        if Kind::of(raw) != Kind::Array {
            self.structured(Some(raw));
            return 0;
        }
        let mut count = 0;
        json::elements(raw, |definition| {
            count += 1;
            self.structured(Some(definition));
            self.framing(TOOL);
        });
        count
    }

    /// The output limit: the first of the candidates that is neither absent nor `null`.
    pub(crate) fn reserve(&mut self, candidates: &[Option<&str>]) {
        let Some(raw) = candidates.iter().find_map(|raw| json::present(*raw)) else {
            return;
        };
        if raw.bytes().all(|byte| byte.is_ascii_digit()) {
            self.facts.output_reserve = raw.parse().unwrap_or(u64::MAX).min(i64::MAX as u64);
        } else {
            self.structured(Some(raw));
        }
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more).min(i64::MAX as u64);
}

impl Pricing {
    fn picture(self, width: u64, height: u64) -> u64 {
        match self {
            Self::Area => (width * height).div_ceil(750).clamp(1, 1_600),
            Self::Tiles => {
                let (long, short) = (width.max(height), width.min(height));
                let (long, short) = fit(long, short, long, 2_048);
                let (long, short) = fit(long, short, short, 768);
                85 + 170 * long.div_ceil(512) * short.div_ceil(512)
            }
        }
    }
}

/// Scales both sides so that `side`, one of them, is `most` long if it was longer.
fn fit(long: u64, short: u64, side: u64, most: u64) -> (u64, u64) {
    if side <= most {
        return (long, short);
    }
    let scaled = |length: u64| (length * most).div_ceil(side).max(1);
    (scaled(long), scaled(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_cost_what_providers_count() {
        let image = |width, height| (Media::Image, Size::Pixels(width, height));
        let cases = [
            (Pricing::Tiles, image(512, 512), 255),
            (Pricing::Tiles, image(1024, 1024), 765),
            (Pricing::Tiles, image(4096, 8192), 1_105),
            (Pricing::Tiles, (Media::Image, Size::LowDetail), 85),
            (Pricing::Area, image(200, 200), 54),
            (Pricing::Area, image(8000, 8000), 1_600),
            (Pricing::Tiles, (Media::Audio, Size::Seconds(60)), 600),
            (Pricing::Area, (Media::Document, Size::Pages(3)), 9_000),
            (Pricing::Area, (Media::Video, Size::Unknown), 8_192),
        ];
        for (pricing, (media, size), tokens) in cases {
            let mut meter = Meter::new(pricing);
            meter.attachment(&Attachment { media, size });
            assert_eq!(meter.facts.prompt(), tokens, "{pricing:?} {size:?}");
        }
    }

    #[test]
    fn only_a_plain_non_negative_integer_is_a_reserve() {
        let cases = [
            ([Some("100"), Some("10")], (100, 0)),
            ([Some("null"), Some("10")], (10, 0)),
            ([None, Some("-1")], (0, 2)),
            ([Some("1.5"), Some("10")], (0, 3)),
            ([Some("\"7\""), None], (0, 3)),
            ([Some("99999999999999999999"), None], (i64::MAX as u64, 0)),
        ];
        for (candidates, (reserve, structured)) in cases {
            let mut meter = Meter::new(Pricing::Tiles);
            meter.reserve(&candidates);
            assert_eq!(
                (meter.facts.output_reserve, meter.facts.structured_bytes),
                (reserve, structured),
                "{candidates:?}"
            );
        }
    }
}
