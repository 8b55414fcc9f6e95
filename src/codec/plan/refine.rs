//! The last step of mode decision: the best candidates without and with each part of the model, compared as they are
//! enhanced. Where the effort says so they are tried again, at the step that their enhanced error asks for.

use super::candidate::{Candidate, HOPELESS, over};
use super::compare::Comparison;
use super::trial::{Sample, TrialOutcome};
use crate::bound::Bound;
use crate::bound::check::BLOCK;
use crate::codec::rate::step::STEP_POWER;
use crate::codec::segment::context::{FieldContext, with_interpolator};
use crate::codec::segment::frames::PART;
use crate::codec::tools::Tools;
use crate::enhance::{Enhancement, Enhancer, Network, Views};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::options::FmMode;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{Step, fm};
use crate::residual::kernels::Kernel;
use crate::stream::{IndexCoder, PredictionMode, SegmentHeader};

/// The finest NRMSE at which frames are enhanced.
const ENHANCED_FROM: f64 = 5e-4;
/// About the root mean square error of points over the half-width that bounds them.
const OF_HALF_WIDTH: f64 = 0.5;
/// The most that enhancement may leave of the squared error.
const ENHANCED_MOST: f64 = 0.97;
/// A cautious power for what less error is worth in bits.
const ENHANCED_POWER: f64 = 0.5;
/// What four views leave of the squared error over one, about.
const FOUR_VIEWS: f64 = 0.975;
/// A segment of fewer bytes is looked at more closely: naming the model is a large part of it.
const FEW_BYTES: f64 = 2048.0;
/// A candidate that takes so many times the bits of the best, as first trials tell, is not tried again.
const RIVAL: f64 = 1.06;

/// Candidates that may be the best once they are enhanced, and their bits.
pub(super) struct Refinement<'a, R: Kernel> {
    sample: &'a Sample<R>,
    /// The step at which candidates are tried, and the power to which bits fall with the squared error there.
    step: f64,
    power: f64,
    package: &'a Model,
    tools: &'a Tools<'a>,
    known: Vec<Refined>,
}

struct Refined {
    /// Bits before and after enhancement, at the error that all are compared at.
    before: f64,
    after: f64,
    /// Where it is enhanced: what the sample comes to at the step of all trials.
    enhanced: Option<Enhanced>,
    /// Whether it was tried again.
    again: bool,
    candidate: Candidate,
}

/// A sample's errors, enhanced.
#[derive(Clone, Copy)]
struct Enhanced {
    /// Root mean square error before.
    noise: Step,
    /// Squared error, and its ratio to the one before.
    error: f64,
    ratio: f64,
}

impl<'a, R: Kernel> Refinement<'a, R> {
    /// None yet, of those that `comparison` compares.
    pub(super) fn new(
        sample: &'a Sample<R>,
        comparison: &Comparison,
        package: &'a Model,
        tools: &'a Tools<'a>,
    ) -> Self {
        Self { sample, step: comparison.step, power: comparison.power, package, tools, known: Vec::new() }
    }

    /// Adds a candidate that is not known yet, and its bits; enhanced where that is allowed and pays.
    ///
    /// # Errors
    /// What the model says.
    pub(super) fn add(&mut self, (bits, candidate): (f64, Candidate), enhancing: bool) -> Result<()> {
        if self.known.iter().any(|known| known.candidate.same_but_enhanced(&candidate)) {
            return Ok(());
        }
        let hopeful = self.known.iter().all(|known| bits < known.before * HOPELESS);
        let mut refined = Refined { before: bits, after: bits, enhanced: None, again: false, candidate };
        if enhancing && hopeful {
            self.enhance(&mut refined)?;
        }
        self.known.push(refined);
        Ok(())
    }

    /// The fewest bits of any.
    pub(super) fn least(&self) -> f64 {
        self.known.iter().map(|known| known.after).fold(f64::INFINITY, f64::min)
    }

