//! Enhanced rate control: using an error budget up in a segment whose frames are enhanced. The share of the error that
//! enhancement leaves is measured while the windows are coded, and the last window's step is set by what has really
//! been spent.

use super::budget::{Goal, Role};
use super::control::{Rate, Trial, Window, attempt};
use super::step::STEP_POWER;
use crate::codec::effort::LastStep;
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::frames::{Frames, PART, squared_error};
use crate::codec::segment::state::SegmentState;
use crate::enhance::{Enhancement, Enhancer, Queue};
use crate::error::Result;
use crate::field::Element;
use crate::predict::fm::Memo;
use crate::predict::{CodedWindow, Step, fm};
use crate::residual::kernels::Kernel;
use crate::stream::SegmentHeader;
use crate::window::Source;
use std::collections::HashSet;

/// Solutions for the last window's step, at most; and steps that are tried where it is searched.
const ROUNDS: usize = 4;
const STEPS_TRIED: usize = 8;
/// Logarithms of steps that are nearer to each other than this are not told apart, and one is this far from the last at
/// most.
const NARROW: f64 = 0.012;
const FARTHEST: f64 = 1.0;
/// Where the error does not grow over so much, it will not.
const FLAT: f64 = 0.25;
/// The share of the budget that may be left unused where the last step is solved for.
const SLACK_SOLVED: f64 = 0.04;
/// The share of the budget that is aimed at; and where some frames speak for all.
const AIM: f64 = 0.997;
const AIM_PART: f64 = 0.99;

/// The account of a segment whose frames are enhanced. Errors are squared, over valid points, in working units.
pub(crate) struct EnhancedRate<'a, R> {
    /// The decoded frames that have not been enhanced yet.
    queue: Queue<'a>,
    how: Enhancement,
    /// Where the queue's enhancer remembers its corrections.
    memo: Option<&'a Memo>,
    /// What the enhanced segment may come to, and the share of it that may be left unused.
    budget: f64,
    slack: f64,
    last_step: LastStep,
    /// Frames and windows of the segment.
    frames: usize,
    windows: usize,
    masked: bool,
    /// The frames in the queue as they were, and their errors before enhancement.
    originals: Vec<R>,
    pending: Vec<f64>,
    /// The error of the frames that have left the queue, before enhancement and after.
    before: f64,
    after: f64,
}

impl<'a, R: Kernel> EnhancedRate<'a, R> {
    /// `None` where frames are not enhanced, or the segment need not use its budget up.
    ///
    /// # Errors
    /// `Model` where the package has no enhancer.
    pub(crate) fn new<T: Element>(
        source: &Source<'_, T>,
        context: &FieldContext<'a>,
        header: &SegmentHeader,
        goal: &Goal<'_>,
        windows: usize,
    ) -> Result<Option<Self>> {
        let budget = goal.budget.as_ref().filter(|budget| budget.role == Role::Settles);
        let (Some(how), Some(package), Some(budget)) = (header.enhance, context.package, budget) else {
            return Ok(None);
        };
        let (count, h, w) = (source.segment.count, source.segment.h, source.segment.w);
        let masked = !context.specials.patterns().is_empty();
        let valid = if masked { valid_points::<T, R>(source, context) } else { (count * h * w) as f64 };
        let noise = Step::at_most((budget.before_enhancement() / valid).sqrt());
        let how = Enhancement { noise, ..how };
        let enhancer = Enhancer::new(package, h, w, how, fm::grid(header.step))?;
        let enhancer = enhancer.of_volumes(source.segment.depth).with(context.memo);
        Ok(Some(Self {
            queue: Queue::new(enhancer, count, h * w, 0),
            how,
            memo: context.memo,
            budget: budget.squared_error,
            slack: goal.knobs.slack_enhanced,
            last_step: goal.knobs.enhanced_last_step,
            frames: count,
            windows,
            masked,
            originals: Vec::new(),
            pending: Vec::new(),
            before: 0.0,
            after: 0.0,
        }))
    }

    /// How frames were enhanced.
    pub(crate) fn how(&self) -> Enhancement {
        self.how
    }

