//! Signal rules that need no model.

use super::{Findings, Scope};
use crate::config::problem::suggestion;
use crate::config::signals::{
    ContextRule, ConversationRule, KeywordRule, NumericPredicate, StructureRule,
};
use crate::report::Kind;

pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    macro_rules! names {
        ($($list:ident),*) => {
            $(findings.names(&scope.at(concat!("signals.", stringify!($list))), scope.routing.signals.$list.iter().map(|rule| rule.name.as_str()));)*
        };
    }
    names!(
        keywords,
        language,
        context,
        structure,
        role_bindings,
        conversation,
        events,
        metadata
    );
    let signals = &scope.routing.signals;
    for (index, rule) in signals.keywords.iter().enumerate() {
        keyword(
            scope,
            &scope.at(&format!("signals.keywords[{index}]")),
            rule,
            findings,
        );
    }
    for (index, rule) in signals.context.iter().enumerate() {
        context(
            &scope.at(&format!("signals.context[{index}]")),
            rule,
            findings,
        );
    }
    for (index, rule) in signals.structure.iter().enumerate() {
        structure(
            &scope.at(&format!("signals.structure[{index}]")),
            rule,
            findings,
        );
    }
    for (index, rule) in signals.conversation.iter().enumerate() {
        conversation(
            &scope.at(&format!("signals.conversation[{index}]")),
            rule,
            findings,
        );
    }
    language(scope, findings);
    bindings(scope, findings);
    events(scope, findings);
    metadata(scope, findings);
}

/// Methods of keyword rules; empty means literal.
pub(super) fn is_known_method(method: &str) -> bool {
    ["", "regex", "bm25", "ngram"].contains(&method.to_lowercase().as_str())
}

fn keyword(scope: &Scope<'_>, path: &str, rule: &KeywordRule, findings: &mut Findings) {
    if !["AND", "OR", "NOR"].contains(&rule.operator.as_str()) {
        let hint = suggestion(&rule.operator, ["AND", "OR", "NOR"]);
        findings.error(
            format!("{path}.operator"),
            format!("the operator is `AND`, `OR` or `NOR`, in upper case{hint}"),
        );
    }
    if !is_known_method(&rule.method) {
        unknown_method(scope, path, rule, findings);
        return;
    }
    let method = rule.method.to_lowercase();
    let native = matches!(method.as_str(), "bm25" | "ngram");
    if rule.keywords.is_empty() {
        findings.warn(
            path,
            "no keywords: `AND` and `NOR` then always match, `OR` never",
        );
    }
    if rule.fuzzy_match && native {
        findings.warn(
            format!("{path}.fuzzy_match"),
            format!("has no effect with `method: {method}`"),
        );
    }
    let longest = rule
        .keywords
        .iter()
        .map(|keyword| keyword.chars().count())
        .max()
        .unwrap_or(0);
    if rule.fuzzy_match && !native && longest > 0 && rule.fuzzy_threshold as usize >= longest {
        let message = format!(
            "is an edit distance: {} edits turn any word into any keyword; 1 or 2 is usual",
            rule.fuzzy_threshold
        );
        findings.warn(format!("{path}.fuzzy_threshold"), message);
    }
    if rule.case_sensitive && method == "bm25" {
        findings.note(
            format!("{path}.case_sensitive"),
            "has no effect with `method: bm25`, whose tokenizer lower-cases",
        );
    }
    if method == "ngram" && rule.ngram_arity == 1 {
        findings.warn(
            format!("{path}.ngram_arity"),
            "the least arity is 2, which is used instead",
        );
    }
    for (index, keyword) in rule.keywords.iter().enumerate() {
        let path = format!("{path}.keywords[{index}]");
        if keyword.is_empty() && !native {
            findings.warn(path, "an empty keyword is found in every text");
        } else if method.is_empty() {
            boundaries(path, keyword, findings);
        }
    }
}

fn unknown_method(scope: &Scope<'_>, path: &str, rule: &KeywordRule, findings: &mut Findings) {
    let mut message = format!(
        "`{}` is no method; known: regex, bm25, ngram, or none for literal keywords",
        rule.method
    );
    if rule.method.eq_ignore_ascii_case("fuzzy") {
        message = "`fuzzy` is no method: drop `method`, keep `fuzzy_match: true`".to_owned();
        if rule.fuzzy_threshold > 9 {
            message.push_str(&format!(
                ", and write `fuzzy_threshold: 2`: it is an edit distance, and {} edits turn any word into any other",
                rule.fuzzy_threshold
            ));
        }
    }
    let path = format!("{path}.method");
    match scope.used.rule(Kind::Keyword, &rule.name) {
        true => findings.error(path, message),
        false => findings.warn(
            path,
            format!("{message}; no decision uses the rule, so it is left out"),
        ),
    }
}

