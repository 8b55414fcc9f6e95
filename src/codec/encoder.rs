//! Encoding one segment: its windows one after another, at steps that use the error budget up, into the byte strings of its
//! section.

use super::decoder::{Shared, finish};
use super::report::StageSeconds;
use super::segment::{Method, Prepared, SegmentState, Way};
use crate::bound::{Bound, block, check::POINT_FLIPS, pointwise::PointwiseModel};
use crate::entropy::{Cost, Encoder};
use crate::error::Result;
use crate::field::{Element, MaskModel, fill_holes};
use crate::predict::fm::CodedLatents;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{CodedWindow, Reconstruction, Step, fm, squared_error};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::stream::SegmentBytes;
use crate::window::{Placement, Segment, gather, original};
use std::time::Instant;

/// A segment in the caller's memory.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) segment: &'a Segment,
    /// Where its first frame lies.
    pub(crate) placement: Placement,
}

impl<T> Source<'_, T> {
    /// Where frame `t` lies.
    pub(crate) fn at(&self, t: usize) -> Placement {
        Placement { start: self.placement.start + t * self.placement.strides[0], strides: self.placement.strides }
    }
}

/// What a segment's encoder aims at.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// The step, in working units.
    pub(crate) step: f64,
    /// What the segment must stay under and use up; `None`: keep to the step.
    pub(crate) budget: Option<Budget>,
}

/// An error budget for a segment.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    /// The sum of squared errors over valid points, in working units.
    pub(crate) squared_error: f64,
    /// What each window is expected to spend of it at the goal's step.
    pub(crate) profile: Vec<f64>,
}

/// An encoded segment.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// Sum of squared errors over valid points, in working units, before rounding to the caller's type.
    pub(crate) squared_error: f64,
    pub(crate) stages: StageSeconds,
}

/// A window's frames in working units, holes filled, and its mask.
#[derive(Default)]
pub(crate) struct Frames<R> {
    pub(crate) frames: Vec<R>,
    pub(crate) classes: Vec<u8>,
    pub(crate) masked: bool,
    /// The smallest and the largest value of the output.
    limits: [R; 2],
}

impl<R: Kernel> Frames<R> {
    /// Gathers `count` frames from frame `first` on.
    pub(crate) fn load<T: Element>(&mut self, source: &Source<'_, T>, shared: &Shared<'_>, first: usize, count: usize) {
        self.masked = gather(
            source.values,
            source.segment,
            &source.at(first),
            count,
            shared.normalisation,
            shared.specials,
            &mut self.frames,
            &mut self.classes,
        );
        let norm = shared.normalisation;
        self.limits = [norm.min, norm.max].map(|v| R::from_f64((v - norm.mean) / norm.scale()));
        if self.masked {
            fill_holes(&mut self.frames, &self.classes, count, source.segment.h, source.segment.w);
        }
    }

    /// Squared error of `decoded` over valid points, clamped to the field's range as a decoder's output is.
    pub(crate) fn squared_error(&self, decoded: &[R]) -> f64 {
        if !self.masked {
            return clamped_error(&self.frames, decoded, self.limits);
        }
        let points = self.frames.iter().zip(decoded).zip(&self.classes);
        let [low, high] = self.limits.map(R::to_f64);
        points
            .map(|((a, b), &class)| if class == 0 { (a.to_f64() - b.to_f64().clamp(low, high)).powi(2) } else { 0.0 })
            .sum()
    }
}

/// [`squared_error`] of `decoded` clamped to `limits`.
fn clamped_error<R: Kernel>(frames: &[R], decoded: &[R], [low, high]: [R; 2]) -> f64 {
    let mut clamped = [R::default(); 256];
    frames
        .chunks(256)
        .zip(decoded.chunks(256))
        .map(|(frames, decoded)| {
            for (c, &v) in clamped.iter_mut().zip(decoded) {
                let v = if v < low { low } else { v };
                *c = if v > high { high } else { v };
            }
            squared_error(frames, &clamped[..frames.len()])
        })
        .sum()
}

/// One way to code a window: what is written, what its decoder gets, and the error.
struct Trial<R: Kernel> {
    coded: CodedWindow<R>,
    decoded: Reconstruction<R>,
    squared_error: f64,
}

