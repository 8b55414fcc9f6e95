//! Each window's step, such that a segment's squared error comes out at its budget. All steps should be nearly the
//! same, which is cheapest; a forecast of the windows' errors tells early where the account is heading, and the last
//! window settles it.

use super::budget::{Attempt, Goal, Role};
use super::step::{STEP_POWER, Spent, StepSearch};
use crate::codec::segment::frames::Frames;
use crate::codec::segment::state::{Prepared, SegmentState};
use crate::error::Result;
use crate::predict::{CodedWindow, Reconstruction, Step};
use crate::residual::kernels::Kernel;
use crate::residual::spectrum::Spectrum;

/// How far a window's step may stray from the goal's, but for the last's; more where the budget runs short.
const STRAY: f64 = 1.06;
const STRAY_FINER: f64 = 1.25;
/// A segment is given up where this share of the budget is spent, and the rest would not do for the windows to come: with
/// steps that stray so far, and with this share of the last window's error.
const TELLING: f64 = 0.3;
const LAST_LEAST: f64 = 0.1;
/// How far the step of the last may stray before the segment is better coded once more, where there are few before it.
const EVEN: f64 = 1.3;
const EVENED: usize = 8;
/// Trials for the last window's step, until one meets the budget.
const TRIALS: usize = 12;
/// Trials after which one that meets the budget is taken where each needs the model.
const TRIALS_ENOUGH_MODEL: usize = 1;

/// One way to code a window: what is written, what its decoder gets, and the error.
pub(crate) struct Trial<R: Kernel> {
    pub(crate) coded: CodedWindow<R>,
    pub(crate) decoded: Reconstruction<R>,
    pub(crate) squared_error: f64,
    /// The squared error of its coefficients.
    of_coefficients: f64,
}

/// A window to be coded.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a, R> {
    pub(crate) frames: &'a Frames<R>,
    pub(crate) prepared: &'a Prepared<R>,
    pub(crate) count: usize,
    /// Its place among the segment's.
    pub(crate) index: usize,
}

/// The account of a segment: squared errors before enhancement, over valid points, in working units.
pub(crate) struct Rate<'a> {
    goal: &'a Goal<'a>,
    /// The squared error that the segment may come to.
    budget: f64,
    /// Squared error so far, and the prediction for it.
    spent: f64,
    predicted: f64,
    /// What each window so far came to.
    history: Vec<Spent>,
    /// The squared error of the coefficients so far, which is near that of the frames.
    of_coefficients: f64,
    overshoot: Option<f64>,
}

impl<'a> Rate<'a> {
    pub(crate) fn new(goal: &'a Goal<'a>) -> Self {
        let budget = goal.budget.as_ref().map_or(f64::INFINITY, |budget| budget.before_enhancement());
        let history = Vec::new();
        Self { goal, budget, spent: 0.0, predicted: 0.0, history, of_coefficients: 0.0, overshoot: None }
    }

    /// Sets what the segment may come to, where that has become known better.
    pub(crate) fn revise(&mut self, budget: f64) {
        self.budget = budget;
    }

    /// The error spent over the prediction for it; 1 before the first window.
    pub(crate) fn overspend_ratio(&self) -> f64 {
        ratio(self.spent, self.predicted)
    }

    /// What it means where the next window cannot be coded.
    pub(crate) fn failure<T>(self) -> Attempt<T> {
        if self.goal.budget.is_some() { Attempt::Overspent(self.history) } else { Attempt::Unreachable }
    }

    /// What each window came to.
    pub(crate) fn into_history(self) -> Vec<Spent> {
        self.history
    }

    /// The overspend ratio before the last window, where that made its step stray far from the goal's.
    pub(crate) fn overshoot(&self) -> Option<f64> {
        self.overshoot
    }

    /// What the windows from `index` on are expected to come to at the goal's step.
    fn expected(&self, index: usize) -> f64 {
        let Some(budget) = &self.goal.budget else { return 0.0 };
        let windows = index..budget.forecast.windows();
        let predicted: f64 = windows.map(|index| budget.forecast.window(index, self.goal.step)).sum();
        predicted * self.overspend_ratio().clamp(0.5, 2.0)
    }

    /// Whether the windows from `index` on cannot stay within a budget that they must not exceed.
    fn is_hopeless(&self, index: usize) -> bool {
        let Some(budget) = self.goal.budget.as_ref().filter(|budget| budget.role == Role::Settles) else {
            return false;
        };
        let (left, expected) = (self.budget - self.spent, self.expected(index));
        // The last one's step may stray as far as it has to.
        let last = self.expected(budget.forecast.windows() - 1);
        let least = (expected - last).max(0.0) / STRAY_FINER.powf(STEP_POWER) + LAST_LEAST * last;
        let steered = index + 1 < budget.forecast.windows();
        left <= 0.0 || steered && left < least && self.spent > TELLING * self.budget
    }