    /// The best. `errors`: the squared error of the sample that bits are of so far, and the one that is wanted; where
    /// they are given, the enhanced candidates that come near the best are tried once more, at a step that leads to the
    /// wanted one.
    ///
    /// # Errors
    /// What the model says.
    pub(super) fn best(mut self, errors: Option<[f64; 2]>) -> Result<Candidate> {
        if let Some([before, wanted]) = errors {
            let level = (before / wanted).powf(self.power);
            for known in &mut self.known {
                (known.before, known.after) = (known.before * level, known.after * level);
            }
        }
        let plain = self.known.iter().filter(|known| !known.candidate.header.uses_model);
        let without = plain.map(|known| known.before).fold(f64::INFINITY, f64::min);
        if let Some([_, wanted]) = errors {
            let most = self.least() * RIVAL;
            let mut known = std::mem::take(&mut self.known);
            for refined in known.iter_mut().filter(|refined| refined.after <= most) {
                refined.again = self.try_again(refined, wanted)?;
            }
            // Of the enhanced ones the others are known less well.
            if known.iter().any(|refined| refined.again) {
                known.retain(|refined| refined.again || refined.enhanced.is_none());
            }
            self.known = known;
        }
        let least = self.known.into_iter().min_by(|a, b| a.after.total_cmp(&b.after));
        let Refined { after, mut candidate, .. } = least.ok_or_else(|| Error::internal("no candidate was chosen"))?;
        if candidate.header.needs_model() && without.is_finite() {
            candidate.model_ratio = after / without;
        }
        Ok(candidate)
    }

    /// Has frames enhanced where that makes their error smaller by enough to pay.
    fn enhance(&self, refined: &mut Refined) -> Result<()> {
        let Refined { before: bits, candidate, .. } = refined;
        let header = &mut candidate.header;
        let Some(network) =
            Network::of(self.package, self.tools.knobs().networks).filter(|_| header.mode != PredictionMode::Latents)
        else {
            return Ok(());
        };
        let bytes = *bits / self.sample.share / 8.0;
        let Some(frames) = self.with_model(header, |model| self.sample.decoded(header, self.step, model))? else {
            return Ok(());
        };
        let Some(found) = self.enhanced(header, frames, network, Views::One, every(bytes))? else {
            return Ok(());
        };
        let saved = bytes * (1.0 - found.ratio.powf(ENHANCED_POWER));
        let knobs = self.tools.knobs();
        let pays = found.ratio < ENHANCED_MOST && saved > if header.uses_model { 0.0 } else { knobs.naming_bytes };
        tracing::debug!(ratio = found.ratio, saved, pays, "enhancement");
        if pays || self.tools.options.fm == FmMode::On && found.ratio < 1.0 {
            let views = knobs.views;
            header.enhance = Some(Enhancement { noise: found.noise, network, views });
            candidate.enhancement_ratio = if views == Views::Four { found.ratio * FOUR_VIEWS } else { found.ratio };
            refined.after = *bits * candidate.enhancement_ratio.powf(self.power);
            refined.enhanced = Some(found);
        }
        Ok(())
    }

    /// Tries an enhanced candidate at the step where its squared error is `wanted`; false where it cannot be coded so.
    fn try_again(&self, refined: &mut Refined, wanted: f64) -> Result<bool> {
        let (Some(first), Some(how)) = (refined.enhanced, refined.candidate.header.enhance) else {
            return Ok(false);
        };
        let header = &refined.candidate.header;
        let factor = (wanted / (first.error * FOUR_VIEWS)).powf(1.0 / STEP_POWER);
        let step = self.step * factor.clamp(0.5, 4.0);
        let mut frames = Vec::with_capacity(self.sample.frames.len());
        let see = |decoded: &[R]| frames.extend_from_slice(decoded);
        let found = self.with_model(header, |model| self.sample.try_and_see(header, step, model, see))?;
        let Some(TrialOutcome { bits, error, coefficients }) = found else {
            return Ok(false);
        };
        let every = every(bits / self.sample.share / 8.0);
        let Some(found) = self.enhanced(header, frames, how.network, how.views, every)? else {
            return Ok(false);
        };
        refined.after = bits * (found.error / wanted).powf(self.power);
        let counted = if header.uses_model {
            let without =
                SegmentHeader { coder: IndexCoder::Counters, uses_model: false, enhance: None, ..header.clone() };
            self.sample.try_out(&without, step, ModelUse::Off)?.map_or(error, |without| without.coefficients)
        } else {
            coefficients
        };
        tracing::debug!(
            window = header.window,
            model = header.uses_model,
            step,
            bits = refined.after,
            share = found.error / wanted,
            ratio = found.ratio,
            "tried again"
        );
        refined.candidate.over_forecast = over(error, counted);
        refined.candidate.enhancement_ratio = found.ratio;
        Ok(true)
    }

