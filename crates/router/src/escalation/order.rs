//! The order in which a cascade asks its candidates. Every order is stable: equals stay as they are
//! written.

use selection::card::Card;
use std::cmp::Ordering;

/// Weight of price against quality in the order `automix`, where the document gives no weight.
const TRADEOFF: f64 = 0.3;
/// A size that counts as full quality, millions of parameters.
const LARGE: f64 = 70_000.0;
/// Where a quantity of a candidate is not known.
const UNKNOWN: f64 = 0.5;

/// Indices of the candidates in the order of this name.
#[must_use]
pub fn order(name: &str, tradeoff: f64, cards: &[&Card]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cards.len()).collect();
    let key: Box<dyn Fn(usize) -> f64> = match name {
        "declared" => return order,
        "cost" => Box::new(|index| cards[index].prompt_price().unwrap_or(f64::INFINITY)),
        "automix" => {
            let tradeoff = if tradeoff > 0.0 { tradeoff } else { TRADEOFF };
            let dearest = cards
                .iter()
                .filter_map(|card| card.prompt_price())
                .fold(0.0, f64::max);
            Box::new(move |index| value(cards[index], tradeoff, dearest))
        }
        // Unknown sizes count as 0 and so come first, as in the reference.
        _ => Box::new(|index| cards[index].parameters.unwrap_or(0.0)),
    };
    order.sort_by(|&left, &right| {
        key(left)
            .partial_cmp(&key(right))
            .unwrap_or(Ordering::Equal)
    });
    order
}

/// What a candidate promises for its price; the least promising one is asked first.
fn value(card: &Card, tradeoff: f64, dearest: f64) -> f64 {
    let sized = |size: f64| 0.3 + 0.7 * (size / LARGE).min(1.0);
    let quality = card
        .quality
        .filter(|quality| *quality <= 1.0)
        .or_else(|| card.parameters.map(sized));
    let cheapness = card
        .prompt_price()
        .map_or(UNKNOWN, |price| 1.0 - price / dearest);
    (1.0 - tradeoff) * quality.unwrap_or(UNKNOWN) + tradeoff * cheapness
}

#[cfg(test)]
mod tests {
    use super::*;
    use selection::card::Prices;

    /// `(size in millions, quality, price)`; 0 is unknown.
    fn check(name: &str, models: &[(f64, f64, f64)], expected: &[usize]) {
        let some = |number: f64| Some(number).filter(|number| *number > 0.0);
        let card = |&(size, quality, price): &(f64, f64, f64)| Card {
            parameters: some(size),
            quality: some(quality),
            prices: some(price).map(|prompt| Prices {
                prompt,
                ..Prices::default()
            }),
            ..Card::default()
        };
        let cards: Vec<Card> = models.iter().map(card).collect();
        assert_eq!(
            order(name, 0.0, &cards.iter().collect::<Vec<_>>()),
            expected,
            "{name} {models:?}"
        );
    }

    #[test]
    fn by_size_with_unknown_ones_first() {
        let models = [
            (70_000.0, 0.0, 0.0),
            (0.0, 0.0, 0.0),
            (8_000.0, 0.0, 0.0),
            (8_000.0, 0.9, 1.0),
        ];
        check("", &models, &[1, 2, 3, 0]);
        check("size", &models, &[1, 2, 3, 0]);
        check("small_to_large", &models, &[1, 2, 3, 0]);
        check("declared", &models, &[0, 1, 2, 3]);
    }

    #[test]
    fn by_price_with_unknown_ones_last() {
        check(
            "cost",
            &[
                (0.0, 0.0, 0.0),
                (0.0, 0.0, 10.0),
                (0.0, 0.0, 0.5),
                (0.0, 0.0, 10.0),
            ],
            &[2, 1, 3, 0],
        );
    }

    #[test]
    fn by_value_quality_against_price() {
        // .7·.9 + .3·0 = .63; .7·.5 + .3·.95 = .635; size: .7·(.3 + .7·.5) + .3·.5 = .605; nothing
        // known: .5.
        check(
            "automix",
            &[
                (0.0, 0.9, 10.0),
                (0.0, 0.5, 0.5),
                (35_000.0, 0.0, 0.0),
                (0.0, 0.0, 0.0),
            ],
            &[3, 2, 0, 1],
        );
        check(
            "automix",
            &[(0.0, 2.0, 0.0), (140_000.0, 0.0, 0.0)],
            &[0, 1],
        );
    }
}
