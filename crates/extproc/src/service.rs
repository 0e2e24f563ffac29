//! The tonic service: lets streams in, counts them, and stops them when the server must go.

use crate::budget::Budget;
use crate::counters::Counters;
use crate::exchange::Exchanges;
use crate::options::Settings;
use crate::session::{Admission, Shared, replies};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

/// The names under which Envoy, Kubernetes and gRPC tools ask for the health of the service.
pub const HEALTH_SERVICES: [&str; 4] = [
    "",
    "liveness",
    "readiness",
    "envoy.service.ext_proc.v3.ExternalProcessor",
];

/// The gRPC metadata by which a filter of an upstream attempt says what it is
/// (`grpc_service.initial_metadata`).
const ATTEMPT: &str = "x-merit-attempt";

/// A service that asks `exchanges` what to do with each HTTP request. Takes
/// [`Options`](crate::Options), or [`Settings::dynamic`] where they may change.
pub fn service(exchanges: Arc<dyn Exchanges>, settings: impl Into<Settings>) -> Processor {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let shared = Shared {
        exchanges,
        budget: Arc::new(Budget::default()),
        counters: Arc::new(Counters::default()),
        stop: CancellationToken::new(),
        decoding: Arc::new(Semaphore::new(cores)),
    };
    Processor {
        shared: Arc::new(shared),
        settings: settings.into(),
        tracker: TaskTracker::new(),
    }
}

/// The external processor. Clones share everything.
#[derive(Clone)]
pub struct Processor {
    shared: Arc<Shared>,
    settings: Settings,
    tracker: TaskTracker,
}

impl Processor {
    /// The service to add to a tonic server.
    #[must_use]
    pub fn server(&self) -> ExternalProcessorServer<Self> {
        // Room above the body limit, so that a body somewhat too large is read and refused in the
        // client's own words.
        let largest = self
            .settings
            .current()
            .body_limit
            .saturating_mul(2)
            .saturating_add(1 << 20);
        ExternalProcessorServer::new(self.clone())
            .max_decoding_message_size(largest)
            .max_encoding_message_size(usize::MAX)
    }

    /// The open streams.
    #[must_use]
    pub fn streams(&self) -> Streams {
        Streams {
            tracker: self.tracker.clone(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = BoxStream<'static, Result<ProcessingResponse, Status>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        self.shared.counters.streams.add();
        let options = self.settings.current();
        let token = Some(self.tracker.token());
        let overloaded = self.tracker.len() > options.max_streams;
        let attempt = request.metadata().contains_key(ATTEMPT);
        let admission = Admission {
            options,
            overloaded,
            attempt,
            token,
        };
        Ok(Response::new(
            replies(request.into_inner(), Arc::clone(&self.shared), admission).boxed(),
        ))
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("settings", &self.settings)
            .field("open", &self.tracker.len())
            .finish()
    }
}

/// The open streams of a [`Processor`], for draining.
#[derive(Clone)]
pub struct Streams {
    tracker: TaskTracker,
    shared: Arc<Shared>,
}

impl Streams {
    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.tracker.len()
    }

    /// Bytes of request bodies that they hold.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shared.budget.used()
    }

    /// Waits until all streams have ended. New ones may still come: stop accepting first.
    pub async fn wait_idle(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Ends every stream that waits for a frame with UNAVAILABLE, now and in future; one that is
    /// deciding first sends its reply. There is no way back.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("open", &self.open())
            .field("buffered", &self.buffered())
            .finish()
    }
}

#[cfg(test)]
mod tests;
