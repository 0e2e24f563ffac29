//! Energy per output token of a pool at `b` requests in flight: the card's curve, our fits to
//! published measurements, or a regression over model sizes.

use super::{Figure, Length};
use crate::card::Card;
use crate::providers::EnergyCurve;
use std::sync::{Arc, OnceLock};

/// Our fits, with source and date in their head.
const TABLE: &str = include_str!("curves.csv");
const TABLE_SOURCE: &str = "our fit to the ML.ENERGY leaderboard v3";
const TABLE_DATE: &str = "2026-02-16";
/// Relative error of a card's curve that states none: nine in ten of our own fits are better.
const UNSTATED: f64 = 0.255;
/// Relative error of the regression with every model taken for a dense one on as few accelerators
/// as hold it: nine in ten of the chat measurements on H100 are closer.
const REGRESSION_ERROR: f64 = 0.78;
/// Least load that the regression was fitted at.
const REGRESSION_LOAD: f64 = 8.0;

/// What is known of a model's energy.
#[derive(Debug)]
pub(super) struct Energy {
    /// The first is the prediction; the interval spans all, as the accelerators are not known.
    curves: Vec<Curve>,
    method: &'static str,
    source: Arc<str>,
    date: Arc<str>,
}

#[derive(Debug, Clone, Copy)]
struct Curve {
    shape: Shape,
    /// Relative error.
    error: f64,
    /// Loads that it was measured at.
    measured: (f64, f64),
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// `P(b) = c + a·ln b` watts, `TPOT(b) = j + i·b` milliseconds.
    Pool { a: f64, c: f64, i: f64, j: f64 },
    /// Joules per token at one request; falls as `b^-0.525`.
    Size { at_one: f64 },
}

impl Energy {
    /// Finds the card's curve; else a fit for a model of the same name, or of the name `id` that
    /// its server knows it by; else by size.
    pub(super) fn of(card: &Card, id: &str) -> Option<Self> {
        if let Some(curve) = &card.energy {
            return Some(Self::written(curve));
        }
        let named = [id, &*card.name]
            .into_iter()
            .map(plain)
            .filter(|name| !name.is_empty());
        let fitted = named
            .into_iter()
            .find_map(|name| table().iter().find(|(other, _)| *other == name));
        if let Some((_, curves)) = fitted {
            let (source, date) = (TABLE_SOURCE.into(), TABLE_DATE.into());
            return Some(Self {
                curves: curves.clone(),
                method: "fitted",
                source,
                date,
            });
        }
        let shape = Shape::Size {
            at_one: by_size(card.parameters? / 1e3),
        };
        let curve = Curve {
            shape,
            error: REGRESSION_ERROR,
            measured: (REGRESSION_LOAD, f64::INFINITY),
        };
        let source =
            "regression of ML.ENERGY leaderboard v3 chat measurements on H100 over size, taken as dense".into();
        Some(Self {
            curves: vec![curve],
            method: "regression",
            source,
            date: TABLE_DATE.into(),
        })
    }

    fn written(curve: &EnergyCurve) -> Self {
        let EnergyCurve { a, c, i, j, .. } = *curve;
        let error = if curve.uncertainty > 0.0 {
            curve.uncertainty
        } else {
            UNSTATED
        };
        let method = match curve.method.as_str() {
            "fitted" => "fitted",
            "estimated" => "estimated",
            "vendor" => "vendor",
            _ => "measured",
        };
        let source = if curve.source.is_empty() {
            "modelCards[].energy"
        } else {
            &curve.source
        };
        let curve_of = Curve {
            shape: Shape::Pool { a, c, i, j },
            error,
            measured: (1.0, f64::INFINITY),
        };
        Self {
            curves: vec![curve_of],
            method,
            source: source.into(),
            date: curve.date.as_str().into(),
        }
    }

    /// Returns the joules of one output token, as its share of the pool's power; `None` where the
    /// curve leaves what is possible.
    pub(super) fn expected_per_token(&self, b: f64) -> Option<f64> {
        self.curves.first()?.per_token(b)
    }

    /// Returns the joules that one more output token takes from a pool that is on anyway.
    pub(super) fn marginal_per_token(&self, b: f64) -> Option<f64> {
        self.curves.first()?.marginal(b)
    }

