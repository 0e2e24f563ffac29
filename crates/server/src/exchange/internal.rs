//! Calls of our own runs, which come back through the gateway: recognised by their credential, and
//! by nothing else.

use super::Head;
use crate::looper;
use crate::metrics::Metrics;
use conversation::credential::{Claims, Purpose};

/// Calls between the client and this one, at most.
const DEPTH: u8 = 1;

/// What a call of ours says of itself. A header that is not ours is worth nothing: the request is
/// routed like any other.
pub(super) fn claims(head: &Head, metrics: &Metrics) -> Option<Claims> {
    let credential = head.request.headers.get(looper::CREDENTIAL)?;
    let secret = &head.serving.router.secret;
    match secret.open_of_anyone(Purpose::CallBack, credential, looper::unix_seconds()) {
        Ok(claims) if claims.depth <= DEPTH => Some(claims),
        Ok(_) => {
            metrics.looper.void("depth");
            None
        }
        Err(void) => {
            metrics.looper.void(void.as_str());
            None
        }
    }
}