/// The reference puts ASCII word boundaries around keywords; at other letters they can never hold.
fn boundaries(path: String, keyword: &str, findings: &mut Findings) {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let wordy = keyword
        .chars()
        .any(|letter| letter.is_alphanumeric() || letter == '_');
    let han = keyword.chars().any(|letter| matches!(u32::from(letter), 0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF));
    if !wordy || han {
        return;
    }
    let edges = [keyword.chars().next(), keyword.chars().next_back()];
    let (mut letters, mut signs) = (false, false);
    for edge in edges.into_iter().flatten().filter(|&edge| !is_word(edge)) {
        letters |= edge.is_alphabetic();
        signs |= !edge.is_alphabetic();
    }
    if letters {
        let message = format!(
            "`{keyword}` begins or ends with a letter outside ASCII: the reference never finds it, Merit does"
        );
        findings.note(path, message);
    } else if signs {
        let message = format!(
            "`{keyword}` begins or ends with a sign: it is found only where a letter or digit adjoins; use `method: regex` to find it alone"
        );
        findings.warn(path, message);
    }
}

fn context(path: &str, rule: &ContextRule, findings: &mut Findings) {
    let mut bound = |key: &str, text: &str| {
        let tokens = tokens(text);
        if tokens.is_none() {
            findings.error(
                format!("{path}.{key}"),
                format!("`{text}` is no token count; write `4096`, `32K` or `1M`"),
            );
        }
        tokens
    };
    let (low, high) = (
        bound("min_tokens", &rule.min_tokens),
        bound("max_tokens", &rule.max_tokens),
    );
    if rule.max_tokens.trim().is_empty() {
        findings.warn(
            path,
            "`max_tokens` is omitted and means 0, so the rule never matches; write an upper bound, for example `10M`",
        );
    } else if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        findings.error(
            path,
            format!("`min_tokens` ({low}) exceeds `max_tokens` ({high})"),
        );
    }
}

fn tokens(text: &str) -> Option<u64> {
    let text = text.trim().to_uppercase();
    let (digits, factor) = match (text.strip_suffix('K'), text.strip_suffix('M')) {
        (Some(digits), _) => (digits, 1e3),
        (_, Some(digits)) => (digits, 1e6),
        _ => (text.as_str(), 1.0),
    };
    if digits.is_empty() {
        return text.is_empty().then_some(0);
    }
    let value: f64 = digits.trim().parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((value * factor) as u64)
}

fn structure(path: &str, rule: &StructureRule, findings: &mut Findings) {
    let feature = rule.feature.kind.trim().to_lowercase();
    let source = &rule.feature.source;
    let kind = source.kind.trim().to_lowercase();
    let sources = ["regex", "keyword_set", "sequence", "text_bytes"];
    let fitting = match feature.as_str() {
        "exists" | "count" => kind != "text_bytes" || feature == "count",
        "density" => matches!(kind.as_str(), "regex" | "keyword_set"),
        "sequence" => kind == "sequence",
        _ => {
            let hint = suggestion(&feature, ["exists", "count", "density", "sequence"]);
            findings.error(
                format!("{path}.feature.type"),
                format!("`{feature}` is no feature{hint}"),
            );
            true
        }
    };
    if !sources.contains(&kind.as_str()) {
        let hint = suggestion(&kind, sources);
        findings.error(
            format!("{path}.feature.source.type"),
            format!("`{kind}` is no source{hint}"),
        );
    } else if !fitting {
        findings.error(
            format!("{path}.feature"),
            format!("the feature `{feature}` cannot be read from a `{kind}` source"),
        );
    }
    let empty = match kind.as_str() {
        "regex" => source.pattern.is_empty().then_some("pattern"),
        "keyword_set" => source.keywords.is_empty().then_some("keywords"),
        "sequence" => source
            .sequences
            .iter()
            .all(Vec::is_empty)
            .then_some("sequences"),
        _ => None,
    };
    if let Some(key) = empty {
        findings.error(
            format!("{path}.feature.source"),
            format!("a `{kind}` source needs `{key}`"),
        );
    }
    match (&rule.predicate, feature.as_str()) {
        (Some(_), "exists") => findings.error(
            format!("{path}.predicate"),
            "`exists` takes no predicate; use `count`",
        ),
        (Some(predicate), _) => {
            super::rules::predicate(&format!("{path}.predicate"), predicate, findings)
        }
        (None, _) => {}
    }
}