    /// The step of a window that follows what was spent so far, and what is left of the budget.
    fn steered(&self, index: usize) -> (f64, f64) {
        let (left, goal) = (self.budget - self.spent, self.goal.step);
        if self.goal.budget.is_none() {
            return (goal, left);
        }
        let expected = self.expected(index);
        let factor = (left.max(0.0) / expected.max(f64::MIN_POSITIVE)).powf(1.0 / STEP_POWER);
        (goal * factor.clamp(1.0 / STRAY_FINER, STRAY), left)
    }

    /// Tries to code the next window; `None` where its budget cannot be met. `coded` lends its buffers.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn code<R: Kernel>(
        &mut self,
        state: &mut SegmentState<'_, R>,
        window: Window<'_, R>,
        coded: CodedWindow<R>,
    ) -> Result<Option<Trial<R>>> {
        if self.is_hopeless(window.index) {
            return Ok(None);
        }
        let (step, left) = self.steered(window.index);
        let settles = |role: Role, windows: usize| role == Role::Settles && window.index + 1 == windows;
        let goal = self.goal;
        let Some(budget) = goal.budget.as_ref().filter(|b| settles(b.role, b.forecast.windows())) else {
            return attempt(state, window, step, coded);
        };
        let over_estimate = match window.prepared {
            Prepared::Transform(_) => self.overspend_ratio() * budget.forecast.over_spectrum(window.index),
            Prepared::Frames => ratio(self.spent, self.of_coefficients),
        };
        let knobs = goal.knobs;
        let enough = if state.header.uses_model { TRIALS_ENOUGH_MODEL } else { knobs.trials_enough };
        let search = StepSearch::new(step, left, over_estimate, knobs.slack, enough);
        let found = solve(state, window, search, coded)?;
        if let Some(trial) = &found {
            self.note_overshoot(window.index, trial.coded.step);
        }
        Ok(found)
    }

    /// Notes whether the last window's step has strayed from the goal's.
    pub(crate) fn note_overshoot(&mut self, index: usize, step: Step) {
        let far = !(1.0 / EVEN..EVEN).contains(&(step.value() / self.goal.step));
        self.overshoot = (far && (1..=EVENED).contains(&index)).then(|| self.overspend_ratio());
    }

    /// Takes a window's trial into the account.
    pub(crate) fn accept<R: Kernel>(&mut self, index: usize, trial: &Trial<R>) {
        self.spend(index, trial.coded.step, trial.squared_error, trial.of_coefficients);
    }

    fn spend(&mut self, index: usize, step: Step, squared_error: f64, of_coefficients: f64) {
        if let Some(budget) = &self.goal.budget {
            self.spent += squared_error;
            self.of_coefficients += of_coefficients;
            self.predicted += budget.forecast.window(index, step.value());
            self.history.push(Spent { step: step.value(), error: squared_error });
        }
    }
}

/// `a / b` where both are known; else 1.
fn ratio(a: f64, b: f64) -> f64 {
    if a > 0.0 && b > 0.0 { a / b } else { 1.0 }
}

/// Codes a window at a step; `None` where an index would be too large.
///
/// # Errors
/// What the model says.
pub(crate) fn attempt<R: Kernel>(
    state: &mut SegmentState<'_, R>,
    window: Window<'_, R>,
    step: f64,
    mut coded: CodedWindow<R>,
) -> Result<Option<Trial<R>>> {
    let Window { frames, prepared, count, .. } = window;
    let found = state.encode(&frames.frames, prepared, count, Step::at_most(step), &mut coded)?;
    Ok(found.map(|(of_coefficients, decoded)| {
        let squared_error = frames.squared_error(&decoded.frames);
        Trial { coded, decoded, squared_error, of_coefficients }
    }))
}