    /// Returns the joules of the whole answer, with the interval of curve and length together.
    pub(super) fn joules(&self, b: f64, length: &Length) -> Option<Figure> {
        let expected = self.expected_per_token(b)? * length.expected;
        let spans = self
            .curves
            .iter()
            .filter_map(|curve| Some((curve.per_token(b)?, curve.factor(b))));
        let (low, high) = spans.fold((f64::INFINITY, 0.0_f64), |(low, high), (joules, factor)| {
            (low.min(joules / factor), high.max(joules * factor))
        });
        Some(Figure {
            expected,
            low: (low * length.low).min(expected),
            high: (high * length.high).max(expected),
            method: self.method,
            source: Arc::clone(&self.source),
            date: Arc::clone(&self.date),
        })
    }
}

impl Curve {
    fn per_token(&self, b: f64) -> Option<f64> {
        let joules = match self.shape {
            Shape::Pool { a, c, i, j } => {
                let (watts, milliseconds) = (c + a * b.ln(), j + i * b);
                (watts > 0.0 && milliseconds > 0.0).then(|| watts * milliseconds / (1e3 * b))?
            }
            Shape::Size { at_one } => at_one * b.powf(-0.525),
        };
        joules.is_finite().then_some(joules)
    }

    fn marginal(&self, b: f64) -> Option<f64> {
        match self.shape {
            Shape::Pool { a, i, j, .. } => {
                Some(a * (j + i * b) / (1e3 * b)).filter(|joules| joules.is_finite())
            }
            Shape::Size { .. } => None,
        }
    }

    /// Returns the factor of the interval, which reaches from the prediction divided by this to the
    /// prediction times this. Beyond the loads that were measured the factor counts twice.
    fn factor(&self, b: f64) -> f64 {
        let factor = 1.0 + self.error;
        // A run of 8 requests has a mean load of a little less.
        let measured = (self.measured.0.floor()..=self.measured.1.ceil()).contains(&b);
        if measured { factor } else { factor * factor }
    }
}

/// Estimates the joules of a token at one request in flight, by billions of parameters.
fn by_size(billions: f64) -> f64 {
    let gigabytes = 1.2 * billions * 2.0;
    let accelerators = (gigabytes / 80.0).ceil().max(1.0).log2().ceil().exp2();
    (-0.844 + (0.205 + 0.397) * billions.ln() + 0.381 * accelerators.ln()).exp()
}

/// Returns a name without its owner, punctuation and the word for tuning, which changes no shape:
/// what else differs is another model.
fn plain(name: &str) -> String {
    let name = name
        .rsplit('/')
        .next()
        .unwrap_or(name)
        .trim()
        .to_lowercase();
    let words = name.split(|letter: char| !letter.is_alphanumeric());
    words
        .filter(|word| !matches!(*word, "instruct" | "it"))
        .collect()
}

/// Fits by plain name; of each model that on the fewest H100 comes first.
fn table() -> &'static [(String, Vec<Curve>)] {
    static FITS: OnceLock<Vec<(String, Vec<Curve>)>> = OnceLock::new();
    FITS.get_or_init(|| {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
        let mut rows: Vec<(String, bool, u32, Curve)> = lines.filter_map(row).collect();
        rows.sort_by(|left, right| (&left.0, !left.1, left.2).cmp(&(&right.0, !right.1, right.2)));
        let mut fits: Vec<(String, Vec<Curve>)> = Vec::new();
        for (name, _, _, curve) in rows {
            match fits.last_mut().filter(|(last, _)| *last == name) {
                Some((_, curves)) => curves.push(curve),
                None => fits.push((name, vec![curve])),
            }
        }
        fits
    })
}

/// Parses `model,gpu,gpus,b_min,b_max,c,a,j,i,error`.
fn row(line: &str) -> Option<(String, bool, u32, Curve)> {
    let mut fields = line.split(',').map(str::trim);
    let (name, hopper, accelerators) = (
        plain(fields.next()?),
        fields.next()? == "H100",
        fields.next()?.parse().ok()?,
    );
    let mut number = || fields.next()?.parse::<f64>().ok();
    let measured = (number()?, number()?);
    let (c, a, j, i) = (number()?, number()?, number()?, number()?);
    Some((
        name,
        hopper,
        accelerators,
        Curve {
            shape: Shape::Pool { a, c, i, j },
            error: number()?,
            measured,
        },
    ))
}

#[cfg(test)]
mod tests;
