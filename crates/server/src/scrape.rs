//! Reads the Prometheus pages of the models' own servers (vLLM's names), as
//! `global.server.pool.scrape` lists them.
//!
//! Gauges count as they are; of histograms what was added since the last page becomes samples.
//! Figures that are older than three intervals are not used.

mod histogram;
mod page;

use crate::remote::connector;
use bytes::Bytes;
use conversation::shared_state::SharedState;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{Request, StatusCode, header::ACCEPT};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use page::Page;
use router::config::pool::{PoolSettings, ScrapeTarget};
use selection::pool::Report;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Pages at a time.
const CONCURRENCY: usize = 16;
/// Bytes of a page. vLLM's has some 100 KiB.
const PAGE_MAX: usize = 8 << 20;
/// A page is waited for no longer than an interval, within these bounds.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Figures count for so many intervals.
const FRESH: u32 = 3;
/// Shorter intervals would keep models' servers busy with telling of themselves.
const SHORTEST: Duration = Duration::from_millis(100);

type Http = legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// What is scraped, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    interval: Duration,
    pages: Vec<Target>,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Target {
    model: String,
    url: String,
}

impl Targets {
    /// As a document lists them.
    pub(crate) fn of(settings: &PoolSettings) -> Self {
        let target = |it: &ScrapeTarget| Target {
            model: it.model.trim().to_owned(),
            url: it.url.trim().to_owned(),
        };
        Self {
            interval: Duration::from_millis(settings.scrape_interval_ms).max(SHORTEST),
            pages: settings.scrape.iter().map(target).collect(),
        }
    }
}

/// What scraping has done.
#[derive(Debug, Default)]
pub(crate) struct Scrapes {
    /// Pages that were read.
    pub(crate) read: AtomicU64,
    /// Pages that were not.
    pub(crate) failed: AtomicU64,
}

/// Scrapes while the process runs.
pub(crate) struct Scraper {
    state: Arc<SharedState>,
    scrapes: Arc<Scrapes>,
    http: Option<Http>,
    /// The last page of each target, `None` if it could not be read.
    last: HashMap<Target, Option<Page>>,
}

/// Why a page was not read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("no answer in time")]
    TimedOut,
    #[error("not a usable URL")]
    Url(#[from] http::Error),
    #[error("cannot be reached")]
    Unreachable(#[from] legacy::Error),
    #[error("answered with status {0}")]
    Status(StatusCode),
    #[error("the page broke off or is longer than {PAGE_MAX} bytes")]
    Body,
    #[error("the page is not text")]
    NotText,
    #[error("the page has none of vLLM's metrics")]
    NothingKnown,
    #[error("TLS is not usable")]
    Tls,
}

impl Scraper {
    pub(crate) fn new(state: Arc<SharedState>, scrapes: Arc<Scrapes>) -> Self {
        Self {
            state,
            scrapes,
            http: None,
            last: HashMap::new(),
        }
    }

    /// Scrapes whatever `targets` holds, until `stop`.
    pub(crate) async fn run(
        mut self,
        mut targets: watch::Receiver<Targets>,
        stop: CancellationToken,
    ) {
        let rounds = async {
            loop {
                let now = targets.borrow_and_update().clone();
                let next = tokio::time::Instant::now() + now.interval;
                self.round(&now).await;
                tokio::select! {
                    () = sleep_until(next), if !now.pages.is_empty() => {}
                    changed = targets.changed() => if changed.is_err() { return },
                }
            }
        };
        stop.run_until_cancelled(rounds).await;
    }

    /// Reads every page once; pages of one model are added up.
    async fn round(&mut self, targets: &Targets) {
        self.last.retain(|target, _| targets.pages.contains(target));
        if targets.pages.is_empty() {
            return;
        }
        let http = self.http(targets);
        let patience = targets.interval.clamp(PATIENCE.0, PATIENCE.1);
        let pages = stream::iter(targets.pages.iter().cloned()).map(|target| {
            let http = http.clone();
            async move {
                let page = async {
                    let http = http.ok_or(Unread::Tls)?;
                    timeout(patience, fetch(&http, &target.url))
                        .await
                        .map_err(|_| Unread::TimedOut)?
                };
                (page.await, target)
            }
        });
        let pages: Vec<_> = pages.buffer_unordered(CONCURRENCY).collect().await;
        let mut reports: BTreeMap<String, Report> = BTreeMap::new();
        for (page, target) in pages {
            if let Some(page) = self.settle(page, &target) {
                page.add_to(
                    reports.entry(target.model.clone()).or_default(),
                    self.last.get(&target),
                );
                self.last.insert(target, Some(page));
            }
        }
        let until = Instant::now() + targets.interval * FRESH;
        for (model, report) in reports {
            self.state.pool.report(&model, &report, until);
        }
    }

    /// Counts what became of a page, and says in the log when a target begins or ceases to fail.
    fn settle(&mut self, page: Result<Page, Unread>, target: &Target) -> Option<Page> {
        let failed_before = self.last.get(target).is_some_and(Option::is_none);
        let model = &target.model;
        let url = &*document::shown(&target.url);
        match page {
            Ok(page) => {
                self.scrapes.read.fetch_add(1, Ordering::Relaxed);
                if failed_before {
                    tracing::info!(model, url, "metrics of a model are read again");
                }
                Some(page)
            }
            Err(error) => {
                self.scrapes.failed.fetch_add(1, Ordering::Relaxed);
                if !failed_before {
                    tracing::warn!(model, url, %error, "metrics of a model cannot be read");
                }
                self.last.insert(target.clone(), None);
                None
            }
        }
    }

    /// Certificates are read only where a page is asked for over TLS.
    fn http(&mut self, targets: &Targets) -> Option<Http> {
        let secure = targets
            .pages
            .iter()
            .any(|target| target.url.starts_with("https:"));
        if self.http.is_none() || secure {
            let connector = connector(secure).ok()?;
            let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
            self.http = Some(client);
        }
        self.http.clone()
    }
}

async fn fetch(http: &Http, url: &str) -> Result<Page, Unread> {
    let request = Request::builder()
        .uri(url)
        .header(ACCEPT, "text/plain")
        .body(Empty::new())?;
    let response = http.request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(Unread::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), PAGE_MAX)
        .collect()
        .await
        .map_err(|_| Unread::Body)?
        .to_bytes();
    let text = std::str::from_utf8(&body).map_err(|_| Unread::NotText)?;
    Page::read(text).ok_or(Unread::NothingKnown)
}

#[cfg(test)]
mod tests;
