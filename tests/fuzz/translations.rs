//! Any body is translated to JSON or refused with a reason, in every direction, the same way each time.

use dialects::translate::loss::{WARNINGS_LIMIT, warnings};
use dialects::translate::{self, Backend};
use proptest::prelude::*;

use crate::{json, run, views};

pub(crate) fn fuzz(target: &str) -> anyhow::Result<()> {
    run::run(
        target,
        &(json::bodies()?, any::<bool>()),
        |(body, is_vllm)| {
            for from in views::WIRES {
                for dialect in views::WIRES.into_iter().filter(|to| *to != from) {
                    let backend = Backend {
                        dialect,
                        replays_reasoning: is_vllm,
                        is_vllm,
                    };
                    check(&body.0, from, backend)?;
                }
            }
            Ok(())
        },
    )
}

fn check(body: &[u8], from: dialects::Dialect, to: Backend) -> Result<(), TestCaseError> {
    let again = translate::request(body, from, to);
    match (translate::request(body, from, to), again) {
        (Ok(translated), Ok(again)) => {
            let text = String::from_utf8_lossy(&translated.body);
            prop_assert!(json::is_json(&translated.body), "no JSON: {text}");
            prop_assert_eq!(&translated.body, &again.body);
            let echo = &translated.reply.echo;
            prop_assert!(echo.is_empty() || json::is_json(echo.as_bytes()));
            let header = warnings(&translated.losses).unwrap_or_default();
            prop_assert!(header.len() <= WARNINGS_LIMIT);
            prop_assert!(header.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(header.is_empty(), translated.losses.is_empty());
        }
        (Err(unfit), Err(again)) => {
            prop_assert!(!unfit.message.is_empty());
            prop_assert_eq!(unfit, again);
        }
        _ => prop_assert!(false, "{from} is translated in two ways"),
    }
    Ok(())
}
