//! A field's passes over its segments: the steps at which they are coded, and the check of what comes out.

use super::plan::candidate::{Candidate, plain};
use super::plan::choose::choose;
use super::rate::budget::{Budget, Goal, Target};
use super::rate::enhanced;
use super::rate::forecast::{self, Forecast};
use super::rate::step::{STEP_POWER, step_for};
use super::report::StageSeconds;
use super::segment::context::FieldContext;
use super::segment::decode::decode;
use super::segment::encode::{Encoded, encode, predict_latents};
use super::segment::frames::{Frames, Source};
use super::segment::state::Buffers;
use super::tools::Tools;
use crate::bound::check::Errors;
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Element, FieldView};
use crate::options::Effort;
use crate::predict::{Step, fm};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::stream::{PredictionMode, SegmentHeader};
use crate::window::{Cut, original};
use std::collections::HashMap;
use std::time::Instant;

/// Segments whose errors are known before the next ones' steps are set.
const BATCH: usize = 16;
/// Segments whose samples set the first step.
const PROBES: usize = 8;
/// The share of the budget that segments before the last window are kept to, at least.
const LEAST_CAUTION: f64 = 0.3;
/// Passes over the field until its bound holds.
const PASSES: usize = 4;
/// Fields of so many segments are coded once more where the last window's step strays far, but at the lowest effort.
const EVENED: usize = 4;
/// The share of the squared error that may be left unused where frames are enhanced, below the highest effort; how much enhancement
/// takes away of the error is not known before.
const SLACK_ENHANCED: f64 = 0.08;
/// How well it is known after a pass, below 1.
const SURE_ENHANCED: f64 = 0.998;
/// The step over the half-width of a pointwise bound.
const POINTWISE_STEP: f64 = 1.5;
/// Forecasts of the probes at the step that the one before led to, at most.
const RUNS: usize = 2;
/// One window in so many is looked at for a forecast, at the lowest effort and above.
const WINDOW_STRIDE: usize = 3;
const WINDOW_STRIDE_NORMAL: usize = 2;

/// One field on its way through the segments.
pub(super) struct Passes<'a, T> {
    pub(super) field: &'a FieldView<'a>,
    pub(super) values: &'a [T],
    pub(super) cut: &'a Cut,
    pub(super) shared: FieldContext<'a>,
    pub(super) target: Target,
    pub(super) valid: usize,
    pub(super) tools: &'a Tools<'a>,
}

/// A field's sections, checked.
pub(super) struct PassResult {
    pub(super) sections: Vec<Vec<u8>>,
    pub(super) errors: Errors,
    pub(super) uses_model: bool,
    pub(super) enhanced: bool,
    /// Bytes that the segments would take without the model, as samples tell.
    pub(super) without_model: f64,
    /// How many times what was predicted_error was spent before the last window, where its step suffers from that.
    pub(super) overshoot: Option<f64>,
    /// What other devices' floats may add to the root mean square error, in the field's units.
    pub(super) drift: f64,
}

/// What earlier passes over the segments have told.
#[derive(Clone, Copy)]
pub(super) struct RateFeedback {
    /// The share of the budget that may be predicted_error.
    pub(super) caution: f64,
    /// What errors are over what was predicted_error.
    pub(super) over: f64,
}

/// How a pass over the segments ended.
enum Pass {
    Done(PassResult),
    /// The segments before the last left too little of the error budget: they took so many times what was expected.
    Overspent(f64),
    /// The working precision does not reach the bound.
    Impossible,
}

/// A segment, encoded and checked.
struct CodedSegment {
    encoded: Encoded,
    errors: Errors,
    candidate: Candidate,
}

