//! What Merit says of its own state: gRPC health for Envoy and Kubernetes, and the same for HTTP.

use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

/// Names whose status follows readiness. Envoy's `grpc_health_check` asks for the service by its
/// full name, Kubernetes' `grpc:` probes by what the manifest says, and `grpc_health_probe` without
/// a name.
pub const READINESS: [&str; 3] = [
    "",
    "readiness",
    "envoy.service.ext_proc.v3.ExternalProcessor",
];
/// Serving as long as the process lives.
pub const LIVENESS: &str = "liveness";

/// How far the process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not everything is built or bound.
    Starting,
    /// Serving.
    Ready,
    /// Asked to stop: finishing what runs, wanting nothing new.
    Draining,
}

/// The process's state, and everybody who is told of it.
#[derive(Debug)]
pub struct Readiness {
    state: watch::Sender<State>,
    reporter: HealthReporter,
}

impl Readiness {
    /// Starts as [`State::Starting`]: alive, not ready.
    pub async fn new() -> Self {
        let readiness = Self {
            state: watch::Sender::new(State::Starting),
            reporter: HealthReporter::new(),
        };
        readiness
            .reporter
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        readiness.set(State::Starting).await;
        readiness
    }

    /// Changes the state everywhere.
    pub async fn set(&self, state: State) {
        self.state.send_replace(state);
        let status = match state {
            State::Ready => ServingStatus::Serving,
            State::Starting | State::Draining => ServingStatus::NotServing,
        };
        for name in READINESS {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// The state now, and its changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// `grpc.health.v1.Health`.
    #[must_use]
    pub fn service(&self) -> HealthServer<impl Health> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;

    async fn check(readiness: &Readiness, name: &str) -> Option<i32> {
        let service = HealthService::from_health_reporter(readiness.reporter.clone());
        let request = Request::new(HealthCheckRequest {
            service: name.to_owned(),
        });
        service
            .check(request)
            .await
            .ok()
            .map(|reply| reply.into_inner().status)
    }

    #[tokio::test]
    async fn readiness_follows_the_state_and_liveness_does_not() {
        const SERVING: i32 = 1;
        const NOT_SERVING: i32 = 2;
        let readiness = Readiness::new().await;
        for (state, expected) in [
            (State::Starting, NOT_SERVING),
            (State::Ready, SERVING),
            (State::Draining, NOT_SERVING),
        ] {
            readiness.set(state).await;
            for name in READINESS {
                assert_eq!(
                    check(&readiness, name).await,
                    Some(expected),
                    "{name} {state:?}"
                );
            }
            assert_eq!(check(&readiness, LIVENESS).await, Some(SERVING));
            assert_eq!(*readiness.watch().borrow(), state);
        }
        assert_eq!(check(&readiness, "unknown").await, None);
    }
}
