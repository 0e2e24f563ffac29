//! The legal order of frames, by mode. A frame out of order ends its stream with a status that says
//! so.

use crate::exchange::ResponseInterest;
use crate::frame::{Frame, Opening};
use crate::options::{BodyMode, Options};
use tonic::Status;

/// The modes of one stream, settled by its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) request: BodyMode,
    pub(crate) response: BodyMode,
    /// The modes are the peer's word, not our assumption.
    pub(crate) declared: bool,
    pub(crate) observing: bool,
}

impl Modes {
    pub(crate) fn settle(opening: Opening, options: &Options) -> Self {
        let Opening { modes, observing } = opening;
        let assumed = options.assume_mode.unwrap_or(BodyMode::Buffered);
        // Every mode but full duplex takes the same reply to a response body, so any of them may be
        // assumed.
        let (request, response) = modes.unwrap_or((assumed, BodyMode::Streamed));
        Self {
            request,
            response,
            declared: modes.is_some(),
            observing,
        }
    }

    /// Whether the whole request body can be had before the request goes on.
    pub(crate) fn collects(self) -> bool {
        self.observing || !matches!(self.request, BodyMode::None | BodyMode::Streamed)
    }

    /// Returns the parts of the response that the stream will see; waiting for others would never end.
    pub(crate) fn offer(self) -> ResponseInterest {
        match (self.request, self.response) {
            (_, mode) if self.observing || mode != BodyMode::None => ResponseInterest::Body,
            (BodyMode::FullDuplex, _) => ResponseInterest::Headers,
            _ => ResponseInterest::Nothing,
        }
    }

    /// Whether another response body may be sent back than the one that came. Of a body in
    /// BUFFERED_PARTIAL the rest goes on without being shown, and a mode that was not declared may
    /// be that one.
    pub(crate) fn rewrites(self) -> bool {
        let whole = matches!(
            self.response,
            BodyMode::Buffered | BodyMode::Streamed | BodyMode::FullDuplex
        );
        self.declared && !self.observing && whole
    }

    /// Whether the request body comes in one message, after a reply to the headers.
    pub(crate) fn whole(self) -> bool {
        !self.observing && matches!(self.request, BodyMode::Buffered | BodyMode::BufferedPartial)
    }
}

/// How far a stream has come in each direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    request: Place,
    response: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Headers came; a body or trailers may follow.
    Head,
    /// A piece of body came; more or trailers may follow.
    Body,
    /// The one message of a buffered body came; trailers may follow.
    Whole,
    End,
}

impl Order {
    pub(crate) fn new() -> Self {
        Self {
            request: Place::Start,
            response: Place::Start,
        }
    }

    /// Whether nothing has come yet.
    pub(crate) fn is_start(self) -> bool {
        self.request == Place::Start && self.response == Place::Start
    }

    /// Takes note of a frame, or says why it may not come now.
    pub(crate) fn admit(&mut self, frame: &Frame, modes: Modes) -> Result<(), OrderError> {
        let illegal = OrderError::Unexpected {
            came: frame.name(),
            expected: self.expected(frame),
        };
        match frame {
            Frame::RequestHeaders(head) => {
                let next = if head.end_of_stream {
                    Place::End
                } else {
                    Place::Head
                };
                self.request = if self.is_start() {
                    next
                } else {
                    return Err(illegal);
                };
            }
            Frame::RequestBody(_) | Frame::RequestTrailers if self.is_start() => {
                return Err(OrderError::HeadersSkipped { came: frame.name() });
            }
            Frame::RequestBody(_) if modes.declared && modes.request == BodyMode::None => {
                return Err(OrderError::BodyInModeNone);
            }
            Frame::RequestBody(piece) => {
                self.request = self.request.body(piece.end, modes.whole()).ok_or(illegal)?;
            }
            Frame::RequestTrailers => self.request = self.request.trailers().ok_or(illegal)?,
            // A response may come at any time and without a request: Envoy shows us local replies
            // of other filters, and its own. Its headers may be skipped by the mode.
            Frame::ResponseHeaders(head) => {
                let next = if head.end_of_stream {
                    Place::End
                } else {
                    Place::Head
                };
                self.response = if self.response == Place::Start {
                    next
                } else {
                    return Err(illegal);
                };
            }
            Frame::ResponseBody(piece) => {
                self.response = self
                    .response
                    .or_head()
                    .body(piece.end, false)
                    .ok_or(illegal)?;
            }
            Frame::ResponseTrailers => {
                self.response = self.response.or_head().trailers().ok_or(illegal)?
            }
        }
        Ok(())
    }

    fn expected(self, frame: &Frame) -> &'static str {
        let (place, request) = match frame {
            Frame::RequestHeaders(_) | Frame::RequestBody(_) | Frame::RequestTrailers => {
                (self.request, true)
            }
            _ => (self.response, false),
        };
        match (place, request) {
            (Place::Start, true) if self.response != Place::Start => {
                "nothing of the request, its response having begun"
            }
            (Place::Start, true) => "request headers",
            (Place::Head | Place::Body, true) => "request body or request trailers",
            (Place::Whole, true) => "request trailers",
            (Place::End, true) => "nothing more of the request",
            (Place::Start, false) => "response headers",
            (Place::End, false) => "nothing more of the response",
            (_, false) => "response body or response trailers",
        }
    }
}

impl Place {
    fn or_head(self) -> Self {
        if self == Self::Start {
            Self::Head
        } else {
            self
        }
    }

    fn body(self, end: bool, whole: bool) -> Option<Self> {
        match self {
            Self::Head | Self::Body if end => Some(Self::End),
            Self::Head | Self::Body if whole => Some(Self::Whole),
            Self::Head | Self::Body => Some(Self::Body),
            _ => None,
        }
    }

    fn trailers(self) -> Option<Self> {
        matches!(self, Self::Head | Self::Body | Self::Whole).then_some(Self::End)
    }
}

/// Why a stream cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("{came} came where the protocol expects {expected}")]
    Unexpected {
        came: &'static str,
        expected: &'static str,
    },
    #[error("{came} came before the request headers: set request_header_mode to SEND")]
    HeadersSkipped { came: &'static str },
    #[error("a request body came although protocol_config declares the request body mode NONE")]
    BodyInModeNone,
    #[error("a message came that carries no phase")]
    Empty,
    #[error("a message could not be decoded: {}", .0.message())]
    Undecodable(#[source] Status),
}

impl From<OrderError> for Status {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Empty | OrderError::Undecodable(_) => {
                Self::invalid_argument(error.to_string())
            }
            _ => Self::failed_precondition(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
