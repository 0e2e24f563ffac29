//! Reloads of a real file in a real directory, awaited through the status channel.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Builds the text itself; `bad…` is rejected, `listen…` needs a restart, `panic` panics.
struct Texts;

impl Prepare for Texts {
    type Built = String;

    fn prepare(&self, text: &str, _: Option<&String>) -> Result<String, Refusal> {
        match text {
            text if text.starts_with("bad") => {
                Err(Refusal::Rejected(vec![Problem::error("", text)]))
            }
            text if text.starts_with("listen") => {
                Err(Refusal::NeedsRestart(vec!["global.server".to_owned()]))
            }
            "panic" => panic!("as asked"),
            text => Ok(text.to_owned()),
        }
    }
}

struct World {
    live: Arc<Live<String>>,
    status: watch::Receiver<Status>,
    requests: Arc<Notify>,
    stop: CancellationToken,
    seen: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn start(file: &Path) -> World {
    let reloader = Reloader::first(file.to_owned(), Texts).unwrap();
    let world = World {
        live: reloader.live(),
        status: reloader.status(),
        requests: Arc::default(),
        stop: CancellationToken::new(),
        seen: Arc::default(),
    };
    let triggers = Triggers::new(file, Arc::clone(&world.requests));
    let seen = Arc::clone(&world.seen);
    let observe = move |status: &Status| seen.lock().unwrap().push(status.outcome.label());
    crate::shutdown::Tasks::default().spawn(reloader.run(triggers, world.stop.clone(), observe));
    world
}

impl World {
    async fn until(&mut self, wanted: impl Fn(&Status) -> bool) -> Status {
        timeout(Duration::from_secs(20), self.status.wait_for(wanted))
            .await
            .expect("no reload")
            .unwrap()
            .clone()
    }

    async fn outcome(&mut self, label: &str) -> Status {
        self.until(|status| status.outcome.label() == label).await
    }

    fn serving(&self) -> String {
        self.live.load().to_string()
    }
}

/// Writes as an editor does: a new file over the old one.
fn save(file: &Path, text: &str) {
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(next, file).unwrap();
}

/// Swaps as the kubelet does: a new directory, then `..data` renamed over.
fn swap_config_map(root: &Path, version: &str, text: &str) {
    let directory = root.join(format!("..{version}"));
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("config.yaml"), text).unwrap();
    let (temporary, data) = (root.join("..data_tmp"), root.join("..data"));
    symlink(format!("..{version}"), &temporary).unwrap();
    let old = fs::read_link(&data).ok();
    fs::rename(temporary, &data).unwrap();
    match old {
        Some(old) => fs::remove_dir_all(root.join(old)).unwrap(),
        None => symlink("..data/config.yaml", root.join("config.yaml")).unwrap(),
    }
}

#[tokio::test]
async fn follows_config_map_swaps() {
    let root = tempfile::tempdir().unwrap();
    swap_config_map(root.path(), "1", "one");
    let mut world = start(&root.path().join("config.yaml"));
    assert_eq!(world.serving(), "one");
    // More than once: a watch on the file itself would be blind after the first.
    for (generation, text) in [(2, "two"), (3, "three"), (4, "four")] {
        swap_config_map(root.path(), &generation.to_string(), text);
        let status = world.until(|status| status.generation == generation).await;
        assert_eq!(status.outcome, Outcome::Swapped);
        assert_eq!(world.serving(), text);
    }
}

#[tokio::test]
async fn keeps_the_old_one_and_names_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.yaml");
    fs::write(&file, "good").unwrap();
    let mut world = start(&file);

    save(&file, "bad key");
    let status = world.outcome("rejected").await;
    assert_eq!(
        status.outcome,
        Outcome::Rejected(vec![Problem::error("", "bad key")])
    );

    save(&file, "listen elsewhere");
    let status = world.outcome("needs_restart").await;
    assert_eq!(
        status.outcome,
        Outcome::NeedsRestart(vec!["global.server".to_owned()])
    );

    save(&file, "panic");
    world.outcome("rejected").await;

    save(&file, "good");
    world.outcome("unchanged").await;
    assert_eq!(
        (world.serving().as_str(), world.live.load().generation),
        ("good", 1)
    );

    save(&file, "better");
    let status = world.outcome("swapped").await;
    assert_eq!((world.serving().as_str(), status.generation), ("better", 2));
    assert_eq!(
        *world.seen.lock().unwrap(),
        [
            "rejected",
            "needs_restart",
            "rejected",
            "unchanged",
            "swapped"
        ]
    );
}

#[tokio::test]
async fn answers_a_request_without_any_event() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.yaml");
    fs::write(&file, "one").unwrap();
    let mut world = start(&file);
    world.requests.notify_one();
    assert_eq!(world.outcome("unchanged").await.generation, 1);
}

#[tokio::test]
async fn follows_a_link_into_another_directory() {
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, target) = (root.path().join("a.yaml"), elsewhere.path().join("b.yaml"));
    fs::write(&target, "one").unwrap();
    symlink(&target, &file).unwrap();
    let mut world = start(&file);
    save(&target, "two");
    world.until(|status| status.generation == 2).await;
    assert_eq!(world.serving(), "two");
}

#[tokio::test]
async fn an_exchange_keeps_its_generation_and_frees_it() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.yaml");
    fs::write(&file, "one").unwrap();
    let mut world = start(&file);
    let pinned = world.live.load();
    save(&file, "two");
    world.until(|status| status.generation == 2).await;
    assert_eq!((pinned.as_str(), world.serving().as_str()), ("one", "two"));
    assert_eq!(world.live.alive(), 2);
    drop(pinned);
    assert_eq!(world.live.alive(), 1);
}

#[test]
fn first_load_fails_where_a_reload_would() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.yaml");
    assert!(matches!(
        Reloader::first(file.clone(), Texts).err(),
        Some(Refusal::Rejected(_))
    ));
    fs::write(&file, "bad").unwrap();
    assert_eq!(
        Reloader::first(file, Texts).err(),
        Some(Refusal::Rejected(vec![Problem::error("", "bad")]))
    );
}

#[tokio::test]
async fn the_same_text_is_tried_again_only_on_request() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.yaml");
    fs::write(&file, "one").unwrap();
    let mut reloader = Reloader::first(file.clone(), Texts).unwrap();
    // Text (none removes the file), cause, label of the outcome.
    for (text, cause, expected) in [
        (Some("one"), Cause::Event, None),
        (Some("one"), Cause::Poll, None),
        (Some("one"), Cause::Request, Some("unchanged")),
        (Some("bad"), Cause::Poll, Some("rejected")),
        (Some("bad"), Cause::Event, None),
        (Some("bad"), Cause::Request, Some("rejected")),
        (Some("panic"), Cause::Event, Some("rejected")),
        (Some("panic"), Cause::Poll, None),
        (Some("one"), Cause::Event, Some("unchanged")),
        (None, Cause::Poll, None),
        (None, Cause::Event, Some("rejected")),
        (None, Cause::Event, None),
        (None, Cause::Request, Some("rejected")),
        (Some("two"), Cause::Poll, Some("swapped")),
    ] {
        match text {
            Some(text) => save(&file, text),
            None => drop(fs::remove_file(&file)),
        }
        let outcome = reloader.attempt(cause).await;
        assert_eq!(
            outcome.as_ref().map(Outcome::label),
            expected,
            "{text:?} {cause:?}"
        );
    }
}