    /// As [`Rate::code`], with a budget that follows what has been spent after enhancement.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn code(
        &mut self,
        rate: &mut Rate<'_>,
        state: &mut SegmentState<'_, R>,
        window: Window<'_, R>,
        coded: CodedWindow<R>,
    ) -> Result<Option<Trial<R>>> {
        if self.before > 0.0 {
            rate.revise(self.allowed(self.after / self.before, AIM));
        }
        let Some(trial) = rate.code(state, window, coded)? else {
            return Ok(None);
        };
        if window.index + 1 < self.windows {
            self.take(window, &trial)?;
            return Ok(Some(trial));
        }
        match self.last_step {
            LastStep::Solved => self.solve(rate, state, window, trial),
            LastStep::Searched => self.search(rate, state, window, trial),
        }
    }

    /// Solves for the last window's step again, with what enhancement leaves of its error.
    fn solve(
        &self,
        rate: &mut Rate<'_>,
        state: &mut SegmentState<'_, R>,
        window: Window<'_, R>,
        first: Trial<R>,
    ) -> Result<Option<Trial<R>>> {
        let mut trial = first;
        for round in 1..ROUNDS {
            // Nothing is known of a lone window: a part of it first.
            let part = round == 1 && self.before == 0.0;
            let (before, after) = self.ahead(window, &trial, if part { PART } else { 1 })?;
            if before <= 0.0 || after <= 0.0 {
                break;
            }
            let (all, aim) = if part { (trial.squared_error / before, AIM_PART) } else { (1.0, AIM) };
            let share = (self.after + after * all) / self.budget;
            tracing::debug!(step = trial.coded.step.value(), part, share, "settled");
            let most = if part { aim } else { 1.0 };
            if (1.0 - SLACK_SOLVED..=most).contains(&share) {
                if part {
                    continue;
                }
                break;
            }
            rate.revise(self.allowed(after / before, aim));
            state.discard(trial.decoded);
            match rate.code(state, window, trial.coded)? {
                Some(next) => trial = next,
                None => return Ok(None),
            }
        }
        Ok(Some(trial))
    }

    /// Searches the step of the last window with which the enhanced segment uses most of its budget and stays within
    /// it, from a first trial on. `None` where the windows before have left nothing of it.
    fn search(
        &self,
        rate: &mut Rate<'_>,
        state: &mut SegmentState<'_, R>,
        window: Window<'_, R>,
        first: Trial<R>,
    ) -> Result<Option<Trial<R>>> {
        let left = self.budget * AIM - self.after;
        if left <= 0.0 {
            return Ok(None);
        }
        let mut bracket = Bracket::new(left, self.slack);
        let keys = || self.memo.map(Memo::keys).unwrap_or_default();
        let mut known = keys();
        let mut trial = first;
        // The best trial so far, and the memo's corrections that it alone needs.
        let mut best: Option<(Trial<R>, HashSet<u64>)> = None;
        for round in 1..=STEPS_TRIED {
            let (_, after) = self.ahead(window, &trial, 1)?;
            let share = (self.after + after) / self.budget;
            let log_step = trial.coded.step.value().ln();
            tracing::debug!(step = trial.coded.step.value(), share, "settled");
            let next = bracket.next(log_step, after, share);
            let own = keys().difference(&known).copied().collect();
            let other = (trial, own);
            let worse = if bracket.takes(share) { best.replace(other) } else { Some(other) };
            let spare = worse.map(|(worse, own)| {
                if let Some(memo) = self.memo {
                    memo.forget(&own);
                }
                state.discard(worse.decoded);
                worse.coded
            });
            let Some(log_step) = next.filter(|_| round < STEPS_TRIED) else {
                break;
            };
            known = keys();
            match attempt(state, window, log_step.exp(), spare.unwrap_or_default())? {
                Some(next) => trial = next,
                None => break,
            }
        }
        let found = best.map(|(trial, _)| trial);
        if let Some(trial) = &found {
            rate.note_overshoot(window.index, trial.coded.step);
        }
        Ok(found)
    }

    /// What the segment may come to before enhancement, where that leaves `ratio` of the error of the frames to come.
    fn allowed(&self, ratio: f64, aim: f64) -> f64 {
        self.before + (self.budget * aim - self.after).max(0.0) / ratio
    }

    /// Puts a coded window into the queue, and counts the frames that come out.
    fn take(&mut self, window: Window<'_, R>, trial: &Trial<R>) -> Result<()> {
        let n = window.frames.frames.len() / window.count;
        self.pending.extend(self.errors(window, trial));
        self.queue.push(&trial.decoded.frames, self.classes(window));
        self.originals.extend_from_slice(&window.frames.frames);
        if let Some(out) = self.queue.pop::<R>(self.frames)? {
            let originals = &self.originals[..out.count * n];
            self.after += squared_error(originals, &out.frames, out.classes, window.frames.limits);
            self.originals.drain(..out.count * n);
            self.before += self.pending.drain(..out.count).sum::<f64>();
        }
        Ok(())
    }

    /// The errors before and after enhancement of one in `every` of the frames in the queue and of the last window,
    /// were that coded so.
    fn ahead(&self, window: Window<'_, R>, trial: &Trial<R>, every: usize) -> Result<(f64, f64)> {
        let n = window.frames.frames.len() / window.count;
        let mut queue = self.queue.clone();
        queue.push(&trial.decoded.frames, self.classes(window));
        let mut errors = self.pending.clone();
        errors.extend(self.errors(window, trial));
        let (first, held) = (self.frames - errors.len(), self.pending.len());
        let picked = (0..errors.len()).skip((every / 2).min(errors.len().saturating_sub(1))).step_by(every);
        let enhanced = queue.enhanced::<R>(picked.clone().map(|k| first + k))?;
        let (mut before, mut after) = (0.0, 0.0);
        for (k, frame) in picked.zip(enhanced.chunks_exact(n)) {
            let original = if k < held { &self.originals[k * n..] } else { &window.frames.frames[(k - held) * n..] };
            before += errors[k];
            let classes = queue.classes(first + k..first + k + 1);
            after += squared_error(&original[..n], frame, classes, window.frames.limits);
        }
        Ok((before, after))
    }

    /// A window's classes; none where there are no masks.
    fn classes<'w>(&self, window: Window<'w, R>) -> &'w [u8] {
        if self.masked { &window.frames.classes } else { &[] }
    }

    /// The errors of a window's frames before enhancement.
    fn errors(&self, window: Window<'_, R>, trial: &Trial<R>) -> Vec<f64> {
        let n = window.frames.frames.len() / window.count;
        let classes = self.classes(window);
        let error = |k: usize| {
            let range = k * n..(k + 1) * n;
            let (exact, decoded) = (&window.frames.frames[range.clone()], &trial.decoded.frames[range.clone()]);
            let classes = if self.masked { &classes[range] } else { classes };
            squared_error(exact, decoded, classes, window.frames.limits)
        };
        (0..window.count).map(error).collect()
    }
}

