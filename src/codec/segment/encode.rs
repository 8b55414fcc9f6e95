//! Encoding one segment: its windows one after another, at steps that use the error budget up, into the byte strings of
//! its section.

use super::checked::Checker;
use super::coefficients::CoefficientWriter;
use super::context::FieldContext;
use super::corrections::Corrections;
use super::decode::{Work, corrected_anew};
use super::fingerprint::Checked;
use super::frames::{Frames, unlimited};
use super::state::{Buffers, Prepared, SegmentState};
use crate::codec::plan::candidate::Candidate;
use crate::codec::rate::budget::{Attempt, Goal};
use crate::codec::rate::control::{Rate, Window};
use crate::codec::rate::enhanced::EnhancedRate;
use crate::codec::rate::step::Spent;
use crate::codec::report::StageSeconds;
use crate::enhance::Enhancement;
use crate::entropy::Encoder;
use crate::error::Result;
use crate::field::{Element, MaskModel};
use crate::predict::fm::{self, CodedLatents};
use crate::predict::hierarchical::ModelUse;
use crate::predict::{CodedWindow, Step};
use crate::residual::kernels::Kernel;
use crate::stream::{IndexCoder, PredictionMode, SegmentBytes, SegmentHeader};
use crate::window::Source;
use std::time::Instant;

/// An encoded segment.
#[derive(Debug, Default)]
pub(crate) struct EncodedSegment {
    pub(crate) bytes: Vec<u8>,
    /// Sum of squared errors over valid points, in working units, before rounding to the caller's type.
    pub(crate) squared_error: f64,
    /// See [`Rate::overshoot`].
    pub(crate) overshoot: Option<f64>,
    /// What each window came to, where there was a budget.
    pub(crate) spent: Vec<Spent>,
    pub(crate) stages: StageSeconds,
    /// What is known of the values that its decoder makes, where these are known.
    pub(crate) checked: Option<Checked>,
}

/// Encodes a segment as a candidate says.
///
/// # Errors
/// What the model says.
pub(crate) fn encode<T: Element, R: Kernel>(
    source: &Source<'_, T>,
    context: FieldContext<'_>,
    candidate: &Candidate,
    goal: &Goal<'_>,
    model: ModelUse<'_>,
    buffers: &mut Buffers<R>,
) -> Result<Attempt<EncodedSegment>> {
    let mut encoded = match encode_windows(source, context, candidate, goal, model, buffers)? {
        Attempt::Done(encoded) => encoded,
        other => return Ok(other),
    };
    if corrects_late(&candidate.header, &context) {
        let work = Work { stages: &mut encoded.stages, buffers };
        let context = FieldContext { progress: None, ..context };
        match corrected_anew::<T, R>(&encoded.bytes, source, context, work)? {
            Some(bytes) => encoded.bytes = bytes,
            None => return Ok(Attempt::Unreachable),
        }
    }
    Ok(Attempt::Done(encoded))
}

/// Whether frames are corrected as they are enhanced, once all windows are coded.
fn corrects_late(header: &SegmentHeader, context: &FieldContext<'_>) -> bool {
    header.enhance.is_some() && context.corrects()
}

/// As [`encode`], without corrections that come late.
fn encode_windows<T: Element, R: Kernel>(
    source: &Source<'_, T>,
    context: FieldContext<'_>,
    candidate: &Candidate,
    goal: &Goal<'_>,
    model: ModelUse<'_>,
    buffers: &mut Buffers<R>,
) -> Result<Attempt<EncodedSegment>> {
    let header = &candidate.header;
    let late = corrects_late(header, &context);
    let segment = source.segment;
    let layout = segment.layout();
    let reference = context.reference_frame(segment);
    let mut spare = std::mem::take(&mut buffers.coded);
    let mut state =
        SegmentState::<R>::new(&layout, header, model)?.within(std::mem::take(buffers)).after(reference.as_deref());
    let windows = state.windows(segment.count);
    let mut sections = Sections::new(source, context, header);
    let mut frames = Frames::<R>::default();
    let mut prepared = Prepared::default();
    let mut sum: Vec<R> = Vec::new();
    let mut rate = Rate::new(goal);
    let mut checker = Checker::new(source, context, header);
    let mut enhanced = EnhancedRate::new(source, &context, header, goal, windows.len())?;
    let mut out = EncodedSegment::default();
    let (mut first, mut valid) = (0, 0.0);
    for (index, &count) in windows.iter().enumerate() {
        let begin = Instant::now();
        frames.load(source, &context, first, count);
        sections.write_mask(&mut frames, count)?;
        out.stages.field += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let predicted = predict_latents(&mut frames, source, &context, candidate)?;
        sections.latents.extend(predicted.iter().flat_map(|coded| &coded.bytes));
        out.stages.model += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        prepared = state.prepare(&frames.frames, count, prepared);
        let window = Window { frames: &frames, prepared: &prepared, count, index };
        let found = match &mut enhanced {
            Some(enhanced) => enhanced.code(&mut rate, &mut state, window, spare)?,
            None => rate.code(&mut state, window, spare)?,
        };
        let Some(mut trial) = found else {
            return Ok(rate.failure());
        };
        rate.accept(index, &trial);
        tracing::debug!(window = index, step = trial.coded.step.value(), spent = rate.overspend_ratio(), "coded");
        out.stages.transform += begin.elapsed().as_secs_f64();
        if let Some(checker) = &mut checker {
            out.stages.check += checker.add(&trial.coded, &trial.decoded.frames, &frames, first)?;
        }
        let begin = Instant::now();
        sections.write_window(&mut state, &mut trial.coded)?;
        out.stages.entropy += begin.elapsed().as_secs_f64();
        out.squared_error += trial.squared_error;
        valid += frames.valid_share() * (count * layout.len()) as f64;
        // The state goes on from the decoded residual; only the output has the autoencoder's prediction added.
        let decoded = &trial.decoded.frames;
        let output = predicted.as_ref().map_or(decoded, |predicted| added(decoded, &predicted.frames, &mut sum));
        if !late && !sections.corrections.window(output, &frames.classes, first..first + count, header)? {
            return Ok(Attempt::Unreachable);
        }
        state.advance(trial.decoded);
        if let Some(progress) = context.progress {
            progress.add(count * layout.len());
        }
        spare = trial.coded;
        first += count;
    }
    out.overshoot = rate.overshoot();
    out.spent = rate.into_history();
    let enhance = enhancement(header, (out.squared_error / valid).sqrt(), enhanced.as_ref());
    let (bytes, coder) = sections.finish();
    let header = SegmentHeader { enhance, coder, ..header.clone() };
    out.bytes = bytes.write(&header);
    out.checked = checker.map(|checker| checker.finish(header));
    *buffers = state.into_buffers(spare);
    Ok(Attempt::Done(out))
}

