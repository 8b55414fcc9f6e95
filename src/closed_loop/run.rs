//! Coding a window, in any direction: by levels or in C order, mixed or not.

use super::indices::Model;
use super::section::{Parameters, Predictor};
use super::work::Work;
use super::{interpolate, lorenzo};
use crate::entropy::BitCoder;
use crate::error::{Error, Result};
use crate::field::Element;

/// Codes the points of a window, whose values lie within `range`; all values as decoded are known then.
///
/// # Errors
/// `Corrupt` when decoding what no encoder wrote; `Internal` where sizes contradict each other.
pub(super) fn run<T: Element, C: BitCoder>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    parameters: &Parameters,
    range: (f64, f64),
) -> Result<()> {
    let points = work.grid.len();
    if points != work.known.len() || work.mask.is_some_and(|mask| mask.len() != points) {
        return Err(Error::internal("a window has another size than its values"));
    }
    match (parameters.predictor, parameters.mixing) {
        (Predictor::Levels { frozen }, true) => {
            interpolate::code::<T, C, true>(coder, model, work, parameters, (frozen, range))
        }
        (Predictor::Levels { frozen }, false) => {
            interpolate::code::<T, C, false>(coder, model, work, parameters, (frozen, range))
        }
        (_, true) => lorenzo::code::<T, C, true>(coder, model, work, parameters, range),
        (_, false) => lorenzo::code::<T, C, false>(coder, model, work, parameters, range),
    }?;
    for (at, value) in std::mem::take(&mut work.kept) {
        work.known[at] = value;
    }
    Ok(())
}
