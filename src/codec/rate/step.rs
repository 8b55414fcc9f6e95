//! How squared errors grow with the quantiser's step, and the step at which they come to what is wanted.

use crate::error::Result;
use crate::predict::Step;

/// Squared errors grow with the step to about this power.
pub(crate) const STEP_POWER: f64 = 1.6;
/// Logarithms of errors over what is wanted lie within this.
const FAR_BEYOND: f64 = 1e4;
/// Strides until a step is bracketed, and divisions of the bracket, at most.
const FAR: usize = 40;
const NEAR: usize = 30;

/// What a window was coded at and came to, before enhancement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spent {
    pub(crate) step: f64,
    /// Squared, over valid points, in working units.
    pub(crate) error: f64,
}

/// The step at which `error`, which grows with it but for small ripples, comes to `wanted`.
pub(crate) fn step_for(error: impl Fn(f64) -> f64, wanted: f64, start: f64) -> f64 {
    // What is no number is too much, as all error is where nothing is wanted.
    let excess = |log_step: f64| {
        let excess = (error(log_step.exp()).max(f64::MIN_POSITIVE) / wanted).ln();
        if excess.is_nan() { FAR_BEYOND } else { excess.clamp(-FAR_BEYOND, FAR_BEYOND) }
    };
    let (mut here, mut found) = (start.ln(), excess(start.ln()));
    // A bracket by strides, then false position, halving the weight of an end that stays (the Illinois method).
    let mut before = (here, found);
    for _ in 0..FAR {
        if found == 0.0 || (found < 0.0) != (before.1 < 0.0) {
            break;
        }
        before = (here, found);
        here -= (found / STEP_POWER).clamp(-4f64.ln(), 20f64.ln()) + 0.02 * found.signum();
        found = excess(here);
    }
    let (mut a, mut b) = (before, (here, found));
    for _ in 0..NEAR {
        if b.1.abs() < 5e-4 || (a.1 < 0.0) == (b.1 < 0.0) {
            break;
        }
        let middle = b.0 - b.1 * (b.0 - a.0) / (b.1 - a.1);
        let found = excess(middle);
        a = if (found < 0.0) == (b.1 < 0.0) { (a.0, a.1 / 2.0) } else { b };
        b = (middle, found);
    }
    b.0.exp()
}

/// Estimates before each trial of a search.
const ESTIMATES: usize = 5;
/// How near to its target an estimate's logarithm must come.
const ESTIMATE_NEAR: f64 = 0.001;
/// Errors are known this well, below 1.
const SURE: f64 = 1.0 - 1e-5;
/// The share of the budget that may be left unused once there were trials enough.
const SLACK_ENOUGH: f64 = 0.02;
/// Logarithms of steps nearer than this are the same step.
const SAME: f64 = 2.0 / 256.0 * std::f64::consts::LN_2;

/// A search for the coarsest step whose squared error is within a budget, by trials; before each, estimates of the
/// error tell where it is worth while.
pub(crate) struct StepSearch {
    budget: f64,
    /// The share of the budget that may be left unused.
    slack: f64,
    /// Trials after which one that meets the budget, though not closely, is taken.
    trials_enough: usize,
    /// The logarithm of the error that is aimed at.
    target: f64,
    /// Errors over estimates.
    over_estimate: f64,
    log_step: f64,
    /// (log step, log error) of the coarsest success and the finest failure.
    low: Option<(f64, f64)>,
    high: Option<(f64, f64)>,
    /// The largest error within the budget.
    best: Option<f64>,
    done: bool,
}

impl StepSearch {
    /// A search from a step on.
    pub(crate) fn new(start: f64, budget: f64, over_estimate: f64, slack: f64, trials_enough: usize) -> Self {
        let target = (budget * (1.0 - slack / 3.0)).ln();
        let (low, high, best) = (None, None, None);
        let log_step = start.ln();
        Self { budget, slack, trials_enough, target, over_estimate, log_step, low, high, best, done: false }
    }

    /// The step to be tried.
    pub(crate) fn step(&self) -> f64 {
        self.log_step.exp()
    }

    /// Whether so many trials were enough.
    pub(crate) fn is_enough(&self, trials: usize) -> bool {
        trials >= self.trials_enough && self.best.is_some_and(|best| best >= self.budget * (1.0 - SLACK_ENOUGH))
    }

    /// Whether another trial would tell nothing new.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Where the next trial may be: inside the bracket, away from its ends.
    fn bounds(&self) -> [f64; 2] {
        match (self.low, self.high) {
            (Some(a), Some(b)) => {
                let margin = 0.05 * (b.0 - a.0);
                [a.0 + margin, b.0 - margin]
            }
            (Some(a), None) => [a.0 + 0.004, a.0 + 2.0],
            (None, Some(b)) => [b.0 - 4.0, b.0 - 0.004],
            (None, None) => [self.log_step - 4.0, self.log_step + 4.0],
        }
    }