/// How a segment is enhanced that has an RMSE of `noise`.
fn enhancement<R: Kernel>(
    header: &SegmentHeader,
    noise: f64,
    enhanced: Option<&EnhancedRate<'_, R>>,
) -> Option<Enhancement> {
    header.enhance.filter(|_| noise > 0.0 && noise.is_finite()).map(|how| match enhanced {
        Some(enhanced) => enhanced.how(),
        None => Enhancement { noise: Step::at_most(noise), ..how },
    })
}

/// The byte strings of a segment's section, while they are written.
struct Sections<'a, T> {
    source: &'a Source<'a, T>,
    context: FieldContext<'a>,
    header: &'a SegmentHeader,
    side_info: Encoder,
    coefficients: CoefficientWriter,
    /// The mask, and whether there is one.
    mask: Encoder,
    masked: bool,
    masks: MaskModel,
    latents: Vec<u8>,
    corrections: Corrections<'a, T>,
}

impl<'a, T: Element> Sections<'a, T> {
    fn new(source: &'a Source<'a, T>, context: FieldContext<'a>, header: &'a SegmentHeader) -> Self {
        let encoder = || Encoder::new(Vec::new());
        Self {
            source,
            context,
            header,
            side_info: encoder(),
            coefficients: CoefficientWriter::new(header.coder),
            mask: encoder(),
            masked: false,
            masks: MaskModel::new(),
            latents: Vec::new(),
            corrections: Corrections::new(source, context),
        }
    }

    fn write_mask<R: Kernel>(&mut self, frames: &mut Frames<R>, count: usize) -> Result<()> {
        let kinds = self.context.specials.patterns().len() as u8;
        if kinds > 0 {
            self.masked = true;
            let (h, w) = (self.source.segment.h, self.source.segment.w);
            self.masks.code(&mut self.mask, &mut frames.classes, [count, h, w], kinds)?;
        }
        Ok(())
    }

    fn write_window<R: Kernel>(&mut self, state: &mut SegmentState<'_, R>, coded: &mut CodedWindow<R>) -> Result<()> {
        state.code_side(&mut self.side_info, coded)?;
        self.coefficients.write(state, coded)
    }

    /// The byte strings, and how the indices are coded.
    fn finish(self) -> (SegmentBytes<Vec<u8>>, IndexCoder) {
        let (coefficients, coder) = self.coefficients.finish(self.header.coder);
        let bytes = SegmentBytes {
            side: self.side_info.finish(),
            mask: if self.masked { self.mask.finish() } else { Vec::new() },
            latents: self.latents,
            coefficients,
            corrections: self.corrections.finish(),
        };
        (bytes, coder)
    }
}

/// The sums of two slices' values, in `out`.
fn added<'o, R: Kernel>(a: &[R], b: &[R], out: &'o mut Vec<R>) -> &'o Vec<R> {
    out.clear();
    out.extend(a.iter().zip(b).map(|(a, b)| *a + *b));
    out
}

/// Where the mode is the latents', runs the autoencoder and leaves its residual in `frames`.
///
/// # Errors
/// What the model says.
pub(crate) fn predict_latents<T: Element, R: Kernel>(
    frames: &mut Frames<R>,
    source: &Source<'_, T>,
    context: &FieldContext<'_>,
    candidate: &Candidate,
) -> Result<Option<CodedLatents<R>>> {
    if candidate.header.mode != PredictionMode::Latents || context.package.is_none() {
        return Ok(None);
    }
    let autoencoder = context.autoencoder([source.segment.h, source.segment.w], candidate.header.step)?;
    let coded = fm::encode_latents(autoencoder, &frames.frames, candidate.gain)?;
    for (v, p) in frames.frames.iter_mut().zip(&coded.frames) {
        *v -= *p;
    }
    // What is coded now is no longer the field, whose limits say nothing of it.
    frames.limits = unlimited();
    Ok(Some(coded))
}
