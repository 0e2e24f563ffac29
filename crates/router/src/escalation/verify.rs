//! A model grades its own answer: the request for the grade, and the grade that comes back.

use serde_json::{Value, json};

/// Tokens that a grade may take.
const GRADE_TOKENS: u64 = 256;
/// Names under which a grade is looked for in a JSON answer.
const KEYS: [&str; 3] = ["confidence", "score", "grade"];

/// The body of a request for a grade.
#[must_use]
pub fn request(model: &str, question: &str, answer: &str, tokens: u64) -> String {
    let role = "You grade answers. Judge how likely it is that the answer below is correct and complete. Reply with JSON \
                alone: {\"confidence\": <a number from 0 to 1>}";
    let shown = format!("Question:\n{question}\n\nAnswer:\n{answer}");
    json!({
        "model": model,
        "messages": [{"role": "system", "content": role}, {"role": "user", "content": shown}],
        "temperature": 0.1,
        "max_tokens": tokens.min(GRADE_TOKENS),
        "stream": false,
    })
    .to_string()
}

/// The grade: a number from 0 to 1 in JSON, else the first such number in the text.
#[must_use]
pub fn grade(text: &str) -> Option<f64> {
    from_json(text).or_else(|| {
        let numbers = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
        numbers
            .filter_map(|word| word.trim_end_matches('.').parse().ok())
            .find(is_grade)
    })
}

fn from_json(text: &str) -> Option<f64> {
    let object = text.get(text.find('{')?..=text.rfind('}')?)?;
    let value: Value = serde_json::from_str(object).ok()?;
    KEYS.iter()
        .find_map(|key| value.get(*key)?.as_f64())
        .filter(is_grade)
}

fn is_grade(number: &f64) -> bool {
    (0.0..=1.0).contains(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_as_models_write_them() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(grade(text), expected, "{text}");
        check(r#"{"confidence": 0.85}"#, Some(0.85));
        check(
            "```json\n{\"confidence\": 1, \"why\": \"{}\"}\n```",
            Some(1.0),
        );
        check(r#"{"score": 0.4}"#, Some(0.4));
        check("I am 90 percent sure, so 0.9.", Some(0.9));
        check(r#"{"confidence": 85}"#, None);
        check("Confidence: -0.5, or 1", Some(1.0));
        check("no idea", None);
        check("", None);
    }

    #[test]
    fn a_request_holds_question_and_answer() {
        let body: Value = serde_json::from_str(&request("m", "1+1?", "2", 100)).unwrap();
        assert_eq!(
            (body["model"].as_str(), body["max_tokens"].as_u64()),
            (Some("m"), Some(100))
        );
        assert_eq!(
            body["messages"][1]["content"],
            "Question:\n1+1?\n\nAnswer:\n2"
        );
        let body: Value = serde_json::from_str(&request("m", "", "", u64::MAX)).unwrap();
        assert_eq!(body["max_tokens"], 256);
    }
}