/// Encodes a segment. `None` where the goal cannot be met in the working precision.
///
/// # Errors
/// What the model says.
pub(crate) fn encode<T: Element, R: Kernel>(
    source: &Source<'_, T>,
    shared: Shared<'_>,
    method: &Method,
    goal: &Goal,
    model: ModelUse<'_>,
    gain: usize,
) -> Result<Option<Encoded>> {
    let segment = source.segment;
    let (h, w) = (segment.h, segment.w);
    let layout = Layout::new(h, w);
    let mut state = SegmentState::<R>::new(&layout, method, model)?;
    let mut side = Encoder::new(Vec::new());
    let mut coefficients = Encoder::new(Vec::new());
    let mut mask = Encoder::new(Vec::new());
    let mut corrections = Encoder::new(Vec::new());
    let mut latents = Vec::new();
    let mut masks = MaskModel::new();
    let mut pointwise = PointwiseModel::new(h, w);
    let kinds = shared.specials.patterns().len() as u8;
    let mut out = Encoded::default();
    let mut frames = Frames::<R>::default();
    let mut values: Vec<T> = Vec::new();
    let mut exact: Vec<T> = Vec::new();
    let mut rate = Rate { goal, spent: 0.0 };
    let mut corrected = false;
    let windows = method.windows(segment.count);
    let mut first = 0;
    for (i, &count) in windows.iter().enumerate() {
        let begin = Instant::now();
        frames.load(source, &shared, first, count);
        if kinds > 0 {
            masks.code(&mut mask, &mut frames.classes, count, h, w, kinds)?;
        }
        out.stages.field += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let predicted = predict_latents(&mut frames, count, source, &shared, method, gain)?;
        if let Some(coded) = &predicted {
            latents.extend_from_slice(&coded.bytes);
        }
        out.stages.model += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let prepared = state.prepare(&frames.frames, count);
        let Some(mut trial) = rate.choose(&mut state, &frames, &prepared, count, i)? else {
            return Ok(None);
        };
        out.stages.transform += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        state.code(&mut side, &mut coefficients, &mut trial.coded, 1)?;
        out.stages.entropy += begin.elapsed().as_secs_f64();
        out.squared_error += trial.squared_error;
        // The state goes on from the decoded residual; only the output has the autoencoder's prediction added.
        let sum: Vec<R>;
        let output = match &predicted {
            Some(CodedLatents { frames: predicted, .. }) => {
                sum = trial.decoded.frames.iter().zip(predicted).map(|(a, b)| *a + *b).collect();
                &sum
            }
            None => &trial.decoded.frames,
        };
        match (shared.bound, shared.pointwise()) {
            (_, Some(epsilon)) => {
                original(source.values, segment, &source.at(first), count, &mut exact);
                finish(output, &frames.classes, shared, &mut values);
                // Room for what another device's floats may add (see Errors::hold).
                let flips = if method.uses_model { f64::from(fm::grid(method.step)) * fm::FLIP_GAIN } else { 0.0 };
                let allowed = epsilon - POINT_FLIPS * flips * shared.normalisation.scale();
                let classes = &frames.classes;
                corrected |=
                    pointwise.encode(&mut corrections, &exact, &mut values, classes, count, epsilon, allowed)?;
            }
            (Bound::BlockL2(tau), _) => {
                original(source.values, segment, &source.at(first), count, &mut exact);
                let exact: Vec<f64> = exact.iter().map(|v| v.to_f64()).collect();
                let scale = shared.normalisation.scale();
                let mut decoded: Vec<f64> =
                    output.iter().map(|v| shared.normalisation.restore(v.to_f64(), scale)).collect();
                let classes = frames.masked.then_some(frames.classes.as_slice());
                let tau = shared.block_target::<T>(tau);
                if tau <= 0.0 {
                    return Ok(None);
                }
                let dims = [count, h, w];
                let stats = block::encode(&mut corrections, &exact, &mut decoded, classes, dims, tau)?;
                corrected |= stats.corrected > 0;
            }
            _ => {}
        }
        state.advance(trial.decoded);
        first += count;
    }
    let parts = SegmentBytes {
        side: side.finish(),
        mask: if kinds > 0 { mask.finish() } else { Vec::new() },
        latents,
        coefficients: coefficients.finish(),
        corrections: if corrected { not_empty(corrections.finish()) } else { Vec::new() },
    };
    out.bytes = parts.write(method);
    Ok(Some(out))
}

/// An empty byte string would mean that there are no corrections.
fn not_empty(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() {
        bytes.push(0);
    }
    bytes
}

/// Chooses each window's step so that a segment's squared error comes out at its budget. All steps should be nearly the same,
/// which is cheapest; a profile of the windows' errors from a dry run tells early where the account is heading.
struct Rate<'a> {
    goal: &'a Goal,
    spent: f64,
}

