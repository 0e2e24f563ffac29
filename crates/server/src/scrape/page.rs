//! A page in Prometheus' text format, as far as it tells of a model's pool. What cannot be read is
//! passed over.

use super::histogram::Histogram;
use selection::pool::Report;

/// vLLM's figures on a page; those of several engines are added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page {
    running: Option<f64>,
    waiting: Option<f64>,
    cache_usage: Option<f64>,
    ttft: Histogram,
    /// Time per output token under its names: a request's mean, the time between tokens, the older
    /// name of that.
    tpot: [Histogram; 3],
}

impl Page {
    /// `None` if there is nothing of vLLM on it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut page = Self::default();
        text.lines()
            .filter_map(Sample::read)
            .for_each(|sample| page.take(&sample));
        (page != Self::default()).then_some(page)
    }

    /// Adds what is new since the last page, if there was one.
    pub(super) fn add_to(&self, report: &mut Report, last: Option<&Option<Self>>) {
        let more = |sum: &mut Option<f64>, value: Option<f64>| {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0.0) + value);
            }
        };
        more(&mut report.running, self.running);
        more(&mut report.waiting, self.waiting);
        report.cache_usage = greatest(report.cache_usage, self.cache_usage);
        let Some(Some(last)) = last else { return };
        report.ttft_ms.extend(self.ttft.samples_since(&last.ttft));
        let known = self
            .tpot
            .iter()
            .zip(&last.tpot)
            .find(|(now, _)| !now.is_empty());
        report.tpot_ms.extend(
            known
                .into_iter()
                .flat_map(|(now, last)| now.samples_since(last)),
        );
    }

    fn take(&mut self, sample: &Sample<'_>) {
        let Some(name) = sample
            .name
            .strip_prefix("vllm:")
            .or_else(|| sample.name.strip_prefix("vllm_"))
        else {
            return;
        };
        let more = |sum: &mut Option<f64>| *sum = Some(sum.unwrap_or(0.0) + sample.value);
        match name {
            "num_requests_running" => more(&mut self.running),
            "num_requests_waiting" => more(&mut self.waiting),
            "kv_cache_usage_perc" | "gpu_cache_usage_perc" => {
                self.cache_usage = greatest(self.cache_usage, Some(sample.value));
            }
            _ => self.take_bucket(name, sample),
        }
    }

    fn take_bucket(&mut self, name: &str, sample: &Sample<'_>) {
        let [mean, between, older] = &mut self.tpot;
        let histogram = match name {
            "time_to_first_token_seconds_bucket" => &mut self.ttft,
            "request_time_per_output_token_seconds_bucket" => mean,
            "inter_token_latency_seconds_bucket" => between,
            "time_per_output_token_seconds_bucket" => older,
            _ => return,
        };
        if let Some(bound) = sample.bound {
            histogram.add(bound, sample.value);
        }
    }
}

fn greatest(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

/// One line.
#[derive(Debug, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    /// The label `le`.
    bound: Option<f64>,
    /// Finite and not below 0.
    value: f64,
}

impl<'a> Sample<'a> {
    /// `name{label="value", …} number [time]`; comments, other lines and odd numbers give `None`.
    fn read(line: &'a str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let (name, rest) =
            line.split_at_checked(line.find(|at: char| at == '{' || at.is_whitespace())?)?;
        let (bound, rest) = match rest.strip_prefix('{') {
            Some(labels) => read_labels(labels)?,
            None => (None, rest),
        };
        let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(Self { name, bound, value })
    }
}

/// The bound among the labels, and what follows them.
fn read_labels(mut text: &str) -> Option<(Option<f64>, &str)> {
    let mut bound = None;
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((bound, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let quoted = rest.trim_start().strip_prefix('"')?;
        let (value, rest) = quoted.split_at_checked(closing_quote(quoted)?)?;
        if name.trim() == "le" {
            bound = value.parse().ok();
        }
        text = rest.strip_prefix('"')?;
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => byte == b'"',
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        let check = |line: &str, expected: Option<(&str, Option<f64>, f64)>| {
            let got = Sample::read(line).map(|sample| (sample.name, sample.bound, sample.value));
            assert_eq!(got, expected, "{line}");
        };
        check("up 1", Some(("up", None, 1.0)));
        check("a:b{} 2.5e3 1700000000", Some(("a:b", None, 2500.0)));
        check(
            r#"h_bucket{model_name="a}\"b",le="0.5"} 7"#,
            Some(("h_bucket", Some(0.5), 7.0)),
        );
        check(
            r#"h_bucket{le="+Inf", engine="0",} 9 # {trace="x"} 1"#,
            Some(("h_bucket", Some(f64::INFINITY), 9.0)),
        );
        check("# TYPE up gauge", None);
        check("", None);
        check("up", None);
        check("up NaN", None);
        check("up +Inf", None);
        check("up -1", None);
        check(r#"up{a="b 1"#, None);
        check("up{a=b} 1", None);
        check("é{} 1", Some(("é", None, 1.0)));
    }

    #[test]
    fn figures_of_several_engines_are_added_up() {
        let text = "vllm:num_requests_running{engine=\"0\"} 2\nvllm:num_requests_running{engine=\"1\"} 3\n\
                    vllm:num_requests_waiting{engine=\"0\"} 1\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.25\n\
                    vllm:kv_cache_usage_perc{engine=\"1\"} 0.75\n";
        let mut report = Report::default();
        Page::read(text).unwrap().add_to(&mut report, None);
        let figures = (report.running, report.waiting, report.cache_usage);
        assert_eq!(figures, (Some(5.0), Some(1.0), Some(0.75)));
        assert_eq!(
            Page::read("process_cpu_seconds_total 5\n<html>no metrics</html>"),
            None
        );
    }

    #[test]
    fn the_best_known_time_per_token_is_taken() {
        let page = |name: &str, count: u32| {
            let text = format!(
                "vllm:{name}_bucket{{le=\"0.1\"}} {count}\nvllm:{name}_bucket{{le=\"+Inf\"}} {count}"
            );
            Page::read(&text).unwrap()
        };
        for name in [
            "request_time_per_output_token_seconds",
            "inter_token_latency_seconds",
            "time_per_output_token_seconds",
        ] {
            let mut report = Report::default();
            page(name, 3).add_to(&mut report, Some(&Some(page(name, 1))));
            assert_eq!(report.tpot_ms.len(), 2, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(vllm:[a-z_]{0,12}|[\\PC{}\"=,\\\\# ]{0,20}|\n){0,12}") {
            let _page = Page::read(&text);
        }
    }
}
