//! What algorithms do with scores: the best of them, and their places between the least and the
//! most.

/// Returns the first of the highest. A number that is not finite never wins.
pub(super) fn highest(scores: impl IntoIterator<Item = (usize, f64)>) -> Option<(usize, f64)> {
    let finite = scores.into_iter().filter(|(_, score)| score.is_finite());
    finite.fold(None, |best: Option<(usize, f64)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    })
}

/// Returns the first of the lowest. A number that is not finite never wins.
pub(super) fn lowest(scores: impl IntoIterator<Item = (usize, f64)>) -> Option<(usize, f64)> {
    highest(scores.into_iter().map(|(index, score)| (index, -score)))
        .map(|(index, score)| (index, -score))
}

/// Least and most of finite numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// Returns the spread; `None` without a finite number.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        numbers
            .into_iter()
            .filter(|number| number.is_finite())
            .fold(None, |range: Option<Self>, number| {
                let range = range.unwrap_or(Self {
                    low: number,
                    high: number,
                });
                Some(Self {
                    low: range.low.min(number),
                    high: range.high.max(number),
                })
            })
    }

    /// Returns 0 for the least, 1 for the most, a half where all are equal.
    pub(super) fn place(&self, number: f64) -> f64 {
        let width = self.high - self.low;
        if width == f64::INFINITY {
            // Halves of finite numbers have a finite difference.
            return (number / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        }
        if width > 0.0 {
            (number - self.low) / width
        } else {
            0.5
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scores: &[f64], best: Option<usize>, worst: Option<usize>) {
        let scored = || scores.iter().copied().enumerate();
        assert_eq!(
            highest(scored()).map(|(index, _)| index),
            best,
            "{scores:?}"
        );
        assert_eq!(
            lowest(scored()).map(|(index, _)| index),
            worst,
            "{scores:?}"
        );
    }

    #[test]
    fn the_first_of_the_best_finite_numbers() {
        check(&[], None, None);
        check(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY], None, None);
        check(&[f64::NAN, 1.0, f64::INFINITY], Some(1), Some(1));
        check(&[2.0, 3.0, 3.0, 2.0], Some(1), Some(0));
        check(&[-1.0, 0.0], Some(1), Some(0));
    }

    #[test]
    fn places() {
        let range = Range::of([4.0, f64::NAN, 2.0]).unwrap();
        assert_eq!(
            [2.0, 3.0, 4.0].map(|number| range.place(number)),
            [0.0, 0.5, 1.0]
        );
        assert_eq!(Range::of([7.0, 7.0]).unwrap().place(7.0), 0.5);
        assert_eq!(Range::of([f64::INFINITY]), None);
        assert_eq!(Range::of([f64::MIN, f64::MAX]).unwrap().place(0.0), 0.5);
    }
}
