//! Deciding allocates nothing once the signals are known, and choosing a model next to nothing.

use allocation_counter::measure;
use anyhow::Result;
use benches::{candidates, mix};
use dialects::{Dialect, Request};
use futures_util::FutureExt;
use inference::ask::Nobody;
use router::boundary::Guarded;
use router::recipe::Extent;
use selection::algorithms::SelectionRequest;
use signals::families::{Identity, SignalInput};
use signals::report::SignalReport;
use std::time::Instant;

#[test]
fn deciding_allocates_nothing() -> Result<()> {
    let generation = mix::generation()?;
    let request = Request::parse(
        Dialect::OpenAiChat,
        mix::body(1 << 10),
        &generation.settings.reading,
    )?;
    let identity = Identity {
        user: "alice".into(),
        groups: vec!["gold".into()],
    };
    let recipe = &generation.recipes[0];
    let mut report = SignalReport::default();
    let reading = measure(|| {
        let input = SignalInput::new(request.prompt(), Some(&identity));
        report = recipe
            .read(
                &input,
                Extent::Used,
                &Guarded::free(&Nobody),
                Instant::now(),
            )
            .now_or_never()
            .and_then(Result::ok)
            .map(|reading| reading.report)
            .unwrap_or_default();
    });
    assert!(reading.count_total > 0, "the counter counts");
    let deciding = measure(|| {
        assert!(
            recipe.decide(&report, None).is_some(),
            "some decision matches"
        );
    });
    assert_eq!(deciding.count_total, 0);
    Ok(())
}

/// A choice among eight makes what it is made of, and its scores; nothing else.
#[test]
fn choosing_by_factors_allocates_twice() -> Result<()> {
    let generation = candidates::generation("{type: multi_factor}")?;
    let candidates = &generation.recipes[0].routes[0].candidates;
    let eligible: Vec<usize> = (0..candidates::COUNT).collect();
    let asked = SelectionRequest::default();
    let choosing = measure(|| {
        assert!(candidates.select(&asked, &eligible).fallback.is_none());
    });
    assert_eq!(choosing.count_total, 2);
    Ok(())
}
