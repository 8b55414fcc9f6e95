//! What a pass sets out with: how its probes are coded, what their errors and those of all other segments are expected
//! to be, and the step at which these come to the budget.

use super::{Candidates, Passes};
use crate::codec::effort::ModeDecision;
use crate::codec::plan::candidate::{Candidate, FAST_CONTEXTS, untried};
use crate::codec::plan::choose::choose;
use crate::codec::rate::account::{Expected, Growth};
use crate::codec::rate::budget::Target;
use crate::codec::rate::feedback::RateFeedback;
use crate::codec::rate::forecast::{Forecast, Looked, Subject};
use crate::codec::rate::step::step_for;
use crate::codec::rate::survey::{Probes, Survey};
use crate::codec::segment::encode::predict_latents;
use crate::codec::segment::frames::Frames;
use crate::error::Result;
use crate::field::Element;
use crate::predict::Step;
use crate::residual::kernels::Kernel;
use crate::stream::{PredictionMode, SegmentHeader};
use std::collections::HashMap;

/// Segments that are looked at closely.
const PROBES: usize = 8;
/// A usual step over the root mean square error.
const USUAL_STEP: f64 = 3.0;
/// Forecasts of the probes at the step that the one before led to, at most.
const RUNS: usize = 2;
/// A step may be so many times the usual one, either way, where nothing is known of it.
const FARTHEST: f64 = 64.0;
/// Candidates that were compared at a step so far from their own are compared again.
const FAR_OFF: f64 = 1.5;
/// Two steps as far apart tell the power that errors grow with.
const NEAR: f64 = 1.1;

/// What a pass sets out with.
pub(super) struct Plan {
    /// The squared error that the segments may come to, in working units; infinite where only points are bounded.
    pub(super) budget: f64,
    /// The step at which candidates were compared, and the one that forecasts led to.
    pub(super) compared_at: f64,
    pub(super) step: f64,
    /// Of the probes.
    pub(super) forecasts: HashMap<usize, Forecast>,
    probes: Probes,
}

impl Plan {
    /// A plan without a budget, where the step is known.
    pub(super) fn at(step: f64) -> Self {
        Self { budget: f64::INFINITY, compared_at: step, step, forecasts: HashMap::new(), probes: Probes::all(0) }
    }

    /// The segments that were looked at closely, and what all are expected to come to at the step.
    pub(super) fn expected(&self) -> (&[usize], Expected) {
        let probes = &self.probes.segments;
        let each = |step: f64| {
            let errors: Vec<f64> = probes.iter().map(|probe| self.forecasts[probe].total_enhanced(step)).collect();
            self.probes.each(step, &errors)
        };
        let growth = |(error, further): (f64, f64)| {
            let power = if error > 0.0 { (further / error).ln() / NEAR.ln() } else { 0.0 };
            Growth { error, power: power.max(0.0) }
        };
        let segments = each(self.step).into_iter().zip(each(self.step * NEAR)).map(growth).collect();
        (probes, Expected { step: self.step, segments })
    }
}

