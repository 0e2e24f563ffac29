//! Asking models: all at once, or the cheapest first until nothing more can change the outcome.
//!
//! Between two stages the outlook says what the report may still become, steps and projections are
//! carried out on it as on a finished report, and the decisions and boundaries say on which open
//! facts their outcome depends. Only families that may write one of those are asked. When no such
//! family is left, deciding on what is there gives what deciding on everything would: a family that never ran
//! is one of the cases that the bounds cover.
//!
//! Boundaries look at another outlook than decisions, in which failed families are open for good.
//! Until they are settled they count as holding, so no text leaves for a place that one of them may
//! forbid.

use super::{Extent, Recipe};
use crate::boundary::{Guarded, Verdict};
use inference::ask::{Ask, Outcome, Question};
use inference::handle::Cost;
use signals::families::SignalInput;
use signals::families::learned::Learned;
use signals::projection::Foreseen;
use signals::projection::step::{self, Step};
use signals::report::outlook::{Needs, Outlook};
use signals::report::{Key, Kind, SignalReport};
use signals::rules::OnUnknown;
use std::time::Instant;

impl Recipe {
    /// Asks the questions of learned families, and lets each conclude. Gives the boundaries that
    /// hold, and the decisions that a failure leaves open.
    pub(super) async fn learn(
        &self,
        input: &SignalInput<'_>,
        extent: Extent<'_>,
        models: &Guarded<'_>,
        deadline: Instant,
        report: &mut SignalReport,
    ) -> (Verdict, Vec<(usize, OnUnknown)>) {
        let all = self.learned.iter().map(|family| &**family);
        let mut pending: Vec<&dyn Learned> = all
            .filter(|family| self.reaches(family.kind(), extent))
            .collect();
        loop {
            let (due, later) = self.due(pending, extent, report);
            pending = later;
            if due.is_empty() {
                break;
            }
            // Whether a service may be asked must not hang on what another one said, or was not
            // asked.
            let verdict = if due.iter().any(|family| family.cost() == Cost::Remote) {
                let services = self
                    .learned
                    .iter()
                    .filter(|family| family.cost() == Cost::Remote);
                let open: Vec<&dyn Learned> = pending
                    .iter()
                    .copied()
                    .chain(services.map(|family| &**family))
                    .collect();
                self.verdict(&open, report)
            } else {
                Verdict::default()
            };
            ask(&due, input, &models.within(verdict), deadline, report).await;
        }
        let verdict = self.verdict(&pending, report);
        let unknown = self.unknown(&pending, extent, report);
        for family in pending {
            report.stages[family.cost() as usize].skipped += 1;
            report.families[family.kind() as usize].skipped = true;
        }
        (verdict, unknown)
    }

    /// The decisions that a failure leaves open whatever `pending` families would say.
    fn unknown(
        &self,
        pending: &[&dyn Learned],
        extent: Extent<'_>,
        report: &SignalReport,
    ) -> Vec<(usize, OnUnknown)> {
        let is_asked = extent != Extent::Bounding && report.has_failures();
        if !is_asked || !self.decisions.keep_unknown() {
            return Vec::new();
        }
        let mut outlook = self.outlook(pending, report);
        self.foresee(&mut outlook);
        self.decisions
            .unknown(&outlook, |index| self.competes(index, extent))
    }

    /// A decision takes part in the choice.
    fn competes(&self, index: usize, extent: Extent<'_>) -> bool {
        match extent {
            Extent::Lazy { only } => self.is_asked(index, only),
            _ => true,
        }
    }

