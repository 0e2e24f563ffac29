//! The page in a real browser: each view opens by its address, shows its data, and is used by
//! keyboard alone. Skipped where no Chromium is installed.

mod front;

use anyhow::{Context, Result, ensure};
use front::{Front, HOSTILE, NEWEST};
use tests::browser::{self, Browser};
use tests::merit::{Merit, Settings};
use tests::policy;
use tests::skipped::skipped;

const ENTER: char = '\u{e007}';
/// Widths of the page, CSS pixels.
const WIDE: u16 = 1280;
const NARROW: u16 = 320;
const TAB: char = '\u{e004}';

/// What a view must show, as a part of its text. The documents and records are those of `setting`.
const VIEWS: [(&str, &str); 14] = [
    ("explain", "Where a request would go"),
    (
        "explain?text=please%20refactor%20this",
        "Decision code; model large.",
    ),
    ("explain?text=forbidden", "Decision blocked"),
    ("explain?text=%7B%22messages%22%3A5", "begins like JSON"),
    ("decisions", "request-one"),
    ("find?id=0123456789abcdef0123456789abcdef", "request-one"),
    ("find", "paste its x-request-id"),
    ("map", "6 hits, 75 %"),
    ("models", "Health of the models"),
    ("spend", "1.5 USD saved of 6 USD: 25 %"),
    ("boundaries", "The document has no boundary."),
    ("health", "Generation"),
    ("probes", "Probes (YAML)"),
    ("connect", "ANTHROPIC_BASE_URL"),
];

/// Views of a Merit that keeps no records.
const WITHOUT_RECORDS: [(&str, &str); 5] = [
    ("decisions", "Records are off"),
    ("find", "Records are off"),
    ("map", "hits are not counted"),
    ("spend", "Records are off"),
    ("boundaries", "Records are off"),
];

fn holds(text: &str) -> String {
    format!(
        "document.body.innerText.includes({})",
        serde_json::json!(text)
    )
}