/// The share of the budget that may be left unused.
const SLACK: f64 = 0.006;
/// How far a window's step may stray from the goal's, but for the last's; more where the budget runs short.
const STRAY: f64 = 1.06;
const STRAY_FINER: f64 = 1.25;
/// Trials for the last window's step, until one meets the budget.
const TRIALS: usize = 12;
/// Trials after which one that meets the budget, though not closely, is taken.
const TRIALS_ENOUGH: usize = 4;
/// The share of the budget that may then be left unused.
const SLACK_ENOUGH: f64 = 0.03;
/// Squared errors grow with the step to about this power.
pub(crate) const STEP_POWER: f64 = 1.6;

impl Rate<'_> {
    fn choose<R: Kernel>(
        &mut self,
        state: &mut SegmentState<'_, R>,
        frames: &Frames<R>,
        prepared: &Prepared<R>,
        count: usize,
        index: usize,
    ) -> Result<Option<Trial<R>>> {
        let Some(budget) = &self.goal.budget else {
            return attempt(state, frames, prepared, count, self.goal.step);
        };
        let left = budget.squared_error - self.spent;
        let expected: f64 = budget.profile[index..].iter().sum();
        let factor = (left.max(0.0) / expected.max(f64::MIN_POSITIVE)).powf(1.0 / STEP_POWER);
        let step = self.goal.step * factor.clamp(1.0 / STRAY_FINER, STRAY);
        let found = if index + 1 == budget.profile.len() {
            solve(state, frames, prepared, count, step, left)?
        } else {
            attempt(state, frames, prepared, count, step)?
        };
        self.spent += found.as_ref().map_or(0.0, |trial| trial.squared_error);
        Ok(found)
    }
}

/// What a segment's windows come to at the goal's step: their squared errors. `None` where the step is too fine.
///
/// # Errors
/// What the model says.
pub(crate) fn dry_run<T: Element, R: Kernel>(
    source: &Source<'_, T>,
    shared: Shared<'_>,
    method: &Method,
    step: f64,
    model: ModelUse<'_>,
    gain: usize,
) -> Result<Option<Vec<f64>>> {
    let layout = Layout::new(source.segment.h, source.segment.w);
    let mut state = SegmentState::<R>::new(&layout, method, model)?;
    let mut frames = Frames::<R>::default();
    let mut errors = Vec::new();
    let mut scale = None;
    let mut first = 0;
    for count in method.windows(source.segment.count) {
        frames.load(source, &shared, first, count);
        predict_latents(&mut frames, count, source, &shared, method, gain)?;
        let prepared = state.prepare(&frames.frames, count);
        let step = Step::at_most(step);
        let exact = |decoded: &[R]| frames.squared_error(decoded);
        let Some(error) = state.dry_run(&frames.frames, &prepared, count, step, &mut scale, exact)? else {
            return Ok(None);
        };
        errors.push(error);
        first += count;
    }
    Ok(Some(errors))
}

/// Where the way is the latents', runs the autoencoder and leaves its residual in `frames`.
fn predict_latents<T: Element, R: Kernel>(
    frames: &mut Frames<R>,
    count: usize,
    source: &Source<'_, T>,
    shared: &Shared<'_>,
    method: &Method,
    gain: usize,
) -> Result<Option<CodedLatents<R>>> {
    let (Way::Latents, Some(package)) = (method.way, shared.package) else {
        return Ok(None);
    };
    let (h, w) = (source.segment.h, source.segment.w);
    let grid = fm::grid(method.step);
    let coded = fm::encode_latents(package, &frames.frames, count, h, w, shared.normalisation, grid, gain)?;
    for (v, p) in frames.frames.iter_mut().zip(&coded.frames) {
        *v -= *p;
    }
    // What is coded now is no longer the field, whose limits say nothing of it.
    frames.limits = [f64::NEG_INFINITY, f64::INFINITY].map(R::from_f64);
    Ok(Some(coded))
}

fn attempt<R: Kernel>(
    state: &mut SegmentState<'_, R>,
    frames: &Frames<R>,
    prepared: &Prepared<R>,
    count: usize,
    step: f64,
) -> Result<Option<Trial<R>>> {
    let step = Step::at_most(step);
    Ok(state.encode(&frames.frames, prepared, count, step)?.map(|(coded, decoded)| {
        let squared_error = frames.squared_error(&decoded.frames);
        Trial { coded, decoded, squared_error }
    }))
}

