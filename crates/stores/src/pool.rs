//! The state of models' pools, told between replicas by a Redis: each writes its own share under a
//! key that dies with it, and reads those of the others.

use crate::redis::{Failure, Redis};
use router::pool::Pool;
use router::pool::Share;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A share that was not written again within so many intervals counts no more.
const LIFETIME: u32 = 4;

/// One replica's part in the exchange.
pub struct PoolExchange {
    redis: Arc<Redis>,
    replica: String,
    interval: Duration,
}

impl PoolExchange {
    /// Exchanges every `interval` under a name of its own, `replica`.
    #[must_use]
    pub fn new(redis: Arc<Redis>, replica: &str, interval: Duration) -> Self {
        Self {
            redis,
            replica: replica.to_owned(),
            interval,
        }
    }

    /// Exchanges for ever.
    pub async fn run(self, pool: &Pool) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(failure) = self.exchange(pool).await {
                tracing::debug!(%failure, "the state of pools was not shared");
            }
        }
    }

    /// Tells the own share and takes in those of the others.
    ///
    /// # Errors
    /// [`Failure`]; what others told before counts until its time is over.
    pub async fn exchange(&self, pool: &Pool) -> Result<(), Failure> {
        let lifetime = self.interval * LIFETIME;
        let replicas = self.tell(&pool.export(), lifetime).await?;
        let others: Vec<String> = replicas
            .into_iter()
            .filter(|name| *name != self.replica)
            .collect();
        let mut shares = Vec::new();
        if !others.is_empty() {
            let found = self.read(&others).await?;
            let gone = others
                .iter()
                .zip(&found)
                .filter(|(_, share)| share.is_none())
                .map(|(name, _)| name);
            self.forget(gone.collect()).await?;
            let told = found.iter().flatten();
            shares.extend(
                told.filter_map(|told| serde_json::from_slice::<Vec<Share>>(told).ok())
                    .flatten(),
            );
        }
        pool.import(shares, Instant::now() + lifetime);
        Ok(())
    }

    /// Writes the own share; gives the names of all replicas.
    async fn tell(&self, own: &[Share], lifetime: Duration) -> Result<Vec<String>, Failure> {
        let record = serde_json::to_vec(own).unwrap_or_default();
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut commands = ::redis::pipe();
        commands
            .cmd("SET")
            .arg(self.share(&self.replica))
            .arg(record)
            .arg("PX")
            .arg(milliseconds)
            .ignore();
        commands
            .cmd("SADD")
            .arg(self.redis.key("pool:replicas"))
            .arg(&self.replica)
            .ignore();
        commands
            .cmd("SMEMBERS")
            .arg(self.redis.key("pool:replicas"));
        let (replicas,) = self.redis.ask_all::<(Vec<String>,)>(&commands).await?;
        Ok(replicas)
    }

    async fn read(&self, replicas: &[String]) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        let mut command = ::redis::cmd("MGET");
        replicas.iter().for_each(|replica| {
            command.arg(self.share(replica));
        });
        self.redis.ask(&command).await
    }

    /// A replica without a share is gone; the set of names must not grow with every restart.
    async fn forget(&self, gone: Vec<&String>) -> Result<(), Failure> {
        if gone.is_empty() {
            return Ok(());
        }
        let mut command = ::redis::cmd("SREM");
        command.arg(self.redis.key("pool:replicas")).arg(gone);
        self.redis.ask(&command).await
    }

    fn share(&self, replica: &str) -> String {
        self.redis.key(&format!("pool:share:{replica}"))
    }
}