    /// Calls `f` with the use that a header makes of the model.
    fn with_model<O>(&self, header: &SegmentHeader, f: impl FnOnce(ModelUse<'_>) -> Result<O>) -> Result<O> {
        let layout = &self.sample.layout;
        with_interpolator(header, Some(self.package), [layout.h, layout.w], self.tools.options.fm, None, f)
    }

    /// The errors of the sample, decoded as `frames` and enhanced, as one frame in `every` tells; `None` where there is
    /// nothing to enhance.
    fn enhanced(
        &self,
        header: &SegmentHeader,
        frames: Vec<R>,
        network: Network,
        views: Views,
        every: usize,
    ) -> Result<Option<Enhanced>> {
        let (sample, layout) = (self.sample, &self.sample.layout);
        let frames: Vec<f32> = frames.into_iter().map(|v| v.to_f64() as f32).collect();
        let n = layout.len();
        let error = |t: usize, frame: &[f32]| {
            let pairs = sample.frames[t * n..][..n].iter().zip(frame);
            pairs.map(|(a, b)| (a.to_f64() - f64::from(*b)).powi(2)).sum::<f64>()
        };
        let errors: Vec<f64> = frames.chunks_exact(n).enumerate().map(|(t, frame)| error(t, frame)).collect();
        let sum = errors.iter().sum::<f64>();
        let noise = (sum / frames.len() as f64).sqrt();
        if noise <= 0.0 || !noise.is_finite() {
            return Ok(None);
        }
        let how = Enhancement { noise: Step::at_most(noise), network, views };
        let enhancer = Enhancer::new(self.package, layout.h, layout.w, how, fm::grid(header.step))?;
        let enhancer = enhancer.of_volumes(layout.depth);
        let picked = (0..sample.count).skip((every / 2).min(sample.count.saturating_sub(1))).step_by(every);
        let mut corrections = Vec::new();
        enhancer.corrections(&frames, 0, picked.clone(), &mut corrections)?;
        let (mut before, mut after) = (0.0, 0.0);
        for (t, frame) in picked.zip(corrections.chunks_exact_mut(n)) {
            frame.iter_mut().zip(&frames[t * n..]).for_each(|(c, v)| *c += v);
            (before, after) = (before + errors[t], after + error(t, frame));
        }
        let ratio = if before > 0.0 { after / before } else { 1.0 };
        Ok(Some(Enhanced { noise: how.noise, error: sum * ratio, ratio }))
    }
}

/// One frame in so many tells what is left of a sample of so many bytes.
fn every(bytes: f64) -> usize {
    if bytes < FEW_BYTES { 1 } else { PART }
}

/// Whether frames may be enhanced: where the error asked for is of the size that the enhancer knows.
pub(super) fn may_enhance<R>(context: &FieldContext<'_>) -> bool {
    let nrmse = match context.bound {
        Bound::Nrmse(nrmse) => nrmse,
        Bound::Psnr(decibels) => crate::bound::check::psnr_to_nrmse(decibels),
        Bound::Rel(epsilon) => OF_HALF_WIDTH * epsilon,
        Bound::Abs(epsilon) => OF_HALF_WIDTH * epsilon / context.range,
        Bound::BlockL2(tau) => tau / (BLOCK.pow(3) as f64).sqrt() / context.range,
        // Logarithms are a field of their own, under `abs`.
        Bound::PwRel(_) | Bound::Lossless => return false,
    };
    nrmse >= ENHANCED_FROM && size_of::<R>() == size_of::<f32>()
}
