//! A verdict that was given earlier in the life of a request, carried in a header of ours.
//!
//! The gateway's second attempt is a stream of its own: the body names the first model by then, and
//! who asked may no longer be known, so the signals cannot be read again. The names of the
//! boundaries that held travel with the request instead. What they allow is looked up when the
//! attempt is made; without the header all boundaries hold, as for anything that is not known.

use super::{Boundaries, Verdict};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use std::sync::Arc;

/// The value where no boundary holds: the gateway drops headers that are empty.
const FREE: &str = "-";
/// Between names.
const SEPARATOR: char = '.';

impl Verdict {
    /// Returns the names of the boundaries that hold as a header value.
    #[must_use]
    pub fn to_header(&self) -> String {
        if self.is_free() {
            return FREE.to_owned();
        }
        let names: Vec<String> = self.names().map(|name| BASE64.encode(&**name)).collect();
        names.join(&SEPARATOR.to_string())
    }

    /// Reads the header. The names may be those of any of `boundaries`.
    ///
    /// Returns `None` if it names a boundary that the policy does not have (any more): what it
    /// allowed is not known, so nothing is allowed.
    #[must_use]
    pub fn from_header(header: Option<&str>, boundaries: &[&Boundaries]) -> Option<Self> {
        let bounds = || boundaries.iter().flat_map(|own| &own.bounds);
        let Some(header) = header else {
            return Some(Self {
                holding: bounds().cloned().collect(),
                unread: Vec::new(),
            });
        };
        let mut verdict = Self::default();
        if header == FREE {
            return Some(verdict);
        }
        for encoded in header.split(SEPARATOR) {
            let name = BASE64.decode(encoded).ok()?;
            let before = verdict.holding.len();
            // Two boundaries may share a name: both hold then.
            verdict.holding.extend(
                bounds()
                    .filter(|bound| bound.name.as_bytes() == name)
                    .map(Arc::clone),
            );
            if verdict.holding.len() == before {
                return None;
            }
        }
        Some(verdict)
    }
}
