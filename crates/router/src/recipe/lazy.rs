//! Asking models: all at once, or the cheapest first until nothing more can change the outcome.
//!
//! Between two stages the outlook says what the report may still become, steps and projections are carried out on it as on a
//! finished report, and the decisions say on which open facts their outcome depends. Only families that may write one of
//! those are asked. Where none is left, deciding on what is there gives what deciding on everything would: a family that
//! never ran is one of the cases that the bounds cover.

use super::{Extent, Recipe};
use crate::projection::step::{self, Step};
use crate::report::SignalReport;
use crate::report::outlook::{Needs, Outlook};
use crate::signals::SignalInput;
use crate::signals::learned::Learned;
use inference::ask::{Ask, Question};
use std::time::Instant;

impl Recipe {
    /// Asks the questions of learned families, and lets each conclude.
    pub(super) async fn learn(
        &self,
        input: &SignalInput<'_>,
        extent: Extent<'_>,
        models: (&dyn Ask, Instant),
        report: &mut SignalReport,
    ) {
        let runs = |family: &&dyn Learned| extent == Extent::All || self.used[family.kind() as usize];
        let mut pending: Vec<&dyn Learned> = self.learned.iter().map(|family| &**family).filter(runs).collect();
        let Extent::Lazy { only } = extent else {
            return ask(&pending, input, models, report).await;
        };
        while !pending.is_empty() {
            let needs = self.needs(&pending, only, report);
            let needed = |family: &&dyn Learned| needs.touch(family.kind(), family.keys());
            let Some(stage) = pending.iter().filter(|family| needed(family)).map(|family| family.cost()).min() else {
                break;
            };
            let (due, later) = pending.into_iter().partition(|family| family.cost() == stage && needed(family));
            pending = later;
            ask(&due, input, models, report).await;
        }
        for family in pending {
            report.stages[family.cost() as usize].skipped += 1;
            report.families[family.kind() as usize].skipped = true;
        }
    }

    /// What the outcome still depends on while `pending` families have not run.
    fn needs(&self, pending: &[&dyn Learned], only: Option<&str>, report: &SignalReport) -> Needs {
        let mut outlook = Outlook::new(&self.keys, report);
        for family in pending {
            outlook.await_family(family.kind(), family.keys());
        }
        let mut open: Vec<&dyn Step> = Vec::new();
        for step in self.projections.steps().chain(self.steps.iter().map(|step| &**step)) {
            if step::foresee(step, &mut outlook) {
                open.push(step);
            }
        }
        let foreseen = self.projections.foresee(&mut outlook);
        let mut needs = Needs::new(&self.keys);
        let eligible = |index: usize| only.is_none_or(|algorithm| self.routes[index].algorithm == algorithm);
        self.decisions.need(&outlook, eligible, &mut needs);
        self.projections.need(&foreseen, &outlook, &mut needs);
        open.iter().rev().for_each(|step| step::need(*step, &mut needs));
        needs
    }
}

/// Asks the questions of `families` at once and lets each conclude, the cheapest first: so the order of matches does not
/// depend on what was asked together.
async fn ask(
    families: &[&dyn Learned],
    input: &SignalInput<'_>,
    (models, deadline): (&dyn Ask, Instant),
    report: &mut SignalReport,
) {
    if families.is_empty() {
        return;
    }
    let started = Instant::now();
    let asked: Vec<Vec<Question>> = families.iter().map(|family| family.questions(input)).collect();
    let questions: Vec<Question> = asked.iter().flatten().cloned().collect();
    let answers = if questions.is_empty() { Vec::new() } else { models.ask(&questions, deadline).await };
    let mut rest = answers.as_slice();
    for (family, asked) in families.iter().zip(&asked) {
        let (own, others) = rest.split_at_checked(asked.len()).unwrap_or((rest, &[]));
        rest = others;
        family.conclude(input, own, report);
        let metric = &mut report.families[family.kind() as usize];
        metric.elapsed = started.elapsed();
        metric.ran = true;
        let stage = &mut report.stages[family.cost() as usize];
        stage.elapsed = started.elapsed();
        stage.asked += 1;
    }
}

#[cfg(test)]
mod tests;
