//! Collecting a request body within two limits, its own and one for all bodies together, and at a
//! least rate. A body with content codings is held twice, as it came and decoded, and both count.

use crate::budget::{Lease, Upload};
use crate::exchange::Fault;
use bytes::Bytes;
use compression::{Coding, DecodeError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time over which a least rate is demanded. Long enough for a network that stutters, and for a
/// client that is busy.
const RATE_SPAN: Duration = Duration::from_secs(10);

/// The limits of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of this body.
    pub(crate) own: usize,
    /// Of all bodies together.
    pub(crate) total: usize,
    /// Bytes per second that must come as long as a part of the body is held; 0 for none.
    pub(crate) rate: usize,
}

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct Collector {
    bytes: Vec<u8>,
    upload: Upload,
    limits: Limits,
    announced: Option<usize>,
    /// Until when the least rate is kept, and the bytes that have yet to come by then.
    due: Option<(Instant, usize)>,
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
                upload: Upload::begin(lease),
                limits,
                announced,
                due: None,
            }),
        }
    }

    pub(crate) async fn push(&mut self, piece: Vec<u8>) -> Result<(), Fault> {
        if self.bytes.len().saturating_add(piece.len()) > self.limits.own {
            return Err(Fault::BodyTooLarge {
                limit: self.limits.own,
            });
        }
        self.upload.grow(piece.len(), self.limits.total).await?;
        self.keep_rate(piece.len());
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

    /// When the upload will have been too slow, if nothing more comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.map(|(until, _)| until)
    }

    /// Cancelled when this upload has to make room for others.
    pub(crate) fn displaced(&self) -> &CancellationToken {
        self.upload.end()
    }

    /// Counts a piece toward the least rate. Each span demands its own bytes, so a client that sent
    /// much at first cannot be silent afterwards.
    fn keep_rate(&mut self, came: usize) {
        let wanted = self
            .limits
            .rate
            .saturating_mul(usize::try_from(RATE_SPAN.as_secs()).unwrap_or(usize::MAX));
        if wanted == 0 || came == 0 {
            return;
        }
        self.due = match self.due {
            Some((until, missing)) if missing > came => Some((until, missing - came)),
            _ => Some((Instant::now() + RATE_SPAN, wanted)),
        };
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
        (Bytes::from(self.bytes), self.upload.finish())
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
    use crate::budget::Budget;
    use futures_util::FutureExt as _;
    use std::sync::Arc;

    fn limits(own: usize, total: usize) -> Limits {
        Limits {
            own,
            total,
            rate: 0,
        }
    }

    fn collect(pieces: &[&[u8]], limits: Limits, announced: Option<usize>) -> Result<Bytes, Fault> {
        let budget = Arc::new(Budget::default());
        let collected = async {
            let mut collector = Collector::begin(Lease::empty(&budget), limits, announced)?;
            for piece in pieces {
                collector.push(piece.to_vec()).await?;
            }
            let (bytes, lease) = collector.finish();
            assert_eq!(budget.used(), bytes.len());
            drop(lease);
            Ok(bytes)
        };
        let collected = collected
            .now_or_never()
            .expect("nothing has to be waited for");
        assert_eq!(
            budget.used(),
            0,
            "everything is given back, also after a refusal"
        );
        collected
    }

    #[test]
    fn limits_hold() {
        let limits_here = limits(6, 8);
        let too_large = Err(Fault::BodyTooLarge { limit: 6 });
        assert_eq!(
            collect(&[b"abc", b"", b"def"], limits_here, None),
            Ok(Bytes::from_static(b"abcdef"))
        );
        assert_eq!(
            collect(&[b"abc", b"def"], limits_here, Some(6)),
            Ok(Bytes::from_static(b"abcdef"))
        );
        assert_eq!(collect(&[], limits_here, Some(0)), Ok(Bytes::new()));
        assert_eq!(collect(&[b"abc", b"defg"], limits_here, None), too_large);
        assert_eq!(collect(&[], limits_here, Some(7)), too_large);
        assert_eq!(
            collect(&[b"abc"], limits(6, 2), None),
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
            let limits = limits(own, total);
            let mut collector = Collector::begin(Lease::empty(&budget), limits, None).unwrap();
            collector
                .push(coded.clone())
                .now_or_never()
                .unwrap()
                .unwrap();
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
        let limits = limits(64, 64);
        for announced in [Some(0), Some(1), Some(64), None] {
            assert_eq!(
                collect(&[b"ab", b"cd", b"ef"], limits, announced),
                Ok(Bytes::from_static(b"abcdef"))
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_span_demands_its_own_bytes() {
        let limits = Limits {
            rate: 10,
            ..limits(1_000, 1_000)
        };
        let budget = Arc::new(Budget::default());
        let mut collector = Collector::begin(Lease::empty(&budget), limits, None).unwrap();
        let start = Instant::now();
        let due = |collector: &Collector| collector.due().map(|until| until - start);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(due(&collector), None, "nothing is held");
        for (at, bytes, expected) in [
            (1, 1, 11),
            (3, 0, 11),
            (5, 99, 11),
            (9, 1, 19),
            (18, 500, 28),
        ] {
            tokio::time::advance(start + Duration::from_secs(at) - Instant::now()).await;
            collector.push(vec![b'x'; bytes]).await.unwrap();
            assert_eq!(due(&collector), seconds(expected), "at {at} s");
        }
    }
}