    /// Who is asked next, and who later, perhaps.
    fn due<'a>(
        &self,
        pending: Vec<&'a dyn Learned>,
        extent: Extent<'_>,
        report: &SignalReport,
    ) -> (Vec<&'a dyn Learned>, Vec<&'a dyn Learned>) {
        if matches!(extent, Extent::Used | Extent::All) {
            let local = |family: &&dyn Learned| family.cost() != Cost::Remote;
            let at_once = self.boundaries.is_empty() || !pending.iter().any(local);
            return pending
                .into_iter()
                .partition(|family| at_once || local(family));
        }
        if pending.is_empty() {
            return (Vec::new(), pending);
        }
        let needs = self.needs(&pending, extent, report);
        let needed = |family: &&dyn Learned| needs.touch(family.kind(), family.keys());
        let stage = pending
            .iter()
            .filter(|family| needed(family))
            .map(|family| family.cost())
            .min();
        pending
            .into_iter()
            .partition(|family| Some(family.cost()) == stage && needed(family))
    }

    /// What the outcome still depends on while `pending` families have not run.
    fn needs(&self, pending: &[&dyn Learned], extent: Extent<'_>, report: &SignalReport) -> Needs {
        let mut needs = Needs::new(&self.keys);
        if matches!(extent, Extent::Lazy { .. }) {
            let eligible = |index: usize| self.competes(index, extent);
            let outlook = self.outlook(pending, report);
            self.need(outlook, &mut needs, |outlook, needs| {
                self.decisions.need(outlook, eligible, needs);
                self.need_steps(outlook, needs);
            });
        }
        if !self.boundaries.is_empty() {
            let outlook = self.doubtful(pending, report);
            self.need(outlook, &mut needs, |outlook, needs| {
                self.boundaries.need(outlook, needs)
            });
        }
        needs
    }

    /// Adds what decides whether a step fails the request.
    fn need_steps(&self, outlook: &Outlook<'_>, needs: &mut Needs) {
        for step in self.steps.iter().filter(|step| step.may_refuse()) {
            let may_match = |key: &Key| outlook.fact(*key).matched != Some(false);
            if step.writes().iter().any(may_match) {
                step.writes().iter().for_each(|&key| needs.key(key));
            }
        }
    }

    /// Adds what an outcome depends on, through projections and steps.
    fn need(
        &self,
        mut outlook: Outlook<'_>,
        all: &mut Needs,
        of: impl Fn(&Outlook<'_>, &mut Needs),
    ) {
        let (open, foreseen) = self.foresee(&mut outlook);
        let mut needs = Needs::new(&self.keys);
        of(&outlook, &mut needs);
        self.projections.need(&foreseen, &outlook, &mut needs);
        open.iter()
            .rev()
            .for_each(|step| step::need(*step, &mut needs));
        all.join(&needs);
    }

    /// Carries out steps and projections on an outlook, and gives the steps that are open.
    fn foresee(&self, outlook: &mut Outlook<'_>) -> (Vec<&dyn Step>, Foreseen) {
        let mut open: Vec<&dyn Step> = Vec::new();
        for step in self
            .projections
            .steps()
            .chain(self.steps.iter().map(|step| &**step))
        {
            if step::foresee(step, outlook) {
                open.push(step);
            }
        }
        (open, self.projections.foresee(outlook))
    }

    /// What the report may become by families that have not run.
    fn outlook(&self, pending: &[&dyn Learned], report: &SignalReport) -> Outlook<'_> {
        let mut outlook = Outlook::new(&self.keys, report);
        for family in pending {
            outlook.await_family(family.kind(), family.keys());
        }
        outlook
    }

    /// The same, where nothing is known of what failed either: all rules of a group that was
    /// not read to its end.
    fn doubtful(&self, pending: &[&dyn Learned], report: &SignalReport) -> Outlook<'_> {
        let mut outlook = self.outlook(pending, report).doubting();
        for &key in report.doubted().iter().chain(&self.blind) {
            outlook.await_family(self.keys.kind(key), &[key]);
        }
        outlook
    }

    /// The boundaries that hold, or may hold yet.
    fn verdict(&self, pending: &[&dyn Learned], report: &SignalReport) -> Verdict {
        if self.boundaries.is_empty() {
            return Verdict::default();
        }
        let mut outlook = self.doubtful(pending, report);
        self.foresee(&mut outlook);
        let is_late = |(kind, reason): &(Kind, &str)| {
            self.bounding[*kind as usize] && is_for_lack_of_time(reason)
        };
        let is_late = report.degraded().iter().any(is_late);
        self.boundaries.verdict(&outlook, is_late)
    }
}

/// Tells whether a family that was not fully evaluated might be another time.
fn is_for_lack_of_time(reason: &str) -> bool {
    matches!(reason, "timeout" | "shed")
}

/// Asks the questions of `families` at once and lets each conclude, the cheapest first: so the
/// order of matches does not depend on what was asked together.
async fn ask(
    families: &[&dyn Learned],
    input: &SignalInput<'_>,
    models: &Guarded<'_>,
    deadline: Instant,
    report: &mut SignalReport,
) {
    if families.is_empty() {
        return;
    }
    let started = Instant::now();
    let asked: Vec<Vec<Question>> = families
        .iter()
        .map(|family| family.questions(input))
        .collect();
    let questions: Vec<Question> = asked.iter().flatten().cloned().collect();
    let answers = if questions.is_empty() {
        Vec::new()
    } else {
        models.ask(&questions, deadline).await
    };
    let mut rest = answers.as_slice();
    for (family, asked) in families.iter().zip(&asked) {
        let (own, others) = rest.split_at_checked(asked.len()).unwrap_or((rest, &[]));
        rest = others;
        let before = report.troubles();
        family.conclude(input, own, report);
        let unread = |outcome: &Outcome| outcome.as_ref().map_or(true, |reply| reply.truncated);
        if own.iter().any(unread) || report.troubles() > before {
            report.doubt(family.keys());
        }
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