    /// Moves the step to where the estimated error comes to the budget; an estimate of `None` ends that.
    ///
    /// # Errors
    /// Those of `estimate`.
    pub(crate) fn approach(&mut self, mut estimate: impl FnMut(Step) -> Result<Option<f64>>) -> Result<()> {
        let [low, high] = self.bounds();
        let target = self.target - self.over_estimate.ln();
        let mut log_step = self.log_step.clamp(low, high);
        let mut before: Option<(f64, f64)> = None;
        for _ in 0..ESTIMATES {
            let step = Step::at_most(log_step.exp());
            let Some(estimated) = estimate(step)? else {
                break;
            };
            let log_error = estimated.max(f64::MIN_POSITIVE).ln();
            if (log_error - target).abs() < ESTIMATE_NEAR {
                break;
            }
            let point = (step.value().ln(), log_error);
            let slope = before.map_or(STEP_POWER, |b| (point.1 - b.1) / (point.0 - b.0));
            let slope = if slope.is_finite() { slope.clamp(0.5, 3.0) } else { STEP_POWER };
            before = Some(point);
            log_step = (log_step + ((target - log_error) / slope).clamp(-4.0, 2.0)).clamp(low, high);
        }
        self.log_step = log_step;
        Ok(())
    }

    /// Takes in the error of a trial at the step, and the estimate for it; true where it is the best so far.
    pub(crate) fn note(&mut self, squared_error: f64, estimated: f64) -> bool {
        if squared_error > 0.0 && estimated > 0.0 {
            self.over_estimate = squared_error / estimated;
        }
        let log_error = squared_error.max(f64::MIN_POSITIVE).ln();
        let within = squared_error <= self.budget * SURE;
        let better = within && self.best.is_none_or(|best| squared_error >= best);
        if better {
            self.best = Some(squared_error);
        }
        *if within { &mut self.low } else { &mut self.high } = Some((self.log_step, log_error));
        let close = squared_error >= self.budget * (1.0 - self.slack);
        // All error there can be is already made: a coarser step would not spend more.
        let flat = self.high.is_none() && log_error < self.target - 30.0;
        let narrow = self.low.zip(self.high).is_some_and(|(a, b)| b.0 - a.0 < SAME);
        self.done = within && (close || flat) || narrow;
        better
    }
}

/// The share of a budget that a bracket aims at, that is enough, and that is enough after so many steps.
const AIM: f64 = 0.996;
const ENOUGH: f64 = 0.99;
const PATIENCE: usize = 12;
/// Factors on the step until a bracket is found.
const STRIDE: f64 = 16.0;

/// A search for the step of a whole segment whose squared error is within a budget, where nothing tells it but coding.
pub(crate) struct StepBracket {
    budget: f64,
    log_step: f64,
    /// (log step, log error) of the coarsest within the budget and the finest beyond it.
    low: Option<(f64, f64)>,
    high: Option<(f64, f64)>,
    /// The error of the best so far: the largest within the budget, or else the least.
    best: Option<f64>,
    strides: i32,
    halve: bool,
    flat: bool,
}

impl StepBracket {
    /// A search from a step on.
    pub(crate) fn new(start: f64, budget: f64) -> Self {
        Self { budget, log_step: start.ln(), low: None, high: None, best: None, strides: 0, halve: true, flat: false }
    }

    /// The step to be tried.
    pub(crate) fn step(&self) -> f64 {
        self.log_step.exp()
    }

    /// Takes in the error at the step, and moves on to another; true where it is the best so far.
    pub(crate) fn note(&mut self, error: f64) -> bool {
        let within = error <= self.budget;
        let better = self.best.is_none_or(|best| match (within, best <= self.budget) {
            (true, true) => error > best,
            (false, false) => error < best,
            (within, _) => within,
        });
        if better {
            self.best = Some(error);
        }
        let target = (self.budget * AIM).ln();
        let point = (self.log_step, error.max(f64::MIN_POSITIVE).ln());
        // A much coarser step that makes no more error: all there can be is made.
        self.flat |= within && self.low.is_some_and(|low| point.0 > low.0 + 1.0 && point.1 < low.1 + 0.01);
        *if within { &mut self.low } else { &mut self.high } = Some(point);
        self.log_step = match (self.low, self.high) {
            (Some(a), Some(b)) => {
                // Where errors level off beyond the budget, only every other step can follow a line.
                self.halve = !self.halve;
                let part = ((target - a.1) / (b.1 - a.1)).clamp(0.1, 0.9);
                a.0 + (b.0 - a.0) * if self.halve || part.is_nan() { 0.5 } else { part }
            }
            _ => {
                self.strides += 1;
                let far = STRIDE.ln();
                let least = 0.02 * f64::powi(2.0, self.strides);
                let stride = (target - point.1) / STEP_POWER;
                point.0 + if within { stride.clamp(least.min(far), far) } else { stride.clamp(-far, -least.min(far)) }
            }
        };
        better
    }

