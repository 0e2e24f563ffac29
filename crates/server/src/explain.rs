//! `merit explain`: where one request would go, and why.

use crate::cli::ExplainArgs;
use crate::output;
use anyhow::Context as _;
use document::Problem;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// The request asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// A request body, or `{"text": …}` in the form of eval; `model` is set if it was given.
    pub body: Map<String, Value>,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The path that it is sent to; a conversation's in the form of eval without one.
    pub path: Option<String>,
}

/// Prints what `explain` says of the request.
///
/// # Errors
/// If a file cannot be read or is no JSON object.
pub fn run(
    arguments: &ExplainArgs,
    explain: impl Fn(&str, &Query) -> Result<String, Vec<Problem>>,
) -> anyhow::Result<ExitCode> {
    let file = arguments.file();
    let document =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let query = query(arguments)?;
    match explain(&document, &query) {
        Ok(text) => {
            output::text(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(diagnostics) => {
            let lines: Vec<_> = diagnostics.iter().map(|it| it.in_file(file)).collect();
            output::text(&lines.join("\n"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn query(arguments: &ExplainArgs) -> anyhow::Result<Query> {
    let mut body = match (&arguments.request, arguments.text()) {
        (Some(file), _) => {
            let text =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&text)
                .with_context(|| format!("{} is not a JSON object", file.display()))?
        }
        (None, text) => Map::from_iter([("text".to_owned(), json!(text.unwrap_or_default()))]),
    };
    if let Some(model) = &arguments.model {
        body.insert("model".to_owned(), json!(model));
    }
    Ok(Query {
        body,
        headers: arguments.headers.clone(),
        path: arguments.path.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn arguments(words: &[&str]) -> ExplainArgs {
        let words = ["merit", "explain", "--config", "c"].iter().chain(words);
        match Cli::parse_from(words).command {
            Command::Explain(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn queries() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("r.json");
        std::fs::write(&file, r#"{"model": "a", "messages": []}"#).unwrap();
        let file = file.to_str().unwrap();
        for (words, body, headers) in [
            (vec!["hi"], json!({"text": "hi"}), vec![]),
            (
                vec!["hi", "--model", "m", "--header", "X-U=1=2"],
                json!({"text": "hi", "model": "m"}),
                vec![("x-u", "1=2")],
            ),
            (
                vec!["--request", file],
                json!({"model": "a", "messages": []}),
                vec![],
            ),
            (
                vec!["--request", file, "--model", "m"],
                json!({"model": "m", "messages": []}),
                vec![],
            ),
        ] {
            let query = query(&arguments(&words)).unwrap();
            assert_eq!(Value::Object(query.body), body);
            let got: Vec<_> = query
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(got, headers);
        }
    }

    #[test]
    fn exit_code_tells_failure() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.yaml");
        std::fs::write(&file, "a: 1").unwrap();
        let words = ["merit", "explain", file.to_str().unwrap(), "hi"];
        let Command::Explain(arguments) = Cli::parse_from(words).command else {
            panic!("not explain");
        };
        let code = |result: Result<String, Vec<Problem>>| {
            run(&arguments, move |_, _| result.clone()).unwrap()
        };
        assert_eq!(code(Ok("fine".to_owned())), ExitCode::SUCCESS);
        assert_eq!(code(Err(vec![Problem::error("", "x")])), ExitCode::FAILURE);
    }
}