/// A search of the step with which the error comes nearest to a budget, from within it. The error is rough where frames
/// hang on each other: what looks beyond the budget by its trend may still be within it.
struct Bracket {
    /// The logarithm of the error that is aimed at.
    target: f64,
    /// The share of the budget that may be left unused.
    slack: f64,
    /// (log step, log error) within the budget and beyond it.
    low: Option<(f64, f64)>,
    high: Option<(f64, f64)>,
    /// The share of the budget that the best so far comes to: the largest within it, or else the least.
    best: Option<f64>,
}

impl Bracket {
    fn new(target: f64, slack: f64) -> Self {
        Self { target: target.ln(), slack, low: None, high: None, best: None }
    }

    /// Whether a trial that comes to a share of the budget is better than the best so far, which it then is.
    fn takes(&mut self, share: f64) -> bool {
        let better = self.best.is_none_or(|kept| match (share > 1.0, kept > 1.0) {
            (false, false) => share > kept,
            (true, true) => share < kept,
            (beyond, _) => !beyond,
        });
        if better {
            self.best = Some(share);
        }
        better
    }

    /// Takes in the error of a trial and its share of the budget; the logarithm of the step to try next, `None` where
    /// none is worth while.
    fn next(&mut self, log_step: f64, error: f64, share: f64) -> Option<f64> {
        let point = (log_step, error.max(f64::MIN_POSITIVE).ln());
        // A much coarser step that makes no more error: all there can be is made.
        let flat = |(step, error)| point.0 > step + FLAT && point.1 <= error;
        let all = error <= 0.0 || self.high.is_none() && self.low.is_some_and(flat);
        *if share > 1.0 { &mut self.high } else { &mut self.low } = Some(point);
        if all || (1.0 - self.slack..=1.0).contains(&share) {
            return None;
        }
        match (self.low, self.high) {
            // The error is rough: two steps so near tell nothing more.
            (Some(a), Some(b)) if b.0 - a.0 < NARROW => None,
            (Some(a), Some(b)) => {
                let (margin, slope) = (0.25 * (b.0 - a.0), (b.0 - a.0) / (b.1 - a.1));
                let straight = a.0 + (self.target - a.1) * slope;
                let middle = 0.5 * (a.0 + b.0);
                Some(if straight.is_finite() { straight.clamp(a.0 + margin, b.0 - margin) } else { middle })
            }
            _ => Some(point.0 + ((self.target - point.1) / STEP_POWER).clamp(-FARTHEST, FARTHEST)),
        }
    }
}