    /// Whether another step is not worth while after so many.
    pub(crate) fn is_done(&self, tried: usize) -> bool {
        let within = self.best.filter(|&best| best <= self.budget);
        let narrow = self.low.zip(self.high).is_some_and(|(a, b)| b.0 - a.0 < SAME);
        within.is_some_and(|best| narrow || self.flat || best >= ENOUGH * self.budget || tried >= PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Searches on a curve by coding alone: the best error within the budget, and the steps tried.
    fn bracket(error: impl Fn(f64) -> f64, budget: f64, start: f64) -> (Option<f64>, usize) {
        let mut bracket = StepBracket::new(start, budget);
        for tried in 1..=20 {
            let found = error(bracket.step());
            bracket.note(found);
            if bracket.is_done(tried) {
                return (bracket.best, tried);
            }
        }
        (bracket.best.filter(|&best| best <= budget), 20)
    }

    proptest! {
        /// From any step on, and with errors that level off, a budget is met, and mostly used.
        #[test]
        fn brackets_meet_a_budget(power in 0.5f64..2.2, step in -5f64..0.0, start in -7f64..3.0, most in 0.0f64..2.0) {
            let error = |at: f64| at.powf(power).min(10f64.powf(most));
            let budget = error(10f64.powf(step));
            let (found, tried) = bracket(error, budget, 10f64.powf(start));
            let share = found.expect("there is such a step") / budget;
            prop_assert!(share <= 1.0 && share > 0.8 && tried <= 14, "{share} after {tried}");
        }
    }

    #[test]
    fn a_bracket_ends_where_no_step_is_fine_enough() {
        assert_eq!(bracket(|step| 2.0 + step, 1.0, 0.1).0, None);
        let (found, tried) = bracket(|step| step.min(1e-9), 1.0, 0.1);
        assert!(found == Some(1e-9) && tried <= 8, "{found:?} after {tried}");
    }

    /// Searches on a curve, with estimates that are `bias` times too small: the largest error found within the budget,
    /// and the trials.
    fn search(error: impl Fn(f64) -> f64, bias: f64, budget: f64, start: f64) -> (Option<f64>, usize) {
        let mut search = StepSearch::new(start, budget, 1.0, 0.006, 4);
        for trials in 0..12 {
            if search.is_enough(trials) {
                return (search.best, trials);
            }
            search.approach(|step| Ok(Some(error(step.value()) / bias))).unwrap();
            let step = Step::at_most(search.step()).value();
            search.note(error(step), error(step) / bias);
            if search.is_done() {
                return (search.best, trials + 1);
            }
        }
        (search.best, 12)
    }

    proptest! {
        #[test]
        fn finds_the_step_of_rippled_curves(power in 0.6f64..2.5, ripple in 0.0f64..0.02, step in -6f64..2.0, start in -6f64..2.0) {
            let error = |at: f64| at.powf(power) * (1.0 + ripple * (40.0 * at.ln()).sin());
            let wanted = error(10f64.powf(step));
            let found = step_for(error, wanted, 10f64.powf(start));
            prop_assert!((error(found) / wanted - 1.0).abs() < 2e-3, "{} {}", error(found), wanted);
        }

        /// A window's step uses its budget up in few trials, whatever the estimates are off by.
        #[test]
        fn a_search_uses_the_budget_up(power in 0.8f64..2.2, bias in 0.5f64..2.0, step in -4f64..0.0, start in -4f64..0.0) {
            let error = |at: f64| at.powf(power);
            let budget = error(10f64.powf(step));
            let (found, trials) = search(error, bias, budget, 10f64.powf(start));
            let share = found.expect("there is such a step") / budget;
            prop_assert!(share <= 1.0 && share > 0.97, "{share} after {trials}");
        }
    }

    #[test]
    fn ends_where_no_step_is_coarse_enough() {
        // The error of a field of which nothing is coded any more.
        assert!(step_for(|step| step.min(1.0), 2.0, 0.1) > 1.0);
        assert!(step_for(|_| 0.0, 1.0, 0.1).is_finite());
    }

    #[test]
    fn a_search_takes_what_there_is() {
        // All error there can be is far below the budget, and no step comes near it.
        let (found, trials) = search(|step| step.powi(2).min(1e-20), 1.0, 1.0, 0.1);
        assert!(found.is_some_and(|error| error <= 1e-20) && trials == 1, "{found:?} after {trials}");
        // No step is within it.
        assert_eq!(search(|_| 2.0, 1.0, 1.0, 0.1).0, None);
    }

    #[test]
    fn a_jump_is_bracketed() {
        let (found, trials) = search(|step| if step < 0.05 { 0.5 } else { 3.0 }, 1.0, 1.0, 0.4);
        assert!(found == Some(0.5) && trials <= 12, "{found:?} after {trials}");
    }
}