impl<T: Element> Passes<'_, T> {
    /// Sets a pass's step, by the probes; `None` where no step reaches the bound.
    pub(super) fn plan<R: Kernel>(
        &self,
        budget: f64,
        feedback: RateFeedback,
        candidates: &mut Candidates,
    ) -> Result<Option<Plan>> {
        let _span = tracing::debug_span!("choose").entered();
        let probes = self.probes::<R>(budget)?;
        let first = self.first_step::<R>(&probes, budget)?.map(|step| step * feedback.predicted_share);
        let Some(mut compared_at) = first else {
            return Ok(None);
        };
        let unknown: Vec<usize> = probes.segments.iter().copied().filter(|k| !candidates.contains_key(k)).collect();
        // The first windows, by which candidates are compared at first, may be quiet where others are not.
        for again in [!unknown.is_empty() && self.knobs().mode_decision == ModeDecision::Trials, false] {
            let chosen = self.tools.map(0..unknown.len(), |k| self.candidate::<R>(unknown[k], compared_at))?;
            candidates.extend(unknown.iter().copied().zip(chosen));
            let headers = candidates.values().map(|candidate| &candidate.header);
            let budget = self.less_drift(budget, self.drift(headers));
            let refined = self.refine_step::<R>(&probes, candidates, compared_at, budget, feedback)?;
            let Some((step, forecasts)) = refined else {
                return Ok(None);
            };
            tracing::debug!(compared_at, step, "step");
            if again && !(1.0 / FAR_OFF..FAR_OFF).contains(&(step / compared_at)) {
                compared_at = step;
                continue;
            }
            let forecasts = probes.segments.iter().copied().zip(forecasts).collect();
            return Ok(Some(Plan { budget, compared_at, step, forecasts, probes }));
        }
        unreachable!("the second plan is final")
    }

    /// A budget less the room for device drift, which is a root mean square error in the field's units.
    pub(super) fn less_drift(&self, budget: f64, drift: f64) -> f64 {
        let (drift, valid) = (drift / self.context.normalisation.scale(), self.valid as f64);
        ((budget / valid).sqrt() - drift).max(0.0).powi(2) * valid
    }

    /// The segments that are looked at closely.
    fn probes<R: Kernel>(&self, budget: f64) -> Result<Probes> {
        let count = self.cut.segments.len();
        if count <= PROBES {
            return Ok(Probes::all(count));
        }
        let start = self.usual_step(budget);
        let survey = Survey::of::<T, R>(|k| self.source(k), count, &self.context, start, self.tools)?;
        let step = step_for(|step| survey.total(step), budget, start);
        Ok(Probes::of(survey, step, PROBES))
    }

    fn usual_step(&self, budget: f64) -> f64 {
        USUAL_STEP * (budget / self.valid as f64).sqrt()
    }

    /// The step at which the probes' first windows come out at the budget, coded without prediction.
    fn first_step<R: Kernel>(&self, probes: &Probes, budget: f64) -> Result<Option<f64>> {
        let start = self.usual_step(budget);
        let candidates = probes.segments.iter().map(|&k| {
            let header = untried(&self.cut.segments[k], FAST_CONTEXTS);
            (k, Candidate::plain(SegmentHeader { mode: PredictionMode::Transform, ..header }))
        });
        let forecasts = self.forecasts::<R>(&probes.segments, &candidates.collect(), start, Looked::First)?;
        Ok(forecasts.map(|forecasts| self.common_step(probes, &forecasts, budget, start)))
    }

    /// The step at which forecasts of the probes say that all segments come to a budget. Under a bound on blocks, those
    /// with the most error must come to their share of it, however quiet the others are.
    pub(super) fn common_step(&self, probes: &Probes, forecasts: &[Forecast], budget: f64, start: f64) -> f64 {
        let errors = |step: f64| forecasts.iter().map(move |forecast| forecast.total_enhanced(step));
        if let Target::Block(_) = self.target {
            let points: usize = probes.segments.iter().map(|&k| self.size(k)).sum();
            let share = budget * points as f64 / self.field.shape().len() as f64;
            return step_for(|step| errors(step).sum(), share, start);
        }
        step_for(|step| probes.total(step, errors(step)), budget, start)
    }

    /// The step at which segments are predicted to come out at the budget, and the probes' forecasts.
    pub(super) fn refine_step<R: Kernel>(
        &self,
        probes: &Probes,
        candidates: &Candidates,
        step: f64,
        budget: f64,
        feedback: RateFeedback,
    ) -> Result<Option<(f64, Vec<Forecast>)>> {
        let looked = Looked::OneIn(self.knobs().window_stride);
        let mut step = step;
        for run in 1.. {
            let Some(forecasts) = self.forecasts::<R>(&probes.segments, candidates, step, looked)? else {
                return Ok(None);
            };
            // Corrected each, and not only their sum: windows are steered by them.
            let forecasts: Vec<Forecast> =
                forecasts.into_iter().map(|forecast| forecast.times(feedback.over_forecast)).collect();
            let before = step;
            step = self.common_step(probes, &forecasts, budget * feedback.predicted_share, before);
            let moved = (step / before).log2().abs();
            if run == RUNS || forecasts.iter().all(|f| moved < f.reach()) {
                return Ok(Some((step, forecasts)));
            }
        }
        unreachable!("the last run returns")
    }

    /// A forecast of one segment from all of its windows, at about the step at which it comes to `wanted`; `None` where
    /// that is too fine.
    pub(super) fn closer<R: Kernel>(
        &self,
        index: usize,
        step: f64,
        wanted: f64,
        candidates: &Candidates,
    ) -> Result<Option<Forecast>> {
        let usual = USUAL_STEP * (wanted / self.size(index) as f64).sqrt();
        let mut step = step.clamp(usual / FARTHEST, usual * FARTHEST);
        for run in 1.. {
            let found = self.forecasts::<R>(&[index], candidates, step, Looked::OneIn(1))?;
            let Some(forecast) = found.and_then(|mut found| found.pop()) else {
                return Ok(None);
            };
            let before = step;
            step = step_for(|step| forecast.total_enhanced(step), wanted, before);
            if run == RUNS || (step / before).log2().abs() < forecast.reach() {
                return Ok(Some(forecast));
            }
        }
        unreachable!("the last run returns")
    }

    /// Forecasts of the errors of segments coded as their candidates say, at about `step`.
    fn forecasts<R: Kernel>(
        &self,
        segments: &[usize],
        candidates: &Candidates,
        step: f64,
        looked: Looked,
    ) -> Result<Option<Vec<Forecast>>> {
        let _span = tracing::debug_span!("forecast").entered();
        let forecasts = self.tools.map(0..segments.len(), |k| {
            let source = self.source(segments[k]);
            let candidate = &candidates[&segments[k]];
            let segment = source.segment;
            let layout = segment.layout();
            let load = |first: usize, count: usize, frames: &mut Frames<R>| {
                frames.load(&source, &self.context, first, count);
                predict_latents(frames, &source, &self.context, candidate).map(|_| ())
            };
            let reference = self.context.reference_frame::<R>(segment);
            let (frames, header, reference) = (segment.count, &candidate.header, reference.as_deref());
            let subject = Subject { frames, layout: &layout, header, reference };
            let forecast = Forecast::of(subject, step, looked, load)?;
            Ok(forecast.map(|f| f.times(candidate.over_forecast).enhanced(candidate.enhancement_ratio)))
        })?;
        Ok(forecasts.into_iter().collect())
    }

    /// Decides how a segment is coded at about `step`.
    pub(super) fn candidate<R: Kernel>(&self, index: usize, step: f64) -> Result<Candidate> {
        let source = self.source(index);
        match self.knobs().mode_decision {
            ModeDecision::None => {
                let header = untried(source.segment, self.knobs().index_coder);
                Ok(Candidate::plain(SegmentHeader { step: Step::at_most(step), ..header }))
            }
            ModeDecision::Trials => choose::<T, R>(&source, step, self.tools, &self.context),
        }
    }
}
