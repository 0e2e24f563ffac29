//! What routing a parsed request costs under the mix, whole and in its parts, and what reading the
//! document costs.

use benches::mix;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dialects::{Dialect, Request};
use futures_util::FutureExt;
use inference::ask::Nobody;
use router::generation::Generation;
use router::learning::lesson::Sent;
use router::pipeline::Call;
use router::plan::Outcome;
use router::recipe::Extent;
use router::signals::{Identity, SignalInput};
use std::time::Instant;

fn route(criterion: &mut Criterion) {
    let Ok(generation) = mix::generation() else {
        return;
    };
    let identity = Identity {
        user: "alice".into(),
        groups: vec!["staff".into(), "gold".into()],
    };
    let mut group = criterion.benchmark_group("mix");
    for size in [1 << 10, 16 << 10] {
        let wrappers = &generation.settings.wrappers;
        let Ok(request) = Request::parse(Dialect::OpenAiChat, mix::body(size), wrappers) else {
            continue;
        };
        let call = Call {
            prompt: request.prompt(),
            dialect: Dialect::OpenAiChat,
            identity: &identity,
            marks: router::session::Marks::default(),
            observed: false,
            models: &Nobody,
            deadline: Instant::now(),
            sent: Sent::NOTHING,
            full: false,
        };
        group.bench_function(BenchmarkId::new("route", size), |bencher| {
            bencher.iter(|| generation.route(&call).now_or_never().is_some());
        });
        group.bench_function(BenchmarkId::new("signals", size), |bencher| {
            bencher.iter(|| {
                let input = SignalInput::new(call.prompt, Some(&identity));
                generation.recipes[0]
                    .read(&input, Extent::Used, &Nobody, Instant::now())
                    .now_or_never()
                    .is_some()
            });
        });
        group.bench_function(BenchmarkId::new("parse, route, edit", size), |bencher| {
            bencher.iter(|| whole(&generation, &request, &identity));
        });
    }
    group.finish();
}

/// Everything between the body's last frame and the reply.
fn whole(generation: &Generation, request: &Request, identity: &Identity) -> Option<bytes::Bytes> {
    let body = request.body().clone();
    let request = Request::parse(request.dialect(), body, &generation.settings.wrappers).ok()?;
    let call = Call {
        prompt: request.prompt(),
        dialect: request.dialect(),
        identity,
        marks: router::session::Marks::default(),
        observed: false,
        models: &Nobody,
        deadline: Instant::now(),
        sent: Sent::NOTHING,
        full: false,
    };
    match generation.route(&call).now_or_never()?.plan.outcome {
        Outcome::Forward(forward) => router::plan::body::apply(&request, &forward.body),
        _ => None,
    }
}

fn document(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document");
    group.sample_size(20);
    let long = mix::long_document(2000, "word");
    for (name, text) in [("mix", mix::DOCUMENT), ("2,000 lines", &long)] {
        group.bench_function(BenchmarkId::new("check", name), |bencher| {
            bencher.iter(|| mix::read(text));
        });
    }
    group.bench_function("build mix, check included", |bencher| {
        bencher.iter(mix::generation)
    });
    group.finish();
}

criterion_group!(benches, route, document);
criterion_main!(benches);
