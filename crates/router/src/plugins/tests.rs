//! Plugins that wait, answer and refuse, in the order of the list.

use super::*;
use crate::plan::{BodyEdit, HeaderOp};
use futures_util::FutureExt as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A plugin that asks a service first, as its answer shows.
struct Asking(Action);

/// What a service takes: its future is not ready at once.
#[derive(Default)]
struct Wait(bool);

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[async_trait]
impl Plugin for Asking {
    fn name(&self) -> &'static str {
        "asking"
    }

    async fn on_request(&self, input: &PluginInput<'_>) -> Action {
        Wait::default().await;
        match &self.0 {
            Action::Answer(text) => Action::Answer(format!(
                "{text} {} {} {}",
                input.caller.user,
                input.decision,
                input.model.unwrap_or("-")
            )),
            other => other.clone(),
        }
    }
}

fn edit(header: &str) -> Action {
    Action::Edit(Edits {
        body: vec![BodyEdit::StreamUsage],
        headers: vec![HeaderOp::Remove(header.into())],
        response: Vec::new(),
    })
}

#[track_caller]
fn check(actions: Vec<Action>, expected: Result<&[&str], Stop>) {
    let plugins: Vec<Box<dyn Plugin>> = actions
        .into_iter()
        .map(|action| Box::new(Asking(action)) as Box<dyn Plugin>)
        .collect();
    let (prompt, caller) = (
        Prompt::default(),
        Identity {
            user: "ada".to_owned(),
            groups: Vec::new(),
        },
    );
    let input = PluginInput {
        prompt: &prompt,
        wire: Dialect::OpenAiChat,
        caller: &caller,
        recipe: "default",
        decision: "code",
        model: Some("small"),
        boundaries: &Verdict::default(),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    let mut running = Box::pin(run(&plugins, &input));
    // Each poll lets one plugin go on.
    let ended = (0..=plugins.len()).find_map(|_| running.as_mut().now_or_never());
    let edits = ended.expect("ends");
    let headers = edits.map(|edits| {
        assert_eq!(edits.body.len(), edits.headers.len());
        edits
            .headers
            .iter()
            .map(|op| op.name().to_owned())
            .collect::<Vec<_>>()
    });
    assert_eq!(
        headers,
        expected.map(|names| names.iter().map(|&it| it.to_owned()).collect())
    );
}

#[test]
fn edits_are_collected_in_order() {
    check(vec![], Ok(&[]));
    check(vec![edit("a"), edit("b")], Ok(&["a", "b"]));
}

#[test]
fn an_answer_or_a_refusal_ends_the_way() {
    let answer = || Action::Answer("hello".to_owned());
    let refusal = Refusal::new(429, "later");
    check(
        vec![edit("a"), answer(), Action::Refuse(refusal.clone())],
        Err(Stop::Answer("hello ada code small".to_owned())),
    );
    check(
        vec![Action::Refuse(refusal.clone()), answer()],
        Err(Stop::Refuse(refusal)),
    );
}
