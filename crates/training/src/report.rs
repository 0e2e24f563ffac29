//! What came of a run: figures by set of texts, in print and for the card.

use crate::metrics::Scored;
use inference::head::HeadCard;
use std::collections::BTreeMap;
use std::io::Write;

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The head's card.
    pub card: HeadCard,
    /// Figures by set of texts.
    pub figures: Vec<Figures>,
}

/// Figures of a set of texts that the head was not fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The set.
    pub name: String,
    /// Texts in it.
    pub texts: usize,
    /// Share of right classes.
    pub accuracy: f64,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Area under the curve of the second of two classes.
    pub auroc: Option<f64>,
    /// Mean distance of confidence from accuracy.
    pub calibration_error: f64,
    /// Share of the second class's texts over the threshold, where there are two classes.
    pub recall: Option<f64>,
    /// Share of the first class's texts over the threshold, where there are two classes.
    pub false_positives: Option<f64>,
    /// Texts by class and what they were taken for.
    pub confusion: Vec<Vec<usize>>,
}

impl Figures {
    pub(crate) fn of(name: &str, scored: &Scored, classes: usize, threshold: f32) -> Self {
        let both = classes == 2;
        let there = |class| scored.labels.contains(&class);
        Self {
            name: name.to_owned(),
            texts: scored.labels.len(),
            accuracy: scored.accuracy(),
            macro_f1: scored.macro_f1(classes),
            auroc: (both && there(0) && there(1)).then(|| scored.auroc(1)),
            calibration_error: scored.calibration_error(),
            recall: (both && there(1)).then(|| scored.over(1, threshold, true)),
            false_positives: (both && there(0)).then(|| scored.over(1, threshold, false)),
            confusion: scored.confusion(classes),
        }
    }
}

impl Report {
    pub(crate) fn print(&self, log: &mut dyn Write) -> std::io::Result<()> {
        writeln!(
            log,
            "{:<22} {:>6} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            "texts", "", "acc", "f1", "auroc", "ece", "recall", "fp"
        )?;
        let optional = |figure: Option<f64>| {
            figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"))
        };
        for set in &self.figures {
            let (auroc, recall, fp) = (
                optional(set.auroc),
                optional(set.recall),
                optional(set.false_positives),
            );
            let fixed = format!(
                "{:>6} {:>7.3} {:>7.3}",
                set.texts, set.accuracy, set.macro_f1
            );
            writeln!(
                log,
                "{:<22} {fixed} {auroc:>7} {:>7.3} {recall:>7} {fp:>7}",
                set.name, set.calibration_error
            )?;
        }
        let tables = self
            .figures
            .iter()
            .filter(|set| matches!(set.name.as_str(), "test" | "evaluation"));
        for set in tables {
            writeln!(
                log,
                "{}: rows are classes, columns what they were taken for",
                set.name
            )?;
            for (label, row) in self.card.labels.iter().zip(&set.confusion) {
                let cells: String = row.iter().map(|count| format!("{count:>5}")).collect();
                writeln!(log, "{label:>22}{cells}")?;
            }
        }
        Ok(())
    }
}

/// Figures for the card, to the fourth place.
pub(crate) fn metrics(figures: &[Figures]) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for set in figures {
        let whole = set.recall.is_some() || set.false_positives.is_none();
        let named = [
            ("texts", Some(set.texts as f64)),
            ("accuracy", Some(set.accuracy)),
            ("macro_f1", Some(set.macro_f1).filter(|_| whole)),
            ("calibration_error", Some(set.calibration_error)),
            ("auroc", set.auroc),
            ("recall", set.recall),
            ("false_positives", set.false_positives),
        ];
        for (name, figure) in named {
            if let Some(figure) = figure {
                metrics.insert(format!("{}.{name}", set.name), (figure * 1e4).round() / 1e4);
            }
        }
    }
    metrics
}