fn conversation(path: &str, rule: &ConversationRule, findings: &mut Findings) {
    let source = &rule.feature.source;
    let sources = [
        "message",
        "tool_definition",
        "assistant_tool_call",
        "assistant_tool_cycle",
        "active_tool_loop",
        "image_content",
    ];
    let roles = [
        "user",
        "assistant",
        "system",
        "tool",
        "developer",
        "non_user",
    ];
    if !["count", "exists"].contains(&rule.feature.kind.as_str()) {
        let hint = suggestion(&rule.feature.kind, ["count", "exists"]);
        findings.error(
            format!("{path}.feature.type"),
            format!("`{}` is no feature{hint}", rule.feature.kind),
        );
    }
    if !sources.contains(&source.kind.as_str()) {
        let hint = suggestion(&source.kind, sources);
        findings.error(
            format!("{path}.feature.source.type"),
            format!("`{}` is no source{hint}", source.kind),
        );
    }
    if !source.role.is_empty() && !roles.contains(&source.role.as_str()) {
        let hint = suggestion(&source.role, roles);
        findings.error(
            format!("{path}.feature.source.role"),
            format!("`{}` is no role{hint}", source.role),
        );
    } else if !source.role.is_empty() && source.kind != "message" {
        findings.warn(
            format!("{path}.feature.source.role"),
            "only a `message` source has a role",
        );
    }
    match (&rule.predicate, rule.feature.kind.as_str()) {
        (Some(_), "exists") => findings.warn(
            format!("{path}.predicate"),
            "`exists` reads no predicate; use `count`",
        ),
        (Some(predicate), _) => {
            super::rules::predicate(&format!("{path}.predicate"), predicate, findings)
        }
        (None, "count") => findings.warn(
            path,
            "`count` without a predicate always matches, even at 0",
        ),
        (None, _) => {}
    }
    let developer = source.role == "developer"
        && rule
            .predicate
            .is_some_and(|predicate| needs_two(&predicate));
    if developer {
        findings.warn(
            format!("{path}.predicate"),
            "developer messages count 1 at most, so this never matches",
        );
    }
}

fn needs_two(predicate: &NumericPredicate) -> bool {
    predicate.gt.is_some_and(|bound| bound >= 1.0) || predicate.gte.is_some_and(|bound| bound > 1.0)
}

fn language(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.routing.signals.language.iter().enumerate() {
        let path = scope.at(&format!("signals.language[{index}].name"));
        let code = rule.name.as_str();
        if code == "no" {
            findings.warn(
                path,
                "Norwegian is reported as `nb` or `nn`, so `no` never matches",
            );
        } else if code.len() != 2 || !code.bytes().all(|letter| letter.is_ascii_lowercase()) {
            findings.warn(
                path,
                format!("`{code}` is no ISO-639-1 code in lower case and never matches; write `en`, `de`, `zh` …"),
            );
        }
    }
}

fn bindings(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, binding) in scope.routing.signals.role_bindings.iter().enumerate() {
        let path = scope.at(&format!("signals.role_bindings[{index}]"));
        if binding.role.trim().is_empty() {
            findings.error(&path, "`role` is missing");
        }
        if binding.subjects.is_empty() {
            findings.error(&path, "`subjects` is empty, so nobody has the role");
        }
        for (index, subject) in binding.subjects.iter().enumerate() {
            let path = format!("{path}.subjects[{index}]");
            if !["user", "group"].contains(&subject.kind.to_lowercase().as_str()) {
                findings.error(
                    format!("{path}.kind"),
                    format!("`{}` is no kind; known: User, Group", subject.kind),
                );
            }
            if subject.name.trim().is_empty() {
                findings.error(path, "`name` is missing");
            }
        }
    }
}

fn events(scope: &Scope<'_>, findings: &mut Findings) {
    let levels = ["critical", "high", "medium", "low"];
    for (index, rule) in scope.routing.signals.events.iter().enumerate() {
        let path = scope.at(&format!("signals.events[{index}]"));
        if rule.event_types.is_empty()
            && rule.severities.is_empty()
            && rule.action_codes.is_empty()
            && !rule.temporal
        {
            findings.warn(&path, "no criterion is given, so the rule never matches");
        }
        for (index, severity) in rule.severities.iter().enumerate() {
            if !levels.contains(&severity.trim().to_lowercase().as_str()) {
                let hint = suggestion(severity, levels);
                findings.warn(
                    format!("{path}.severities[{index}]"),
                    format!("`{severity}` is no severity and is passed over{hint}"),
                );
            }
        }
    }
}

fn metadata(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.routing.signals.metadata.iter().enumerate() {
        let path = scope.at(&format!("signals.metadata[{index}]"));
        if rule.key.is_empty() {
            findings.error(&path, "`key` is missing");
        }
        let predicate = &rule.predicate;
        let conditions = [
            predicate.equals.is_some(),
            predicate.one_of.is_some(),
            predicate.exists.is_some(),
        ];
        if conditions.into_iter().filter(|written| *written).count() != 1 {
            findings.error(
                format!("{path}.predicate"),
                "exactly one of `equals`, `in` and `exists` is wanted",
            );
        }
        if predicate.one_of.as_ref().is_some_and(Vec::is_empty) {
            findings.error(
                format!("{path}.predicate.in"),
                "an empty list never matches",
            );
        }
    }
}
