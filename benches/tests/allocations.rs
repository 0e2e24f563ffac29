//! Deciding allocates nothing once the signals are known.

use allocation_counter::measure;
use anyhow::Result;
use benches::mix;
use dialects::{Dialect, Request};
use futures_util::FutureExt;
use inference::ask::Nobody;
use router::recipe::Extent;
use router::report::SignalReport;
use router::signals::{Identity, SignalInput};
use std::time::Instant;

#[test]
fn deciding_allocates_nothing() -> Result<()> {
    let generation = mix::generation()?;
    let request = Request::parse(Dialect::OpenAiChat, mix::body(1 << 10), &generation.settings.wrappers)?;
    let identity = Identity { user: "alice".into(), groups: vec!["gold".into()] };
    let recipe = &generation.recipes[0];
    let mut report = SignalReport::default();
    let reading = measure(|| {
        let input = SignalInput::new(request.prompt(), Some(&identity));
        report = recipe
            .read(&input, Extent::Used, &Nobody, Instant::now())
            .now_or_never()
            .and_then(Result::ok)
            .map(|reading| reading.report)
            .unwrap_or_default();
    });
    assert!(reading.count_total > 0, "the counter counts");
    let deciding = measure(|| {
        assert!(recipe.decide(&report, None).is_some(), "some decision matches");
    });
    assert_eq!(deciding.count_total, 0);
    Ok(())
}
