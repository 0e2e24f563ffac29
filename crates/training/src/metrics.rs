//! Figures on labelled texts.

/// Probabilities and classes of texts.
#[derive(Debug, Clone, Default)]
pub struct Scored {
    /// Probabilities of each text.
    pub rows: Vec<Vec<f32>>,
    /// Class of each text.
    pub labels: Vec<usize>,
}

impl Scored {
    /// Share of texts whose likeliest class is right. 0 without texts, as all figures here.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = self
            .each()
            .filter(|(row, label)| likeliest(row) == *label)
            .count();
        right as f64 / self.labels.len().max(1) as f64
    }

    /// Texts by class, row, and by what they were taken for, column.
    #[must_use]
    pub fn confusion(&self, classes: usize) -> Vec<Vec<usize>> {
        let mut table = vec![vec![0; classes]; classes];
        self.each()
            .for_each(|(row, label)| table[label][likeliest(row)] += 1);
        table
    }

    /// Mean over classes of the harmonic mean of precision and recall; classes that neither occur
    /// nor are named are left out.
    #[must_use]
    pub fn macro_f1(&self, classes: usize) -> f64 {
        let table = self.confusion(classes);
        let of = |class: usize| {
            let named: usize = table.iter().map(|row| row[class]).sum();
            let there: usize = table[class].iter().sum();
            (named + there > 0).then(|| 2.0 * table[class][class] as f64 / (named + there) as f64)
        };
        let each: Vec<f64> = (0..classes).filter_map(of).collect();
        each.iter().sum::<f64>() / each.len().max(1) as f64
    }

    /// Probability that a text of `class` scores higher on it than another text does; half where
    /// they tie.
    #[must_use]
    pub fn auroc(&self, class: usize) -> f64 {
        let mut all: Vec<(f32, bool)> = self
            .each()
            .map(|(row, label)| (row[class], label == class))
            .collect();
        all.sort_by(|left, right| left.0.total_cmp(&right.0));
        let (mut below, mut sum) = (0.0, 0.0);
        for tie in all.chunk_by(|left, right| left.0 == right.0) {
            let of_class = tie.iter().filter(|(_, is)| *is).count() as f64;
            let others = tie.len() as f64 - of_class;
            sum += of_class * (below + others / 2.0);
            below += others;
        }
        let of_class = all.len() as f64 - below;
        if below * of_class > 0.0 {
            sum / (below * of_class)
        } else {
            0.0
        }
    }

    /// Mean over ten bins of the likeliest class's probability: how far it is from the share that
    /// is right.
    #[must_use]
    pub fn calibration_error(&self) -> f64 {
        let mut bins = [(0.0_f64, 0.0_f64); 10];
        for (row, label) in self.each() {
            let class = likeliest(row);
            let confidence = f64::from(row[class]);
            let bin = &mut bins[((confidence * 10.0) as usize).min(9)];
            bin.0 += confidence;
            bin.1 += f64::from(u8::from(class == label));
        }
        bins.iter()
            .map(|(confidence, right)| (confidence - right).abs())
            .sum::<f64>()
            / self.labels.len().max(1) as f64
    }

    /// Share of texts of `class`, or of others, that score `threshold` or more on it.
    #[must_use]
    pub fn over(&self, class: usize, threshold: f32, of_class: bool) -> f64 {
        let those: Vec<f32> = self
            .each()
            .filter(|(_, label)| (*label == class) == of_class)
            .map(|(row, _)| row[class])
            .collect();
        those.iter().filter(|score| **score >= threshold).count() as f64 / those.len().max(1) as f64
    }

    fn each(&self) -> impl Iterator<Item = (&Vec<f32>, usize)> {
        self.rows
            .iter()
            .zip(self.labels.iter().copied())
            .filter(|(row, _)| !row.is_empty())
    }
}

/// The class with the greatest probability, the first of equal ones.
#[must_use]
pub fn likeliest(row: &[f32]) -> usize {
    row.iter().enumerate().fold(
        0,
        |best, (class, value)| if *value > row[best] { class } else { best },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(scores: &[(f32, usize)]) -> Scored {
        Scored {
            rows: scores
                .iter()
                .map(|(score, _)| vec![1.0 - score, *score])
                .collect(),
            labels: scores.iter().map(|(_, label)| *label).collect(),
        }
    }

    #[track_caller]
    fn check(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-6,
            "{found}, expected {expected}"
        );
    }

    #[test]
    fn counts_known_cases() {
        let scored = binary(&[(0.9, 1), (0.8, 0), (0.7, 1), (0.2, 0), (0.1, 0)]);
        check(scored.accuracy(), 0.8);
        assert_eq!(scored.confusion(2), [[2, 1], [0, 2]]);
        // Class 0: precision 1, recall ⅔; class 1: precision ⅔, recall 1.
        check(scored.macro_f1(2), 0.8);
        // Of 2 · 3 pairs one is the wrong way round.
        check(scored.auroc(1), 5.0 / 6.0);
        check(scored.over(1, 0.75, true), 0.5);
        check(scored.over(1, 0.75, false), 1.0 / 3.0);
    }

    #[test]
    fn ties_count_half() {
        check(binary(&[(0.5, 0), (0.5, 1)]).auroc(1), 0.5);
        check(binary(&[(0.5, 1)]).auroc(1), 0.0);
        check(Scored::default().accuracy(), 0.0);
    }

    #[test]
    fn calibration_compares_confidence_with_what_is_right() {
        check(
            binary(&[(0.75, 1), (0.75, 1), (0.75, 1), (0.75, 0)]).calibration_error(),
            0.0,
        );
        check(binary(&[(0.95, 0), (0.95, 0)]).calibration_error(), 0.95);
    }
}