impl<T: Element> Passes<'_, T> {
    /// `None` where the bound cannot be met in this working precision.
    pub(super) fn run<R: Kernel>(&self, stages: &mut StageSeconds) -> Result<Option<PassResult>> {
        let scale = self.shared.normalisation.scale();
        let mut tighten = 1.0;
        let mut feedback = RateFeedback { caution: 1.0, over: 1.0 };
        let mut candidates = HashMap::new();
        let mut best: Option<PassResult> = None;
        for pass in 0..PASSES {
            if let Some(progress) = self.shared.progress {
                progress.restart();
            }
            let budget = match self.target {
                Target::Rms(rms) => Some((rms / scale).powi(2) * self.valid as f64 * tighten),
                Target::Block(_) => Some((self.target.size() / scale).powi(2) * self.valid as f64 * tighten),
                Target::Pointwise(_) => None,
            };
            let done = match self.pass::<R>(budget, feedback, &mut candidates, stages)? {
                Pass::Done(done) => done,
                Pass::Overspent(times) => {
                    feedback.caution *= (0.97 / times).min(0.9);
                    continue;
                }
                Pass::Impossible => return Ok(best),
            };
            let drift = done.drift;
            // What the next pass may spend of what this one spent.
            let left = match self.target {
                Target::Rms(rms) => ((rms - drift).max(0.0) / scale / done.errors.rms()).powi(2),
                _ => 1.0,
            };
            let enhanced = done.enhanced;
            let evened = pass == 0 && self.cut.segments.len() <= EVENED && self.tools.options.effort > Effort::Fast;
            let overshoot = done.overshoot.filter(|_| evened);
            if let Some(times) = overshoot {
                // Each window is steered anew at the highest effort alone.
                if self.thorough() {
                    feedback.over *= times;
                } else {
                    feedback.caution /= times;
                }
            }
            if done.errors.hold(self.shared.bound, self.shared.range, drift) {
                let slack = if self.thorough() { enhanced::SLACK } else { SLACK_ENHANCED };
                let unused = enhanced && left >= 1.0 + slack;
                let settled = best.is_some() || !unused && overshoot.is_none();
                let size = |done: &PassResult| done.sections.iter().map(Vec::len).sum::<usize>();
                if best.as_ref().is_none_or(|best| size(&done) < size(best)) {
                    best = Some(done);
                }
                if settled {
                    break;
                }
                if unused {
                    tighten *= left * SURE_ENHANCED;
                }
                continue;
            }
            tracing::debug!(pass, errors = ?done.errors, "the bound does not hold yet");
            match self.target {
                // What rounding to the caller's type, or another device, adds.
                Target::Rms(_) => tighten *= left.min(0.999) * if enhanced { SURE_ENHANCED } else { 0.9995 },
                _ => return Ok(None),
            }
            if tighten < 1e-3 {
                break;
            }
        }
        Ok(best)
    }

    /// Whether error budgets are used up as far as can be, whatever the time.
    fn thorough(&self) -> bool {
        self.tools.options.effort == Effort::High
    }

    /// What other devices' floats may add to the root mean square error of a field, in its units, some of whose segments are
    /// coded with these headers.
    fn drift<'m>(&self, headers: impl Iterator<Item = &'m SegmentHeader>) -> f64 {
        headers.map(|header| self.shared.drift(header)).fold(self.shared.inherited_drift(), f64::max)
    }

    fn source(&self, index: usize) -> Source<'_, T> {
        let segment = &self.cut.segments[index];
        let along = self.cut.strides(&self.field.strides);
        Source { values: self.values, segment, placement: segment.place(&self.field.strides, along, 0) }
    }

    /// Codes every segment once, as `choices` say, to which those are added that are not yet there.
    fn pass<R: Kernel>(
        &self,
        budget: Option<f64>,
        feedback: RateFeedback,
        candidates: &mut HashMap<usize, Candidate>,
        stages: &mut StageSeconds,
    ) -> Result<Pass> {
        let begin = Instant::now();
        let count = self.cut.segments.len();
        let wanted = PROBES.min(count);
        // Evenly spaced, and the last one, which settles the account.
        let probes: Vec<usize> = (1..=wanted).map(|k| k * count / wanted - 1).collect();
        let span = tracing::debug_span!("choose").entered();
        let Some(mut step) = self.first_step::<R>(&probes, budget)?.map(|step| step * feedback.caution) else {
            return Ok(Pass::Impossible);
        };
        let unknown: Vec<usize> = probes.iter().copied().filter(|k| !candidates.contains_key(k)).collect();
        let chosen = self.tools.map(0..unknown.len(), |k| self.candidate::<R>(unknown[k], step))?;
        candidates.extend(unknown.iter().copied().zip(chosen));
        let drift =
            self.drift(candidates.values().map(|candidate| &candidate.header)) / self.shared.normalisation.scale();
        let valid = self.valid as f64;
        let budget = budget.map(|budget| ((budget / valid).sqrt() - drift).max(0.0).powi(2) * valid);
        let Some((refined, forecasts)) = self.refine::<R>(&probes, candidates, step, budget, feedback)? else {
            return Ok(Pass::Impossible);
        };
        let forecasts: HashMap<usize, Forecast> = probes.iter().copied().zip(forecasts).collect();
        let chosen_at = step;
        tracing::debug!(chosen_at, refined, "step");
        step = refined;
        drop(span);
        stages.choose += begin.elapsed().as_secs_f64();
        let (sections, errors) = (Vec::with_capacity(count), Errors::new(self.shared.normalisation.scale()));
        let drift = self.shared.inherited_drift();
        let mut done = PassResult {
            sections,
            errors,
            uses_model: false,
            enhanced: false,
            without_model: 0.0,
            overshoot: None,
            drift,
        };
        let mut spent = 0.0;
        let mut values_left = self.field.shape().len();
        let mut next = 0;
        while next < count {
            // The last segment alone settles the account.
            let end = if next + 1 < count { (next + BATCH).min(count - 1) } else { count };
            let last = end == count;
            let left = budget.filter(|_| last).map(|budget| budget - spent);
            let values_done = self.field.shape().len() - values_left;
            let overspent = |spent: f64| {
                let predicted_error =
                    budget.unwrap_or(f64::INFINITY) * values_done as f64 / self.field.shape().len() as f64;
                Pass::Overspent(if predicted_error > 0.0 { spent / predicted_error } else { 1.0 })
            };
            if left.is_some_and(|left| left <= 0.0) {
                return Ok(overspent(spent));
            }
            let thorough = self.thorough();
            let coded_segments = self.tools.map(next..end, |k| {
                let candidate = match candidates.get(&k) {
                    Some(candidate) => candidate.clone(),
                    // At the highest effort ways are judged by what they come to at the step before enhancement.
                    None => self.candidate::<R>(k, if self.thorough() { chosen_at } else { step })?,
                };
                // Segments before the last are steered by what they were expected to come to at the common step.
                let forecast = forecasts.get(&k);
                let budget = forecast.map(|forecast| Budget {
                    squared_error: left.unwrap_or_else(|| forecast.total(step)),
                    forecast,
                    settle: last,
                });
                self.coded_segment::<R>(k, candidate, &Goal { step, budget, enhanced: 1.0, thorough })
            })?;
            for (k, coded_segment) in (next..end).zip(coded_segments) {
                let coded_segment = match coded_segment {
                    Ok(coded_segment) => coded_segment,
                    // With little left for the last window, finer steps before it help; else nothing will.
                    Err(times) if last && budget.is_some() && times.is_finite() && feedback.caution > LEAST_CAUTION => {
                        return Ok(Pass::Overspent(times));
                    }
                    Err(_) => return Ok(Pass::Impossible),
                };
                spent += coded_segment.encoded.squared_error;
                tracing::debug!(segment = k, step, spent, budget, "coded");
                values_left -= self.size(k);
                done.errors.merge(&coded_segment.errors);
                let enhanced = coded_segment.candidate.header.enhance.is_some();
                done.uses_model |= coded_segment.candidate.header.needs_model();
                done.without_model += coded_segment.encoded.bytes.len() as f64 / coded_segment.candidate.model_leaves;
                done.enhanced |= enhanced;
                done.drift = done.drift.max(self.shared.drift(&coded_segment.candidate.header));
                done.overshoot = coded_segment.encoded.overshoot;
                done.sections.push(coded_segment.encoded.bytes);
                stages.add(&coded_segment.encoded.stages);
                candidates.insert(k, coded_segment.candidate);
            }
            if let (Some(budget), false) = (budget, last) {
                let seen: usize = (0..end).map(|k| self.size(k)).sum();
                let per_value = spent / seen as f64;
                let wanted = (budget - spent).max(budget * 1e-3) / values_left as f64;
                step *= (wanted / per_value.max(f64::MIN_POSITIVE)).powf(0.5 / STEP_POWER).clamp(0.7, 1.4);
            }
            next = end;
        }
        Ok(Pass::Done(done))
    }

    /// The step at which the probes' first windows come out at the budget, coded without prediction.
    fn first_step<R: Kernel>(&self, probes: &[usize], budget: Option<f64>) -> Result<Option<f64>> {
        let Some(budget) = budget else {
            let scale = self.shared.normalisation.scale();
            return Ok(Some(self.target.size() / scale * POINTWISE_STEP));
        };
        let start = 3.0 * (budget / self.valid as f64).sqrt();
        let candidates = probes.iter().map(|&k| {
            let header = SegmentHeader {
                mode: PredictionMode::Transform,
                ..plain(self.cut.segments[k].count, Effort::Fast, false)
            };
            (k, Candidate::plain(header))
        });
        let candidates = candidates.collect();
        Ok(self.forecasts::<R>(probes, &candidates, start, forecast::ONE)?.map(|forecasts| {
            step_for(|step| forecasts.iter().map(|f| f.total(step)).sum(), self.share(probes, budget), start)
        }))
    }

    /// What of a budget falls to some segments.
    fn share(&self, segments: &[usize], budget: f64) -> f64 {
        budget * segments.iter().map(|&k| self.size(k)).sum::<usize>() as f64 / self.field.shape().len() as f64
    }

    /// The step at which whole probes are expected to come out at the budget, and their forecasts.
    pub(super) fn refine<R: Kernel>(
        &self,
        probes: &[usize],
        candidates: &HashMap<usize, Candidate>,
        step: f64,
        budget: Option<f64>,
        feedback: RateFeedback,
    ) -> Result<Option<(f64, Vec<Forecast>)>> {
        let Some(budget) = budget else {
            return Ok(Some((step, Vec::new())));
        };
        let wanted = self.share(probes, budget) * feedback.caution;
        let stride = if self.tools.options.effort == Effort::Fast { WINDOW_STRIDE } else { WINDOW_STRIDE_NORMAL };
        let mut step = step;
        for run in 1.. {
            let Some(forecasts) = self.forecasts::<R>(probes, candidates, step, stride)? else {
                return Ok(None);
            };
            // Corrected each, and not only their sum: windows are steered by them.
            let forecasts: Vec<Forecast> =
                forecasts.into_iter().map(|forecast| forecast.times(feedback.over)).collect();
            let before = step;
            step = step_for(|step| forecasts.iter().map(|f| f.total(step)).sum(), wanted, before);
            let moved = (step / before).log2().abs();
            if run == RUNS || forecasts.iter().all(|f| moved < f.reach()) {
                return Ok(Some((step, forecasts)));
            }
        }
        unreachable!("the last run returns")
    }

    /// What coding segments as chosen will cost in error, at about `step`.
    fn forecasts<R: Kernel>(
        &self,
        segments: &[usize],
        candidates: &HashMap<usize, Candidate>,
        step: f64,
        stride: usize,
    ) -> Result<Option<Vec<Forecast>>> {
        let _span = tracing::debug_span!("forecast").entered();
        let forecasts = self.tools.map(0..segments.len(), |k| {
            let source = self.source(segments[k]);
            let candidate = &candidates[&segments[k]];
            let segment = source.segment;
            let layout = Layout::new(segment.h, segment.w);
            let load = |first: usize, count: usize, frames: &mut Frames<R>| {
                frames.load(&source, &self.shared, first, count);
                predict_latents(frames, count, &source, &self.shared, &candidate.header, candidate.gain).map(|_| ())
            };
            let before = self.shared.before::<R>(segment).filter(|_| candidate.header.follows);
            let forecast =
                Forecast::of(segment.count, &layout, &candidate.header, step, stride, before.as_deref(), load)?;
            Ok(forecast.map(|forecast| forecast.times(candidate.over_forecast * candidate.enhanced)))
        })?;
        Ok(forecasts.into_iter().collect())
    }

    fn size(&self, index: usize) -> usize {
        let segment = &self.cut.segments[index];
        segment.count * segment.h * segment.w
    }

    /// Chooses how a segment is coded at about `step`.
    fn candidate<R: Kernel>(&self, index: usize, step: f64) -> Result<Candidate> {
        let source = self.source(index);
        // What the decoder will find, whatever the sample began with.
        let follows = self.shared.before::<R>(source.segment).is_some();
        if self.tools.options.effort == Effort::Fast {
            let header = plain(source.segment.count, Effort::Fast, follows);
            let header = SegmentHeader { step: Step::at_most(step), ..header };
            return Ok(Candidate::plain(header));
        }
        let mut candidate = choose::<T, R>(&source, step, self.tools, &self.shared)?;
        candidate.header.follows = follows;
        Ok(candidate)
    }

    /// Encodes and checks one segment; see [`encode`] for the number in its place.
    fn coded_segment<R: Kernel>(
        &self,
        index: usize,
        candidate: Candidate,
        goal: &Goal<'_>,
    ) -> Result<std::result::Result<CodedSegment, f64>> {
        let source = self.source(index);
        let span = tracing::debug_span!("encode").entered();
        let memo = fm::Memo::default();
        let mut buffers = Buffers::default();
        // The encoder counts errors before they are enhanced.
        let forecast = goal.budget.as_ref().map(|budget| budget.forecast.clone().times(1.0 / candidate.enhanced));
        let budget = goal.budget.as_ref().zip(forecast.as_ref()).map(|(budget, forecast)| Budget {
            squared_error: budget.squared_error / candidate.enhanced,
            forecast,
            settle: budget.settle,
        });
        let goal = &Goal { budget, enhanced: candidate.enhanced, ..*goal };
        let shared = FieldContext { memo: Some(&memo), ..self.shared };
        let (size, mode) = ([source.segment.h, source.segment.w], self.tools.options.fm);
        let encoded = candidate.header.with_model(shared.package, size, mode, Some(&memo), |model| {
            encode::<T, R>(&source, shared, &candidate.header, goal, model, candidate.gain, &mut buffers)
        })?;
        let mut encoded = match encoded {
            Ok(encoded) => encoded,
            Err(times) => return Ok(Err(times)),
        };
        drop(span);
        let _span = tracing::debug_span!("check").entered();
        let begin = Instant::now();
        let mut errors = self.check::<R>(&source, &encoded.bytes, shared, &mut buffers)?;
        errors.guard(self.shared.drift(&candidate.header));
        encoded.stages.check += begin.elapsed().as_secs_f64();
        if candidate.header.enhance.is_some() {
            encoded.squared_error = errors.squared;
        }
        Ok(Ok(CodedSegment { encoded, errors, candidate }))
    }

    /// Decodes a segment's bytes as a reader will, and compares with the original.
    fn check<R: Kernel>(
        &self,
        source: &Source<'_, T>,
        bytes: &[u8],
        shared: FieldContext<'_>,
        buffers: &mut Buffers<R>,
    ) -> Result<Errors> {
        let mut errors = Errors::new(self.shared.normalisation.scale());
        let mut exact = Vec::new();
        let segment = source.segment;
        let mut ignored = StageSeconds::default();
        decode::<T, R>(bytes, segment, shared, 0, segment.count, 0, &mut ignored, buffers, |window| {
            let _span = tracing::debug_span!("compare").entered();
            original(source.values, segment, &source.at(window.first), window.count, &mut exact);
            let dims = [window.count, window.h, window.w];
            errors.add(&exact, window.values, dims, self.shared.specials, self.shared.block_bound())
        })
        .map_err(|error| match error.kind() {
            // What fails is not the stream.
            ErrorKind::Runtime => error.context("the check of the own output"),
            _ => Error::internal(format!("the check of the own output failed: {error}")),
        })?;
        Ok(errors)
    }
}