/// The window coded at the coarsest step found whose squared error is within the search's budget, and close to it.
/// `None` where there is none.
fn solve<R: Kernel>(
    state: &mut SegmentState<'_, R>,
    window: Window<'_, R>,
    mut search: StepSearch,
    coded: CodedWindow<R>,
) -> Result<Option<Trial<R>>> {
    let mut best: Option<Trial<R>> = None;
    let mut spare = Some(coded);
    let spectrum = match window.prepared {
        Prepared::Transform(analysed) => Some(Spectrum::of(analysed.residual())),
        Prepared::Frames => None,
    };
    for trials in 0..TRIALS {
        if search.is_enough(trials) {
            break;
        }
        let mut coded = spare.take().unwrap_or_default();
        match &spectrum {
            Some(spectrum) => search.approach(|step| Ok(Some(spectrum.error(step.value()))))?,
            // The model's corrections are those of the last trial.
            None if trials > 0 || !state.header.uses_model => search.approach(|step| {
                let found = state.estimate(&window.frames.frames, window.count, step, &mut coded)?;
                Ok(found.map(|(error, decoded)| {
                    state.discard(decoded);
                    error
                }))
            })?,
            None => {}
        }
        let Some(trial) = attempt(state, window, search.step(), coded)? else {
            break;
        };
        let of_spectrum = spectrum.as_ref().map(|spectrum| spectrum.error(trial.coded.step.value()));
        let estimated = of_spectrum.unwrap_or(trial.of_coefficients);
        let out = if search.note(trial.squared_error, estimated) { best.replace(trial) } else { Some(trial) };
        if let Some(Trial { coded, decoded, .. }) = out {
            state.discard(decoded);
            spare = Some(coded);
        }
        if search.is_done() {
            break;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::effort::EffortKnobs;
    use crate::codec::rate::budget::Budget;
    use crate::codec::rate::forecast::Forecast;
    use crate::options::Effort;

    /// Codes a segment of windows whose squared errors are `over` times those predicted: steps, and the share of the
    /// budget spent.
    fn run(over: f64, windows: usize) -> (Vec<f64>, f64, Rate<'static>) {
        begin(over, windows, windows)
    }

    /// The same of the first windows of a segment.
    fn begin(over: f64, windows: usize, coded: usize) -> (Vec<f64>, f64, Rate<'static>) {
        let forecast: &'static Forecast = Box::leak(Box::new(Forecast::synthetic(&vec![1.0; windows])));
        let squared_error = forecast.total(0.1);
        let budget = Some(Budget { squared_error, forecast, role: Role::Settles });
        let goal = Box::leak(Box::new(Goal { step: 0.1, budget, knobs: EffortKnobs::of(Effort::Normal) }));
        let mut rate = Rate::new(goal);
        let (mut steps, mut spent) = (Vec::new(), 0.0);
        for index in 0..coded {
            let (step, left) = rate.steered(index);
            assert!((left - (squared_error - spent)).abs() < 1e-12 * squared_error);
            let step = Step::at_most(step);
            let error = over * step.value().powf(STEP_POWER);
            rate.spend(index, step, error, error);
            steps.push(step.value());
            spent += error;
        }
        (steps, spent / squared_error, rate)
    }

    #[test]
    fn steps_stay_where_the_forecast_is_right() {
        let (steps, share, rate) = run(1.0, 12);
        assert!(steps.iter().all(|step| (step / 0.1).log2().abs() < 0.02), "{steps:?}");
        assert!((share - 1.0).abs() < 0.02 && (rate.overspend_ratio() - 1.0).abs() < 1e-9, "{share}");
    }

    #[test]
    fn an_overspent_account_makes_steps_finer_within_limits() {
        let (steps, share, rate) = run(1.5, 12);
        assert!(steps.windows(2).skip(1).all(|pair| pair[1] <= pair[0] * 1.01), "{steps:?}");
        assert!(steps.iter().all(|step| (0.1 / STRAY_FINER * 0.99..=0.1).contains(step)), "{steps:?}");
        assert!(share < 1.2 && (rate.overspend_ratio() - 1.5).abs() < 1e-6, "{share}");
    }

    #[test]
    fn an_account_that_cannot_be_met_is_given_up_early() {
        for (over, given_up) in [(1.0, false), (1.3, false), (3.0, true)] {
            let (_, _, mut rate) = begin(over, 6, 2);
            assert_eq!(rate.is_hopeless(2), given_up, "{over}");
            // All of the budget is gone.
            rate.spend(2, Step::at_most(0.1), 1e3, 1e3);
            assert!(rate.is_hopeless(3));
        }
    }

    #[test]
    fn a_step_that_strays_far_after_few_windows_is_an_overshoot() {
        let (_, _, mut rate) = run(1.5, 4);
        for (index, step, noted) in [(3, 0.05, true), (3, 0.09, false), (0, 0.05, false), (EVENED + 1, 0.05, false)] {
            rate.note_overshoot(index, Step::at_most(step));
            assert_eq!(rate.overshoot().is_some(), noted, "{index} {step}");
        }
    }

    #[test]
    fn without_a_budget_a_failure_is_final() {
        let goal = Goal { step: 0.1, budget: None, knobs: EffortKnobs::of(Effort::Fast) };
        let rate = Rate::new(&goal);
        assert_eq!(rate.steered(0).0, 0.1);
        assert!(matches!(rate.failure::<()>(), Attempt::Unreachable));
    }
}
