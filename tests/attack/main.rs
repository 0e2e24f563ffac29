//! Attacks on a running Merit, for a bounded time: what once held must go on holding.
//!
//! `cargo xtask attack` runs them; each prints the seed that it began with, and a failure the one
//! that repeats it. A new attack is a module, and one test here; the test's name is the attack's.
//! Needs what the suite on a real Envoy needs, and no Redis: its servers are faulty ones of its own.

#[path = "../fuzz/json.rs"]
mod json;
#[path = "../fuzz/run.rs"]
mod run;

mod bodies;
mod frames;
mod kill;
mod load;
mod memory;
mod redis;
mod reload;
mod soak;
mod stage;

/// How a failure of [`run`] is run again.
const AGAIN: &str = "cargo xtask attack --only";

#[test]
fn ext_proc_frames() -> anyhow::Result<()> {
    frames::attack("ext_proc_frames")
}

#[test]
fn mutated_json() -> anyhow::Result<()> {
    bodies::attack("mutated_json")
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_storm() -> anyhow::Result<()> {
    reload::attack("reload_storm").await
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_under_load() -> anyhow::Result<()> {
    kill::attack("kill_under_load").await
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_redis() -> anyhow::Result<()> {
    redis::attack("faulty_redis").await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies() -> anyhow::Result<()> {
    memory::attack("large_bodies").await
}

#[tokio::test(flavor = "multi_thread")]
async fn steady_load() -> anyhow::Result<()> {
    soak::attack("steady_load").await
}
