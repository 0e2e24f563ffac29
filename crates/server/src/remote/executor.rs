//! Where calls to other machines run: timers and sockets need a runtime, and callers may poll from outside one.

use std::future::Future;
use std::future::poll_fn;
use std::pin::pin;
use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime's drivers, without its scheduler: futures stay with who asks, and end when nobody
/// does.
pub(super) struct Executor {
    handle: Handle,
    /// Kept where the command has no runtime, such as `merit explain`.
    _own: Option<Runtime>,
}

impl Executor {
    /// The runtime of the process, or one of our own.
    pub(super) fn new() -> std::io::Result<Self> {
        if let Ok(handle) = Handle::try_current() {
            return Ok(Self { handle, _own: None });
        }
        let own = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("merit-remote")
            .enable_all()
            .build()?;
        Ok(Self {
            handle: own.handle().clone(),
            _own: Some(own),
        })
    }

    /// Polls within the runtime, on whatever thread.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _inside = self.handle.enter();
            future.as_mut().poll(context)
        })
        .await
    }
}
