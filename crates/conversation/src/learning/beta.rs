//! Draws from a beta distribution, by two gammas (Marsaglia and Tsang 2000). Seedable, so that a
//! test can ask for the same draw.

/// A source of chance.
#[derive(Debug, Clone)]
pub struct Sampler(fastrand::Rng);

impl Sampler {
    /// Makes a sampler whose draws nobody can foresee.
    #[must_use]
    pub fn random() -> Self {
        Self(fastrand::Rng::new())
    }

    /// Makes a sampler that always draws the same.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Draws from Beta(α, β), both 1 or more; 0 to 1.
    pub fn beta(&mut self, alpha: f64, beta: f64) -> f64 {
        let (x, y) = (self.gamma(alpha), self.gamma(beta));
        if x + y > 0.0 {
            x / (x + y)
        } else {
            alpha / (alpha + beta)
        }
    }

    /// Draws from Gamma(shape, 1), for shapes of 1 or more. Rejects one in twenty draws, so that
    /// the loop is short.
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape.max(1.0) - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v <= 0.0 {
                continue;
            }
            let u = 1.0 - self.0.f64();
            if u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
                return d * v;
            }
        }
    }

    /// Draws from the standard normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.0.f64()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of 40,000 draws against the exact ones, within four standard errors.
    #[test]
    fn moments() {
        for (alpha, beta) in [
            (1.0, 1.0),
            (2.0, 2.0),
            (2.8, 1.2),
            (1.0, 9.0),
            (200.0, 50.0),
        ] {
            let mut sampler = Sampler::seeded(7);
            let draws: Vec<f64> = (0..40_000).map(|_| sampler.beta(alpha, beta)).collect();
            assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
            let count = draws.len() as f64;
            let mean = draws.iter().sum::<f64>() / count;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / count;
            let sum: f64 = alpha + beta;
            let exact = alpha * beta / (sum * sum * (sum + 1.0));
            let error = 4.0 * (exact / count).sqrt();
            assert!(
                (mean - alpha / sum).abs() < error,
                "mean of Beta({alpha}, {beta}): {mean}"
            );
            assert!(
                (variance / exact - 1.0).abs() < 0.05,
                "variance of Beta({alpha}, {beta}): {variance}"
            );
        }
    }

    #[test]
    fn a_seed_repeats() {
        let draws = |seed| {
            (0..5)
                .map(|_| Sampler::seeded(seed).beta(2.0, 3.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }
}