/// Points of a segment that are valid.
fn valid_points<T: Element, R: Kernel>(source: &Source<'_, T>, context: &FieldContext<'_>) -> f64 {
    let segment = source.segment;
    let mut frames = Frames::<R>::default();
    let share = |k| {
        frames.load(source, context, k, 1);
        frames.valid_share()
    };
    (0..segment.count).map(share).sum::<f64>() * (segment.h * segment.w) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches on a curve of the enhanced error: the best share of the budget, and the trials.
    fn search(error: impl Fn(f64) -> f64, budget: f64, start: f64) -> (f64, usize) {
        let mut bracket = Bracket::new(budget * AIM, 0.012);
        let mut log_step = start.ln();
        for round in 1..=STEPS_TRIED {
            let found = error(log_step.exp());
            let next = bracket.next(log_step, found, found / budget);
            bracket.takes(found / budget);
            match next {
                Some(next) => log_step = next,
                None => return (bracket.best.unwrap(), round),
            }
        }
        (bracket.best.unwrap(), STEPS_TRIED)
    }

    #[test]
    fn smooth_errors_are_met_in_few_trials() {
        for (power, start) in [(1.6, 0.02), (1.2, 0.5), (2.0, 0.1)] {
            let (share, trials) = search(|step| step.powf(power), 0.1f64.powf(power), start);
            assert!(share <= 1.0 && share > 0.988 && trials <= 6, "{power}: {share} after {trials}");
        }
        // A curve half as steep as expected is only approached from beyond; a next pass has the rest.
        let (share, _) = search(|step| step.powf(0.8), 0.1f64.powf(0.8), 0.2);
        assert!((share - 1.0).abs() < 0.01, "{share}");
    }

    #[test]
    fn rough_errors_end_within_the_budget() {
        // 1.4 % of the step moves the error by 6 %, as seen on a flame.
        let rough = |step: f64| step.powf(1.6) * (1.0 + 0.06 * (step.ln() * 220.0).sin());
        for start in [0.03, 0.09, 0.11, 0.4] {
            let (share, _) = search(rough, 0.1f64.powf(1.6), start);
            assert!(share <= 1.0 && share > 0.9, "{start}: {share}");
        }
    }

    #[test]
    fn errors_that_grow_no_more_end_the_search() {
        let (share, trials) = search(|step| step.min(1e-3), 1.0, 0.1);
        assert!(share == 1e-3 && trials <= 3, "{share} after {trials}");
        // The least error beyond the budget is the best there is.
        let (share, _) = search(|step| 2.0 + step, 1.0, 0.1);
        assert!(share > 2.0 && share < 2.1);
    }
}
