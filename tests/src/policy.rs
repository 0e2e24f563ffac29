//! The policy document of the suites: two models and decisions that a test can aim at with a word.

/// Routes everything to `small`, except: code words go to `large` (decision `code`), and the word
/// `forbidden` is answered by Merit itself (decision `blocked`). Providers call the models
/// `small-1b` and `large-70b`.
#[must_use]
pub fn two_models() -> String {
    with_keyword("refactor")
}

/// [`two_models`] with another code word, so that each word gives a different document.
#[must_use]
pub fn with_keyword(word: &str) -> String {
    TWO_MODELS.replace("refactor", word)
}

/// [`two_models`] with these lines under `global.server`.
#[must_use]
pub fn with_server(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("{TWO_MODELS}\nglobal:\n  server:\n{lines}")
}

/// The sentence that decision `blocked` answers with.
pub const BLOCKED_TEXT: &str = "This topic is not answered here.";

const TWO_MODELS: &str = r#"version: v0.3

listeners:
  - {name: clients, address: 127.0.0.1, port: 8801}

providers:
  defaults: {default_model: small}
  models:
    - name: small
      provider_model_id: small-1b
      backend_refs: [{name: small, endpoint: "127.0.0.1:8000", protocol: http, weight: 100}]
    - name: large
      provider_model_id: large-70b
      backend_refs: [{name: large, endpoint: "127.0.0.1:8001", protocol: http, weight: 100}]

routing:
  strategy: priority
  modelCards:
    - {name: small, context_window_size: 32768}
    - {name: large, context_window_size: 131072}
  signals:
    keywords:
      - {name: code_words, operator: OR, keywords: [refactor, compiler]}
      - {name: forbidden_words, operator: OR, keywords: [forbidden]}
  decisions:
    - name: blocked
      priority: 200
      rules: {operator: AND, conditions: [{type: keyword, name: forbidden_words}]}
      plugins:
        - type: fast_response
          configuration: {message: This topic is not answered here.}
    - name: code
      priority: 100
      rules: {operator: AND, conditions: [{type: keyword, name: code_words}]}
      modelRefs: [{model: large}]
    - name: everyday
      priority: 10
      rules: {operator: NOT, conditions: [{type: keyword, name: code_words}]}
      modelRefs: [{model: small}]
"#;