/// The coarsest step found whose squared error is at most `budget`, and close to it. `None` where there is none.
fn solve<R: Kernel>(
    state: &mut SegmentState<'_, R>,
    frames: &Frames<R>,
    prepared: &Prepared<R>,
    count: usize,
    start: f64,
    budget: f64,
) -> Result<Option<Trial<R>>> {
    if budget <= 0.0 {
        return Ok(None);
    }
    let mut best: Option<Trial<R>> = None;
    // (log step, log error) of the finest failure and the coarsest success.
    let mut low: Option<(f64, f64)> = None;
    let mut high: Option<(f64, f64)> = None;
    let target = (budget * (1.0 - SLACK / 3.0)).ln();
    let mut log_step = start.ln();
    for k in 0..TRIALS {
        let enough = |b: &Trial<R>| b.squared_error >= budget * (1.0 - SLACK_ENOUGH);
        if k >= TRIALS_ENOUGH && best.as_ref().is_some_and(enough) {
            break;
        }
        let Some(trial) = attempt(state, frames, prepared, count, log_step.exp())? else {
            break;
        };
        let log_error = trial.squared_error.max(f64::MIN_POSITIVE).ln();
        let met = trial.squared_error <= budget;
        let point = (log_step, log_error);
        if met {
            let close = trial.squared_error >= budget * (1.0 - SLACK);
            low = Some(point);
            if best.as_ref().is_none_or(|b| trial.squared_error >= b.squared_error) {
                best = Some(trial);
            }
            if close {
                break;
            }
        } else {
            high = Some(point);
        }
        log_step = match (low, high) {
            (Some(a), Some(b)) => {
                let slope = (b.1 - a.1) / (b.0 - a.0);
                let guess = if slope > 0.1 { a.0 + (target - a.1) / slope } else { 0.5 * (a.0 + b.0) };
                // Inside the bracket, away from its ends.
                let margin = 0.05 * (b.0 - a.0);
                if b.0 - a.0 < 2.0 / 256.0 * std::f64::consts::LN_2 {
                    break;
                }
                guess.clamp(a.0 + margin, b.0 - margin)
            }
            // A squared error grows with a power of the step between 1 and 2.
            (Some(a), None) => {
                // All error there can be is already made: a coarser step would not spend more.
                if a.1 < target - 30.0 {
                    break;
                }
                a.0 + ((target - a.1) / 1.6).clamp(0.004, 2.0)
            }
            (None, Some(b)) => b.0 + ((target - b.1) / 1.6).clamp(-4.0, -0.004),
            (None, None) => unreachable!("every trial either meets its budget or does not"),
        };
    }
    Ok(best)
}

/// The squared error of a sample coded with a method at a step.
///
/// # Errors
/// None but those of a broken method.
pub(crate) fn error<R: Kernel>(
    frames: &[R],
    layout: &Layout,
    count: usize,
    method: &Method,
    step: f64,
) -> Result<Option<f64>> {
    let n = layout.len();
    let mut state = SegmentState::<R>::new(layout, method, ModelUse::Off)?;
    let (mut scale, mut sum, mut first) = (None, 0.0, 0);
    for count in method.windows(count) {
        let window = &frames[first * n..][..count * n];
        let prepared = state.prepare(window, count);
        let exact = |decoded: &[R]| squared_error(window, decoded);
        let found = state.dry_run(window, &prepared, count, Step::at_most(step), &mut scale, exact)?;
        let Some(found) = found else {
            return Ok(None);
        };
        sum += found;
        first += count;
    }
    Ok(Some(sum))
}

/// What a sample of a segment costs with a method at a step: bits, squared error.
///
/// # Errors
/// What the model says.
pub(crate) fn cost<R: Kernel>(
    frames: &[R],
    layout: &Layout,
    count: usize,
    method: &Method,
    step: f64,
    model: ModelUse<'_>,
) -> Result<Option<(f64, f64)>> {
    let n = layout.len();
    let mut state = SegmentState::<R>::new(layout, method, model)?;
    let (mut side, mut coefficients) = (Cost::default(), Cost::default());
    let mut error = 0.0;
    let mut first = 0;
    for count in method.windows(count) {
        let window = &frames[first * n..][..count * n];
        let prepared = state.prepare(window, count);
        let Some((mut coded, decoded)) = state.encode(window, &prepared, count, Step::at_most(step))? else {
            return Ok(None);
        };
        error += squared_error(window, &decoded.frames);
        state.code(&mut side, &mut coefficients, &mut coded, 1)?;
        state.advance(decoded);
        first += count;
    }
    let basis = method.basis.as_ref().map_or(0, |basis| 16 * basis.len());
    Ok(Some((side.bits() + coefficients.bits() + basis as f64, error)))
}
