//! Merit with a real Redis beside it.

use anyhow::{Result, ensure};
use router::config::databases::RedisStore;
use std::time::Duration;
use stores::redis::{Failure, Redis};
use tests::process::until;
use tests::redis;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_missed_in_time_and_found_again() -> Result<()> {
    let mut server = redis::Redis::start().await?;
    let settings = RedisStore { address: server.address(), db: 2, ..RedisStore::default() };
    let client = Redis::new(&settings, "merit:", Duration::from_millis(200))?;
    let mut set = ::redis::cmd("SET");
    client.ask::<()>(set.arg(client.key("a")).arg("1")).await?;
    ensure!(server.ask(&["EXISTS", "merit:a"])?.starts_with(":0"), "the key lies in another database");

    server.kill();
    let mut get = ::redis::cmd("GET");
    get.arg(client.key("a"));
    let missed = client.ask::<String>(&get).await;
    ensure!(missed.is_err(), "a dead server answered: {missed:?}");
    let left = client.ask::<String>(&get).await;
    ensure!(matches!(left, Err(Failure::Left(_))), "asked again at once: {left:?}");

    server.restart().await?;
    let found =
        until("the restarted server", Duration::from_secs(10), async || Ok(client.ask::<String>(&get).await.ok()));
    ensure!(found.await? == "1");
    Ok(())
}
