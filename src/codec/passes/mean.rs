//! The mean of a field: what transforms have moved it by is taken back by the header's mean, to which all decoded values
//! are relative, and blocks are corrected anew about that; what closed-loop prediction has, by coding the segment again
//! with predictions that are offset.

use super::pointwise::EncodedClosed;
use super::root::RootSearch;
use super::{PassResult, Passes};
use crate::bound::check::Errors;
use crate::closed_loop::Account;
use crate::codec::rate::budget::Target;
use crate::codec::report::StageSeconds;
use crate::codec::segment::closed_loop::Closed;
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::state::Buffers;
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Element, Normalisation};
use crate::residual::kernels::Kernel;
use crate::stream::is_closed_loop;
use std::time::Instant;

/// What the mean of decoded values may differ by from the field's: of the range; and of itself, where no value has
/// another sign.
const OF_RANGE: f64 = 1e-5;
const OF_ITSELF: f64 = 1e-4;
/// A mean near zero is not kept more closely than so much of the range.
const LEAST_OF_RANGE: f64 = 1e-8;
/// What a segment may cost more for its mean's sake, as a share and in bytes.
const DEARER: f64 = 0.01;
/// The same where the mean is off by so many times what it may be: it would mislead whoever reads it.
const DEARER_FAR: f64 = 0.1;
const FAR: f64 = 100.0;
const FEW_BYTES: f64 = 48.0;
/// Checks at most: more than one where values are clamped, and move by less than the header's mean does.
const CHECKS: usize = 12;

/// A mean for the header, the errors with it, and the sections where they are others.
pub(in crate::codec) struct Centred {
    pub(in crate::codec) mean: f64,
    pub(in crate::codec) errors: Errors,
    pub(in crate::codec) sections: Option<Vec<Vec<u8>>>,
}

impl<T: Element> Passes<'_, T> {
    /// The mean with which decoded values have the field's mean more closely, and their bound still holds; `None` where
    /// that which it was coded with does as well.
    ///
    /// Corrections of points and of blocks are coded anew; closed-loop prediction does not hang on the mean.
    ///
    /// # Errors
    /// What the model says, and `Internal` where the check of the own output fails.
    pub(in crate::codec) fn centred<R: Kernel>(
        &self,
        done: &PassResult,
        stages: &mut StageSeconds,
    ) -> Result<Option<Centred>> {
        let FieldContext { normalisation, bound, range, .. } = self.context;
        let allowed = self.mean_error_allowed();
        let begin = Instant::now();
        let (mut best, mut least) = (None, done.errors.mean().abs());
        let dearer = if least > FAR * allowed { DEARER_FAR } else { DEARER };
        let most = done.bytes() as f64 * (1.0 + dearer) + FEW_BYTES;
        if least <= allowed || done.sections.iter().all(|section| is_closed_loop(section)) {
            return Ok(None);
        }
        let mut search = RootSearch::new(normalisation.mean, done.errors.mean());
        for _ in 0..CHECKS {
            let Some(mean) = search.next().filter(|_| least > allowed) else { break };
            let about = match self.about::<R>(&Normalisation { mean, ..*normalisation }, done) {
                // As on a GPU whose memory the simulation has taken: what was coded has been checked.
                Err(error) if matches!(error.kind(), ErrorKind::Runtime) => {
                    tracing::warn!(reason = error.message(), "the mean is left as it is: the model fails");
                    break;
                }
                about => about?,
            };
            let (left, holds) = (about.errors.mean(), about.errors.hold(bound, range, done.drift));
            let bytes: usize = about.sections.iter().flatten().map(Vec::len).sum();
            tracing::debug!(mean, left, allowed, bytes, rms = about.errors.rms(), "centred");
            if left.abs() < least && holds && bytes as f64 <= most {
                least = left.abs();
                best = Some(about);
            }
            search.note(mean, left);
        }
        stages.check += begin.elapsed().as_secs_f64();
        Ok(best)
    }

    /// What the mean of decoded values may differ by from the field's.
    fn mean_error_allowed(&self) -> f64 {
        let Normalisation { min, max, mean, .. } = *self.context.normalisation;
        let range = max - min;
        // Where values have both signs, their mean may be any small number.
        let one_sign = min >= 0.0 || max <= 0.0;
        let of_itself = if one_sign { OF_ITSELF * mean.abs() / range } else { OF_RANGE };
        range * OF_RANGE.min(of_itself.max(LEAST_OF_RANGE))
    }

    /// A section of closed-loop prediction; where its mean strays, the same with predictions that are offset, which may
    /// cost a little more, if less than `other` bytes.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(super) fn balanced(
        &self,
        closed: &Closed<'_, T>,
        mut coded: EncodedClosed,
        other: f64,
    ) -> Result<EncodedClosed> {
        let (points, errors) = (coded.account.points, coded.account.sum);
        let allowed = self.mean_error_allowed() * points as f64;
        let strays = self.tools.keeps_mean && closed.bound > 0.0 && errors.abs() > allowed;
        let Some(balanced) = coded.parameters.balanced().filter(|_| strays) else { return Ok(coded) };
        let silent = Closed { context: &FieldContext { progress: None, ..*closed.context }, ..*closed };
        let mut again = self.encode_closed(&silent, balanced, Account::allowing(allowed / 2.0))?;
        let (bytes, rest) = (again.bytes.len(), again.account.sum);
        tracing::debug!(errors, rest, allowed, bytes = coded.bytes.len(), balanced = bytes, "balanced");
        let most = (coded.bytes.len() as f64 * (1.0 + DEARER) + FEW_BYTES).min(other);
        let seconds = coded.seconds + again.seconds;
        (coded.seconds, again.seconds) = (seconds, seconds);
        Ok(if rest.abs() < errors.abs() && bytes as f64 <= most { again } else { coded })
    }

    /// What was coded, decoded about another mean.
    fn about<R: Kernel>(&self, normalisation: &Normalisation, done: &PassResult) -> Result<Centred> {
        let context = FieldContext { normalisation, progress: None, ..self.context };
        let parts = self.tools.map(0..done.sections.len(), |k| {
            let (source, coded, buffers) = (self.source(k), &done.sections[k], &mut Buffers::default());
            if let (true, Target::Pointwise(bound)) = (is_closed_loop(coded), self.target) {
                let closed = Closed { source: &source, context: &context, bound };
                return Ok((self.check_closed(&closed, coded)?, Some(coded.clone())));
            }
            let anew = match self.target {
                Target::Block(_) | Target::Pointwise(_) => {
                    let found = self.corrected_anew::<R>(&source, coded, context, buffers)?;
                    let hopeless = || Error::internal("what met its bound cannot be corrected to it");
                    Some(found.ok_or_else(hopeless)?)
                }
                Target::Rms(_) => None,
            };
            let mut errors = self.check::<R>(&source, anew.as_ref().unwrap_or(coded), context, buffers)?;
            errors.guard(done.drift);
            Ok((errors, anew))
        })?;
        let mut errors = Errors::new(normalisation.scale());
        parts.iter().for_each(|(part, _)| errors.merge(part));
        let sections = parts.into_iter().map(|(_, anew)| anew).collect();
        Ok(Centred { mean: normalisation.mean, errors, sections })
    }
}
