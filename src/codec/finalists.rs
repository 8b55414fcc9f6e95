//! The last step of choosing: the best ways before and after each part of the model was tried, as they are enhanced.

use super::Shared;
use super::choose::{Choice, HOPELESS};
use super::sample::Sample;
use super::segment::Way;
use super::settlement::PART;
use crate::bound::Bound;
use crate::enhance::{Enhancement, Enhancer, Network, Views};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::options::{Effort, FmMode, Options};
use crate::predict::hierarchical::ModelUse;
use crate::predict::{Step, fm};
use crate::residual::kernels::Kernel;

/// The finest NRMSE at which frames are enhanced.
const ENHANCED_FROM: f64 = 5e-4;
/// The most that enhancement may leave of the squared error.
const ENHANCED_MOST: f64 = 0.97;
/// A cautious power for what less error is worth in bits.
const ENHANCED_POWER: f64 = 0.5;
/// What four views leave of the squared error over one, about.
const FOUR_VIEWS: f64 = 0.975;
/// A segment of fewer bytes is looked at more closely: naming the model is a large part of it.
const FEW_BYTES: f64 = 2048.0;
/// What naming a model costs a stream, in bytes, and some more for what samples do not tell: at the highest effort, which sees all
/// of a segment, and at normal effort.
const MODEL_BYTES: f64 = 16.0;
const MODEL_BYTES_NORMAL: f64 = 32.0;

/// The best choices before and after each part of the model was tried, as they are enhanced: what was best before may be so again.
#[derive(Default)]
pub(super) struct Finalists {
    /// Bits before and after enhancement.
    known: Vec<(f64, f64, Choice)>,
}

impl Finalists {
    /// Adds a choice that is not known yet; `enhance` changes it and tells what of its bits is left.
    pub(super) fn add(
        &mut self,
        (bits, mut choice): (f64, Choice),
        enhancing: bool,
        enhance: impl FnOnce(f64, &mut Choice) -> Result<f64>,
    ) -> Result<()> {
        if self.known.iter().any(|(_, _, known)| known.same_but_enhanced(&choice)) {
            return Ok(());
        }
        let hopeful = self.known.iter().all(|(known, _, _)| bits < known * HOPELESS);
        let after = if enhancing && hopeful { enhance(bits, &mut choice)? } else { bits };
        self.known.push((bits, after, choice));
        Ok(())
    }

    /// The fewest bits of any.
    pub(super) fn least(&self) -> f64 {
        self.known.iter().map(|(_, bits, _)| *bits).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn best(self) -> Result<Choice> {
        let plain = self.known.iter().filter(|(_, _, choice)| !choice.method.uses_model);
        let without = plain.map(|(bits, _, _)| *bits).fold(f64::INFINITY, f64::min);
        let least = self.known.into_iter().min_by(|(_, a, _), (_, b, _)| a.total_cmp(b));
        let (_, bits, mut choice) = least.ok_or_else(|| Error::internal("no way of coding was chosen"))?;
        if choice.method.needs_model() && without.is_finite() {
            choice.model_leaves = bits / without;
        }
        Ok(choice)
    }
}

/// Whether frames may be enhanced: where no corrections of points or blocks follow, and the error asked for is of the size that
/// the enhancer knows.
pub(super) fn may_enhance<R>(shared: &Shared<'_>) -> bool {
    let nrmse = match shared.bound {
        Bound::Nrmse(nrmse) => nrmse,
        Bound::Psnr(decibels) => crate::bound::check::psnr_to_nrmse(decibels),
        _ => return false,
    };
    nrmse >= ENHANCED_FROM && size_of::<R>() == size_of::<f32>()
}

/// Has frames enhanced where that makes their error smaller by enough to pay, told from a sample that takes so many bits; gives the
/// bits that it takes then, at the same error.
pub(super) fn enhance<R: Kernel>(
    sample: &Sample<R>,
    bits: f64,
    choice: &mut Choice,
    step: f64,
    power: f64,
    package: &Model,
    options: &Options,
) -> Result<f64> {
    let mode = options.fm;
    let method = &mut choice.method;
    if method.way == Way::Latents {
        return Ok(bits);
    }
    let (layout, grid) = (&sample.layout, fm::grid(method.step));
    let interpolator = method.uses_model.then(|| fm::interpolator(package, layout.h, layout.w, grid, None));
    let model = interpolator.as_ref().map_or(ModelUse::Off, |interpolator| ModelUse::of(mode, interpolator));
    let found = sample.decoded(method, step, model)?;
    let Some(frames) = found.map(|found| found.iter().map(|v| v.to_f64() as f32).collect::<Vec<f32>>()) else {
        return Ok(bits);
    };
    let n = layout.len();
    let error = |t: usize, frame: &[f32]| {
        let pairs = sample.frames[t * n..][..n].iter().zip(frame);
        pairs.map(|(a, b)| (a.to_f64() - f64::from(*b)).powi(2)).sum::<f64>()
    };
    let errors: Vec<f64> = frames.chunks_exact(n).enumerate().map(|(t, frame)| error(t, frame)).collect();
    let noise = (errors.iter().sum::<f64>() / frames.len() as f64).sqrt();
    if noise <= 0.0 || !noise.is_finite() {
        return Ok(bits);
    }
    let noise = Step::at_most(noise);
    let thorough = options.effort == Effort::High;
    let Some(network) = Network::of(package, options.effort) else { return Ok(bits) };
    let seen = Enhancement { noise, network, views: Views::One };
    let enhancer = Enhancer::new(package, layout.h, layout.w, seen, grid)?;
    let bytes = bits / sample.share / 8.0;
    let every = if thorough || bytes < FEW_BYTES { 1 } else { PART };
    let picked = (0..sample.count).skip((every / 2).min(sample.count.saturating_sub(1))).step_by(every);
    let mut corrections = Vec::new();
    enhancer.corrections(&frames, picked.clone(), &mut corrections)?;
    let (mut before, mut after) = (0.0, 0.0);
    for (t, frame) in picked.zip(corrections.chunks_exact_mut(n)) {
        frame.iter_mut().zip(&frames[t * n..]).for_each(|(c, v)| *c += v);
        (before, after) = (before + errors[t], after + error(t, frame));
    }
    let ratio = if before > 0.0 { after / before } else { 1.0 };
    let saved = bytes * (1.0 - ratio.powf(ENHANCED_POWER));
    let naming = if thorough { MODEL_BYTES } else { MODEL_BYTES_NORMAL };
    let pays = ratio < ENHANCED_MOST && saved > if method.uses_model { 0.0 } else { naming };
    tracing::debug!(ratio, saved, pays, "enhancement");
    if pays || mode == FmMode::On && ratio < 1.0 {
        let views = if thorough { Views::Four } else { Views::One };
        method.enhance = Some(Enhancement { noise, network, views });
        choice.enhanced = if views == Views::Four { ratio * FOUR_VIEWS } else { ratio };
    }
    Ok(bits * choice.enhanced.powf(power))
}
