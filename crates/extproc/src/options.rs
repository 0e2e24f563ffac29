//! What an operator may set about the protocol: deadlines, limits, the peer's habits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Limits and habits of the protocol layer. A stream keeps the options that were current at its
/// first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Time to decide in every mode but full duplex, from the frame that a decision waits for (the
    /// headers, then the whole body). Time that the client takes to send its body does not count:
    /// Envoy's own timer does not either.
    pub deadline_buffered: Duration,
    /// The same in full duplex, where Envoy has no timer at all.
    pub deadline_streamed: Duration,
    /// Longest wait for the next frame of a body that is being collected.
    pub frame_timeout: Duration,
    /// Largest request body in bytes. The largest gRPC message is twice this plus 1 MiB, fixed when
    /// the service is made.
    pub body_limit: usize,
    /// Most bytes of request bodies held at once, by all streams together. An eighth is kept for
    /// bodies of at most 256 KiB; where room is short the slowest upload is ended.
    pub buffered_total: usize,
    /// Slowest upload that is waited for where bodies come piece by piece, bytes per second over
    /// ten seconds; 0 for none. Slower ones are answered with
    /// [`Fault::UploadTooSlow`](crate::Fault::UploadTooSlow).
    pub upload_rate: usize,
    /// Most open streams; those above are answered with
    /// [`Fault::Overloaded`](crate::Fault::Overloaded).
    pub max_streams: usize,
    /// The request body mode where the first frame carries no `protocol_config`. `None` takes
    /// [`BodyMode::Buffered`]: a peer that does not declare its mode predates full duplex, and
    /// waits for the headers' reply before it sends a body. A body shorter than its
    /// `content-length` is then a truncated one.
    pub assume_mode: Option<BodyMode>,
    /// Who speaks to us.
    pub peer: Peer,
    /// End a stream after the last wanted reply in the modes where Envoy keeps it open needlessly
    /// (BUFFERED, NONE). Never done toward [`Peer::Agentgateway`], nor where the mode was not
    /// declared.
    pub early_close: bool,
    /// The same in full duplex, once the whole body has been sent back.
    pub early_close_streamed: bool,
    /// Send an immediate response of several pieces piece by piece in full duplex (Envoy 1.37 or
    /// newer; the version cannot be seen on the wire). Otherwise the pieces are joined.
    pub streamed_immediate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline_buffered: Duration::from_millis(150),
            deadline_streamed: Duration::from_secs(2),
            frame_timeout: Duration::from_secs(60),
            body_limit: 32 << 20,
            buffered_total: 512 << 20,
            upload_rate: 1_024,
            max_streams: 16_384,
            assume_mode: None,
            peer: Peer::Envoy,
            early_close: true,
            early_close_streamed: false,
            streamed_immediate: false,
        }
    }
}

impl Options {
    /// Time to decide in `mode`.
    pub(crate) fn deadline(&self, mode: BodyMode) -> Duration {
        match mode {
            BodyMode::FullDuplex => self.deadline_streamed,
            _ => self.deadline_buffered,
        }
    }
}

/// How Envoy sends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyMode {
    /// Not at all.
    None,
    /// Piece by piece, the headers being on their way already.
    Streamed,
    /// Whole, or 413 by Envoy.
    Buffered,
    /// Whole, or its first part. Envoy lets the headers go as soon as they are answered if no part
    /// of the body has come by then; the edits made of the body then come too late, and neither we
    /// nor Envoy can tell. Prefer any other.
    BufferedPartial,
    /// Piece by piece, the headers waiting for us.
    FullDuplex,
}

/// The proxy at the other end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Peer {
    /// Envoy and what is built on it.
    #[default]
    Envoy,
    /// agentgateway, which takes a clean end of stream before the response phase for a failure.
    Agentgateway,
}

/// Where a service finds its current [`Options`]: fixed ones, or a closure that a reload changes
/// the answer of.
#[derive(Clone)]
pub struct Settings(Arc<dyn Fn() -> Arc<Options> + Send + Sync>);

impl Settings {
    /// Options that may change between streams; `current` is called once a stream, so keep it
    /// cheap.
    pub fn dynamic(current: impl Fn() -> Arc<Options> + Send + Sync + 'static) -> Self {
        Self(Arc::new(current))
    }

    /// The options of a stream that opens now.
    #[must_use]
    pub fn current(&self) -> Arc<Options> {
        (self.0)()
    }
}

impl From<Options> for Settings {
    fn from(options: Options) -> Self {
        let options = Arc::new(options);
        Self::dynamic(move || Arc::clone(&options))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.current()).finish()
    }
}
