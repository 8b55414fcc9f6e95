//! Encoding one segment: its windows one after another, at steps that use the error budget up, into the byte strings of its
//! section.

use super::context::FieldContext;
use super::decode::finish;
use super::frames::{Frames, Source, unlimited};
use super::state::{Buffers, Prepared, SegmentState};
use crate::bound::{Bound, block, check::POINT_FLIPS, pointwise::PointwiseModel};
use crate::codec::rate::budget::Goal;
use crate::codec::rate::control::{Rate, Window};
use crate::codec::rate::enhanced::EnhancedRate;
use crate::codec::report::StageSeconds;
use crate::enhance::Enhancement;
use crate::entropy::Encoder;
use crate::error::Result;
use crate::field::{Element, MaskModel};
use crate::predict::fm::CodedLatents;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{Step, fm};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::stream::{PredictionMode, SegmentBytes, SegmentHeader};
use crate::window::original;
use std::time::Instant;

/// An encoded segment.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// Sum of squared errors over valid points, in working units, before rounding to the caller's type.
    pub(crate) squared_error: f64,
    /// See [`Rate::overshoot`].
    pub(crate) overshoot: Option<f64>,
    pub(crate) stages: StageSeconds,
}

/// Encodes a segment. Where the goal cannot be met, a number stands in its place: how many times what was predicted_error had been spent
/// of the budget by then; infinite where no step in the working precision will do.
///
/// # Errors
/// What the model says.
pub(crate) fn encode<T: Element, R: Kernel>(
    source: &Source<'_, T>,
    shared: FieldContext<'_>,
    header: &SegmentHeader,
    goal: &Goal<'_>,
    model: ModelUse<'_>,
    gain: usize,
    buffers: &mut Buffers<R>,
) -> Result<std::result::Result<Encoded, f64>> {
    let segment = source.segment;
    let (h, w) = (segment.h, segment.w);
    let layout = Layout::new(h, w);
    let before = shared.before(segment).filter(|_| header.follows);
    let mut spare = std::mem::take(&mut buffers.coded);
    let mut state =
        SegmentState::<R>::new(&layout, header, model)?.within(std::mem::take(buffers)).after(before.as_deref());
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
    let mut rate = Rate::new(goal);
    let mut prepared = Prepared::default();
    let mut sum: Vec<R> = Vec::new();
    let mut corrected = false;
    let mut valid = 0.0;
    let windows = header.windows(segment.count);
    let mut enhanced_rate = EnhancedRate::new(source, &shared, header, goal)?;
    let mut first = 0;
    for (i, &count) in windows.iter().enumerate() {
        let begin = Instant::now();
        frames.load(source, &shared, first, count);
        if kinds > 0 {
            masks.code(&mut mask, &mut frames.classes, count, h, w, kinds)?;
        }
        out.stages.field += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let predicted = predict_latents(&mut frames, count, source, &shared, header, gain)?;
        if let Some(coded) = &predicted {
            latents.extend_from_slice(&coded.bytes);
        }
        out.stages.model += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        prepared = state.prepare(&frames.frames, count, prepared);
        let window = Window { frames: &frames, prepared: &prepared, count, index: i };
        let found = match &mut enhanced_rate {
            Some(enhanced_rate) => enhanced_rate.code(&mut rate, &mut state, window, spare)?,
            None => rate.code(&mut state, window, spare)?,
        };
        let Some(mut trial) = found else {
            return Ok(Err(rate.overspend_ratio()));
        };
        rate.accept(i, &trial);
        tracing::debug!(window = i, step = trial.coded.step.value(), spent = rate.overspend_ratio(), "coded");
        out.stages.transform += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        state.code(&mut side, &mut coefficients, &mut trial.coded, 1)?;
        out.stages.entropy += begin.elapsed().as_secs_f64();
        out.squared_error += trial.squared_error;
        valid += frames.valid_share() * (count * layout.len()) as f64;
        // The state goes on from the decoded residual; only the output has the autoencoder's prediction added.
        let output = match &predicted {
            Some(CodedLatents { frames: predicted, .. }) => {
                sum.clear();
                sum.extend(trial.decoded.frames.iter().zip(predicted).map(|(a, b)| *a + *b));
                &sum
            }
            None => &trial.decoded.frames,
        };
        let _span = tracing::debug_span!("correct").entered();
        match (shared.bound, shared.pointwise()) {
            (_, Some(epsilon)) => {
                original(source.values, segment, &source.at(first), count, &mut exact);
                finish(output, &frames.classes, shared, &mut values);
                // Room for what another device's floats may add (see Errors::hold).
                let allowed = epsilon - POINT_FLIPS * shared.drift(header);
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
                    return Ok(Err(f64::INFINITY));
                }
                let dims = [count, h, w];
                let stats = block::encode(&mut corrections, &exact, &mut decoded, classes, dims, tau)?;
                corrected |= stats.corrected > 0;
            }
            _ => {}
        }
        state.advance(trial.decoded);
        if let Some(progress) = shared.progress {
            progress.add(count * h * w);
        }
        spare = trial.coded;
        first += count;
    }
    let parts = SegmentBytes {
        side: side.finish(),
        mask: if kinds > 0 { mask.finish() } else { Vec::new() },
        latents,
        coefficients: coefficients.finish(),
        corrections: if corrected { not_empty(corrections.finish()) } else { Vec::new() },
    };
    out.overshoot = rate.overshoot();
    let noise = (out.squared_error / valid).sqrt();
    let enhance = header.enhance.filter(|_| noise > 0.0 && noise.is_finite()).map(|how| match &enhanced_rate {
        Some(enhanced_rate) => enhanced_rate.how(),
        None => Enhancement { noise: Step::at_most(noise), ..how },
    });
    out.bytes = parts.write(&SegmentHeader { enhance, ..header.clone() });
    *buffers = state.into_buffers(spare);
    Ok(Ok(out))
}

/// An empty byte string would mean that there are no corrections.
fn not_empty(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() {
        bytes.push(0);
    }
    bytes
}

/// Where the way is the latents', runs the autoencoder and leaves its residual in `frames`.
pub(crate) fn predict_latents<T: Element, R: Kernel>(
    frames: &mut Frames<R>,
    count: usize,
    source: &Source<'_, T>,
    shared: &FieldContext<'_>,
    header: &SegmentHeader,
    gain: usize,
) -> Result<Option<CodedLatents<R>>> {
    let (PredictionMode::Latents, Some(package)) = (header.mode, shared.package) else {
        return Ok(None);
    };
    let (h, w) = (source.segment.h, source.segment.w);
    let grid = fm::grid(header.step);
    let coded = fm::encode_latents(package, &frames.frames, count, h, w, shared.normalisation, grid, gain)?;
    for (v, p) in frames.frames.iter_mut().zip(&coded.frames) {
        *v -= *p;
    }
    // What is coded now is no longer the field, whose limits say nothing of it.
    frames.limits = unlimited();
    Ok(Some(coded))
}