/// Fails if the browser complained: of a policy that was broken, of a script that failed. That a
/// server has no records is told as an error of the network, which is no complaint of ours.
async fn is_content(browser: &Browser) -> Result<()> {
    let complaints = browser.complaints().await?;
    let ours: Vec<_> = complaints
        .iter()
        .filter(|text| !text.contains("Failed to load resource"))
        .collect();
    ensure!(ours.is_empty(), "{ours:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_view_opens_by_its_address_and_shows_its_data() -> Result<()> {
    if !browser::is_installed() {
        skipped("no chromium and chromedriver (cargo xtask setup installs them)");
        return Ok(());
    }
    let merit = Merit::start(&policy::two_models()).await?;
    let front = Front::start(merit.admin()).await?;
    for width in [WIDE, NARROW] {
        let browser = Browser::start(width).await?;
        for (view, text) in VIEWS {
            browser.open("about:blank").await?;
            browser.open(&front.view(view)).await?;
            browser
                .shows(&holds(text))
                .await
                .with_context(|| view.to_owned())?;
            let overflow = "document.documentElement.scrollWidth > innerWidth + 1";
            let wide = browser.run(&format!("return {overflow}")).await?;
            ensure!(wide == false, "{view} scrolls sideways at {width}");
            ensure!(
                browser
                    .run("return document.querySelectorAll('h1').length")
                    .await?
                    == 1,
                "{view}"
            );
            is_content(&browser)
                .await
                .with_context(|| view.to_owned())?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_records_views_say_how_to_have_them() -> Result<()> {
    if !browser::is_installed() {
        skipped("no chromium and chromedriver (cargo xtask setup installs them)");
        return Ok(());
    }
    let merit = Merit::start(&policy::two_models()).await?;
    let browser = Browser::start(WIDE).await?;
    for (view, text) in WITHOUT_RECORDS {
        browser.open("about:blank").await?;
        browser
            .open(&format!("http://{}/#/{view}", merit.admin()))
            .await?;
        browser
            .shows(&holds(text))
            .await
            .with_context(|| view.to_owned())?;
        is_content(&browser)
            .await
            .with_context(|| view.to_owned())?;
    }
    Ok(())
}

/// By keyboard alone: from the menu to a view, where the heading has the focus; a request is
/// explained; the focus can be seen.
#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_suffices() -> Result<()> {
    if !browser::is_installed() {
        skipped("no chromium and chromedriver (cargo xtask setup installs them)");
        return Ok(());
    }
    let merit = Merit::start(&policy::two_models()).await?;
    let browser = Browser::start(WIDE).await?;
    browser.open(&format!("http://{}/", merit.admin())).await?;
    browser.shows(&holds("Where a request would go")).await?;

    browser.press(&[TAB]).await?;
    let first = browser
        .run("return document.activeElement.className")
        .await?;
    ensure!(first == "skip", "the first stop is {first}");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    ensure!(browser.run(&format!("return {outline}")).await? != "none");

    // The brand, then the menu.
    browser.press(&[TAB, TAB, TAB, ENTER]).await?;
    browser.shows("location.hash === '#/decisions'").await?;
    browser
        .shows("document.activeElement.tagName === 'H1'")
        .await?;
    browser
        .shows("document.querySelector('[aria-current=page]').textContent === 'Live'")
        .await?;

    browser
        .open(&format!("http://{}/#/explain", merit.admin()))
        .await?;
    browser.shows("document.querySelector('textarea')").await?;
    browser
        .type_into("textarea", "please refactor this")
        .await?;
    browser.press(&[TAB, TAB, TAB, ENTER]).await?;
    browser.shows(&holds("Decision code; model large.")).await?;
    browser
        .shows("document.getElementById('said').textContent.includes('model large')")
        .await?;
    browser.shows("location.hash.includes('refactor')").await?;
    Ok(())
}

/// What a client wrote stays text.
#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_cannot_become_an_element() -> Result<()> {
    if !browser::is_installed() {
        skipped("no chromium and chromedriver (cargo xtask setup installs them)");
        return Ok(());
    }
    let merit = Merit::start(&policy::two_models()).await?;
    let front = Front::start(merit.admin()).await?;
    let browser = Browser::start(WIDE).await?;
    browser
        .open(&front.view(&format!("find?id={NEWEST}")))
        .await?;
    browser.shows(&holds(HOSTILE)).await?;
    ensure!(
        browser
            .run("return document.querySelectorAll('main img, main script').length")
            .await?
            == 0
    );
    ensure!(browser.run("return document.title").await? != "owned");
    is_content(&browser).await?;
    Ok(())
}

/// A token is asked for once, and kept in the tab.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_asked_for() -> Result<()> {
    if !browser::is_installed() {
        skipped("no chromium and chromedriver (cargo xtask setup installs them)");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    std::fs::write(&file, "a-token\n")?;
    let merit = Merit::with(&Settings {
        document: policy::two_models(),
        arguments: vec!["--admin-token-file".to_owned(), file.display().to_string()],
        ..Settings::default()
    })
    .await?;
    let browser = Browser::start(WIDE).await?;
    browser
        .open(&format!("http://{}/#/health", merit.admin()))
        .await?;
    browser
        .shows("document.getElementById('token').open")
        .await?;
    browser
        .type_into("#token-field", &format!("wrong{ENTER}"))
        .await?;
    browser
        .shows("document.getElementById('token-error').textContent")
        .await?;
    browser
        .type_into("#token-field", &format!("a-token{ENTER}"))
        .await?;
    browser.shows(&holds("Generation")).await?;
    browser.run("location.hash = '#/models'").await?;
    browser.shows(&holds("Health of the models")).await?;
    ensure!(
        browser
            .run("return document.getElementById('token').open")
            .await?
            == false
    );
    Ok(())
}

/// Probes run as `merit test` runs them.
#[tokio::test(flavor = "multi_thread")]
async fn probes_are_run() -> Result<()> {
    if !browser::is_installed() {
        skipped("no chromium and chromedriver (cargo xtask setup installs them)");
        return Ok(());
    }
    let merit = Merit::start(&policy::two_models()).await?;
    let browser = Browser::start(WIDE).await?;
    browser
        .open(&format!("http://{}/#/probes", merit.admin()))
        .await?;
    browser.shows("document.querySelector('textarea')").await?;
    let probes = "- {name: right, text: refactor, expect: {model: large}}\n- {name: wrong, text: refactor, expect: {model: small}}";
    let fill = format!(
        "document.querySelector('textarea').value = {}",
        serde_json::json!(probes)
    );
    browser.run(&fill).await?;
    browser
        .run("document.querySelector('form').requestSubmit()")
        .await?;
    browser.shows(&holds("1 passed, 1 failed")).await?;
    browser
        .shows(&holds("model: expected small, got large"))
        .await?;
    Ok(())
}
