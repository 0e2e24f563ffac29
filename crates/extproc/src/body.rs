//! Collecting a request body within two limits: its own, and one for all bodies together. A body
//! with content codings is held twice, as it came and decoded, and both count.

use crate::exchange::Fault;
use bytes::Bytes;
use compression::{Coding, DecodeError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of request bodies held now, by all streams of a service.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

/// A share of the [`Budget`], given back on drop.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Lease {
    pub(crate) fn empty(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    fn grow(&mut self, bytes: usize, total: usize) -> Result<(), Fault> {
        let before = self.budget.used.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
        // Grown first, so that the drop after a refusal gives back exactly what was taken.
        if before.saturating_add(bytes) > total {
            Err(Fault::Overloaded)
        } else {
            Ok(())
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// The limits of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of this body.
    pub(crate) own: usize,
    /// Of all bodies together.
    pub(crate) total: usize,
}

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct Collector {
    bytes: Vec<u8>,
    lease: Lease,
    limits: Limits,
    announced: Option<usize>,
}

impl Collector {
    /// Begins a body whose `content-length` is `announced`; too long a one is refused at once.
    pub(crate) fn begin(
        lease: Lease,
        limits: Limits,
        announced: Option<usize>,
    ) -> Result<Self, Fault> {
        match announced {
            Some(length) if length > limits.own => Err(Fault::BodyTooLarge { limit: limits.own }),
            _ => Ok(Self {
                bytes: Vec::new(),
                lease,
                limits,
                announced,
            }),
        }
    }

    pub(crate) fn push(&mut self, piece: Vec<u8>) -> Result<(), Fault> {
        if self.bytes.len().saturating_add(piece.len()) > self.limits.own {
            return Err(Fault::BodyTooLarge {
                limit: self.limits.own,
            });
        }
        self.lease.grow(piece.len(), self.limits.total)?;
        if self.bytes.is_empty() {
            self.bytes = piece;
            return Ok(());
        }
        let rest = self.announced.unwrap_or(0).saturating_sub(self.bytes.len());
        self.bytes
            .reserve_exact(if rest >= piece.len() { rest } else { 0 });
        self.bytes.extend_from_slice(&piece);
        Ok(())
    }

    /// Whether what came is only a first part: shorter than announced, or, where nothing was
    /// announced, not marked as the end. (A buffered body before HTTP/2 trailers is not marked
    /// either, and cannot be told from a cut one without a `content-length`; a clear refusal beats
    /// routing on half a document.)
    pub(crate) fn is_cut(&self, end: bool) -> bool {
        self.announced
            .map_or(!end, |length| self.bytes.len() < length)
    }

    /// The whole body, and the lease to hold as long as it is kept.
    pub(crate) fn finish(self) -> (Bytes, Lease) {
        (Bytes::from(self.bytes), self.lease)
    }
}

/// Decodes a body within the limits; the lease grows with the result.
pub(crate) fn decode(
    codings: &[Coding],
    body: &[u8],
    lease: &mut Lease,
    limits: Limits,
) -> Result<Bytes, Fault> {
    let mut room = limits.own;
    let mut refused = None;
    let admit = |bytes: usize| {
        let admitted = match room.checked_sub(bytes) {
            Some(rest) => {
                room = rest;
                lease.grow(bytes, limits.total)
            }
            None => Err(Fault::BodyTooLarge { limit: limits.own }),
        };
        refused = admitted.err();
        refused.is_none()
    };
    match compression::decode(codings, body, admit) {
        Ok(decoded) => Ok(decoded.into()),
        Err(DecodeError::TooLarge) => {
            Err(refused.unwrap_or(Fault::BodyTooLarge { limit: limits.own }))
        }
        Err(DecodeError::Broken(_)) => Err(Fault::BrokenEncoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(pieces: &[&[u8]], limits: Limits, announced: Option<usize>) -> Result<Bytes, Fault> {
        let budget = Arc::new(Budget::default());
        let collected = (|| {
            let mut collector = Collector::begin(Lease::empty(&budget), limits, announced)?;
            for piece in pieces {
                collector.push(piece.to_vec())?;
            }
            let (bytes, lease) = collector.finish();
            assert_eq!(budget.used(), bytes.len());
            drop(lease);
            Ok(bytes)
        })();
        assert_eq!(
            budget.used(),
            0,
            "everything is given back, also after a refusal"
        );
        collected
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { own: 6, total: 8 };
        let too_large = Err(Fault::BodyTooLarge { limit: 6 });
        assert_eq!(
            collect(&[b"abc", b"", b"def"], limits, None),
            Ok(Bytes::from_static(b"abcdef"))
        );
        assert_eq!(
            collect(&[b"abc", b"def"], limits, Some(6)),
            Ok(Bytes::from_static(b"abcdef"))
        );
        assert_eq!(collect(&[], limits, Some(0)), Ok(Bytes::new()));
        assert_eq!(collect(&[b"abc", b"defg"], limits, None), too_large);
        assert_eq!(collect(&[], limits, Some(7)), too_large);
        assert_eq!(
            collect(&[b"abc"], Limits { own: 6, total: 2 }, None),
            Err(Fault::Overloaded)
        );
    }

    #[test]
    fn both_sizes_of_a_coded_body_count() {
        // 40 bytes that decode to 300.
        let coded = zstd::encode_all(&[b'a'; 300][..], 3).unwrap();
        for (own, total, expected) in [
            (300, 300 + coded.len(), Ok(300)),
            (299, 1000, Err(Fault::BodyTooLarge { limit: 299 })),
            (300, 299 + coded.len(), Err(Fault::Overloaded)),
        ] {
            let budget = Arc::new(Budget::default());
            let limits = Limits { own, total };
            let mut collector = Collector::begin(Lease::empty(&budget), limits, None).unwrap();
            collector.push(coded.clone()).unwrap();
            let (body, mut lease) = collector.finish();
            let decoded = decode(&[Coding::Zstd], &body, &mut lease, limits);
            assert_eq!(decoded.map(|it| it.len()), expected, "{own} {total}");
            if expected.is_ok() {
                assert_eq!(budget.used(), 300 + coded.len());
            }
            drop(lease);
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn a_lying_content_length_changes_nothing() {
        let limits = Limits { own: 64, total: 64 };
        for announced in [Some(0), Some(1), Some(64), None] {
            assert_eq!(
                collect(&[b"ab", b"cd", b"ef"], limits, announced),
                Ok(Bytes::from_static(b"abcdef"))
            );
        }
    }
}
